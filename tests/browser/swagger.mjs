// Swagger UI of `tollgate sandbox`, used as a person would: authorise once, then *Try it out* with what is prefilled.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ask, heal, launch, misbehave, open, sandbox } from "./browser.mjs";

let browser;
let docs;
let page;

/** The group of every operation, by the document. */
const groups = new Map();

/** The operations that were tried, and the group that is unfolded. */
const tried = new Set();
let unfolded;

before(async () => {
  browser = await launch();
  docs = await open(browser);
  page = docs.page;
  const { paths } = await (await fetch(new URL("/openapi.json", sandbox.url))).json();
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    groups.set(operation.operationId, operation.tags[0]);
  }
});

after(async () => {
  await heal();
  await browser?.close();
});

/** Unfolds a group and folds the one before: Swagger UI draws everything anew at every step, and so draws little. */
async function unfold(group) {
  if (group === unfolded) return;
  for (const one of [unfolded, group]) {
    if (one) await page.locator(`h3[data-tag="${one}"] .expand-operation`).click();
  }
  unfolded = group;
}

/** The block of an operation, opened. */
async function opened(operation) {
  await unfold(groups.get(operation));
  const block = page.locator(`.opblock[id$="-${operation}"]`);
  await block.locator(".opblock-summary-control").click();
  return block;
}

/**
 * Executes an operation with what is prefilled, the parameters and the body where they are given: its status and its answer.
 */
async function tryOut(operation, { body, ...parameters } = {}) {
  const block = await opened(operation);
  const button = block.locator(".try-out__btn", { hasText: "Try it out" });
  if (await button.count()) await button.click();
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(String(value));
  }
  if (body !== undefined) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.locator(".execute").click();
  const answer = block.locator(".live-responses-table");
  await answer.waitFor();
  await answer.scrollIntoViewIfNeeded();
  const status = Number((await answer.locator(".response .response-col_status").first().innerText()).match(/\d+/)[0]);
  const code = answer.locator(".highlight-code code, pre code").first();
  const text = (await code.count()) ? await code.innerText() : "";
  tried.add(operation);
  await block.locator(".opblock-summary-control").click();
  return { status, text };
}

/** Asks for something until it is as wished. */
async function until(path, wished) {
  for (let asked = 0; asked < 120; asked += 1) {
    const { body } = await ask(path);
    if (wished(body)) return;
    await pause(250);
  }
  assert.fail(`${path} has not become what was waited for`);
}

test("the page opens with a title, a language and every group", async () => {
  const response = await page.goto(sandbox.docs_url);

  await page.locator(".opblock").first().waitFor();
  await docs.picture("docs", false);
  assert.equal(await page.title(), "Tollgate API");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.match(response.headers()["content-security-policy"], /default-src 'none'/);
  const heads = page.locator(".opblock-tag-section h3");
  const shown = await heads.evaluateAll((all) => all.map((one) => one.dataset.tag));
  await heads.evaluateAll((all) => all.forEach((one) => one.querySelector(".expand-operation").click()));
  assert.deepEqual(shown, [
    "OpenAI",
    "Models",
    "Volcengine",
    "Vision",
    "Videos",
    "Jobs",
    "Me",
    "Keys",
    "Upstreams",
    "Accounts",
    "Usage",
    "Audit",
    "Queues",
    "Operator",
    "Probes",
  ]);
});

test("it names the version that runs, and whom to turn to", async () => {
  const { body: info } = await ask("/admin/info");
  assert.equal((await page.locator(".info .version").first().innerText()).trim(), info.version);
  const contact = page.locator(".info__contact a");
  assert.match(await contact.innerText(), /^Tollgate/);
  assert.match(await contact.getAttribute("href"), /^https:/);
  assert.equal(await page.locator(".info__license").innerText(), "MIT");
});

test("the admin key authorises every call that follows", async () => {
  await page.locator(".auth-wrapper .authorize").click();
  const dialogue = page.locator(".dialog-ux");
  const bearer = dialogue.locator(".auth-container", { hasText: "Bearer (http, Bearer)" });
  await bearer.locator("input").fill(sandbox.admin_key);
  await docs.picture("swagger-authorise", false);
  await bearer.locator(".btn.authorize").click();
  await bearer.getByText("Logout").waitFor();
  await dialogue.locator(".close-modal").click();
});

