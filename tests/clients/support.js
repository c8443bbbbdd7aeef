// support.js - what both libraries' tests share: where the service is, and what is asked.
//
// Environment: BASE_URL  the service's /v1 behind the web server
//              MOCK_URL  the scriptable model behind it (tests/mock/model.py)
//              MODEL     a model that the service offers
//              API_KEY   sent as the bearer token

export const baseURL = process.env.BASE_URL;
export const model = process.env.MODEL;
export const apiKey = process.env.API_KEY;

export { script } from '../mock/control.mjs';

export const weatherCalls = [
  { id: 'call_1', name: 'weather', arguments: '{"city":"Kigali"}' },
  { id: 'call_2', name: 'weather', arguments: '{"city":"Huye"}' },
];

const chunk = (delta) => ({
  id: 'chatcmpl-mock0001', object: 'chat.completion.chunk', created: 1767225600, model,
  choices: [{ index: 0, delta, finish_reason: null }],
});

export const sseHead = ['head', 200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]];
export const say = (content) => ['event', chunk({ content })];
export const reply = (options = {}) => [['reply', options]];

export function status(code, message, headers = []) {
  const body = JSON.stringify({ error: { message, type: 'mock', param: null, code: null } });
  return [['head', code, [['Content-Type', 'application/json'], ['Content-Length', String(body.length)], ...headers]],
    ['send', body]];
}

export const answer = 'Hello from the mock.';
export const usage = { prompt: 11, completion: 7, total: 18 };
// How soon the model must see that a client left. The strict bound is measured in tests/http.
export const cancelWithinMs = 1000;

export const nowMs = () => Number(process.hrtime.bigint() / 1000n) / 1000;

// The clock of the mock's records is that of nowMs().
export async function assertCancelled(mock, leftMs) {
  const [record] = await mock.wait('gone');
  const took = record.gone * 1000 - leftMs;
  if (took > cancelWithinMs) throw new Error(`the model saw the client leave only after ${took} ms`);
}
