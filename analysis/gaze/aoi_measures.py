"""How long, how soon and how often gaze was in each area of interest, against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.aoi import OUTSIDE, Aoi, AoiSet, aoi_of_positions
from duchenne.analysis.gaze.entropy import transition_counts, transition_entropy
from duchenne.analysis.gaze.geometry import ScreenGeometry, to_stimulus
from duchenne.analysis.gaze.labels import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.gaze.process import GazeResult

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

MIN_VISIT_S = 0.06
"""Areas that move: shorter stays are noise at an edge and no visits; fixations last longer."""
AREA_GRID = 400
"""Points per axis on which the share of the stimulus that an area covers is counted."""


@dataclass(frozen=True)
class AoiResult:
    """Gaze on the areas of interest in one window.

    Parameters
    ----------
    table : DataFrame
        One row per area, described by :data:`~duchenne.analysis.gaze.codebook.AOIS`.
    transitions : DataFrame
        Counts from each area (rows) straight to each other (columns). The diagonal is 0, as looking
        on within an area is one visit; gaze beside all areas breaks the chain.
    transition_entropy_bits : float
        Of the transitions; NaN for fewer than 3.
    basis : str
        ``fixations`` for static areas, ``samples`` for moving ones.
    visits : DataFrame
        ``aoi onset_s duration_s``: stays in order, seconds from the onset of the window, also those
        beside all areas (:data:`~duchenne.analysis.gaze.aoi.OUTSIDE`).
    """

    table: pd.DataFrame
    transitions: pd.DataFrame
    transition_entropy_bits: float
    basis: str
    visits: pd.DataFrame


def measure_aois(
    result: GazeResult,
    areas: AoiSet,
    onset_s: float,
    offset_s: float,
    rect_px: Sequence[float],
    *,
    margin_deg: float = 0.0,
    media_time_s: ArrayLike | None = None,
) -> AoiResult:
    """Measure gaze on areas of interest in one window.

    Static areas are measured by fixations that begin in the window (cut off at its end), moving ones
    by samples labelled fixation or pursuit, each against the frame that was on the screen.

    Parameters
    ----------
    result : GazeResult
        From :func:`~duchenne.analysis.gaze.process.analyse_gaze`, with its screen.
    areas : AoiSet
        In the coordinates of the stimulus.
    onset_s, offset_s : float
        The window, seconds of the result.
    rect_px : sequence of 4 floats
        Left, top, right, bottom of the stimulus, screen pixels.
    margin_deg : float
        Widens every area; at least the validated accuracy of the recording.
    media_time_s : array_like, shape of the result's samples, optional
        Time in the film at each sample (NaN: none on the screen); needed for moving areas.

    Returns
    -------
    AoiResult
        Times are NaN and counts 0 for an area never visited.

    Raises
    ------
    ValueError
        When the window does not last, the result has no screen, or moving areas lack media times.

    References
    ----------
    Holmqvist, Nyström & Mulvey 2012, ETRA, 45–52, and Orquin, Ashby & Clarke 2016, Journal of
    Behavioral Decision Making 29, 103–115 (margins and accuracy); Hessels, Kemner, van den Boomen &
    Hooge 2016, Behavior Research Methods 48, 1694–1712 (area size).
    """
    if not offset_s > onset_s:
        raise ValueError(f"the window from {onset_s} to {offset_s} s does not last")
    if result.screen is None:
        raise ValueError("areas of interest need the screen geometry of the result")
    per_deg = stimulus_per_deg(result.screen, rect_px)
    margin = (margin_deg * per_deg[0], margin_deg * per_deg[1])
    onset, duration, code, media = (
        _by_samples(
            result, areas, onset_s, offset_s, rect_px, margin=margin, media_time_s=media_time_s
        )
        if areas.moving
        else _by_fixations(result, areas, onset_s, offset_s, rect_px, margin=margin)
    )
    rows = []
    stays = _steady(code, onset, result.sampling_rate_hz) if areas.moving else code
    visits = _visits(stays)
    visited = stays[visits]
    known_s = float(duration[code > -2].sum())
    share, smallest = _sizes(areas, media, margin, per_deg)
    for i, name in enumerate(areas.names):
        inside = code == i
        dwell = float(duration[inside].sum())
        n_visits = int(np.count_nonzero(visited == i))
        fraction = dwell / known_s if known_s > 0 else float("nan")
        expected = share[i]
        rows.append(
            {
                "aoi": name,
                "basis": "samples" if areas.moving else "fixations",
                "dwell_s": dwell,
                "dwell_fraction": fraction,
                "first_fixation_latency_s": float(onset[inside][0] - onset_s)
                if inside.any()
                else float("nan"),
                "n_fixations": None if areas.moving else int(np.count_nonzero(inside)),
                "n_visits": n_visits,
                "n_revisits": max(n_visits - 1, 0),
                "area_fraction": expected,
                "dwell_over_chance": fraction / expected if expected > 0 else float("nan"),
                "margin_deg": margin_deg,
                "smallest_side_deg": smallest[i],
                "smaller_than_margin": bool(smallest[i] < margin_deg),
            }
        )
    names = areas.names
    counts = transition_counts(visited, len(names))
    return AoiResult(
        pd.DataFrame(rows),
        pd.DataFrame(counts, index=names, columns=names),
        transition_entropy(counts),
        "samples" if areas.moving else "fixations",
        _visit_table(names, visits, visited, onset - onset_s, duration),
    )


def stimulus_per_deg(screen: ScreenGeometry, rect_px: Sequence[float]) -> tuple[float, float]:
    """Return how much of the stimulus's width and height one degree at the screen's centre covers."""
    (x0, x1), (y0, y1) = screen.deg_to_px([-0.5, 0.5], [0.5, -0.5])
    left, top, right, bottom = (float(edge) for edge in rect_px)
    return float(x1 - x0) / (right - left), float(y1 - y0) / (bottom - top)


def _by_fixations(
    result: GazeResult,
    areas: AoiSet,
    onset_s: float,
    offset_s: float,
    rect_px: Sequence[float],
    *,
    margin: tuple[float, float],
) -> tuple[Floats, Floats, Ints, Floats]:
    begin = result.fixations["onset"].to_numpy(dtype=np.float64)
    inside = result.fixations[(begin >= onset_s) & (begin < offset_s)]
    onset = inside["onset"].to_numpy(dtype=np.float64)
    end = np.minimum(onset + inside["duration"].to_numpy(dtype=np.float64), offset_s)
    x, y = to_stimulus(inside["x_px"], inside["y_px"], rect_px)
    return onset, end - onset, aoi_of_positions(areas, x, y, margin=margin), np.empty(0)


def _by_samples(
    result: GazeResult,
    areas: AoiSet,
    onset_s: float,
    offset_s: float,
    rect_px: Sequence[float],
    *,
    margin: tuple[float, float],
    media_time_s: ArrayLike | None,
) -> tuple[Floats, Floats, Ints, Floats]:
    if media_time_s is None:
        raise ValueError("areas that move need the media time of each sample")
    times = result.samples["time"].to_numpy()
    first, last = np.searchsorted(times, [onset_s, offset_s])
    part = result.samples.iloc[first:last]
    media = np.asarray(media_time_s, dtype=np.float64)[first:last]
    looking = np.isin(part["label"], (Label.FIXATION, Label.PURSUIT)) & part["valid"].to_numpy(bool)
    part, media = part[looking], media[looking]
    x, y = to_stimulus(part["x_px"], part["y_px"], rect_px)
    code = aoi_of_positions(areas, x, y, margin=margin, media_time_s=media)
    onset = part["time"].to_numpy()
    return onset, np.full(onset.size, 1 / result.sampling_rate_hz), code, media


def _visits(code: Ints) -> Ints:
    """Return the first index of each run of equal codes."""
    if code.size == 0:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))


def _steady(code: Ints, onset_s: Floats, rate_hz: float) -> Ints:
    """Return the codes with stays shorter than 60 ms given to the stay before them."""
    steady = code.copy()
    begin = _visits(code)
    end = np.append(begin[1:], code.size)
    for first, last in zip(begin[1:], end[1:], strict=True):
        if onset_s[last - 1] - onset_s[first] + 1 / rate_hz < MIN_VISIT_S:
            steady[first:last] = steady[first - 1]
    return steady


def _visit_table(
    names: Sequence[str], visits: Ints, visited: Ints, onset_s: Floats, duration_s: Floats
) -> pd.DataFrame:
    last = np.append(visits[1:], onset_s.size)[: visits.size] - 1
    told = np.array([*names, "", OUTSIDE], dtype=object)  # codes -2 and -1 count from the end
    seen = visited > -2
    return pd.DataFrame(
        {
            "aoi": told[visited[seen]],
            "onset_s": onset_s[visits][seen],
            "duration_s": (onset_s[last] + duration_s[last] - onset_s[visits])[seen],
        }
    )


def _sizes(
    areas: AoiSet, media_s: Floats, margin: tuple[float, float], per_deg: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Return each area's share of the stimulus, with its margin, and its smaller side in degrees.

    Moving areas: means over the frames that were on the screen.
    """
    scenes = [areas.at(0.0)]
    if areas.moving:
        shown = areas.frames_s
        if media_s.size:
            low, high = np.nanmin(media_s, initial=np.inf), np.nanmax(media_s, initial=-np.inf)
            shown = shown[(shown >= low - 0.1) & (shown <= high)]
        # Enough frames for a mean; a film has thousands.
        picked = np.unique(np.linspace(0, max(shown.size - 1, 0), 25).astype(int))
        scenes = [areas.at(float(shown[i])) for i in picked] if shown.size else []
    n_points = AREA_GRID // 4 if areas.moving else AREA_GRID
    centres = (np.arange(n_points) + 0.5) / n_points
    x, y = (axis.ravel() for axis in np.meshgrid(centres, centres))
    names = areas.names
    share, smallest = np.zeros(len(names)), np.full(len(names), np.inf)
    for scene in scenes:
        here = AoiSet(tuple(Aoi(aoi.name, aoi.polygon) for aoi in scene))
        code = aoi_of_positions(here, x, y, margin=margin)
        for i, name in enumerate(here.names):
            share[names.index(name)] += np.mean(code == i) / len(scenes)
        for aoi in scene:
            side = float(np.min(np.ptp(aoi.polygon, axis=0) / per_deg))
            row = names.index(aoi.name)
            smallest[row] = min(smallest[row], side)
    return share, np.where(np.isfinite(smallest), smallest, np.nan)
