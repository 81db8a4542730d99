// The log book: every call, settlement and change, and the proof that nothing of it was altered.

import { ask as dialog, copyable, toast } from "./dialog.js";
import { h } from "./dom.js";
import { at, count, money, plural, words } from "./format.js";
import { live } from "./live.js";
import { button, choice, empty, facts, head, note, pill, search } from "./parts.js";

const PERIOD = 5000;
const PAGE = 60;
/** A large book takes its time to be walked. */
const LONG = 600_000;
const EVENTS = ["intent", "settlement", "task", "admin", "refusals", "rerouted", "consumed", "charged", "resolved", "started", "pruned"];
/** What the outcome of a call comes to. */
const TONES = { succeeded: "ok", refused: "bad", rejected: "bad", not_sent: "warn", unknown: "warn" };
/** What every entry has, and its line tells already. */
const PLAIN = ["id", "event", "at"];

export function book({ relay, root, signal }) {
  const filter = { event: "", text: "" };
  let entries = new Map();
  let older = null;
  let finding;

  const ask = (cursor) => {
    const asked = new URLSearchParams({ limit: PAGE, ...(filter.event && { event: filter.event }), ...(cursor && { cursor }) });
    return relay.get(`admin/audit?${asked}`, signal);
  };
  const load = async () => {
    const wanted = filter.event;
    const page = await ask();
    if (wanted !== filter.event) return entries;
    // What was read further down stays, unless so much is new that there would be a hole between.
    const known = page.items.some(({ id }) => entries.has(id));
    if (!known) [entries, older] = [new Map(), page.next_cursor];
    for (const entry of page.items) entries.set(entry.id, entry);
    return entries;
  };
  const view = live({ root, signal, period: PERIOD, load, draw });

  function draw() {
    const all = [...entries.values()].sort((one, other) => other.id - one.id);
    const shown = filter.text ? all.filter((entry) => JSON.stringify(entry).toLowerCase().includes(filter.text)) : all;
    return [
      head("Log book", "Written before a call is sent and after it is answered, each entry sealed to the one before. Bodies are not in it.", button("Verify…", verify, ["primary"])),
      finding && h("div", { class: "card padded finding", key: "finding" }, verdict(finding)),
      h(
        "div",
        { class: "tools" },
        choice("Event", [["", "Every event"], ...EVENTS.map((event) => [event, words(event)])], filter.event, chosen),
        search("Find in what is loaded", (text) => ((filter.text = text), view.redraw())),
        h("span", { class: "soft small" }, plural(shown.length, "entry", "entries")),
      ),
      h(
        "div",
        { class: "card" },
        shown.length === 0 && empty("No such entry", filter.text ? "Nothing that is loaded holds these words. Load older entries, or search for less." : "The book has none of this event."),
        shown.map(line),
        older && h("div", { class: "more" }, button("Load older entries", further)),
      ),
    ];
  }

  function chosen(event) {
    filter.event = event;
    [entries, older] = [new Map(), null];
    view.refresh();
  }

  async function further() {
    const page = await ask(older);
    for (const entry of page.items) entries.set(entry.id, entry);
    older = page.next_cursor;
    view.redraw();
  }

  function line(entry) {
    const unknown = entry.event === "settlement" && entry.outcome === "unknown";
    return h(
      "details",
      { class: "entry", key: entry.id },
      h("summary", {}, h("span", { class: "seq" }, count(entry.id)), h("span", {}, eventPill(entry)), h("span", { class: "what break" }, sentence(entry)), h("span", { class: "soft small" }, at(entry.at))),
      facts(Object.entries(entry).filter(([name]) => !PLAIN.includes(name)).map(([name, value]) => [words(name), value && typeof value === "object" ? JSON.stringify(value) : value === null ? null : String(value)])),
      unknown && h("div", { class: "entry-tools" }, button("Resolve…", () => resolve(entry), ["small"])),
    );
  }

  async function verify() {
    finding = await askVerify();
    if (finding) view.redraw();
  }

  function askVerify() {
    const expect = h("input", { name: "expect", placeholder: "1234:digest", autocomplete: "off", spellcheck: "false" });
    const body = [
      h("p", { class: "soft" }, "Walks the chain from the first kept entry to the newest. With a head that you kept outside, also proves that it is still part of the chain."),
      h("label", { class: "field" }, h("span", { class: "field-name" }, "A head kept outside (optional)"), expect),
    ];
    const submit = () => relay.get(`admin/audit/verify${expect.value ? `?expect=${encodeURIComponent(expect.value.trim())}` : ""}`, signal, LONG);
    return dialog({ title: "Verify the log book", body, action: "Verify", submit });
  }

  async function resolve(entry) {
    const task = h("input", { name: "task", autocomplete: "off", placeholder: "Empty: it was never done" });
    const body = [
      h("p", { class: "soft" }, `What came of call ${count(entry.intent)}? Look at the provider’s own records first: this cannot be undone, and what was not sent may be sent again.`),
      h("label", { class: "field" }, h("span", { class: "field-name" }, "The task that it created"), task),
    ];
    const submit = () => relay.post(`admin/audit/${entry.intent}/resolve`, task.value.trim() ? { task_id: task.value.trim() } : { outcome: "not_sent" });
    const resolved = await dialog({ title: "Resolve an unknown outcome", body, action: "Resolve", tone: "danger", submit });
    if (!resolved) return;
    toast(`Call ${count(entry.intent)} is ${words(resolved.outcome)}.`);
    view.refresh();
  }
}

