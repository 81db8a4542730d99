// Stacked bars by day, as an SVG of our own.

import { h, s } from "./dom.js";
import { dayName } from "./format.js";

const HEIGHT = 240;
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 4, 10, 24];
const [MOST_LINES, WIDEST_BAR] = [4, 44];
/** Series that have a colour of their own; the rest is one. */
export const SERIES = 6;

/**
 * `days` are `{day, parts: [{name, amount}]}`, amounts whole numbers, `names` the series in the order of their colours.
 * `text(amount)` is how an amount is written. The day that is pointed at, or chosen with the arrow keys, is told of below: `chosen` is its index, and
 * `choose` is given another.
 */
export function chart({ title, days, names, text, width, chosen, choose }) {
  const most = Math.max(1, ...days.map(total));
  const step = Math.max(1, nice(most / MOST_LINES));
  const lines = Array.from({ length: Math.ceil(most / step) + 1 }, (_, line) => line * step);
  const highest = lines.at(-1);
  const across = (width - LEFT - RIGHT) / days.length;
  const down = (amount) => TOP + (1 - amount / highest) * (HEIGHT - TOP - BOTTOM);
  const bars = days.map((day, index) => bar(day, index, { across, down, names, chosen, choose }));
  const every = Math.ceil((days.length * 64) / (width - LEFT));
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
      s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: down(amount), y2: down(amount) }),
      s("text", { x: LEFT - 8, y: down(amount) + 4, "text-anchor": "end" }, text(amount)),
    ]),
    bars,
    days.map(({ day }, index) =>
      (days.length - 1 - index) % every === 0 &&
      s("text", { x: LEFT + (index + 0.5) * across, y: HEIGHT - 6, "text-anchor": index === days.length - 1 && days.length > 10 ? "end" : "middle" }, dayName(day)),
    ),
  );
  return h("div", {}, plot, readout(days[chosen], text), legend(names));
}

function bar({ parts }, index, { across, down, names, chosen, choose }) {
  const wide = Math.min(WIDEST_BAR, Math.max(1, across - Math.min(6, across * 0.2)));
  let below = 0;
  const rects = names.map((name, place) => {
    const amount = parts.find((part) => part.name === name)?.amount ?? 0;
    if (amount === 0) return null;
    const [top, bottom] = [down(below + amount), down(below)];
    below += amount;
    return s("rect", { class: colour(place, name), x: LEFT + (index + 0.5) * across - wide / 2, width: wide, y: top, height: Math.max(0.5, bottom - top) });
  });
  const hit = s("rect", { class: "hit", x: LEFT + index * across, width: across, y: TOP, height: HEIGHT - TOP - BOTTOM });
  return s("g", { class: index === chosen ? "day chosen" : "day", onpointerenter: () => choose(index) }, hit, rects);
}

function readout(day, text) {
  const said = day
    ? [h("b", {}, dayName(day.day)), ` · ${text(total(day))}`, day.parts.length > 1 && h("span", { class: "soft" }, ` · ${day.parts.map((part) => `${part.name} ${text(part.amount)}`).join(" · ")}`)]
    : h("span", { class: "soft" }, "Point at a day, or choose one with the arrow keys.");
  return h("p", { class: "readout", "aria-live": "polite" }, said);
}

function legend(names) {
  return h("ul", { class: "legend" }, names.map((name, place) => h("li", {}, h("span", { class: `swatch ${colour(place, name)}` }), name)));
}

const colour = (place, name) => (name === OTHERS ? "series-rest" : `series-${place + 1}`);
const total = (day) => day.parts.reduce((sum, part) => sum + part.amount, 0);

/** The next number at or above that people count in: 1, 2, 5 or 10 of some power of ten. */
function nice(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].find((step) => step * power >= number - 1e-12) * power;
}

/** What the series without a colour of their own are together. */
export const OTHERS = "all others";
