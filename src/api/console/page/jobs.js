// Every owner's jobs, newest first.

import { h } from "./dom.js";
import { count, shortId, span, when } from "./format.js";
import { live } from "./live.js";
import { choice, gauge, head, pill, search } from "./parts.js";
import { table } from "./table.js";

const PERIOD = 3000;
const PAGE = 50;
const STATES = ["queued", "running", "succeeded", "partially_failed", "failed", "dead", "held", "cancelled"];

/** The parts of a job's bar, in this order. */
export const PARTS = [
  ["succeeded", "accent"],
  ["running", "busy"],
  ["polling", "busy"],
  ["unknown", "warn"],
  ["failed", "bad"],
  ["dead", "bad"],
  ["cancelled", "quiet"],
];

export function jobs({ relay, root, signal }) {
  const filter = { state: "", queue: "", owner: "" };
  let pages = 1;
  let queues = [];
  const load = async () => {
    if (queues.length === 0) queues = (await relay.get("admin/queues", signal)).queues.map(({ name }) => name);
    const items = [];
    let cursor = null;
    for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
      const asked = new URLSearchParams({ limit: PAGE, ...(cursor && { cursor }) });
      for (const [name, value] of Object.entries(filter)) if (value) asked.set(name, value);
      const found = await relay.get(`admin/jobs?${asked}`, signal);
      items.push(...found.items);
      cursor = found.next_cursor;
    }
    return { items, more: cursor !== null };
  };
  const view = live({ root, signal, period: PERIOD, load, draw });

  function draw({ items, more }) {
    const named = (text) => text.replaceAll("_", " ");
    return [
      head("Jobs", "Work that was accepted and is done in the background. What it asks and was answered is its owner’s alone."),
      h(
        "div",
        { class: "tools" },
        choice("State", [["", "Every state"], ...STATES.map((state) => [state, named(state)])], filter.state, (state) => changed({ state })),
        choice("Queue", [["", "Every queue"], ...queues.map((name) => [name, name])], filter.queue, (queue) => changed({ queue })),
        search("Owner (own_…)", (owner) => /^(own_[0-9a-f]{16})?$/.test(owner) && changed({ owner })),
      ),
      table("Jobs", COLUMNS, items, {
        key: (job) => job.id,
        nothing: Object.values(filter).some(Boolean)
          ? ["No such job", "Nothing is in this state, queue or owner’s hands."]
          : ["No jobs yet", "A key with the scope jobs posts them to /v1/jobs."],
        more: more && (() => ((pages += 1), view.refresh())),
      }),
    ];
  }

  function changed(part) {
    Object.assign(filter, part);
    pages = 1;
    view.refresh();
  }
}

const COLUMNS = [
  {
    name: "Job",
    kind: "lead",
    cell: (job) => [
      h("a", { href: `#/job/${job.id}`, class: "mono strong", title: job.id }, `${job.id.slice(0, 16)}…`),
      h("span", { class: "under" }, `${job.kind} · priority ${job.priority}`),
    ],
  },
  { name: "State", cell: (job) => pill(job.state) },
  { name: "Progress", cell: progress },
  { name: "Queue", cell: (job) => job.queue },
  { name: "Owner", cell: (job) => shortId(job.owner) },
  { name: "Accepted", cell: (job) => [when(job.created_at), took(job)] },
];

function progress(job) {
  const { counts } = job;
  const ended = counts.succeeded + counts.failed + counts.dead + counts.unknown + counts.cancelled;
  return h("div", { class: "gate-cell" }, `${count(ended)} of ${count(counts.total)}`, bar(counts));
}

/** A job's items as a bar of their states. */
export function bar(counts, extra) {
  return gauge(PARTS.map(([state, kind]) => [counts[state] ?? 0, kind]), counts.total, extra);
}

function took(job) {
  if (!job.finished_at) return null;
  return h("span", { class: "under" }, `took ${span((new Date(job.finished_at) - new Date(job.created_at)) / 1000)}`);
}
