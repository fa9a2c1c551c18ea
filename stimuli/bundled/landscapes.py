"""Calm pictures: a sunset over the sea, green hills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.bundled.painting import (
    HEIGHT_PX,
    SCALE,
    WIDTH_PX,
    Array,
    Canvas,
    colour,
    gradient,
    grid,
    new_canvas,
    noise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image, ImageDraw


def sunset(rng: np.random.Generator) -> Image.Image:
    """Paint a low sun over a calm sea."""
    horizon = 0.60
    shape = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)
    x, y = grid(*shape)
    canvas = new_canvas(
        [
            (0, colour("3f5f9e")),
            (0.2, colour("8a86b8")),
            (0.4, colour("f0a58a")),
            (0.54, colour("ffc97e")),
            (0.6, colour("ffe6a8")),
            (1, colour("ffe6a8")),
        ]
    )
    sx, sy = 0.72, horizon - 0.085
    r = np.hypot(x - sx, y - sy)
    canvas.light(
        (0.75 * np.exp(-r / 0.16) + 0.25 * np.exp(-r / 0.5))[..., None] * np.array(colour("ffd28a"))
    )
    cloud = noise(rng, shape, (12, 3), 5)
    band = (
        np.clip((cloud - 0.55) / 0.4, 0, 1)
        * np.clip((horizon - 0.05 - y) / 0.15, 0, 1)
        * np.clip(y / 0.08, 0.3, 1)
    )
    lit = gradient([(0, colour("8b7fae")), (0.35, colour("e58f86")), (0.55, colour("ffd9a0"))], y)
    canvas.paint(band, lit, 0.75)
    disc = np.clip((0.062 - r) * HEIGHT_PX * SCALE / 2, 0, 1)
    canvas.paint(disc, colour("fff8dd"))
    _sea(canvas, rng, horizon, sx)
    _headland(canvas, rng, horizon)
    for bx, by, size in ((250, 150, 13), (292, 172, 10), (222, 186, 8), (330, 140, 7)):
        wing = [
            (bx - size, by - size * 0.35),
            (bx - size * 0.4, by - size * 0.55),
            (bx, by),
            (bx + size * 0.4, by - size * 0.55),
            (bx + size, by - size * 0.35),
        ]
        canvas.paint(canvas.line(wing, 1.8), colour("4a4668"), 0.85)
    canvas.grain(rng, 0.006)
    return canvas.finish()


def _sea(canvas: Canvas, rng: np.random.Generator, horizon: float, sun_x: float) -> None:
    height, width = canvas.shape
    x, y = grid(height, width)
    depth = np.clip((y - horizon) / (1 - horizon), 0, 1)
    sea = gradient(
        [
            (0, colour("f2b98a")),
            (0.12, colour("c58f93")),
            (0.45, colour("6f76a3")),
            (1, colour("33497a")),
        ],
        depth,
    )
    ripples: Array = np.zeros((height, width))
    for cells, near, far in ((220, 0.0, 0.25), (110, 0.1, 0.5), (52, 0.35, 1.2)):
        layer = noise(rng, (height, width), (cells, 7), 2)
        ripples += (
            layer * np.clip((depth - near + 0.1) / 0.2, 0, 1) * np.clip((far - depth) / 0.2, 0, 1)
        )
    ripples /= max(1.0, float(ripples.max()))
    path_width = 0.035 + 0.22 * depth
    path = np.exp(-(((x - sun_x) / path_width) ** 2))
    glint = np.clip((ripples - 0.42 + 0.28 * path) * 4, 0, 1) * path
    sea = sea * (0.9 + 0.2 * ripples[..., None])
    sea = sea * (1 - 0.9 * glint[..., None]) + np.array(colour("fff0c4")) * 0.9 * glint[..., None]
    mask = np.clip((y - horizon) * height, 0, 1)
    canvas.paint(mask, sea)
    haze = np.exp(-(((y - horizon) / 0.012) ** 2)) * 0.35
    canvas.paint(haze, colour("ffe2b0"))


def _headland(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    base = horizon * HEIGHT_PX + 1
    for reach, height, tone in ((330, 62, "8d7ba0"), (210, 44, "5a5483")):
        xs = np.linspace(0, reach, 60)
        ridge = height * (1 - xs / reach) ** 0.8 * (
            1 + 0.12 * np.sin(xs / 17 + reach)
        ) + 3 * rng.random(60)
        points = [(float(a), float(base - b)) for a, b in zip(xs, ridge, strict=True)]
        canvas.paint(canvas.polygon([(0, base), *points, (reach, base)], 0.6), colour(tone), 0.95)


def hills(rng: np.random.Generator) -> Image.Image:
    """Paint green hills under a soft sky."""
    shape = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)
    _, y = grid(*shape)
    canvas = new_canvas(
        [
            (0, colour("7fb8e8")),
            (0.45, colour("d5ecf7")),
            (0.6, colour("f3f7ea")),
            (1, colour("f3f7ea")),
        ]
    )
    cloud = noise(rng, shape, (7, 5), 6)
    cover = np.clip((cloud - 0.52) / 0.3, 0, 1) * np.clip((0.46 - y) / 0.2, 0, 1)
    canvas.paint(cover, colour("ffffff"), 0.85)
    xs = np.linspace(0, WIDTH_PX, 200)
    rows = [
        (310, 22, 420, "a9c9c0"),
        (345, 26, 520, "8fbf93"),
        (385, 30, 610, "79b56b"),
        (435, 28, 700, "62a84f"),
        (495, 20, 900, "4f9a3d"),
    ]
    for level, (base, swing, wave, tone) in enumerate(rows):
        phase = rng.random() * 6
        ridge = (
            base
            - swing * np.sin(xs / wave * 2 * np.pi + phase)
            - 0.2 * swing * np.sin(xs / wave * 3.4 * np.pi + 2 * phase)
        )
        points = list(zip(xs.tolist(), ridge.tolist(), strict=True))
        mask = canvas.polygon([(0, HEIGHT_PX), *points, (WIDTH_PX, HEIGHT_PX)], 0.4)
        crest = np.interp(np.arange(shape[1]) / SCALE, xs, ridge) / HEIGHT_PX
        below = np.clip((y - crest[None, :]) / 0.16, 0, 1)
        light = np.array(colour(tone)) * (1.16 - 0.30 * below[..., None])
        texture = noise(rng, shape, (40 + 14 * level, 60), 3)[..., None]
        canvas.paint(mask, light * (0.94 + 0.12 * texture))
        _trees(canvas, rng, level, points)
    _meadow(canvas, rng)
    canvas.grain(rng, 0.006)
    return canvas.finish()


def _trees(
    canvas: Canvas, rng: np.random.Generator, level: int, ridge: Sequence[tuple[float, float]]
) -> None:
    if level not in (1, 2, 3):
        return
    size = (0, 7, 12, 20)[level]
    for _ in range((0, 16, 9, 4)[level]):
        x, y = ridge[int(10 + rng.random() * 180)]
        y += size * (0.2 + rng.random())
        s = size * (0.8 + 0.5 * rng.random())
        canvas.shade(1 - 0.25 * canvas.ellipse(x + s * 0.7, y + s * 0.15, s, s * 0.25, 2))
        canvas.paint(canvas.line([(x, y), (x, y - s)], s * 0.2), colour("6b5138"))
        for dx, dy, r, tone in (
            (0, -1.5, 0.95, "3f7f3a"),
            (-0.4, -1.2, 0.7, "35702f"),
            (0.35, -1.25, 0.7, "357535"),
            (-0.18, -1.85, 0.6, "5a9c48"),
        ):
            canvas.paint(
                canvas.ellipse(x + dx * s, y + dy * s, r * s, r * s * 0.95, 0.1 * s),
                colour(tone),
                0.92,
            )


def _meadow(canvas: Canvas, rng: np.random.Generator) -> None:
    flowers = [colour(c) for c in ("fff7d6", "ffd84d", "ff8fb0", "ffffff", "c9a3ff")]
    for tone in flowers:
        spots = [(rng.random() * WIDTH_PX, 505 + 95 * rng.random() ** 0.8) for _ in range(70)]

        def draw(d: ImageDraw.ImageDraw, spots: Sequence[tuple[float, float]] = spots) -> None:
            for x, y in spots:
                r = (1.0 + 2.6 * (y - 500) / 100) * SCALE
                d.ellipse(
                    [(x * SCALE - r, y * SCALE - 0.7 * r), (x * SCALE + r, y * SCALE + 0.7 * r)],
                    fill=255,
                )

        canvas.paint(canvas.mask(draw, 0.3), tone, 0.95)
