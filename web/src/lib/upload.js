/*
 * upload.js - sends a file to POST /api/upload.  By XMLHttpRequest, which alone tells how much has gone.
 */

import { ApiError } from "./api.js";

function refusal(xhr) {
  const details = { status: xhr.status, retryAfterSecs: Math.max(0, Number.parseInt(xhr.getResponseHeader("Retry-After") ?? "", 10) || 0) };
  try {
    const { error } = JSON.parse(xhr.responseText);
    return new ApiError("refused", error.message, { ...details, type: error.type });
  } catch {
    return new ApiError("refused", `The server answered ${xhr.status}.`, details);
  }
}

function answerOf(xhr) {
  try {
    return JSON.parse(xhr.responseText).files[0];
  } catch {
    return undefined;
  }
}

/* Calls onProgress with 0 to 1.  Gives what the server says of the file; rejects with an ApiError. */
export function upload(file, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, file.name);
    xhr.open("POST", "/api/upload");
    xhr.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    xhr.onload = () => {
      const stored = xhr.status >= 200 && xhr.status < 300 ? answerOf(xhr) : undefined;
      if (stored) {
        resolve(stored);
      } else {
        reject(refusal(xhr));
      }
    };
    xhr.onerror = () => reject(new ApiError("unreachable", "The connection was lost while the file was sent."));
    xhr.onabort = () => reject(new ApiError("stopped", "Stopped."));
    signal?.addEventListener("abort", () => xhr.abort());
    xhr.send(form);
  });
}
