// Small helpers around the DOM. Data reach the page as text nodes and properties only, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of an id that the page must have. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no element ${id}`);
  return node;
}

/** Make an element: `el("li", { class: "x", text: "…", title: "…", onclick: f }, ...children)`. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Make one of the icons that index.html holds. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Change which icon an `<svg class=icon>` or its `<use>` shows. */
export function setIcon(node, name) {
  const use = node.tagName === "use" ? node : node.querySelector("use");
  const href = `#i-${name}`;
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/** Set a text only where it differs: nothing is laid out anew for the same words. */
export function setText(node, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setData(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function setDisabled(node, disabled) {
  if (node.disabled !== disabled) node.disabled = disabled;
}

/** Keep the children of `parent` in step with `items`; nodes of the same key are used again. */
export function keyed(parent, items, keyOf, make, update) {
  const nodes = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = nodes.get(key);
    nodes.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of nodes.values()) node.remove();
}

/** Fill a select; keeps the choice where it still exists. */
export function fillSelect(select, choices, chosen) {
  const wanted = chosen ?? select.value;
  select.replaceChildren(
    ...choices.map(({ value, text, disabled }) =>
      el("option", { value, text, disabled: Boolean(disabled) }),
    ),
  );
  if (choices.some((choice) => choice.value === wanted)) select.value = wanted;
}
