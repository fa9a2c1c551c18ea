"""What was looked at when the face reacted, and in the second before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.values import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BEFORE_S = 1.0
OUTSIDE = "none"
"""The name that the table of visits gives to gaze beside all areas."""


@dataclass(frozen=True)
class Stays:
    """Stays of gaze in areas of interest during one presentation, seconds from its onset.

    Parameters
    ----------
    aoi : sequence of str
        ``none``: beside all areas.
    onset_s, offset_s : ndarray, shape (n,)
    """

    aoi: Sequence[str]
    onset_s: Floats
    offset_s: Floats

    @classmethod
    def of(cls, visits: pd.DataFrame) -> Stays:
        """Return the stays of the rows of a table of visits (``aoi onset_s duration_s``)."""
        onset_s = visits["onset_s"].to_numpy(np.float64)
        return cls(
            [str(name) for name in visits["aoi"]],
            onset_s,
            onset_s + visits["duration_s"].to_numpy(np.float64),
        )

    def at(self, time_s: float) -> str | None:
        """Return the area that gaze was in; None where it was in a saccade, a blink or lost."""
        inside = np.flatnonzero((self.onset_s <= time_s) & (time_s < self.offset_s))
        return self.aoi[int(inside[-1])] if inside.size else None

    def dwell_s(self, start_s: float, stop_s: float) -> dict[str, float]:
        """Return how long gaze stayed in each area between two times."""
        shared = np.minimum(self.offset_s, stop_s) - np.maximum(self.onset_s, start_s)
        found: dict[str, float] = dict.fromkeys(self.aoi, 0.0)
        for name, seconds in zip(self.aoi, np.maximum(shared, 0.0).tolist(), strict=True):
            found[name] += seconds
        return found

    def first_s(self, aoi: str) -> float:
        """Return when gaze was first in an area; NaN if never."""
        own = [t for name, t in zip(self.aoi, self.onset_s.tolist(), strict=True) if name == aoi]
        return min(own, default=float("nan"))


def fixated_content(
    reaction_s: float, fixations: pd.DataFrame | None, stays: Stays | None
) -> dict[str, Any]:
    """Return what was fixated at one reaction, and in the second before.

    Parameters
    ----------
    reaction_s : float
        When the face began to move, seconds from the onset of the stimulus.
    fixations : pandas.DataFrame or None
        Those of the presentation: ``onset_s`` (from the onset of the stimulus), ``duration``, ``x_stim``,
        ``y_stim``.
    stays : Stays or None
        None where there are no areas of interest.

    Returns
    -------
    dict
        ``x_stim y_stim`` (0 to 1 in the stimulus; the fixation under way; NaN in a saccade, a blink or
        loss), ``aoi`` (area at that moment; None as above), ``aoi_before`` (longest in the second before,
        or since the onset where that is shorter) with ``aoi_before_fraction`` (its share of the gaze in
        that time) and ``since_first_fixation_s`` (from the first look at ``aoi``, or where there is none
        at ``aoi_before``, to the reaction).
    """
    found: dict[str, Any] = {"x_stim": np.nan, "y_stim": np.nan}
    if not np.isfinite(reaction_s):
        return found
    if fixations is not None:
        onset_s = fixations["onset_s"].to_numpy(np.float64)
        end_s = onset_s + fixations["duration"].to_numpy(np.float64)
        now = np.flatnonzero((onset_s <= reaction_s) & (reaction_s < end_s))
        if now.size:
            found |= {name: float(fixations[name].iloc[now[-1]]) for name in ("x_stim", "y_stim")}
    if stays is None:
        return found
    found["aoi"] = stays.at(reaction_s)
    dwell = stays.dwell_s(max(0.0, reaction_s - BEFORE_S), reaction_s)
    total = sum(dwell.values())
    if total > 0:
        longest = max(dwell, key=lambda name: (dwell[name], name))
        found |= {"aoi_before": longest, "aoi_before_fraction": dwell[longest] / total}
    asked = found["aoi"] or found.get("aoi_before")
    if asked is not None:
        since = reaction_s - stays.first_s(asked)
        found["since_first_fixation_s"] = since
    return found


def reaction_areas(reaction_s: float, stays: Stays, areas: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per area: how it was looked at before and at a reaction.

    Parameters
    ----------
    reaction_s : float
        Seconds from the onset of the stimulus.
    stays : Stays
        Of the presentation.
    areas : sequence of str
        The areas of the stimulus.

    Returns
    -------
    list of dict
        ``aoi``, ``fixated`` (at the reaction), ``dwell_before_fraction`` (share of the gaze in the second
        before), ``dwell_fraction`` (share of the gaze in the whole presentation: what to expect if the
        reaction had nothing to do with the area), ``first_fixation_s`` and ``since_first_fixation_s``
        (negative: looked at only after the reaction).
    """
    before = stays.dwell_s(max(0.0, reaction_s - BEFORE_S), reaction_s)
    whole = stays.dwell_s(-np.inf, np.inf)
    now = stays.at(reaction_s)
    rows = []
    for name in areas:
        first_s = stays.first_s(name)
        rows.append(
            {
                "aoi": name,
                "fixated": now == name if now is not None else None,
                "dwell_before_fraction": _share(before, name),
                "dwell_fraction": _share(whole, name),
                "first_fixation_s": first_s,
                "since_first_fixation_s": reaction_s - first_s,
            }
        )
    return rows


