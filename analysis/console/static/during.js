// During a session: what the participant sees and does, and whether all of it arrives.

import { post } from "./api.js";
import { byId, setData, setDisabled, setHidden, setText } from "./dom.js";
import { drawAffect, drawAus, drawFace, drawStage } from "./drawing.js";
import { showLog } from "./log.js";
import { attempt } from "./messages.js";
import { isStill, still_s } from "./pictures.js";
import { holdsControls, on, store } from "./store.js";
import { showStreams } from "./streams.js";
import { Surface } from "./surface.js";
import { AU_WORDS, bytes, clock, minutes, number, percent, roughly, STAGE_WORDS } from "./words.js";

const PHASE_WORDS = {
  fixation: "fixation cross",
  baseline: "baseline",
  neutral: "neutral picture",
  stimulus: "stimulus",
  post: "after the stimulus",
  rating: "rating",
  iti: "pause between trials",
  pause: "paused",
  calibration: "calibration",
  validation: "validation",
  instruction: "instruction",
  break: "break",
};
const STRONG_AU = 1;
const OLD_MS = 1500;
const surfaces = {};

function isShown() {
  return document.body.dataset.page === "during";
}

function showState(state) {
  const run = state?.run;
  setHidden(byId("during"), !run);
  setHidden(byId("during-empty"), Boolean(run));
  if (!run) return;
  showProgress(run);
  showAuSwitch(state);
  const disk = state.disk;
  const lasts = disk?.lasts_s ? `, lasts ${roughly(disk.lasts_s)}` : "";
  const lag = state.server?.journal_lag_ms;
  const parts = [disk ? `Disk: ${bytes(disk.free_bytes)} free${lasts}` : "", lag === null || lag === undefined ? "" : `on the disk ${number(lag)} ms after it came`];
  setText(byId("disk-facts"), parts.filter(Boolean).join(" · "));
  setData(byId("disk-facts"), "level", disk?.level ?? "ok");
}

function showProgress(run) {
  const { trial, step } = run;
  const inTrial = trial && trial.number !== null;
  const of = inTrial ? `Trial ${trial.number} of ${trial.of}` : step ? `Step ${step.number} of ${step.of}` : run.message || "Starting";
  setText(byId("progress-step"), of);
  const phase = PHASE_WORDS[trial?.phase];
  const what = inTrial ? [trial.stimulus, trial.category, phase] : [step?.label];
  const block = run.blocks?.length > 1 && step?.block ? `block ${step.block}` : "";
  setText(byId("progress-phase"), [...what, block].filter(Boolean).join(" · "));
  showEnd(run);
  const share = step?.of ? (step.number - 1) / step.of : 0;
  byId("track").setAttribute("aria-valuenow", String(Math.round(share * 100)));
  byId("track-fill").style.transform = `scaleX(${share.toFixed(4)})`;
}

/** The time that is left stands in the big line. */
function showEnd({ elapsed_s, remaining_s }) {
  const known = remaining_s !== null && remaining_s !== undefined;
  const end = known ? `until about ${clock(Date.now() + remaining_s * 1000).slice(0, 5)}` : "";
  setText(byId("progress-end"), [`${minutes(elapsed_s)} so far`, end].filter(Boolean).join(" · "));
}

function showAuSwitch(state) {
  const source = state.au_source;
  const button = byId("au-switch");
  const running = source?.state === "on" || source?.state === "starting";
  setHidden(button, !source || (!source.mine && running));
  setText(button, running ? "Stop measuring" : "Measure");
  setDisabled(button, !holdsControls() || source?.available === false);
  const facts = { starting: "The measurement starts…", failed: source?.text || "The measurement failed." };
  const why = source?.available === false ? source.reason : facts[source?.state];
  if (why || !store.live?.au) setText(byId("au-facts"), why ?? "");
}

function toggleAu() {
  const running = ["on", "starting"].includes(store.state?.au_source?.state);
  return attempt(() => post(running ? "/api/au/stop" : "/api/au/start"));
}

