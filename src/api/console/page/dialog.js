// Dialogs that hold focus and give it back, and messages that pass.

import { h } from "./dom.js";
import { button, note } from "./parts.js";

/**
 * Opens a dialog with a form. `submit` does the work and may throw: then the reason is shown and the dialog stays.
 * Resolves to what `submit` gave, or to `undefined` when it was left.
 */
export function ask({ title, body, action, tone = "primary", submit = async () => true, leave = "Cancel", trap = false }) {
  return new Promise((resolve) => {
    const problem = h("div", {});
    const go = h("button", { type: "submit", class: `button button-${tone}` }, action);
    const id = `dialog-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    let result;
    const form = h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          go.disabled = true;
          problem.replaceChildren();
          try {
            result = await submit(form);
            dialog.close();
          } catch (refusal) {
            problem.replaceChildren(note("bad", refusal.message, refusal.requestId));
          }
          go.disabled = false;
        },
      },
      h("div", { class: "dialog-body" }, h("h2", { id }, title), body, problem),
      h("div", { class: "dialog-foot" }, leave && button(leave, () => dialog.close()), go),
    );
    const dialog = h("dialog", { "aria-labelledby": id }, form);
    // What is shown only once must not go with a stray key press.
    dialog.addEventListener("cancel", (event) => trap && event.preventDefault());
    dialog.addEventListener("keydown", (event) => trap && event.key === "Escape" && event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks whether to go on, does it, and says that it is done. What fails is said in the dialog, which stays. */
export function confirm({ title, body, action, tone = "danger", work, done }) {
  const submit = async () => {
    await work();
    toast(done);
    return true;
  };
  return ask({ title, body: h("p", { class: "soft" }, body), action, tone, submit });
}

/** Closes whatever is open: its reader is signed out. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/** A text to be taken along, with a button that copies it. */
export function copyable(name, text) {
  const field = h("input", { readonly: true, value: text, "aria-label": name, spellcheck: "false", onclick: (event) => event.target.select() });
  const copy = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      // Browsers lend the clipboard to pages that came over TLS only.
      field.select();
      copy.textContent = "Press Ctrl+C";
    }
  });
  copy.setAttribute("aria-label", `Copy the ${name.toLowerCase()}`);
  copy.setAttribute("aria-live", "polite");
  return h("div", { class: "field" }, h("span", { class: "field-name" }, name), h("div", { class: "secret" }, field, copy));
}

/** Says that something was done, or was not. */
export function toast(text, tone = "ok") {
  const message = h("p", { class: `toast toast-${tone}` }, text);
  const place = document.getElementById("toasts");
  place.append(message);
  while (place.childElementCount > 3) place.firstElementChild.remove();
  setTimeout(() => message.remove(), 6000);
}

/** Does something at once and says what came of it. */
export async function act(work, done) {
  try {
    const result = await work();
    toast(typeof done === "function" ? done(result) : done);
    return true;
  } catch (refusal) {
    toast(refusal.message, "bad");
    return false;
  }
}
