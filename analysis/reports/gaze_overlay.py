"""Where they looked: heat map and scan path over a stimulus, as one SVG each."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.reports.style import BLUE, FONT_STACK, VERMILLION, data_uri
from duchenne.analysis.values import records

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.reports.pictures import Picture

    Rectangle = tuple[float, float, float, float]

VIEW_WIDTH = 480
"""Width of the drawings in their own units."""
HEAT_WIDTH_PX = 240
HEAT_SIGMA_DEG = 1.0
"""Blur of the heat map: about the extent of the fovea."""
FULL_OPACITY = 0.8
_FIXATION = 1


def heat_map_svg(
    samples: pd.DataFrame, rect_px: Rectangle, picture: Picture, px_per_deg: float, alt: str
) -> str:
    """Return a stimulus with the density of its fixation samples over it.

    Parameters
    ----------
    samples : pandas.DataFrame
        Gaze samples of the presentation: ``x_px``, ``y_px``, ``label``.
    rect_px : tuple of 4 floats
        Left, top, right and bottom edge of the stimulus on the screen, pixels.
    picture : Picture
        The stimulus.
    px_per_deg : float
        Screen pixels per degree of visual angle; the blur is 1°.
    alt : str
        Description for those who cannot see the drawing.
    """
    density = heat_density(samples, rect_px, px_per_deg)
    width, height = VIEW_WIDTH, _view_height(rect_px)
    overlay = ""
    if density.max() > 0:
        uri = _heat_uri(density / density.max())
        overlay = (
            f'<image href="{uri}" width="{width}" height="{height}" preserveAspectRatio="none"/>'
        )
    return _svg(width, height, _background(picture, width, height, dim=0.25) + overlay, alt)


def heat_density(
    samples: pd.DataFrame, rect_px: Rectangle, px_per_deg: float
) -> NDArray[np.float64]:
    """Return the density of fixation samples over the stimulus, blurred by 1°, as (rows, columns)."""
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415

    x0, y0, x1, y1 = rect_px
    columns = HEAT_WIDTH_PX
    rows = max(1, round(columns * (y1 - y0) / (x1 - x0)))
    fixating = samples[samples["label"] == _FIXATION]
    counts, _, _ = np.histogram2d(
        fixating["y_px"].to_numpy(dtype=np.float64),
        fixating["x_px"].to_numpy(dtype=np.float64),
        bins=(rows, columns),
        range=((y0, y1), (x0, x1)),
    )
    sigma = HEAT_SIGMA_DEG * px_per_deg * columns / (x1 - x0)
    return np.asarray(gaussian_filter(counts, sigma, mode="constant"), dtype=np.float64)


def scan_path_svg(fixations: pd.DataFrame, rect_px: Rectangle, picture: Picture, alt: str) -> str:
    """Return a stimulus with its fixations in order: circles whose area is the duration.

    Parameters
    ----------
    fixations : pandas.DataFrame
        Fixations of the presentation in order: ``x_stim``, ``y_stim``, ``duration``.
    rect_px, picture, alt
        As for `heat_map_svg`.
    """
    width, height = VIEW_WIDTH, _view_height(rect_px)
    placed = fixations[fixations["x_stim"].notna() & fixations["y_stim"].notna()]
    points = [
        (float(row["x_stim"]) * width, float(row["y_stim"]) * height, float(row["duration"]))
        for row in records(placed)
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    marks = [
        f'<polyline points="{path}" fill="none" stroke="#fff" stroke-width="4" opacity=".75"/>',
        f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="1.8"/>',
    ]
    for number, (x, y, duration) in enumerate(points, 1):
        fill = VERMILLION if number == 1 else BLUE
        radius = float(np.clip(22 * np.sqrt(max(duration, 0.0)), 8.5, 30))
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" fill-opacity=".72" '
            'stroke="#fff" stroke-width="1.5"/>'
            f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="11" font-weight="700" '
            f'fill="#fff">{number}</text>'
        )
    return _svg(width, height, _background(picture, width, height, dim=0.35) + "".join(marks), alt)


def placeholder_svg(picture: Picture, alt: str) -> str:
    """Return a stimulus, or the place where it would be, without any gaze."""
    width, height = VIEW_WIDTH, round(VIEW_WIDTH / picture.aspect)
    return _svg(width, height, _background(picture, width, height, dim=0.0), alt)


def _view_height(rect_px: Rectangle) -> int:
    x0, y0, x1, y1 = rect_px
    return round(VIEW_WIDTH * (y1 - y0) / (x1 - x0))


def _background(picture: Picture, width: int, height: int, *, dim: float) -> str:
    if picture.uri is None:
        return (
            f'<rect width="{width}" height="{height}" fill="#eef1f5"/>'
            f'<text x="{width / 2}" y="{height - 14}" text-anchor="middle" font-size="17" '
            f'fill="#5b6775">{escape(picture.missing or "no picture")}</text>'
        )
    veil = f'<rect width="{width}" height="{height}" fill="#fff" opacity="{dim}"/>' if dim else ""
    return (
        f'<image href="{picture.uri}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"/>{veil}'
    )


def _svg(width: int, height: int, content: str, alt: str) -> str:
    label = escape(alt, quote=True)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}" '
        f'font-family="{escape(FONT_STACK, quote=True)}"><title>{label}</title>{content}</svg>'
    )


def _heat_uri(share: NDArray[np.float64]) -> str:
    import matplotlib as mpl  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    colours = mpl.colormaps["inferno"](0.15 + 0.85 * share)
    colours[..., 3] = FULL_OPACITY * np.clip(share / 0.35, 0, 1) ** 1.2
    buffer = io.BytesIO()
    pixels = np.round(255 * colours).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return data_uri(buffer.getvalue(), "image/png")
