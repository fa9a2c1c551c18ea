// What the canvases show. Colours: Okabe & Ito (2008), as in the reports; every meaning has a shape as well.

import { AU_WORDS, number, STAGE_WORDS } from "./words.js";

const INK = "#1d2733";
const MUTED = "#5b6775";
const LINE = "#d9dee5";
const WASH = "#f5f7f9";
const BLUE = "#0072B2";
const SKY = "#56B4E9";
const ORANGE = "#E69F00";
const GREEN = "#009E73";
const FONT = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif";
const MARGIN = 0.05;
const AU_MAX = 5;
const OLD_S = 1.5;
const SHORT_ROW_PX = 13;
const TALL_ROW_PX = 22;
const WORDED_PX = 260;
const NEAREST_MM = 400;
const FARTHEST_MM = 900;

function words(context, text, x, y, { size = 13, colour = INK, align = "center", bold = false } = {}) {
  context.font = `${bold ? "600 " : ""}${size}px ${FONT}`;
  context.fillStyle = colour;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}

function empty(surface, text) {
  surface.clear(WASH);
  words(surface.context, text, surface.width / 2, surface.height / 2, { colour: MUTED });
}

/** Largest rectangle of the wanted shape within a box. */
function fitted(x, y, width, height, ratio) {
  const narrow = width / height > ratio;
  const w = narrow ? height * ratio : width;
  const h = narrow ? height : width / ratio;
  return { x: x + (width - w) / 2, y: y + (height - h) / 2, width: w, height: h };
}

/** The participant's screen, with a margin around it for a gaze that leaves it. */
export function drawStage(surface, { screen, stage, picture, gaze, blind }) {
  if (!surface.visible) return;
  const { context: c, width, height } = surface;
  surface.clear("#e6eaef");
  const ratio = screen ? screen.width_px / screen.height_px : 16 / 9;
  const margin = Math.round(height * MARGIN);
  const box = fitted(margin, margin, width - 2 * margin, height - 2 * margin, ratio);
  c.fillStyle = "#2b333d";
  c.fillRect(box.x, box.y, box.width, box.height);
  c.save();
  c.beginPath();
  c.rect(box.x, box.y, box.width, box.height);
  c.clip();
  drawShown(c, box, stage, picture, blind);
  c.restore();
  drawGaze(c, box, gaze, surface);
}

function drawShown(c, box, stage, picture, blind) {
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const light = { colour: "#e9edf2", size: 14 };
  if (!stage) {
    words(c, "nothing known of the screen", middle.x, middle.y, light);
    return;
  }
  if (stage.kind === "fixation") {
    c.strokeStyle = "#ffffff";
    c.lineWidth = 2;
    c.beginPath();
    c.moveTo(middle.x - 9, middle.y);
    c.lineTo(middle.x + 9, middle.y);
    c.moveTo(middle.x, middle.y - 9);
    c.lineTo(middle.x, middle.y + 9);
    c.stroke();
    return;
  }
  const isMedia = stage.kind === "image" || stage.kind === "video";
  if (isMedia && stage.rect) {
    const [x, y, w, h] = stage.rect;
    const place = [box.x + x * box.width, box.y + y * box.height, w * box.width, h * box.height];
    if (picture && picture.stimulus === stage.stimulus && !blind) {
      c.drawImage(picture.bitmap, ...place);
      return;
    }
    c.fillStyle = "#4a5563";
    c.fillRect(...place);
  }
  const hidden = blind && (isMedia || stage.kind === "audio");
  const name = hidden ? "hidden (blind)" : (stage.text ?? STAGE_WORDS[stage.kind] ?? stage.kind);
  if (stage.kind !== "blank") words(c, shortened(name, 44), middle.x, middle.y, light);
}

function shortened(text, most) {
  const plain = text.replace(/\s+/g, " ").trim();
  return plain.length > most ? `${plain.slice(0, most - 1)}…` : plain;
}

