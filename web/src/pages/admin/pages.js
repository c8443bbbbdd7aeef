/* pages.js - a list that the server gives page by page. */

import { useEffect, useRef, useState } from "preact/hooks";
import { call, withQuery } from "../../lib/api.js";

const PAGE = 50;
const PAUSE_MS = 250;

/* `name` is the member of the answer that holds the list.  Asks anew, after a pause, when `parameters` (a text
   made of them) change. */
export function usePages(path, name, parameters = {}) {
  const [state, setState] = useState({ items: [], next: null, isLoading: true, failure: null });
  const asked = useRef(0);
  const load = async (cursor = null) => {
    const mine = ++asked.current;
    setState((before) => ({ ...before, isLoading: true, failure: null }));
    try {
      const answer = await call("GET", withQuery(path, { ...parameters, cursor, limit: PAGE }));
      const items = answer[name];
      if (mine === asked.current) {
        setState((before) => ({ items: cursor ? [...before.items, ...items] : items, next: answer.next_cursor ?? null, isLoading: false, failure: null }));
      }
    } catch (failure) {
      if (mine === asked.current) {
        setState((before) => ({ ...before, isLoading: false, failure }));
      }
    }
  };
  const wanted = JSON.stringify(parameters);
  useEffect(() => {
    const timer = setTimeout(load, asked.current === 0 ? 0 : PAUSE_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  const replace = (item) => setState((before) => ({ ...before, items: before.items.map((one) => (one.id === item.id ? { ...one, ...item } : one)) }));
  return { ...state, reload: () => load(), more: () => load(state.next), replace };
}
