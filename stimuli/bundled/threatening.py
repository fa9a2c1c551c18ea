"""Threatening and disgusting pictures: spikes, a spider, mould."""

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

    from PIL import Image, ImageDraw

FULL = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)


def spikes(rng: np.random.Generator) -> Image.Image:
    """Paint sharp dark spikes closing in on a red glow from all sides."""
    x, y = grid(*FULL)
    r = np.hypot(x - 0.667, y - 0.5)
    smoke = noise(rng, FULL, (5, 6), 5)
    glow = np.clip(1 - r / 0.75 + 0.35 * (smoke - 0.5), 0, 1)
    fire = [
        (0, colour("0d0003")),
        (0.35, colour("4a0008")),
        (0.65, colour("b3100f")),
        (0.85, colour("ff3a1c")),
        (1, colour("ff8a4a")),
    ]
    canvas = Canvas(gradient(fire, glow))
    for reach, n, dark in ((0.36, 46, 0.34), (0.48, 34, 0.2), (0.64, 24, 0.09)):
        for i in range(n):
            angle = 2 * np.pi * (i + rng.random() * 0.8) / n
            tip = reach * (0.7 + 0.6 * rng.random())
            _spike(canvas, rng, angle, tip * HEIGHT_PX * 0.72, dark)
    canvas.vignette(0.55)
    canvas.grain(rng, 0.02)
    return canvas.finish()


def _spike(
    canvas: Canvas, rng: np.random.Generator, angle: float, tip_px: float, dark: float
) -> None:
    """Paint one spike with a lit and a dark side, its tip `tip_px` from the middle."""
    half = 22 + 34 * rng.random()
    bend = rng.normal(0, 16)
    tip, base = (tip_px, bend), 640.0
    cx, cy = WIDTH_PX / 2, HEIGHT_PX / 2
    left = turned([tip, (base, -half), (base, 0)], angle, cx, cy)
    right = turned([tip, (base, 0), (base, half)], angle, cx, cy)
    lit = np.array(colour("e0301c")) * dark * 1.9 + np.array([0.05, 0.0, 0.0])
    canvas.paint(canvas.polygon(left), lit)
    canvas.paint(canvas.polygon(right), np.array(colour("50060a")) * dark + 0.004)
    canvas.paint(canvas.line(left[:2], 1.2), np.array(colour("ff6a3a")) * (0.35 + dark), 0.55)


def spider(rng: np.random.Generator) -> Image.Image:
    """Paint a large spider looming in a torn web."""
    x, y = grid(*FULL)
    r = np.hypot(x - 0.667, y - 0.42)
    canvas = Canvas(
        gradient(
            [(0, colour("8f8a78")), (0.35, colour("4d4a44")), (0.9, colour("100f10"))],
            r + 0.25 * (noise(rng, FULL, (4, 5), 5) - 0.5),
        )
    )
    _web(canvas, rng)
    body = (400.0, 300.0)
    shadow = Canvas(canvas.pixels)
    _spider_shape(shadow, body, rng=np.random.default_rng(4), offset=(26, 34), shadow=True)
    canvas.pixels = shadow.pixels
    _spider_shape(canvas, body, rng=np.random.default_rng(4), offset=(0, 0), shadow=False)
    canvas.vignette(0.6)
    canvas.grain(rng, 0.018)
    return canvas.finish()


def _web(canvas: Canvas, rng: np.random.Generator) -> None:
    hub = (395.0, 285.0)
    angles = np.sort(2 * np.pi * (np.arange(17) + 0.5 * rng.random(17)) / 17)
    for a in angles:
        end = (hub[0] + 620 * float(np.cos(a)), hub[1] + 620 * float(np.sin(a)))
        canvas.paint(canvas.line([hub, end], 0.9), colour("d8d6cc"), 0.4)
    for ring in range(1, 15):
        radius = 18 + 24 * ring + rng.normal(0, 3)
        for a, b in zip(angles, np.roll(angles, -1), strict=True):
            if rng.random() < 0.12 + 0.015 * ring:
                continue
            middle = a + ((b - a) % (2 * np.pi)) / 2
            points = [
                (hub[0] + k * radius * float(np.cos(t)), hub[1] + k * radius * float(np.sin(t)))
                for t, k in ((a, 1.0), (middle, 0.9), (b, 1.0))
            ]
            canvas.paint(canvas.line(smooth_curve(points, 12), 0.8), colour("d8d6cc"), 0.32)


