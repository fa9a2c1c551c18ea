"""Side files in which the simulated participant says what it did; the analysis never reads them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, TextIO

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duchenne.recorder.sources.face_script import Shown
    from duchenne.recorder.sources.gaze_plan import GazePlan
    from duchenne.recorder.sources.gaze_signal import Chunk
    from duchenne.recorder.sources.oculomotor import Blink, Saccade

PUPIL_TRUTH_HZ = 50.0
SHORTEST_PIECE_S = 0.05
FLUSH_EVERY_S = 0.5


def free_path(prefix: Path, ending: str) -> Path:
    """Return ``<prefix>_<ending>``; where it exists, the first free ``<prefix>-2_<ending>``, ….

    Parameters
    ----------
    prefix : Path
        Folder and beginning of the name; the folder is made if need be.
    ending : str
        E.g. ``gaze.npz``.

    Raises
    ------
    DuchenneError
        Where the folder cannot be made.
    """
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DuchenneError(
            f"Cannot make the folder {prefix.parent} for the truth files: {error.strerror}."
        ) from None
    path = prefix.with_name(f"{prefix.name}_{ending}")
    number = 2
    while path.exists():
        path = prefix.with_name(f"{prefix.name}-{number}_{ending}")
        number += 1
    return path


def fixation_table(
    saccades: Sequence[Saccade],
    blinks: Sequence[Blink],
    start_s: float,
    end_s: float,
    *,
    first_deg: tuple[float, float] = (0.0, 0.0),
) -> list[tuple[float, float, float, float]]:
    """Return the times of rest between saccades, split at blinks.

    Parameters
    ----------
    saccades, blinks : sequences
        In order.
    start_s, end_s : float
        LSL times of the first and the last sample.
    first_deg : (float, float)
        Where the eyes were before the first saccade.

    Returns
    -------
    list of (onset_lsl_s, duration_s, x_deg, y_deg)
        None shorter than 50 ms.
    """
    rests = []
    onset, place = start_s, first_deg
    for saccade in saccades:
        rests.append((onset, saccade.onset_s, place))
        onset, place = saccade.offset_s, (saccade.x1_deg, saccade.y1_deg)
    rests.append((onset, end_s, place))
    rows = []
    for onset_s, offset_s, (x, y) in rests:
        begin = onset_s
        for blink in blinks:
            if blink.onset_s < offset_s and blink.offset_s > begin:
                rows.append((begin, blink.onset_s - begin, x, y))
                begin = blink.offset_s
        rows.append((begin, offset_s - begin, x, y))
    return [row for row in rows if row[1] >= SHORTEST_PIECE_S]


class GazeTruth:
    """Collects what the eye tracker needs to remember; writes it in one go at the end.

    Parameters
    ----------
    path : Path
        An ``.npz`` file that does not exist yet.
    rate_hz : float
        Of the stream.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.path = path
        self._every = max(round(rate_hz / PUPIL_TRUTH_HZ), 1)
        self._n = 0
        self._pupil: list[tuple[float, float]] = []

    def add(self, chunk: Chunk) -> None:
        """Take note of pushed samples."""
        first = -self._n % self._every
        self._n += len(chunk.times_s)
        kept = slice(first, None, self._every)
        self._pupil.extend(
            zip(chunk.times_s[kept].tolist(), chunk.pupil_mm[kept].tolist(), strict=True)
        )

    def write(
        self, plan: GazePlan, start_s: float, end_s: float, device_s: Sequence[float]
    ) -> None:
        """Write the file.

        Parameters
        ----------
        plan : GazePlan
        start_s, end_s : float
            LSL times of the first and the last sample.
        device_s : (float, float)
            The device's times of the same samples.

        Notes
        -----
        Arrays: ``saccades`` (onset_lsl_s, duration_s, amplitude_deg, direction_deg,
        peak_velocity_deg_s, x0_deg, y0_deg, x1_deg, y1_deg), ``fixations`` (onset_lsl_s,
        duration_s, x_deg, y_deg; split at blinks), ``blinks`` (onset_lsl_s, duration_s),
        ``reactions`` (cue_lsl_s, onset_lsl_s; NaN where the eyes were already there) with
        ``reaction_events`` and ``reaction_presentations``, ``pupil`` (lsl_s, diameter_mm),
        ``n_samples``, ``lsl_times`` and ``device_times`` (first, last). Events that began after the
        last sample are left out.
        """
        saccades = [s for s in plan.saccades if s.onset_s < end_s]
        blinks = [b for b in plan.blinks if b.onset_s < end_s]
        fixations = fixation_table(saccades, blinks, start_s, end_s)
        with self.path.open("xb") as file:
            np.savez_compressed(
                file,
                saccades=_table([_saccade_row(s) for s in saccades], 9),
                fixations=_table(fixations, 4),
                blinks=_table([(b.onset_s, b.duration_s) for b in blinks], 2),
                reactions=_table([(a.cue_time_s, a.onset_s) for a in plan.answers], 2),
                reaction_events=np.array([a.event for a in plan.answers], dtype=np.str_),
                reaction_presentations=np.array(
                    [a.presentation_id for a in plan.answers], dtype=np.str_
                ),
                pupil=_table(self._pupil, 2),
                n_samples=np.array(self._n),
                lsl_times=np.array([start_s, end_s]),
                device_times=np.array(device_s),
            )


def _saccade_row(s: Saccade) -> tuple[float, ...]:
    return (
        s.onset_s,
        s.duration_s,
        s.amplitude_deg,
        s.direction_deg,
        s.peak_velocity_deg_s,
        s.x0_deg,
        s.y0_deg,
        s.x1_deg,
        s.y1_deg,
    )


def _table(
    rows: Sequence[Sequence[float]], columns: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    table = np.array(rows, dtype=np.float64)
    return table.reshape(len(rows), columns)


class FaceTruth:
    """Writes one row per pushed frame, flushed every half second.

    Parameters
    ----------
    path : Path
        A ``.tsv`` file that does not exist yet.
    value_names : sequence of str
        Columns of the exact values, e.g. ``AU01``.
    """

    def __init__(self, path: Path, value_names: Sequence[str]) -> None:
        self.path = path
        self._file: TextIO = path.open("x", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, delimiter="\t", lineterminator="\n")
        self._writer.writerow(
            ["lsl_time_s", "clip", "clip_frame", "presentation_id", "reaction_lsl_s", *value_names]
        )
        self._flushed_s = 0.0

    def add(self, time_s: float, shown: Shown, values: Sequence[str]) -> None:
        """Add the row of one frame with its exact values; what does not apply at rest is n/a."""
        presentation = shown.presentation_id or "n/a"
        reaction = "n/a" if shown.reaction_s is None else f"{shown.reaction_s:.6f}"
        self._writer.writerow(
            [f"{time_s:.6f}", shown.clip, shown.frame, presentation, reaction, *values]
        )
        if time_s - self._flushed_s >= FLUSH_EVERY_S:
            self._file.flush()
            self._flushed_s = time_s

    def close(self) -> None:
        """Write what is left."""
        self._file.close()
