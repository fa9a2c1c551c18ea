// The buttons of a running session: only for who holds the controls; what cannot be undone asks first.

import { post } from "./api.js";
import { byId, setDisabled, setHidden, setIcon, setText } from "./dom.js";
import { attempt, whisper } from "./messages.js";
import { holdsControls, on, store } from "./store.js";

const SHORTEST_REASON = 3;
const LIVE_PHASES = ["starting", "running"];

function run() {
  return store.state?.run ?? null;
}

function allowed(name) {
  return holdsControls() && LIVE_PHASES.includes(store.state.phase) && (run()?.can ?? []).includes(name);
}

function toggled(name) {
  return name === "pause" && (run()?.can ?? []).includes("resume") && !(run()?.can ?? []).includes("pause")
    ? "resume"
    : name;
}

async function send(name, reason = "") {
  const done = await attempt(() =>
    post("/api/session/command", { run_id: run().id, command: name, reason }),
  );
  if (done) whisper(`${name}: told the session`);
}

/** Do what a button or a key asks: at once, or after a question. */
export function command(asked) {
  const name = toggled(asked);
  if (!allowed(name)) return;
  if (name === "abort") askAbort();
  else if (name === "skip") askSkip();
  else send(name);
}

function askAbort() {
  const reason = byId("abort-reason");
  reason.value = "";
  byId("abort-yes").disabled = true;
  byId("dialog-abort").showModal();
  reason.focus();
}

function askSkip() {
  const step = run()?.step;
  const which = step ? `Step ${step.number} of ${step.of}${step.label ? `: ${step.label}` : ""}. ` : "";
  setText(byId("skip-what"), `${which}What is open ends now and is marked as cut short.`);
  byId("dialog-skip").showModal();
  byId("skip-yes").focus();
}

async function sendNote(event) {
  event.preventDefault();
  const field = byId("note");
  const text = field.value.trim();
  if (!text || !run()) return;
  const done = await attempt(() => post("/api/session/note", { run_id: run().id, text }));
  if (!done) return;
  field.value = "";
  field.blur();
  whisper("Note taken");
}

function show(state) {
  const live = Boolean(state) && LIVE_PHASES.includes(state.phase);
  setHidden(byId("controls"), !live);
  const canNote = live && (run()?.can ?? []).includes("note") && store.connection === "on";
  setDisabled(byId("note"), !canNote);
  setDisabled(byId("note-send"), !canNote);
  if (!live) {
    for (const id of ["dialog-abort", "dialog-skip"]) if (byId(id).open) byId(id).close();
    return;
  }
  for (const id of ["pause", "skip", "recalibrate", "abort"]) {
    setDisabled(byId(id), !allowed(toggled(id)));
  }
  const goesOn = toggled("pause") === "resume";
  const waiting = run()?.pause_asked && !goesOn;
  setIcon(byId("pause-icon"), goesOn ? "play" : "pause");
  setText(byId("pause-text"), goesOn ? "Go on" : waiting ? "Pauses soon" : "Pause");
  setText(byId("recalibrate-text"), run()?.recalibration_asked ? "Calibrates soon" : "Recalibrate");
  const holder = state.control?.holder;
  const mine = state.me?.holds_controls;
  const who = mine ? "You hold the controls" : holder ? `${holder.name} holds the controls` : "Nobody holds the controls";
  setText(byId("controls-who"), who);
  setHidden(byId("take"), Boolean(mine));
}

export function startControls() {
  for (const button of byId("controls").querySelectorAll("[data-command]")) {
    button.addEventListener("click", () => command(button.dataset.command));
  }
  byId("note-form").addEventListener("submit", sendNote);
  const reason = byId("abort-reason");
  const check = () => setDisabled(byId("abort-yes"), reason.value.trim().length < SHORTEST_REASON);
  reason.addEventListener("input", check);
  for (const button of byId("abort-quick").querySelectorAll("button")) {
    button.addEventListener("click", () => {
      reason.value = button.textContent;
      check();
      byId("abort-yes").focus();
    });
  }
  byId("dialog-abort").addEventListener("submit", () => {
    if (reason.value.trim().length < SHORTEST_REASON) return;
    byId("dialog-abort").close();
    send("abort", reason.value.trim());
  });
  byId("dialog-skip").addEventListener("submit", () => {
    byId("dialog-skip").close();
    send("skip");
  });
  on("state", show);
  on("connection", () => show(store.state));
}
