// Who is in flight and who waits: at the gates of accounts, and in the queues of jobs.

import { act, confirm } from "./dialog.js";
import { h } from "./dom.js";
import { count, span } from "./format.js";
import { live } from "./live.js";
import { button, gauge, head, pill, section } from "./parts.js";
import { holdersOf, table } from "./table.js";

const PERIOD = 2000;
const NAMES = { submit: "Submits", call: "Calls", query: "Queries" };

export function queues({ relay, root, signal }) {
  let holders = new Map();
  const load = async () => {
    const found = await relay.get("admin/queues", signal);
    // Whose calls they are is asked for when somebody new comes.
    if (found.owners.some(({ owner }) => !holders.has(owner))) {
      holders = await holdersOf(relay, signal);
      for (const { owner } of found.owners) if (!holders.has(owner)) holders.set(owner, null);
    }
    return found;
  };
  const view = live({ root, signal, period: PERIOD, load, draw });

  function draw({ items, owners, queues: all }) {
    return [
      head("Queues", "Every paid call passes a gate. Whoever finds no free place waits in line, first come, first served, and in turn between keys."),
      section("By key", "Who is in flight or waits now, the longest line first", keyGates(owners, holders)),
      section("By account", "Calls in flight, of all places there are", gates(items)),
      section("Queues of jobs", "Items in work, of as many as may be at once", jobQueues(all)),
    ];
  }

  function jobQueues(all) {
    return table(
      "Queues of jobs",
      [
        { name: "Queue", kind: "lead", cell: (queue) => [h("span", { class: "strong break" }, queue.name), " ", pill(queue.mode, queue.mode === "open" ? "ok" : "warn")] },
        { name: "In work", cell: inWork },
        { name: "Waiting", cell: waiting },
        { name: "Per minute", kind: "number", cell: (queue) => (queue.throughput_per_minute === null ? "–" : count(Math.round(queue.throughput_per_minute))) },
        { name: "Ended", cell: ended },
        { name: "Actions", kind: "actions", cell: actions },
      ],
      all,
      { key: (queue) => queue.name, nothing: ["No queues", "JOB_QUEUES names them."] },
    );
  }

  function actions(queue) {
    if (queue.concurrency === null) return h("span", { class: "soft small" }, "not configured");
    const post = (verb) => relay.post(`admin/queues/${encodeURIComponent(queue.name)}/${verb}`);
    const set = (verb, done) => act(() => post(verb), done).then(view.refresh);
    if (queue.mode !== "open") return button("Resume", () => set("resume", `${queue.name} goes on.`), ["small", "primary"], labelled("Resume", queue));
    const drain = () =>
      confirm({
        title: `Drain ${queue.name}?`,
        body: "Nothing new is let in until it is resumed. What is there is finished.",
        action: "Drain",
        work: () => post("drain"),
        done: `${queue.name} drains.`,
      }).then(view.refresh);
    return [
      button("Pause", () => set("pause", `${queue.name} is paused.`), ["small"], labelled("Pause", queue)),
      button("Drain…", drain, ["small"], labelled("Drain", queue)),
    ];
  }
}

const labelled = (verb, queue) => ({ "aria-label": `${verb} ${queue.name}`, key: verb });

/** One row a key's owner and class of calls, while somebody is there. */
function keyGates(owners, holders) {
  return table(
    "Gates by key",
    [
      { name: "Key", kind: "lead", cell: ({ owner }) => [h("span", { class: "strong break" }, holders.get(owner) ?? "A key"), h("span", { class: "under mono" }, owner)] },
      { name: "Calls", cell: (gate) => NAMES[gate.class] },
      { name: "In flight", cell: inFlight },
      { name: "Waiting", cell: (gate) => (gate.waiting > 0 ? h("span", { class: "waiting" }, `${count(gate.waiting)} of ${count(gate.capacity)}`) : h("span", { class: "idle" }, "nobody")) },
      { name: "Oldest wait", cell: (gate) => (gate.oldest_wait_seconds === null ? "–" : span(gate.oldest_wait_seconds)) },
    ],
    owners,
    { key: (gate) => `${gate.owner} ${gate.class}`, nothing: ["All quiet", "No call is in flight, and nobody waits."] },
  );
}

/** One row an account, with a cell for each of its gates. */
function gates(items) {
  const accounts = new Map();
  for (const gate of items) {
    const id = `${gate.upstream}/${gate.account}`;
    if (!accounts.has(id)) accounts.set(id, { id, upstream: gate.upstream, account: gate.account });
    accounts.get(id)[gate.class] = gate;
  }
  return table(
    "Gates by account",
    [
      { name: "Account", kind: "lead", cell: (row) => [h("span", { class: "strong" }, row.upstream), h("span", { class: "under mono" }, row.account)] },
      ...Object.keys(NAMES).map((name) => ({ name: NAMES[name], cell: (row) => gateCell(row[name]) })),
    ],
    [...accounts.values()],
    { key: (row) => row.id, nothing: ["No accounts", "Add an upstream and an account, and its gates are here."] },
  );
}

function gateCell(gate) {
  if (!gate) return "–";
  return [
    inFlight(gate),
    gate.waiting > 0 && h("span", { class: "under waiting" }, `${count(gate.waiting)} waiting, the oldest for ${span(gate.oldest_wait_seconds ?? 0)}`),
  ];
}

function inFlight(gate) {
  const idle = gate.in_use === 0 && gate.waiting === 0;
  return h(
    "div",
    { class: idle ? "gate-cell idle" : "gate-cell" },
    h("div", { class: "gate-use" }, `${count(gate.in_use)} of ${count(gate.slots)}`),
    gauge([[gate.in_use, gate.waiting > 0 ? "warn" : "accent"]], gate.slots),
  );
}

function inWork(queue) {
  const { running, polling } = queue.items;
  return h(
    "div",
    { class: "gate-cell" },
    h("div", { class: "gate-use" }, `${count(running)} of ${queue.concurrency === null ? "–" : count(queue.concurrency)}`, polling > 0 && h("span", { class: "soft" }, `${count(polling)} polled`)),
    gauge([[running, "accent"]], queue.concurrency ?? 1),
  );
}

function waiting(queue) {
  const { ready, delayed, retrying, held } = queue.items;
  return [
    h("span", { class: queue.backlog ? "strong" : "idle" }, count(queue.backlog)),
    sums([["ready", ready], ["delayed", delayed], ["retrying", retrying], ["held", held]]),
    queue.oldest_age_seconds !== null && h("span", { class: "under" }, `oldest ${span(queue.oldest_age_seconds)}`),
  ];
}

function ended(queue) {
  const { succeeded, failed, unknown, dead, cancelled } = queue.items;
  const parts = [["succeeded", succeeded], ["failed", failed], ["unknown", unknown], ["dead", dead], ["cancelled", cancelled]];
  return succeeded + failed + unknown + dead + cancelled === 0 ? h("span", { class: "idle" }, "none kept") : sums(parts);
}

function sums(parts) {
  const there = parts.filter(([, number]) => number > 0);
  return there.length > 0 && h("span", { class: "sums" }, there.map(([name, number]) => h("span", {}, h("b", {}, count(number)), ` ${name}`)));
}
