// Tables with columns where there is room, and cards where there is none.
//
// Roles are spelled out: a row that is laid out as a card would lose them otherwise.

import { h } from "./dom.js";
import { button, empty } from "./parts.js";

/**
 * `columns` are `{name, cell(row), kind}`: of kind `lead` is what names the row, `number` stands to the right, and
 * `actions` are buttons. `nothing` is said when there are no rows; `more` loads further ones.
 */
export function table(caption, columns, rows, { key, nothing, more }) {
  if (rows.length === 0) return h("div", { class: "card" }, empty(...nothing), more && below(more));
  const heads = columns.map(({ name, kind }) =>
    h("th", { scope: "col", role: "columnheader", class: kind === "number" ? "number" : null }, kind === "actions" ? h("span", { class: "unseen" }, name) : name),
  );
  const cells = (row) =>
    columns.map(({ name, cell, kind }) => {
      const content = cell(row);
      const inside = kind === "actions" ? h("span", { class: "actions-row" }, content) : h("div", {}, content);
      return h("td", { role: "cell", class: kind === "lead" ? "lead-cell" : kind, "data-label": name }, inside);
    });
  return h(
    "div",
    { class: "card" },
    h(
      "table",
      { class: "table", role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row", key: key(row) }, cells(row)))),
    ),
    more && below(more),
  );
}

function below(more) {
  return h("div", { class: "more" }, button("Load more", more));
}

/** Every page of a list, up to `most` items. */
export async function everything(relay, path, signal, most = 2000) {
  const items = [];
  let cursor = null;
  do {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const page = await relay.get(`${path}?limit=500${from}`, signal);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

/** What the keys of every owner are called, by owner. The newest key speaks for its family. */
export async function holdersOf(relay, signal) {
  const keys = await everything(relay, "admin/keys", signal);
  return new Map(keys.reverse().map(({ owner, id, description }) => [owner, description ?? id]));
}
