// One sentence to the operator: a refusal of the console, until it is closed or 12 s are over.

import { byId, setHidden, setText } from "./dom.js";

const SHOWN_MS = 12000;
let timer = 0;

export function tell(text) {
  setText(byId("error-text"), text);
  setHidden(byId("error"), false);
  clearTimeout(timer);
  timer = setTimeout(quiet, SHOWN_MS);
}

export function quiet() {
  clearTimeout(timer);
  setHidden(byId("error"), true);
}

/** Tell screen readers about something that went well. */
export function whisper(text) {
  setText(byId("voice-quiet"), text);
}

/** Run something that asks the console; a refusal is told, and gives null. */
export async function attempt(action) {
  try {
    return await action();
  } catch (refusal) {
    tell(refusal.message);
    return null;
  }
}

byId("error-close").addEventListener("click", quiet);
