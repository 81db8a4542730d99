// Stacked bars by day, as an SVG of our own.

import { h, s } from "./dom.js";
import { dayName } from "./format.js";

const HEIGHT = 240;
const [RIGHT, TOP, BOTTOM] = [4, 10, 24];
/** The room beside the plot for what its lines stand for: the least, and what a letter takes of it. */
const [LEAST_LEFT, LETTER] = [52, 6.6];
const [MOST_LINES, WIDEST_BAR] = [4, 44];
/** Series that have a colour of their own; the rest is one. */
export const SERIES = 6;

/**
 * `days` are `{day, parts: [{id, name, amount}]}`, amounts whole numbers, `series` are `{id, name}` in the order of their
 * colours; two may have one name. `text(amount)` is how an amount is written, and `scale(amount)` how it stands at a line. The
 * day that is pointed at, or chosen with the arrow keys, is told of below: `chosen` is its index, and `choose` is given another.
 */
export function chart({ title, days, series, text, scale, width, chosen, choose }) {
  const most = Math.max(1, ...days.map(total));
  const step = Math.max(1, nice(most / MOST_LINES));
  const lines = Array.from({ length: Math.ceil(most / step) + 1 }, (_, line) => line * step);
  const highest = lines.at(-1);
  const left = Math.max(LEAST_LEFT, 12 + LETTER * Math.max(...lines.map((amount) => scale(amount).length)));
  const across = (width - left - RIGHT) / days.length;
  const down = (amount) => TOP + (1 - amount / highest) * (HEIGHT - TOP - BOTTOM);
  const bars = days.map((day, index) => bar(day, index, { left, across, down, series, chosen, choose }));
  const every = Math.ceil((days.length * 64) / (width - left));
  const move = (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -days.length, End: days.length }[event.key];
    if (!steps) return;
    event.preventDefault();
    choose(Math.min(days.length - 1, Math.max(0, (chosen ?? days.length - (steps < 0 ? 0 : 1)) + steps)));
  };
  const plot = s(
    "svg",
    { class: "plot", width, height: HEIGHT, role: "img", tabindex: 0, "aria-label": `${title}. The arrow keys go from day to day.`, onkeydown: move },
    lines.map((amount) => [
      s("line", { class: "grid", x1: left, x2: width - RIGHT, y1: down(amount), y2: down(amount) }),
      s("text", { x: left - 8, y: down(amount) + 4, "text-anchor": "end" }, scale(amount)),
    ]),
    bars,
    days.map(({ day }, index) =>
      (days.length - 1 - index) % every === 0 &&
      s("text", { x: left + (index + 0.5) * across, y: HEIGHT - 6, "text-anchor": index === days.length - 1 && days.length > 10 ? "end" : "middle" }, dayName(day)),
    ),
  );
  return h("div", {}, plot, readout(days[chosen], text), legend(series));
}

function bar({ parts }, index, { left, across, down, series, chosen, choose }) {
  const wide = Math.min(WIDEST_BAR, Math.max(1, across - Math.min(6, across * 0.2)));
  let below = 0;
  const rects = series.map(({ id }, place) => {
    const amount = parts.find((part) => part.id === id)?.amount ?? 0;
    if (amount === 0) return null;
    const [top, bottom] = [down(below + amount), down(below)];
    below += amount;
    return s("rect", { class: colour(place, id), x: left + (index + 0.5) * across - wide / 2, width: wide, y: top, height: Math.max(0.5, bottom - top) });
  });
  const hit = s("rect", { class: "hit", x: left + index * across, width: across, y: TOP, height: HEIGHT - TOP - BOTTOM });
  return s("g", { class: index === chosen ? "day chosen" : "day", onpointerenter: () => choose(index) }, hit, rects);
}

function readout(day, text) {
  const said = day
    ? [h("b", {}, dayName(day.day)), ` · ${text(total(day))}`, day.parts.length > 1 && h("span", { class: "soft" }, ` · ${day.parts.map((part) => `${part.name} ${text(part.amount)}`).join(" · ")}`)]
    : h("span", { class: "soft" }, "Point at a day, or choose one with the arrow keys.");
  return h("p", { class: "readout", "aria-live": "polite" }, said);
}

function legend(series) {
  return h("ul", { class: "legend" }, series.map(({ id, name }, place) => h("li", {}, h("span", { class: `swatch ${colour(place, id)}` }), name)));
}

const colour = (place, id) => (id === OTHERS ? "series-rest" : `series-${place + 1}`);
const total = (day) => day.parts.reduce((sum, part) => sum + part.amount, 0);

/** The next number at or above that people count in: 1, 2, 5 or 10 of some power of ten. */
function nice(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].find((step) => step * power >= number - 1e-12) * power;
}

/** What the series without a colour of their own are together. */
export const OTHERS = "all others";
