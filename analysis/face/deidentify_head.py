"""A generic head whose features move with Action Units and pose: numbers in, curves out.

The head is nobody's: its proportions are round numbers in centimetres, with the eyes' midpoint
2.6 cm above the origin. Every Action Unit moves the points of brows, lids, nose and lips by a fixed
vector per unit of intensity, as the Investigator's Guide of FACS describes the appearance changes
(Ekman, Friesen & Hager 2002); nothing else of a person enters.

Axes: x to the image's right (the head's own left), y up, z towards the camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.deidentify_parts import Expression, Head, Side, rotation, smooth_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.face.frames import FloatArray

CAMERA_CM = 70.0
SIDES = (("L", 1.0), ("R", -1.0))
_HEAD_DEPTH = 2.2
_EYE, _EYE_DEPTH = (3.22, 2.62), -0.9


def build_head(expression: Expression) -> Head:
    """Return the curves of the head that shows an expression."""
    return _Builder(expression).head()


class _Builder:
    """Places points on the head, moves them by Action Units, and projects them."""

    def __init__(self, expression: Expression) -> None:
        self._x = expression
        self._turn = rotation(expression.pose_deg)
        self._jaw = 1.75 * self._x.unit("AU26") + 3.2 * self._x.unit("AU27")

    def head(self) -> Head:
        left, right = (self._side(name, sign) for name, sign in SIDES)
        lips = self._lips()
        jaw = self._jaw
        half = [(6.9, 2.5), (6.75, -0.5), (6.2, -3.4), (5.0, -6.0 - 0.5 * jaw)]
        half += [(3.1, -7.9 - 0.85 * jaw), (1.3, -8.75 - jaw)]
        top = [(6.7, 5.6), (5.4, 8.6), (2.9, 10.4), (0.0, 11.0)]
        contour = [
            *half[::-1],
            *top,
            *[(-x, y) for x, y in top[-2::-1]],
            *[(-x, y) for x, y in half],
        ]
        return Head(
            outline=self._flat_curve(contour, depth=_HEAD_DEPTH),
            hair=self._hair(),
            neck=np.array([[-3.6, 6.0], [3.6, 6.0], [4.2, 14.5], [-4.2, 14.5]]),
            shoulders=_shoulders(),
            sides=(left, right),
            bridge=self._on(
                [(-0.75, 3.2), (-0.65, 0.6), (-0.9, -1.2), (0.9, -1.2), (0.65, 0.6), (0.75, 3.2)],
                1.0,
            ),
            nose=self._nose(),
            tip=self._on(_ellipse(0.0, -1.05, 0.75, 0.55), 2.6),
            nose_wrinkles=self._nose_wrinkles(),
            forehead_lines=self._forehead_lines(),
            upper_lip=lips["upper"],
            lower_lip=lips["lower"],
            mouth=lips["mouth"],
            teeth=lips["teeth"],
            lip_line=lips["line"],
            under_lip=lips["under"],
            chin=self._on(_ellipse(0.0, -7.0 - jaw + 0.5 * self._x.unit("AU17"), 1.7, 0.95), 0.5),
            expression=self._x,
        )

    def _side(self, name: str, sign: float) -> Side:
        u = self._x
        upper, lower = self._lids(name)
        smile = _smile(u, name)
        nose_up = 0.35 * u.unit("AU09") + 0.2 * u.unit("AU10")
        corner_x = 2.6 + 0.95 * smile
        raised = 0.55 * u.unit("AU06", name) + 0.35 * smile

        def curve(points: Sequence[tuple[float, float]], bump: float) -> FloatArray:
            return self._on([(sign * x, y) for x, y in points], bump, closed=False)

        def shape(points: Sequence[tuple[float, float]], bump: float) -> FloatArray:
            return self._on([(sign * x, y) for x, y in points], bump)

        fold = [(1.75, -0.8 + nose_up), (2.55 + 0.25 * smile, -2.2)]
        fold.append((corner_x + 0.75, -3.7 + 0.5 * smile))
        wing = [(1.05, -0.75 + nose_up), (1.62, -1.25 + nose_up), (1.35, -1.9 + nose_up)]
        ear = [(sign * x, y) for x, y in _ellipse(7.05, 0.9, 0.8, 1.9)]
        glint = _ellipse(sign * _EYE[0] + 0.22, _EYE[1] + 0.24, 0.14, 0.14)
        return Side(
            brow=shape(self._brow(name), 0.35),
            eye=shape([*upper, *lower[::-1][1:-1]], _EYE_DEPTH),
            upper_lid=curve(upper, _EYE_DEPTH + 0.1),
            crease=curve(self._crease(name), _EYE_DEPTH + 0.1),
            lower_lid=curve(lower, _EYE_DEPTH + 0.05),
            iris=shape(_ellipse(*_EYE, 0.74, 0.74), _EYE_DEPTH),
            pupil=shape(_ellipse(*_EYE, 0.33, 0.33), _EYE_DEPTH),
            glint=self._on(glint, _EYE_DEPTH),
            fold=curve(fold, 0.3),
            cheek=shape(_ellipse(4.1, -0.7 + raised, 1.6, 1.25), 0.4),
            crow=self._crow(name, sign),
            furrow=curve([(0.62, 4.3 - 0.5 * u.unit("AU04")), (0.5, 3.1)], 0.3),
            nostril=shape(_ellipse(0.72, -1.78 + 0.6 * nose_up, 0.36, 0.2), 1.4),
            wing=curve([*wing, (0.75, -1.95)], 1.0),
            ear=self._flat_curve(ear, depth=-0.4),
            socket=shape(_ellipse(3.24, 3.0, 2.0, 1.25), _EYE_DEPTH),
            dimple=curve([(corner_x + 0.45, -4.0), (corner_x + 0.55, -4.7)], 0.2),
        )

    def _crow(self, name: str, sign: float) -> tuple[FloatArray, ...]:
        """Return the wrinkles beside an eye."""
        lifted = 0.12 * self._x.unit("AU06", name)
        return tuple(
            self._on(
                [(sign * 5.25, 2.75 + 0.1 * k), (sign * 6.05, 2.5 + 0.55 * k + lifted)],
                -0.3,
                closed=False,
            )
            for k in (-1, 0, 1)
        )

    def _crease(self, side: str) -> list[tuple[float, float]]:
        """Return the fold above the upper lid, which a closing lid hardly moves."""
        drop = 0.12 * _closure(self._x, side) + 0.15 * self._x.unit("AU04", side)
        rise = 0.2 * self._x.unit("AU05", side)
        points = ((4.85, 3.0), (4.25, 3.42), (3.55, 3.68), (2.85, 3.62), (2.2, 3.36), (1.72, 2.9))
        return [(x, y - drop + rise) for x, y in points]

    def _lids(self, side: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Return the upper and the lower lid from the outer to the inner corner."""
        u = self._x
        closed = _closure(u, side)
        wide = (
            0.42 * u.unit("AU05", side) - 0.2 * u.unit("AU07", side) - 0.06 * u.unit("AU06", side)
        )
        low = 0.3 * u.unit("AU07", side) + 0.26 * u.unit("AU06", side) + 0.06 * u.unit("AU09")
        outer, inner = (4.75, 2.62), (1.72, 2.4)
        top = np.array([0.42, 0.68, 0.62, 0.36]) + wide * np.array([0.7, 1, 1, 0.7])
        bottom = np.array([-0.34, -0.5, -0.46, -0.28]) + low * np.array([0.7, 1, 1, 0.8])
        meeting = np.array([-0.3, -0.42, -0.4, -0.26])
        top = np.maximum(top * (1 - closed) + meeting * closed, bottom + 0.02)
        xs = (4.25, 3.55, 2.85, 2.2)
        upper = [outer, *((x, 2.58 + y) for x, y in zip(xs, top.tolist(), strict=True)), inner]
        lower = [outer, *((x, 2.58 + y) for x, y in zip(xs, bottom.tolist(), strict=True)), inner]
        return upper, lower

    def _brow(self, side: str) -> list[tuple[float, float]]:
        """Return the brow as a closed shape."""
        u = self._x
        inner_up = 0.95 * u.unit("AU01", side)
        outer_up = 0.9 * u.unit("AU02", side)
        lower, squeeze = 1.2 * u.unit("AU04", side), 0.95 * u.unit("AU04", side)
        shut = _closure(u, side)  # over closed eyes the landmarks place brows too high
        lower += shut * (0.12 + 0.4 * u.unit("AU04", side))
        # Raised brows are drawn together by AU4 more than they are lowered.
        lower *= 1 - 0.75 * max(u.unit("AU01", side), u.unit("AU02", side))
        nose = 0.3 * u.unit("AU09")
        xs = np.array([1.25, 2.2, 3.3, 4.4, 5.35])
        ys = np.array([4.2, 4.5, 4.72, 4.6, 3.95])
        to_inner, to_outer = (
            np.array([1, 0.8, 0.5, 0.26, 0.14]),
            np.array([0.1, 0.3, 0.75, 1, 0.95]),
        )
        ys = ys + inner_up * to_inner + outer_up * to_outer
        ys = ys - lower * np.array([1, 0.95, 0.8, 0.55, 0.3]) - nose * to_inner
        xs = xs - squeeze * np.array([1, 0.9, 0.7, 0.5, 0.35])
        half = np.array([0.3, 0.36, 0.34, 0.26, 0.08])
        above = list(zip(xs.tolist(), (ys + half).tolist(), strict=True))
        below = list(zip(xs.tolist(), (ys - half).tolist(), strict=True))
        return [*above, *below[::-1]]

    def _lips(self) -> dict[str, FloatArray]:
        u, jaw = self._x, self._jaw
        both = {name: u.unit(name) for name in ("AU10", "AU15", "AU17", "AU18", "AU20")}
        thin = 0.55 * u.unit("AU23") + 0.5 * u.unit("AU24") + 0.9 * u.unit("AU28")
        gap = u.unit("AU25") * (1.35 + 1.1 * jaw / 1.75)
        corners = {}
        for name, sign in SIDES:
            smile, dimple = _smile(u, name), u.unit("AU14", name)
            x = 2.45 + 0.9 * smile + 0.35 * dimple + 0.8 * both["AU20"] - 1.05 * both["AU18"]
            y = -4.3 + 1.1 * smile + 0.1 * dimple - 1.1 * both["AU15"] - 0.3 * jaw
            y -= 0.15 * both["AU20"]
            corners[sign] = (sign * max(x, 1.0), y)
        mean_smile = (u.unit("AU12", "L") + u.unit("AU12", "R")) / 2
        up = 0.6 * both["AU10"] + 0.28 * u.unit("AU09") + 0.15 * mean_smile
        upper_y = -4.3 + up + 0.2 * gap - 0.2 * jaw
        lower_y = -4.34 - 0.8 * gap - 0.2 * jaw + 0.5 * both["AU17"] + 0.1 * mean_smile
        lower_y = min(lower_y, upper_y - 0.04)
        forward = 0.5 * both["AU18"]
        top_thick = max(0.12, 0.62 - 0.42 * thin - 0.12 * mean_smile + 0.15 * forward)
        low_thick = max(0.14, 0.82 - 0.52 * thin - 0.1 * mean_smile + 0.15 * forward)
        return self._lip_curves(corners, upper_y, lower_y, top_thick, low_thick)

    def _lip_curves(
        self,
        corners: dict[float, tuple[float, float]],
        upper_y: float,
        lower_y: float,
        top_thick: float,
        low_thick: float,
    ) -> dict[str, FloatArray]:
        left, right = corners[1.0], corners[-1.0]

        def across(mid_y: float, bow: float, share: float) -> list[tuple[float, float]]:
            """Return points from the right corner to the left one over the middle."""
            points = []
            for sign, corner in ((-1.0, right), (1.0, left)):
                x, y = corner
                arc = [(x * 0.78, y + (mid_y - y) * share), (x * 0.36, mid_y + bow)]
                points += arc if sign < 0 else arc[::-1]
            points.insert(2, (0.0, mid_y))
            return [right, *points, left]

        top_inner = across(upper_y, -0.02, 0.62)
        low_inner = across(lower_y, 0.03, 0.62)
        top_outer = across(upper_y + top_thick - 0.1, 0.16, 0.55)
        low_outer = across(lower_y - low_thick, 0.06, 0.6)
        teeth_low = across(max(upper_y - 0.55, lower_y + 0.02), 0.0, 0.6)

        def curve(points: list[tuple[float, float]]) -> FloatArray:
            return smooth_curve(points, closed=False)

        def closed(top: list[tuple[float, float]], bottom: list[tuple[float, float]]) -> FloatArray:
            return self._project(np.vstack([curve(top), curve(bottom)[::-1]]), 0.55)

        middle = [
            ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
            for a, b in zip(top_inner, low_inner, strict=True)
        ]
        return {
            "upper": closed(top_outer, top_inner),
            "lower": closed(low_inner, low_outer),
            "mouth": closed(top_inner, low_inner),
            "teeth": closed(top_inner, teeth_low),
            "line": self._project(curve(middle), 0.55),
            "under": self._on(_ellipse(0.0, lower_y - low_thick - 0.42, 1.1, 0.2), 0.4),
        }

    def _nose(self) -> FloatArray:
        return self._on(
            [(-0.8, -1.75), (-0.35, -2.02), (0.35, -2.02), (0.8, -1.75)], 2.0, closed=False
        )

    def _nose_wrinkles(self) -> tuple[FloatArray, ...]:
        return tuple(
            self._on([(-0.75, y - 0.12), (0.0, y + 0.08), (0.75, y - 0.12)], 1.1, closed=False)
            for y in (1.35, 1.95)
        )

    def _forehead_lines(self) -> tuple[FloatArray, ...]:
        u = self._x
        rise = 0.35 * (u.unit("AU01") + u.unit("AU02"))
        rows = []
        for y in (6.1, 6.8, 7.5):
            arch = 0.25 * u.unit("AU02")
            rows.append(
                self._on(
                    [
                        (-3.4, y + rise - 0.1),
                        (-1.6, y + rise + arch),
                        (0.0, y + rise),
                        (1.6, y + rise + arch),
                        (3.4, y + rise - 0.1),
                    ],
                    0.0,
                    closed=False,
                )
            )
        return tuple(rows)

    def _hair(self) -> FloatArray:
        outer = [(-7.0, 2.6), (-7.35, 6.0), (-6.2, 9.8), (-3.2, 11.9), (0.0, 12.4)]
        inner = [
            (5.75, 3.2),
            (5.9, 5.6),
            (4.6, 7.6),
            (2.0, 8.5),
            (-1.0, 8.35),
            (-4.3, 7.7),
            (-5.9, 5.6),
            (-5.75, 3.2),
        ]
        around = smooth_curve([*outer, *[(-x, y) for x, y in outer[-2::-1]]], closed=False)
        front = smooth_curve(inner, closed=False)
        return np.vstack([self._silhouette(around, _HEAD_DEPTH), self._project(front, 0.3)])

    def _on(
        self, points: Sequence[tuple[float, float]], bump: float, *, closed: bool = True
    ) -> FloatArray:
        """Return a smooth curve on the surface of the face, raised by `bump`, as it is seen."""
        return self._project(smooth_curve(points, closed=closed), bump)

    def _flat_curve(self, points: Sequence[tuple[float, float]], *, depth: float) -> FloatArray:
        """Return a smooth closed curve in a plane behind the face, as it is seen."""
        return self._silhouette(smooth_curve(points, closed=True), depth)

    def _silhouette(self, curve: FloatArray, depth: float) -> FloatArray:
        """Move a curve as a ball's outline moves when the ball turns: it shifts and keeps its width."""
        pitch, yaw, roll = np.radians(np.asarray(self._x.pose_deg, np.float64))
        shifted = curve + depth * np.array([np.sin(yaw), np.sin(pitch)])
        tilt = rotation((0.0, 0.0, float(np.degrees(roll))))[:2, :2]
        return np.asarray((shifted @ tilt.T) * [1.0, -1.0] * CAMERA_CM / (CAMERA_CM - depth))

    def _project(self, curve: FloatArray, bump: float) -> FloatArray:
        inside = 1 - (curve[:, 0] / 8.4) ** 2 - ((curve[:, 1] - 1.0) / 13.0) ** 2
        z = 7.4 * np.sqrt(np.clip(inside, 0.0, None)) + bump
        return self._seen(np.column_stack([curve, z]))

    def _seen(self, points: FloatArray) -> FloatArray:
        turned = points @ self._turn.T
        scale = CAMERA_CM / (CAMERA_CM - turned[:, 2])
        return np.asarray(
            np.column_stack([turned[:, 0], -turned[:, 1]]) * scale[:, None], np.float64
        )


