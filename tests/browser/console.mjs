// The console of `tollgate sandbox`, used as an operator would: by clicking, typing and looking.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, heal, launch, misbehave, open, sandbox } from "./browser.mjs";

const CHAT = { operation: "chat.completions", body: { model: "gpt-4o-mini", messages: [{ role: "user", content: "A lesson" }] } };
const SUBMIT = { operation: "CVSync2AsyncSubmitTask", body: { req_key: "jimeng_t2i_v40", prompt: "a lighthouse" } };

let browser;
let screen;
let page;

before(async () => {
  browser = await launch();
  screen = await open(browser);
  page = screen.page;
  // A past to look at: calls, a key with limits, a job that has ended.
  await ask("/admin/keys", { body: { description: "photo studio", scopes: ["relay"], limits: { requests_per_minute: 60 } } });
  for (let call = 0; call < 3; call += 1) await ask("/v1/chat/completions", { key: sandbox.secret_key, body: CHAT.body });
  await submitted({ items: [CHAT, CHAT] });
});

after(async () => {
  await heal();
  await browser?.close();
});

async function submitted(job) {
  const { status, body } = await ask("/v1/jobs", { key: sandbox.secret_key, body: job });
  assert.equal(status, 202, JSON.stringify(body));
  return body.id;
}

async function signIn(on, key = sandbox.admin_key) {
  await on.goto(sandbox.console_url);
  await on.getByLabel("Admin key").fill(key);
  await on.getByRole("button", { name: "Sign in" }).click();
}

