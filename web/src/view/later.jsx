/* later.jsx - parts that are loaded when they are first shown. */

import { useEffect, useState } from "preact/hooks";

/* A component whose module (its default export) is loaded by `load`.  Until then, and when it cannot be had,
   `waiting` and `failed` are shown, where given: functions of the properties, and of a way to try again. */
export function later(load, { waiting = () => null, failed = () => null } = {}) {
  let loaded = null;
  return function Later(properties) {
    const [state, setState] = useState(loaded ? "loaded" : "waiting");
    useEffect(() => {
      if (state !== "waiting") {
        return undefined;
      }
      let isWanted = true;
      load().then((module) => { loaded = module.default; return "loaded"; }, () => "failed")
        .then((next) => isWanted && setState(next));
      return () => { isWanted = false; };
    }, [state]);
    if (state === "loaded") {
      const Loaded = loaded;
      return <Loaded {...properties} />;
    }
    return state === "waiting" ? waiting(properties) : failed(properties, () => setState("waiting"));
  };
}
