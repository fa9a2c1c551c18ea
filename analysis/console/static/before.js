// Before a session: who and what, the devices with what they see, and whether it may begin.

import { get, post } from "./api.js";
import { DeviceChoice, SourceList } from "./devices.js";
import { byId, fillSelect, setData, setDisabled, setHidden, setText } from "./dom.js";
import { drawAudio, drawEyes, drawFace } from "./drawing.js";
import { showGate } from "./gate.js";
import { attempt, quiet, tell } from "./messages.js";
import { isStill, still_s } from "./pictures.js";
import { holdsControls, on, store } from "./store.js";
import { Surface } from "./surface.js";
import { bytes, number, roughly } from "./words.js";

const CHECK_AFTER_MS = 350;
const SHORTEST_REASON = 5;

let setup = null;
let checked = null;
let checkTimer = 0;
let shownDevices = "";
let starting = false;
let camera = null;
let eyetracker = null;
let sources = null;
const surfaces = {};

export async function loadSetup() {
  const answer = await attempt(() => get("/api/setup"));
  if (!answer) return;
  const first = setup === null;
  setup = answer;
  fillSelect(byId("protocol"), setup.protocols.map(protocolChoice), first ? setup.defaults.protocol : null);
  camera.fill(setup.cameras, first ? setup.defaults.camera : null, setup.defaults.camera_options);
  eyetracker.fill(setup.eyetrackers, first ? setup.defaults.eyetracker : null, setup.defaults.eyetracker_options);
  sources.fill(setup.sources, first ? setup.defaults.sources : null);
  if (first) {
    for (const name of ["pilot", "blind", "headless", "resume"]) byId(name).checked = Boolean(setup.defaults[name]);
    if (!setup.display.available) byId("headless").checked = true;
  }
  suggest();
}

/** Fill in the next participant, unless somebody is typing one. */
function suggest() {
  if (document.activeElement !== byId("participant")) {
    byId("participant").value = setup.suggestion.participant;
    byId("session").value = setup.suggestion.session;
  }
  for (const name of ["run", "seed", "replaces"]) byId(name).value = "";
  byId("resume").checked = false;
  showProtocol();
  check();
}

function protocolChoice(protocol) {
  const own = protocol.where === "study" ? " (this study)" : "";
  return { value: protocol.id, text: protocol.title + own, disabled: Boolean(protocol.error) };
}

function showProtocol() {
  const protocol = setup?.protocols.find((one) => one.id === byId("protocol").value);
  if (!protocol) return;
  const parts = [protocol.description, `${protocol.trials} trials, ${roughly(protocol.planned_s)}`, protocol.screen];
  setText(byId("protocol-about"), protocol.error ?? parts.filter(Boolean).join(" · "));
}

/** The choices as the console wants them. */
export function formValues() {
  const text = (id) => byId(id).value.trim();
  const seed = text("seed");
  return {
    protocol: byId("protocol").value,
    participant: text("participant"),
    session: text("session"),
    run: text("run") || null,
    eyetracker: eyetracker.value,
    eyetracker_options: eyetracker.options,
    camera: camera.value,
    camera_options: camera.options,
    sources: sources.values,
    seed: seed === "" ? null : Number.isInteger(Number(seed)) ? Number(seed) : seed,
    headless: byId("headless").checked,
    pilot: byId("pilot").checked,
    blind: byId("blind").checked,
    resume: byId("resume").checked,
    replaces: text("replaces") || null,
  };
}

function devicesKey() {
  const { participant, session, run, seed, pilot, blind, resume, replaces, headless, ...devices } = formValues();
  return JSON.stringify(devices);
}

function check() {
  clearTimeout(checkTimer);
  checkTimer = setTimeout(checkNow, CHECK_AFTER_MS);
}

async function checkNow() {
  const form = formValues();
  if (!form.participant || !form.session || !form.protocol) {
    showCheck({ ok: false, error: "Choose a participant and a session.", field: null });
    return;
  }
  const { participant, session, protocol } = form;
  const question = { participant, session, protocol, pilot: String(form.pilot) };
  if (form.run) question.run = form.run;
  try {
    showCheck(await get("/api/participants/check", question));
  } catch (refusal) {
    showCheck({ ok: false, error: refusal.message, field: refusal.field });
  }
}

function showCheck(answer) {
  checked = answer;
  const line = byId("check");
  setData(line, "level", answer.ok ? "ok" : "alarm");
  const goes = [`✓ run ${answer.run}`, answer.trials ? `${answer.trials} trials` : "", roughly(answer.planned_s), bytes(answer.needed_bytes)];
  const warnings = (answer.warnings ?? []).map((text) => `! ${text}`);
  const text = answer.ok ? goes.filter(Boolean).join(" · ") : `✕ ${answer.error}`;
  setText(line, [text, ...warnings].join("  "));
  setHidden(byId("resume-row"), !answer.can_resume);
  if (!answer.can_resume) byId("resume").checked = false;
  markField(answer.ok ? null : answer.field);
  showStart();
}

