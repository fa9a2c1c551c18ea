// The console: one page with four views, and the line that says whether everything is recorded.

import { acknowledge, mute, startAlarms } from "./alarms.js";
import { startAfter } from "./after.js";
import { startBefore } from "./before.js";
import { command, startControls } from "./controls.js";
import { byId, el, icon, keyed, setData, setHidden, setIcon, setText } from "./dom.js";
import { startDuring } from "./during.js";
import { headline } from "./headline.js";
import { startPeople } from "./people.js";
import { forgetPictures } from "./pictures.js";
import { connect, lastStreamsAge_ms, on, onMessage, store, want } from "./store.js";
import { enterStudy, startStudy } from "./study.js";
import { clock } from "./words.js";

const PAGES = ["before", "during", "after", "study"];
const PICTURES = { before: ["face"], during: ["face", "stage"], after: [], study: [] };
const PAGE_OF_PHASE = {
  setup: "before",
  starting: "during",
  running: "during",
  sealing: "after",
  ended: "after",
};
const KEYS_KEY = "duchenne-single-keys";

let phase = null;

function page() {
  const [, name] = location.hash.split("/");
  return PAGES.includes(name) ? name : null;
}

function show() {
  const name = page() ?? "before";
  document.body.dataset.page = name;
  for (const other of PAGES) setHidden(byId(`page-${other}`), other !== name);
  for (const link of byId("pages").querySelectorAll("a")) {
    if (link.dataset.to === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  forgetPictures();
  want(PICTURES[name]);
  if (name === "study") enterStudy();
}

/** Go where the session is, but never away from a page that was chosen on purpose. */
function followPhase(state) {
  if (!state || state.phase === phase) return;
  const before = phase;
  phase = state.phase;
  const chosen = page();
  const wasHere = before === null ? chosen !== "study" : chosen === PAGE_OF_PHASE[before];
  if (wasHere) location.hash = `#/${PAGE_OF_PHASE[phase]}`;
}

function showHeadline() {
  const said = headline({ ...store, streamsAge_ms: lastStreamsAge_ms() });
  setData(byId("headline"), "level", said.level);
  setIcon(byId("headline-icon"), said.icon);
  setText(byId("headline-title"), said.title);
  setText(byId("headline-detail"), said.detail);
  const others = said.others.map((text) => ({ text }));
  keyed(byId("headline-more"), others, (other) => other.text, makeOther, () => {});
  setText(byId("headline-clock"), said.clock);
  setText(byId("headline-clock-word"), said.clockWord);
}

function makeOther({ text }) {
  return el("li", {}, icon("alarm"), el("span", { text }));
}

/** The tab's title speaks as well: at once, also where the tab is hidden. */
function showTitle() {
  const said = headline({ ...store, streamsAge_ms: lastStreamsAge_ms() });
  const mark = { alarm: "✕ ", warn: "! ", lost: "✕ ", ok: "● " }[said.level] ?? "";
  const title = `${mark}${said.title} · Duchenne`;
  if (document.title !== title) document.title = title;
}

function showWhose(state) {
  const run = state?.run;
  const parts = run ? [run.participant, `session ${run.session}`, run.task, `run ${run.run}`] : [];
  if (run?.pilot) parts.push("pilot");
  if (run?.blind) parts.push("blind");
  if (run?.started_t_ms) parts.push(`since ${clock(run.started_t_ms)}`);
  setText(byId("whose"), run ? parts.join(" · ") : (store.hello?.study?.name ?? ""));
}

function keysWanted() {
  return localStorage.getItem(KEYS_KEY) !== "off";
}

/** Put the cursor where notes are written: at once, or the next letters would be taken for keys. */
function note() {
  location.hash = "#/during";
  show();
  byId("note").focus();
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !keysWanted()) return;
  const target = event.target;
  const typing = target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  const goTo = PAGES[Number(key) - 1];
  const actions = {
    p: () => command("pause"),
    s: () => command("skip"),
    c: () => command("recalibrate"),
    a: () => command("abort"),
    n: note,
    k: acknowledge,
    m: mute,
    "?": () => byId("dialog-help").showModal(),
  };
  if (goTo) location.hash = `#/${goTo}`;
  else if (actions[key]) actions[key]();
  else return;
  event.preventDefault();
}

function startHelp() {
  byId("help").addEventListener("click", () => byId("dialog-help").showModal());
  const choice = byId("keys-on");
  choice.checked = keysWanted();
  choice.addEventListener("change", () => {
    localStorage.setItem(KEYS_KEY, choice.checked ? "on" : "off");
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => dialog.close());
    }
  }
  document.addEventListener("keydown", press);
}

startHelp();
startAlarms();
startControls();
startPeople();
startBefore();
startDuring();
startAfter();
startStudy();
for (const kind of ["state", "connection", "streams"]) {
  on(kind, showHeadline);
  onMessage(kind, showTitle);
}
on("state", followPhase);
on("state", showWhose);
on("hello", () => showWhose(store.state));
setInterval(() => {
  showHeadline();
  showTitle();
}, 1000);
window.addEventListener("hashchange", show);
show();
connect();
