/*
 * highlight.js - colours for code, made by a worker (highlighter.js): some grammars take the square of a text's length,
 * and 20,000 letters of Java without a blank take seconds, in which the page would stand still.
 */

/* Colouring longer code takes longer than it is worth. */
const CODE_MAX_CHARS = 60_000;
/* Code that takes longer stays as it is. */
const WORK_MAX_MS = 2000;
/* The same of a language that does not come. */
const LOAD_MAX_MS = 20_000;

let worker = null;
let last = Promise.resolve();

/* Ask the worker, which does nothing else meanwhile; "" where no colours come.  One that takes too long is ended. */
function ask(language, source) {
  return new Promise((resolve) => {
    worker ??= new Worker(BAKAME_HIGHLIGHTER, { type: "module" });
    const end = () => {
      worker?.terminate();
      worker = null;
      resolve("");
    };
    let timer = setTimeout(end, LOAD_MAX_MS);
    worker.onerror = () => {
      clearTimeout(timer);
      end();
    };
    worker.onmessage = ({ data: { html } }) => {
      clearTimeout(timer);
      if (html === undefined) {
        timer = setTimeout(end, WORK_MAX_MS);
      } else {
        resolve(html);
      }
    };
    worker.postMessage({ language, source });
  });
}

/* Colour the text of a <code>, when those before it are.  It stays as it is where there are no colours to be had. */
export async function highlight(code, language) {
  const source = code.textContent;
  if (language === "" || source.length > CODE_MAX_CHARS) {
    return;
  }
  last = last.then(() => ask(language.toLowerCase(), source)).catch(() => "");
  const html = await last;
  if (html !== "") {
    code.innerHTML = html;
  }
}
