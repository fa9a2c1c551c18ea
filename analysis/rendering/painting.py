"""Paints the textures of a person: skin with its colour and relief, lips, brows, beard, folds.

Textures have 8 bits: red, green and blue are the square root of the linear colour, the fourth channel is the
relief of the skin (0.5 is even). The fold texture has one channel per group of folds: brow, between the
brows, around the eye, nose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.rendering.folds import paint_folds
from duchenne.analysis.rendering.hair import PAINTED, beard_mask, hair_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32

    Bytes = NDArray[np.uint8]

_NOISE_SIZES = {"coarse": 16.0, "middle": 3.2, "fine": 0.8, "pores": 1.3, "lines": 0.0}
_STROKES = 330
_STROKE_SCALE = 2
_SUBPIXEL_BITS = 4
# Where along a brow its five landmarks lie.
_MARKS_ALONG = np.array([0.04, 0.27, 0.5, 0.73, 0.96])


@dataclass(frozen=True)
class Textures:
    """Textures of one person.

    Parameters
    ----------
    face, head : (px, px, 4) uint8
        Row 0 is v = 0.
    folds : (px, px, 4) uint8
    """

    face: Bytes
    head: Bytes
    folds: Bytes


class Painter:
    """Paints textures; what all persons share is made once.

    Parameters
    ----------
    face_places, head_places : (px, px, 3) float32
        Place on the head at rest of each pixel of the textures.
    landmark_uv : (68, 2) float32
    """

    def __init__(self, face_places: Float32, head_places: Float32, landmark_uv: Float32) -> None:
        self._face, self._head = face_places, head_places
        self._px = len(face_places)
        self._lips = self._lip_mask(landmark_uv)
        self._noise = self._make_noise()
        self._regions = _regions(face_places)

    def _lip_mask(self, landmark_uv: Float32) -> Float32:
        import cv2  # noqa: PLC0415  (heavy)

        mask = np.zeros((self._px, self._px), np.float32)
        outline = _smooth_outline(landmark_uv[48:60]) * self._px * 2**_SUBPIXEL_BITS
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1.0, cv2.LINE_AA, _SUBPIXEL_BITS)
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), self._px / 420), np.float32)

    def _make_noise(self) -> dict[str, Float32]:
        import cv2  # noqa: PLC0415  (heavy)

        rng = np.random.default_rng(5)
        found = {}
        for name, size in _NOISE_SIZES.items():
            # It goes on beyond its edges, because it is shifted later.
            border = self._px // 6
            field: NDArray[Any] = rng.standard_normal((self._px, self._px)).astype(np.float32)
            field = np.pad(field, border, mode="wrap")
            across, along = (size, size) if size else (0.7, 5.0)
            scale = self._px / 512
            field = cv2.GaussianBlur(field, (0, 0), across * scale, sigmaY=along * scale)
            field = field[border:-border, border:-border]
            found[name] = np.asarray(field / field.std(), np.float32)
        return found

    def paint(self, look: Look) -> Textures:
        """Return the textures of a person."""
        rng = np.random.default_rng(look.seed)
        noise = {name: _shuffled(field, rng) for name, field in self._noise.items()}
        colour, relief = self._skin(look, noise, rng)
        colour = self._bearded(colour, look, noise)
        colour, relief = self._browed(colour, relief, look, rng)
        hair = hair_mask(self._face, look)
        covered = (1.3 * hair - 0.25 + 0.12 * noise["pores"]).clip(0, 1)[..., None]
        covered *= PAINTED.get(look.hair_style, 0.9)
        colour += covered * (np.float32(0.8) * np.array(look.hair, np.float32) - colour)
        return Textures(
            face=_packed(colour, relief),
            head=self._scalp(look, noise),
            folds=paint_folds(self._face, rng, look.fold_width),
        )

    def _skin(
        self, look: Look, noise: Mapping[str, Float32], rng: np.random.Generator
    ) -> tuple[Float32, Float32]:
        skin = np.array(look.skin, np.float32)
        dark = 1 - float(skin.mean())
        r = self._regions
        mottle = 1 + 0.03 * noise["coarse"] + 0.018 * noise["middle"] + 0.018 * noise["fine"]
        colour = mottle[..., None] * skin
        flush = r["cheek"] * 0.9 + r["nose"] * 0.8 + r["chin"] * 0.5 + r["ear"] * 0.35
        flush = (flush + 0.08 * noise["coarse"]) * (0.3 + 1.3 * look.redness) * (1.1 - 0.5 * dark)
        colour *= 1 + flush[..., None] * np.array([0.03, -0.07, -0.06], np.float32)
        bags = r["below_eye"] * (0.2 + 1.1 * look.eye_bags)
        colour *= 1 - bags[..., None] * np.array([0.10, 0.13, 0.10], np.float32)
        lid = r["lid"] * (0.8 + 3.0 * look.shadow)
        colour *= 1 - lid[..., None] * np.array([0.08, 0.11, 0.09], np.float32)
        if look.freckles:
            spots = (noise["pores"] > 2.2).astype(np.float32) * r["middle_face"] * look.freckles
            colour *= 1 - spots[..., None] * np.array([0.14, 0.22, 0.3], np.float32)
        self._add_moles(colour, skin, rng)
        lips = self._lips[..., None] * 0.9
        tint = np.array(look.lips, np.float32) * (1 + 0.05 * noise["lines"][..., None])
        colour += lips * (tint - colour)
        relief = 0.5 + 0.055 * noise["fine"] + 0.025 * noise["middle"]
        relief += 0.1 * noise["lines"] * self._lips
        relief -= 0.09 * (noise["pores"] - 1).clip(0, 2) * r["middle_face"]
        return colour, relief

    def _add_moles(self, colour: Float32, skin: Float32, rng: np.random.Generator) -> None:
        import cv2  # noqa: PLC0415  (heavy)

        for _ in range(int(rng.integers(0, 5))):
            x, y = rng.integers(self._px // 5, self._px * 4 // 5, 2).tolist()
            tint = (skin * [0.45, 0.36, 0.32]).tolist()
            cv2.circle(colour, (x, y), int(rng.integers(1, 3)), tint, -1, cv2.LINE_AA)

    def _bearded(self, colour: Float32, look: Look, noise: Mapping[str, Float32]) -> Float32:
        if look.beard == "none":
            return colour
        grown = beard_mask(self._face, "full" if look.beard == "stubble" else look.beard)
        grown = grown * (1 - self._lips)
        dots = (0.5 + 0.5 * noise["fine"]).clip(0, 1.4)
        strength = look.beard_length * 0.8 if look.beard == "stubble" else 1.1
        share = (grown * strength * (0.35 + 0.5 * dots)).clip(0, 0.92)[..., None]
        hair = np.array(look.brow_hair, np.float32) * 0.8 + 0.04
        return np.asarray(colour + share * (hair - colour), np.float32)

    def _browed(
        self, colour: Float32, relief: Float32, look: Look, rng: np.random.Generator
    ) -> tuple[Float32, Float32]:
        import cv2  # noqa: PLC0415  (heavy)

        big = self._px * _STROKE_SCALE
        strokes: NDArray[Any] = np.zeros((big, big), np.float32)
        for side in (1.0, -1.0):
            begins, ends = _brow_strokes(look, rng, side)
            fixed = np.round(np.stack([begins, ends], axis=1) * big * 2**_SUBPIXEL_BITS)
            weights = rng.uniform(0.5, 0.95, len(begins))
            for (begin, end), weight in zip(fixed.astype(int).tolist(), weights, strict=True):
                cv2.line(strokes, begin, end, float(weight), 2, cv2.LINE_AA, _SUBPIXEL_BITS)
        strokes = cv2.resize(strokes, (self._px, self._px), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(strokes, (0, 0), 3.0 * self._px / 512)
        share = (0.72 * strokes + 0.62 * soft).clip(0, 0.95)[..., None] * 0.9
        hair = np.array(look.brow_hair, np.float32)
        painted = np.asarray(colour + share * (hair - colour), np.float32)
        return painted, np.asarray(relief + 0.12 * strokes, np.float32)

    def _scalp(self, look: Look, noise: Mapping[str, Float32]) -> Bytes:
        px = len(self._head)
        grain = 1 + 0.02 * noise["coarse"][:px, :px] + 0.02 * noise["fine"][:px, :px]
        skin = np.array(look.skin, np.float32) * grain[..., None]
        covered = hair_mask(self._head, look)[..., None] * PAINTED.get(look.hair_style, 0.9)
        hair = np.float32(0.8) * np.array(look.hair, np.float32)
        if look.beard not in {"none", "moustache"}:
            beard = beard_mask(self._head, "full")[..., None]
            beard = beard * (0.4 * look.beard_length if look.beard == "stubble" else 0.6)
            skin = skin + beard * (np.array(look.brow_hair, np.float32) - skin)
        skin = np.asarray(skin + covered * (hair - skin), np.float32)
        return _packed(skin, np.full((px, px), 0.5, np.float32))


def _regions(places: Float32) -> dict[str, Float32]:
    """Return where parts of the face are: blobs from 0 to 1 in the texture."""
    x, y, z = np.abs(places[..., 0]), places[..., 1], places[..., 2]

    def blob(at: tuple[float, float, float], size: float, wide: float = 1.0) -> Float32:
        off = ((x - at[0]) / (size * wide)) ** 2 + ((y - at[1]) / size) ** 2
        off += ((z - at[2]) / (size * 1.5)) ** 2
        return np.asarray(np.exp(-off), np.float32)

    return {
        "cheek": blob((4.6, 0.0, 9.0), 2.2),
        "nose": blob((0.0, 0.6, 12.5), 1.5),
        "chin": blob((0.0, -7.0, 10.5), 2.0),
        "ear": blob((7.5, 1.0, 1.0), 2.5),
        "below_eye": blob((3.1, 2.1, 9.2), 1.0, 1.6),
        "lid": blob((3.2, 4.35, 9.5), 0.8, 1.8),
        "middle_face": (
            blob((3.0, 0.4, 10.0), 3.2) + blob((0.0, 0.4, 12.5), 2.5) + blob((0.0, 8, 10), 4) * 0.3
        ).clip(0, 1),
    }


def _brow_strokes(
    look: Look, rng: np.random.Generator, side: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return begin and end of each hair of a brow, (n, 2) in the texture's units."""
    brows = look.brows
    inner, control, outer = _brow_line(look, side)
    n = max(20, int(_STROKES * brows.density))
    t = rng.beta(1.0, 1.15, n)[:, None]
    on_line = (1 - t) ** 2 * inner + 2 * t * (1 - t) * control + t**2 * outer
    along = 2 * (1 - t) * (control - inner) + 2 * t * (outer - control)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    across *= np.sign(across[:, 1:])
    half = 0.0092 * brows.thickness * (1.15 - 0.95 * t**1.6) * (0.45 + 5 * t).clip(None, 1)
    off = rng.normal(0, 0.5, (n, 1))
    begin = on_line + across * half * off.clip(-1.1, 1.1)
    rise = (1.1 - 2.2 * t - 0.3 * off).clip(-0.45, 1.0)
    way = along * (1.05 - 0.5 * np.abs(rise)) + across * rise * 0.9
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    length = rng.uniform(0.010, 0.018, (n, 1)) * (1 - 0.35 * t) * brows.thickness**0.3
    end = begin + way * length - across * 0.15 * length * (t > 0.4)
    return _on_side(begin, side), _on_side(end, side)