def _smile(expression: Expression, side: str) -> float:
    """Return how far a corner of the mouth is drawn up, 0 to 1.15.

    The landmarks follow a faint smile less than its share, and one under lowered or raised brows or
    closed eyes less than one alone.
    """
    u = expression
    raised = max(u.unit("AU01", side), u.unit("AU02", side))
    others = 1 + 0.4 * u.unit("AU04", side) + 0.2 * raised + 0.1 * _closed(u, side)
    return float(min(1.15, u.unit("AU12", side) ** 0.75 * others))


def _closure(expression: Expression, side: str) -> float:
    """Return how far an eye is drawn closed, 0 to 1."""
    return float(_closed(expression, side) ** 0.7)


def _closed(expression: Expression, side: str) -> float:
    return max(expression.unit("AU45", side), expression.unit("AU43", side))


def _ellipse(
    x: float, y: float, half_width: float, half_height: float
) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return [(x + half_width * float(np.cos(a)), y + half_height * float(np.sin(a))) for a in angles]


def _shoulders() -> FloatArray:
    points = [(-20.0, 24.0), (-15.5, 15.5), (-8.0, 12.9), (-4.4, 11.6), (0.0, 13.6), (4.4, 11.6)]
    points += [(8.0, 12.9), (15.5, 15.5), (20.0, 24.0)]
    return smooth_curve(points, closed=False)
