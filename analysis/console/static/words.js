// How times, sizes and states are said.

const MINUS = "\u2212";

export function clock(t_ms) {
  if (t_ms === null || t_ms === undefined) return "";
  const date = new Date(t_ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** 75 → "1:15"; an hour and more → "1:02:05". */
export function minutes(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${Math.floor((whole % 3600) / 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}` : rest;
}

/** "about 8 min", for lengths that are planned. */
export function roughly(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

export function bytes(n) {
  if (n === null || n === undefined) return "";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(value < 10 ? 1 : 0) : value} ${units[unit]}`;
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(digits);
  if (!text.startsWith("-")) return text;
  return Number(text) === 0 ? text.slice(1) : MINUS + text.slice(1);
}

/** 123456 → "123 456" with thin spaces. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.995) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

/** Words and icons of a stream's state; a shape and a word each, never a colour alone. */
export const STREAM_STATES = {
  ok: { word: "arrives", icon: "ok", level: "ok" },
  waiting: { word: "waiting", icon: "wait", level: "wait" },
  stopped: { word: "stopped", icon: "alarm", level: "alarm" },
  gone: { word: "gone", icon: "alarm", level: "alarm" },
  frozen: { word: "frozen", icon: "alarm", level: "alarm" },
  drifting: { word: "drifting", icon: "warn", level: "warn" },
  slow: { word: "slow", icon: "warn", level: "warn" },
};

/** The first, loud word of an alarm. */
export const ALARM_WORDS = {
  stopped: "STOPPED",
  gone: "GONE",
  frozen: "FROZEN",
  drifting: "DRIFTING",
  slow: "TOO SLOW",
  face: "NO FACE",
  eyes: "NO EYES",
  disk: "DISK FULL SOON",
  recorder: "RECORDER",
  display: "DISPLAY",
  clock: "CLOCKS",
  late: "LATE",
};

export const CHECK_ICONS = { green: "ok", amber: "warn", red: "alarm", wait: "wait" };
export const CHECK_WORDS = { green: "good", amber: "look", red: "not good", wait: "waiting" };
export const FINDING_ICONS = { ok: "ok", note: "idle", warn: "warn", fail: "alarm" };
export const FINDING_WORDS = { ok: "good", note: "note", warn: "look", fail: "not good" };
export const GRADE_ICONS = { good: "ok", fair: "warn", poor: "alarm" };

export const SESSION_STATES = {
  recording: { word: "recording now", icon: "wait", level: "wait" },
  unsealed: { word: "not sealed", icon: "alarm", level: "alarm" },
  sealed: { word: "recorded", icon: "idle", level: "idle" },
  analyzed: { word: "analysed", icon: "ok", level: "ok" },
};

export const STAGE_WORDS = {
  blank: "empty screen",
  fixation: "fixation cross",
  rating: "rating",
  instruction: "instruction",
  pause: "pause",
  calibration: "calibration",
  text: "text",
  audio: "sound",
  image: "picture",
  video: "film",
  other: "something else",
};

/** Short words for Action Units (Ekman, Friesen & Hager, 2002). */
export const AU_WORDS = {
  AU01: "inner brow up",
  AU02: "outer brow up",
  AU04: "brows down",
  AU05: "upper lids up",
  AU06: "cheeks up",
  AU07: "lids tight",
  AU09: "nose wrinkled",
  AU10: "upper lip up",
  AU11: "nose furrow deeper",
  AU12: "lip corners up",
  AU14: "dimpled",
  AU15: "lip corners down",
  AU16: "lower lip down",
  AU17: "chin up",
  AU18: "lips puckered",
  AU20: "lips stretched",
  AU22: "lips funnelled",
  AU23: "lips tight",
  AU24: "lips pressed",
  AU25: "lips apart",
  AU26: "jaw down",
  AU27: "mouth wide",
  AU28: "lips sucked in",
  AU43: "eyes closed",
  AU45: "blink",
};
