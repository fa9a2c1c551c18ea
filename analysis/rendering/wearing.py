"""What a face wears and what comes before it: glasses, masks, headscarves, long hair, hands, cups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.appearance import LONG
from duchenne.analysis.rendering.thing import Thing, capsule, ellipsoid, grid, joined, thing, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32, HeadModel
    from duchenne.analysis.rendering.plan import Person
    from duchenne.analysis.rendering.thing import Mesh

    Points = NDArray[np.float64]

_NOSE_ROOT, _EAR_LEFT = 27, 16
_N_RIM = 40
_N_STRANDS, _N_DOWN = 70, 14
_HAND_AT = (8, 30, 48, 54, 3, 13, 57, 33, 19, 24, 36, 45)
_MOUTH = (48, 54)


def worn(head: HeadModel, base: Float32, look: Look) -> list[Thing]:
    """Return what a person wears in all pictures.

    Parameters
    ----------
    head : HeadModel
    base : (n, 3) float32
        The person at rest.
    look : Look
    """
    rng = np.random.default_rng(look.seed + 1)
    things: list[Thing] = []
    if look.cover == "headscarf":
        things.append(_scarf(head, base, look, rng))
    elif look.hair_style == LONG:
        things += _long_hair(head, base, look, rng)
    if look.cover == "mask":
        things.append(_mask(head, base, look))
    if look.glasses != "none":
        things += _glasses(head, base, look, rng)
    return things


def occluder(name: str, head: HeadModel, person: Person, rng: np.random.Generator) -> list[Thing]:
    """Return what is before the face in one picture: ``hand``, ``cup`` or nothing."""
    marks = person.base[head.landmarks].astype(float)
    if name == "hand":
        return [_hand(marks, person.look, rng)]
    if name == "cup":
        return [_cup(marks, rng)]
    return []


def _glasses(head: HeadModel, base: Float32, look: Look, rng: np.random.Generator) -> list[Thing]:
    marks = base[head.landmarks].astype(float)
    root = marks[_NOSE_ROOT]
    half_width, half_height = float(rng.uniform(1.95, 2.5)), float(rng.uniform(1.35, 2.15))
    square = float(rng.uniform(2.0, 4.5))
    thick = {"thin": 0.07, "half-rim": 0.13, "dark": 0.17}.get(
        look.glasses, float(rng.uniform(0.11, 0.24))
    )
    lift = float(rng.normal(-0.35, 0.25))
    ear = marks[_EAR_LEFT]
    parts: list[Mesh] = []
    lenses: list[Mesh] = []
    for sign, eye in ((1.0, slice(42, 48)), (-1.0, slice(36, 42))):
        at = marks[eye].mean(axis=0)
        middle = np.array([at[0] + sign * 0.12, at[1] + lift])
        angle = np.linspace(0, 2 * np.pi, _N_RIM, endpoint=False)
        rim = middle + np.stack(
            [
                half_width * _squared(np.cos(angle), square),
                half_height * _squared(np.sin(angle), square),
            ],
            axis=1,
        )
        path = _on_front(rim, root)
        closed = np.concatenate([path, path[:2]])
        parts.append(
            tube(closed[: _N_RIM // 2 + 1] if look.glasses == "half-rim" else closed, thick)
        )
        lenses.append(_disc(path))
        hinge = _on_front(
            middle + np.array([[sign * (half_width + 0.05), half_height * 0.45]]), root
        )
        behind = np.array([sign * (abs(ear[0]) + 0.75), at[1] + 0.5, 0.0])
        temple = np.array([sign * (abs(ear[0]) + 0.3), at[1] + 0.55, float(hinge[0, 2]) - 3.5])
        parts.append(tube(np.concatenate([hinge, temple[None], behind[None]]), thick * 1.1))
    bridge_x = np.linspace(-1.0, 1.0, 9) * (abs(middle[0]) - half_width)
    arch = middle[1] + 0.35 + 0.25 * (1 - (np.linspace(-1, 1, 9)) ** 2)
    parts.append(tube(_on_front(np.stack([bridge_x, arch], axis=1), root), thick * 0.9))
    dark = look.glasses == "dark"
    tint = (0.04, 0.04, 0.05) if dark else (0.75, 0.8, 0.85)
    return [
        thing(joined(parts), look.frame, gloss=1.5, sharp=60.0),
        thing(
            joined(lenses),
            tint,
            gloss=3.0,
            sharp=220.0,
            opacity=0.86 if dark else 0.05,
            glare=float(rng.uniform(0.05, 0.75)),
        ),
    ]


def _on_front(flat: Points, root: Points) -> Points:
    """Return points (n, 2) of a frame on its slightly bent front: (n, 3)."""
    back = 0.05 * flat[:, 0] ** 2 + 0.06 * (root[1] - flat[:, 1])
    return np.column_stack([flat, root[2] + 0.75 - back])


def _squared(circle: Points, exponent: float) -> Points:
    return np.asarray(np.sign(circle) * np.abs(circle) ** (2.0 / exponent))


def _disc(path: Points) -> Mesh:
    middle = path.mean(axis=0) + np.array([0.0, 0.0, 0.15])
    n = len(path)
    around = np.arange(n)
    triangles = np.stack([np.full(n, n), around, (around + 1) % n], axis=1)
    return np.vstack([path, middle]), triangles.astype(np.int32)


def _patch(
    head: HeadModel, chosen: NDArray[np.bool_], vertices: Points, parts: tuple[str, ...]
) -> Mesh:
    """Return the triangles whose corners are all chosen."""
    corners = np.concatenate([head.triangles(part)[0] for part in parts])
    kept = corners[chosen[corners].all(axis=1)]
    used, renamed = np.unique(kept, return_inverse=True)
    return vertices[used], renamed.reshape(-1, 3).astype(np.int32)


def _mask(head: HeadModel, base: Float32, look: Look) -> Thing:
    """Return a mask over nose and mouth that hides how they move."""
    import cv2  # noqa: PLC0415  (heavy)

    across = np.linspace(-7.4, 7.4, 40)
    down = np.linspace(0, 1, 30)[:, None]
    top = 0.9 + 0.7 * np.exp(-((across / 2.5) ** 2)) - 0.06 * np.abs(across)
    y = top * (1 - down) + (-8.4 + 0.08 * np.abs(across)) * down
    x = np.broadcast_to(across * 1.03, y.shape)
    z = _front_of(head, base, np.stack([x, y], axis=-1)) + 1.1
    z = np.maximum(z, cv2.GaussianBlur(z, (0, 0), 2.0) + 0.2)
    z = cv2.GaussianBlur(z, (0, 0), 1.6) + 0.8 * np.exp(-((x / 3.4) ** 2) - ((y + 3.4) / 2.5) ** 2)
    pleats = 1 - 0.08 * (np.abs(np.sin(down * 9.0)) < 0.15)
    colour = np.broadcast_to(pleats[..., None], (*y.shape, 1)) * np.array(look.cover_colour)
    mesh = grid(np.stack([x, y, z], axis=-1))
    return thing(mesh, colour.reshape(-1, 3), gloss=0.2, sharp=8.0)


def _front_of(head: HeadModel, base: Float32, flat: Points) -> Points:
    """Return how far forward the face of a person comes at places (rows, columns, 2)."""
    from scipy.spatial import cKDTree  # noqa: PLC0415  (heavy)

    first, last = head.parts["face"][:2]
    skin = base[first:last].astype(float)
    skin = skin[skin[:, 2] > 1.5]
    _, near = cKDTree(skin[:, :2]).query(flat.reshape(-1, 2), k=6)
    return np.asarray(skin[near, 2].max(axis=1).reshape(flat.shape[:2]))


def _scarf(head: HeadModel, base: Float32, look: Look, rng: np.random.Generator) -> Thing:
    """Return a scarf that leaves the oval of the face free."""
    x, y, z = head.vertices.T
    wide, high = float(rng.uniform(6.2, 7.0)), float(rng.uniform(8.2, 9.2))
    from_middle = np.hypot(x / wide, (y - 0.6) / high)
    chosen = ~((from_middle < 0.93) & (z > 2.5)) & (y > -17)
    raised = base.astype(float).copy()
    inside = (from_middle < 1) & (z > 2.5)  # the edge is even
    raised[inside, 0] /= from_middle[inside].clip(0.5, None)
    raised[inside, 1] = 0.6 + (raised[inside, 1] - 0.6) / from_middle[inside].clip(0.5, None)
    from_axis = raised - np.stack([np.zeros_like(x), y, np.zeros_like(x)], axis=1)
    from_axis /= np.linalg.norm(from_axis, axis=1, keepdims=True) + 1e-9
    chest = ((-6.0 - y) / 4.0).clip(0, 1)
    folds = 0.25 * np.sin(1.3 * y + 2.0 * np.arctan2(x, z + 3) + look.seed % 7)
    raised += from_axis * (0.75 + 1.6 * chest + folds * (0.3 + chest))[:, None]
    raised[:, 1] += 0.6 * (y > 8)
    mesh = _patch(head, chosen, raised, ("face", "head_neck"))
    return thing(mesh, look.cover_colour, gloss=0.2, sharp=10.0)


def _long_hair(head: HeadModel, base: Float32, look: Look, rng: np.random.Generator) -> list[Thing]:
    """Return hair that falls beside the face, and now and then a fringe."""
    marks = base[head.landmarks].astype(float)
    half = abs(marks[_EAR_LEFT, 0])
    length = float(rng.uniform(9, 24))
    begin_deg = rng.uniform(42, 80, 2)
    sheets, shades = [], []
    for sign, from_deg in zip((1.0, -1.0), begin_deg, strict=True):
        around = np.radians(np.linspace(from_deg, 178, _N_STRANDS))
        down = np.linspace(0, 1, _N_DOWN)[:, None]
        y = 9.5 - down * length
        out = np.interp(y, (-14, -4, 3, 7, 9.5), (9.8, 9.4, 9.3, 8.4, 6.2)) * (half / 7.36)
        wave = 0.35 * np.sin(around * 9 + down * float(rng.uniform(2, 9))) * down
        strand = rng.normal(0, 0.12, (1, _N_STRANDS)) * (0.3 + down)
        radius = out + wave + strand
        x = sign * radius * np.sin(around)
        z = -1.7 + radius * np.cos(around) * np.where(np.cos(around) > 0, 0.8, 1.0)
        sheets.append(grid(np.stack([x, np.broadcast_to(y, x.shape), z], axis=-1)))
        shades.append(_strand_shades(rng, _N_DOWN, _N_STRANDS))
    if rng.random() < 0.35:
        sheets.append(_fringe(head, base, rng))
        shades.append(_strand_shades(rng, 10, 80))
    colour = np.concatenate(shades)[:, None] * np.array(look.hair)
    return [thing(joined(sheets), colour, gloss=1.0, sharp=14.0)]


def _strand_shades(rng: np.random.Generator, rows: int, columns: int) -> Points:
    """Return the brightness of the hairs of a sheet: (rows * columns,)."""
    hairs = rng.normal(1.0, 0.16, columns).clip(0.55, 1.5)
    return np.asarray((hairs[None] * rng.normal(1, 0.03, (rows, 1))).ravel())


def _fringe(head: HeadModel, base: Float32, rng: np.random.Generator) -> Mesh:
    """Return hair that falls over the forehead."""
    import cv2  # noqa: PLC0415  (heavy)

    x = np.linspace(-6.2, 6.2, 80)
    slope = 0.03 * float(rng.normal(0, 1))
    ends = float(rng.uniform(5.6, 8.0)) + rng.normal(0, 0.25, 80) + slope * x
    down = np.linspace(0, 1, 10)[:, None]
    y = 10.8 * (1 - down) + ends * down
    flat = np.stack([np.broadcast_to(x, y.shape), y], axis=-1)
    z = cv2.GaussianBlur(_front_of(head, base, flat), (0, 0), 2.0) + 0.7
    return grid(np.dstack([flat, z]))


def _hand(marks: Points, look: Look, rng: np.random.Generator) -> Thing:
    """Return a hand before a random part of the face; its fingers point inwards or up."""
    target = marks[int(rng.choice(_HAND_AT))] + rng.normal(0, 0.6, 3)
    side = 1.0 if target[0] + rng.normal(0, 1.5) > 0 else -1.0
    angle = float(rng.uniform(-0.3, 1.3))  # of the fingers: inwards to upwards
    along = np.array([-side * np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    spread = float(rng.uniform(0.02, 0.22))
    bend = float(rng.uniform(0.0, 0.6))
    front = float(target[2]) + 1.4
    wrist = target[:2] - along * float(rng.uniform(6.0, 9.5))
    knuckles = wrist + along * 6.5
    parts: list[Mesh] = []
    for i, length in enumerate((2.9, 3.6, 3.9, 3.4)):
        off = (i - 1.5) * 1.5
        way = along + across * spread * (i - 1.5)
        way /= np.linalg.norm(way)
        base = np.array([*(knuckles + across * off), front])
        joint = np.array([*(base[:2] + way * length), front - 0.1])
        tip = np.array([*(joint[:2] + way * length * (1 - bend) * 0.8), front - 0.4 - bend])
        parts += [capsule(base, joint, 0.86, 0.95), capsule(joint, tip, 0.82, 0.85)]
    for row in np.linspace(-2.1, 2.1, 7):
        begin = np.array([*(wrist + across * row * 0.75), front + 0.5])
        end = np.array([*(knuckles + across * row * 1.05), front + 0.05])
        parts.append(capsule(begin, end, 1.1, 0.85))
    thumb = wrist + along * 2.0 - across * side * 2.0
    parts.append(
        capsule(
            [*thumb, front], [*(thumb + along * 3.4 - across * side * 1.8), front - 0.2], 0.95, 0.85
        )
    )
    arm = wrist - along * 9.0
    parts.append(capsule([*arm, front + 1.5], [*wrist, front + 0.4], 2.3, 0.85))
    skin = np.array(look.skin) * rng.uniform(0.9, 1.05)
    return thing(joined(parts), skin, gloss=0.4, sharp=12.0, glow=1.0)


def _cup(marks: Points, rng: np.random.Generator) -> Thing:
    """Return a cup at the mouth."""
    radius, height = float(rng.uniform(2.6, 4.2)), float(rng.uniform(5.0, 8.5))
    lips = marks[list(_MOUTH)].mean(axis=0)
    at = lips + np.array([float(rng.normal(0, 1.2)), float(rng.uniform(-1.8, 0.8)), 1.7 + radius])
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    down = np.linspace(0.15, -1, 8)[:, None] * height
    taper = 1 + 0.02 * down
    ring = np.stack(
        [
            radius * taper * np.cos(angle),
            np.broadcast_to(down, (8, 32)),
            radius * taper * np.sin(angle),
        ],
        axis=-1,
    )
    lean = float(rng.uniform(-0.5, 0.2))
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    wall = grid(ring @ turn.T + at, closed=True)
    floor = ellipsoid(at + turn @ np.array([0, -height, 0]), (radius * 0.9, 0.2, radius * 0.9))
    return thing(joined([wall, floor]), rng.uniform(0.05, 0.95, 3), gloss=1.0, sharp=40.0)
