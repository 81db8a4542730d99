// A real browser before the pages of `tollgate sandbox`, and what it is watched for.
//
// `tests/browser/run` starts the sandbox and passes its one line of JSON in TOLLGATE_SANDBOX, the browser's path in
// CHROMIUM and a folder for pictures in PICTURES.

import { chromium } from "playwright-core";

export const sandbox = JSON.parse(process.env.TOLLGATE_SANDBOX);
const { origin } = new URL(sandbox.url);

/** Milliseconds for one step on a busy machine. */
const PATIENCE = 15_000;

export function launch() {
  return chromium.launch({
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
}

/**
 * A page of its own profile. `strangers` are requests that left this relay, `complaints` what the browser complained of; both
 * are to stay empty.
 */
export async function open(browser, { width = 1280, height = 1000, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ...options });
  const page = await context.newPage();
  const [strangers, complaints] = [[], []];
  page.setDefaultTimeout(PATIENCE);
  page.on("request", (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && to !== origin) strangers.push(request.url());
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  const picture = async (name, whole = true) => {
    // What sticks to the top of the window stands where it was scrolled to otherwise.
    if (whole) await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: whole });
  };
  return { context, page, strangers, complaints, picture };
}

/** Asks the relay without the browser. */
export async function ask(path, { key = sandbox.admin_key, body, method = body === undefined ? "GET" : "POST" } = {}) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const response = await fetch(new URL(path, sandbox.url), { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

/** Has the upstream misbehave in the way of `rule`, as in `POST /__faults`, until `heal`. */
export async function misbehave(rule) {
  const response = await fetch(new URL("/__faults", sandbox.upstream_url), { method: "POST", body: JSON.stringify(rule) });
  if (!response.ok) throw new Error(await response.text());
}

export async function heal() {
  await fetch(new URL("/__faults", sandbox.upstream_url), { method: "DELETE" });
}