function inBox(box, [x, y]) {
  return [box.x + x * box.width, box.y + y * box.height];
}

function drawGaze(c, box, gaze, surface) {
  if (!gaze) return;
  const trail = gaze.trail ?? [];
  for (let i = 1; i < trail.length; i += 1) {
    if (!trail[i] || !trail[i - 1]) continue;
    c.strokeStyle = `rgba(86, 180, 233, ${(0.75 * i) / trail.length})`;
    c.lineWidth = 3;
    c.beginPath();
    c.moveTo(...inBox(box, trail[i - 1]));
    c.lineTo(...inBox(box, trail[i]));
    c.stroke();
  }
  const old_s = (gaze.age_ms ?? 0) / 1000;
  if (old_s > OLD_S) {
    badge(c, box.x + box.width / 2, box.y + 16, `no gaze for ${Math.round(old_s)} s`);
    return;
  }
  if (!gaze.valid || gaze.x === null || gaze.y === null) {
    badge(c, box.x + box.width / 2, box.y + 16, "no gaze just now");
    return;
  }
  const [x, y] = inBox(box, [gaze.x, gaze.y]);
  const inside_x = Math.min(Math.max(x, 7), surface.width - 7);
  const inside_y = Math.min(Math.max(y, 7), surface.height - 7);
  const outside = gaze.x < 0 || gaze.x > 1 || gaze.y < 0 || gaze.y > 1;
  ring(c, inside_x, inside_y, outside);
  if (outside) badge(c, box.x + box.width / 2, box.y + 16, "looks past the screen");
}

function ring(c, x, y, hollow) {
  for (const [colour, line] of [["#ffffff", 6], [BLUE, 3]]) {
    c.strokeStyle = colour;
    c.lineWidth = line;
    c.beginPath();
    c.arc(x, y, 9, 0, 2 * Math.PI);
    c.stroke();
  }
  if (hollow) return;
  c.fillStyle = "#ffffff";
  c.beginPath();
  c.arc(x, y, 3, 0, 2 * Math.PI);
  c.fill();
}

function badge(c, x, y, text) {
  c.font = `600 12px ${FONT}`;
  const half = c.measureText(text).width / 2 + 8;
  c.fillStyle = "#ffd97a";
  c.fillRect(x - half, y - 10, 2 * half, 20);
  words(c, text, x, y, { size: 12, bold: true });
}

/** The camera's picture with the box of the face: corners when all is well, a dashed box otherwise. */
export function drawFace(surface, { picture, face, still_s }) {
  if (!surface.visible) return;
  if (!picture) {
    empty(surface, "no picture yet");
    return;
  }
  const { context: c, width, height } = surface;
  surface.clear("#11161c");
  const place = fitted(0, 0, width, height, picture.width / picture.height);
  c.drawImage(picture.bitmap, place.x, place.y, place.width, place.height);
  if (still_s > OLD_S) {
    badge(c, width / 2, 18, `no new picture for ${Math.round(still_s)} s`);
    return;
  }
  if (!face) return;
  if (!face.found) {
    c.strokeStyle = "#ffd97a";
    c.lineWidth = 4;
    c.setLineDash([10, 6]);
    c.strokeRect(place.x + 2, place.y + 2, place.width - 4, place.height - 4);
    c.setLineDash([]);
    badge(c, width / 2, 18, "no face in the picture");
    return;
  }
  if (face.box) drawBox(c, place, face);
}

function drawBox(c, place, face) {
  const [x0, y0] = inBox(place, face.box);
  const w = face.box[2] * place.width;
  const h = face.box[3] * place.height;
  if (!face.ok) {
    outlined(c, ORANGE, () => c.strokeRect(x0, y0, w, h), [8, 5]);
    return;
  }
  const arm = Math.min(w, h) * 0.22;
  outlined(c, GREEN, () => {
    c.beginPath();
    for (const [x, y, dx, dy] of [[x0, y0, 1, 1], [x0 + w, y0, -1, 1], [x0, y0 + h, 1, -1], [x0 + w, y0 + h, -1, -1]]) {
      c.moveTo(x + dx * arm, y);
      c.lineTo(x, y);
      c.lineTo(x, y + dy * arm);
    }
    c.stroke();
  });
}

