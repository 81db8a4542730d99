// Upstreams and the accounts of their pools: how each stands, and what can be done about it.

import { act, confirm } from "./dialog.js";
import { h } from "./dom.js";
import { plural, span, when, words } from "./format.js";
import { live } from "./live.js";
import { button, empty, head, pill, section } from "./parts.js";
import { everything, table } from "./table.js";

const PERIOD = 4000;

/** What a reason means, for people. */
export const REASONS = {
  unauthorized: "the upstream refused its credential",
  exhausted: "out of money or quota",
  limited: "asked to come back later",
  operator: "taken out by a person",
};

export function accounts({ relay, root, signal }) {
  const load = async () => {
    const { items } = await relay.get("admin/upstreams?limit=1000", signal);
    const pools = await Promise.all(items.map(({ id }) => everything(relay, `admin/upstreams/${id}/accounts`, signal)));
    return items.map((upstream, index) => ({ ...upstream, pool: pools[index] }));
  };
  const view = live({ root, signal, period: PERIOD, load, draw });

  function draw(upstreams) {
    const failed = upstreams.flatMap(({ pool }) => pool).filter(({ state, reason }) => state !== "active" && reason !== "operator").length;
    const reset = () => act(() => relay.post("admin/reset-failed-keys"), ({ reset }) => `${plural(reset, "account")} may be used again.`).then(view.refresh);
    return [
      head(
        "Accounts",
        "Each account is one credential at an upstream. What fails rests by itself and is tried again; what you disable waits for you.",
        button(failed ? `Reset ${plural(failed, "failed account")}` : "Reset failed", reset, [], { disabled: failed === 0 }),
      ),
      upstreams.length === 0 && h("div", { class: "card" }, empty("No upstreams", "The environment or `tollgate upstream add` defines them.")),
      h("div", { class: "pools", key: "pools" }, upstreams.map((upstream) =>
        section(upstream.id, `${upstream.base_url} · ${words(upstream.protocol)} · ${upstream.source === "environment" ? "from the environment" : "from the store"} · ${span(upstream.timeout_seconds)} timeout`, pool(upstream)),
      )),
    ];
  }

  function pool(upstream) {
    return table(
      `Accounts of ${upstream.id}`,
      [
        { name: "Account", kind: "lead", cell: (account) => [h("span", { class: "mono strong" }, account.mask), h("span", { class: "under mono" }, account.id)] },
        { name: "State", cell: (account) => [pill(account.state), account.state !== "active" && h("span", { class: "under" }, REASONS[account.reason] ?? words(account.reason))] },
        { name: "Since", cell: (account) => when(account.since) },
        { name: "Tried again", cell: (account) => (account.state === "active" ? "–" : account.until ? when(account.until) : "when enabled") },
        { name: "Weight", kind: "number", cell: (account) => account.weight },
        { name: "Actions", kind: "actions", cell: (account) => actions(account) },
      ],
      upstream.pool,
      { key: (account) => account.id, nothing: ["No accounts", "`tollgate account add` adds one, from standard input."] },
    );
  }

  function actions(account) {
    const { id, mask, upstream } = account;
    const post = (verb) => relay.post(`admin/upstreams/${upstream}/accounts/${id}/${verb}`);
    const decide = (verb, done) => act(() => post(verb), done).then(view.refresh);
    const labelled = (verb) => ({ "aria-label": `${verb} ${mask} of ${upstream}`, key: verb });
    const confirmed = () =>
      confirm({
        title: `Disable ${mask}?`,
        body: `No new call goes to ${id} of ${upstream} until it is enabled. Queries for its own tasks still do.`,
        action: "Disable",
        work: () => post("disable"),
        done: `${mask} is out of use.`,
      }).then(view.refresh);
    const byHand = account.state === "disabled" && account.reason === "operator";
    const enable = () => decide("enable", `${mask} is in use again.`);
    const reset = () => decide("reset", `What was seen of ${mask} is forgotten.`);
    return [
      account.state !== "active" && button("Enable", enable, ["small", "primary"], labelled("Enable")),
      !byHand && button("Reset", reset, ["small"], labelled("Reset")),
      !byHand && button("Disable…", confirmed, ["small", "danger"], labelled("Disable")),
    ];
  }
}