async function view(name) {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** The row of a table, or its card, that holds a text. */
const row = (text) => page.getByRole("row").filter({ hasText: text });
const dialog = () => page.getByRole("dialog");
const said = (text) => page.locator(".toast", { hasText: text }).waitFor();
const button = (name) => page.getByRole("button", { name, exact: true });

/** What the browser says of an answer that is no success: it cannot be kept from it. */
async function expecting(status, work) {
  const from = screen.complaints.length;
  await work();
  const noise = screen.complaints.splice(from);
  assert.ok(noise.every((text) => text.includes(`status of ${status}`)), noise.join("\n"));
}

test("a key that is none, or may not administer, is told so", async () => {
  await expecting(401, async () => {
    await signIn(page, "sk_nonsense");
    await page.getByRole("alert").getByText("No such key").waitFor();
  });
  await screen.picture("console-refused", false);
  await expecting(403, async () => {
    await page.getByLabel("Admin key").fill(sandbox.secret_key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("no admin scope").waitFor();
  });
});

test("the overview tells how the relay stands", async () => {
  await signIn(page);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.locator(".tile", { hasText: "Status" }).getByText("Ready").waitFor();
  await page.locator(".tile", { hasText: "Accounts in use" }).getByText("of 4").waitFor();
  await page.getByText("Nothing needs you").waitFor();
});

test("the key is in memory only", async () => {
  const kept = await page.evaluate(async () => ({
    local: localStorage.length,
    session: sessionStorage.length,
    cookies: document.cookie,
    databases: (await indexedDB.databases()).length,
    caches: (await caches.keys()).length,
    address: location.href,
    fields: [...document.querySelectorAll("input")].map((input) => input.value).join(""),
  }));
  const address = `${sandbox.console_url}`;
  assert.deepEqual(kept, { local: 0, session: 0, cookies: "", databases: 0, caches: 0, address, fields: "" });
  await page.reload();
  assert.ok(await page.getByLabel("Admin key").isVisible());
  await signIn(page);
});

test("a queue is paused, resumed and drained, and changes made elsewhere show by themselves", async () => {
  await view("Queues");
  await button("Pause default").click();
  await said("default is paused.");
  await row("default").getByText("paused").waitFor();
  await button("Resume default").click();
  await row("default").getByText("open").waitFor();
  await button("Drain media").click();
  await dialog().getByRole("button", { name: "Drain", exact: true }).click();
  await row("media").getByText("draining").waitFor();
  await ask("/admin/queues/media/resume", { method: "POST", body: {} });
  await row("media").getByText("open").waitFor();
});

test("who waits is there as long as they wait, at their own gate or an account's", async () => {
  await page.getByText("All quiet").waitFor();
  await misbehave({ on: "CVSync2AsyncSubmitTask", delay_ms: 6000, times: null });
  const { body: other } = await ask("/admin/keys", { body: { description: "film studio" } });
  const submit = (key) => () => ask("/v1/submit", { key, body: SUBMIT.body });
  const calls = Array.from({ length: 7 }, submit(sandbox.secret_key));
  await row("sandbox client").getByText("3 of 100").waitFor();
  calls.push(...Array.from({ length: 2 }, submit(other.secret_key)));
  await row("volcengine").getByText("2 waiting").waitFor();
  await row("film studio").getByText("2 of 4").waitFor();
  await screen.picture("console-waiters");
  await heal();
  await Promise.all(calls);
  await row("volcengine").getByText("0 of 4").first().waitFor();
  await page.getByText("All quiet").waitFor();
});

test("nothing is asked for by itself while it is paused", async () => {
  await button("Live").click();
  const asked = [];
  const note = (request) => asked.push(request.url());
  // A question that was asked before may still be under way.
  await page.waitForTimeout(500);
  page.on("request", note);
  await page.waitForTimeout(4500);
  page.off("request", note);
  assert.deepEqual(asked, []);
  await button("Paused").click();
});

test("an account is disabled, enabled and reset", async () => {
  await view("Accounts");
  const account = row("acc_").nth(1);
  const disable = account.getByRole("button", { name: /^Disable/ });
  await disable.click();
  await screen.picture("console-disable", false);
  await dialog().getByRole("button", { name: "Cancel" }).click();
  await account.getByText("active").waitFor();
  await disable.click();
  await dialog().getByRole("button", { name: "Disable", exact: true }).click();
  await account.getByText("taken out by a person").waitFor();
  await view("Overview");
  await page.getByRole("listitem").filter({ hasText: "taken out by a person" }).getByRole("link").click();
  await account.getByRole("button", { name: /^Enable/ }).click();
  await account.getByText("active").waitFor();
  await account.getByRole("button", { name: /^Reset/ }).click();
  await said("is forgotten");
});

test("an account that is refused shows why, and all that failed are reset at once", async () => {
  await misbehave({ on: "/v1/chat/completions", times: 1, then: { kind: "answer", status: 401 } });
  await ask("/v1/chat/completions", { key: sandbox.secret_key, body: CHAT.body });
  await heal();
  await page.getByText("the upstream refused its credential").first().waitFor();
  await screen.picture("console-accounts-failed");
  await page.getByRole("button", { name: /^Reset \d failed/ }).click();
  await said("1 account may be used again.");
  await page.getByText("the upstream refused its credential").first().waitFor({ state: "detached" });
});

/** The secret that the dialog shows, copied with its button. */
async function kept() {
  await dialog().getByText("the only time").waitFor();
  const secret = await dialog().getByLabel("Secret key", { exact: true }).inputValue();
  assert.match(secret, /^sk_[a-z2-7]{32}$/);
  await dialog().getByRole("button", { name: "Copy the secret key" }).click();
  await dialog().getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  assert.ok(await dialog().isVisible(), "a key press took the secret away");
  return secret;
}

test("a key is created, its secret shown once, rotated, and revoked", async () => {
  await screen.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await view("Keys");
  await button("Create key…").click();
  await dialog().getByLabel("Description").fill("<b>lesson</b> service");
  await dialog().getByLabel("jobs").check();
  await dialog().getByLabel("Models").fill("gpt-4o-mini, gpt-4o");
  await dialog().getByLabel("Expires").selectOption("In 30 days");
  await dialog().getByText("Limits and a budget").click();
  await dialog().getByLabel("Requests a minute").fill("90");
  await screen.picture("console-create", false);
  await dialog().getByRole("button", { name: "Create key" }).click();
  const secret = await kept();
  await screen.picture("console-secret", false);
  await button("I have kept it").click();
  assert.ok(!(await page.content()).includes(secret), "the secret is still in the page");
  const own = await ask("/v1/key", { key: secret });
  assert.deepEqual(
    [own.body.description, own.body.models, own.body.scopes, own.body.limits.requests_per_minute],
    ["<b>lesson</b> service", ["gpt-4o-mini", "gpt-4o"], ["relay", "jobs"], 90],
  );

  // What somebody has called it is a text, whatever it looks like.
  const made = row("<b>lesson</b> service");
  await made.getByRole("button", { name: /^Rotate/ }).click();
  await dialog().getByLabel("The old key goes on for").selectOption("No time: revoke it at once");
  await dialog().getByRole("button", { name: "Rotate key" }).click();
  const next = await kept();
  await button("I have kept it").click();
  assert.equal((await ask("/v1/key", { key: secret })).body.error.code, "KEY_REVOKED");
  assert.equal((await ask("/v1/key", { key: next })).status, 200);

  await made.getByRole("button", { name: /^Revoke/ }).click();
  await dialog().getByRole("button", { name: "Revoke key" }).click();
  await said("was revoked.");
  await page.getByLabel("Status").selectOption("Revoked");
  assert.equal(await made.count(), 2);
  assert.equal((await ask("/v1/key", { key: next })).body.error.code, "KEY_REVOKED");
  await page.getByLabel("Find a key").fill("nothing is called so");
  await page.getByText("No key is like that").waitFor();
});

test("what a form got wrong is said in it", async () => {
  await button("Create key…").click();
  await dialog().getByLabel("calls").uncheck();
  await expecting(400, async () => {
    await dialog().getByRole("button", { name: "Create key" }).click();
    await dialog().getByRole("alert").waitFor();
  });
  await screen.picture("console-form-refused", false);
  await dialog().getByRole("button", { name: "Cancel" }).click();
});

test("a job shows its items and its events while they happen", async () => {
  await view("Jobs");
  const id = await submitted({ queue: "content_generation", priority: 7, items: [SUBMIT, CHAT, SUBMIT] });
  await page.getByRole("link", { name: id.slice(0, 16) }).click();
  await page.getByRole("log").getByText("Item 1").first().waitFor();
  await page.getByText("polling").first().waitFor();
  await screen.picture("console-job");
  await page.getByText("It has ended").waitFor();
  const events = await page.getByRole("log").getByRole("listitem").evaluateAll((all) => all.map((one) => Number(one.dataset.seq)));
  assert.deepEqual(events, events.map((_, place) => events.length - place), "events came twice, or not at all");
  assert.equal(await page.locator(".table tbody").getByText("succeeded").count(), 3);
  await page.getByLabel("State of items").selectOption("failed");
  await page.getByText("No such item").waitFor();
});

test("a job is held, released and cancelled", async () => {
  const id = await submitted({ delay: 600, items: [CHAT, CHAT] });
  await view("Jobs");
  await page.getByLabel("State").selectOption("queued");
  await page.getByRole("link", { name: id.slice(0, 16) }).click();
  await button("Hold").click();
  await said("until it is released");
  await page.getByRole("log").getByText("held").waitFor();
  await button("Release").click();
  await button("Hold").waitFor();
  await button("Cancel…").click();
  await dialog().getByRole("button", { name: "Cancel job" }).click();
  await said("The job is cancelled.");
  await page.getByText("It has ended").waitFor();
});

test("what failed is tried again", async () => {
  await misbehave({ on: "/v1/chat/completions", times: null, then: { kind: "answer", status: 400 } });
  const id = await submitted({ items: [CHAT] });
  await page.goto(`${sandbox.console_url}#/job/${id}`);
  await page.getByText("It has ended").waitFor();
  await heal();
  await button("Retry failed").click();
  await said("What failed is tried again.");
  await page.locator(".table tbody").getByText("succeeded").waitFor();
});

test("the log book is filtered, searched, read further and opened", async () => {
  await view("Log book");
  await page.getByLabel("Event").selectOption("admin");
  await page.locator(".entry").first().waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll(".entry .pill")].every((pill) => pill.textContent === "admin"));
  await page.getByLabel("Find in what is loaded").fill("key.revoke");
  const entry = page.locator(".entry").first();
  await page.waitForFunction(() => [...document.querySelectorAll(".entry")].every((one) => one.textContent.includes("key.revoke")));
  await entry.locator("summary").click();
  await entry.getByText("digest").waitFor();
  await page.getByLabel("Find in what is loaded").fill("");
  await page.getByLabel("Event").selectOption("Every event");
  const shown = await page.locator(".entry").count();
  await button("Load older entries").click();
  await page.waitForFunction((count) => document.querySelectorAll(".entry").length > count, shown);
  // What was refused does not look as if it had gone well.
  await page.locator(".entry", { hasText: "refused · HTTP 400" }).first().locator(".pill-bad").waitFor();
});

