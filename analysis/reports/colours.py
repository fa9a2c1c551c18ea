"""A colour for each category of a study, told apart by all eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.reports.style import (
    BLUE,
    CATEGORY_COLOURS,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "#8a94a0"
_PALETTE = (ORANGE, VERMILLION, BLUE, GREEN, PURPLE, SKY, "#5b4a9c", "#7a5c00", "#1d2733")


def category_colours(categories: Iterable[str]) -> dict[str, str]:
    """Return a colour for each category: its own where it has one, then those that are left, in order."""
    names = list(dict.fromkeys(categories))
    found = {name: CATEGORY_COLOURS[name] for name in names if name in CATEGORY_COLOURS}
    free = [colour for colour in _PALETTE if colour not in found.values()]
    for name in names:
        if name not in found:
            found[name] = free.pop(0) if free else OTHER
    return found


LETTERS_READ = 0.72
"""Strength of a colour up to which dark letters are read on it."""


def on_scale(share: float, colour: str, *, strongest: float = LETTERS_READ) -> str:
    """Return a colour between white at 0 and its strongest at 1; by default dark letters are read on it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    strength = strongest * min(max(share, 0.0), 1.0)
    mixed = (round(255 + strength * (part - 255)) for part in (red, green, blue))
    return "#" + "".join(f"{part:02x}" for part in mixed)
