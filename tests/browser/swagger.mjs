// Swagger UI of `tollgate sandbox`, used as a person would: authorise once, then *Try it out* with what is prefilled.
//
// `tests/browser/run` starts the sandbox and passes its one line of JSON in TOLLGATE_SANDBOX, the browser's path in
// CHROMIUM and a folder for pictures in PICTURES.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const sandbox = JSON.parse(process.env.TOLLGATE_SANDBOX);
const { origin } = new URL(sandbox.url);

/** Milliseconds for one step on a busy machine. */
const PATIENCE = 10_000;

let browser;
let page;

/** Requests that left this relay, and what the browser complained of. Both stay empty. */
const strangers = [];
const complaints = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  page.setDefaultTimeout(PATIENCE);
  page.on("request", (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && to !== origin) strangers.push(request.url());
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
});

after(async () => {
  await browser?.close();
});

function picture(name) {
  return page.screenshot({ path: `${process.env.PICTURES}/${name}.png` });
}

/** The block of an operation, opened. */
async function opened(operation) {
  const block = page.locator(`.opblock[id$="-${operation}"]`);
  await block.locator(".opblock-summary-control").click();
  return block;
}

/** Executes an operation with what is prefilled, and the body if one is given: its status and its answer. */
async function tryOut(operation, body) {
  const block = await opened(operation);
  const button = block.locator(".try-out__btn", { hasText: "Try it out" });
  if (await button.count()) await button.click();
  if (body !== undefined) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.locator(".execute").click();
  const answer = block.locator(".live-responses-table");
  await answer.waitFor();
  await answer.scrollIntoViewIfNeeded();
  await picture(operation);
  const status = Number((await answer.locator(".response .response-col_status").first().innerText()).match(/\d+/)[0]);
  const text = await answer.locator(".highlight-code code, pre code").first().innerText();
  await block.locator(".opblock-summary-control").click();
  return { status, text };
}

test("the page opens with a title, a language and every group", async () => {
  const response = await page.goto(sandbox.docs_url);

  await page.locator(".opblock").first().waitFor();
  await picture("docs");
  assert.equal(await page.title(), "Tollgate API");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.match(response.headers()["content-security-policy"], /default-src 'none'/);
  const groups = await page.locator(".opblock-tag-section h3").evaluateAll((all) => all.map((one) => one.dataset.tag));
  assert.deepEqual(groups, [
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
    "Audit",
    "Queues",
    "Operator",
    "Probes",
  ]);
});

test("the admin key authorises every call that follows", async () => {
  await page.locator(".auth-wrapper .authorize").click();
  const dialogue = page.locator(".dialog-ux");
  const bearer = dialogue.locator(".auth-container", { hasText: "Bearer (http, Bearer)" });
  await bearer.locator("input").fill(sandbox.admin_key);
  await picture("authorise");
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
  const { status, text } = await tryOut("volcengine_getResult", { req_key: "jimeng_t2i_v40", task_id: task });

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
  ["keys_create", 201],
  ["keys_list", 200],
  ["operator_listTasks", 200],
  ["audit_list", 200],
  ["audit_verify", 200],
  ["queues_list", 200],
  ["operator_listJobs", 200],
  ["operator_getInfo", 200],
  ["probes_getHealth", 200],
  ["probes_getReadiness", 200],
  ["probes_getMetrics", 200],
]) {
  test(`Try it out on ${operation} answers ${expected} as it is prefilled`, async () => {
    const { status, text } = await tryOut(operation);

    assert.equal(status, expected, text);
  });
}

test("nothing was asked of anybody else, and the browser had nothing to complain of", () => {
  assert.deepEqual(strangers, []);
  assert.deepEqual(complaints, []);
});