let task;

test("Try it out submits a task as it is prefilled", async () => {
  const { status, text } = await tryOut("volcengine_submit");

  assert.equal(status, 200, text);
  task = JSON.parse(text).data.task_id;
  assert.match(task, /^\d+$/);
});

test("Try it out fetches that task", async () => {
  const { status, text } = await tryOut("volcengine_getResult", { body: { req_key: "jimeng_t2i_v40", task_id: task } });

  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).code, 10000);
});

for (const [operation, expected] of [
  ["openai_createChatCompletion", 200],
  ["openai_createCompletion", 200],
  ["openai_createEmbedding", 200],
  ["openai_createResponse", 200],
  ["openai_createImage", 200],
  ["models_list", 200],
  ["vision_analyzeImage", 200],
  ["vision_extractText", 200],
  ["vision_analyzeMath", 200],
  ["vision_getHealth", 200],
  ["upstreams_list", 200],
  ["models_listRegistered", 200],
  ["accounts_resetFailed", 200],
  ["volcengine_call", 200],
  ["videos_list", 200],
  ["jobs_create", 202],
  ["jobs_list", 200],
  ["me_listTasks", 200],
  ["me_getKey", 200],
  ["me_getUsage", 200],
  ["keys_create", 201],
  ["keys_list", 200],
  ["keys_importRows", 200],
  ["operator_listTasks", 200],
  ["usage_get", 200],
  ["audit_list", 200],
  ["audit_verify", 200],
  ["audit_getCheckpoint", 200],
  ["queues_list", 200],
  ["operator_listJobs", 200],
  ["operator_getInfo", 200],
  ["operator_createBackup", 200],
  ["operator_downloadBackup", 200],
  ["operator_rekey", 200],
  ["operator_getRekey", 200],
  ["probes_getHealth", 200],
  ["probes_getReadiness", 200],
  ["probes_getMetrics", 200],
]) {
  test(`Try it out on ${operation} answers ${expected} as it is prefilled`, async () => {
    const { status, text } = await tryOut(operation);

    assert.equal(status, expected, text);
  });
}

test("Try it out follows a job from its submission to its end", async () => {
  const chat = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }] };
  const body = { delay: 600, items: [{ operation: "chat.completions", body: chat }] };
  const submitted = await tryOut("jobs_create", { body });
  const { id } = JSON.parse(submitted.text);
  for (const [operation, expected] of [
    ["jobs_get", 200],
    ["jobs_listItems", 200],
    ["jobs_log", 202],
    ["jobs_listLogs", 200],
    ["jobs_summarizeLogs", 200],
    ["operator_getJob", 200],
    ["operator_listJobItems", 200],
    ["operator_holdJob", 200],
    ["operator_releaseJob", 200],
    ["jobs_cancel", 200],
    // Its last event comes with the end of the stream.
    ["jobs_follow", 200],
    ["operator_followJob", 200],
  ]) {
    const { status, text } = await tryOut(operation, { id });
    assert.equal(status, expected, `${operation}: ${text}`);
  }
});

test("Try it out tries what failed again, and cancels the job of somebody", async () => {
  const body = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }] };
  await misbehave({ on: "/v1/chat/completions", times: null, then: { kind: "answer", status: 400 } });
  const { body: failing } = await ask("/v1/jobs", { body: { items: [{ operation: "chat.completions", body }] } });
  for (const operation of ["jobs_retry", "operator_retryJob"]) {
    await until(`/v1/jobs/${failing.id}`, ({ finished_at: ended }) => ended);
    const { status, text } = await tryOut(operation, { id: failing.id });
    assert.equal(status, 200, `${operation}: ${text}`);
  }
  await heal();
  const { body: waiting } = await ask("/v1/jobs", { body: { delay: 600, items: [{ operation: "chat.completions", body }] } });
  const { status, text } = await tryOut("operator_cancelJob", { id: waiting.id });
  assert.equal(status, 200, text);
});

test("Try it out makes, changes, replaces and revokes a key", async () => {
  const { id } = JSON.parse((await tryOut("keys_create")).text);
  for (const [operation, expected] of [
    ["keys_get", 200],
    ["keys_update", 200],
    ["keys_rotate", 201],
    ["keys_revoke", 200],
  ]) {
    const { status, text } = await tryOut(operation, { id });
    assert.equal(status, expected, `${operation}: ${text}`);
  }
});

