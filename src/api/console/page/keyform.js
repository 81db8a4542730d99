// The forms that make and replace keys, and the one moment in which a secret is shown.

import { ask, copyable } from "./dialog.js";
import { h } from "./dom.js";
import { note } from "./parts.js";

const DAY = 86_400_000;
const LIVES = [["", "Never"], ["7", "In 7 days"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]];
const GRACES = [["300", "5 minutes"], ["0", "No time: revoke it at once"], ["3600", "1 hour"], ["86400", "24 hours"]];
const LIMITS = [
  ["concurrency", "Submits at once"],
  ["requests_per_minute", "Requests a minute"],
  ["requests_per_day", "Requests a day"],
  ["tokens_per_minute", "Tokens a minute"],
];

/** What may be spent, in whole units of the currency: what is sent are millionths of it. */
const BUDGET = [
  ["day_microunits", "Budget a day"],
  ["month_microunits", "Budget a month"],
];

/** Asks what a new key is to be, makes it, and shows its secret. */
export async function createKey(relay) {
  const issued = await ask({
    title: "Create a key",
    body: [
      labelled("Description", h("input", { name: "description", maxlength: 256, placeholder: "Who holds it, and what for", autocomplete: "off" })),
      choices("May be used for", "scopes", [["relay", "calls"], ["jobs", "jobs"], ["admin", "administration"]], ["relay"]),
      choices("Proved by", "schemes", [["signed", "signature"], ["bearer", "bearer"]], ["signed", "bearer"]),
      h(
        "div",
        { class: "pair" },
        labelled("Models", h("input", { name: "models", placeholder: "Every one", autocomplete: "off" }), "Names with commas between them"),
        labelled("Expires", h("select", { name: "life" }, LIVES.map(([value, text]) => h("option", { value }, text)))),
      ),
      h(
        "details",
        {},
        h("summary", {}, "Limits and a budget of its own"),
        h("div", { class: "pair limits" }, LIMITS.map(limit), BUDGET.map(amount), currency()),
      ),
    ],
    action: "Create key",
    submit: (form) => relay.post("admin/keys", wanted(new FormData(form))),
  });
  if (issued) await showSecret(issued, "The key was created");
  return issued;
}

/** Asks how long the old key is to go on, replaces it, and shows the new one's secret. */
export async function rotateKey(relay, key) {
  const issued = await ask({
    title: `Rotate ${key.description ?? key.id}?`,
    body: [
      h("p", { class: "soft" }, "A new key takes its place, with the same owner, scopes and limits. Its tasks and jobs stay visible to the new one."),
      labelled("The old key goes on for", h("select", { name: "grace" }, GRACES.map(([value, text]) => h("option", { value }, text)))),
    ],
    action: "Rotate key",
    submit: (form) => relay.post(`admin/keys/${key.id}/rotate`, { grace_seconds: Number(new FormData(form).get("grace")) }),
  });
  if (issued) await showSecret(issued, "The key was rotated");
  return issued;
}

/** What a form asks for. Fields that were left empty are not sent: the server's own values hold. */
function wanted(form) {
  const models = form.get("models").split(",").map((name) => name.trim()).filter(Boolean);
  const limits = set(form, LIMITS, Number);
  const budget = set(form, BUDGET, (text) => Math.round(Number(text) * 1e6));
  if (Object.keys(budget).length > 0) limits.budget = { currency: form.get("currency").trim().toUpperCase(), ...budget };
  const life = Number(form.get("life"));
  return {
    description: form.get("description").trim() || undefined,
    scopes: form.getAll("scopes"),
    schemes: form.getAll("schemes"),
    models: models.length > 0 ? models : undefined,
    expires_at: life ? new Date(Date.now() + life * DAY).toISOString() : undefined,
    limits: Object.keys(limits).length > 0 ? limits : undefined,
  };
}

/** The fields that were filled in, as numbers. */
function set(form, fields, read) {
  return Object.fromEntries(fields.map(([name]) => [name, form.get(name)]).filter(([, text]) => text).map(([name, text]) => [name, read(text)]));
}

function showSecret(issued, title) {
  return ask({
    title,
    body: [
      note("warn", "This is the only time that the secret is shown. Keep it now: nobody can show it again."),
      copyable("Access key", issued.access_key),
      copyable("Secret key", issued.secret_key),
    ],
    action: "I have kept it",
    leave: null,
    trap: true,
  });
}

function labelled(name, field, hint) {
  return h("label", { class: "field" }, h("span", { class: "field-name" }, name), field, hint && h("span", { class: "hint" }, hint));
}

function limit([name, text]) {
  return labelled(text, h("input", { name, type: "number", min: 1, inputmode: "numeric", placeholder: "The server’s" }));
}

function amount([name, text]) {
  return labelled(text, h("input", { name, type: "number", min: 0.01, step: 0.01, inputmode: "decimal", placeholder: "None" }));
}

function currency() {
  return labelled("Currency of the budget", h("input", { name: "currency", value: "USD", pattern: "[A-Za-z]{3}", maxlength: 3, autocomplete: "off" }));
}

function choices(legend, name, options, chosen) {
  const boxes = options.map(([value, text]) =>
    h("label", { class: "choice" }, h("input", { type: "checkbox", name, value, checked: chosen.includes(value) }), text),
  );
  return h("fieldset", { class: "choices" }, h("legend", {}, legend), boxes);
}
