"""Joyful pictures: fireworks, confetti."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from duchenne.stimuli.bundled.painting import (
    HEIGHT_PX,
    SCALE,
    WIDTH_PX,
    Canvas,
    Colour,
    blurred,
    colour,
    gradient,
    grid,
    new_canvas,
    noise,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FESTIVE: tuple[Colour, ...] = tuple(
    colour(c)
    for c in ("ff3b5c", "ffb703", "ffe14d", "2ec4b6", "3a86ff", "b15cff", "ff6fb5", "7bd62f")
)


def fireworks(rng: np.random.Generator) -> Image.Image:
    """Paint fireworks over a town by the water."""
    canvas = new_canvas(
        [
            (0, colour("070a24")),
            (0.6, colour("241a52")),
            (0.78, colour("553069")),
            (1, colour("1a1440")),
        ]
    )
    horizon = 455
    sparks = Image.new("RGB", (WIDTH_PX * SCALE, HEIGHT_PX * SCALE))
    draw = ImageDraw.Draw(sparks)
    bursts = [
        (215, 165, 150, "ffd23a", "ff5a1f"),
        (560, 130, 165, "ff3d7f", "ff8fc0"),
        (400, 265, 110, "35c8ff", "8fe9ff"),
        (690, 280, 95, "86ff3a", "d2ff7a"),
        (90, 315, 80, "a45cff", "cf9bff"),
    ]
    for x, y, radius, inner, outer in bursts:
        _burst(draw, rng, (x, y), radius, (colour(inner), colour(outer)))
    glow = np.asarray(sparks, dtype=float) / 255
    light = np.clip(
        glow + 1.1 * blurred(glow, 5) + 1.6 * blurred(glow, 22) + 1.4 * blurred(glow, 70), 0, 1
    )
    canvas.light(light)
    _skyline(canvas, rng, horizon)
    _reflect(canvas, rng, horizon)
    canvas.grain(rng, 0.008)
    return canvas.finish()


def _burst(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: float,
    colours: tuple[Colour, Colour],
) -> None:
    """Draw rays that fly out, slow down and fall, brightest at their tips."""
    inner, outer = np.array(colours[0]), np.array(colours[1])
    for ray in range(84):
        angle = 2 * np.pi * ray / 84 + rng.normal(0, 0.03)
        reach = radius * (0.62 + 0.38 * rng.random() ** 0.5) * (1.0 if ray % 3 else 0.6)
        t = np.linspace(0.12, 1, 26)
        x = centre[0] + reach * np.sin(angle) * (1 - (1 - t) ** 2)
        y = centre[1] - reach * np.cos(angle) * (1 - (1 - t) ** 2) + 0.16 * radius * t**2
        for i in range(len(t) - 1):
            shade = (inner * (1 - t[i]) + outer * t[i]) * (0.35 + 0.65 * t[i] ** 1.5)
            rgb = tuple(int(255 * v) for v in shade)
            ends = [(x[i] * SCALE, y[i] * SCALE), (x[i + 1] * SCALE, y[i + 1] * SCALE)]
            draw.line(ends, fill=rgb, width=2 if t[i] < 0.7 else 3)
        tip, r = (x[-1] * SCALE, y[-1] * SCALE), 3.2 + 2 * rng.random()
        draw.ellipse(
            [(tip[0] - r, tip[1] - r), (tip[0] + r, tip[1] + r)],
            fill=tuple(int(255 * (0.45 + 0.55 * v)) for v in outer),
        )


def _skyline(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    x = 0.0
    windows: list[tuple[float, float]] = []
    houses: list[tuple[float, float, float]] = []
    while x < WIDTH_PX:
        width, height = 26 + 34 * rng.random(), 18 + 62 * rng.random() ** 1.6
        houses.append((x, width, height))
        for wx in np.arange(x + 5, x + width - 6, 8):
            windows += [
                (float(wx), float(wy))
                for wy in np.arange(horizon - height + 6, horizon - 6, 10)
                if rng.random() < 0.45
            ]
        x += width

    def silhouettes(d: ImageDraw.ImageDraw) -> None:
        for left, width, height in houses:
            d.rectangle(
                [
                    (left * SCALE, (horizon - height) * SCALE),
                    ((left + width) * SCALE, horizon * SCALE),
                ],
                fill=255,
            )

    def lit(d: ImageDraw.ImageDraw) -> None:
        for wx, wy in windows:
            d.rectangle(
                [(wx * SCALE, wy * SCALE), ((wx + 3.5) * SCALE, (wy + 5) * SCALE)], fill=255
            )

    canvas.paint(canvas.mask(silhouettes), colour("0a0b1e"))
    canvas.paint(canvas.mask(lit), colour("ffd27a"), 0.9)
    canvas.light(canvas.mask(lit, 3)[..., None] * np.array(colour("ff9e3d")) * 0.5)


def _reflect(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Mirror what is above the horizon in rippled water."""
    height, width = canvas.shape
    top = horizon * canvas.scale
    rows = np.arange(height - top)
    source = np.clip(top - 1 - (rows * 2.1).astype(int), 0, top - 1)
    ripple = noise(rng, (height - top, width), (26, 6), 3) - 0.5
    shift = (ripple * (14 + rows[:, None] * 0.22)).astype(int)
    columns = np.clip(np.arange(width)[None, :] + shift, 0, width - 1)
    mirrored = canvas.pixels[np.clip(source[:, None] + shift // 2, 0, top - 1), columns]
    water = blurred(mirrored, 3) * 0.72 + np.array(colour("0b1030")) * 0.3
    water *= (0.82 + 0.36 * (ripple + 0.5))[..., None]
    canvas.pixels[top:] = water


def confetti(rng: np.random.Generator) -> Image.Image:
    """Paint confetti and streamers before a bright sunburst."""
    x, y = grid(HEIGHT_PX * SCALE, WIDTH_PX * SCALE)
    dx, dy = x - 0.667, y - 0.62
    angle, r = np.arctan2(dy, dx), np.hypot(dx, dy)
    rays = 1 / (1 + np.exp(-14 * np.sin(angle * 14)))
    warm = gradient([(0, colour("fffbe0")), (0.3, colour("ffe680")), (0.9, colour("ffb62e"))], r)
    bright = gradient([(0, colour("ffffff")), (0.3, colour("fff3b8")), (0.9, colour("ffd45e"))], r)
    canvas = Canvas(warm * (1 - rays[..., None]) + bright * rays[..., None])
    canvas.light(np.exp(-((r / 0.22) ** 2))[..., None] * np.array([1, 1, 0.95]))
    for depth, n, blur_px in ((0.55, 90, 2.2), (1.0, 130, 0.0), (1.7, 26, 0.0)):
        _pieces(canvas, rng, depth, n, blur_px)
    for start in (70, 190, 330, 500, 640, 745):
        _streamer(canvas, rng, start)
    _pieces(canvas, rng, 2.6, 7, 4.0)
    return canvas.finish()


def _pieces(canvas: Canvas, rng: np.random.Generator, size: float, n: int, blur_px: float) -> None:
    for shade in range(len(FESTIVE)):
        shapes: list[tuple[list[tuple[float, float]], bool]] = []
        for _ in range(max(1, round(n / len(FESTIVE)))):
            w, h = (
                size * (7 + 5 * rng.random()),
                size * (7 + 5 * rng.random()) * (0.25 + 0.75 * rng.random()),
            )
            box = [(-w, -h), (w, -h), (w, h), (-w, h)]
            if rng.random() < 0.3:
                circle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
                box = [(w * 0.8 * float(np.cos(a)), h * 0.8 * float(np.sin(a))) for a in circle]
            at = (rng.random() * WIDTH_PX, rng.random() * HEIGHT_PX)
            shapes.append((turned(box, rng.random() * np.pi, *at), bool(rng.random() < 0.5)))

        def draw(
            d: ImageDraw.ImageDraw,
            shapes: Sequence[tuple[list[tuple[float, float]], bool]] = shapes,
        ) -> None:
            for points, _ in shapes:
                d.polygon(canvas.scaled(points), fill=255)

        def lit(
            d: ImageDraw.ImageDraw,
            shapes: Sequence[tuple[list[tuple[float, float]], bool]] = shapes,
        ) -> None:
            for points, bright in shapes:
                if bright:
                    d.polygon(canvas.scaled(points), fill=255)

        shadow = np.roll(canvas.mask(draw, 3 * size), (int(9 * size), int(5 * size)), (0, 1))
        canvas.shade(1 - 0.16 * shadow)
        canvas.paint(canvas.mask(draw, blur_px), FESTIVE[shade], 0.95)
        canvas.light(canvas.mask(lit, blur_px)[..., None] * np.array([0.16, 0.16, 0.16]))


def _streamer(canvas: Canvas, rng: np.random.Generator, start: float) -> None:
    """Hang a curled paper ribbon; its back is darker than its front."""
    t = np.linspace(0, 1, 260)
    length, turns = 190 + 150 * rng.random(), 3.5 + 2 * rng.random()
    phase = rng.random() * 6
    width = 17 + 5 * rng.random()
    x = start + width * np.sin(2 * np.pi * turns * t + phase) + 20 * t
    y = -20 + length * t + 9 * np.cos(2 * np.pi * turns * t + phase)
    front = np.cos(2 * np.pi * turns * t + phase) > 0
    base = np.array(FESTIVE[int(rng.random() * len(FESTIVE))])
    for is_front in (False, True):

        def draw(d: ImageDraw.ImageDraw, is_front: bool = is_front) -> None:
            for i in range(len(t) - 1):
                if front[i] == is_front:
                    d.polygon(
                        canvas.scaled(
                            [
                                (x[i], y[i]),
                                (x[i + 1], y[i + 1]),
                                (x[i + 1], y[i + 1] + 13),
                                (x[i], y[i] + 13),
                            ]
                        ),
                        fill=255,
                    )

        tone = base if is_front else base * 0.68
        canvas.paint(canvas.mask(draw), tone)
