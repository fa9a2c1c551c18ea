// The study: everyone recorded so far, how good it is, and what can be done with it.

import { get } from "./api.js";
import { byId, el, icon, keyed, setData, setDisabled, setHidden, setIcon, setText } from "./dom.js";
import { isOwn, showJobs, startJob } from "./jobs.js";
import { attempt } from "./messages.js";
import { holdsControls, on, store } from "./store.js";
import { GRADE_ICONS, minutes, SESSION_STATES } from "./words.js";

let study = null;
let openJobs = "";

export async function enterStudy() {
  const answer = await attempt(() => get("/api/study"));
  if (!answer) return;
  study = answer;
  show();
}

function rows() {
  return study.participants.flatMap((participant) =>
    participant.sessions.map((session) => ({ participant: participant.id, ...session })),
  );
}

function show() {
  if (!study) return;
  const sessions = rows();
  setText(byId("study-name"), study.name);
  setText(byId("study-path"), study.path);
  const analyzed = sessions.filter((session) => session.state === "analyzed").length;
  setText(byId("study-count"), `${study.participants.length} participants, ${sessions.length} sessions, ${analyzed} analysed`);
  setHidden(byId("study-empty"), sessions.length > 0);
  keyed(byId("sessions").tBodies[0], sessions, (session) => session.stem, make, update);
  const exports = (study.exports ?? []).map((one) => `${one.format}: ${one.path}`);
  setText(byId("study-exports"), exports.length ? `Exported: ${exports.join(" · ")}` : "");
  showButtons();
}

function make(session) {
  const state = el("td", { class: "state" }, el("span", { class: "chip" }, icon("idle"), el("span", { class: "word" })));
  const look = el("td", { class: "links" }, el("a", { text: "Audit", href: `#/after/${encodeURIComponent(session.stem)}` }), el("a", { class: "report-link", target: "_blank", rel: "noopener", text: "Report" }));
  const button = el("button", { type: "button", class: "small-button" });
  const act = el("td", { class: "act" }, button);
  button.addEventListener("click", () => startJob({ kind: button.dataset.kind, stem: session.stem }));
  const cells = ["session", "task", "run"].map((name) => el("td", { text: session[name] }));
  return el("tr", {}, el("th", { scope: "row", text: session.participant }), ...cells, state, el("td", { class: "grades" }), el("td", { class: "num length" }), el("td", { class: "recorded" }), look, act);
}

function update(row, session) {
  const said = SESSION_STATES[session.state] ?? { word: session.state, icon: "idle", level: "idle" };
  setData(row, "level", said.level);
  setIcon(row.querySelector(".state svg"), said.icon);
  const extra = [session.pilot ? "pilot" : "", session.withdrawn ? "withdrawn" : ""].filter(Boolean);
  setText(row.querySelector(".state .word"), [said.word, ...extra].join(", "));
  showGrades(row.querySelector(".grades"), session);
  setText(row.querySelector(".length"), minutes(session.duration_s));
  setText(row.querySelector(".recorded"), session.created ? session.created.slice(0, 16).replace("T", " ") : "");
  const link = row.querySelector(".report-link");
  const report = isOwn(session.report) ? session.report : null;
  setHidden(link, !report);
  if (report) link.setAttribute("href", report);
  const button = row.querySelector("button");
  const kind = session.state === "unsealed" ? "recover" : "analyze";
  setData(button, "kind", kind);
  const words = kind === "recover" ? "Recover" : session.state === "analyzed" ? "Analyse again" : "Analyse";
  setText(button, words);
  button.setAttribute("aria-label", `${words} ${session.participant}, session ${session.session}, run ${session.run}`);
  setHidden(button, session.state === "recording");
}

function showGrades(cell, session) {
  // Streams that are good need no words of their own beside the overall grade.
  const grades = Object.entries(session.grades ?? {}).filter(([, grade]) => !session.grade || grade !== "good");
  const all = session.grade ? [["overall", session.grade], ...grades] : grades;
  const key = JSON.stringify(all);
  if (cell.dataset.shown === key) return;
  cell.dataset.shown = key;
  const chips = all.map(([name, grade]) =>
    el("span", { class: "chip grade", data: { grade } }, icon(GRADE_ICONS[grade] ?? "idle"), el("span", { text: name === "overall" ? grade : `${name}: ${grade}` })),
  );
  const shown = chips.length ? chips : [el("span", { class: "small", text: "not analysed" })];
  cell.replaceChildren(el("div", {}, ...shown));
}

function showButtons() {
  const may = holdsControls();
  for (const id of ["analyze-study", "report-study", "export"]) setDisabled(byId(id), !may);
  for (const button of byId("sessions").querySelectorAll("tbody button")) setDisabled(button, !may);
}

/** Shows the work; when a piece of it ends, the table is asked for anew. */
function follow(state) {
  const jobs = state?.jobs ?? [];
  showJobs(byId("study-jobs"), jobs);
  showButtons();
  const open = jobs.filter((job) => ["queued", "running"].includes(job.state)).map((job) => job.id).join(" ");
  const ended = open !== openJobs;
  openJobs = open;
  if (ended && document.body.dataset.page === "study") enterStudy();
}

export function startStudy() {
  byId("analyze-study").addEventListener("click", () => startJob({ kind: "analyze", stem: null }));
  byId("report-study").addEventListener("click", () => startJob({ kind: "report", stem: null }));
  byId("export").addEventListener("click", () => startJob({ kind: "export", format: byId("export-format").value }));
  on("state", follow);
  on("hello", () => document.body.dataset.page === "study" && enterStudy());
}
