"""A small paint box: pictures as float arrays (height, width, 3) of sRGB values from 0 to 1.

Scenes are painted at twice their size and reduced at the end, which smooths every edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array: TypeAlias = NDArray[np.float64]
Colour: TypeAlias = tuple[float, float, float]
Point: TypeAlias = tuple[float, float]

WIDTH_PX, HEIGHT_PX = 800, 600
SCALE = 2


def colour(hexadecimal: str) -> Colour:
    """Return the colour of ``"rrggbb"``."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def grid(height: int, width: int) -> tuple[Array, Array]:
    """Return x and y of each pixel: x from 0 to width / height, y from 0 (top) to 1."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    return (x + 0.5) / height, (y + 0.5) / height


def gradient(stops: Sequence[tuple[float, Colour]], at: Array) -> Array:
    """Return colours between stops, given in rising order, for each value of `at`."""
    places = [place for place, _ in stops]
    channels = [np.interp(at, places, [c[i] for _, c in stops]) for i in range(3)]
    return np.stack(channels, axis=-1)


def noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], octaves: int = 4
) -> Array:
    """Return smooth fractal noise, 0 to 1, whose coarsest features number `cells` (rows, columns)."""
    height, width = shape
    total = np.zeros(shape)
    for octave in range(octaves):
        rows, columns = cells[0] * 2**octave, cells[1] * 2**octave
        coarse = Image.fromarray(rng.random((rows + 2, columns + 2)).astype(np.float32))
        fine = coarse.resize(
            (width, height), Image.Resampling.BICUBIC, (0.5, 0.5, columns + 1.5, rows + 1.5)
        )
        total += np.asarray(fine, dtype=float) / 2**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1))


class Canvas:
    """A picture in the making, with coordinates in final pixels.

    Parameters
    ----------
    background : array, shape (height × scale, width × scale, 3)
        What it starts from.
    scale : int
        Painted pixels per final pixel.
    """

    def __init__(self, background: Array, scale: int = SCALE) -> None:
        self.pixels = background.copy()
        self.scale = scale
        self.shape = background.shape[:2]

    def mask(self, draw: Callable[[ImageDraw.ImageDraw], object], blur_px: float = 0.0) -> Array:
        """Return where `draw` paints (with fill 255), 0 to 1, softened by `blur_px`."""
        image = Image.new("L", (self.shape[1], self.shape[0]))
        draw(ImageDraw.Draw(image))
        if blur_px:
            image = image.filter(ImageFilter.GaussianBlur(blur_px * self.scale))
        return np.asarray(image, dtype=float) / 255.0

    def paint(self, mask: Array, fill: Colour | Array, opacity: float = 1.0) -> None:
        """Cover the picture with a colour, or with another picture, where the mask is."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        cover = np.asarray(fill)
        alpha = (mask[part] * opacity)[..., None]
        cover = cover[part] if cover.ndim == 3 else cover
        self.pixels[part] = self.pixels[part] * (1 - alpha) + cover * alpha

    def light(self, glow: Array) -> None:
        """Add light (height, width, 3) without burning out what is bright already."""
        self.pixels = 1 - (1 - np.clip(self.pixels, 0, 1)) * (1 - np.clip(glow, 0, 1))

    def shade(self, factor: Array) -> None:
        """Multiply by a factor (height, width), such as a shadow."""
        self.pixels = self.pixels * factor[..., None]

    def scaled(self, points: Sequence[Point]) -> list[Point]:
        """Return points in painted pixels."""
        return [(x * self.scale, y * self.scale) for x, y in points]

    def polygon(self, points: Sequence[Point], blur_px: float = 0.0) -> Array:
        """Return the mask of a filled polygon."""
        return self.mask(lambda d: d.polygon(self.scaled(points), fill=255), blur_px)

    def ellipse(self, x: float, y: float, rx: float, ry: float, blur_px: float = 0.0) -> Array:
        """Return the mask of an upright ellipse about (x, y)."""
        box = [
            ((x - rx) * self.scale, (y - ry) * self.scale),
            ((x + rx) * self.scale, (y + ry) * self.scale),
        ]
        return self.mask(lambda d: d.ellipse(box, fill=255), blur_px)

    def line(self, points: Sequence[Point], width_px: float, blur_px: float = 0.0) -> Array:
        """Return the mask of a line with round joints."""
        width = max(1, round(width_px * self.scale))

        def draw(d: ImageDraw.ImageDraw) -> None:
            scaled = self.scaled(points)
            d.line(scaled, fill=255, width=width, joint="curve")
            radius = width / 2
            for x, y in (scaled[0], scaled[-1]):
                d.ellipse([(x - radius, y - radius), (x + radius, y + radius)], fill=255)

        return self.mask(draw, blur_px)

    def vignette(self, strength: float) -> None:
        """Darken the corners by up to `strength`."""
        x, y = grid(*self.shape)
        r = np.hypot(x / x.max() - 0.5, y - 0.5) / np.hypot(0.5, 0.5)
        self.shade(1 - strength * np.clip(r, 0, 1) ** 2.2)

    def grain(self, rng: np.random.Generator, amount: float) -> None:
        """Add a little grey noise, which hides banding."""
        self.pixels = self.pixels + rng.normal(0, amount, self.shape)[..., None]

    def finish(self) -> Image.Image:
        """Return the picture at its final size."""
        image = Image.fromarray((np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
        size = (self.shape[1] // self.scale, self.shape[0] // self.scale)
        return image.resize(size, Image.Resampling.LANCZOS)


def new_canvas(stops: Sequence[tuple[float, Colour]]) -> Canvas:
    """Return a canvas of the picture size with a gradient from top (0) to bottom (1)."""
    _, y = grid(HEIGHT_PX * SCALE, WIDTH_PX * SCALE)
    return Canvas(gradient(stops, y))


def blurred(picture: Array, radius_px: float) -> Array:
    """Return a picture (height, width, 3) blurred by a Gaussian, values 0 to 1."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius_px)), dtype=float) / 255.0


def smooth_curve(points: Sequence[Point], n: int = 60) -> list[Point]:
    """Return `n` points of a Catmull-Rom curve through the given points."""
    p = np.asarray([points[0], *points, points[-1]], dtype=float)
    out: list[Point] = []
    spans = len(p) - 3
    for t in np.linspace(0, spans, n, endpoint=True):
        i = min(int(t), spans - 1)
        u = t - i
        a, b, c, d = p[i : i + 4]
        q = 0.5 * (
            2 * b
            + (c - a) * u
            + (2 * a - 5 * b + 4 * c - d) * u**2
            + (3 * b - a - 3 * c + d) * u**3
        )
        out.append((float(q[0]), float(q[1])))
    return out


def turned(points: Sequence[Point], angle_rad: float, x: float, y: float) -> list[Point]:
    """Return points turned about the origin and then moved to (x, y)."""
    c, s = float(np.cos(angle_rad)), float(np.sin(angle_rad))
    return [(x + c * px - s * py, y + s * px + c * py) for px, py in points]
