"""What cameras and codecs do to a picture: exposure, colour, blur, motion, few pixels, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import Image

_GREY_SHARE = 0.06
_LEAST_SCALE = 0.98


@dataclass(frozen=True)
class Film:
    """Quality of a film.

    Parameters
    ----------
    scale : float
        Size of the face in the film, in shares of its size in the aligned picture; at most 1.
    gain, gamma, offset, contrast : float
        1, 1, 0 and 1 leave the picture as it is; the offset is of 255.
    balance : tuple of float
        Factors of red, green and blue.
    saturation : float
        0 is grey.
    blur_px, motion_px : float
        Standard deviation, and length of the way during one exposure.
    motion_deg : float
        Direction of the motion.
    noise : float
        Standard deviation, of 255.
    jpeg_quality : int
        100: not compressed.
    """

    scale: float = 1.0
    gain: float = 1.0
    gamma: float = 1.0
    offset: float = 0.0
    contrast: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_deg: float = 0.0
    noise: float = 0.0
    jpeg_quality: int = 100


def random_film(rng: np.random.Generator) -> Film:
    """Return the quality of a random film."""
    is_grey = rng.random() < _GREY_SHARE
    red, green, blue = np.exp(rng.normal(0, (0.05, 0.03, 0.06))).tolist()
    return Film(
        scale=float(rng.uniform(0.35, 1.0)) if rng.random() < 0.4 else 1.0,
        gain=float(np.exp(rng.normal(0, 0.18))),
        gamma=float(np.exp(rng.normal(0, 0.16))),
        offset=float(rng.normal(0, 9)),
        contrast=float(np.exp(rng.normal(0, 0.14))),
        balance=(red, green, blue),
        saturation=0.0 if is_grey else float(np.clip(rng.normal(0.88, 0.18), 0.3, 1.3)),
        blur_px=float(max(0.0, rng.normal(0.2, 0.55))),
        noise=float(max(0.0, rng.normal(1.5, 3.0))),
        jpeg_quality=int(rng.uniform(30, 98)) if rng.random() < 0.7 else 100,
    )


def varied(film: Film, rng: np.random.Generator) -> Film:
    """Return the quality of one picture of a film: the focus moves, and so do the people."""
    moves = rng.random() < 0.15
    return replace(
        film,
        gain=film.gain * float(np.exp(rng.normal(0, 0.03))),
        blur_px=float(max(0.0, film.blur_px * rng.uniform(0.7, 1.3))),
        motion_px=float(rng.uniform(1.5, 7.0)) if moves else 0.0,
        motion_deg=float(rng.uniform(0, 180)) if moves else 0.0,
        jpeg_quality=min(100, film.jpeg_quality + int(rng.integers(-4, 5))),
    )


def degraded(image: Image, film: Film, rng: np.random.Generator) -> Image:
    """Return a picture as a film shows it.

    Parameters
    ----------
    image : (px, px, 3) uint8
    film : Film
    rng : numpy.random.Generator
        Of the noise.
    """
    import cv2  # noqa: PLC0415  (heavy)

    px = len(image)
    seen: NDArray[Any] = _exposed(image.astype(np.float32), film)
    if film.blur_px > 0.25:
        seen = cv2.GaussianBlur(seen, (0, 0), film.blur_px)
    if film.motion_px > 1:
        seen = cv2.filter2D(seen, -1, _streak(film.motion_px, film.motion_deg))
    if film.scale < _LEAST_SCALE:
        small = max(8, round(px * film.scale))
        seen = cv2.resize(seen, (small, small), interpolation=cv2.INTER_AREA)
    if film.noise > 0.3:
        seen = seen + rng.normal(0, film.noise, seen.shape).astype(np.float32)
    coded: NDArray[Any] = np.clip(seen, 0, 255).astype(np.uint8)
    if film.jpeg_quality < 100:
        settings = [cv2.IMWRITE_JPEG_QUALITY, film.jpeg_quality]
        file = cv2.imencode(".jpg", coded[..., ::-1], settings)[1]
        coded = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1]
    if len(coded) != px:
        coded = cv2.resize(np.ascontiguousarray(coded), (px, px), interpolation=cv2.INTER_LINEAR)
    if film.saturation == 0:  # compression leaves no colour in a grey film
        coded = np.repeat(coded.mean(axis=-1, keepdims=True), 3, axis=-1)
    return np.ascontiguousarray(coded, np.uint8)


def _exposed(image: NDArray[np.float32], film: Film) -> NDArray[np.float32]:
    seen = (image * film.gain * np.array(film.balance, np.float32) + film.offset).clip(0, 255)
    seen = 255 * (seen / 255) ** film.gamma
    grey = seen.mean(axis=-1, keepdims=True)
    seen = grey + film.saturation * (seen - grey)
    return np.asarray((seen - 118) * film.contrast + 118, np.float32)


def _streak(length_px: float, degrees: float) -> NDArray[np.float32]:
    """Return the kernel of a motion along a straight line."""
    reach = int(np.ceil(length_px / 2))
    along = np.linspace(-length_px / 2, length_px / 2, 8 * reach + 1)
    angle = np.radians(degrees)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    rows = np.round(along * np.sin(angle)).astype(int) + reach
    columns = np.round(along * np.cos(angle)).astype(int) + reach
    np.add.at(kernel, (rows, columns), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
