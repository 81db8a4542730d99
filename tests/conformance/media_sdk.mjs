// Pictures and films of Jimeng's through OpenAI's official Node SDK, unchanged but for base URL and key.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import OpenAI, { toFile } from "openai";
import { TIMEOUT, apiKey, baseURL, callsOf, newMarker, sandbox, until } from "./sandbox.mjs";

const timeout = TIMEOUT;
const client = new OpenAI({ baseURL, apiKey, timeout });
const PNG = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

before(() => until(async () => (await fetch(new URL("/ready", sandbox.url))).ok, "the relay is ready"));

/** An order for a film, and the marker by which the imitation of the upstream recognises it. */
function ordered(fields) {
  const marker = newMarker();
  return [{ model: "t2v-720", prompt: `waves, ${marker}`, seconds: "4", size: "1280x720", ...fields }, marker];
}

/** The film when it is made or has failed. */
async function finished(film) {
  const deadline = Date.now() + TIMEOUT;
  while (!["completed", "failed"].includes(film.status)) {
    assert.ok(Date.now() < deadline, `${film.id} is ${film.status} after ${TIMEOUT} ms`);
    await pause(200);
    film = await client.videos.retrieve(film.id);
  }
  return film;
}

test("two pictures are two submits and come as links", { timeout }, async () => {
  const marker = newMarker();

  const answer = await client.images.generate({
    model: "jimeng_t2i_v40",
    prompt: `a lighthouse at dusk, ${marker}`,
    n: 2,
    size: "1024x1024",
  });

  assert.equal(answer.data.length, 2);
  for (const { url } of answer.data) {
    const picture = Buffer.from(await (await fetch(url)).arrayBuffer());
    assert.deepEqual(picture.subarray(0, PNG.length), PNG);
  }
  assert.equal(await callsOf(marker), 2);
});

test("a picture comes in base64 if asked for", { timeout }, async () => {
  const answer = await client.images.generate({
    model: "jimeng_t2i_v40",
    prompt: "a lighthouse at dusk",
    n: 1,
    size: "1024x1024",
    response_format: "b64_json",
  });

  assert.deepEqual(Buffer.from(answer.data[0].b64_json, "base64").subarray(0, PNG.length), PNG);
});

test("a film is created, polled and downloaded", { timeout: 2 * timeout }, async () => {
  const [order, marker] = ordered();

  const made = await finished(await client.videos.create(order));

  assert.equal(made.status, "completed", JSON.stringify(made.error));
  assert.deepEqual([made.object, made.model, made.seconds, made.size], ["video", "t2v-720", "4", "1280x720"]);
  const content = await client.videos.downloadContent(made.id);
  assert.equal(content.headers.get("content-type"), "video/mp4");
  const film = Buffer.from(await content.arrayBuffer());
  assert.equal(film.subarray(4, 8).toString(), "ftyp");
  assert.equal(await callsOf(marker), 1);
});

test("a film begins from a reference picture", { timeout: 2 * timeout }, async () => {
  const { data } = await client.images.generate({
    model: "jimeng_t2i_v40",
    prompt: "the first frame",
    n: 1,
    size: "1024x1024",
    response_format: "b64_json",
  });
  const picture = Buffer.from(data[0].b64_json, "base64");
  const [order, marker] = ordered({
    model: "i2v-first-720",
    input_reference: await toFile(picture, "first.png", { type: "image/png" }),
  });

  assert.equal((await finished(await client.videos.create(order))).status, "completed");
  assert.equal(await callsOf(marker), 1);
});

test("a length that is not in the table is a bad request and not sent", { timeout }, async () => {
  const [order, marker] = ordered({ seconds: "7" });

  await assert.rejects(client.videos.create(order), OpenAI.BadRequestError);

  assert.equal(await callsOf(marker), 0);
});

test("a task that fails is a failed film with an error", { timeout: 2 * timeout }, async () => {
  const [order] = ordered();

  const failed = await finished(await client.videos.create({ ...order, prompt: `${order.prompt} fail-50511` }));

  assert.equal(failed.status, "failed");
  assert.ok(failed.error.code && failed.error.message, JSON.stringify(failed.error));
});

test("a film that was deleted is gone", { timeout: 2 * timeout }, async () => {
  const [order] = ordered();
  const made = await finished(await client.videos.create(order));

  assert.equal((await client.videos.delete(made.id)).deleted, true);

  await assert.rejects(client.videos.retrieve(made.id), OpenAI.NotFoundError);
});
