// Building and changing the page. Texts only ever become text: nothing here reads markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const find = (id) => document.getElementById(id);

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// A figure with its name; the returned function changes it, and says beside the name how it is meant.
export function figure(list, name) {
  const value = el("dd", {}, "–");
  const note = el("small");
  list.append(el("div", {}, el("dt", {}, el("span", {}, name), " ", note), value));
  return (text, meant = "") => {
    put(value, text);
    put(note, meant);
  };
}

// Let `list` hold just these, in this order. What stays is not touched, so that it keeps the focus and what is open in
// it; when the focus goes with its node, the list has it.
export function arrange(list, nodes) {
  const focused = list.contains(document.activeElement);
  for (const node of [...list.children]) if (!nodes.includes(node)) node.remove();
  nodes.forEach((node, place) => {
    if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null);
  });
  if (focused && !list.contains(document.activeElement)) list.focus();
}

export function toast(text, tone = "good") {
  const node = el("p", { "data-tone": tone }, text);
  find("toasts").append(node);
  setTimeout(() => node.remove(), tone === "bad" ? 15000 : 6000);
}

export const bad = (message) => toast(message, "bad");
