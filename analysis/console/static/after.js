// After a session: whether the file is complete, why not, and what comes next.

import { get, post } from "./api.js";
import { byId, el, icon, setData, setDisabled, setHidden, setIcon, setText } from "./dom.js";
import { isOwn, showJobs, startJob } from "./jobs.js";
import { attempt } from "./messages.js";
import { holdsControls, on, store } from "./store.js";
import { bytes, FINDING_ICONS, FINDING_WORDS } from "./words.js";

const ASK_AGAIN_MS = 1000;
const RANK = { fail: 0, warn: 1, note: 2, ok: 3 };
const VERDICTS = {
  pass: { level: "ok", icon: "ok", title: "Good: everything is there" },
  warn: { level: "warn", icon: "warn", title: "Recorded; look at the findings" },
  fail: { level: "alarm", icon: "alarm", title: "Not good: read why" },
};

/** A session chosen on the study's page, instead of the one that has just ended. */
let chosen = null;
let asking = 0;

function stemOfAddress() {
  const [, page, stem] = location.hash.split("/");
  return page === "after" && stem ? decodeURIComponent(stem) : null;
}

async function follow() {
  const stem = stemOfAddress();
  clearTimeout(asking);
  if (!stem) {
    chosen = null;
    show();
    return;
  }
  if (chosen?.stem !== stem) chosen = { stem, state: "working" };
  show();
  const answer = await attempt(() => get(`/api/review/${encodeURIComponent(stem)}`));
  if (stemOfAddress() !== stem) return;
  if (!answer) {
    chosen = { stem, state: "failed", error: "There is nothing to look at." };
  } else {
    chosen = answer;
    if (answer.state === "working") asking = setTimeout(follow, ASK_AGAIN_MS);
  }
  show();
}

function show() {
  const { state } = store;
  const run = chosen ? null : state?.run;
  const over = run && ["sealing", "ended"].includes(state.phase);
  const review = chosen ?? (over ? run.review : null);
  setHidden(byId("after"), !review && !over);
  setHidden(byId("after-empty"), Boolean(review || over));
  if (!review && !over) return;
  const said = verdict(review, run, state?.phase);
  setData(byId("outcome"), "level", said.level);
  setIcon(byId("outcome-icon"), said.icon);
  setText(byId("outcome-title"), said.title);
  setText(byId("outcome-detail"), said.detail);
  showSeal(state?.phase === "sealing" && !chosen, run);
  showFile(review);
  showFindings(review);
  showActions(review, state);
}

function verdict(review, run, phase) {
  const who = run ? `${run.participant} · session ${run.session} · ${run.task} · run ${run.run}` : (review?.stem ?? "");
  if (phase === "sealing" && run) {
    return { level: "wait", icon: "seal", title: "Sealing the session file", detail: `${who}. Keep the computer on.` };
  }
  if (run?.state === "failed") return { level: "alarm", icon: "alarm", title: "The session failed", detail: run.message };
  if (!review || review.state === "working") {
    return { level: "wait", icon: "wait", title: "Checking the file", detail: who };
  }
  if (review.state === "failed") {
    return { level: "alarm", icon: "alarm", title: "The file could not be checked", detail: review.error ?? "" };
  }
  const said = VERDICTS[review.verdict] ?? VERDICTS.warn;
  const extra = [who];
  if (run?.state === "aborted") extra.push(`aborted${run.abort_reason ? `: ${run.abort_reason}` : ""}`);
  if (run?.override_reason) extra.push(`started although not all was green: ${run.override_reason}`);
  if (review.withdrawn) extra.push(`WITHDRAWN: ${typeof review.withdrawn === "string" ? review.withdrawn : "the data must not be used"}`);
  return { ...said, detail: extra.join(" · ") };
}

function showSeal(sealing, run) {
  const bar = byId("seal");
  setHidden(bar, !sealing);
  if (!sealing) return;
  const fraction = run?.sealing?.fraction;
  const known = fraction !== null && fraction !== undefined;
  bar.classList.toggle("unknown", !known);
  if (known) bar.setAttribute("aria-valuenow", String(Math.round(fraction * 100)));
  byId("seal-fill").style.transform = `scaleX(${known ? fraction : 0.3})`;
}

function showFile(review) {
  const file = review?.file ? `${review.file}  (${bytes(review.file_bytes)})` : "";
  setText(byId("outcome-file"), file);
}

function showFindings(review) {
  const findings = [...(review?.findings ?? [])].sort((a, b) => RANK[a.level] - RANK[b.level]);
  const lines = findings.map((finding) =>
    el(
      "li",
      { data: { level: finding.level } },
      el("span", { class: "chip" }, icon(FINDING_ICONS[finding.level] ?? "idle"), el("span", { text: FINDING_WORDS[finding.level] ?? finding.level })),
      el("span", { class: "what", text: finding.text }),
    ),
  );
  const key = JSON.stringify(findings);
  const list = byId("findings");
  if (list.dataset.shown !== key) {
    list.dataset.shown = key;
    list.replaceChildren(...lines);
  }
  const good = findings.filter((finding) => finding.level === "ok").length;
  const toRead = findings.filter((finding) => ["fail", "warn"].includes(finding.level)).length;
  setText(byId("findings-count"), findings.length ? `${good} good, ${toRead} to look at` : "");
  const summary = review?.summary ?? [];
  const shown = JSON.stringify(summary);
  if (byId("summary").dataset.shown !== shown) {
    byId("summary").dataset.shown = shown;
    byId("summary").replaceChildren(...summary.map((text) => el("li", { text })));
  }
}

function showActions(review, state) {
  const ended = state?.phase === "ended" && !chosen;
  setHidden(byId("next"), !ended && !chosen);
  setText(byId("next"), chosen ? "Back to the study" : "Next participant");
  setDisabled(byId("next"), ended && !holdsControls());
  const done = review?.state === "done";
  const jobs = (state?.jobs ?? []).filter((job) => job.kind === "analyze" || job.kind === "report");
  const open = jobs.some((job) => ["queued", "running"].includes(job.state));
  setHidden(byId("analyze-this"), !done);
  setDisabled(byId("analyze-this"), !holdsControls() || open);
  setText(byId("analyze-this"), review?.analyzed ? "Analyse again" : "Analyse");
  const report = isOwn(review?.report) ? review.report : null;
  setHidden(byId("report"), !report);
  if (report) byId("report").setAttribute("href", report);
  setHidden(byId("after-jobs-card"), jobs.length === 0);
  showJobs(byId("after-jobs"), jobs);
  if (chosen && done && !report && jobs.some((job) => job.state === "done")) refreshOnce(jobs);
}

/** A chosen session's review is asked for anew when a piece of work has ended. */
function refreshOnce(jobs) {
  const ended = jobs.filter((job) => job.state === "done").map((job) => job.id).join(" ");
  if (refreshOnce.seen === ended) return;
  refreshOnce.seen = ended;
  follow();
}

function next() {
  if (chosen) {
    location.hash = "#/study";
    return;
  }
  attempt(() => post("/api/session/close"));
}

function analyze() {
  const stem = chosen?.stem ?? store.state?.run?.review?.stem ?? store.state?.run?.stem;
  if (stem) startJob({ kind: "analyze", stem });
}

export function startAfter() {
  byId("next").addEventListener("click", next);
  byId("analyze-this").addEventListener("click", analyze);
  window.addEventListener("hashchange", follow);
  on("state", show);
  on("connection", show);
  on("hello", follow);
}
