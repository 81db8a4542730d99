// Numbers, times and names as people read them.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

const UNITS = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export const count = (number) => whole.format(number ?? 0);
export const compact = (number) => ((number ?? 0) < 10_000 ? count(number) : short.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const dayName = (iso) => day.format(new Date(`${iso}T00:00:00Z`));
export const percent = (ratio) => `${Math.round(ratio * 1000) / 10} %`;

/** A length of time, in its two largest units. */
export function span(seconds) {
  const all = Math.max(0, seconds);
  if (all > 0 && all < 0.1) return `${Math.ceil(all * 1000)} ms`;
  if (all < 10) return `${Math.round(all * 10) / 10} s`;
  if (all < 60) return `${Math.round(all)} s`;
  if (all < 3600) return joined(all, 60, "min", 1, "s");
  if (all < 86_400) return joined(all, 3600, "h", 60, "min");
  return joined(all, 86_400, "d", 3600, "h");
}

function joined(all, large, largeName, small, smallName) {
  const rest = Math.floor((all % large) / small);
  return `${Math.floor(all / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

function rough(seconds) {
  const [length, unit] = UNITS.find(([length]) => seconds >= length) ?? UNITS.at(-1);
  return `${Math.floor(seconds / length)} ${unit}`;
}

/** How long ago, or in how long, with the exact moment at hand. */
export function when(iso) {
  if (!iso) return "–";
  const at = new Date(iso);
  const seconds = (Date.now() - at) / 1000;
  const words = Math.abs(seconds) < 2 ? "now" : seconds > 0 ? `${rough(seconds)} ago` : `in ${rough(-seconds)}`;
  return h("time", { datetime: iso, title: `${moment.format(at)} (${iso})` }, words);
}

/** The time of day today, and the date with it on other days. */
export function at(iso) {
  const then = new Date(iso);
  const today = then.toDateString() === new Date().toDateString();
  return h("time", { datetime: iso, title: iso }, today ? clock.format(then) : moment.format(then));
}

/** Integer micro-units as money. Small amounts keep the digits that tell them from nothing. */
export function money(micro, currency) {
  const amount = (micro ?? 0) / 1e6;
  const size = Math.abs(amount);
  const digits = amount === 0 || size >= 1 ? 2 : size >= 0.01 ? 4 : 6;
  return inCurrency(amount, currency, { minimumFractionDigits: 2, maximumFractionDigits: digits });
}

/** The same of a sum, where there is little room: large ones without cents, and millions in a letter. */
export function sumOfMoney(micro, currency) {
  const amount = (micro ?? 0) / 1e6;
  if (amount < 1000) return money(micro, currency);
  return amount < 1e6 ? inCurrency(amount, currency, { maximumFractionDigits: 0 }) : roundMoney(micro, currency);
}

/** The same of a round amount, as at the lines of a chart: no zeros behind the point, and thousands in a letter. */
export function roundMoney(micro, currency) {
  return inCurrency((micro ?? 0) / 1e6, currency, { notation: "compact", maximumSignificantDigits: 3 });
}

function inCurrency(amount, currency, options) {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency, ...options }).format(amount);
  } catch {
    return `${new Intl.NumberFormat("en", options).format(amount)} ${currency ?? ""}`.trim();
  }
}

/** The beginning of a long id, with the whole of it at hand. */
export function shortId(id) {
  const cut = id.length > 18 ? `${id.slice(0, 13)}…` : id;
  return h("span", { class: "mono", title: id }, cut);
}

/** A word of the interface's as words for people: `partially_failed` is "partially failed". */
export const words = (label) => String(label ?? "").replaceAll("_", " ");
