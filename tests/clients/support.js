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
// The model sees that its client left: no time-out of the service's is as short as this waits. How soon is measured in tests/http.
export async function assertCancelled(mock) {
  const [record] = await mock.wait('gone');
  if (record.finished !== null) throw new Error('the model had answered to the end');
}
