// The npm package openai, against /v1.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import {
  answer, apiKey, assertCancelled, baseURL, model, reply, say, script, sseHead, status, usage, weatherCalls,
} from './support.js';

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 120_000 });
const requestId = /^[0-9a-f-]{32,36}$/;

const tools = [{
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}];

const ask = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more }, options);

test('openai: a stream gives the whole answer in order', async () => {
  const mock = await script(reply());
  const texts = [];
  let finish;
  for await (const chunk of await ask(mock.prompt, { stream: true })) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    const [choice] = chunk.choices;
    if (choice?.delta.content) texts.push(choice.delta.content);
    finish = choice?.finish_reason ?? finish;
  }
  assert.equal(texts.join(''), answer);
  assert.ok(texts.length > 1, 'the answer came in one piece');
  assert.equal(finish, 'stop');
});

test('openai: a stream gives each chunk while the next is not yet said', async () => {
  const mock = await script([sseHead, say('one'), ['gate', 'next'], say('two'), ['event', '[DONE]']]);
  const texts = [];
  for await (const chunk of await ask(mock.prompt, { stream: true })) {
    const text = chunk.choices[0]?.delta.content;
    if (text === undefined) continue;
    texts.push(text);
    if (text === 'one') await mock.open('next');
  }
  assert.deepEqual(texts, ['one', 'two']);
});

test('openai: a stream gives usage when asked for it', async () => {
  const mock = await script(reply());
  let seen;
  for await (const chunk of await ask(mock.prompt, { stream: true, stream_options: { include_usage: true } })) {
    seen = chunk.usage ?? seen;
  }
  assert.equal(seen.total_tokens, usage.total);
});

test('openai: the stream helper collects the completion', async () => {
  const mock = await script(reply());
  const stream = client.chat.completions.stream({ model, messages: [{ role: 'user', content: mock.prompt }] });
  const completion = await stream.finalChatCompletion();
  assert.equal(completion.choices[0].message.content, answer);
});

test('openai: without a stream there is one completion with usage', async () => {
  const mock = await script(reply());
  const completion = await ask(mock.prompt);
  assert.equal(completion.object, 'chat.completion');
  assert.equal(completion.choices[0].message.content, answer);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.equal(completion.usage.prompt_tokens, usage.prompt);
  assert.equal(completion.usage.completion_tokens, usage.completion);
  assert.match(completion._request_id, requestId);
});

test('openai: tool calls come through a stream', async () => {
  const mock = await script(reply({ tool_calls: weatherCalls }));
  const stream = client.chat.completions.stream({ model, tools, messages: [{ role: 'user', content: mock.prompt }] });
  const { choices: [{ message, finish_reason }] } = await stream.finalChatCompletion();
  assert.equal(finish_reason, 'tool_calls');
  assert.deepEqual(message.tool_calls.map((call) => [call.id, call.function.name, call.function.arguments]),
    weatherCalls.map((call) => [call.id, call.name, call.arguments]));
});

test('openai: tool calls come without a stream, and their results go back', async () => {
  const mock = await script(reply({ tool_calls: weatherCalls }), reply());
  const messages = [{ role: 'user', content: mock.prompt }];
  const first = await client.chat.completions.create({ model, tools, messages });
  const { message } = first.choices[0];
  assert.deepEqual(message.tool_calls.map((call) => call.id), ['call_1', 'call_2']);

  messages.push(message);
  for (const call of message.tool_calls) messages.push({ role: 'tool', tool_call_id: call.id, content: '{"rain":true}' });
  const second = await client.chat.completions.create({ model, tools, messages });
  assert.equal(second.choices[0].message.content, answer);

  const [, sent] = await mock.requests();
  assert.deepEqual(sent.tools, tools);
  assert.deepEqual(sent.messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'tool']);
  assert.equal(sent.messages[3].tool_call_id, 'call_2');
});

test('openai: abort in the middle of a stream cancels upstream', async () => {
  const mock = await script([sseHead, say('one'), ['hang']]);
  const stream = await ask(mock.prompt, { stream: true });
  let heard = false;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) {
      heard = true;
      stream.controller.abort();
    }
  }
  assert.ok(heard, 'nothing arrived');
  await assertCancelled(mock);
});

test('openai: abort before the first token cancels upstream', async () => {
  const mock = await script([['hang']]);
  const controller = new AbortController();
  const asked = assert.rejects(ask(mock.prompt, { stream: true }, { signal: controller.signal }),
    OpenAI.APIUserAbortError);
  await mock.wait('received');
  controller.abort();
  await asked;
  await assertCancelled(mock);
});

test('openai: abort without a stream cancels upstream', async () => {
  const mock = await script([['hang']]);
  const controller = new AbortController();
  const asked = assert.rejects(ask(mock.prompt, {}, { signal: controller.signal }), OpenAI.APIUserAbortError);
  await mock.wait('received');
  controller.abort();
  await asked;
  await assertCancelled(mock);
});

test('openai: an unknown model is an UnprocessableEntityError with the request id', async () => {
  await assert.rejects(ask('Hello', { model: 'no-such-model' }), (error) => {
    assert.ok(error instanceof OpenAI.UnprocessableEntityError, error.constructor.name);
    assert.match(error.requestID, requestId);
    assert.equal(error.error.request_id, error.requestID);
    assert.match(error.message, /no-such-model/);
    return true;
  });
});

test('openai: a bad request keeps the message of the model', async () => {
  const mock = await script(status(400, 'temperature must be at most 2'));
  await assert.rejects(ask(mock.prompt), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError, error.constructor.name);
    assert.match(error.message, /temperature must be at most 2/);
    return true;
  });
});

test('openai: a failing model is an APIError with status and request id', async () => {
  const mock = await script(status(500, 'boom'));
  await assert.rejects(ask(mock.prompt, { stream: true }), (error) => {
    assert.ok(error instanceof OpenAI.APIError, error.constructor.name);
    assert.equal(error.status, 502);
    assert.equal(error.error.type, 'upstream_error');
    assert.match(error.requestID, requestId);
    return true;
  });
});

test('openai: an overloaded model is a 503 that says when to retry', async () => {
  const mock = await script(status(429, 'slow down', [['Retry-After', '30']]));
  await assert.rejects(ask(mock.prompt), (error) => {
    assert.equal(error.status, 503);
    assert.ok(Number(error.headers.get('retry-after')) >= 1);
    return true;
  });
});

test('openai: a model that fails in the stream surfaces as an APIError', async () => {
  const mock = await script([sseHead, say('one'), ['fin']]);
  const texts = [];
  await assert.rejects(async () => {
    for await (const chunk of await ask(mock.prompt, { stream: true })) {
      if (chunk.choices[0]?.delta.content) texts.push(chunk.choices[0].delta.content);
    }
  }, (error) => error instanceof OpenAI.APIError && error.error.type === 'upstream_error');
  assert.deepEqual(texts, ['one']);
});

test('openai: fields that only the model knows pass through', async () => {
  const mock = await script(reply());
  const format = { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } };
  await ask(mock.prompt, { response_format: format, temperature: 0.25, seed: 7, top_logprobs: 2 });
  const [sent] = await mock.requests();
  assert.deepEqual(sent.response_format, format);
  assert.deepEqual([sent.temperature, sent.seed, sent.top_logprobs], [0.25, 7, 2]);
});

test('openai: models are listed', async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  assert.ok(ids.includes(model), ids.join());
});
