/* main.jsx - starts the pages. */

import { render } from "preact";
import { App } from "./app.jsx";
import { speak } from "./lib/i18n.js";
import { route, startRouter } from "./lib/router.js";
import { showTheme, wantedLanguage } from "./state/prefs.js";
import { startSession } from "./state/session.js";
import { followRoute, startThread } from "./state/thread.js";

/* The words may be out of reach, where a page of an older version was kept; English came with it most likely. */
async function findWords() {
  try {
    await speak(wantedLanguage());
  } catch {
    await speak("en").catch(() => {});
  }
}

async function start() {
  const words = findWords();
  showTheme();
  startRouter();
  const session = startSession();
  await words;
  startThread();
  render(<App />, document.getElementById("app"));
  await session;
  route.subscribe(followRoute);
}

start();
if ("serviceWorker" in navigator && isSecureContext) {
  addEventListener("load", () => navigator.serviceWorker.register("/sw.js").catch(() => {}));   // the page works without
}