/** Mark the field that the console refused. */
function markField(path) {
  const name = path ? path.split(".")[0] : null;
  for (const field of document.querySelectorAll("#page-before [data-field]")) {
    if (field.dataset.field === name) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}

async function preview() {
  const on_ = ["starting", "on", "failed"].includes(store.state?.preview?.state);
  const same = shownDevices === devicesKey();
  if (on_ && same) {
    await attempt(() => post("/api/preview/stop"));
    shownDevices = "";
    return;
  }
  const wanted = devicesKey();
  try {
    await post("/api/preview/start", formValues());
    shownDevices = wanted;
    quiet();
  } catch (refusal) {
    tell(refusal.message);
    markField(refusal.field);
  }
  showPreview();
}

function showPreview() {
  const now = store.state?.preview;
  const running = now && ["starting", "on", "failed"].includes(now.state);
  const same = shownDevices === "" || shownDevices === devicesKey();
  const words = !running ? "Check the devices" : same ? "Stop the devices" : "Check the new choice";
  setText(byId("preview"), words);
  setDisabled(byId("preview"), !holdsControls() || now?.state === "stopping");
  byId("preview").classList.toggle("primary", !running || !same);
  const told = (now?.devices ?? []).map((one) => {
    const state = { starting: "starts", on: "runs", failed: "failed" }[one.state] ?? one.state;
    return `${one.label} ${state}${one.text ? ` (${one.text})` : ""}`;
  });
  const text = now?.text || told.join(" · ") || "Choose, then check: the devices start and show here what they see.";
  setText(byId("preview-text"), text);
}

function showStart() {
  const state = store.state;
  if (!state) return;
  const green = state.preflight?.level === "green" && state.preflight.ready;
  const checks = state.preflight?.checks ?? [];
  const reason = byId("override").value.trim();
  const setUp = state.phase === "setup";
  setHidden(byId("override-row"), green || !setUp || !checks.length);
  const may = holdsControls() && setUp && checked?.ok && !starting;
  setDisabled(byId("start"), !(may && (green || (checks.length && reason.length >= SHORTEST_REASON))));
  byId("start").classList.toggle("anyway", !green);
  setText(byId("start"), green || !checks.length ? "Start the session" : "Start anyway");
  setText(byId("start-hint"), startHint({ setUp, green, checks, reason }));
}

function startHint({ setUp, green, checks, reason }) {
  if (!setUp) return "A session runs already.";
  if (!holdsControls()) return "Only the page that holds the controls can start.";
  if (!checked?.ok) return "Choose a participant that has not been recorded yet.";
  if (!checks.length) return "Check the devices first.";
  if (green) return "";
  return reason.length >= SHORTEST_REASON ? "" : "Wait until all is green, or give a reason.";
}

async function start() {
  const checks = store.state?.preflight;
  const green = checks?.level === "green" && checks.ready;
  const override_reason = green ? null : byId("override").value.trim();
  starting = true;
  showStart();
  try {
    await post("/api/session/start", { ...formValues(), override_reason });
    byId("override").value = "";
    shownDevices = "";
  } catch (refusal) {
    tell(refusal.message);
    markField(refusal.field);
  }
  starting = false;
  showStart();
}

function showState(state) {
  if (!state) return;
  showGate(state);
  showPreview();
  showStart();
}

function showPictures() {
  drawFace(surfaces.face, { picture: store.pictures.face, face: store.live?.face, still_s: still_s() });
}

function showLive(live) {
  if (document.body.dataset.page !== "before") return;
  if (isStill()) showPictures();
  drawEyes(surfaces.gaze, { gaze: live?.gaze, screen: null });
  drawAudio(surfaces.audio, { audio: live?.audio });
  setHidden(byId("audio"), !live?.audio);
  if (live?.audio) {
    setText(byId("audio-name"), live.audio.stream);
    setText(byId("audio-db"), `${number(live.audio.level_db)} dB`);
  }
  advise(byId("face-advice"), live?.face, live?.face?.ok ? "Light and angle are good" : "");
  const seen = live?.gaze ? `Eyes seen ${Math.round((live.gaze.valid_share ?? 0) * 100)} % of the time` : "";
  advise(byId("gaze-advice"), live?.gaze, seen);
}

function advise(line, source, good) {
  const advice = source?.advice ?? [];
  setData(line, "level", advice.length ? "warn" : source ? "ok" : "idle");
  setText(line, advice.length ? `! ${advice.join(" · ")}` : good ? `✓ ${good}` : "");
}

/** A page that gets a session back to set-up asks again for who comes next. */
function followPhase(state) {
  const before = followPhase.phase;
  followPhase.phase = state?.phase;
  if (state?.phase === "setup" && before !== "setup") loadSetup();
}

export function startBefore() {
  camera = new DeviceChoice("camera", "camera-options", showPreview);
  eyetracker = new DeviceChoice("eyetracker", "eyetracker-options", showPreview);
  sources = new SourceList("sources", "source-add", showPreview);
  surfaces.face = new Surface(byId("before-face"), showPictures);
  surfaces.gaze = new Surface(byId("before-gaze"), () => showLive(store.live));
  surfaces.audio = new Surface(byId("before-audio"), () => showLive(store.live));
  byId("form-who").addEventListener("submit", (event) => event.preventDefault());
  byId("form-who").addEventListener("input", () => {
    showProtocol();
    showPreview();
    check();
  });
  byId("look-again").addEventListener("click", loadSetup);
  byId("preview").addEventListener("click", preview);
  byId("override").addEventListener("input", showStart);
  byId("start").addEventListener("click", start);
  on("state", followPhase);
  on("state", showState);
  on("connection", () => showState(store.state));
  on("live", showLive);
  on("picture-face", () => document.body.dataset.page === "before" && showPictures());
}