test("Try it out adds an upstream with an account and a model, uses their switches, and removes them", async () => {
  const upstream = { id: "vllm", base_url: "http://127.0.0.1:9/v1" };
  const added = await tryOut("upstreams_add", { body: upstream });
  assert.equal(added.status, 201, added.text);
  const { id: account } = JSON.parse((await tryOut("accounts_add", { id: "vllm" })).text);
  for (const [operation, parameters] of [
    ["accounts_addMany", { id: "vllm" }],
    ["accounts_list", { id: "vllm" }],
    ["accounts_disable", { id: "vllm", account }],
    ["accounts_enable", { id: "vllm", account }],
    ["accounts_reset", { id: "vllm", account }],
    ["models_register", { id: "swift", body: { targets: [{ upstream: "vllm", model: "qwen3" }] } }],
    ["models_getRegistered", { id: "swift" }],
    ["models_get", { id: "gpt-4o-mini" }],
    ["models_getInfo", { id: "gpt-4o-mini" }],
    ["models_unregister", { id: "swift" }],
    ["accounts_remove", { id: "vllm", account }],
    ["upstreams_remove", { id: "vllm" }],
  ]) {
    const { status, text } = await tryOut(operation, parameters);
    assert.equal(status, 200, `${operation}: ${text}`);
  }
});

test("Try it out pauses, drains and resumes a queue, and looks for its dead letters", async () => {
  for (const [operation, parameters] of [
    ["queues_get", { name: "default" }],
    ["queues_pause", { name: "default" }],
    ["queues_drain", { name: "default" }],
    ["queues_resume", { name: "default" }],
    ["queues_listDeadLetters", { queue: "default" }],
    ["queues_retryDeadLetters", {}],
    ["queues_dropDeadLetters", {}],
  ]) {
    const { status, text } = await tryOut(operation, parameters);
    assert.equal(status, 200, `${operation}: ${text}`);
  }
});

test("Try it out makes a film, asks for it, fetches and removes it", async () => {
  const { status, text } = await tryOut("videos_create");
  assert.equal(status, 200, text);
  const { id } = JSON.parse(text);
  assert.equal((await tryOut("videos_get", { id })).status, 200);
  await until(`/v1/videos/${id}`, ({ status }) => status === "completed");
  assert.equal((await tryOut("videos_download", { id })).status, 200);
  assert.equal((await tryOut("videos_remove", { id })).status, 200);
});

test("Try it out exports the log book", async () => {
  const { status } = await tryOut("audit_exportEntries");
  assert.equal(status, 200);
});

test("Try it out resolves an unknown outcome", async () => {
  await misbehave({ on: "CVSync2AsyncSubmitTask", times: 1, then: { kind: "reset" } });
  await ask("/v1/submit", { key: sandbox.secret_key, body: { req_key: "jimeng_t2i_v40", prompt: "a lighthouse" } });
  const { body: settled } = await ask("/admin/audit?event=settlement");
  const { intent } = settled.items.find(({ outcome }) => outcome === "unknown");
  const { status, text } = await tryOut("audit_resolve", { id: intent });
  assert.equal(status, 200, text);
});

test("Try it out asks for the checkpoint of a day, and is told that nothing was written on it", async () => {
  const { status, text } = await tryOut("audit_getDayCheckpoint", { day: "2026-01-01" });
  assert.equal(status, 404, text);
  assert.match(text, /no entry of 2026-01-01/);
  assert.match(docs.complaints.pop(), /status of 404/);
});

test("Try it out reads the key file again", async () => {
  // Where `tollgate sandbox` has the relay look for it.
  const file = sandbox.database.replace(/\.redb$/, ".keys.txt");
  for (const [keys, accounts] of [["sk-of-a-file\n", 1], ["\n", 0]]) {
    await writeFile(file, keys);
    const { status, text } = await tryOut("accounts_reload");
    assert.equal(status, 200, text);
    assert.equal(JSON.parse(text).accounts, accounts);
  }
});

test("every operation was tried", () => {
  assert.deepEqual([...groups.keys()].filter((operation) => !tried.has(operation)), []);
});

test("nothing was asked of anybody else, and the browser had nothing to complain of", () => {
  assert.deepEqual(docs.strangers, []);
  assert.deepEqual(docs.complaints, []);
});