test("the log book is verified, also against a head that was kept", async () => {
  await button("Verify…").click();
  await dialog().getByRole("button", { name: "Verify", exact: true }).click();
  await page.locator(".finding").getByText("intact").waitFor();
  await screen.picture("console-verified", false);
  const head = await page.getByLabel("Head to keep outside", { exact: true }).inputValue();
  assert.match(head, /^\d+:[0-9a-f]{64}$/);
  await button("Verify…").click();
  await dialog().getByLabel("A head kept outside").fill(`${head.split(":")[0]}:${"0".repeat(64)}`);
  await dialog().getByRole("button", { name: "Verify", exact: true }).click();
  await page.getByText("The chain is broken").waitFor();
});

test("an unknown outcome is resolved from its entry", async () => {
  await misbehave({ on: "CVSync2AsyncSubmitTask", times: 1, then: { kind: "reset" } });
  await ask("/v1/submit", { key: sandbox.secret_key, body: SUBMIT.body });
  const entry = page.locator(".entry", { has: page.locator("summary", { hasText: / unknown/ }) }).first();
  await entry.locator("summary").click();
  await entry.getByRole("button", { name: "Resolve…" }).click();
  await dialog().getByRole("button", { name: "Resolve", exact: true }).click();
  await said("is not sent.");
});

