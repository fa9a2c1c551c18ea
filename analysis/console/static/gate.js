// The checks before a session: each with a shape, a word and its reason.

import { byId, el, icon, keyed, setData, setIcon, setText } from "./dom.js";
import { CHECK_ICONS, CHECK_WORDS } from "./words.js";

function make() {
  return el(
    "li",
    {},
    icon("wait"),
    el("div", {}, el("p", { class: "check-title" }, el("span", { class: "strong" }), el("span", { class: "check-word" })), el("p", { class: "check-text" }), el("p", { class: "check-more small" })),
  );
}

function update(item, check) {
  setData(item, "level", check.level);
  setIcon(item.querySelector("svg"), CHECK_ICONS[check.level] ?? "wait");
  setText(item.querySelector(".strong"), check.title);
  setText(item.querySelector(".check-word"), CHECK_WORDS[check.level] ?? check.level);
  setText(item.querySelector(".check-text"), check.text);
  // Parts that are good need no words of their own.
  const open = (check.parts ?? []).filter((part) => part.level !== "green").map((part) => part.text);
  const details = check.level === "green" ? (check.details ?? []) : [...open, ...(check.details ?? [])];
  const told = details.filter((text) => text && text !== check.text);
  setText(item.querySelector(".check-more"), told.join(" · "));
}

const RANK = { red: 0, amber: 1, wait: 2, green: 3 };

export function showGate(state) {
  const checks = state.preflight?.checks ?? [];
  // What needs a hand comes first; otherwise the order of the console.
  const ordered = [...checks].sort((a, b) => (RANK[a.level] ?? 2) - (RANK[b.level] ?? 2));
  keyed(byId("checks"), ordered, (check) => check.id, make, update);
  const text = checks.length ? "" : "The checks appear as soon as the devices run: streams, rates, values, clocks, disk, stimuli, display.";
  setText(byId("gate-hint"), text);
}