function verdict({ intact, first, head: newest, broken, proves, does_not_prove: unproven }) {
  if (!intact) {
    return [h("h2", {}, "The chain is broken"), note("bad", `At entry ${count(broken.at)}: ${broken.why}.`)];
  }
  return [
    h("h2", {}, pill("intact", "ok"), ` ${count(newest.seq - first + 1)} entries, from ${count(first)} to ${count(newest.seq)}`),
    h("p", { class: "soft" }, proves),
    h("p", { class: "soft" }, "Not proved: ", unproven),
    copyable("Head to keep outside", `${newest.seq}:${newest.digest}`),
  ];
}

/** The event of an entry: that a call was settled is good news only when it succeeded. */
export function eventPill({ event, outcome }) {
  return event === "settlement" ? pill(event, TONES[outcome]) : pill(event);
}

/** An entry in a line. */
export function sentence(entry) {
  switch (entry.event) {
    case "intent":
      return [`${entry.operation}`, entry.model && ` · ${entry.model}`, h("span", { class: "soft" }, ` for ${entry.key ?? entry.owner}`)];
    case "settlement":
      return [`Call ${count(entry.intent)} ${words(entry.outcome)}`, h("span", { class: "soft" }, settled(entry))];
    case "task":
      return [`Task ${entry.task_id} is ${words(entry.state)}`];
    case "admin":
      return [`${entry.action} ${entry.target}`, h("span", { class: "soft" }, ` by ${entry.actor}`)];
    case "refusals":
      return [`${count(entry.count)} refused: ${words(entry.reason)}`];
    case "started":
      return [`Started, version ${entry.version}`, h("span", { class: "soft" }, `, boot ${entry.boot}`), entry.unknown > 0 && `, ${count(entry.unknown)} unknown`];
    case "resolved":
      return [`Call ${count(entry.intent)} resolved as ${words(entry.outcome)}`, h("span", { class: "soft" }, ` by ${entry.actor}`)];
    case "rerouted":
      return [`Call ${count(entry.intent)} goes on at ${entry.account}`];
    case "consumed":
      return [`Call ${count(entry.intent)} used ${count(entry.input_tokens)} tokens in, ${count(entry.output_tokens)} out`];
    case "charged":
      return [`Call ${count(entry.intent)} cost ${money(entry.cost_microunits, entry.currency)}`];
    case "pruned":
      return [`${count(entry.count)} entries up to ${count(entry.through)} left by age or size`];
    default:
      return [words(entry.event)];
  }
}

function settled({ status, reason, duration_us: micros }) {
  const parts = [status && `HTTP ${status}`, reason && words(reason), micros !== undefined && `${count(Math.round(micros / 1000))} ms`];
  return ` · ${parts.filter(Boolean).join(" · ")}`;
}
