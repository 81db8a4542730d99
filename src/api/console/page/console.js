// The console: who is signed in, and which view is shown.

import { accounts } from "./accounts.js";
import { book } from "./book.js";
import { closeDialogs, toast } from "./dialog.js";
import { isPaused, setPaused } from "./live.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { keys } from "./keys.js";
import { overview } from "./overview.js";
import { queues } from "./queues.js";
import { Relay } from "./relay.js";
import { usage } from "./usage.js";

/** The views by the first part of the address behind `#/`. Each draws into `root` until its `signal` fires. */
const VIEWS = { overview, queues, jobs, job, accounts, keys, usage, book };
const TITLES = { book: "Log book", job: "Job" };

/** Why a key opens nothing any more, in a sentence. */
const FAREWELLS = {
  KEY_REVOKED: "This key was revoked. You have been signed out.",
  KEY_EXPIRED: "This key has expired. You have been signed out.",
  AUTH_FAILED: "This key is not known any more. You have been signed out.",
  SCOPE_DENIED: "This key may not administer any more. You have been signed out.",
};

const REFUSALS = {
  AUTH_FAILED: "No such key. Paste the whole secret key, which begins with sk_, or the admin token.",
  KEY_REVOKED: "This key was revoked.",
  KEY_EXPIRED: "This key has expired.",
  SCOPE_DENIED: "This key has no admin scope.",
};

const at = (id) => document.getElementById(id);
const gate = at("gate");
const shell = at("shell");
const field = at("key");

/** `{relay, caller}` while somebody is signed in. */
let session;
/** Ends the view that is shown. */
let leaving = new AbortController();

async function signIn(key) {
  const problem = at("key-problem");
  const button = at("sign-in").querySelector("button");
  problem.hidden = true;
  button.disabled = true;
  try {
    const relay = new Relay(key, (refusal) => session?.relay === relay && signOut(FAREWELLS[refusal.code] ?? refusal.message));
    const { caller } = await relay.get("admin/info");
    field.value = "";
    session = { relay, caller };
    at("farewell").hidden = true;
    at("who").textContent = caller ?? "";
    at("who").title = `Signed in as ${caller}`;
    gate.hidden = true;
    shell.hidden = false;
    show();
  } catch (refusal) {
    problem.textContent = REFUSALS[refusal.code] ?? refusal.message;
    problem.hidden = false;
    field.select();
  } finally {
    button.disabled = false;
  }
}

function signOut(farewell) {
  session = undefined;
  leaving.abort();
  closeDialogs();
  at("view").replaceChildren();
  shell.hidden = true;
  gate.hidden = false;
  document.title = "Tollgate console";
  at("farewell").textContent = farewell ?? "";
  at("farewell").hidden = !farewell;
  field.focus();
}

/** Shows what the address says. */
function show() {
  if (!session) return;
  const [name, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const view = VIEWS[name] ? name : "overview";
  leaving.abort();
  leaving = new AbortController();
  closeDialogs();
  const root = document.createElement("main");
  Object.assign(root, { id: "view", className: "view", tabIndex: -1 });
  at("view").replaceWith(root);
  const title = TITLES[view] ?? view[0].toUpperCase() + view.slice(1);
  document.title = `${title} · Tollgate`;
  const section = view === "job" ? "jobs" : view;
  for (const link of at("sections").querySelectorAll("a")) {
    const current = link.getAttribute("href") === `#/${section}`;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (current) link.scrollIntoView({ block: "nearest", inline: "center" });
  }
  window.scrollTo(0, 0);
  root.focus({ preventScroll: true });
  VIEWS[view]({ ...session, root, signal: leaving.signal, rest: rest.map(decodeURIComponent) });
}

function tellLive() {
  const button = at("live");
  button.setAttribute("aria-pressed", String(!isPaused()));
  button.querySelector(".live-word").textContent = isPaused() ? "Paused" : "Live";
  button.title = isPaused() ? "Nothing is asked for by itself. Press to go on." : "Brought up to date by itself. Press to pause.";
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(field.value.trim());
});
at("sign-out").addEventListener("click", () => signOut());
at("live").addEventListener("click", () => {
  setPaused(!isPaused());
  tellLive();
});
at("skip").addEventListener("click", (event) => {
  // The address belongs to the views.
  event.preventDefault();
  at("view").focus();
});
window.addEventListener("hashchange", show);
// A browser may keep a page that was left, to go back to: not with somebody signed in.
window.addEventListener("pagehide", () => session && signOut());
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "AbortError" || event.reason?.status !== undefined) event.preventDefault();
  else toast("Something in this page failed. Reload it.", "bad");
});
tellLive();
field.focus();
