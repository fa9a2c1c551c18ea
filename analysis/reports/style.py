"""How reports look: colours that all can tell apart, one typeface, figures as data URIs."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

FONT_STACK = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
INK = "#1d2733"
MUTED = "#5b6775"
LINE = "#d9dee5"

# Okabe & Ito (2008), Color Universal Design; yellow is left out as a line colour: too pale on white.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
_SOLID, _DASHED, _DOTTED = "solid", "dash", "dot"
DASHES: dict[str, object] = {_SOLID: "-", _DASHED: (0, (4, 1.6)), _DOTTED: (0, (1.2, 1.4))}
_AU_LINES: dict[str, tuple[str, str]] = {
    "AU12": (ORANGE, _SOLID),
    "AU06": (ORANGE, _DASHED),
    "AU25": (ORANGE, _DOTTED),
    "AU04": (BLUE, _SOLID),
    "AU15": (BLUE, _DASHED),
    "AU17": (BLUE, _DOTTED),
    "AU01": (SKY, _SOLID),
    "AU02": (SKY, _DASHED),
    "AU05": (PURPLE, _SOLID),
    "AU20": (PURPLE, _DASHED),
    "AU26": (PURPLE, _DOTTED),
    "AU09": (GREEN, _SOLID),
    "AU10": (GREEN, _DASHED),
    "AU27": (GREEN, _DOTTED),
    "AU23": (VERMILLION, _SOLID),
    "AU24": (VERMILLION, _DASHED),
    "AU07": (VERMILLION, _DOTTED),
    "AU14": (INK, _SOLID),
    "AU28": (INK, _DASHED),
}
CATEGORY_COLOURS = {
    "HVHA": ORANGE,
    "LVHA": VERMILLION,
    "LVLA": BLUE,
    "HVLA": GREEN,
    "neutral": "#8a94a0",
}
GRADE_COLOURS = {"good": GREEN, "fair": ORANGE, "poor": VERMILLION}
GRADE_SIGNS = {"good": "✓", "fair": "!", "poor": "✕"}
_FIGURE_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": "#eceff3",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "path.simplify_threshold": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "duchenne",
}
RASTER_QUALITY = 80
_DRAWN_FONT = "'DejaVu Sans', sans-serif"


@contextmanager
def figure(
    width_in: float, height_in: float, *, layout: Literal["constrained"] | None = "constrained"
) -> Iterator[Figure]:
    """Give an empty figure in the style of the reports, drawn without a display.

    Parameters
    ----------
    width_in, height_in : float
        Size in inches; 96 pixels each on the page.
    layout : {"constrained"} or None
        None: margins are set by hand, which takes half the time.
    """
    import matplotlib as mpl  # noqa: PLC0415 (heavy: only where a report is drawn)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(_FIGURE_STYLE):
        yield Figure(figsize=(width_in, height_in), layout=layout)


def category_colour(category: object) -> str:
    """Return the colour of a stimulus category; grey for one without its own."""
    return CATEGORY_COLOURS.get(str(category), "#8a94a0")


def au_line(name: str) -> dict[str, Any]:
    """Return colour and dashes of an Action Unit as Matplotlib takes them; see `au_look`."""
    colour, dash = au_look(name)
    return {"color": colour, "linestyle": DASHES[dash]}


def au_look(name: str) -> tuple[str, str]:
    """Return colour and dashes of an Action Unit: the same in every figure and every report."""
    return _AU_LINES.get(name[:4], ("#8a94a0", _SOLID))


def svg_uri(drawing: Figure) -> str:
    """Return a figure as the data URI of an SVG whose text is in the typeface of the page."""
    import matplotlib as mpl  # noqa: PLC0415 (heavy: only where a report is drawn)

    buffer = io.StringIO()
    # The same figure gives the same text, and its letters stay letters.
    with mpl.rc_context({name: _FIGURE_STYLE[name] for name in ("svg.hashsalt", "svg.fonttype")}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().replace(_DRAWN_FONT, FONT_STACK)
    return data_uri(text.encode("utf-8"), "image/svg+xml")


def raster_uri(drawing: Figure, dpi: float) -> str:
    """Return a figure as the data URI of a WebP picture: small where it holds a photograph."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    drawing.set_dpi(dpi)
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        encoded, format="WEBP", quality=RASTER_QUALITY, method=3
    )
    return data_uri(encoded.getvalue(), "image/webp")


def data_uri(content: bytes, media_type: str) -> str:
    """Return content as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
