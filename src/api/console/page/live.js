// What a view shows is asked for again and again while somebody looks at it, and not while nobody does.

import { h, update } from "./dom.js";
import { bones, note } from "./parts.js";

let paused = false;
const listeners = new Set();

export const isPaused = () => paused;

export function setPaused(value) {
  paused = value;
  if (!paused) for (const wake of listeners) wake();
}

/**
 * Loads, draws, and does both again every `period` milliseconds (0 for once), until `signal` fires.
 *
 * `load` gives the data, `draw` the nodes of it. While there is nothing yet, `root` shows the bones of a page; when asking
 * fails, what was there stays, with a sentence above it. Gives back `{refresh, redraw}`.
 */
export function live({ root, signal, period, load, draw }) {
  let data;
  let problem;
  let timer;
  let turns = 0;

  const redraw = () => {
    if (signal.aborted) return;
    const said = problem && note("bad", `This could not be brought up to date: ${problem.message}`, problem.requestId);
    root.setAttribute("aria-busy", data === undefined && !problem ? "true" : "false");
    update(root, said && h("div", { class: "note-place", key: "problem" }, said), data === undefined ? !problem && bones() : draw(data));
  };

  const refresh = async () => {
    const turn = (turns += 1);
    clearTimeout(timer);
    try {
      const loaded = await load();
      if (signal.aborted || turn !== turns) return;
      data = loaded;
      problem = undefined;
    } catch (error) {
      if (signal.aborted || turn !== turns) return;
      problem = error;
      if (!error.code) throw error;
    } finally {
      if (turn === turns && !signal.aborted) {
        redraw();
        if (period) timer = setTimeout(tick, period);
      }
    }
  };

  const tick = () => {
    if (paused || document.hidden) timer = setTimeout(tick, period);
    else refresh();
  };
  const wake = () => {
    if (period && !document.hidden && !paused) refresh();
  };
  listeners.add(wake);
  document.addEventListener("visibilitychange", wake, { signal });
  signal.addEventListener("abort", () => (clearTimeout(timer), listeners.delete(wake)));
  redraw();
  refresh();
  return { refresh, redraw };
}
