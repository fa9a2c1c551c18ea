"""Numbers as people read them."""

from __future__ import annotations

import math

NOTHING = "–"


def amount(value: float, unit: str = "", decimals: int = 2) -> str:
    """Return a number with its unit, such as ``4.1 mm`` or ``3.2°``; a dash for NaN."""
    if not math.isfinite(value):
        return NOTHING
    rounded = f"{value:.{decimals}f}"
    if float(rounded) == 0:
        rounded = rounded.lstrip("-")
    if not unit:
        return rounded.replace("-", "−")
    space = "" if unit == "°" else " "
    return f"{rounded}{space}{unit}".replace("-", "−")


def signed(value: float, unit: str = "", decimals: int = 2) -> str:
    """Return a change with its sign, such as ``+0.12 mm``; a dash for NaN."""
    written = amount(value, unit, decimals)
    is_up = math.isfinite(value) and float(f"{value:.{decimals}f}") > 0
    return f"+{written}" if is_up else written


def percent(share: float) -> str:
    """Return a share as per cent; a dash for NaN."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else NOTHING


def clock(seconds: float) -> str:
    """Return a duration, such as ``1 min 48 s``; a dash for NaN."""
    if not math.isfinite(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