function outlined(c, colour, stroke, dash = []) {
  c.setLineDash(dash);
  for (const [line, width] of [["#ffffff", 6], [colour, 3]]) {
    c.strokeStyle = line;
    c.lineWidth = width;
    stroke();
  }
  c.setLineDash([]);
}

/** One bar per Action Unit, 0 to 5, always in the same order; what is not measured is said. */
export function drawAus(surface, { au, usable }) {
  if (!surface.visible) return;
  if (!au) {
    empty(surface, "not measured");
    return;
  }
  const { context: c, width, height } = surface;
  surface.clear("#ffffff");
  const names = Object.keys(au.values).sort();
  const columns = height / names.length < SHORT_ROW_PX ? 2 : 1;
  const rows = Math.ceil(names.length / columns);
  const row = Math.min(height / rows, TALL_ROW_PX);
  const wide = width / columns;
  names.forEach((name, i) => {
    const x = Math.floor(i / rows) * wide;
    drawAu(c, { name, value: au.values[name], usable }, { x, y: row * ((i % rows) + 0.5), wide, row });
  });
}

function drawAu(c, { name, value, usable }, { x, y, wide, row }) {
  const size = Math.min(12.5, Math.max(10, row - 4));
  const worded = wide > WORDED_PX;
  const left = x + (worded ? 150 : 48);
  const right = x + wide - 32;
  const label = worded ? `${name} ${AU_WORDS[name.slice(0, 4)] ?? ""}` : name;
  words(c, shortened(label, 24), x + 2, y, { size, align: "left", colour: MUTED });
  c.fillStyle = "#eceff3";
  c.fillRect(left, y - row * 0.32, right - left, row * 0.64);
  if (value === null) {
    words(c, "–", right + 26, y, { size, align: "right", colour: MUTED });
    return;
  }
  c.fillStyle = usable ? BLUE : "#9aa5b1";
  const share = Math.min(Math.max(value / AU_MAX, 0), 1);
  c.fillRect(left, y - row * 0.32, (right - left) * share, row * 0.64);
  words(c, number(value, 1), right + 26, y, { size, align: "right" });
}

/** Valence (left to right) and arousal (bottom to top), both −1 to 1; hollow on the axis without arousal. */
export function drawAffect(surface, { affect }) {
  if (!surface.visible) return;
  const { context: c, width, height } = surface;
  surface.clear("#ffffff");
  const side = Math.min(width, height - 30) - 8;
  const x0 = (width - side) / 2;
  const y0 = (height - side) / 2;
  const middle = { x: x0 + side / 2, y: y0 + side / 2 };
  c.fillStyle = WASH;
  c.fillRect(x0, y0, side, side);
  c.strokeStyle = LINE;
  c.lineWidth = 1;
  c.strokeRect(x0, y0, side, side);
  c.strokeStyle = "#aab4bf";
  c.beginPath();
  c.moveTo(x0, middle.y);
  c.lineTo(x0 + side, middle.y);
  c.moveTo(middle.x, y0);
  c.lineTo(middle.x, y0 + side);
  c.stroke();
  words(c, "excited", middle.x, y0 - 8, { size: 11, colour: MUTED });
  words(c, "calm", middle.x, y0 + side + 8, { size: 11, colour: MUTED });
  words(c, "unpleasant", x0 + 3, y0 + side - 8, { size: 11, colour: MUTED, align: "left" });
  words(c, "pleasant", x0 + side - 3, y0 + side - 8, { size: 11, colour: MUTED, align: "right" });
  if (!affect || affect.valence === null || affect.valence === undefined) {
    words(c, "–", middle.x, middle.y + 14, { size: 16, colour: MUTED });
    return;
  }
  const measured = affect.arousal !== null && affect.arousal !== undefined;
  const arousal = measured ? affect.arousal : 0;
  if (!measured) words(c, "arousal: not measured", middle.x, y0 + 9, { size: 11, colour: MUTED });
  const held = (v) => Math.min(Math.max(v, -1), 1);
  const x = middle.x + (held(affect.valence) * side) / 2;
  const y = middle.y - (held(arousal) * side) / 2;
  c.beginPath();
  c.arc(x, y, 8, 0, 2 * Math.PI);
  c.lineWidth = 3;
  c.strokeStyle = affect.usable ? BLUE : "#9aa5b1";
  c.fillStyle = measured && affect.usable ? SKY : "#ffffff";
  c.fill();
  c.stroke();
}

