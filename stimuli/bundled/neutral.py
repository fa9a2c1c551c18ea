"""Neutral pictures: a mug, a chair, cardboard boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.bundled.painting import (
    HEIGHT_PX,
    SCALE,
    WIDTH_PX,
    Array,
    Canvas,
    Colour,
    Point,
    colour,
    gradient,
    grid,
    noise,
    smooth_curve,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

FULL = (HEIGHT_PX * SCALE, WIDTH_PX * SCALE)


def _room(rng: np.random.Generator, wall: str, floor: str, edge: float) -> Canvas:
    """Return a plain wall above a plain surface that begins at height `edge` (0 top, 1 bottom)."""
    x, y = grid(*FULL)
    light = 1.06 - 0.16 * np.hypot(x - 0.4, y - 0.3)
    tone = 0.985 + 0.03 * noise(rng, FULL, (30, 40), 3)
    canvas = Canvas(np.array(colour(wall)) * (light * tone)[..., None])
    grainy = 0.93 + 0.12 * noise(rng, FULL, (90, 4), 4) + 0.1 * (y - edge)
    surface = np.clip((y - edge) * 500, 0, 1)
    canvas.paint(surface, np.array(colour(floor)) * (light * grainy)[..., None])
    canvas.shade(1 - 0.10 * np.exp(-(((y - edge) / 0.02) ** 2)))
    return canvas


def mug(rng: np.random.Generator) -> Image.Image:
    """Paint a mug on a table."""
    canvas = _room(rng, "b9b8b2", "a58c70", 0.62)
    canvas.shade(1 - 0.42 * canvas.ellipse(462, 470, 190, 26, 12))
    x, _ = grid(*FULL)
    across = np.clip((x * HEIGHT_PX - 290) / 200, 0, 1)
    china = gradient(
        [
            (0, colour("a7adb2")),
            (0.22, colour("e3e6e8")),
            (0.42, colour("f1f2f2")),
            (0.75, colour("b9bfc4")),
            (1, colour("858d94")),
        ],
        across,
    )
    outer = canvas.ellipse(512, 360, 66, 74, 0.7)
    inner = canvas.ellipse(510, 360, 42, 50, 0.7)
    ring = np.clip(outer - inner, 0, 1)
    canvas.paint(
        ring,
        gradient(
            [(0.4, colour("cdd2d5")), (0.62, colour("a3aab0")), (0.78, colour("767f87"))],
            grid(*FULL)[1],
        ),
    )
    body = canvas.polygon([(290, 268), (490, 268), (482, 462), (298, 462)], 0.6)
    base = canvas.ellipse(390, 461, 92, 17, 0.6)
    canvas.paint(np.clip(body + base, 0, 1), china)
    stripe = np.clip(
        canvas.polygon([(291, 380), (487, 380), (486, 410), (293, 410)], 0.5)
        + canvas.ellipse(390, 409, 97, 14, 0.5),
        0,
        1,
    )
    cut = canvas.ellipse(390, 380, 98, 14, 0.5)
    canvas.paint(
        np.clip(stripe - cut, 0, 1) * np.clip(body + base, 0, 1),
        china * np.array(colour("7f95a8")),
        0.9,
    )
    canvas.paint(canvas.ellipse(390, 268, 100, 21, 0.6), colour("eceeee"))
    canvas.paint(canvas.ellipse(390, 270, 92, 17, 0.6), colour("9aa0a5"))
    canvas.paint(canvas.ellipse(390, 276, 84, 12, 0.8), colour("5b4334"))
    canvas.light(
        canvas.line([(330, 300), (334, 430)], 10, 6)[..., None] * np.array([0.18, 0.18, 0.18])
    )
    canvas.grain(rng, 0.008)
    return canvas.finish()


def chair(rng: np.random.Generator) -> Image.Image:
    """Paint a wooden chair in an empty room."""
    canvas = _room(rng, "c2c0b8", "9a917f", 0.70)
    _, y = grid(*FULL)
    skirting = canvas.polygon([(0, 404), (800, 404), (800, 421), (0, 421)], 0.4)
    canvas.paint(skirting, colour("d8d6cf"))
    canvas.shade(
        1 - 0.38 * canvas.polygon([(296, 549), (506, 551), (612, 522), (470, 500), (332, 501)], 6)
    )
    wood, dark, light = colour("9c7650"), colour("6f5236"), colour("b98f65")
    streaks = 0.9 + 0.18 * noise(rng, FULL, (6, 160), 3)

    def board(points: Sequence[Point], tone: Colour) -> None:
        canvas.paint(canvas.polygon(points, 0.5), np.array(tone) * streaks[..., None])

    for leg in (
        [(452, 360), (466, 360), (472, 502), (460, 502)],
        [(330, 355), (343, 355), (340, 500), (329, 500)],
    ):
        board(leg, dark)
    for post in (
        [(322, 130), (336, 130), (342, 372), (328, 372)],
        [(462, 130), (476, 130), (470, 372), (456, 372)],
    ):
        board(post, wood)
    for top, bottom in ((138, 172), (202, 226), (256, 280)):
        bow = smooth_curve([(329, top + 2), (399, top - 8), (469, top + 2)], 30)
        under = smooth_curve([(468, bottom + 2), (399, bottom - 8), (330, bottom + 2)], 30)
        board([*bow, *under], light if top == 138 else wood)
        canvas.paint(canvas.line(under, 2.2, 1), dark, 0.6)
    board([(318, 350), (482, 350), (512, 398), (290, 398)], light)
    board([(290, 398), (512, 398), (511, 414), (291, 414)], dark)
    for leg in (
        [(296, 414), (313, 414), (307, 548), (294, 548)],
        [(489, 414), (506, 414), (510, 548), (497, 548)],
    ):
        board(leg, wood)
    board([(305, 476), (497, 476), (498, 487), (304, 487)], wood)
    canvas.shade(
        1
        - 0.25
        * canvas.polygon([(292, 414), (510, 414), (508, 430), (294, 430)], 5)
        * np.clip(y * 2, 0, 1)
    )
    canvas.grain(rng, 0.008)
    return canvas.finish()


def boxes(rng: np.random.Generator) -> Image.Image:
    """Paint three cardboard boxes."""
    canvas = _room(rng, "b3b6b8", "8f8d88", 0.60)
    for x, y, a, b in ((250, 475, 150, 165), (540, 482, 130, 150)):
        ground = [(x - a, y - 0.22 * a), (x, y + 3), (x + b + 70, y - 0.18 * b), (x + b, y - 70)]
        canvas.shade(1 - 0.45 * canvas.polygon(ground, 7))
    paper = 0.94 + 0.1 * noise(rng, FULL, (12, 180), 3)
    _box(canvas, paper, (250, 475), (150, 165, 205))
    _box(canvas, paper, (540, 482), (130, 150, 150))
    _box(canvas, paper, (285, 262), (95, 110, 112))
    canvas.grain(rng, 0.008)
    return canvas.finish()


def _box(canvas: Canvas, paper: Array, corner: Point, size: tuple[float, float, float]) -> None:
    """Paint a box seen from above; `corner` is its nearest lower corner, sizes are left, right, height."""
    (x, y), (a, b, h) = corner, size
    left, right = (x - a, y - 0.22 * a), (x + b, y - 0.18 * b)
    back = (x - a + b, y - 0.22 * a - 0.18 * b)

    def up(p: Point) -> Point:
        return (p[0], p[1] - h)

    faces = (
        ([corner, left, up(left), up(corner)], "b08d62"),
        ([corner, right, up(right), up(corner)], "8d6e4b"),
        ([up(corner), up(left), up(back), up(right)], "c9a778"),
    )
    for points, tone in faces:
        canvas.paint(canvas.polygon(points, 0.5), np.array(colour(tone)) * paper[..., None])
    canvas.paint(canvas.line([up(left), up(corner), up(right)], 1.4, 0.5), colour("dcc197"), 0.7)
    canvas.paint(canvas.line([corner, up(corner)], 1.2, 0.5), colour("6b5238"), 0.6)

    def along(p: Point, q: Point, t: float) -> Point:
        return (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]))

    tape = [
        along(up(corner), up(left), 0.43),
        along(up(corner), up(left), 0.57),
        along(up(right), up(back), 0.57),
        along(up(right), up(back), 0.43),
    ]
    canvas.paint(canvas.polygon(tape, 0.5), colour("dccfae"), 0.75)
    drop = [along(up(corner), up(left), 0.43), along(up(corner), up(left), 0.57)]
    hang = [*drop, (drop[1][0], drop[1][1] + 0.2 * h), (drop[0][0], drop[0][1] + 0.2 * h)]
    canvas.paint(canvas.polygon(hang, 0.5), colour("c9b88f"), 0.7)