def with_content(
    reactions: pd.DataFrame,
    shown: pd.DataFrame,
    fixations: pd.DataFrame | None,
    visits: pd.DataFrame | None,
    areas: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the reactions with what was fixated, and a row for each reaction and area.

    Parameters
    ----------
    reactions : pandas.DataFrame
        As :func:`~duchenne.analysis.crossmodal.reactions.first_reactions` returns them.
    shown : pandas.DataFrame
        Presentations: ``presentation_id onset_s``.
    fixations : pandas.DataFrame or None
        ``onset duration x_stim y_stim``, onsets on the clock of the session; None without gaze.
    visits : pandas.DataFrame or None
        ``presentation_id aoi onset_s duration_s``, onsets from that of the stimulus; None without areas.
    areas : pandas.DataFrame, optional
        ``presentation_id aoi``: all areas of each presentation; those that were looked at where absent.

    Returns
    -------
    (pandas.DataFrame, pandas.DataFrame or None)
        The second is None without areas.
    """
    begins = {row["presentation_id"]: row for row in records(shown)}
    content: list[dict[str, Any]] = []
    by_area: list[dict[str, Any]] = []
    of_visits = {} if visits is None else dict(list(visits.groupby("presentation_id")))
    around: dict[Any, tuple[pd.DataFrame | None, Stays | None]] = {}
    for name, own in begins.items():
        mine = None if fixations is None else _during(fixations, own)
        part = of_visits.get(name)
        around[name] = (mine, None if part is None else Stays.of(part))
    for row in records(reactions):
        mine, stays = around[row["presentation_id"]]
        content.append(fixated_content(float(row["latency_s"]), mine, stays))
        if stays is not None and np.isfinite(row["latency_s"]):
            names = _names(areas, row["presentation_id"], stays)
            told = {"presentation_id": row["presentation_id"], "au": row["au"]}
            found = reaction_areas(float(row["latency_s"]), stays, names)
            by_area += [told | {"latency_s": row["latency_s"]} | area for area in found]
    added = pd.DataFrame(content, columns=list(CONTENT), index=reactions.index).astype(CONTENT)
    table = pd.concat([reactions, added], axis=1)
    if visits is None:
        return table, None
    return table, pd.DataFrame(by_area, columns=list(AREAS)).astype(AREAS)


CONTENT = {
    "x_stim": "float64",
    "y_stim": "float64",
    "aoi": "object",
    "aoi_before": "object",
    "aoi_before_fraction": "float64",
    "since_first_fixation_s": "float64",
}
AREAS = {
    "presentation_id": "object",
    "au": "object",
    "latency_s": "float64",
    "aoi": "object",
    "fixated": "boolean",
    "dwell_before_fraction": "float64",
    "dwell_fraction": "float64",
    "first_fixation_s": "float64",
    "since_first_fixation_s": "float64",
}


def _during(fixations: pd.DataFrame, presentation: Mapping[str, Any]) -> pd.DataFrame:
    """Return the fixations that touch a presentation, with onsets from that of the stimulus."""
    onset = fixations["onset"].to_numpy(np.float64)
    end = onset + fixations["duration"].to_numpy(np.float64)
    inside = (end > presentation["onset_s"]) & (onset < presentation["offset_s"])
    own = fixations.loc[inside]
    placed: pd.DataFrame = own.assign(
        onset_s=own["onset"].to_numpy(np.float64) - presentation["onset_s"]
    )
    return placed


def _names(areas: pd.DataFrame | None, presentation_id: str, stays: Stays) -> list[str]:
    if areas is None:
        return sorted({name for name in stays.aoi if name != OUTSIDE})
    return [str(name) for name in areas.loc[areas["presentation_id"] == presentation_id, "aoi"]]


def _share(dwell: Mapping[str, float], name: str) -> float:
    total = sum(dwell.values())
    return dwell.get(name, 0.0) / total if total > 0 else float("nan")
