// The connection to the console, and the newest of everything it said.
//
// `on` hands changes over once per drawn frame, however many messages came; `onMessage` at once, also in
// a hidden tab, where no frames are drawn (for the sound of alarms).

import { get } from "./api.js";

const RETRY_MS = 1000;
const RETRY_TIMEOUT_MS = 3000;
const PING_MS = 2000;
const SILENT_MS = 5000;
const KEPT_LOG = 200;
const SIGNED_OUT = 4401;

export const store = {
  connection: "connecting", // connecting, on, lost, signed-out
  lostSince_ms: null,
  hello: null,
  state: null,
  live: null,
  streams: null,
  streamsAt_ms: null,
  log: [],
};

const drawn = new Map();
const immediate = new Map();
const dirty = new Set();
let frame = 0;
let socket = null;
let heardAt_ms = 0;
let views = [];
let pictureHandler = () => {};

export function on(kind, callback) {
  drawn.set(kind, [...(drawn.get(kind) ?? []), callback]);
}

export function onMessage(kind, callback) {
  immediate.set(kind, [...(immediate.get(kind) ?? []), callback]);
}

export function onPicture(callback) {
  pictureHandler = callback;
}

/** Whether this page may press the buttons. */
export function holdsControls() {
  return store.connection === "on" && Boolean(store.state?.me?.holds_controls);
}

export function changed(kind) {
  for (const callback of immediate.get(kind) ?? []) callback(store[kind]);
  dirty.add(kind);
  if (!frame) frame = requestAnimationFrame(flush);
}

function flush() {
  frame = 0;
  const kinds = [...dirty];
  dirty.clear();
  for (const kind of kinds) for (const callback of drawn.get(kind) ?? []) callback(store[kind]);
}

/** Say which pictures this page shows; none while it is hidden. */
export function want(names) {
  views = names;
  sendWant();
}

function sendWant() {
  const shown = document.visibilityState === "hidden" ? [] : views;
  send({ type: "want", views: shown });
}

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

export function connect() {
  document.addEventListener("visibilitychange", sendWant);
  setInterval(watch, PING_MS);
  open();
}

function watch() {
  if (store.connection !== "on") return;
  send({ type: "ping" });
  if (performance.now() - heardAt_ms <= SILENT_MS) return;
  // A console that hangs does not answer a close either.
  const hung = socket;
  socket = null;
  hung?.close();
  lose();
}

function open() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const fresh = new WebSocket(`${scheme}://${location.host}/api/live`);
  fresh.binaryType = "arraybuffer";
  socket = fresh;
  fresh.onmessage = (event) => {
    heardAt_ms = performance.now();
    if (typeof event.data === "string") hear(JSON.parse(event.data));
    else pictureHandler(event.data);
  };
  fresh.onclose = (event) => {
    if (socket !== fresh) return;
    socket = null;
    if (event.code === SIGNED_OUT) setConnection("signed-out");
    else lose();
  };
}

function lose() {
  setConnection("lost");
  setTimeout(again, RETRY_MS);
}

/** A page that is no longer signed in must be told so, and not try for ever. */
async function again() {
  try {
    await get("/api/state", {}, RETRY_TIMEOUT_MS);
  } catch (refusal) {
    if (refusal.status === 401 || refusal.status === 403) {
      setConnection("signed-out");
      return;
    }
    if (refusal.status === 0) {
      setTimeout(again, RETRY_MS);
      return;
    }
  }
  open();
}

function setConnection(name) {
  if (store.connection === name) return;
  if (name === "lost" && store.lostSince_ms === null) store.lostSince_ms = Date.now();
  if (name === "on") store.lostSince_ms = null;
  store.connection = name;
  document.body.dataset.connection = name;
  changed("connection");
}

function hear(message) {
  switch (message.type) {
    case "hello":
      store.hello = message;
      store.log = [];
      store.live = null;
      setConnection("on");
      sendWant();
      changed("hello");
      changed("log");
      break;
    case "state":
      store.state = message;
      changed("state");
      break;
    case "live":
      store.live = message;
      changed("live");
      break;
    case "streams":
      store.streams = message.streams;
      store.streamsAt_ms = performance.now();
      changed("streams");
      break;
    case "log":
      store.log = store.log.concat(message.entries).slice(-KEPT_LOG);
      changed("log");
      break;
    default: // a later version may say more
  }
}

export function lastStreamsAge_ms() {
  return store.streamsAt_ms === null ? null : performance.now() - store.streamsAt_ms;
}
