// What was used, by model or by key, over time.

import { OTHERS, SERIES, chart } from "./chart.js";
import { h } from "./dom.js";
import { compact, count, money, plural, roundMoney, sumOfMoney } from "./format.js";
import { live } from "./live.js";
import { choice, empty, head, section } from "./parts.js";
import { holdersOf, table } from "./table.js";

const PERIOD = 30_000;
const DAY = 86_400_000;
/** Pages of usage that are read at most. */
const MOST_PAGES = 20;
const MEASURES = {
  calls: { name: "Calls", of: (row) => row.calls },
  tokens: { name: "Tokens", of: (row) => row.input_tokens + row.output_tokens },
  cost: { name: "Cost", of: (row) => row.cost_microunits },
};

export function usage({ relay, root, signal }) {
  const asked = { days: 30, by: "model", measure: "calls", currency: "" };
  let names = new Map();
  let chosen;
  const load = async () => {
    const [first, last] = period(asked.days);
    const path = `admin/usage?from=${first}&to=${last}&group_by=day,${asked.by}`;
    const found = await relay.get(path, signal);
    let cursor = found.next_cursor;
    for (let page = 1; cursor && page < MOST_PAGES; page += 1) {
      const more = await relay.get(`${path}&cursor=${encodeURIComponent(cursor)}`, signal);
      found.items.push(...more.items);
      cursor = more.next_cursor;
    }
    if (asked.by === "key") names = await holdersOf(relay, signal);
    return { ...found, first, last };
  };
  const view = live({ root, signal, period: PERIOD, load, draw });
  window.addEventListener("resize", view.redraw, { signal });

  function draw(data) {
    const title = head("Usage", "Roll-ups of every settled call, by UTC day. What an upstream did not count is estimated, and marked so.");
    const currencies = [...new Set(data.items.map((row) => row.currency).filter(Boolean))].sort();
    if (!currencies.includes(asked.currency)) asked.currency = currencies[0] ?? "";
    const groups = grouped(data.items);
    return [title, tools(currencies), tiles(data), h("div", { class: "section", key: "plotted" }, plotted(data, groups)), section(`By ${asked.by}`, null, listed(groups))];
  }

  function tools(currencies) {
    const change = (field, again) => (value) => {
      asked[field] = field === "days" ? Number(value) : value;
      chosen = undefined;
      if (again) view.refresh();
      else view.redraw();
    };
    return h(
      "div",
      { class: "tools" },
      choice("Period", [["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "A year"]], String(asked.days), change("days", true)),
      choice("Group by", [["model", "By model"], ["key", "By key"]], asked.by, change("by", true)),
      choice("Measure", Object.entries(MEASURES).map(([value, { name }]) => [value, name]), asked.measure, change("measure")),
      currencies.length > 1 && asked.measure === "cost" && choice("Currency", currencies.map((one) => [one, one]), asked.currency, change("currency")),
    );
  }

  function tiles({ totals, items }) {
    const calls = totals.reduce((sum, one) => sum + one.calls, 0);
    const tokens = items.reduce((sum, row) => sum + MEASURES.tokens.of(row), 0);
    const estimated = items.reduce((sum, row) => sum + row.estimated_calls, 0);
    const costs = totals.filter((one) => one.cost_microunits > 0);
    return h(
      "div",
      { class: "tiles tiles-wide" },
      tile("Calls", compact(calls), estimated ? `${count(estimated)} estimated` : "All counted upstream"),
      tile("Tokens", compact(tokens), "In and out"),
      costs.length === 0
        ? tile("Cost", "–", "No model that was used has a price")
        : costs.map((one) => tile(`Cost, ${one.currency}`, sumOfMoney(one.cost_microunits, one.currency), plural(one.calls, "priced call"))),
    );
  }

  /** The rows by what they are grouped by, the largest first: `{name, days, …sums}`. */
  function grouped(items) {
    const groups = new Map();
    for (const row of items) {
      if (asked.measure === "cost" && row.currency !== asked.currency) continue;
      const id = (asked.by === "model" ? row.model : row.owner) || "none";
      const name = (asked.by === "key" && names.get(id)) || id;
      const group = groups.get(id) ?? { id, name, days: new Map(), amount: 0, calls: 0, input_tokens: 0, output_tokens: 0, images: 0, seconds: 0, costs: new Map() };
      const amount = MEASURES[asked.measure].of(row);
      group.amount += amount;
      group.days.set(row.day, (group.days.get(row.day) ?? 0) + amount);
      for (const field of ["calls", "input_tokens", "output_tokens", "images", "seconds"]) group[field] += row[field] ?? 0;
      if (row.cost_microunits) group.costs.set(row.currency, (group.costs.get(row.currency) ?? 0) + row.cost_microunits);
      groups.set(id, group);
    }
    return [...groups.values()].sort((one, other) => other.amount - one.amount || other.calls - one.calls);
  }

  function plotted({ first, last }, groups) {
    const { name } = MEASURES[asked.measure];
    const shown = groups.filter((group) => group.amount > 0);
    if (shown.length === 0) return h("div", { class: "card", key: "chart" }, empty("Nothing in this period", "No call was counted, or none has a price."));
    const [own, rest] = [shown.slice(0, SERIES), shown.slice(SERIES)];
    const days = [];
    for (let at = Date.parse(first); at <= Date.parse(last); at += DAY) {
      const day = new Date(at).toISOString().slice(0, 10);
      const parts = own.map(({ id, name, days }) => ({ id, name, amount: days.get(day) ?? 0 }));
      parts.push({ id: OTHERS, name: OTHERS, amount: rest.reduce((sum, group) => sum + (group.days.get(day) ?? 0), 0) });
      days.push({ day, parts: parts.filter((part) => part.amount > 0) });
    }
    const styles = getComputedStyle(root);
    const inner = root.clientWidth - parseFloat(styles.paddingLeft) - parseFloat(styles.paddingRight);
    const drawn = chart({
      title: `${name} by day and ${asked.by}`,
      days,
      series: [...own, ...(rest.length > 0 ? [{ id: OTHERS, name: OTHERS }] : [])],
      text: asked.measure === "cost" ? (amount) => money(amount, asked.currency) : compact,
      scale: asked.measure === "cost" ? (amount) => roundMoney(amount, asked.currency) : compact,
      width: Math.max(240, Math.floor(inner) - (inner < 700 ? 34 : 42)),
      chosen,
      choose: (index) => {
        chosen = index;
        view.redraw();
      },
    });
    return h("div", { class: "card chart", key: "chart" }, drawn);
  }

  function listed(groups) {
    const number = (name, field) => ({ name, kind: "number", cell: (group) => (group[field] ? compact(group[field]) : "–") });
    const columns = [
      { name: asked.by === "model" ? "Model" : "Key", kind: "lead", cell: (group) => [h("span", { class: "strong break" }, group.name), group.name !== group.id && h("span", { class: "under mono" }, group.id)] },
      number("Calls", "calls"),
      number("Tokens in", "input_tokens"),
      number("Tokens out", "output_tokens"),
      number("Images", "images"),
      number("Seconds", "seconds"),
      { name: "Cost", kind: "number", cell: (group) => ([...group.costs].map(([currency, cost]) => money(cost, currency)).join(" + ") || "–") },
    ];
    return table(`Usage by ${asked.by}`, columns, groups, { key: (group) => group.id, nothing: ["Nothing was used", "Calls of this period are listed here."] });
  }
}

function tile(name, value, said) {
  return h("div", { class: "tile", key: name }, h("span", { class: "tile-name" }, name), h("span", { class: "tile-value" }, value), h("span", { class: "tile-note" }, said));
}

/** The first and the last of so many UTC days that end today. */
function period(days) {
  const day = (back) => new Date(Date.now() - back * DAY).toISOString().slice(0, 10);
  return [day(days - 1), day(0)];
}
