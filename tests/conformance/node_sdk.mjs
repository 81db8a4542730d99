// Volcengine's official Node SDK, unchanged but for its host, against `tollgate sandbox`.
//
// Its signer covers neither the Host header nor the content type, which jimeng-relay refused.
// `tests/conformance/run` starts the sandbox and passes its one line of JSON in TOLLGATE_SANDBOX.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import openapi from "@volcengine/openapi";

const sandbox = JSON.parse(process.env.TOLLGATE_SANDBOX);
const TIMEOUT = 30_000;

/** The actions of the SDK as its README sets them up, with another host. */
function client(secretKey = sandbox.secret_key) {
  const { protocol, host } = new URL(sandbox.url);
  const service = new openapi.Service({
    serviceName: "cv",
    defaultVersion: "2022-08-31",
    region: "cn-north-1",
    protocol,
    host,
    accessKeyId: sandbox.access_key,
    secretKey,
  });
  const action = (name) => service.createAPI(name, { method: "POST", contentType: "json" });
  return {
    submit: action("CVSync2AsyncSubmitTask"),
    result: action("CVSync2AsyncGetResult"),
    process: action("CVProcess"),
  };
}

/** A body, and the marker by which the imitation of the upstream recognises it. */
function marked() {
  const marker = `marker-${randomUUID().replaceAll("-", "")}`;
  return [{ req_key: "jimeng_t2i_v40", prompt: `a cat, ${marker}` }, marker];
}

/** How often a submit with this marker reached the imitation of the upstream. */
async function submitsOf(marker) {
  const seen = await fetch(new URL("/__seen", sandbox.upstream_url));
  return (await seen.json()).markers[marker]?.count ?? 0;
}

test("a task is submitted once and fetched until it is done", { timeout: TIMEOUT }, async () => {
  const [body, marker] = marked();

  const submitted = await client().submit(body);

  assert.equal(submitted.code, 10000, JSON.stringify(submitted));
  const task = { req_key: body.req_key, task_id: submitted.data.task_id };
  let result = await client().result(task);
  while (result.data?.status !== "done") {
    assert.equal(result.code, 10000, JSON.stringify(result));
    await pause(100);
    result = await client().result(task);
  }
  assert.equal(Buffer.from(result.data.binary_data_base64[0], "base64").subarray(1, 4).toString(), "PNG");
  assert.equal(await submitsOf(marker), 1);
});

test("a synchronous call answers at once", { timeout: TIMEOUT }, async () => {
  const [body, marker] = marked();

  const answer = await client().process(body);

  assert.equal(answer.code, 10000, JSON.stringify(answer));
  assert.equal(await submitsOf(marker), 1);
});

test("a wrong secret is answered with our envelope and nothing is sent", { timeout: TIMEOUT }, async () => {
  const [body, marker] = marked();

  const refused = await client(`sk_${"a".repeat(32)}`).submit(body);

  assert.equal(refused.error.code, "INVALID_SIGNATURE", JSON.stringify(refused));
  assert.equal(refused.code, 50400);
  assert.match(refused.request_id, /^req_/);
  assert.equal(await submitsOf(marker), 0);
});
