"""Figures of gaze in the report: those of :mod:`duchenne.analysis.gaze.plots`, as data URIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.drawing import binned
from duchenne.analysis.reports.style import category_colour, raster_uri, svg_uri
from duchenne.analysis.reports.words import NOTHING
from duchenne.analysis.values import integer, records, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.reports.data import ReportData
    from duchenne.analysis.reports.pictures import Picture

    Rectangle = tuple[float, float, float, float]

CARD_IN = 3.9
"""Width of figures over a stimulus: their letters are read at about the size they are drawn."""
CARD_DPI, RIBBON_DPI = 150.0, 120.0
FULL_DETAIL = 20
"""From more presentations on, figures get coarser, so that the report stays small enough to pass on."""
LEAST_DETAIL = 0.4
PUPIL_HZ = 50.0
MAX_COURSE_S = 12.0
BRIDGED_S = 0.6
"""Blinks up to this long are bridged in the mean course, lest it jumps as trials come and go."""
SAME_DURATION_S = 0.2
LAST_SCARF = 60


def detail_of(n_presentations: int) -> float:
    """Return how fine the figures of each presentation are drawn, up to 1."""
    share = np.sqrt(FULL_DETAIL / max(n_presentations, FULL_DETAIL))
    return float(max(share, LEAST_DETAIL))


def scan_path_uri(
    fixations: pd.DataFrame, rect_px: Rectangle, picture: Picture, *, detail: float = 1.0
) -> str:
    """Return the scan path over a stimulus.

    Parameters
    ----------
    fixations : pandas.DataFrame
        Fixations of the presentation in order: ``x_stim y_stim duration``.
    rect_px : tuple of 4 floats
        Left, top, right and bottom edge of the stimulus on the screen, pixels.
    picture : Picture
        The stimulus.
    detail : float
        See `detail_of`.
    """
    from duchenne.analysis.gaze.plots import plot_scanpath  # noqa: PLC0415 (matplotlib)

    drawing = plot_scanpath(
        fixations, image=picture.pixels, aspect=_aspect(rect_px), width_in=CARD_IN
    )
    return raster_uri(drawing, CARD_DPI * detail)


def heat_map_uri(
    fixations: pd.DataFrame,
    rect_px: Rectangle,
    picture: Picture,
    *,
    sigma: float,
    detail: float = 1.0,
) -> str:
    """Return where gaze rested on a stimulus; `sigma` is the blur as a part of its width."""
    from duchenne.analysis.gaze.plots import plot_heatmap  # noqa: PLC0415 (matplotlib)

    drawing = plot_heatmap(
        fixations, picture.pixels, sigma=sigma, aspect=_aspect(rect_px), width_in=CARD_IN
    )
    return raster_uri(drawing, CARD_DPI * detail)


def ribbon_uri(samples: pd.DataFrame, row: Mapping[str, Any], *, detail: float = 1.0) -> str:
    """Return gaze over the time of a presentation, and what the eye was doing."""
    from duchenne.analysis.gaze.plots import plot_event_ribbon  # noqa: PLC0415 (matplotlib)

    onset = float(row["onset"])
    drawing = plot_event_ribbon(samples, onset, onset + float(row["duration"]))
    drawing.set_size_inches(11.0, 2.2)
    return raster_uri(drawing, RIBBON_DPI * detail)


def pupil_course_uri(data: ReportData) -> str | None:
    """Return the mean pupil of each category around onset; None where there is none."""
    from duchenne.analysis.gaze.plots import plot_pupil_course, pupil_epochs  # noqa: PLC0415

    flagged = data.summary["excluded"].fillna(value=False).astype(bool)
    used = data.summary[~flagged]
    if data.gaze is None or not len(used) or not data.gaze["pupil"].notna().any():
        return None
    times, size = binned(
        data.gaze["time"].to_numpy(np.float64),
        data.gaze["pupil"].to_numpy(np.float64),
        1 / PUPIL_HZ,
    )
    size = _bridged(size, round(BRIDGED_S * PUPIL_HZ))
    durations = used["duration"].to_numpy(np.float64)
    same = np.ptp(durations) < SAME_DURATION_S
    last = np.nanmin(durations) if same else np.nanmax(durations)
    # Down to a whole step, lest the last one lacks the presentation that was shorter by a frame.
    after_s = float(np.floor(min(last, MAX_COURSE_S) * PUPIL_HZ) / PUPIL_HZ)
    t_s, change = pupil_epochs(times, size, used["onset"].to_numpy(np.float64), after_s=after_s)
    for trial, duration in zip(change, durations, strict=True):
        trial[t_s > duration] = np.nan
    if not np.isfinite(change).any():
        return None
    names = [text(name) or "no category" for name in used["category"]]
    courses = {
        name: change[[own == name for own in names]] for name in sorted(set(names), key=str.lower)
    }
    units = [unit for unit in map(text, used["pupil_unit"]) if unit]
    drawing = plot_pupil_course(
        t_s,
        courses,
        offset_s=float(np.median(durations)) if same and after_s < MAX_COURSE_S else None,
        unit=units[0] if units else None,
        colours={name: category_colour(name) for name in courses},
    )
    return svg_uri(drawing)


def main_sequence_uri(data: ReportData) -> str | None:
    """Return peak velocity and duration of all saccades against amplitude; None without any."""
    from duchenne.analysis.gaze.plots import plot_main_sequence  # noqa: PLC0415 (matplotlib)

    if data.saccades is None or not len(data.saccades):
        return None
    return raster_uri(plot_main_sequence(data.saccades), RIBBON_DPI * 1.3)


def scarf_uri(data: ReportData) -> str | None:
    """Return which areas were looked at in order, a strip per presentation; None without areas."""
    from duchenne.analysis.gaze.plots import plot_scarf  # noqa: PLC0415 (matplotlib)

    if data.aois is None or data.aoi_visits is None:
        return None
    strips: dict[str, list[tuple[str, float, float]]] = {}
    ends = []
    with_areas = set(data.aois["presentation_id"])
    for row in records(data.summary):
        if row["presentation_id"] not in with_areas or len(strips) >= LAST_SCARF:
            continue
        mine = data.aoi_visits[data.aoi_visits["presentation_id"] == row["presentation_id"]]
        trial = integer(row["trial"])
        label = f"{NOTHING if trial is None else trial}  {text(row['stimulus_id']) or NOTHING}"
        strips[label] = [
            (str(v["aoi"]), float(v["onset_s"]), float(v["duration_s"])) for v in records(mine)
        ]
        ends.append(float(row["duration"]))
    if not strips:
        return None
    drawing = plot_scarf(strips, duration_s=max(ends))
    drawing.set_size_inches(11.0, 1.0 + 0.3 * len(strips))
    return svg_uri(drawing)


def _bridged(values: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Return the values with gaps of at most so many samples filled by straight lines."""
    known = np.flatnonzero(np.isfinite(values))
    if known.size < 2:
        return values
    filled: NDArray[np.float64] = np.interp(np.arange(values.size), known, values[known])
    gap = np.diff(known)
    for start, width in zip(known[:-1][gap > longest + 1], gap[gap > longest + 1], strict=True):
        filled[start + 1 : start + width] = np.nan
    filled[: known[0]] = filled[known[-1] + 1 :] = np.nan
    return filled


def _aspect(rect_px: Rectangle) -> float:
    x0, y0, x1, y1 = rect_px
    return (x1 - x0) / (y1 - y0)
