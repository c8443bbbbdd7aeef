// The Vercel npm package ai with @ai-sdk/openai-compatible, against /v1.
import assert from 'node:assert/strict';
import test from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import {
  answer, apiKey, assertCancelled, baseURL, model, reply, say, script, sseHead, status, usage, weatherCalls,
} from './support.js';

const bakame = createOpenAICompatible({ name: 'bakame', baseURL, apiKey, includeUsage: true });
const settings = { model: bakame(model), maxRetries: 0 };
const ignoreError = () => {};

const weather = tool({
  description: 'The weather in a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, rain: true }),
});

async function textDeltas(stream) {
  const texts = [];
  for await (const part of stream) if (part.type === 'text-delta' && part.text) texts.push(part.text);
  return texts;
}

test('ai: a stream gives the whole answer in order, with usage', async () => {
  const mock = await script(reply());
  const result = streamText({ ...settings, prompt: mock.prompt });
  const texts = await textDeltas(result.fullStream);
  assert.equal(texts.join(''), answer);
  assert.ok(texts.length > 1, 'the answer came in one piece');
  assert.equal(await result.finishReason, 'stop');
  assert.equal((await result.usage).totalTokens, usage.total);
});

test('ai: a stream gives each chunk while the next is not yet said', async () => {
  const mock = await script([sseHead, say('one'), ['gate', 'next'], say('two'), ['event', '[DONE]']]);
  const texts = [];
  for await (const text of streamText({ ...settings, prompt: mock.prompt }).textStream) {
    texts.push(text);
    if (text === 'one') await mock.open('next');
  }
  assert.deepEqual(texts, ['one', 'two']);
});

test('ai: without a stream there is one answer with usage', async () => {
  const mock = await script(reply());
  const result = await generateText({ ...settings, prompt: mock.prompt });
  assert.equal(result.text, answer);
  assert.equal(result.finishReason, 'stop');
  assert.equal(result.usage.totalTokens, usage.total);
});

test('ai: tool calls come through a stream, are run here, and their results go back', async () => {
  const mock = await script(reply({ tool_calls: weatherCalls }), reply());
  const result = streamText({ ...settings, prompt: mock.prompt, tools: { weather }, stopWhen: stepCountIs(2) });
  assert.equal((await textDeltas(result.fullStream)).join(''), answer);
  const [first] = await result.steps;
  assert.deepEqual(first.toolCalls.map(({ toolCallId, input }) => [toolCallId, input.city]),
    [['call_1', 'Kigali'], ['call_2', 'Huye']]);
  const [, sent] = await mock.requests();
  assert.deepEqual(sent.messages.map(({ role }) => role), ['user', 'assistant', 'tool', 'tool']);
});

test('ai: tool calls come without a stream, are run here, and their results go back', async () => {
  const mock = await script(reply({ tool_calls: weatherCalls }), reply());
  const result = await generateText({ ...settings, prompt: mock.prompt, tools: { weather }, stopWhen: stepCountIs(2) });
  assert.equal(result.text, answer);
  assert.deepEqual(result.steps[0].toolCalls.map(({ input }) => input.city), ['Kigali', 'Huye']);
  const [sent] = await mock.requests();
  assert.equal(sent.tools[0].function.name, 'weather');
});

test('ai: abort in the middle of a stream cancels upstream', async () => {
  const mock = await script([sseHead, say('one'), ['hang']]);
  const controller = new AbortController();
  const result = streamText({ ...settings, prompt: mock.prompt, abortSignal: controller.signal, onError: ignoreError });
  const kinds = [];
  for await (const part of result.fullStream) {
    kinds.push(part.type);
    if (part.type === 'text-delta') controller.abort();
  }
  assert.ok(kinds.includes('abort'), kinds.join());
  await assertCancelled(mock);
});

test('ai: abort without a stream cancels upstream', async () => {
  const mock = await script([['hang']]);
  const controller = new AbortController();
  const asked = assert.rejects(generateText({ ...settings, prompt: mock.prompt, abortSignal: controller.signal }),
    { name: 'AbortError' });
  await mock.wait('received');
  controller.abort();
  await asked;
  await assertCancelled(mock);
});

test('ai: an error before the stream surfaces with status and request id', async () => {
  const mock = await script(status(500, 'boom'));
  const errors = [];
  for await (const part of streamText({ ...settings, prompt: mock.prompt, onError: ignoreError }).fullStream) {
    if (part.type === 'error') errors.push(part.error);
  }
  assert.equal(errors.length, 1);
  assert.ok(APICallError.isInstance(errors[0]), String(errors[0]));
  assert.equal(errors[0].statusCode, 502);
  const { error } = JSON.parse(errors[0].responseBody);
  assert.equal(error.request_id, errors[0].responseHeaders['x-request-id']);
});

test('ai: an unknown model surfaces with status and request id', async () => {
  await assert.rejects(generateText({ ...settings, model: bakame('no-such-model'), prompt: 'Hello' }), (error) => {
    assert.ok(APICallError.isInstance(error), String(error));
    assert.equal(error.statusCode, 422);
    assert.match(error.message, /no-such-model/);
    assert.equal(JSON.parse(error.responseBody).error.request_id, error.responseHeaders['x-request-id']);
    return true;
  });
});

test('ai: a model that fails in the stream surfaces as an error part', async () => {
  const mock = await script([sseHead, say('one'), ['fin']]);
  const parts = [];
  for await (const part of streamText({ ...settings, prompt: mock.prompt, onError: ignoreError }).fullStream) {
    parts.push(part);
  }
  assert.equal(parts.filter(({ type }) => type === 'text-delta').map(({ text }) => text).join(''), 'one');
  assert.equal(parts.filter(({ type }) => type === 'error').length, 1);
});