def _spider_shape(
    canvas: Canvas, body: Point, *, rng: np.random.Generator, offset: Point, shadow: bool
) -> None:
    bx, by = body[0] + offset[0], body[1] + offset[1]
    blur = 9.0 if shadow else 0.0
    dark = (0.02, 0.015, 0.015)
    legs = [(-52, 250, -215), (-22, 285, -95), (12, 280, 85), (42, 235, 235)]
    for side in (-1, 1):
        for lift, reach, drop in legs:
            knee = (bx + side * reach * 0.52, by + lift - 105 + 0.28 * drop)
            foot = (bx + side * reach, by + drop)
            hip = (bx + side * 26, by + 0.35 * lift - 18)
            thigh, shin = (
                smooth_curve(
                    [hip, ((hip[0] + knee[0]) / 2, (hip[1] + knee[1]) / 2 - 14), knee], 24
                ),
                smooth_curve(
                    [
                        knee,
                        ((knee[0] + foot[0]) / 2 + side * 16, (knee[1] + foot[1]) / 2 - 6),
                        foot,
                    ],
                    24,
                ),
            )
            for points, width in ((thigh, 15), (shin, 8)):
                canvas.paint(canvas.line(points, width, blur), dark, 0.55 if shadow else 1)
                if not shadow:
                    _hairs(canvas, rng, points, width)
                    canvas.paint(
                        canvas.line(
                            [(px, py - width * 0.22) for px, py in points], width * 0.22, 1.5
                        ),
                        colour("6b5a4c"),
                        0.6,
                    )
    for cx, cy, rx, ry in ((bx, by + 72, 70, 84), (bx, by - 22, 46, 42)):
        canvas.paint(canvas.ellipse(cx, cy, rx, ry, blur), dark, 0.55 if shadow else 1)
        if not shadow:
            canvas.paint(
                canvas.ellipse(cx - rx * 0.2, cy - ry * 0.3, rx * 0.55, ry * 0.5, 16),
                colour("5a4a40"),
                0.65,
            )
            rim = [
                (cx + rx * float(np.cos(a)), cy + ry * float(np.sin(a)))
                for a in np.linspace(0, 2 * np.pi, 90)
            ]
            _hairs(canvas, rng, rim, 6)
    if shadow:
        return
    mark = [(bx, by + 46), (bx + 17, by + 70), (bx, by + 94), (bx - 17, by + 70)]
    canvas.paint(canvas.polygon(mark, 1.5), colour("a3231a"), 0.85)
    for dx, dy, size in (
        (-11, -46, 6.5),
        (11, -46, 6.5),
        (-25, -38, 4.5),
        (25, -38, 4.5),
        (-8, -33, 3),
        (8, -33, 3),
    ):
        canvas.light(
            canvas.ellipse(bx + dx, by + dy, size * 1.8, size * 1.8, 4)[..., None]
            * np.array(colour("ff2a12"))
            * 0.7
        )
        canvas.paint(canvas.ellipse(bx + dx, by + dy, size, size, 0.4), colour("c81408"))
        canvas.paint(
            canvas.ellipse(
                bx + dx - size * 0.3, by + dy - size * 0.35, size * 0.3, size * 0.3, 0.3
            ),
            colour("ffd9cc"),
        )
    for side in (-1, 1):
        fang = smooth_curve(
            [(bx + side * 12, by - 62), (bx + side * 20, by - 84), (bx + side * 7, by - 100)], 16
        )
        canvas.paint(canvas.line(fang, 8), dark)
        canvas.paint(canvas.line(fang[8:], 3), colour("6d3a2c"), 0.9)


def _hairs(canvas: Canvas, rng: np.random.Generator, points: list[Point], width: float) -> None:
    """Bristle an outline."""
    ends = []
    for px, py in points:
        for _ in range(4):
            a = rng.random() * 2 * np.pi
            length = width * (0.6 + 0.8 * rng.random())
            ends.append(
                ((px, py), (px + length * float(np.cos(a)), py + length * float(np.sin(a))))
            )

    def draw(d: ImageDraw.ImageDraw) -> None:
        for pair in ends:
            d.line(canvas.scaled(pair), fill=255, width=2)

    canvas.paint(canvas.mask(draw), (0.03, 0.025, 0.02), 0.8)


def mould(rng: np.random.Generator) -> Image.Image:
    """Paint a mouldy slice of bread with flies on it."""
    canvas = new_canvas([(0, colour("8b8672")), (1, colour("6a644f"))])
    canvas.pixels *= (0.86 + 0.2 * noise(rng, FULL, (60, 5), 4))[..., None]
    canvas.shade(1 - 0.5 * canvas.ellipse(412, 336, 322, 240, 22))
    canvas.paint(canvas.ellipse(400, 315, 312, 232, 0.8), colour("c9c6b8"))
    canvas.paint(canvas.ellipse(400, 311, 306, 226, 0.8), colour("dedbcf"))
    canvas.paint(canvas.ellipse(400, 315, 232, 168, 3), colour("c6c3b4"))
    crust, crumb = _slice(1.0), _slice(0.91)
    canvas.shade(1 - 0.5 * np.roll(canvas.polygon(crust, 10), (26, 14), (0, 1)))
    canvas.paint(canvas.polygon(crust, 1), colour("8a5527"))
    inside = canvas.polygon(crumb, 3)
    coarse, fine = noise(rng, FULL, (26, 34), 4), noise(rng, FULL, (110, 150), 2)
    bread = np.array(colour("dcb87a")) * (0.82 + 0.24 * coarse + 0.12 * fine)[..., None]
    pores = np.clip((noise(rng, FULL, (70, 90), 2) - 0.72) * 5, 0, 1)
    canvas.paint(inside, bread * (1 - 0.32 * pores[..., None]))
    _patches(canvas, rng, inside)
    for fx, fy, turn, size in ((305, 218, 0.6, 1.0), (520, 372, -1.0, 1.15), (598, 170, 2.2, 0.9)):
        _fly(canvas, fx, fy, turn, size)
    canvas.vignette(0.45)
    canvas.grain(rng, 0.014)
    return canvas.finish()


