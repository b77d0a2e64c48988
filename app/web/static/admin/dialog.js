// Asking before something is done that hurts; what hurts most wants the room's name typed.

import { bad, el, put } from "./dom.js";

const yes = el("button", { type: "submit", value: "yes" });
const no = el("button", { type: "button", class: "quiet" }, "Cancel");
const title = el("h2", { id: "dialog-title" });
const body = el("div");
const form = el("form", { method: "dialog" }, title, body, el("p", { class: "row" }, no, yes));
const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
document.body.append(dialog);
no.addEventListener("click", () => dialog.close("no"));

// `lines` say what will happen; `typed` must be typed; `ask` is a field whose value is the answer.
// Resolves to null when cancelled, else to the field's value (true without one).
export function confirm({ heading, lines, action, danger = false, typed = null, ask = null }) {
  put(title, heading);
  put(yes, action);
  yes.className = danger ? "danger" : "";
  body.replaceChildren(...lines.map((line) => el("p", {}, line)));
  let field = null;
  if (typed !== null) {
    field = el("input", { id: "dialog-field", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    body.append(el("p", {}, el("label", { for: "dialog-field" }, `Type ${typed} to go on`), field));
    const check = () => (yes.disabled = field.value !== typed);
    field.addEventListener("input", check);
    check();
  } else {
    yes.disabled = false;
    if (ask !== null) {
      const { label, ...attributes } = ask;
      field = el("input", { id: "dialog-field", required: true, ...attributes });
      body.append(el("p", {}, el("label", { for: "dialog-field" }, label), field));
    }
  }
  dialog.returnValue = "";
  dialog.showModal();
  (field ?? no).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? (ask ? field.value : true) : null);
    }, { once: true });
  });
}

// Do something once, however often its button is pressed meanwhile; what goes wrong is said.
// The button is not disabled for it, which would take the focus away from whoever uses the keyboard.
export async function doing(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (error) {
    bad(error.message);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

export function onPress(button, work) {
  button.addEventListener("click", () => doing(button, work));
}

// A button beside others of its kind: `of` tells them apart for those who cannot see which row it is in.
export function pressed(words, tone, of, work) {
  const button = el("button", { type: "button", class: tone || null }, words, " ", el("span", { class: "unseen" }, of));
  onPress(button, work);
  return button;
}