test("usage is drawn by day, by model and by key, and read with the arrow keys", async () => {
  await view("Usage");
  await page.locator(".plot .series-1").first().waitFor();
  await page.getByRole("row").filter({ hasText: "gpt-4o-mini" }).waitFor();
  await page.locator(".plot").focus();
  await page.keyboard.press("End");
  await page.locator(".readout", { hasText: "gpt-4o-mini" }).waitFor();
  // Nobody makes half a call.
  const scale = await page.locator(".plot text[text-anchor=end]").allTextContents();
  assert.deepEqual(scale.filter((text) => text.includes(".")), []);
  await page.getByLabel("Group by").selectOption("key");
  await page.getByRole("row").filter({ hasText: "sandbox client" }).waitFor();
  await page.getByLabel("Measure").selectOption("tokens");
  await screen.picture("console-usage");
});

test("what is cheap costs more than nothing, and a long scale has room", async () => {
  const price = { currency: "CNY", input: 150_000, output: 600_000 };
  const model = { targets: [{ upstream: "openai", model: "gpt-4o-mini" }], price };
  const { status, body } = await ask("/admin/models/cheap", { method: "PUT", body: model });
  assert.equal(status, 200, JSON.stringify(body));
  await ask("/v1/chat/completions", { key: sandbox.secret_key, body: { ...CHAT.body, model: "cheap" } });
  await view("Overview");
  await view("Usage");
  await page.getByLabel("Measure").selectOption("cost");
  await page.locator(".tile", { hasText: "Cost, CNY" }).getByText(/CN¥0\.0*[1-9]/).waitFor();
  await page.locator(".plot text", { hasText: "CN¥0.000" }).first().waitFor();
  const outside = await page.locator(".plot").evaluate((plot) => {
    const { left } = plot.getBoundingClientRect();
    return [...plot.querySelectorAll("text")].filter((text) => text.getBoundingClientRect().left < left).map((text) => text.textContent);
  });
  assert.deepEqual(outside, []);
  await screen.picture("console-usage-cost");
});

test("a relay that does not answer is said so, and what was there stays", async () => {
  await view("Queues");
  await row("default").waitFor();
  const from = screen.complaints.length;
  await page.route("**/admin/queues", (route) => route.abort());
  await page.getByRole("alert").getByText("Tollgate does not answer").waitFor();
  assert.ok(await row("default").isVisible());
  await screen.picture("console-unreachable");
  await page.unroute("**/admin/queues");
  await page.getByText("Tollgate does not answer").waitFor({ state: "detached" });
  const noise = screen.complaints.splice(from);
  assert.ok(noise.every((text) => text.includes("net::ERR_FAILED")), noise.join("\n"));
});

test("a session whose key is revoked says so and begins anew", async () => {
  const { body: issued } = await ask("/admin/keys", { body: { description: "another operator", scopes: ["admin"] } });
  await button("Sign out").click();
  await signIn(page, issued.secret_key);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await expecting(401, async () => {
    await view("Keys");
    await button("Create key…").click();
    await ask(`/admin/keys/${issued.id}/revoke`, { method: "POST", body: {} });
    await page.getByText("This key was revoked. You have been signed out.").waitFor();
  });
  await screen.picture("console-revoked", false);
  assert.equal(await page.getByLabel("Admin key").inputValue(), "");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.ok(!(await page.locator("#view").innerText()).trim(), "the page still shows what the key opened");
});

test("nothing was asked of anybody else, and the browser had nothing to complain of", () => {
  assert.deepEqual(screen.strangers, []);
  assert.deepEqual(screen.complaints, []);
});