def _slice(size: float) -> list[Point]:
    """Return the outline of a slice of bread."""
    outline = [
        (0, 1.0),
        (-0.66, 0.99),
        (-0.75, 0.85),
        (-0.8, 0.2),
        (-0.98, -0.15),
        (-0.98, -0.62),
        (-0.62, -0.94),
        (0, -1.0),
        (0.62, -0.94),
        (0.98, -0.62),
        (0.98, -0.15),
        (0.8, 0.2),
        (0.75, 0.85),
        (0.66, 0.99),
    ]
    closed = smooth_curve([*outline, outline[0]], 160)
    return turned([(x * 205 * size, y * 182 * size) for x, y in closed], -0.09, 398, 308)


def _patches(canvas: Canvas, rng: np.random.Generator, inside: Array) -> None:
    x, y = grid(*FULL)
    field = np.zeros(FULL)
    for cx, cy, radius in (
        (0.52, 0.40, 0.17),
        (0.80, 0.58, 0.15),
        (0.66, 0.68, 0.10),
        (0.83, 0.33, 0.09),
        (0.46, 0.64, 0.08),
    ):
        field = np.maximum(field, 1 - np.hypot(x - cx, y - cy) / radius)
    field += 0.75 * (noise(rng, FULL, (12, 16), 5) - 0.5)
    fuzz = noise(rng, FULL, (150, 200), 2)
    halo = np.clip((field + 0.12) * 4, 0, 1) * inside
    canvas.paint(halo, np.array(colour("ece9d8")) * (0.8 + 0.25 * fuzz)[..., None], 0.75)
    body = np.clip((field - 0.12) * 5, 0, 1) * inside
    tones = gradient(
        [(0.1, colour("a9b48c")), (0.4, colour("5f7a58")), (0.8, colour("31473f"))], field
    )
    canvas.paint(body, tones * (0.7 + 0.5 * fuzz)[..., None], 0.95)
    black = np.clip((field - 0.62) * 6, 0, 1) * np.clip((fuzz - 0.4) * 4, 0, 1) * inside
    canvas.paint(black, colour("14180f"), 0.8)


def _fly(canvas: Canvas, x: float, y: float, turn: float, size: float) -> None:
    def place(points: Sequence[Point]) -> list[Point]:
        return turned([(px * size, py * size) for px, py in points], turn, x, y)

    def oval(cx: float, cy: float, rx: float, ry: float) -> list[Point]:
        return place(
            [
                (cx + rx * float(np.cos(a)), cy + ry * float(np.sin(a)))
                for a in np.linspace(0, 2 * np.pi, 40)
            ]
        )

    canvas.shade(1 - 0.45 * np.roll(canvas.polygon(oval(0, 4, 13, 24), 4), (12, 8), (0, 1)))
    for side in (-1, 1):
        for at, reach in ((-8, -14), (0, 2), (7, 17)):
            canvas.paint(
                canvas.line(
                    place([(side * 5, at), (side * 17, at + reach * 0.4), (side * 23, at + reach)]),
                    1.8 * size,
                ),
                colour("15130f"),
            )
    canvas.paint(canvas.polygon(oval(0, 12, 9.5, 15), 0.5), colour("20241f"))
    canvas.paint(canvas.polygon(oval(0, -6, 9, 10), 0.5), colour("2b3530"))
    canvas.paint(canvas.polygon(oval(-2.5, -8, 3, 4), 2), colour("7fa08c"), 0.7)
    canvas.paint(canvas.polygon(oval(0, -18, 8, 5.5), 0.4), colour("191510"))
    for side in (-1, 1):
        canvas.paint(canvas.polygon(oval(side * 5.5, -19, 4, 4.6), 0.4), colour("7c1f16"))
        wing = place(
            smooth_curve(
                [(side * 3, -4), (side * 17, 12), (side * 15, 31), (side * 7, 27), (side * 3, -4)],
                40,
            )
        )
        canvas.paint(canvas.polygon(wing, 0.6), colour("cfd4d0"), 0.5)
        canvas.paint(
            canvas.line(place([(side * 4, -2), (side * 11, 14), (side * 13, 28)]), 0.8 * size),
            colour("4c4a42"),
            0.7,
        )
