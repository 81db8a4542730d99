// Client keys: who holds them, what they may do, and their making and unmaking.

import { confirm } from "./dialog.js";
import { h } from "./dom.js";
import { count, money, shortId, when, words } from "./format.js";
import { createKey, rotateKey } from "./keyform.js";
import { live } from "./live.js";
import { button, chips, choice, head, pill, search } from "./parts.js";
import { everything, table } from "./table.js";

const PERIOD = 10_000;

export function keys({ relay, root, signal, caller }) {
  const filter = { status: "active", text: "" };
  const load = () => everything(relay, "admin/keys", signal);
  const view = live({ root, signal, period: PERIOD, load, draw });

  function draw(all) {
    const shown = all.filter((key) => (!filter.status || key.status === filter.status) && text(key).includes(filter.text));
    return [
      head("Keys", "A client proves itself with a key of yours and never sees a provider’s.", button("Create key…", create, ["primary"])),
      h(
        "div",
        { class: "tools" },
        choice("Status", [["active", "Active"], ["revoked", "Revoked"], ["expired", "Expired"], ["", "All keys"]], filter.status, (status) => changed({ status })),
        search("Find a key", (text) => changed({ text })),
        h("span", { class: "soft small" }, `${count(shown.length)} of ${count(all.length)}`),
      ),
      table("Client keys", COLUMNS(caller, actions), shown, { key: (key) => key.id, nothing: nothing(all) }),
    ];
  }

  function changed(part) {
    Object.assign(filter, part);
    view.redraw();
  }

  async function create() {
    if (await createKey(relay)) view.refresh();
  }

  function actions(key) {
    if (key.status !== "active") return null;
    const name = key.description ?? key.id;
    const rotate = async () => (await rotateKey(relay, key)) && view.refresh();
    const revoke = () =>
      confirm({
        title: `Revoke ${name}?`,
        body: key.id === caller
          ? "This is the key that you are signed in with: you will be signed out. It cannot be undone."
          : "Whoever holds it is refused from the next request on. It cannot be undone.",
        action: "Revoke key",
        work: () => relay.post(`admin/keys/${key.id}/revoke`),
        done: `${name} was revoked.`,
      }).then(view.refresh);
    return [
      button("Rotate…", rotate, ["small"], { "aria-label": `Rotate ${name}` }),
      button("Revoke…", revoke, ["small", "danger"], { "aria-label": `Revoke ${name}` }),
    ];
  }
}

const COLUMNS = (caller, actions) => [
  {
    name: "Key",
    kind: "lead",
    cell: (key) => [
      h("span", { class: "strong break" }, key.description ?? "No description"),
      key.id === caller && [" ", h("span", { class: "chip" }, "you")],
      h("span", { class: "under mono" }, key.id),
    ],
  },
  { name: "Status", cell: (key) => [pill(key.status), ends(key)] },
  { name: "May do", cell: (key) => chips(key.scopes) },
  { name: "Models", cell: (key) => (key.models ? chips(key.models, "none") : h("span", { class: "soft nowrap" }, "every one")) },
  { name: "Limits", cell: (key) => limits(key.limits) },
  { name: "Created", cell: (key) => [when(key.created_at), key.rotation_of && h("span", { class: "under" }, "replaced ", shortId(key.rotation_of))] },
  { name: "Actions", kind: "actions", cell: actions },
];

function ends(key) {
  if (key.status === "revoked") return h("span", { class: "under" }, when(key.revoked_at));
  return key.expires_at && h("span", { class: "under" }, key.status === "expired" ? "" : "ends ", when(key.expires_at));
}

function limits(own) {
  if (!own) return h("span", { class: "soft nowrap" }, "the server’s");
  const { budget, ...numbers } = own;
  const set = Object.entries(numbers).map(([name, value]) => `${count(value)} ${words(name)}`);
  if (budget?.day_microunits) set.push(`${money(budget.day_microunits, budget.currency)} a day`);
  if (budget?.month_microunits) set.push(`${money(budget.month_microunits, budget.currency)} a month`);
  return set.map((text) => h("span", { class: "under" }, text));
}

const text = (key) => [key.id, key.access_key, key.owner, key.description, ...key.scopes].join(" ").toLowerCase();

function nothing(all) {
  return all.length === 0
    ? ["No keys yet", "Create one, and give its secret to a client."]
    : ["No key is like that", "Change the status or what is searched for."];
}
