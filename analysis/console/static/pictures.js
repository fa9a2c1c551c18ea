// Pictures that come over the live connection: decoded off the page, the newest of each view kept.

import { changed, onPicture, store } from "./store.js";

store.pictures = { face: null, stage: null };
const STILL_S = 0.6;
const busy = {};
const waiting = {};

/** Split a binary message: 4 bytes length of the header (big-endian), header (JSON), picture. */
export function parsePicture(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, blob: new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }) };
}

async function decode(picture) {
  const { view } = picture.header;
  busy[view] = true;
  try {
    const bitmap = await createImageBitmap(picture.blob);
    store.pictures[view]?.bitmap.close();
    store.pictures[view] = { bitmap, ...picture.header };
    store.pictures[view].shownAt_ms = performance.now();
    changed(`picture-${view}`);
  } catch {
    // a damaged picture: the one before stays
  }
  busy[view] = false;
  const next = waiting[view];
  waiting[view] = null;
  if (next) decode(next);
}

/** The box of the face is drawn with each picture; where none comes, with each measurement. */
export function isStill() {
  return still_s() > STILL_S;
}

/** For how long the face has had no new picture, seconds. */
export function still_s() {
  return (performance.now() - (store.pictures.face?.shownAt_ms ?? 0)) / 1000;
}

export function forgetPictures() {
  for (const view of Object.keys(store.pictures)) {
    store.pictures[view]?.bitmap.close();
    store.pictures[view] = null;
  }
}

onPicture((buffer) => {
  const picture = parsePicture(buffer);
  const { view } = picture.header;
  if (!(view in store.pictures)) return;
  if (busy[view]) waiting[view] = picture;
  else decode(picture);
});
