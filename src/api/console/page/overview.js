// How the relay stands, and what needs a person.

import { h } from "./dom.js";
import { at, compact, count, money, plural, span, when, words } from "./format.js";
import { live } from "./live.js";
import { empty, facts, head, pill, section } from "./parts.js";
import { REASONS } from "./accounts.js";
import { eventPill, sentence } from "./book.js";
import { everything } from "./table.js";

const PERIOD = 4000;
/** A wait longer than this is worth a look. */
const LONG_WAIT = 10;

export function overview({ relay, root, signal }) {
  const load = async () => {
    const today = new Date().toISOString().slice(0, 10);
    const [info, readiness, queues, upstreams, entries, usage] = await Promise.all([
      relay.get("admin/info", signal),
      relay.readiness(signal),
      relay.get("admin/queues", signal),
      relay.get("admin/upstreams", signal),
      relay.get("admin/audit?limit=8", signal),
      relay.get(`admin/usage?from=${today}&to=${today}&group_by=model`, signal),
    ]);
    const pools = upstreams.items.map(({ id }) => everything(relay, `admin/upstreams/${id}/accounts`, signal));
    return { info, readiness, queues, accounts: (await Promise.all(pools)).flat(), entries: entries.items, usage };
  };
  live({ root, signal, period: PERIOD, load, draw });
}

function draw(data) {
  const { info, entries } = data;
  return [
    head("Overview"),
    tiles(data),
    h(
      "div",
      { class: "columns section", key: "columns" },
      section("Needs attention", null, attention(data)),
      section("This relay", null, h("div", { class: "card padded" }, about(info))),
    ),
    section("Latest in the log book", h("a", { href: "#/book" }, "Open the log book"), latest(entries)),
  ];
}

function tiles({ readiness, queues, accounts, usage }) {
  const gates = queues.items;
  const lines = [...gates, ...queues.owners];
  const [busy, waiting] = [sum(gates, "in_use"), sum(lines, "waiting")];
  const oldest = Math.max(0, ...lines.map((gate) => gate.oldest_wait_seconds ?? 0));
  const usable = accounts.filter((account) => account.state === "active").length;
  const backlog = sum(queues.queues, "backlog");
  const dead = queues.queues.reduce((total, queue) => total + queue.items.dead, 0);
  const running = queues.queues.reduce((total, queue) => total + queue.items.running + queue.items.polling, 0);
  const ready = readiness.status === "ok";
  return h(
    "div",
    { class: "tiles" },
    tile("Status", ready ? "Ready" : "Not ready", ready ? "Calls are served" : readiness.message, { tone: ready ? "" : "bad" }),
    tile("Calls in flight", count(busy), waiting ? `${count(waiting)} waiting, the oldest for ${span(oldest)}` : "Nobody waits", {
      to: "#/queues",
      tone: oldest > LONG_WAIT ? "warn" : "",
    }),
    tile("Accounts in use", [usable, h("small", {}, ` of ${accounts.length}`)], usable === accounts.length ? "All of them" : `${accounts.length - usable} out of use`, {
      to: "#/accounts",
      tone: usable === 0 ? "bad" : usable < accounts.length ? "warn" : "",
    }),
    tile("Job backlog", compact(backlog), `${count(running)} in work · ${count(dead)} dead`, { to: "#/jobs", tone: dead ? "warn" : "" }),
    spent(usage),
  );
}

function spent({ totals }) {
  const calls = totals.reduce((total, one) => total + one.calls, 0);
  const costs = totals.filter((one) => one.cost_microunits > 0).map((one) => money(one.cost_microunits, one.currency));
  return tile("Calls today", compact(calls), costs.length ? costs.join(" + ") : "Nothing priced", { to: "#/usage" });
}

function tile(name, value, note, { to, tone } = {}) {
  const content = [h("span", { class: "tile-name" }, name), h("span", { class: "tile-value" }, value), h("span", { class: "tile-note" }, note)];
  const kind = tone ? `tile tile-${tone}` : "tile";
  return to ? h("a", { class: kind, href: to, key: name }, content) : h("div", { class: kind, key: name }, content);
}

/** Whatever a person may have to do something about, the worst first. */
function attention({ readiness, queues, accounts }) {
  const found = [];
  if (readiness.status !== "ok") found.push(["failed", readiness.message, "overview", "not ready"]);
  for (const account of accounts.filter((one) => one.state !== "active")) {
    const until = account.until ? [" · tried again ", when(account.until)] : "";
    found.push([account.state, [h("span", { class: "mono" }, account.mask), ` at ${account.upstream} · ${REASONS[account.reason] ?? words(account.reason)}`, until], "accounts"]);
  }
  for (const gate of [...queues.items, ...queues.owners]) {
    const place = `${gate.upstream ?? gate.owner} · ${gate.class}`;
    if (gate.capacity && gate.waiting >= gate.capacity * 0.8) {
      found.push(["full", `${place}: ${count(gate.waiting)} of ${count(gate.capacity)} places in line taken`, "queues", "nearly full"]);
    } else if ((gate.oldest_wait_seconds ?? 0) > LONG_WAIT) {
      found.push(["waits", `${place}: the oldest waits for ${span(gate.oldest_wait_seconds)}`, "queues", "slow"]);
    }
  }
  for (const queue of queues.queues) {
    const { dead, unknown, held } = queue.items;
    if (queue.mode !== "open") found.push([queue.mode, `Queue ${queue.name} takes ${queue.mode === "paused" ? "nothing" : "nothing new"}`, "queues"]);
    if (dead) found.push(["dead", `${plural(dead, "item")} of ${queue.name} ran out of attempts`, "jobs"]);
    if (unknown) found.push(["unknown", `${plural(unknown, "item")} of ${queue.name} may or may not have been done`, "jobs"]);
    if (held) found.push(["held", `${plural(held, "item")} of ${queue.name} held until released`, "jobs"]);
  }
  if (found.length === 0) return h("div", { class: "card" }, empty("Nothing needs you", "Every account is in use, and no queue is stuck."));
  const rows = found.slice(0, 12).map(([state, text, to, label]) =>
    h("li", {}, label ? pill(label, state === "failed" ? "bad" : "warn") : pill(state), h("span", {}, text), h("a", { href: `#/${to}`, class: "small" }, words(to))),
  );
  return h("ul", { class: "card rows" }, rows);
}

function about(info) {
  return facts([
    ["Version", info.version],
    ["Up for", h("span", { title: info.started_at }, span(info.uptime_seconds))],
    ["Store", `schema ${info.schema}, opened ${plural(info.boot, "time")}`],
    ["Deadline", span(info.limits.deadline_seconds)],
    ["Idempotency kept", span(info.limits.idempotency_ttl_seconds)],
    ["Running tasks", info.limits.max_running_tasks ? `at most ${count(info.limits.max_running_tasks)} an account` : "not limited"],
  ]);
}

function latest(entries) {
  if (entries.length === 0) return h("div", { class: "card" }, empty("An empty book", "The first call will be its first entry."));
  const rows = entries.map((entry) => h("li", { key: entry.id }, eventPill(entry), h("span", { class: "break" }, sentence(entry)), h("span", { class: "soft small" }, at(entry.at))));
  return h("ul", { class: "card rows" }, rows);
}

const sum = (items, field) => items.reduce((total, item) => total + item[field], 0);
