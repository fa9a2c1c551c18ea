"""Where hair and beard grow, by places on the head at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.rendering.appearance import BALD, BUZZ, FULL, LONG, SHORT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.rendering.appearance import Look
    from duchenne.analysis.rendering.head import Float32

    Strands = tuple[float, float, int, float]

SHELLS: dict[int, Strands] = {
    BUZZ: (0.05, 0.16, 2, 0.25),
    SHORT: (0.55, 0.5, 4, 0.25),
    FULL: (1.25, 0.7, 4, 0.25),
    LONG: (0.9, 0.5, 4, 0.35),
}
"""Volume, length, number of shells and their cover, by hair style; a bald head has none."""
PAINTED = {BALD: 0.16, BUZZ: 0.75}
"""How much of the hair's colour the skin below it takes; 0.9 for other styles."""

_SIDE_Z = (-9.0, -3.0, 0.2, 1.3, 3.2, 4.6, 7.0, 9.0)
_SIDE_HEIGHT_MALE = (-3.5, -2.5, 0.5, 2.2, 2.4, 6.2, 8.2, 9.6)
_SIDE_HEIGHT_FEMALE = (-3.5, -2.5, 0.5, 3.4, 3.4, 6.2, 8.2, 9.6)


def hair_mask(places: Float32, look: Look) -> Float32:
    """Return how much hair grows at places (…, 3): 0 to 1."""
    x, y, z = np.abs(places[..., 0]), places[..., 1], places[..., 2]
    recede = 0.5 * look.male + 0.1
    front = 9.6 - look.hairline + 0.035 * recede * x**2 - 0.25 * np.exp(-((x / 1.2) ** 2))
    side = np.interp(z, _SIDE_Z, _SIDE_HEIGHT_MALE if look.male else _SIDE_HEIGHT_FEMALE)
    to_front = ((z - 4) / 5).clip(0, 1)
    line = side * (1 - to_front) + front * to_front
    ear = (x > 7.25 + 0.12 * z.clip(-3, 3)) & (y < 4.4) & (z > -2.6) & (z < 3.2)
    ear |= (x > 5.0) & (y < 3.4) & (z > -2.2) & (z < 2.4)
    return np.where(ear, 0.0, ((y - line) / 1.1 + 0.5).clip(0, 1)).astype(np.float32)


def beard_mask(places: Float32, kind: str) -> Float32:
    """Return how much beard grows at places (…, 3): 0 to 1.

    Parameters
    ----------
    places : (…, 3) float32
    kind : str
        Of `duchenne.analysis.rendering.appearance.BEARDS`.
    """
    x, y, z = np.abs(places[..., 0]), places[..., 1], places[..., 2]
    nothing = np.zeros(x.shape, np.float32)
    if kind == "none":
        return nothing
    middle = -1.95 - 0.16 * x
    thick = 0.6 * (1 - 0.6 * (x / 3.2) ** 2).clip(0.15, None)
    moustache = np.exp(-(((y - middle) / thick) ** 4)) * ((3.1 - x) / 0.7).clip(0, 1) * (z > 8.5)
    low_face = ((z - 1.5) / 2.5).clip(0, 1) * ((y + 10.5) / 1.5).clip(0, 1)
    edge = -1.9 + 0.3 * (x - 4.0).clip(0, None) - 1.6 * np.exp(-(((x - 3.4) / 1.3) ** 2))
    jaw = low_face * ((edge - y) / 1.0).clip(0, 1)
    chin = ((1.0 - np.hypot(x / 2.3, (y + 6.9) / 2.1)) / 0.35).clip(0, 1) * low_face
    corners = np.exp(-(((x - 3.0) / 0.6) ** 4) - ((y + 3.5) / 1.5) ** 4) * (z > 6)
    full = np.maximum(np.maximum(moustache, corners), jaw)
    goatee = np.maximum(moustache, chin)
    grown = {"moustache": moustache, "goatee": goatee}.get(kind, full)
    from_lips = np.hypot(x / 2.75, (y + 3.4) / 1.12)
    return np.asarray(grown * ((from_lips - 1.0) / 0.15).clip(0, 1), np.float32)


def hair_strands(places: Float32, look: Look) -> NDArray[np.float32]:
    """Return for vertices (n, 3): mask, two coordinates along and across the strands, and volume."""
    mask = hair_mask(places, look)
    x, y, z = places.T
    above = y - 5.0
    across = np.arctan2(z, np.hypot(x, above.clip(0, None)).clip(1e-3, None)) * 1.2
    across = across + 0.15 * np.sin(0.8 * x)
    along = np.arctan2(above, np.abs(x) + 1e-3) * 0.6
    waves = np.sin(0.9 * x + look.seed % 100) * np.sin(0.7 * z + (look.seed % 100) * 1.7)
    volume = ((y - 2) / 9).clip(0, 1) ** 0.8 * (1.3 * mask - 0.3).clip(0, 1) * (1 + 0.25 * waves)
    return np.stack([mask, across, along, volume], axis=1).astype(np.float32)


def beard_strands(places: Float32, look: Look) -> NDArray[np.float32]:
    """Return the same for the beard."""
    mask = beard_mask(places, look.beard)
    x, y, z = places.T
    across = np.arctan2(x, z - 2.0) * 1.6
    along = 0.16 * y
    return np.stack([mask, across, along, mask * (0.4 + 0.3 * (y < -5))], axis=1).astype(np.float32)


def grows_on_scalp(places: Float32) -> NDArray[np.bool_]:
    """Return which vertices (n, 3) hair may grow on at all."""
    y, z = places[:, 1], places[:, 2]
    return np.asarray((y > -4.5) & ~((z > 7) & (y < 6.3)))
