/*
 * api.js - asks the server.  The session is a cookie that scripts cannot see; nothing of it is kept here.
 */

/*
 * Why a request did not succeed: `kind` is "refused" (the server said no; status, type and its words are
 * there), "unreachable" (no answer came), or "stopped".
 */
export class ApiError extends Error {
  constructor(kind, message, { status = 0, type = "", retryAfterSecs = 0 } = {}) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { kind, status, type, retryAfterSecs });
  }
}

let onSessionEnd = () => {};
let hasSession = () => false;
let refreshing = null;

/* Who keeps the session: is there one, and what is to be done when it has ended. */
export function watchSession({ exists, ended }) {
  hasSession = exists;
  onSessionEnd = ended;
}

export function retryAfterOf(headers) {
  return Math.max(0, Number.parseInt(headers.get("Retry-After") ?? "", 10) || 0);
}

/* What a response that is no success says. */
export async function refusalOf(response) {
  let message = `The server answered ${response.status}.`;
  let type = "";
  try {
    const { error } = await response.json();
    message = error.message || message;
    type = error.type || "";
  } catch {
    // Not our JSON: the front's own error page, whose text says no more than the status.
  }
  return new ApiError("refused", message, { status: response.status, type, retryAfterSecs: retryAfterOf(response.headers) });
}

/* One refresh, however many requests found that the session is over.  False when the server refuses it; throws when
   that cannot be told, for a bad network is no reason to send anybody to the door. */
function refresh(fetch) {
  refreshing ??= fetch("/api/auth/refresh", { method: "POST", credentials: "same-origin" })
    .then((response) => {
      if (response.status >= 500 || response.status === 429) {
        throw new TypeError("The session could not be renewed.");       // as fetch() has it, without a network
      }
      return response.ok;
    })
    .finally(() => { refreshing = null; });
  return refreshing;
}

/* fetch(), but a session that is over is renewed once and the request sent again. */
export async function fetchInSession(url, options, fetch = globalThis.fetch) {
  const response = await fetch(url, options);
  if (response.status !== 401 || !hasSession()) {
    return response;
  }
  if (await refresh(fetch)) {
    return fetch(url, options);
  }
  // The cookie is of no use any more, and a bad one is refused where none would do.
  await fetch("/api/auth/logout", { method: "POST", credentials: "same-origin" }).catch(() => {});
  onSessionEnd();
  return response;
}

/* Ask for JSON.  Gives the answer's body, null where it has none; throws an ApiError. */
export async function call(method, path, body, { signal, keepalive = false, inSession = true } = {}) {
  const options = {
    method,
    credentials: "same-origin",
    headers: { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    keepalive,
    signal,
  };
  let response;
  try {
    response = await (inSession ? fetchInSession(path, options) : fetch(path, options));
  } catch {
    throw signal?.aborted ? new ApiError("stopped", "Stopped.") : new ApiError("unreachable", "The server cannot be reached.");
  }
  if (!response.ok) {
    throw await refusalOf(response);
  }
  try {
    const text = await response.text();
    return text === "" ? null : JSON.parse(text);
  } catch {
    throw new ApiError("unreachable", "The answer could not be read.");
  }
}

/* A path with the parameters that have a value. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
