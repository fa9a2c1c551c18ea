"""Draws the parts of a system below each other as SVG, each with the size of what it answers."""

from __future__ import annotations

from html import escape
from math import log2
from typing import TYPE_CHECKING

from duchenne.analysis.models.figures import Part, label, shape_text, size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _ROW, _TOP, _LEFT = 640, 44, 44, 96
_BOX = 300
_COLOURS = {
    "convolution": "#cfe3f1",
    "transformer": "#e4d5ee",
    "linear": "#fbe3c0",
    "graph": "#cdebdd",
    "other": "#e8ebef",
}
_FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#1d2733"'
_MUTED, _LINE = "#5b6775", "#9aa5b1"


def drawn(
    name: str,
    given: Sequence[int],
    parts: Sequence[Part],
    outputs: Mapping[str, Sequence[int]],
) -> str:
    """Return a system as SVG.

    Parameters
    ----------
    name : str
    given : sequence of int
        Shape of its input.
    parts : sequence of Part
        In the order of the forward pass.
    outputs : mapping of str to sequence of int
        Shapes of what it answers.
    """
    n_rows = 1 + len(parts) + len(outputs)
    height = _TOP + _ROW * n_rows + 26
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(name)}</text>',
        f'<text x="{_WIDTH - 16}" y="24" text-anchor="end" fill="{_MUTED}">output</text>',
    ]
    y = _TOP
    lines += _row(y, "input", "", given, "#ffffff", dashed=False)
    for part in parts:
        y += _ROW
        lines.append(_arrow(y))
        kind = part.kind + ("" if part.learns else ", frozen")
        text = f"{kind}, {size_text(part.parameters)}"
        lines += _row(y, label(part), text, part.shape, colour_of(part), dashed=not part.learns)
    for i, (output, shape) in enumerate(outputs.items()):
        y += _ROW
        if i == 0:
            lines.append(_arrow(y))
        lines += _row(y, f"→ {output}", "", shape, "#ffffff", dashed=False)
    lines.append(
        f'<text x="16" y="{height - 10}" font-size="11" fill="{_MUTED}">parts in the order of the forward '
        "pass; frozen ones dashed; squares and bars: places and channels, logarithmic</text>"
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def colour_of(part: Part) -> str:
    """Return the colour of a kind of part."""
    kind = part.kind
    if "transformer" in kind or kind in {"patches and positions", "layer norm", "pooler"}:
        return _COLOURS["transformer"]
    if "graph" in kind or kind == "GRU":
        return _COLOURS["graph"]
    if len(part.shape) == 3 and part.shape[1] == part.shape[2]:
        return _COLOURS["convolution"]
    if kind.startswith("linear") or len(part.shape) == 1:
        return _COLOURS["linear"]
    return _COLOURS["other"]


def _row(
    y: int, name: str, text: str, shape: Sequence[int], colour: str, *, dashed: bool
) -> list[str]:
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    middle = y + 16
    outline = f'rx="5" fill="{colour}" stroke="{_LINE}"{dash}'
    small = f'font-size="10.5" fill="{_MUTED}"'
    right = 'text-anchor="end" font-family="monospace"'
    found = [
        *_glyph(middle, shape),
        f'<rect x="{_LEFT}" y="{y}" width="{_BOX}" height="32" {outline}/>',
        f'<text x="{_LEFT + 10}" y="{middle + (-2 if text else 4)}">{escape(name)}</text>',
        f'<text x="{_WIDTH - 16}" y="{middle + 4}" {right}>{shape_text(shape)}</text>',
    ]
    if text:
        found.append(f'<text x="{_LEFT + 10}" y="{middle + 11}" {small}>{escape(text)}</text>')
    return found


def _glyph(middle: int, shape: Sequence[int]) -> list[str]:
    """Return a square as large as a feature map with a bar as long as its channels are many."""
    is_map = len(shape) >= 3 and shape[-1] == shape[-2]
    channels = shape[-3] if is_map else shape[-1] if shape else 1
    bar = 4 + 3.2 * log2(channels + 1)
    found = []
    x = 16.0
    if is_map:
        side = 4 + 3 * log2(shape[-1])
        found.append(
            f'<rect x="{x}" y="{middle - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}" '
            f'fill="#0072B2" fill-opacity="0.35" stroke="#0072B2"/>'
        )
        x += side + 3
    found.append(
        f'<rect x="{x:.1f}" y="{middle - 3}" width="{bar:.1f}" height="6" fill="#E69F00"/>'
    )
    return found


def _arrow(y: int) -> str:
    x = _LEFT + _BOX // 2
    return (
        f'<path d="M{x} {y - 12} V{y - 2} M{x - 4} {y - 6} L{x} {y - 1} L{x + 4} {y - 6}" fill="none" '
        f'stroke="{_LINE}"/>'
    )
