"""How well each stream is placed on the clock: whatever the alignment certificate of a session says."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.words import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

GRADES = {"pass": "good", "warn": "fair", "fail": "poor"}
_UNITS = {"ms": "ms", "s": "s", "hz": "Hz", "ppm": "ppm", "deg": "°", "mm": "mm", "us": "µs"}
_WORDS = {"srate": "rate", "n": "number of"}
_TOLD_ALREADY = {"verdict", "reasons"}


@dataclass(frozen=True)
class Alignment:
    """One stream's certificate in words.

    Parameters
    ----------
    stream : str
    verdict : str
        ``pass``, ``warn`` or ``fail``.
    grade : str
        The look of the verdict.
    reasons : tuple of str
        Why it is not ``pass``.
    """

    stream: str
    verdict: str
    grade: str
    reasons: tuple[str, ...]


def alignments(certificates: Mapping[str, Any]) -> list[Alignment]:
    """Return the verdict of each stream, with its reasons."""
    found = []
    for stream, certificate in certificates.items():
        verdict = str(getattr(certificate, "verdict", NOTHING))
        reasons = tuple(str(reason) for reason in getattr(certificate, "reasons", ()))
        found.append(Alignment(stream, verdict, GRADES.get(verdict, "fair"), reasons))
    return found


def alignment_table(certificates: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return a row per measure of the certificates, whichever they have: its name, and each value."""
    names: dict[str, None] = {}
    for certificate in certificates.values():
        if is_dataclass(certificate):
            names |= dict.fromkeys(f.name for f in fields(certificate))
    return [
        (in_words(name), [told(getattr(c, name, None), name) for c in certificates.values()])
        for name in names
        if name not in _TOLD_ALREADY
    ]


def in_words(name: str) -> str:
    """Return the name of a measure in words with its unit, such as ``Longest gap (s)``."""
    parts = name.split("_")
    unit = _UNITS.get(parts[-1]) if len(parts) > 1 else None
    parts = parts[:-1] if unit else parts
    words = " ".join(_WORDS.get(part, part) for part in parts)
    return f"{words[:1].upper()}{words[1:]}" + (f" ({unit})" if unit else "")


def told(value: Any, name: str = "") -> str:
    """Return the value of a measure as people read it; a dash for what was not measured."""
    if is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, dict):
        return ", ".join(f"{in_words(str(k)).lower()} {told(v, str(k))}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(told(v) for v in value) or NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return _number_told(float(value), name, whole=isinstance(value, int | np.integer))
    return NOTHING if value is None else str(value) or NOTHING


def _number_told(value: float, name: str, *, whole: bool) -> str:
    if not np.isfinite(value):
        return NOTHING
    if whole or float(value).is_integer():
        return f"{value:,.0f}".replace(",", "\u2009").replace("-", "\u2212")
    shown = f"{value:.{1 if name.endswith('_hz') else 3}f}" if abs(value) < 1e6 else f"{value:.3g}"
    shown = shown.lstrip("-") if float(shown) == 0 else shown
    return shown.replace("-", "\u2212")