/** Draw the face with each of its pictures, all else with each live message: nothing twice. */
function drawCamera() {
  if (!isShown()) return;
  drawFace(surfaces.face, { picture: store.pictures.face, face: store.live?.face, still_s: still_s() });
}

function draw() {
  if (!isShown()) return;
  const { live, state, pictures } = store;
  const run = state?.run;
  const blind = Boolean(run?.blind);
  drawStage(surfaces.stage, { screen: run?.screen, stage: live?.stage, picture: pictures.stage, gaze: live?.gaze, blind });
  if (isStill()) drawCamera();
  drawAus(surfaces.aus, { au: live?.au, usable: live?.affect?.usable ?? true });
  drawAffect(surfaces.affect, { affect: live?.affect });
}

function showLive(live) {
  if (!isShown() || !live) return;
  const { gaze, face, affect, stage } = live;
  setText(byId("stage-word"), stage ? (STAGE_WORDS[stage.kind] ?? stage.kind) : "");
  setText(byId("gaze-facts"), gaze ? gazeFacts(gaze) : "No eye tracker");
  const seen = still_s() > OLD_MS / 1000 ? "old picture" : face?.found ? "face found" : "no face";
  setText(byId("face-word"), face ? seen : "");
  const advice = face?.advice ?? [];
  setData(byId("face-facts"), "level", advice.length ? "warn" : "ok");
  setText(byId("face-facts"), advice.length ? `! ${advice.join(" · ")}` : face?.found ? faceFacts(face) : "");
  if (live.au) setText(byId("au-facts"), expressionFacts(affect, live.au.values));
  if (live.progress) showEnd(live.progress);
}

function gazeFacts(gaze) {
  if (gaze.age_ms > OLD_MS) return `nothing for ${Math.round(gaze.age_ms / 1000)} s`;
  const distance = gaze.distance_mm ? `${Math.round(gaze.distance_mm / 10)} cm away` : "";
  const pupil = gaze.pupil_left ?? gaze.pupil_right;
  const size = pupil === null || pupil === undefined ? "" : `pupil ${number(pupil, 2)} ${gaze.pupil_unit ?? ""}`.trim();
  return [`eyes seen ${percent(gaze.valid_share)}`, distance, size].filter(Boolean).join(" · ");
}

function faceFacts(face) {
  const turned = face.yaw_deg === null || face.yaw_deg === undefined ? "" : `turned ${number(face.yaw_deg)}°, tilted ${number(face.pitch_deg)}°`;
  const light = face.brightness === null || face.brightness === undefined ? "" : `brightness ${percent(face.brightness)}`;
  return [turned, light].filter(Boolean).join(" · ");
}

function expressionFacts(affect, values) {
  if (affect && !affect.usable) return "face not usable just now";
  const whole = Object.entries(values).filter(([name]) => !/[LR]$/.test(name)); // not one side alone
  const strong = whole.filter(([, value]) => value !== null && value >= STRONG_AU);
  const most = strong.sort((a, b) => b[1] - a[1]).slice(0, 3);
  const named = most.map(([name]) => AU_WORDS[name.slice(0, 4)] ?? name).join(", ");
  return [named, affect ? affectFacts(affect) : ""].filter(Boolean).join(" · ");
}

function affectFacts(affect) {
  const like = affect.prototype ? `most like: ${affect.prototype}` : "";
  const measured = affect.arousal !== null && affect.arousal !== undefined;
  const arousal = measured ? `arousal ${number(affect.arousal, 2)}` : "";
  return [like, `valence ${number(affect.valence, 2)}`, arousal].filter(Boolean).join(" · ");
}

export function startDuring() {
  for (const name of ["stage", "aus", "affect"]) surfaces[name] = new Surface(byId(name), draw);
  surfaces.face = new Surface(byId("face"), drawCamera);
  byId("au-switch").addEventListener("click", toggleAu);
  on("state", showState);
  on("connection", () => showState(store.state));
  on("live", showLive);
  on("live", draw);
  on("picture-face", drawCamera);
  on("streams", showStreams);
  on("log", showLog);
}
