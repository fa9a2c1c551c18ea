// Who is here, and who holds the controls: one holds them, all others watch.

import { post } from "./api.js";
import { byId, el, setHidden, setText } from "./dom.js";
import { attempt, tell, whisper } from "./messages.js";
import { on, store } from "./store.js";

function show(state) {
  const control = state?.control;
  const mine = Boolean(state?.me?.holds_controls);
  const online = store.connection === "on";
  const words = { connecting: "Connecting", lost: "No connection", "signed-out": "Signed out" };
  const holder = control?.holder;
  const who = mine ? "You hold the controls" : holder ? `Watching; ${holder.name} has the controls` : "Nobody has the controls";
  setText(byId("people-text"), online ? who : words[store.connection]);
  const asked = control?.request && mine && online;
  setHidden(byId("asked"), !asked);
  if (asked) setText(byId("asked-text"), `${control.request.name} asks for the controls.`);
  setHidden(byId("people-take"), mine);
  setHidden(byId("people-release"), !mine);
  setHidden(byId("invite"), !mine);
  showList(state);
}

function showList(state) {
  const control = state?.control;
  const here = [];
  if (control?.holder) {
    const gone = control.holder.connected ? "" : " (page closed)";
    here.push({ id: control.holder.id, text: `${control.holder.name}${gone}: holds the controls` });
  }
  for (const watcher of control?.watchers ?? []) {
    const asks = control.request?.id === watcher.id ? ", asks for the controls" : "";
    here.push({ id: watcher.id, text: `${watcher.name}: watches${asks}` });
  }
  const lines = here.map(({ id, text }) =>
    el("li", { text: id === state.me?.id ? `${text} (this page)` : text }),
  );
  byId("people-list").replaceChildren(...lines);
}

async function take() {
  const answer = await attempt(() => post("/api/control/take"));
  if (!answer) return;
  if (answer.granted) whisper("You hold the controls");
  else tell(`Asked: ${store.state?.control?.holder?.name ?? "the other page"} has to hand over.`);
}

async function invite() {
  const answer = await attempt(() => post("/api/invite"));
  if (!answer) return;
  const line = byId("invite-address");
  setHidden(line, false);
  setText(line, `${answer.url}  (works once, for ${Math.round(answer.valid_s / 60)} min)`);
}

async function rename() {
  const name = byId("my-name").value.trim();
  if (name && (await attempt(() => post("/api/me", { name })))) whisper("Name saved");
}

async function signOut() {
  if (await attempt(() => post("/api/signout"))) location.reload();
}

export function startPeople() {
  const answer = (accept) => attempt(() => post("/api/control/answer", { accept }));
  byId("asked-give").addEventListener("click", () => answer(true));
  byId("asked-keep").addEventListener("click", () => answer(false));
  byId("take").addEventListener("click", take);
  byId("people-take").addEventListener("click", take);
  byId("people-release").addEventListener("click", () => attempt(() => post("/api/control/release")));
  byId("invite").addEventListener("click", invite);
  byId("signout").addEventListener("click", signOut);
  byId("dialog-people").addEventListener("submit", rename);
  byId("people").addEventListener("click", () => {
    byId("my-name").value = store.state?.me?.name ?? "";
    byId("dialog-people").showModal();
  });
  on("state", show);
  on("connection", () => show(store.state));
}
