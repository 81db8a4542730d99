// Elements, and how a view is brought up to date without losing focus, selection or scroll position.
//
// Text becomes text nodes and nothing else: there is no way here to write markup.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "onchange", "oninput", "onsubmit", "ontoggle", "onkeydown", "onpointerenter", "onfocus"];

/**
 * An element. Properties that are functions are handlers, `true` and `false` are attributes with and without,
 * `key` names it among its siblings, `keep` says that a later drawing leaves it as it is.
 */
export function h(tag, props, ...children) {
  return made(document.createElement(tag), props, children);
}

/** The same, for drawings. */
export function s(tag, props, ...children) {
  return made(document.createElementNS(SVG, tag), props, children);
}

function made(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "key" || name === "keep" || typeof value === "function") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** What may stand among children, as nodes: lists are flattened, nothing is left out but nothing. */
function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== undefined && child !== null && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Makes these the children of `parent`. What is the same already stays the very same element. */
export function update(parent, ...children) {
  reconcile(parent, nodes(children));
}

function reconcile(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (child.key !== undefined) keyed.set(child.key, child);
  let at = parent.firstChild;
  for (const next of wanted) {
    const candidate = next.key === undefined ? (at?.key === undefined ? at : null) : keyed.get(next.key);
    if (!candidate || candidate.nodeName !== next.nodeName) {
      parent.insertBefore(next, at);
      continue;
    }
    keyed.delete(next.key);
    if (candidate === at) at = at.nextSibling;
    else parent.insertBefore(candidate, at);
    morph(candidate, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function morph(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  if (old.keep) return;
  for (const { name } of [...old.attributes]) {
    // Whether something is unfolded is its reader's choice.
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) old[name] = next[name];
  reconcile(old, [...next.childNodes]);
}
