"""How alike the faces and pupils of a study's participants went over its films: a row per signal.

Memory: of each session only the frames and samples of films are read, and of these 25 values per second
of film, participant and signal are kept.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.crossmodal.codebook import SIGNAL_SYNCHRONY
from duchenne.analysis.crossmodal.film_time import au_traces
from duchenne.analysis.crossmodal.reactions import whole_face_aus
from duchenne.analysis.crossmodal.shifts import (
    SHIFT_STEP_S,
    Chance,
    circular_correlations,
    shifts_of,
)
from duchenne.analysis.gaze.synchrony_study import film_samples, film_traces
from duchenne.analysis.study_films import (
    GRID_HZ,
    Usable,
    first_of_each,
    identity_of,
    of_presentation,
    rows_of_films,
    shown_of_kind,
    standardised,
    write_rows,
)
from duchenne.analysis.tables import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.paths import AnalysisPaths

    Floats = NDArray[np.float64]
    Progress = Callable[[str, int, int], None]

PUPIL = "pupil"
_FRAME_COLUMNS = {"time", "presentation_id", "media_time_s", "speaking"}


@dataclass(frozen=True)
class SignalViewing:
    """One presentation of a film: signals at 25 Hz of film time.

    Parameters
    ----------
    identity : mapping
        ``participant session task run presentation_id stimulus_id``.
    traces : mapping of str to ndarray, shape (n,)
        By Action Unit, or ``pupil``; they may differ in length.
    """

    identity: Mapping[str, Any]
    traces: Mapping[str, NDArray[np.float32]]


def write_signal_synchrony(
    sessions: Sequence[AnalysisPaths], path: Path, *, progress: Progress | None = None
) -> Path | None:
    """Measure how alike faces and pupils went over the films of a study.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
        Sessions whose analysis is complete.
    path : Path
        The ``.tsv`` file. Removed where the study has no film with a signal.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.

    Returns
    -------
    Path or None
        None where no film was shown in any session, or nothing was measured of anybody.

    Notes
    -----
    The first presentation of a film to a participant counts. The mouth does not count while the
    participant speaks.
    """
    return write_rows(
        rows_of_films(sessions, _viewings, signal_synchrony, progress), path, SIGNAL_SYNCHRONY
    )


def signal_synchrony(viewings: Sequence[SignalViewing]) -> list[dict[str, Any]]:
    """Return one row per participant and signal of one film."""
    people = first_of_each(viewings)
    signals = sorted({name for person in people for name in person.traces})
    rows: list[list[dict[str, Any]]] = [[] for _ in people]
    for signal in signals:
        for own, row in zip(rows, _of_signal(people, signal), strict=True):
            own.append(row)
    return [row for own in rows for row in own]


def leave_one_out(traces: Floats, *, rate_hz: float = GRID_HZ) -> list[tuple[float, Chance]]:
    """Return each person's correlation with the mean of all others, against circular shifts of it.

    Parameters
    ----------
    traces : ndarray, shape (people, samples)
        One signal over the film; NaN where lost.
    rate_hz : float
        Samples per second.

    Returns
    -------
    list of (float, Chance)
        NaN where a person's curve, or that of the others, does not move.

    References
    ----------
    Nastase, Gazzola, Hasson & Keysers 2019, Social Cognitive and Affective Neuroscience 14, 667–685.
    """
    known = np.isfinite(traces)
    filled = np.where(known, traces, 0.0)
    count, total = known.sum(axis=0), filled.sum(axis=0)
    shifts = shifts_of(traces.shape[1], rate_hz)
    found = []
    for own, mine, is_known in zip(traces, filled, known, strict=True):
        n = count - is_known
        others = np.where(n > 0, (total - mine) / np.maximum(n, 1), np.nan)
        r = circular_correlations(own, others)
        backwards = circular_correlations(own[::-1], others)[
            :: max(1, round(SHIFT_STEP_S * rate_hz))
        ]
        found.append((float(r[0]), Chance.of(float(r[0]), r[shifts], backwards)))
    return found


def _of_signal(people: Sequence[SignalViewing], signal: str) -> list[dict[str, Any]]:
    n = max(trace.size for person in people for trace in person.traces.values())
    traces = np.full((len(people), n), np.nan)
    for i, person in enumerate(people):
        own = person.traces.get(signal)
        if own is not None:
            traces[i, : own.size] = own
    if signal == PUPIL:
        traces = standardised(traces)
    usable = Usable.of(np.isfinite(traces))
    found = leave_one_out(traces[usable.who]) if usable.enough else ()
    measured = dict(zip(usable.who.tolist(), found, strict=False))
    rows = []
    for i, person in enumerate(people):
        row = dict(person.identity) | {
            "signal": signal,
            "n_others": usable.n_others(i),
            "film_s": n / GRID_HZ,
            "known_fraction": float(usable.share[i]),
        }
        if reason := usable.reason_against(i, "measured", "a usable signal"):
            row["reason"] = reason
        else:
            row |= _numbers(*measured[i])
        rows.append(row)
    return rows


def _numbers(isc: float, chance: Chance) -> dict[str, Any]:
    if not np.isfinite(isc):
        return {"reason": "it did not move, or that of the others did not"}
    return {
        "isc": isc,
        "isc_chance": chance.mean,
        "isc_chance_q95": chance.q95,
        "z": chance.z,
        "p": chance.p if chance.n else np.nan,
        "n_shifts": chance.n,
        "n_independent": chance.n_independent,
    }


def _viewings(session: AnalysisPaths) -> list[SignalViewing]:
    """Return the films of a session with what was measured of face and pupil."""
    shown = shown_of_kind(session, "video")
    if not shown:
        return []
    au = _film_frames(session.au)
    gaze = film_samples(session.gaze)
    found = []
    for row in shown:
        traces: dict[str, NDArray[np.float32]] = {}
        if au is not None:
            traces |= _face_traces(of_presentation(au, row))
        if gaze is not None:
            pupil = film_traces(of_presentation(gaze, row))[2]
            if pupil.size:
                traces[PUPIL] = pupil
        if traces:
            found.append(SignalViewing(identity_of(row), traces))
    return found


def _face_traces(frames: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
    media_s = frames["media_time_s"].to_numpy(np.float64)
    if not np.isfinite(media_s).any():
        return {}
    grid_s = np.arange(int(np.nanmax(media_s) * GRID_HZ) + 1) / GRID_HZ
    traces = au_traces(frames, whole_face_aus(frames.columns), media_s, grid_s, speech=False)
    return {au: np.asarray(trace, np.float32) for au, trace in traces.items()}


def _film_frames(path: Path) -> pd.DataFrame | None:
    """Return the frames during which a film was shown; only the columns that are needed are read."""
    if not path.is_file():
        return None
    table = pd.read_csv(
        path,
        sep="\t",
        usecols=lambda name: name in _FRAME_COLUMNS or name.endswith("_r"),
        dtype={"presentation_id": str, "speaking": str},
        na_values=[MISSING],
        keep_default_na=False,
        quoting=csv.QUOTE_NONE,
    )
    shown = table[table["media_time_s"].notna()]
    talks = shown["speaking"].map({"true": 1.0, "false": 0.0}).astype("float64")
    return shown.assign(speaking=talks)
