// What happened, newest first.

import { byId, el } from "./dom.js";
import { clock } from "./words.js";

const SHOWN = 100;
const MARKS = { info: "", notice: "•", warning: "!", error: "✕" };
let newest = null;

function item(entry) {
  const mark = MARKS[entry.level] ?? "";
  const line = el(
    "li",
    { data: { level: entry.level, source: entry.source } },
    el("time", { text: clock(entry.t_ms) }),
    el("span", { class: "mark-word", text: mark }),
    el("span", { class: "what", text: entry.text }),
  );
  if (mark) line.setAttribute("aria-label", `${entry.level}, ${clock(entry.t_ms)}: ${entry.text}`);
  return line;
}

export function showLog(entries) {
  const list = byId("log");
  const last = entries.lastIndexOf(newest);
  const added = last < 0 ? entries : entries.slice(last + 1);
  if (last < 0) list.replaceChildren();
  for (const entry of added.slice(-SHOWN)) list.prepend(item(entry));
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
  newest = entries.at(-1) ?? null;
}
