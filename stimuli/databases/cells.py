"""Cells of a design from norms: quadrants of valence and arousal, with a neutral zone where wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = {
    "HVHA": "high valence, high arousal",
    "HVLA": "high valence, low arousal",
    "LVHA": "low valence, high arousal",
    "LVLA": "low valence, low arousal",
    "neutral": "valence near the middle of the scale, arousal not high",
}


@dataclass(frozen=True)
class Cells:
    """How stimuli are put into categories.

    Attributes
    ----------
    column : str or None
        Take this column; None: the quadrant where there are norms, else the database's own division.
    neutral_zone : float
        On norms scaled to [-1, 1]: valence within ± this and arousal not above it is ``neutral``;
        0 for no such cell.
    """

    column: str | None = None
    neutral_zone: float = 0.0

    @property
    def levels(self) -> dict[str, str]:
        """What the cells mean."""
        return {k: v for k, v in LEVELS.items() if k != "neutral" or self.neutral_zone > 0}

    @property
    def description(self) -> str:
        """How they were formed, in a sentence."""
        if self.column is not None:
            return f"From the column {self.column!r}."
        zone = (
            f"; neutral: |valence| ≤ {self.neutral_zone:g} and arousal ≤ "
            f"{self.neutral_zone:g} on [-1, 1]"
            if self.neutral_zone > 0
            else ""
        )
        return (
            f"Quadrants at the middle of the scale, above is high{zone}; without norms, "
            "the database's own."
        )

    def fill(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add ``quadrant`` and ``octant`` to rows and set their ``category``.

        Raises
        ------
        UsageError
            No row has the column asked for.
        """
        for row in rows:
            quadrant = self._quadrant(row)
            row["quadrant"] = quadrant
            dominance = _scaled(row, "dominance")
            if quadrant is not None and dominance is not None:
                row["octant"] = quadrant + ("HD" if dominance > 0 else "LD")
        if self.column is None:
            for row in rows:
                row["category"] = row["quadrant"] or row.get("category")
            return
        known = {name for row in rows for name, value in row.items() if value is not None}
        if self.column not in known:
            raise UsageError(
                f"--category {self.column}: no such column{did_you_mean(self.column, known)}"
            )
        for row in rows:
            value = row.get(self.column)
            row["category"] = f"{value:g}" if isinstance(value, float) else value

    def _quadrant(self, row: dict[str, Any]) -> str | None:
        valence, arousal = _scaled(row, "valence"), _scaled(row, "arousal")
        if valence is None or arousal is None:
            return None
        zone = self.neutral_zone
        if zone > 0 and abs(valence) <= zone and arousal <= zone:
            return "neutral"
        return ("HV" if valence > 0 else "LV") + ("HA" if arousal > 0 else "LA")


def _scaled(row: dict[str, Any], name: str) -> float | None:
    value, low, high = row.get(name), row.get("norm_min"), row.get("norm_max")
    if value is None or low is None or high is None:
        return None
    return float(2.0 * (value - low) / (high - low) - 1.0)