def _brow_line(look: Look, side: float) -> NDArray[np.float64]:
    """Return begin, control and end of a brow's parabola, as on the person's right (side 1): (3, 2)."""
    brows = look.brows
    lift = np.array([0.0, brows.height - 0.5 * side * brows.asymmetry])
    inner = np.array([0.4520, 0.7885 - 0.4 * brows.slant]) + lift
    middle = np.array([0.345, 0.8075 + 0.006 * brows.arch]) + lift
    outer = np.array([0.452 - 0.214 * brows.length, 0.786 + 0.6 * brows.slant]) + lift
    return np.stack([inner, 2 * middle - 0.5 * (inner + outer), outer])


def brow_marks(look: Look) -> NDArray[np.float64]:
    """Return where landmarks 17 to 26 lie in the texture: (10, 2), the right brow from outside first."""
    t = _MARKS_ALONG[:, None]
    marks = []
    for side in (1.0, -1.0):
        inner, control, outer = _brow_line(look, side)
        line = _on_side((1 - t) ** 2 * inner + 2 * t * (1 - t) * control + t**2 * outer, side)
        marks.append(line[np.argsort(line[:, 0])])
    return np.concatenate(marks)


def _on_side(points: NDArray[np.float64], side: float) -> NDArray[np.float64]:
    return points if side > 0 else np.column_stack([1 - points[:, 0], points[:, 1]])


def _smooth_outline(points: Float32, steps: int = 12) -> NDArray[np.float64]:
    """Return a closed curve through points (Catmull & Rom)."""
    before, after, last = (np.roll(points, shift, axis=0) for shift in (1, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    curve = 0.5 * (
        2 * points
        + (after - before) * t
        + (2 * before - 5 * points + 4 * after - last) * t**2
        + (3 * points - before - 3 * after + last) * t**3
    )
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2), np.float64)


def _shuffled(field: Float32, rng: np.random.Generator) -> Float32:
    """Return noise shifted and mirrored at random."""
    down, across = rng.integers(0, len(field), 2).tolist()
    moved = np.roll(field, (down, across), axis=(0, 1))
    return np.asarray(moved[:: int(rng.choice((-1, 1)))], np.float32)


def _packed(colour: Float32, relief: Float32) -> Bytes:
    """Return the four channels of a texture from an sRGB colour and a relief."""
    root = colour.clip(0.01, 1) ** np.float32(1.1)  # the square root of the linear colour
    return np.asarray((np.dstack([root, relief.clip(0, 1)]) * 255).astype(np.uint8))
