// Alarms that are heard and read out: beeps while one is active and unseen, words for screen readers.

import { byId, setHidden, setIcon, setText } from "./dom.js";
import { post } from "./api.js";
import { activeAlarms } from "./headline.js";
import { holdsControls, onMessage, store } from "./store.js";
import { tell } from "./messages.js";

const QUIET_MS = 60000;
const REPEAT_MS = 2000;
const BEEPS = [
  { at_s: 0.0, hz: 880 },
  { at_s: 0.22, hz: 660 },
  { at_s: 0.44, hz: 880 },
];
const BEEP_S = 0.16;
const VOLUME = 0.35;

let audio = null;
let quietUntil_ms = 0;
let timer = 0;
const announced = new Set();
/** Alarms that a page without the controls has marked as seen for itself. */
const seenHere = new Set();

/** Alarms that still sound. */
export function sounding() {
  return activeAlarms(store.state?.alarms, "alarm").filter(
    (alarm) => !alarm.acknowledged && !seenHere.has(alarm.id),
  );
}

/** Browsers allow sound only after the page was touched once. */
function allowSound() {
  if (!audio) audio = new AudioContext();
  if (audio.state === "suspended") audio.resume().then(showSound, () => {});
  showSound();
}

export function beep() {
  if (!audio || audio.state !== "running") return;
  const start = audio.currentTime + 0.02;
  for (const { at_s, hz } of BEEPS) {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    tone.type = "square";
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(0, start + at_s);
    gain.gain.linearRampToValueAtTime(VOLUME, start + at_s + 0.01);
    gain.gain.setValueAtTime(VOLUME, start + at_s + BEEP_S - 0.02);
    gain.gain.linearRampToValueAtTime(0, start + at_s + BEEP_S);
    tone.connect(gain).connect(audio.destination);
    tone.start(start + at_s);
    tone.stop(start + at_s + BEEP_S);
  }
  document.body.dataset.beeps = String(Number(document.body.dataset.beeps ?? 0) + 1);
}

function isQuiet() {
  return performance.now() < quietUntil_ms;
}

function sound() {
  if (!isQuiet() && sounding().length) beep();
  showSound();
  if (!sounding().length && !isQuiet()) {
    clearInterval(timer);
    timer = 0;
  }
}

function follow() {
  const alarms = store.state?.alarms ?? [];
  for (const alarm of alarms) {
    const key = `${alarm.id} ${alarm.until_t_ms === null ? "on" : "off"}`;
    if (announced.has(key)) continue;
    announced.add(key);
    announce(alarm);
  }
  if (sounding().length && !timer) {
    timer = setInterval(sound, REPEAT_MS);
    sound();
  }
  showSound();
}

/** Read out what is new; an alarm that was over before this page came is only shown. */
function announce(alarm) {
  if (alarm.until_t_ms === null) {
    const place = alarm.level === "alarm" ? "voice-alarm" : "voice-quiet";
    setText(byId(place), `${alarm.level === "alarm" ? "Alarm" : "Warning"}: ${alarm.text}`);
  } else if (announced.has(`${alarm.id} on`)) {
    setText(byId("voice-quiet"), `Over: ${alarm.text}`);
  }
}

function showSound() {
  const loud = sounding().length > 0;
  setHidden(byId("acknowledge"), !loud);
  setHidden(byId("mute"), !loud || isQuiet());
  const blocked = !audio || audio.state !== "running";
  const left_s = Math.ceil((quietUntil_ms - performance.now()) / 1000);
  let words = "Sound on";
  if (blocked) words = "Allow sound";
  else if (left_s > 0) words = `Quiet for ${left_s} s`;
  setText(byId("sound-text"), words);
  setIcon(byId("sound"), blocked || left_s > 0 ? "mute" : "sound");
  byId("sound").classList.toggle("attention", blocked);
}

export function mute() {
  quietUntil_ms = performance.now() + QUIET_MS;
  if (!timer) timer = setInterval(sound, REPEAT_MS);
  showSound();
}

/** The holder's "seen" counts for everyone; a watcher's only stops the sound here. */
export async function acknowledge() {
  const ids = sounding().map((alarm) => alarm.id);
  if (!ids.length) return;
  if (!holdsControls()) {
    for (const id of ids) seenHere.add(id);
    showSound();
    return;
  }
  try {
    await post("/api/alarms/ack", { ids });
  } catch (refusal) {
    tell(refusal.message);
  }
}

export function startAlarms() {
  onMessage("state", follow);
  onMessage("connection", showSound);
  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, allowSound);
  byId("sound").addEventListener("click", () => {
    if (isQuiet()) {
      quietUntil_ms = 0;
      showSound();
    }
  });
  byId("acknowledge").addEventListener("click", acknowledge);
  byId("mute").addEventListener("click", mute);
  byId("try-sound").addEventListener("click", beep);
  showSound();
}
