// The choice of a device with its options, and of further sources.

import { byId, el, fillSelect, setHidden, setText } from "./dom.js";

let nextId = 0;

/** A field for one option of a source; empty means the source's own default. */
function optionField(option, given, changed) {
  nextId += 1;
  const id = `option-${nextId}`;
  const value = given ?? "";
  const label = el("label", { for: id, text: option.key.replaceAll("_", " "), title: option.description ?? "" });
  const names = { id, data: { option: option.key }, onchange: changed };
  const initial = option.default === null || option.default === undefined ? "" : String(option.default);
  let field;
  if (option.kind === "choice" || option.kind === "bool") {
    const choices = option.choices ?? ["true", "false"];
    const standard = initial ? `as usual (${initial})` : "as usual";
    field = el("select", names);
    fillSelect(field, [{ value: "", text: standard }, ...choices.map((text) => ({ value: text, text }))], value);
  } else {
    const inputmode = option.kind === "number" ? "decimal" : "text";
    field = el("input", { ...names, placeholder: initial, inputmode, maxlength: "200", spellcheck: "false" });
    field.value = value;
  }
  return el("div", { class: "option" }, label, field, el("p", { class: "hint", text: option.description ?? "" }));
}

function optionValues(box) {
  const found = {};
  for (const field of box.querySelectorAll("[data-option]")) {
    const value = field.value.trim();
    if (value !== "") found[field.dataset.option] = value;
  }
  return found;
}

function choiceText(device) {
  return device.available === false && device.reason ? `${device.title}: ${device.reason}` : device.title;
}

/** A select of devices and, folded away, the options of the chosen one. */
export class DeviceChoice {
  constructor(selectId, detailsId, changed) {
    this.select = byId(selectId);
    this.details = byId(detailsId);
    this.box = this.details.querySelector(".options");
    this.changed = changed;
    this.devices = [];
    this.shown = null;
    this.select.addEventListener("change", () => {
      this.#showOptions({});
      changed();
    });
  }

  fill(devices, chosen, options) {
    this.devices = devices;
    const choices = devices.map((device) => ({
      value: device.id,
      text: choiceText(device),
      disabled: device.available === false,
    }));
    fillSelect(this.select, choices, chosen);
    if (this.shown !== this.select.value) this.#showOptions(options ?? {});
  }

  #showOptions(given) {
    this.shown = this.select.value;
    const device = this.devices.find((one) => one.id === this.shown);
    const options = device?.options ?? [];
    setHidden(this.details, options.length === 0);
    this.box.replaceChildren(...options.map((option) => optionField(option, given[option.key], this.changed)));
  }

  get value() {
    return this.select.value;
  }

  get options() {
    return optionValues(this.box);
  }
}

/** Further sources: added by a select, each with its options and a button that takes it off. */
export class SourceList {
  constructor(listId, selectId, changed) {
    this.list = byId(listId);
    this.select = byId(selectId);
    this.changed = changed;
    this.sources = [];
    this.select.addEventListener("change", () => {
      const name = this.select.value;
      this.select.value = "";
      if (name) this.#add(name, {});
      changed();
    });
  }

  fill(sources, chosen) {
    this.sources = sources;
    const choices = sources.map((source) => ({
      value: source.id,
      text: choiceText(source),
      disabled: source.available === false,
    }));
    fillSelect(this.select, [{ value: "", text: "Add…" }, ...choices], "");
    for (const { name, options } of chosen ?? []) this.#add(name, options ?? {});
  }

  #add(name, given) {
    const source = this.sources.find((one) => one.id === name);
    if (!source) return;
    const box = el("div", { class: "options" });
    box.append(...(source.options ?? []).map((option) => optionField(option, given[option.key], this.changed)));
    const remove = el("button", { type: "button", class: "plain", text: "Take off" });
    const details = el("details", {}, el("summary", { text: "Options" }), box);
    const item = el("li", { data: { source: name } }, el("span", { text: source.title }), remove, details);
    setHidden(details, box.childElementCount === 0);
    setText(remove, "Take off");
    remove.setAttribute("aria-label", `Take off ${source.title}`);
    remove.addEventListener("click", () => {
      item.remove();
      this.select.focus();
      this.changed();
    });
    this.list.append(item);
  }

  get values() {
    return [...this.list.children].map((item) => ({
      name: item.dataset.source,
      options: optionValues(item),
    }));
  }
}
