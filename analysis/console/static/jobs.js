// Work that the console does beside a session: analysis, reports, exports.

import { post } from "./api.js";
import { el, icon, keyed, setData, setHidden, setIcon, setText } from "./dom.js";
import { attempt } from "./messages.js";

const JOB_STATES = {
  queued: { word: "waits", icon: "wait", level: "wait" },
  running: { word: "works", icon: "play", level: "wait" },
  done: { word: "done", icon: "ok", level: "ok" },
  failed: { word: "failed", icon: "alarm", level: "alarm" },
  cancelled: { word: "cancelled", icon: "stop", level: "idle" },
};

function make(job) {
  const cancel = el("button", { type: "button", class: "plain cancel", text: "Cancel" });
  cancel.addEventListener("click", () => attempt(() => post("/api/jobs/cancel", { job_id: job.id })));
  const fill = el("div", { class: "track-fill" });
  const track = el("div", { class: "track", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  const link = el("a", { class: "result", target: "_blank", rel: "noopener", text: "Open" });
  return el("li", {}, el("span", { class: "chip" }, icon("wait"), el("span", { class: "word" })), el("span", { class: "job-title strong" }), track, el("span", { class: "job-text small" }), link, cancel);
}

function update(item, job) {
  const said = JOB_STATES[job.state] ?? JOB_STATES.queued;
  setData(item, "level", said.level);
  setData(item, "state", job.state);
  setIcon(item.querySelector("svg"), said.icon);
  setText(item.querySelector(".word"), said.word);
  setText(item.querySelector(".job-title"), job.title);
  setText(item.querySelector(".job-text"), job.text);
  const open = job.state === "queued" || job.state === "running";
  const track = item.querySelector(".track");
  setHidden(track, !open);
  track.setAttribute("aria-label", job.title);
  const known = job.fraction !== null && job.fraction !== undefined;
  if (known) track.setAttribute("aria-valuenow", String(Math.round(job.fraction * 100)));
  track.classList.toggle("unknown", !known);
  item.querySelector(".track-fill").style.transform = `scaleX(${known ? job.fraction : 0.3})`;
  setHidden(item.querySelector(".cancel"), !open);
  const link = item.querySelector(".result");
  const result = isOwn(job.result) ? job.result : null;
  setHidden(link, !result);
  if (result) link.setAttribute("href", result);
}

/** Only addresses of this console are ever made into a link. */
export function isOwn(address) {
  return typeof address === "string" && /^\/[A-Za-z0-9]/.test(address);
}

export function showJobs(list, jobs) {
  keyed(list, [...jobs].reverse(), (job) => job.id, make, update);
}

export function startJob(body) {
  return attempt(() => post("/api/jobs", body));
}
