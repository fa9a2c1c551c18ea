"""A picture of litter around an overturned bin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.bundled.painting import (
    HEIGHT_PX,
    SCALE,
    WIDTH_PX,
    Canvas,
    Point,
    colour,
    gradient,
    grid,
    new_canvas,
    noise,
    smooth_curve,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

FULL = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)


def litter(rng: np.random.Generator) -> Image.Image:
    """Paint an overturned bin and litter on wet grey ground."""
    canvas = new_canvas(
        [
            (0, colour("8c8e8d")),
            (0.42, colour("9b9c99")),
            (0.43, colour("6d6e6c")),
            (1, colour("565856")),
        ]
    )
    _, y = grid(*FULL)
    wall = np.clip((0.43 - y) * 400, 0, 1)
    canvas.paint(
        wall, np.array(colour("8d8a83")) * (0.78 + 0.3 * noise(rng, FULL, (9, 12), 6))[..., None]
    )
    for row in range(9):
        for column in range(-1, 10):
            left, top = column * 92 + (row % 2) * 46, row * 29
            edge = canvas.line([(left, top), (left + 92, top), (left + 92, top + 29)], 1.6, 0.7)
            canvas.paint(edge * wall, colour("55534e"), 0.55)
    ground = 1 - wall
    canvas.paint(ground, canvas.pixels * (0.72 + 0.42 * noise(rng, FULL, (60, 50), 4))[..., None])
    canvas.paint(
        np.clip((noise(rng, FULL, (7, 4), 4) - 0.62) * 6, 0, 1) * ground, colour("a7adb0"), 0.35
    )
    stain = canvas.ellipse(470, 515, 150, 30, 14) + canvas.ellipse(620, 470, 70, 14, 10)
    canvas.shade(1 - 0.4 * np.clip(stain, 0, 1))
    _bin(canvas)
    for _ in range(17):
        _crumpled(
            canvas,
            rng,
            (330 + 400 * rng.random(), 400 + 165 * rng.random()),
            15 + 20 * rng.random(),
        )
    _can(canvas, (560, 462), 0.35, "8e2f2a")
    _can(canvas, (410, 548), -0.5, "4f6a56")
    _can(canvas, (690, 535), 2.6, "5a6377")
    peel = [
        (500, 500),
        (532, 486),
        (560, 510),
        (540, 503),
        (528, 530),
        (518, 504),
        (486, 520),
        (500, 500),
    ]
    canvas.shade(1 - 0.4 * np.roll(canvas.polygon(smooth_curve(peel, 60), 3), (8, 5), (0, 1)))
    canvas.paint(canvas.polygon(smooth_curve(peel, 60), 0.6), colour("8f7a35"))
    canvas.paint(
        canvas.line(smooth_curve([(505, 503), (530, 500), (552, 507)], 20), 4, 1.5),
        colour("3d321a"),
        0.8,
    )
    canvas.vignette(0.4)
    canvas.grain(rng, 0.014)
    return canvas.finish()


def _bin(canvas: Canvas) -> None:
    """Paint a dented metal bin lying on its side, its mouth to the right."""
    canvas.shade(1 - 0.6 * canvas.ellipse(225, 520, 215, 26, 12))
    body = [(60, 360), (330, 318), (352, 510), (70, 500)]
    mask = np.clip(canvas.polygon(body, 1) + canvas.ellipse(65, 430, 30, 70, 1), 0, 1)
    _, y = grid(*FULL)
    metal = gradient(
        [
            (0.52, colour("4c5254")),
            (0.6, colour("a3abad")),
            (0.68, colour("7b8284")),
            (0.84, colour("34393b")),
        ],
        y,
    )
    canvas.paint(mask, metal)
    for i in range(7):
        left = 88 + i * 36
        rib = smooth_curve([(left, 360 - i * 5.6), (left - 11, 430), (left + 6, 502 + i)], 24)
        canvas.paint(canvas.line(rib, 3, 1), colour("33383a"), 0.55)
        canvas.paint(canvas.line([(a + 4, b) for a, b in rib], 1.6, 0.8), colour("c6ccce"), 0.4)
    canvas.paint(canvas.ellipse(340, 414, 40, 97, 0.8), colour("8a9193"))
    canvas.paint(canvas.ellipse(344, 414, 33, 88, 1.2), colour("141617"))
    canvas.paint(canvas.ellipse(352, 452, 22, 44, 12), colour("4a4842"), 0.5)


def _crumpled(canvas: Canvas, rng: np.random.Generator, at: Point, size: float) -> None:
    """Paint a crumpled ball of paper from shaded facets."""
    n = 11
    angles = 2 * np.pi * (np.arange(n) + 0.5 * rng.random(n)) / n
    radii = size * (0.75 + 0.4 * rng.random(n))
    rim = [
        (at[0] + float(r * np.cos(a)), at[1] + 0.8 * float(r * np.sin(a)))
        for a, r in zip(angles, radii, strict=True)
    ]
    canvas.shade(
        1
        - 0.55
        * canvas.ellipse(at[0] + size * 0.25, at[1] + size * 0.62, size * 1.1, size * 0.35, 3)
    )
    tints = ("c9c6bd", "b9b19c", "d5d2ca", "a89f8a", "9fa9ad")
    tint = np.array(colour(tints[int(rng.random() * len(tints))]))
    inner = [
        (
            at[0] + size * 0.4 * float(np.cos(a)) + rng.normal(0, 2),
            at[1] + size * 0.3 * float(np.sin(a)) + rng.normal(0, 2),
        )
        for a in np.linspace(0, 2 * np.pi, 5, endpoint=False)
    ]
    for i in range(n):
        middle = inner[i * 5 // n]
        tone = tint * (0.55 + 0.5 * rng.random() - 0.18 * float(np.sin(angles[i])))
        canvas.paint(canvas.polygon([rim[i], rim[(i + 1) % n], middle], 0.4), tone)
    for i, point in enumerate(inner):
        tone = tint * (0.65 + 0.42 * rng.random())
        canvas.paint(
            canvas.polygon([point, inner[(i + 1) % 5], at, rim[(i * n // 5 + 1) % n]], 0.4), tone
        )


def _can(canvas: Canvas, at: Point, turn: float, tone: str) -> None:
    def place(points: Sequence[Point]) -> list[Point]:
        return turned(points, turn, *at)

    canvas.shade(
        1
        - 0.55
        * np.roll(
            canvas.polygon(place([(-44, -19), (44, -19), (44, 19), (-44, 19)]), 5), (16, 8), (0, 1)
        )
    )
    base = np.array(colour(tone))
    dented = [
        (-42, -20),
        (-8, -20),
        (4, -12),
        (14, -20),
        (42, -20),
        (42, 20),
        (10, 20),
        (0, 14),
        (-10, 20),
        (-42, 20),
    ]
    canvas.paint(canvas.polygon(place(dented), 0.6), base)
    for low, high, factor in ((-19, -12, 0.7), (-11, -4, 1.6), (6, 19, 0.55)):
        canvas.paint(
            canvas.polygon(place([(-42, low), (42, low), (42, high), (-42, high)]), 2.5),
            np.clip(base * factor, 0, 1),
            0.6,
        )
    end = [
        (42 + 8 * float(np.cos(a)), 20 * float(np.sin(a))) for a in np.linspace(0, 2 * np.pi, 40)
    ]
    canvas.paint(canvas.polygon(place(end), 0.5), colour("b8bcbd"))
    canvas.paint(
        canvas.polygon(place([(42 + 0.6 * (x - 42), 0.7 * y) for x, y in end]), 0.5),
        colour("6e7273"),
    )
