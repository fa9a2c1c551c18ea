"""From the recordings of a gaze file to tables: events by stimulus, and one row per presentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.gaze import codebook
from duchenne.analysis.gaze.features import gaze_features
from duchenne.analysis.gaze.geometry import to_stimulus
from duchenne.analysis.gaze.readers import Presentation
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.analysis.gaze.process import GazeResult
    from duchenne.analysis.gaze.readers import GazeRecording

WHO: dict[str, Column] = {
    "participant": Column("Participant, as the file names it.", kind="string"),
    "recording": Column("Recording, as the file names it.", kind="string"),
}
WHAT: dict[str, Column] = {
    "presentation": Column(
        "Number of the stimulus presentation in its recording, from 1; n/a between stimuli.",
        kind="integer",
    ),
    "stimulus": Column(
        "Stimulus on the screen when the event began; n/a between stimuli.", kind="string"
    ),
    "t_from_onset_s": Column("Onset after that of the stimulus.", "s", kind="number"),
}
SUMMARY: dict[str, Column] = {
    **WHO,
    "presentation": Column(
        "Number of the stimulus presentation in its recording, from 1; n/a for a whole recording, where "
        "the file names no stimuli.",
        kind="integer",
    ),
    "stimulus": Column("Stimulus, as the file names it; n/a for a whole recording.", kind="string"),
    "onset": Column("When it came, seconds in the time of the input.", "s", kind="number"),
    "duration": Column("How long it was shown (or the recording lasts).", "s", kind="number"),
    **codebook.FEATURES,
    "entropy_area": Column(
        "What the grid of the gaze entropy covers; n/a for gaze relative to the head.",
        levels={
            "stimulus": "the stimulus, whose place the file gives",
            "screen": "the whole screen, as the file gives no place",
        },
        kind="string",
    ),
}


def label_events(
    events: pd.DataFrame, recording: GazeRecording, *, with_place: bool = False
) -> pd.DataFrame:
    """Add who, and which stimulus was on when each event began.

    Parameters
    ----------
    events : DataFrame
        Column ``onset``; with `with_place` also ``x_px y_px``.
    recording : GazeRecording
        Whose presentations are used; of two that overlap, the one that began later.
    with_place : bool
        Whether to add ``x_stim y_stim``, where the file says where a stimulus was.
    """
    onset = events["onset"].to_numpy(dtype=np.float64)
    index = _presentation_at(onset, recording.presentations)
    shown = recording.presentations
    frame = events.copy()
    frame.insert(0, "participant", recording.participant)
    frame.insert(1, "recording", recording.recording)
    numbers = pd.Series(
        [i + 1 if i >= 0 else None for i in index], index=frame.index, dtype="Int64"
    )
    frame.insert(2, "presentation", numbers)
    frame.insert(3, "stimulus", [shown[i].stimulus if i >= 0 else None for i in index])
    since = [
        t - shown[i].onset_s if i >= 0 else float("nan") for t, i in zip(onset, index, strict=True)
    ]
    frame.insert(4, "t_from_onset_s", since)
    if with_place and any(one.rect_px is not None for one in shown):
        frame["x_stim"], frame["y_stim"] = np.nan, np.nan
        for number, one in enumerate(shown):
            inside = index == number
            if one.rect_px is not None and inside.any():
                place = to_stimulus(
                    frame.loc[inside, "x_px"], frame.loc[inside, "y_px"], one.rect_px
                )
                frame.loc[inside, "x_stim"], frame.loc[inside, "y_stim"] = place
    return frame


def label_samples_table(samples: pd.DataFrame, recording: GazeRecording) -> pd.DataFrame:
    """Add who, and the stimulus on the screen, to the samples."""
    index = _presentation_at(samples["time"].to_numpy(), recording.presentations)
    names = np.array([*(one.stimulus for one in recording.presentations), None], dtype=object)
    frame = samples.copy(deep=False)
    frame.insert(0, "participant", recording.participant)
    frame.insert(1, "recording", recording.recording)
    frame["stimulus"] = names[index]
    return frame


def summary_rows(recording: GazeRecording, result: GazeResult) -> pd.DataFrame:
    """Return one row per presentation, or one for the recording where no stimuli are named."""
    times = result.samples["time"].to_numpy()
    period = 1 / result.sampling_rate_hz if np.isfinite(result.sampling_rate_hz) else 0.0
    windows = [(i, one.stimulus, one) for i, one in enumerate(recording.presentations, 1)]
    if windows:
        rows = [_row(recording, result, number, name, one) for number, name, one in windows]
    elif times.size:
        rows = [_row(recording, result, None, None, _whole(times, period))]
    else:
        rows = []
    return pd.DataFrame(rows)


def _whole(times: np.ndarray, period: float) -> Presentation:
    return Presentation("", float(times[0]), float(times[-1]) + max(period, 1e-9))


def _row(
    recording: GazeRecording,
    result: GazeResult,
    number: int | None,
    name: str | None,
    window: Presentation,
) -> dict[str, object]:
    screen = result.screen
    rect = window.rect_px
    if rect is None and screen is not None and not recording.head_referenced:
        rect = (0.0, 0.0, screen.width_px, screen.height_px)
    return {
        "participant": recording.participant,
        "recording": recording.recording,
        "presentation": number,
        "stimulus": name,
        "onset": window.onset_s,
        "duration": window.offset_s - window.onset_s,
        **gaze_features(result, window.onset_s, window.offset_s, rect_px=rect),
        "entropy_area": None if rect is None else ("stimulus" if window.rect_px else "screen"),
    }


def _presentation_at(times_s: np.ndarray, shown: Sequence[Presentation]) -> np.ndarray:
    """Return the index of the presentation at each time, −1 where there is none."""
    index = np.full(times_s.size, -1, dtype=np.intp)
    for number, one in enumerate(shown):
        index[(times_s >= one.onset_s) & (times_s < one.offset_s)] = number
    return index
