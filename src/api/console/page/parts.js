// The small things that every view is made of.

import { h, s } from "./dom.js";
import { words } from "./format.js";

/** What a state comes to, for its colour and shape. */
const TONES = {
  ok: ["active", "succeeded", "open", "ready", "settlement", "resolved"],
  busy: ["running", "polling", "intent", "task", "queued", "rerouted"],
  warn: ["cooling", "paused", "draining", "held", "partially_failed", "unknown", "refusals", "pruned", "restored"],
  bad: ["disabled", "exhausted", "failed", "dead", "revoked"],
};

const TONE_OF = new Map(Object.entries(TONES).flatMap(([tone, states]) => states.map((state) => [state, tone])));

/** A state, as a word with a shape and a colour. */
export function pill(state, tone = TONE_OF.get(state) ?? "quiet") {
  return h("span", { class: `pill pill-${tone}` }, words(state));
}

export function chips(texts, none) {
  if (!texts?.length) return h("span", { class: "soft" }, none ?? "–");
  return h("span", { class: "chips" }, texts.map((text) => h("span", { class: "chip" }, text)));
}

/** A button. `kind` is `primary`, `danger`, `small`, … */
export function button(text, onclick, kinds = [], props = {}) {
  const classes = ["button", ...kinds.map((kind) => `button-${kind}`)].join(" ");
  return h("button", { type: "button", class: classes, onclick, ...props }, text);
}

/** The head of a view: one h1, a sentence, and what can be done. */
export function head(title, sentence, ...tools) {
  return h(
    "div",
    { class: "head", key: "head" },
    h("div", { class: "head-words" }, h("h1", {}, title), sentence && h("p", {}, sentence)),
    tools.length > 0 && h("div", { class: "head-tools" }, tools),
  );
}

export function section(title, sentence, ...content) {
  return h(
    "section",
    { class: "section", key: `section ${title}` },
    h("div", { class: "section-head" }, h("h2", {}, title), sentence && h("p", {}, sentence)),
    content,
  );
}

export function empty(title, sentence, ...more) {
  return h("div", { class: "empty" }, h("strong", {}, title), sentence, more.length > 0 && h("div", { class: "empty-more" }, more));
}

export function note(tone, text, requestId) {
  return h(
    "p",
    { class: `note spaced note-${tone}`, role: tone === "bad" ? "alert" : null },
    text,
    requestId && h("span", { class: "under mono" }, requestId),
  );
}

export function bones() {
  const lines = Array.from({ length: 7 }, () => h("div", { class: "bone" }));
  return h(
    "div",
    { key: "bones" },
    h("span", { class: "unseen" }, "Loading"),
    h("div", { class: "card bones", "aria-hidden": "true" }, lines),
  );
}

/** A bar of parts, `[amount, class]` each, of a whole. The numbers stand beside it, so readers of screens skip it. */
export function gauge(parts, whole, extra = "") {
  const total = Math.max(whole, parts.reduce((sum, [amount]) => sum + amount, 0), 1);
  let from = 0;
  const fills = parts.map(([amount, kind]) => {
    const x = from;
    from += (amount / total) * 100;
    return s("rect", { class: `fill-${kind}`, x: `${x}%`, y: 0, width: `${(amount / total) * 100}%`, height: "100%" });
  });
  return s("svg", { class: `gauge ${extra}`, "aria-hidden": "true", preserveAspectRatio: "none" }, fills);
}

/** Names and values, one below the other. What has no value is left out. */
export function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return h("dl", { class: "facts" }, there.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A choice with a name that readers of screens hear. `options` are `[value, text]`. */
export function choice(name, options, chosen, onchange) {
  const all = options.map(([value, text]) => h("option", { value, selected: value === chosen }, text));
  return h("select", { "aria-label": name, keep: true, onchange: (event) => onchange(event.target.value) }, all);
}

/** A field that searches while it is typed in. */
export function search(name, oninput) {
  const typed = (event) => oninput(event.target.value.trim().toLowerCase());
  return h("input", { type: "search", "aria-label": name, placeholder: name, keep: true, oninput: typed });
}
