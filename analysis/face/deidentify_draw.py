"""Draws the generic head of :mod:`duchenne.analysis.face.deidentify_head`: soft shades, smooth edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.deidentify_head import build_head

if TYPE_CHECKING:
    from duchenne.analysis.face.deidentify_parts import Expression, Head, Side
    from duchenne.analysis.face.frames import FloatArray, Image

SIZE_PX = 512
OVERSAMPLING = 1
PX_PER_CM = 17.5
CENTRE = (0.5, 0.49)
_FRACTION_BITS = 4

Colour = tuple[int, int, int]
BACKDROP, BACKDROP_EDGE = (214, 220, 226), (176, 186, 196)
SKIN: Colour = (226, 184, 156)
SHADE: Colour = (172, 118, 92)
DEEP: Colour = (120, 72, 56)
LIGHT: Colour = (246, 214, 190)
BLUSH: Colour = (222, 142, 124)
HAIR: Colour = (74, 56, 46)
BROW: Colour = (66, 48, 40)
LIP: Colour = (188, 96, 92)
LIP_LIGHT: Colour = (208, 122, 114)
LIP_DARK: Colour = (128, 56, 56)
MOUTH: Colour = (110, 50, 50)
TEETH: Colour = (240, 236, 228)
WHITE: Colour = (244, 242, 240)
IRIS: Colour = (104, 78, 54)
PUPIL: Colour = (22, 18, 18)
SHIRT: Colour = (104, 124, 146)


def draw_avatar(expression: Expression, size_px: int = SIZE_PX) -> Image:
    """Return a picture of the generic head.

    Parameters
    ----------
    expression : Expression
    size_px : int
        Side of the square picture.

    Returns
    -------
    (size_px, size_px, 3) uint8
        RGB. The same expression always gives the same picture.
    """
    head = build_head(expression)
    canvas = _Canvas(size_px)
    _draw_body(canvas, head)
    _draw_skin(canvas, head)
    for side in head.sides:
        _draw_eye(canvas, side)
    _draw_nose(canvas, head)
    _draw_mouth(canvas, head)
    _draw_wrinkles(canvas, head)
    for side in head.sides:
        canvas.fill(side.brow, BROW, soft_cm=0.06)
    canvas.fill(head.hair, HAIR, soft_cm=0.05)
    return canvas.picture()


def draw_nobody(size_px: int = SIZE_PX) -> Image:
    """Return the picture of a frame in which the face could not be measured: an empty backdrop."""
    return _Canvas(size_px).picture()


def _draw_body(canvas: _Canvas, head: Head) -> None:
    for side in head.sides:
        canvas.fill(side.ear, _mix(SKIN, SHADE, 0.25))
        canvas.fill(side.ear, SHADE, alpha=0.4, soft_cm=0.4, grow=0.55)
    canvas.fill(head.neck, _mix(SKIN, SHADE, 0.45))
    canvas.fill(head.shoulders, SHIRT)


def _draw_skin(canvas: _Canvas, head: Head) -> None:
    canvas.fill(head.outline, _mix(SKIN, SHADE, 0.42))
    inside = canvas.mask(head.outline)
    canvas.fill(head.outline, SKIN, soft_cm=1.6, grow=0.9, within=inside)
    canvas.fill(head.outline, LIGHT, alpha=0.35, soft_cm=2.6, grow=0.55, within=inside)
    for side in head.sides:
        canvas.fill(side.socket, SHADE, alpha=0.4, soft_cm=0.7, within=inside)
        canvas.fill(side.cheek, BLUSH, alpha=0.32, soft_cm=0.8, within=inside)
        lift = head.expression.unit("AU06")
        canvas.fill(
            side.cheek, LIGHT, alpha=0.25 + 0.4 * lift, soft_cm=0.55, grow=0.55, within=inside
        )
    canvas.fill(head.chin, LIGHT, alpha=0.4, soft_cm=0.6, grow=0.7)


def _draw_eye(canvas: _Canvas, side: Side) -> None:
    opening = canvas.mask(side.eye)
    canvas.fill(side.eye, WHITE)
    canvas.fill(side.iris, IRIS, within=opening)
    canvas.fill(side.pupil, PUPIL, within=opening)
    canvas.fill(side.glint, WHITE, within=opening)
    canvas.line(side.upper_lid, DEEP, width_cm=0.3, alpha=0.4, soft_cm=0.18, within=opening)
    canvas.line(side.crease, SHADE, width_cm=0.1, alpha=0.8, soft_cm=0.06)
    canvas.line(side.lower_lid, DEEP, width_cm=0.08, alpha=0.6)
    canvas.line(side.upper_lid, BROW, width_cm=0.17)


def _draw_nose(canvas: _Canvas, head: Head) -> None:
    canvas.fill(head.bridge, LIGHT, alpha=0.55, soft_cm=0.45, grow=0.7)
    for side in head.sides:
        canvas.line(side.wing, SHADE, width_cm=0.16, alpha=0.85, soft_cm=0.1)
        canvas.fill(side.nostril, DEEP, alpha=0.85, soft_cm=0.06)
    canvas.line(head.nose, SHADE, width_cm=0.18, alpha=0.7, soft_cm=0.1)
    canvas.fill(head.tip, LIGHT, alpha=0.6, soft_cm=0.3)


def _draw_mouth(canvas: _Canvas, head: Head) -> None:
    canvas.fill(head.under_lip, SHADE, alpha=0.55, soft_cm=0.28)
    canvas.fill(head.mouth, MOUTH)
    canvas.fill(head.teeth, TEETH, within=canvas.mask(head.mouth), soft_cm=0.03)
    canvas.fill(head.upper_lip, LIP)
    canvas.fill(head.lower_lip, LIP_LIGHT)
    shut = 1 - head.expression.unit("AU25")
    canvas.line(head.lip_line, LIP_DARK, width_cm=0.09, alpha=0.6 * shut**4)


def _draw_wrinkles(canvas: _Canvas, head: Head) -> None:
    u = head.expression.unit
    for line in head.forehead_lines:
        canvas.line(line, SHADE, width_cm=0.14, alpha=0.6 * max(u("AU01"), u("AU02")), soft_cm=0.1)
    for line in head.nose_wrinkles:
        canvas.line(line, DEEP, width_cm=0.12, alpha=0.7 * u("AU09"), soft_cm=0.08)
    for side, name in zip(head.sides, "LR", strict=True):
        fold = max(u("AU12", name), u("AU09"), u("AU10"), 0.6 * u("AU20"))
        canvas.line(side.fold, SHADE, width_cm=0.2, alpha=0.25 + 0.6 * fold, soft_cm=0.14)
        canvas.line(side.furrow, DEEP, width_cm=0.15, alpha=0.8 * u("AU04"), soft_cm=0.1)
        canvas.line(side.dimple, DEEP, width_cm=0.2, alpha=0.8 * u("AU14", name), soft_cm=0.12)
        for line in side.crow:
            canvas.line(line, SHADE, width_cm=0.1, alpha=0.8 * u("AU06", name), soft_cm=0.06)
    canvas.fill(head.chin, SHADE, alpha=0.4 * u("AU17"), soft_cm=0.35, grow=0.8)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    a, b = np.array(first), np.array(second)
    r, g, bl = (a + (b - a) * share).round().astype(int).tolist()
    return r, g, bl


class _Canvas:
    """A picture at twice its size; shapes are given in centimetres from the head's origin."""

    def __init__(self, size_px: int) -> None:
        import cv2  # noqa: PLC0415  (heavy)

        self._cv2: Any = cv2
        self._size_px = size_px
        self._side = size_px * OVERSAMPLING
        self._scale = PX_PER_CM * self._side / SIZE_PX
        rows = np.linspace(0, 1, self._side)[:, None]
        columns = np.linspace(-1, 1, self._side)[None, :]
        edge = np.clip(0.75 * columns**2 + 0.35 * rows, 0, 1)[..., None]
        backdrop = np.array(BACKDROP) * (1 - edge) + np.array(BACKDROP_EDGE) * edge
        self._image = backdrop.astype(np.float32)

    def picture(self) -> Image:
        """Return the picture in its size."""
        size = (self._size_px, self._size_px)
        small = self._cv2.resize(self._image, size, interpolation=self._cv2.INTER_AREA)
        return np.asarray(np.clip(small, 0, 255).round(), np.uint8)

    def mask(self, shape: FloatArray) -> FloatArray:
        """Return how much of each pixel a closed shape covers: (side, side) float32, 0 to 1."""
        mask = np.zeros((self._side, self._side), np.uint8)
        self._polygon(mask, self._pixels(shape), (0, 0))
        return np.asarray(mask / np.float32(255))

    def fill(
        self,
        shape: FloatArray,
        colour: Colour,
        *,
        alpha: float = 1.0,
        soft_cm: float = 0.0,
        grow: float = 1.0,
        within: FloatArray | None = None,
    ) -> None:
        """Fill a closed shape, with soft edges, grown about its middle, inside of another."""
        middle = (shape.min(axis=0) + shape.max(axis=0)) / 2
        self._blend(self._pixels(middle + (shape - middle) * grow), colour, alpha, soft_cm, within)

    def line(
        self,
        curve: FloatArray,
        colour: Colour,
        *,
        width_cm: float,
        alpha: float = 1.0,
        soft_cm: float = 0.0,
        within: FloatArray | None = None,
    ) -> None:
        """Draw a curve that tapers towards its ends."""
        if alpha <= 0 or len(curve) < 2:
            return
        along = np.gradient(curve, axis=0)
        across = np.column_stack([-along[:, 1], along[:, 0]])
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        width = width_cm / 2 * (0.25 + 0.75 * np.sin(np.linspace(0, np.pi, len(curve))))[:, None]
        shape = np.vstack([curve + across * width, (curve - across * width)[::-1]])
        self._blend(self._pixels(shape), colour, alpha, soft_cm, within)

    def _pixels(self, shape: FloatArray) -> FloatArray:
        return np.asarray(shape * self._scale + np.array(CENTRE) * self._side)

    def _polygon(self, mask: Any, points: FloatArray, origin: tuple[int, int]) -> None:
        fixed = np.round((points - np.array(origin)) * 2**_FRACTION_BITS).astype(np.int32)
        self._cv2.fillPoly(mask, [fixed], 255, lineType=self._cv2.LINE_AA, shift=_FRACTION_BITS)

    def _blend(
        self,
        points: FloatArray,
        colour: Colour,
        alpha: float,
        soft_cm: float,
        within: FloatArray | None,
    ) -> None:
        sigma = soft_cm * self._scale
        margin = int(3 * sigma) + 2
        low = np.clip(np.floor(points.min(axis=0)) - margin, 0, self._side).astype(int)
        high = np.clip(np.ceil(points.max(axis=0)) + margin, 0, self._side).astype(int)
        if alpha <= 0 or np.any(high - low < 1):
            return
        (left, top), (right, bottom) = low.tolist(), high.tolist()
        mask = np.zeros((bottom - top, right - left), np.uint8)
        self._polygon(mask, points, (left, top))
        cover = mask.astype(np.float32) * np.float32(alpha / 255)
        if sigma > 0.5:
            cover = self._soft(cover, sigma)
        if within is not None:
            cover = cover * within[top:bottom, left:right]
        region = self._image[top:bottom, left:right]
        region += cover[..., None] * (np.array(colour, np.float32) - region)

    def _soft(self, cover: Any, sigma: float) -> Any:
        """Blur; wide blurs on a smaller copy, which looks the same and is quick."""
        shrink = max(1, int(sigma / 4))
        if shrink == 1:
            return self._cv2.GaussianBlur(cover, (0, 0), sigma)
        height, width = cover.shape
        size = (max(2, width // shrink), max(2, height // shrink))
        small = self._cv2.resize(cover, size, interpolation=self._cv2.INTER_AREA)
        small = self._cv2.GaussianBlur(small, (0, 0), sigma / shrink)
        return self._cv2.resize(small, (width, height), interpolation=self._cv2.INTER_LINEAR)
