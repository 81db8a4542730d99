// OpenAI's official Node SDK, unchanged but for base URL and key, against `tollgate sandbox`.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import OpenAI from "openai";
import { MODEL, TIMEOUT, apiKey, baseURL, direct, newMarker, callsOf, sandbox, seen, until, upstream } from "./sandbox.mjs";

const timeout = TIMEOUT;
const client = new OpenAI({ baseURL, apiKey, timeout });
const hello = { model: MODEL, messages: [{ role: "user", content: "Hello" }] };
const weather = {
  type: "function",
  function: {
    name: "weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

before(() => until(async () => direct || (await fetch(new URL("/ready", sandbox.url))).ok, "the relay is ready"));

test("an answer has text and usage", { timeout }, async () => {
  const answer = await client.chat.completions.create(hello);

  assert.match(answer.choices[0].message.content, /sandbox/);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream brings each frame when it is made", { timeout }, async () => {
  const arrivals = [];
  await upstream({ then: { kind: "pace", words: 5, interval_ms: 200 } }, async () => {
    for await (const chunk of await client.chat.completions.create({ ...hello, stream: true })) {
      assert.equal(chunk.choices.length, 1);
      arrivals.push(performance.now());
    }
  });

  assert.equal(arrivals.length, 7);
  const gaps = arrivals.slice(1).map((arrival, index) => arrival - arrivals[index]);
  assert.ok(Math.min(...gaps) > 50, `frames were held and merged: ${gaps}`);
});

test("Chinese survives frames that part its letters", { timeout }, async () => {
  const messages = [{ role: "user", content: "你好" }];
  const whole = await client.chat.completions.create({ ...hello, messages });

  const stream = await client.chat.completions.create({
    ...hello,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }

  assert.equal(text, whole.choices[0].message.content);
  assert.match(text, /沙盒/);
  assert.deepEqual(usage, whole.usage);
});

test("a tool is called, at once and as a stream", { timeout }, async () => {
  const request = { ...hello, tools: [weather] };

  const whole = await client.chat.completions.create(request);
  const streamed = await client.chat.completions.stream(request).finalChatCompletion();

  for (const answer of [whole, streamed]) {
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), { city: "sandbox" });
  }
  assert.equal(whole.choices[0].message.content, null);
});

test("embeddings are the same by default in base64 and as floats", { timeout }, async () => {
  const request = { model: "text-embedding-3-small", input: ["one", "two"] };

  const encoded = await client.embeddings.create(request);
  const floats = await client.embeddings.create({ ...request, encoding_format: "float" });

  assert.equal(encoded.data.length, 2);
  encoded.data[1].embedding.forEach((number, index) => {
    assert.ok(Math.abs(number - floats.data[1].embedding[index]) < 1e-6);
  });
});

test("models are listed and found", { timeout }, async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);

  assert.ok(ids.includes(MODEL), ids.join());
  for (const id of ids) assert.equal((await client.models.retrieve(id)).id, id);
  await assert.rejects(client.models.retrieve("nobody/has-this"), OpenAI.NotFoundError);
});

test("errors have their types", { timeout }, async () => {
  const stranger = new OpenAI({ baseURL, apiKey: `sk_${"a".repeat(32)}`, timeout });
  const forbidden = { ...hello, messages: [{ role: "user", content: "something forbidden" }] };

  await assert.rejects(stranger.chat.completions.create(hello), OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create(forbidden), OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create({ ...hello, model: "missing-model" }), OpenAI.NotFoundError);
});

test("a stream that is left is closed upstream", { timeout }, async () => {
  const closed = async () => (await seen()).streams.closed_by_caller;
  const before = await closed();

  await upstream({ then: { kind: "pace", words: 1000, interval_ms: 100 } }, async () => {
    for await (const _ of await client.chat.completions.create({ ...hello, stream: true })) break;
  });

  await until(async () => (await closed()) === before + 1, "the stream is closed upstream");
});

const relayed = { timeout, skip: direct && "only the relay does this" };

test("a named call that the SDK gives up on is paid once and answered by its repetition", relayed, async () => {
  const marker = newMarker();
  const messages = [{ role: "user", content: marker }];

  const answer = await upstream({ delay_ms: 2500 }, () =>
    client.chat.completions.create(
      { ...hello, messages },
      { timeout: 1500, headers: { "Idempotency-Key": marker } },
    ),
  );

  assert.match(answer.choices[0].message.content, /sandbox/);
  assert.equal(await callsOf(marker), 1);
});
