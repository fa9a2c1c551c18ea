"""When things happened: every table row's place in the session.

The phases and presentations of a session come from its markers, the film position from the frames that
the display reported as shown. All times are seconds from ``session_start`` on the recorder's clock,
after correction of the clock offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.attempts import stimulus_onsets
from duchenne.analysis.phases import neutral_intervals, phases, recording_end_s
from duchenne.analysis.presentations import Identity, presentations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.recorder.recording import Recording, Stream

FLIP_TOLERANCE_S = 0.005
"""A frame shown with the onset may seem this much earlier: its stream has a clock offset of its own."""

__all__ = [
    "Identity",
    "ShownFrames",
    "annotate",
    "neutral_intervals",
    "phases",
    "presentations",
    "recording_end_s",
]


@dataclass(frozen=True)
class ShownFrames:
    """Which film frame was on the screen when.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Time of each flip, ascending, seconds from ``session_start``.
    trial : ndarray, shape (n,)
        Trial that the flip belongs to; NaN where the sender did not say.
    media_time_s : ndarray, shape (n,)
        Position in the film of the frame shown from that flip on, seconds.
    """

    times_s: NDArray[np.float64]
    trial: NDArray[np.float64]
    media_time_s: NDArray[np.float64]

    @classmethod
    def of(cls, recording: Recording) -> ShownFrames | None:
        """Return the shown frames of a recording, or None where no film was shown.

        Streams that do not say the time in the film are passed over.
        """
        filled = [s for s in recording.of_type("StimulusFrames") if s.n > 0]
        parts = [cls.from_stream(s) for s in filled if _media_label(s) is not None]
        if not parts:
            return None
        times = np.concatenate([part.times_s for part in parts])
        order = np.argsort(times, kind="stable")
        return cls(
            times[order],
            np.concatenate([part.trial for part in parts])[order],
            np.concatenate([part.media_time_s for part in parts])[order],
        )

    @classmethod
    def from_stream(cls, stream: Stream) -> ShownFrames:
        """Return the shown frames of a ``ShownFrames`` stream."""
        times = np.asarray(stream.times_s, dtype=np.float64)
        order = np.argsort(times, kind="stable")
        says_trial = any(channel.label == "trial" for channel in stream.info.channels)
        trial = stream.column("trial") if says_trial else np.full(len(times), np.nan)
        return cls(
            times[order],
            np.asarray(trial, dtype=np.float64)[order],
            np.asarray(stream.column(_media_label(stream) or "media_time_s"), np.float64)[order],
        )


def _media_label(stream: Stream) -> str | None:
    labels = (channel.label for channel in stream.info.channels)
    return next((label for label in labels if label.startswith("media_time")), None)


def annotate(
    table: pd.DataFrame,
    time_column: str,
    phases: pd.DataFrame,
    identity: Identity,
    shown_frames: ShownFrames | None = None,
) -> pd.DataFrame:
    """Return the table with the place of each row in the session.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table with a time per row.
    time_column : str
        Its column of times, seconds from ``session_start``.
    phases : pandas.DataFrame
        As `phases` returns them.
    identity : Identity
        Whose session it is.
    shown_frames : ShownFrames, optional
        Which film frame was on the screen when.

    Returns
    -------
    pandas.DataFrame
        A copy with ``participant session run presentation_id stimulus_id phase trial t_from_onset_s
        media_time_s`` at its end. A row belongs to the phase that contains its time (onset included,
        offset not). ``t_from_onset_s`` counts from the onset of the presentation's stimulus (of the
        same attempt, where it was repeated), negative before it, and is NaN outside presentations;
        ``media_time_s`` is that of the last frame shown since the onset of the stimulus, NaN where
        there was none.
        Columns of these names that the table has already stay as they are.
    """
    times = table[time_column].to_numpy(dtype=np.float64)
    inside, index = _phase_index(times, phases)
    added: dict[str, Any] = {
        "participant": identity.participant,
        "session": identity.session,
        "run": identity.run,
    }
    for name in ("presentation_id", "stimulus_id", "phase"):
        values = np.full(len(times), None, dtype=object)
        values[inside] = phases[name].to_numpy(dtype=object)[index[inside]]
        added[name] = pd.Series(values, index=table.index, dtype=object)
    trial = np.full(len(times), np.nan)
    trial[inside] = phases["trial"].to_numpy(dtype=np.float64, na_value=np.nan)[index[inside]]
    onset = np.full(len(times), np.nan)
    onset[inside] = stimulus_onsets(phases)[index[inside]]
    added["trial"] = pd.array(trial, dtype="Int64")
    added["t_from_onset_s"] = times - onset
    shown = inside & (added["phase"] == "stimulus").to_numpy()
    since = np.where(shown, onset, np.nan)
    added["media_time_s"] = _media_times(times, trial, since, shown_frames)
    return table.assign(**{name: v for name, v in added.items() if name not in table.columns})


def _phase_index(
    times: NDArray[np.float64], phases: pd.DataFrame
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    if not len(phases):
        return np.zeros(len(times), dtype=bool), np.zeros(len(times), dtype=np.intp)
    onsets = phases["onset_s"].to_numpy(dtype=np.float64)
    offsets = phases["offset_s"].to_numpy(dtype=np.float64)
    index = np.searchsorted(onsets, times, side="right") - 1
    inside = (index >= 0) & (times < offsets[np.maximum(index, 0)])
    return inside, np.maximum(index, 0)


def _media_times(
    times: NDArray[np.float64],
    trial: NDArray[np.float64],
    since_s: NDArray[np.float64],
    frames: ShownFrames | None,
) -> NDArray[np.float64]:
    """Return the film positions; `since_s` is the onset of the stimulus phase, NaN outside."""
    media = np.full(len(times), np.nan)
    if frames is None or len(frames.times_s) == 0:
        return media
    index = np.searchsorted(frames.times_s, times, side="right") - 1
    flip = np.maximum(index, 0)
    known = (index >= 0) & (frames.times_s[flip] >= since_s - FLIP_TOLERANCE_S)
    same = np.isnan(frames.trial[flip]) | np.isnan(trial) | (frames.trial[flip] == trial)
    known &= same
    media[known] = frames.media_time_s[flip[known]]
    return media
