// One job: how it stands, its items, and what happens to it while it happens.

import { act, confirm } from "./dialog.js";
import { h, update } from "./dom.js";
import { at, count, percent, span, when, words } from "./format.js";
import { PARTS, bar } from "./jobs.js";
import { live } from "./live.js";
import { button, choice, facts, head, note, pill, section } from "./parts.js";
import { table } from "./table.js";

const PERIOD = 3000;
const PAGE = 100;
/** Events that stay on the page. */
const KEPT = 300;
const ITEM_STATES = ["queued", "running", "polling", "succeeded", "failed", "unknown", "dead", "cancelled"];
const ENDED = ["succeeded", "partially_failed", "failed", "cancelled", "dead"];

export function job({ relay, root, signal, rest: [id] }) {
  const list = h("ol", { class: "events", tabindex: 0, "aria-label": "Events", role: "log", keep: true });
  const happened = h("div", { class: "card", keep: true }, list);
  let state = "";
  let pages = 1;
  const load = async () => {
    const [detail, items] = await Promise.all([relay.get(`admin/jobs/${id}`, signal), loadItems()]);
    return { detail, ...items };
  };
  const view = live({ root, signal, period: PERIOD, load, draw });
  // The list is written by what happens, and not drawn again: a stub stands for it once it is on the page.
  const place = () => (happened.isConnected ? h("div", { keep: true }) : happened);
  follow();

  async function loadItems() {
    const items = [];
    let cursor = null;
    for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
      const asked = new URLSearchParams({ limit: PAGE, ...(state && { state }), ...(cursor && { cursor }) });
      const found = await relay.get(`admin/jobs/${id}/items?${asked}`, signal);
      items.push(...found.items);
      cursor = found.next_cursor;
    }
    return { items, more: cursor !== null };
  }

  /** Writes down what happens, the newest first, and brings the view up to date with it. */
  async function follow() {
    update(list, h("li", { key: "none" }, "", h("span", { class: "soft" }, "Waiting for events")));
    let due;
    try {
      for await (const event of relay.events(id, signal)) {
        list.querySelector("li:not([data-seq])")?.remove();
        list.prepend(line(event));
        while (list.childElementCount > KEPT) list.lastElementChild.remove();
        // Many may come at once; one question about them is enough.
        due ??= setTimeout(() => ((due = undefined), signal.aborted || view.refresh()), 300);
      }
    } catch (refusal) {
      if (!signal.aborted) update(happened, note("bad", `Events cannot be followed: ${refusal.message}`, refusal.requestId));
    }
  }

  function draw({ detail, items, more }) {
    return [
      h("a", { class: "crumb", href: "#/jobs", key: "crumb" }, "← All jobs"),
      head("Job", h("span", { class: "mono break" }, id), actions(detail)),
      standing(detail),
      h(
        "div",
        { class: "columns section", key: "columns" },
        section("Items", null, itemTools(), table("Items", ITEM_COLUMNS, items, {
          key: (item) => item.index,
          nothing: ["No such item", state ? `None is ${words(state)}.` : "This job has none."],
          more: more && (() => ((pages += 1), view.refresh())),
        })),
        section("Events", ENDED.includes(detail.state) ? "It has ended" : "As they happen", place()),
      ),
    ];
  }

  function itemTools() {
    const options = [["", "Every state"], ...ITEM_STATES.map((one) => [one, one])];
    return h("div", { class: "tools" }, choice("State of items", options, state, (chosen) => ((state = chosen), (pages = 1), view.refresh())));
  }

  function actions(detail) {
    const post = (verb) => relay.post(`admin/jobs/${id}/${verb}`);
    const now = (verb, done) => act(() => post(verb), done).then(view.refresh);
    const over = ENDED.includes(detail.state);
    const again = detail.counts.failed + detail.counts.dead + detail.counts.unknown > 0;
    const cancel = () =>
      confirm({
        title: "Cancel this job?",
        body: "What has not ended is cancelled. A call that was sent already finishes by itself, and is in the log book.",
        action: "Cancel job",
        work: () => post("cancel"),
        done: "The job is cancelled.",
      }).then(view.refresh);
    return [
      over && again && button("Retry failed", () => now("retry", "What failed is tried again."), ["primary"], { key: "retry" }),
      !over && (detail.held
        ? button("Release", () => now("release", "It goes on."), ["primary"], { key: "release" })
        : button("Hold", () => now("hold", "Nothing more of it is taken until it is released."), [], { key: "hold" })),
      !over && button("Cancel…", cancel, ["danger"], { key: "cancel" }),
    ].filter(Boolean);
  }
}

function standing(detail) {
  const { counts } = detail;
  const states = PARTS.concat([["queued", "none"]]).filter(([state]) => counts[state] > 0);
  return h(
    "div",
    { class: "card padded", key: "standing" },
    bar(counts, "meter-wide"),
    h("ul", { class: "legend" }, states.map(([state]) => h("li", {}, pill(state), ` ${count(counts[state])}`)), h("li", { class: "soft" }, `of ${count(counts.total)}`)),
    h("div", { class: "standing-facts" }, facts([
      ["State", pill(detail.state)],
      ["Queue", `${detail.queue}, priority ${detail.priority}`],
      ["Owner", h("span", { class: "mono" }, detail.owner)],
      ["Key", detail.key && h("span", { class: "mono" }, detail.key)],
    ]), facts([
      ["Accepted", when(detail.created_at)],
      ["Started", detail.started_at && when(detail.started_at)],
      ["Ended", detail.finished_at && when(detail.finished_at)],
      ["Deadline", detail.deadline && when(detail.deadline)],
      ["Failed", counts.failed + counts.dead > 0 ? percent(detail.failed_ratio) : null],
      ["Attempts", `up to ${detail.max_attempts}, ${span(detail.hard_limit_seconds)} each`],
    ])),
  );
}

const ITEM_COLUMNS = [
  {
    name: "Item",
    kind: "lead",
    cell: (item) => [
      h("span", { class: "strong" }, `${item.index} · `, h("span", { class: "nowrap" }, item.operation)),
      h("span", { class: "under break" }, [item.model, item.task_id && `task ${item.task_id}`].filter(Boolean).join(" · ")),
    ],
  },
  {
    name: "State",
    cell: (item) => [
      pill(item.state),
      item.attempts > 1 && h("span", { class: "under" }, `attempt ${item.attempts}`),
      item.lost > 0 && h("span", { class: "under" }, `${item.lost} lost with their worker`),
    ],
  },
  { name: "Answer", cell: answer },
];

function answer(item) {
  const moment = item.finished_at ?? item.wake_at;
  return [
    item.error ? [h("span", { class: "strong" }, item.error.code), h("span", { class: "under break" }, item.error.message)] : item.status && `HTTP ${item.status}`,
    moment && h("span", { class: "under" }, item.finished_at ? "" : "due ", when(moment)),
  ];
}

function line({ id, type, data }) {
  if (data.error?.code) return h("li", { "data-seq": "error" }, "", note("bad", data.error.message), "");
  const [what, state] = String(type).split(".");
  const text = what === "item" && data.index !== null ? `Item ${data.index}` : "Job";
  return h(
    "li",
    { "data-seq": id },
    h("span", { class: "seq" }, id),
    h("span", {}, text, " ", pill(state), data.error && h("span", { class: "soft" }, ` ${data.error}`), data.attempts > 1 && h("span", { class: "soft" }, ` attempt ${data.attempts}`)),
    h("span", { class: "soft small" }, at(data.at)),
  );
}
