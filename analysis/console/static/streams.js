// The table of streams: one row each, kept and only changed where a number differs.

import { byId, el, icon, keyed, setData, setIcon, setText } from "./dom.js";
import { age, count, number, STREAM_STATES } from "./words.js";

const COLUMNS = ["rate", "age", "lost", "gaps", "offset", "jitter", "samples"];

function make() {
  const state = el("td", { class: "state" }, el("span", { class: "chip" }, icon("wait"), el("span", { class: "word" })));
  const name = el("th", { scope: "row" }, el("span", { class: "stream-name" }), el("span", { class: "small stream-note" }));
  return el("tr", {}, state, name, ...COLUMNS.map((column) => el("td", { class: `num ${column}` })));
}

function update(row, stream) {
  const said = STREAM_STATES[stream.state] ?? { word: stream.state, icon: "wait", level: "wait" };
  setData(row, "level", said.level);
  setIcon(row.querySelector("svg"), said.icon);
  setText(row.querySelector(".word"), said.word);
  setText(row.querySelector(".stream-name"), stream.name);
  // The big line tells of what is gone; here is room for what is only odd.
  const notes = [said.level === "warn" ? stream.reason : "", stream.recorded ? "" : "not recorded"];
  setText(row.querySelector(".stream-note"), notes.filter(Boolean).join(" · "));
  row.title = stream.reason || stream.type;
  const values = {
    rate: rate(stream),
    age: age(stream.age_s),
    lost: count(stream.lost),
    gaps: count(stream.gaps),
    offset: number(stream.offset_ms, 2),
    jitter: number(stream.jitter_ms, 2),
    samples: count(stream.samples),
  };
  for (const column of COLUMNS) setText(row.querySelector(`.${column}`), values[column]);
}

function rate(stream) {
  if (!stream.nominal_hz) return "as it happens";
  return `${number(stream.rate_hz, 1)} of ${number(stream.nominal_hz, stream.nominal_hz % 1 ? 1 : 0)}`;
}

/** What is recorded first, streams with a rate before those that come as it happens. */
function byKind(a, b) {
  const rank = (stream) => (stream.recorded ? 0 : 2) + (stream.nominal_hz ? 0 : 1);
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}

export function showStreams(streams) {
  if (document.body.dataset.page !== "during") return;
  const body = byId("streams").tBodies[0];
  const ordered = [...(streams ?? [])].sort(byKind);
  keyed(body, ordered, (stream) => `${stream.recorded} ${stream.key}`, make, update);
}