/** Set-up: where both eyes look on the screen, and how far away they are. */
export function drawEyes(surface, { gaze, screen }) {
  if (!surface.visible) return;
  if (!gaze) {
    empty(surface, "no gaze yet");
    return;
  }
  const { context: c, width, height } = surface;
  surface.clear("#e6eaef");
  const scale = 34;
  const ratio = screen ? screen.width_px / screen.height_px : 16 / 9;
  const box = fitted(10, 10, width - 20, height - 20 - scale, ratio);
  c.fillStyle = "#2b333d";
  c.fillRect(box.x, box.y, box.width, box.height);
  drawGaze(c, box, gaze, surface);
  for (const [eye, letter] of [[gaze.left, "L"], [gaze.right, "R"]]) {
    if (!eye || !eye.valid || eye.x === null) continue;
    const [x, y] = inBox(box, [gaze.x ?? eye.x, gaze.y ?? eye.y]);
    words(c, letter, x + (letter === "L" ? -20 : 20), y, { size: 12, colour: "#ffffff", bold: true });
  }
  drawDistance(c, 14, height - scale + 4, width - 28, gaze);
}

function drawDistance(c, x, y, width, gaze) {
  const at = (mm) => x + (width * (mm - NEAREST_MM)) / (FARTHEST_MM - NEAREST_MM);
  c.fillStyle = "#cfd6de";
  c.fillRect(x, y + 4, width, 6);
  if (gaze.distance_range_mm) {
    const [low, high] = gaze.distance_range_mm;
    c.fillStyle = GREEN;
    c.fillRect(at(low), y + 4, at(high) - at(low), 6);
  }
  words(c, `${NEAREST_MM / 10} cm`, x, y + 20, { size: 11, colour: MUTED, align: "left" });
  words(c, `${FARTHEST_MM / 10} cm`, x + width, y + 20, { size: 11, colour: MUTED, align: "right" });
  if (gaze.distance_mm === null || gaze.distance_mm === undefined) {
    words(c, "distance not given", x + width / 2, y + 20, { size: 12, colour: MUTED });
    return;
  }
  const place = Math.min(Math.max(at(gaze.distance_mm), x), x + width);
  c.fillStyle = INK;
  c.beginPath();
  c.moveTo(place, y + 11);
  c.lineTo(place - 6, y - 1);
  c.lineTo(place + 6, y - 1);
  c.fill();
  words(c, `${Math.round(gaze.distance_mm / 10)} cm`, x + width / 2, y + 20, { size: 13, bold: true });
}

/** A bar of the sound level with its peak; a hatched end where it clips. */
export function drawAudio(surface, { audio }) {
  if (!surface.visible) return;
  const { context: c, width, height } = surface;
  surface.clear("#eceff3");
  if (!audio) return;
  c.fillStyle = audio.clipping ? "#D55E00" : GREEN;
  c.fillRect(0, 0, width * Math.min(Math.max(audio.level ?? 0, 0), 1), height);
  if (audio.clipping) words(c, "too loud", width - 4, height / 2, { size: 12, align: "right", bold: true });
}
