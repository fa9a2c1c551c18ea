"""Gloomy pictures: rain on a window, a wilted flower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.bundled.painting import (
    HEIGHT_PX,
    SCALE,
    WIDTH_PX,
    Array,
    Canvas,
    Point,
    blurred,
    colour,
    gradient,
    grid,
    new_canvas,
    noise,
    smooth_curve,
    turned,
)

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

FULL = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)


def rain(rng: np.random.Generator) -> Image.Image:
    """Paint rain running down a window before a grey town."""
    canvas = new_canvas(
        [
            (0, colour("5d6873")),
            (0.55, colour("78828a")),
            (0.75, colour("4f5860")),
            (1, colour("2f363d")),
        ]
    )
    left = 0.0
    while left < WIDTH_PX:
        width, top = 50 + 80 * rng.random(), 190 + 170 * rng.random()
        tone = np.array(colour("4a535c")) * (0.75 + 0.4 * rng.random())
        canvas.paint(
            canvas.polygon([(left, top), (left + width, top), (left + width, 470), (left, 470)]),
            tone,
        )
        left += width * 0.9
    for _ in range(16):
        lx, ly = rng.random() * WIDTH_PX, 330 + 140 * rng.random()
        lamp = colour("d8b98a") if rng.random() < 0.6 else colour("9fb0bd")
        canvas.light(canvas.ellipse(lx, ly, 11, 11, 3)[..., None] * np.array(lamp) * 0.55)
    view = blurred(canvas.pixels, 13 * SCALE)
    canvas.pixels = view * (0.94 + 0.1 * noise(rng, FULL, (5, 7), 4))[..., None]
    flipped = blurred(view[::-1], 3)
    for _ in range(13):
        _trail(canvas, rng, flipped)
    small = [
        (rng.random() * WIDTH_PX, rng.random() * HEIGHT_PX, 0.8 + 2.2 * rng.random() ** 2)
        for _ in range(900)
    ]
    large = [
        (rng.random() * WIDTH_PX, rng.random() * HEIGHT_PX, 3.2 + 5.5 * rng.random() ** 2.2)
        for _ in range(190)
    ]
    _drops(canvas, small, flipped)
    _drops(canvas, large, flipped)
    canvas.vignette(0.4)
    canvas.grain(rng, 0.01)
    return canvas.finish()


def _trail(canvas: Canvas, rng: np.random.Generator, behind: Array) -> None:
    x, end = rng.random() * WIDTH_PX, HEIGHT_PX * (0.35 + 0.65 * rng.random())
    steps = np.arange(-10, end, 12.0)
    xs = x + np.cumsum(rng.normal(0, 1.3, len(steps)))
    points = smooth_curve(list(zip(xs.tolist(), steps.tolist(), strict=True)), 160)
    mask = canvas.line(points, 3.4, 1.0)
    canvas.paint(mask, behind * 1.12, 0.45)
    canvas.light(canvas.line([(px - 1.2, py) for px, py in points], 0.8, 0.5)[..., None] * 0.16)
    _drops(canvas, [(points[-1][0], points[-1][1], 6.5)], behind)


def _drops(canvas: Canvas, drops: list[tuple[float, float, float]], behind: Array) -> None:
    """Paint drops as lenses: the view upside down, dark above, bright below."""

    def shapes(dx: float, dy: float, k: float) -> Array:
        def draw(d: ImageDraw.ImageDraw) -> None:
            for x, y, r in drops:
                cx, cy, a, b = (
                    (x + dx * r) * SCALE,
                    (y + dy * r) * SCALE,
                    r * k * SCALE,
                    1.18 * r * k * SCALE,
                )
                d.ellipse([(cx - a, cy - b), (cx + a, cy + b)], fill=255)

        return canvas.mask(draw, 0.5)

    body = shapes(0, 0, 1)
    canvas.shade(1 - 0.25 * shapes(0.1, 0.25, 1.05) * (1 - body))
    canvas.paint(body, np.clip(behind * 1.05, 0, 1), 0.9)
    canvas.shade(1 - 0.42 * body * (1 - shapes(0.05, 0.3, 0.92)))
    canvas.light(
        (shapes(0, 0.48, 0.5) * 0.30 + shapes(-0.3, -0.42, 0.2) * 0.75)[..., None]
        * np.array([0.93, 0.97, 1])
    )


def wilted(rng: np.random.Generator) -> Image.Image:
    """Paint a wilted flower in a glass, petals fallen, in a dim room."""
    x, y = grid(*FULL)
    beam = np.exp(-((((x - 0.25) + 0.55 * y) / 0.5) ** 2))
    canvas = Canvas(
        gradient([(0, colour("2b2d33")), (1, colour("5c5d5e"))], beam)
        * (0.93 + 0.1 * noise(rng, FULL, (6, 8), 5))[..., None]
    )
    table = np.clip((y - 0.76) * 300, 0, 1)
    wood = (
        np.array(colour("3d342d"))
        * (0.75 + 0.35 * noise(rng, FULL, (70, 4), 4) + 0.35 * beam)[..., None]
    )
    canvas.paint(table, wood)
    canvas.shade(1 - 0.55 * canvas.ellipse(430, 508, 150, 17, 9))
    stem = smooth_curve(
        [(398, 480), (392, 360), (400, 240), (448, 158), (520, 178), (546, 248)], 120
    )
    for leaf, tone in (((397, 330), "565a3a"), ((396, 290), "4b5136")):
        side = 1 if tone == "565a3a" else -1
        droop = [
            leaf,
            (leaf[0] + side * 52, leaf[1] + 10),
            (leaf[0] + side * 74, leaf[1] + 98),
            (leaf[0] + side * 44, leaf[1] + 60),
            leaf,
        ]
        canvas.paint(canvas.polygon(smooth_curve(droop, 60), 0.5), colour(tone))
        canvas.paint(
            canvas.line(
                smooth_curve(
                    [
                        leaf,
                        (leaf[0] + side * 44, leaf[1] + 26),
                        (leaf[0] + side * 72, leaf[1] + 94),
                    ],
                    30,
                ),
                1.2,
            ),
            colour("777a52"),
            0.7,
        )
    canvas.paint(canvas.line(stem, 6), colour("4c5232"))
    canvas.paint(canvas.line([(a - 1.5, b) for a, b in stem], 1.6, 0.6), colour("8a8d62"), 0.6)
    _blossom(canvas, rng, (548, 254))
    _glass(canvas)
    for px, py, turn, size in (
        (560, 508, 0.3, 1.0),
        (618, 528, 1.4, 0.85),
        (505, 536, -0.6, 0.9),
        (664, 503, 2.2, 0.7),
    ):
        _petal(canvas, rng, (px, py), turn, size, flat=0.5)
    canvas.vignette(0.55)
    canvas.grain(rng, 0.014)
    return canvas.finish()


def _blossom(canvas: Canvas, rng: np.random.Generator, at: Point) -> None:
    """Paint a hanging head: withered petals pointing down."""
    for i, turn in enumerate((-0.95, 0.9, -0.5, 0.55, -0.12, 0.22)):
        _petal(
            canvas,
            rng,
            (at[0] + 8 * (turn), at[1] + 4 + i),
            turn * -0.9,
            1.0 + 0.12 * rng.random(),
            flat=1.0,
            hang=True,
        )
    canvas.paint(canvas.ellipse(at[0], at[1] - 2, 19, 15, 1), colour("4a4a2c"))
    canvas.paint(canvas.ellipse(at[0] - 4, at[1] - 7, 10, 6, 3), colour("7c7a50"), 0.7)


def _petal(
    canvas: Canvas,
    rng: np.random.Generator,
    at: Point,
    turn: float,
    size: float,
    *,
    flat: float,
    hang: bool = False,
) -> None:
    length = 88.0 if hang else 44.0
    start = 0.0 if hang else -length / 2
    shape = [
        (0, start),
        (17, start + 0.3 * length),
        (13, start + 0.8 * length),
        (2, start + length),
        (-15, start + 0.75 * length),
        (-16, start + 0.3 * length),
        (0, start),
    ]
    points = smooth_curve([(px * size, py * size) for px, py in shape], 60)
    placed = [(px, at[1] + (py - at[1]) * flat) for px, py in turned(points, turn, *at)]
    base = np.array(colour("7a4650")) * (0.8 + 0.35 * rng.random())
    if not hang:
        canvas.shade(1 - 0.5 * np.roll(canvas.polygon(placed, 3), (8, 6), (0, 1)))
    mask = canvas.polygon(placed, 0.6)
    streaks = 0.72 + 0.5 * noise(rng, FULL, (50, 60), 3)
    canvas.paint(mask, base * streaks[..., None])
    edge = canvas.line(placed, 1.4, 0.6)
    canvas.paint(edge, colour("3c2420"), 0.7)
    vein = [
        (px, at[1] + (py - at[1]) * flat)
        for px, py in turned(
            [(0, (start + 8) * size), (-1, (start + length * 0.85) * size)], turn, *at
        )
    ]
    canvas.paint(canvas.line(vein, 1.0, 0.6), colour("b58a86"), 0.45)


def _glass(canvas: Canvas) -> None:
    top, bottom = 348, 505
    sides = [(352, top), (446, top), (436, bottom), (362, bottom)]
    body = canvas.polygon(sides, 0.8)
    canvas.paint(body, colour("aab4b8"), 0.16)
    water = canvas.polygon([(359.5, 430), (439, 430), (434, bottom - 5), (364, bottom - 5)], 0.8)
    canvas.paint(water, colour("6a6f58"), 0.5)
    canvas.paint(canvas.ellipse(399, 430, 40, 6, 0.6), colour("8d917a"), 0.6)
    for a, b in ((sides[0], sides[3]), (sides[1], sides[2])):
        canvas.paint(canvas.line([a, b], 2.0, 0.6), colour("cfd6d8"), 0.5)
    canvas.light(canvas.line([(365, top + 12), (372, bottom - 22)], 5, 2)[..., None] * 0.28)
    for cy, opacity in ((top, 0.6), (bottom - 3, 0.45)):
        rx = 47 if cy == top else 37
        ring = np.clip(
            canvas.ellipse(399, cy, rx, 8, 0.6) - canvas.ellipse(399, cy, rx - 2.4, 6.2, 0.6), 0, 1
        )
        canvas.paint(ring, colour("dfe5e6"), opacity)
