"""What was really shown: flips, late and dropped ones, films that ended early or late."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Flip, Loaded

LATE = 1.5
"""A flip more than this many refresh periods after the one before came late."""
LATE_ONSET = 1.0
"""An onset this many refresh periods after its time came late; the nearest flip is half a period away."""
FILM_TOLERANCE_S = 0.1
"""A film that took this much longer than it is ended late; one cut this much before its end, early."""
SOUND_TOLERANCE_S = 0.1
"""A film's sound should begin this soon after its picture."""


@dataclass
class Tally:
    """What has been shown so far.

    Attributes
    ----------
    n_trials : int
        Stimuli shown to their end.
    n_stimulus_flips, n_late_flips : int
        Flips while stimuli were shown, and those of them that came late.
    n_dropped_flips : int
        Refreshes of the screen that passed without a flip while stimuli were shown.
    n_late_onsets : int
        Stimuli that appeared a refresh or more after their time.
    max_onset_delay_s : float
        The longest such delay, in seconds.
    n_films, n_films_early, n_films_late : int
        Films shown, and those that ended before or after the end of their file.
    n_films_sound_late : int
        Films whose sound began late or was not heard to begin.
    n_film_frames_missed : int
        Frames of films that never were on the screen.
    n_silent : int
        Sounds played without a sound output.
    n_skipped : int
        Steps that the operator skipped.
    """

    n_trials: int = 0
    n_stimulus_flips: int = 0
    n_late_flips: int = 0
    n_dropped_flips: int = 0
    n_late_onsets: int = 0
    max_onset_delay_s: float = 0.0
    n_films: int = 0
    n_films_early: int = 0
    n_films_late: int = 0
    n_films_sound_late: int = 0
    n_film_frames_missed: int = 0
    n_silent: int = 0
    n_skipped: int = 0

    def add_onset(self, delay_s: float, period_s: float) -> None:
        """Count when a stimulus appeared, `delay_s` after its time."""
        self.n_late_onsets += delay_s > LATE_ONSET * period_s
        self.max_onset_delay_s = round(max(self.max_onset_delay_s, delay_s), 4)

    def add(self, log: StimulusLog) -> None:
        """Count one stimulus that was shown to its end."""
        found = log.fields()
        self.n_trials += 1
        self.n_silent += found.get("audio_latency_source") == "silent"
        if "film_end" in found:
            self.n_films += 1
            self.n_films_early += found["film_end"] == "early"
            self.n_films_late += found["film_end"] == "late"
            self.n_film_frames_missed += found["n_frames_missed"]
            self.n_films_sound_late += sound_is_late(found)


def sound_is_late(fields: dict[str, Any]) -> bool:
    """Say whether the sound of a film began late, by the fields of its offset marker."""
    if "audio_start_s" not in fields:
        return False
    start_s = fields["audio_start_s"]
    return start_s is None or abs(start_s) > SOUND_TOLERANCE_S


@dataclass
class StimulusLog:
    """The course of one stimulus, flip by flip.

    Parameters
    ----------
    loaded : Loaded
        What is shown.
    period_s : float
        Of the screen's refresh.
    tally : Tally
        Its flips are counted there too.

    Attributes
    ----------
    onset_s, offset_s : float
        LSL times of the flips that brought and took it; NaN before.
    """

    loaded: Loaded
    period_s: float
    tally: Tally
    onset_s: float = math.nan
    offset_s: float = math.nan
    n_flips: int = 0
    n_late: int = 0
    n_dropped: int = 0
    longest_s: float = 0.0
    _frames: list[int] = field(default_factory=list)

    def begun(self, flip: Flip) -> None:
        """Note the flip that brought the stimulus."""
        self.onset_s = flip.lsl_time_s
        self._note_frame(flip)

    def flipped(self, flip: Flip) -> None:
        """Note a flip while it is shown."""
        interval_s = 0.0 if math.isnan(flip.interval_s) else flip.interval_s
        dropped = max(round(interval_s / self.period_s) - 1, 0)
        late = interval_s > LATE * self.period_s
        self.n_flips += 1
        self.n_late += late
        self.n_dropped += dropped
        self.longest_s = max(self.longest_s, interval_s)
        self.tally.n_stimulus_flips += 1
        self.tally.n_late_flips += late
        self.tally.n_dropped_flips += dropped
        self._note_frame(flip)

    def ended(self, flip: Flip) -> dict[str, Any]:
        """Note the flip that took the stimulus away; return the fields of the offset marker."""
        self.offset_s = flip.lsl_time_s
        return self.fields()

    def _note_frame(self, flip: Flip) -> None:
        if flip.media_frame is not None and (
            not self._frames or flip.media_frame != self._frames[-1]
        ):
            self._frames.append(flip.media_frame)

    def fields(self) -> dict[str, Any]:
        """Return the fields of the offset marker: JSON values."""
        found: dict[str, Any] = {
            "n_flips": self.n_flips,
            "n_late_flips": self.n_late,
            "n_dropped_flips": self.n_dropped,
            "longest_flip_s": round(self.longest_s, 5),
            **self.loaded.report(),
        }
        if self._frames and "film_frames" in found:
            shown = set(self._frames)
            found["n_frames_shown"] = len(shown)
            found["n_frames_missed"] = found["film_frames"] - len(shown)
            found["film_end"] = self._film_end(found["film_length_s"], found["film_frames"])
        return found

    def _film_end(self, length_s: float, n_frames: int) -> str:
        """Say whether the film ended with its file: ``on time``, ``early`` or ``late``."""
        left_s = (n_frames - 1 - self._frames[-1]) * length_s / n_frames
        took_s = self.offset_s - self.onset_s
        if left_s > FILM_TOLERANCE_S:
            return "early"
        return "late" if took_s - length_s > FILM_TOLERANCE_S else "on time"
