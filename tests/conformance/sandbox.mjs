// What every Node client of the conformance tests needs: where the relay is, a key, and what the upstream saw.
//
// `tests/conformance/run` starts `tollgate sandbox` and passes its one line of JSON in TOLLGATE_SANDBOX. With
// TOLLGATE_DIRECT=1 the clients talk to the imitation of the upstream itself, which shows that it is a fair one.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

export const sandbox = JSON.parse(process.env.TOLLGATE_SANDBOX);
export const TIMEOUT = 30_000;
export const MODEL = "gpt-4o-mini";
export const direct = process.env.TOLLGATE_DIRECT === "1";
export const baseURL = new URL("/v1", direct ? sandbox.upstream_url : sandbox.url).href;
export const apiKey = direct ? "sk-sandbox-of-no-value-1" : sandbox.secret_key;

/** A word by which the imitation of the upstream recognises a call. */
export function newMarker() {
  return `marker-${randomUUID().replaceAll("-", "")}`;
}

/** What reached the imitation of the upstream. */
export async function seen() {
  return (await fetch(new URL("/__seen", sandbox.upstream_url))).json();
}

/** How often a call with this marker reached the imitation of the upstream. */
export async function callsOf(marker) {
  return (await seen()).markers[marker]?.count ?? 0;
}

/** Asks again and again, because the other side takes its time. */
export async function until(happened, what) {
  const deadline = Date.now() + TIMEOUT;
  while (!(await happened())) {
    assert.ok(Date.now() < deadline, `${what}: not within ${TIMEOUT} ms`);
    await pause(50);
  }
}

/** The upstream misbehaves in the way of `rule`, as in `POST /__faults`, while `during` runs. */
export async function upstream(rule, during) {
  const faults = new URL("/__faults", sandbox.upstream_url);
  const ordered = await fetch(faults, { method: "POST", body: JSON.stringify({ times: null, ...rule }) });
  assert.equal(ordered.status, 200);
  try {
    return await during();
  } finally {
    await fetch(faults, { method: "DELETE" });
  }
}
