// Vercel's AI SDK with its provider for OpenAI-compatible APIs, against `tollgate sandbox`.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { MODEL, TIMEOUT, apiKey, baseURL, direct, sandbox, until } from "./sandbox.mjs";

const timeout = TIMEOUT;
const provider = createOpenAICompatible({ name: "tollgate", baseURL, apiKey, includeUsage: true });
const model = provider(MODEL);
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});

before(() => until(async () => direct || (await fetch(new URL("/ready", sandbox.url))).ok, "the relay is ready"));

test("text is generated", { timeout }, async () => {
  const { text, usage, finishReason } = await generateText({ model, prompt: "Hello" });

  assert.match(text, /sandbox/);
  assert.equal(finishReason, "stop");
  assert.ok(usage.outputTokens > 0);
});

test("text is streamed", { timeout }, async () => {
  const { text: whole } = await generateText({ model, prompt: "你好" });

  const stream = streamText({ model, prompt: "你好" });
  const parts = [];
  for await (const part of stream.textStream) parts.push(part);

  assert.ok(parts.length > 3);
  assert.equal(parts.join(""), whole);
  assert.ok((await stream.usage).outputTokens > 0);
});

test("a tool is called and its result is heard", { timeout }, async () => {
  const { text, steps } = await generateText({
    model,
    prompt: "How is the weather?",
    tools: { weather },
    stopWhen: stepCountIs(3),
  });

  assert.equal(steps.length, 2);
  assert.equal(steps[0].toolResults[0].output, "rain in sandbox");
  assert.match(text, /sandbox/);
});

test("an error keeps its status", { timeout }, async () => {
  await assert.rejects(
    generateText({ model: provider("missing-model"), prompt: "Hello" }),
    (error) => APICallError.isInstance(error) && error.statusCode === 404,
  );
});
