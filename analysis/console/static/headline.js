// The one big line: what a person two metres away has to know. A pure function of what was said.

import { ALARM_WORDS, clock, count, minutes } from "./words.js";

const STALE_MS = 3000;

/**
 * @returns {{level: string, icon: string, title: string, detail: string, others: string[], clock: string, clockWord: string}}
 *   level: ok, warn, alarm, wait, idle or lost.
 */
export function headline({ connection, state, streams, streamsAge_ms }) {
  if (connection === "signed-out") return signedOut();
  if (connection === "lost") return lost(state);
  if (!state) return line("wait", "wait", "Connecting to the console", "");
  const { run } = state;
  const alarm = worst(state.alarms);
  switch (state.phase) {
    case "setup":
      return alarm ? alarmed(state, alarm) : beforehand(state);
    case "starting":
      return alarm ? alarmed(state, alarm) : line("wait", "wait", "Starting", run?.message ?? "");
    case "sealing":
      return line("wait", "seal", "Sealing: keep the computer on", sealing(run));
    case "ended":
      return ended(run);
    default:
      return alarm ? alarmed(state, alarm) : running(state, streams, streamsAge_ms);
  }
}

export function activeAlarms(alarms, level) {
  return (alarms ?? []).filter((alarm) => alarm.until_t_ms === null && alarm.level === level);
}

/** The alarm that matters most: the recorder and the disk first, then the one that came first. */
function worst(alarms) {
  const order = ["recorder", "disk", "display"];
  const rank = (alarm) => {
    const place = order.indexOf(alarm.kind);
    return place < 0 ? order.length : place;
  };
  const active = activeAlarms(alarms, "alarm");
  return active.sort((a, b) => rank(a) - rank(b) || a.since_t_ms - b.since_t_ms)[0] ?? null;
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}

function line(level, icon, title, detail, run = null, others = []) {
  const shown = run && run.remaining_s !== null && run.remaining_s !== undefined;
  return {
    level,
    icon,
    title,
    detail: sentence(detail ?? ""),
    others,
    clock: shown ? minutes(run.remaining_s) : "",
    clockWord: shown ? "left" : "",
  };
}

/** "STOPPED: Gaze since 12:03:11" */
function named(alarm) {
  const word = ALARM_WORDS[alarm.kind] ?? alarm.kind.toUpperCase();
  return `${word}${alarm.stream ? `: ${alarm.stream}` : ""} since ${clock(alarm.since_t_ms)}`;
}

function alarmed(state, alarm) {
  const others = activeAlarms(state.alarms, "alarm").filter((other) => other !== alarm);
  return line("alarm", "alarm", named(alarm), alarm.text, state.run, others.map(named));
}

function running(state, streams, streamsAge_ms) {
  const { run } = state;
  if (streamsAge_ms !== null && streamsAge_ms > STALE_MS) {
    const silent = `for ${Math.round(streamsAge_ms / 1000)} s`;
    return line("warn", "warn", "No news about the streams", silent, run);
  }
  const warnings = activeAlarms(state.alarms, "warning");
  const missing = (streams ?? []).filter((stream) => stream.required && stream.state !== "ok");
  if (!streams) return line("wait", "wait", "Recording: waiting for the streams", "", run);
  if (missing.length) {
    const names = missing.map((stream) => `${stream.name} ${stream.state}`).join(", ");
    return line("warn", "warn", `Recording, but: ${names}`, missing[0].reason, run);
  }
  const paused = run?.state === "paused";
  if (warnings.length) {
    const what = paused ? "Paused, with a warning" : "Recording, with a warning";
    return line("warn", "warn", what, warnings.map((w) => w.text).join("; "), run);
  }
  if (paused) return line("ok", "pause", "Paused: everything still arrives", pausedDetail(run), run);
  const detail = [runningDetail(run), lostSoFar(streams)].filter(Boolean).join(" · ");
  return line("ok", "ok", "Recording: everything arrives", detail, run);
}

/** What is whole again may still have a hole. */
function lostSoFar(streams) {
  const lost = streams.filter((stream) => stream.recorded && stream.lost > 0);
  const told = lost.map((stream) => `${stream.name} ${count(stream.lost)}`).join(", ");
  return told ? `Lost earlier, samples: ${told}` : "";
}

function runningDetail(run) {
  if (!run) return "";
  if (run.pause_asked) return "Pauses before the next step";
  if (run.recalibration_asked) return "Calibrates before the next step";
  return run.message ?? "";
}

function pausedDetail(run) {
  return run?.message || "The participant waits; press P to go on";
}

function beforehand(state) {
  const { checks = [], level, ready } = state.preflight ?? {};
  const nothing = "Nothing is recorded yet";
  if (!checks.length) return line("idle", "idle", "Not recording", "Set up the next session");
  if (ready && level === "green") return line("idle", "ok", "Ready to start", nothing);
  const names = (wanted) => checks.filter((check) => check.level === wanted).map((check) => check.title).join(", ");
  if (names("red")) return line("idle", "alarm", `Not ready: ${names("red")}`, nothing);
  if (names("wait")) return line("idle", "wait", `Checking: ${names("wait")}`, nothing);
  return line("idle", "warn", `Ready, but look at: ${names("amber")}`, nothing);
}

function sealing(run) {
  const fraction = run?.sealing?.fraction;
  const part = fraction === null || fraction === undefined ? "" : `${Math.round(fraction * 100)} %`;
  return [part, run?.message].filter(Boolean).join(" · ");
}

function ended(run) {
  const name = run ? `${run.participant}, session ${run.session}, run ${run.run}` : "";
  const review = run?.review;
  if (run?.state === "failed") return line("alarm", "alarm", "The session failed", run.message);
  if (!review || review.state === "working") {
    return line("wait", "wait", "Recorded. Checking the file", name);
  }
  if (review.state === "failed") {
    return line("alarm", "alarm", "The file could not be checked", review.error ?? "");
  }
  const aborted = run.state === "aborted";
  const how = aborted ? "Aborted, sealed" : "Sealed";
  const why = aborted && run.abort_reason ? ` · ${run.abort_reason}` : "";
  if (review.verdict === "fail") return line("alarm", "alarm", `${how}: not good, read why`, name);
  if (review.verdict === "warn") return line("warn", "warn", `${how}: look at the findings`, name + why);
  return line("ok", "ok", aborted ? `${how}: nothing lost` : `${how}: complete`, name + why);
}

function lost(state) {
  const during = state && ["starting", "running", "sealing"].includes(state.phase);
  const title = during
    ? "The page lost the console; recording goes on"
    : "The page lost the console";
  const detail = during
    ? "The recording does not depend on this page. Trying again every second; what you see below is old."
    : "Trying again every second. If it stays away, start it again: duchenne console";
  return line("lost", "lost", title, detail);
}

function signedOut() {
  return line(
    "lost",
    "lost",
    "This page is signed out",
    "Open the address that the terminal of the console shows. A session that is running goes on by itself.",
  );
}
