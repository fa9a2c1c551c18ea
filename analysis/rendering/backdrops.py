"""What is behind a face: plain and shaded walls, blurred rooms, shelves, patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import Image

    Field = NDArray[np.float64]

_PX = 192
_GREYED_SHARE = 0.8


def random_backdrop(rng: np.random.Generator, px: int = _PX) -> Image:
    """Return a random backdrop: (px, px, 3) uint8."""
    makers: tuple[Callable[[np.random.Generator, int], Field], ...] = (
        _shaded,
        _blurred,
        _room,
        _spot,
        _stripes,
    )
    field = makers[int(rng.choice(5, p=(0.2, 0.25, 0.3, 0.15, 0.1)))](rng, px)
    if rng.random() < _GREYED_SHARE:
        field = field * 0.3 + field.mean(axis=-1, keepdims=True) * 0.7
    return np.asarray(field.clip(0, 255), np.uint8)


def _shaded(rng: np.random.Generator, px: int) -> Field:
    top, bottom = rng.uniform(10, 245, (2, 3))
    share = np.linspace(0, 1, px)[:, None, None]
    return np.asarray(np.repeat(top * (1 - share) + bottom * share, px, axis=1))


def _blurred(rng: np.random.Generator, px: int) -> Field:
    import cv2  # noqa: PLC0415  (heavy)

    few = rng.uniform(5, 250, (*rng.integers(3, 9, 2).tolist(), 3))
    large = cv2.resize(few, (px, px), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), px / 80), np.float64)


def _room(rng: np.random.Generator, px: int) -> Field:
    import cv2  # noqa: PLC0415  (heavy)

    field = np.zeros((px, px, 3)) + rng.uniform(30, 230, 3)
    for _ in range(int(rng.integers(5, 30))):
        x, y = rng.integers(-px // 8, px, 2).tolist()
        width, height = rng.integers(6, px // 2, 2).tolist()
        tint = rng.uniform(5, 250, 3).tolist()
        cv2.rectangle(field, (x, y), (x + width, y + height), tint, -1)
    return np.asarray(cv2.GaussianBlur(field, (0, 0), float(rng.uniform(0.5, px / 40))))


def _spot(rng: np.random.Generator, px: int) -> Field:
    y, x = np.mgrid[0:px, 0:px]
    middle = rng.uniform(0, px, 2)
    away = np.hypot(x - middle[0], y - middle[1]) / px
    return np.asarray(rng.uniform(20, 240, 3) * (1.1 - rng.uniform(0.2, 0.8) * away[..., None]))


def _stripes(rng: np.random.Generator, px: int) -> Field:
    y, x = np.mgrid[0:px, 0:px] / px
    angle = float(rng.uniform(0, np.pi))
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * float(rng.uniform(15, 120)))
    one, other = rng.uniform(10, 245, (2, 3))
    share = (0.5 + 0.5 * np.tanh(3 * wave))[..., None]
    return np.asarray(one * share + other * (1 - share))
