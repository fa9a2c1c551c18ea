"""How bright the screen was at each moment of a session, all of it and where the eyes were.

Relative luminance: 0 black to 1 white, linear (sRGB undone). Of films at most ten frames a second are
read, more than a pupil can follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import map_coordinates

from duchenne.analysis.align import ShownFrames
from duchenne.analysis.gaze.pupil_light import WHITE_CD_M2
from duchenne.analysis.gaze.pupil_screen import (
    ScreenGrid,
    film_pictures,
    image_picture,
    linear_grey,
)
from duchenne.analysis.gaze.signal import interpolate_nan
from duchenne.analysis.phases import phases
from duchenne.analysis.values import field, integer, markers_in_order, number, records, text
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.recorder.recording import Recording

    Floats = NDArray[np.float64]

GRID_HZ = 50.0
GREY_FIELD = "grey_level"
"""A marker with this field (sRGB grey, 0–1) fills the screen with it until its phase ends."""


@dataclass(frozen=True)
class LuminanceSeries:
    """Displayed relative luminance over time.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds from ``session_start``, 50 per second, from the first to the last gaze sample.
    overall : ndarray, shape (n,)
        Mean over the screen, 0–1.
    local : ndarray, shape (n,)
        Weighted by a Gaussian of 2° around gaze, 0–1; through loss gaze is interpolated.
    background : float
        Of the empty screen.
    shown : ndarray of bool, shape (n,)
        While a stimulus was on.
    white_cd_m2 : float
        Luminance of the screen's white: the screen's ``white_cd_m2`` if it tells, else 200.
    notes : tuple of str
        What had to be assumed.
    """

    times_s: Floats
    overall: Floats
    local: Floats
    background: float
    shown: NDArray[np.bool_]
    white_cd_m2: float = WHITE_CD_M2
    notes: tuple[str, ...] = ()


def luminance_series(
    recording: Recording,
    stimuli: StimulusSet | Path | None,
    shown: pd.DataFrame,
    samples: pd.DataFrame,
) -> LuminanceSeries:
    """Reconstruct how bright the screen was during a session.

    Parameters
    ----------
    recording : Recording
        An open session.
    stimuli : StimulusSet, Path or None
        The stimulus set or its folder; None: where the session says it was.
    shown : DataFrame
        From :func:`~duchenne.analysis.presentations.presentations`.
    samples : DataFrame
        Gaze samples with ``time x_px y_px``.

    Returns
    -------
    LuminanceSeries
        Where a stimulus's file cannot be read, its mean luminance from the recording's manifest rows
        is used everywhere within its rectangle, and where that is missing too, the time is NaN; both
        are noted.

    Raises
    ------
    DuchenneError
        When the screen is not described.

    Notes
    -----
    Text, fixation cross and rating scales are taken as background: they cover little of it.
    """
    screen = dict(recording.screen or {})
    if not {"width_px", "height_px", "width_cm", "distance_cm"} <= screen.keys():
        raise DuchenneError("The session does not describe its screen, so its light is not known.")
    notes: list[str] = []
    media = _media(recording, stimuli, notes)
    stage = ScreenGrid.of(screen, _background(recording, screen, notes))
    given = samples["time"].to_numpy(dtype=np.float64)
    span_s = float(given[-1] - given[0]) if given.size else 0.0
    times = (given[0] if given.size else 0.0) + np.arange(round(span_s * GRID_HZ) + 1) / GRID_HZ
    gaze = tuple(
        _resampled(times, given, samples[name].to_numpy(dtype=np.float64) * scale)
        for name, scale in (("y_px", stage.cells_per_px), ("x_px", stage.cells_per_px))
    )
    overall = np.full(times.shape, stage.background)
    for onset_s, offset_s, grey in grey_steps(recording):
        overall[slice(*np.searchsorted(times, [onset_s, offset_s]))] = grey
    local, on = overall.copy(), np.zeros(times.shape, dtype=bool)
    frames = ShownFrames.of(recording)
    for row in records(shown):
        first, last = np.searchsorted(times, [row["onset_s"], row["offset_s"]])
        on[first:last] = True
        at = np.arange(first, last)
        media_s = _media_times(times[at], row, frames)
        for chosen, picture in _pictures(row, media, recording, media_s, notes):
            part = at[chosen]
            overall[part], blurred = stage.show(picture, row["rect_px"])
            local[part] = map_coordinates(
                blurred, [axis[part] - 0.5 for axis in gaze], order=1, mode="nearest"
            )
    white = number(screen.get("white_cd_m2"))
    white = white if np.isfinite(white) else WHITE_CD_M2
    said = tuple(dict.fromkeys(notes))
    return LuminanceSeries(times, overall, local, stage.background, on, white, said)


def grey_steps(recording: Recording) -> list[tuple[float, float, float]]:
    """Return onset, offset and relative luminance of each full-screen grey of a session.

    Notes
    -----
    A light-reflex calibration marks each step by an event with the field ``grey_level`` within a
    ``calibration``, ``baseline`` or ``fixation`` phase. A step ends at the next, or with its phase.
    """
    marks = [
        (float(marker["time_s"]), number(field(marker, GREY_FIELD)))
        for marker in markers_in_order(recording.events)
    ]
    marks = [(time_s, grey) for time_s, grey in marks if np.isfinite(grey)]
    if not marks:
        return []
    steps = []
    spans = phases(recording)
    spans = spans[spans["phase"].isin(("calibration", "baseline", "fixation"))]
    for onset_s, offset_s in zip(spans["onset_s"], spans["offset_s"], strict=True):
        inside = [mark for mark in marks if onset_s - 0.01 <= mark[0] < offset_s]
        ends = [*(mark[0] for mark in inside[1:]), float(offset_s)]
        steps += [
            (time_s, end_s, linear_grey(grey))
            for (time_s, grey), end_s in zip(inside, ends, strict=False)  # no mark: no step
        ]
    return steps


def _media(
    recording: Recording, stimuli: StimulusSet | Path | None, notes: list[str]
) -> StimulusSet | None:
    source = recording.stimuli_source
    try:
        if isinstance(stimuli, StimulusSet):
            return stimuli
        if stimuli is None and source == "bundled":
            return StimulusSet.bundled()
        if stimuli is None and not source:
            return None
        return StimulusSet.load(stimuli or source)
    except DuchenneError as error:
        notes.append(f"The stimulus set cannot be read, its mean luminance stands in: {error}")
        return None


def _background(recording: Recording, screen: Mapping[str, Any], notes: list[str]) -> float:
    grey = number(screen.get("background_grey"))
    for marker in markers_in_order(recording.events):
        told = field(marker, "screen")
        if not np.isfinite(grey) and isinstance(told, dict):
            grey = number(told.get("background_grey"))
    if not np.isfinite(grey):
        notes.append("The background of the screen is not told; a middle grey (0.5) is assumed.")
        grey = 0.5
    return linear_grey(grey)


def _resampled(times: Floats, given: Floats, values: Floats) -> Floats:
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(times.shape)
    return np.asarray(np.interp(times, given, interpolate_nan(values, known)))


def _media_times(times: Floats, row: Mapping[str, Any], frames: ShownFrames | None) -> Floats:
    """Return the place in the film at each time."""
    trial = integer(row["trial"])
    if frames is not None and trial is not None:
        at = frames.times_s
        mine = (frames.trial == trial) | np.isnan(frames.trial)
        mine &= (at >= row["onset_s"] - 0.1) & (at <= row["offset_s"] + 0.1)
        if np.count_nonzero(mine) > 1:
            return np.asarray(np.interp(times, at[mine], frames.media_time_s[mine]))
    return np.asarray(times - row["onset_s"])


def _pictures(
    row: Mapping[str, Any],
    media: StimulusSet | None,
    recording: Recording,
    media_s: Floats,
    notes: list[str],
) -> Iterator[tuple[NDArray[np.bool_], Floats]]:
    """Yield which of the times show which luminance picture."""
    name = text(row["stimulus_id"])
    everywhere = np.ones(media_s.shape, dtype=bool)
    if row["kind"] == "audio" or media_s.size == 0:
        return
    if media is not None and name is not None and name in media:
        path = media[name].path
        try:
            if row["kind"] == "video":
                yield from film_pictures(path, media_s)
            else:
                yield everywhere, image_picture(path)
        except (OSError, ValueError) as error:
            notes.append(f"{name}: {path.name} cannot be read ({error}); its mean stands in.")
        else:
            return
    rows = recording.stimuli
    mean = float("nan")
    if "luminance" in rows.columns and name is not None:
        mean = next(iter(rows.loc[rows["id"].astype(str) == name, "luminance"].map(number)), mean)
    if not np.isfinite(mean):
        notes.append(f"{name}: its luminance is not known; nothing can be said of light there.")
    yield everywhere, np.full((1, 1), mean)
