"""How alike the participants of a study looked at its films: one row per participant and film.

Memory: of each session only its film samples are read, and of these gaze and pupil at 25 Hz are kept
(300 bytes per second of film and participant).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.gaze.synchrony import (
    circular_shifts,
    correlation_by_chance,
    inter_subject_correlation,
    on_film_time,
    saliency_against_chance,
)
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
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.paths import AnalysisPaths

    Floats = NDArray[np.float64]
    Progress = Callable[[str, int, int], None]

N_SHIFTS = 100
"""Movements in time that make the chance level of a correlation; of NSS a part, at fewer frames."""
NSS_SHIFTS, NSS_FRAMES = 40, 300
LEAST_SHIFT_S = 5.0
_GAZE, _PUPIL = ("x_deg", "y_deg"), "pupil"
_MEASURES = ("isc_x", "isc_y", "isc_pupil", "nss")


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _with_chance(name: str, description: str) -> dict[str, Column]:
    moved = (
        "with the participant's own trace moved around the film in time (as a circle, by 5 s and more, "
        "or a quarter of a shorter film)"
    )
    return {
        name: _number(description),
        f"{name}_chance": _number(f"Mean of {name} {moved}: its level by chance."),
        f"{name}_chance_q95": _number(f"95th percentile of {name} {moved}."),
    }


SYNCHRONY: dict[str, Column] = (
    IDENTITY
    | {
        "presentation_id": Column("Presentation: the key to the other tables.", kind="string"),
        "stimulus_id": Column("The film, by its identifier in the manifest.", kind="string"),
        "n_others": Column(
            "Other participants whose gaze on this film could be used.", kind="integer"
        ),
        "film_s": _number("How much of the film anybody was shown.", "s"),
        "known_fraction": _number("Share of the film during which gaze was measured.", "1"),
    }
    | _with_chance(
        "isc_x",
        "Correlation over the film of horizontal gaze with the mean of all others (leave one out), at "
        "25 Hz.",
    )
    | _with_chance("isc_y", "The same of vertical gaze.")
    | _with_chance(
        "isc_pupil",
        "The same of the pupil, standardised within each participant. All see the same light: light "
        "alone synchronises pupils.",
    )
    | _with_chance(
        "nss",
        "Normalised scan-path saliency, mean over the film: how much more than average the others look "
        "where the participant looks, in standard deviations of the map of their gaze (Gaussians of "
        "1 degree).",
    )
    | {"reason": Column("Why measures are n/a; n/a where they are not.", kind="string")}
)


@dataclass(frozen=True)
class _Viewing:
    """One presentation of a film: gaze x, gaze y and pupil at 25 Hz of film time."""

    identity: Mapping[str, Any]
    traces: NDArray[np.float32]
    reason: str = ""


def write_synchrony(
    sessions: Sequence[AnalysisPaths], path: Path, *, progress: Progress | None = None
) -> Path | None:
    """Measure synchrony over the films of a study and write one row per participant and film.

    Parameters
    ----------
    sessions : sequence of AnalysisPaths
        Sessions whose analysis is complete.
    path : Path
        The ``.tsv`` file. Removed where the study has no film.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.

    Returns
    -------
    Path or None
        None where no film was shown in any session.

    Notes
    -----
    The first presentation of a film to a participant counts. Film time is that of the frames that
    were on the screen, so that dropped frames and pauses do not shift anybody.
    """
    return write_rows(rows_of_films(sessions, _viewings, film_synchrony, progress), path, SYNCHRONY)


def film_synchrony(viewings: Sequence[_Viewing]) -> list[dict[str, Any]]:
    """Return one row per participant of one film."""
    people = first_of_each(viewings)
    n = max(person.traces.shape[1] for person in people)
    traces = np.full((len(people), 3, n), np.nan)
    for i, person in enumerate(people):
        traces[i, :, : person.traces.shape[1]] = person.traces
    usable = Usable.of(np.isfinite(traces[:, 0]) & np.isfinite(traces[:, 1]))
    measured = _measure(traces[usable.who]) if usable.enough else []
    rows = []
    for i, person in enumerate(people):
        row = dict(person.identity) | {
            "n_others": usable.n_others(i),
            "film_s": n / GRID_HZ if n else np.nan,
            "known_fraction": float(usable.share[i]) if n else np.nan,
        }
        if reason := person.reason or usable.reason_against(i, "gaze", "usable gaze"):
            row["reason"] = reason
        else:
            row |= measured[int(np.flatnonzero(usable.who == i)[0])]
        rows.append(row)
    return rows


def _measure(traces: Floats) -> list[dict[str, float]]:
    """Return the measures of each person; traces are (people, x y pupil, samples)."""
    n = traces.shape[2]
    least = round(LEAST_SHIFT_S * GRID_HZ)
    shifts = circular_shifts(n, least, N_SHIFTS)
    values: dict[str, tuple[Floats, Floats]] = {}
    for axis, name in enumerate(_MEASURES[:3]):
        trace = traces[:, axis]
        if name == "isc_pupil":
            trace = standardised(trace)
        values[name] = (inter_subject_correlation(trace), correlation_by_chance(trace, shifts))
    x, y = traces[:, 0], traces[:, 1]
    saliency, _ = saliency_against_chance(x, y)
    frames = np.unique(np.linspace(0, n - 1, min(n, NSS_FRAMES)).astype(np.intp))
    few = circular_shifts(n, least, NSS_SHIFTS)
    _, chance = saliency_against_chance(x, y, shifts=few, frames=frames)
    values["nss"] = (_mean(saliency), _mean(chance))
    rows = []
    for person in range(len(traces)):
        row = {}
        for name, (value, by_chance) in values.items():
            row[name] = float(value[person])
            drawn = by_chance[:, person]
            drawn = drawn[np.isfinite(drawn)]
            row[f"{name}_chance"] = float(drawn.mean()) if drawn.size else np.nan
            row[f"{name}_chance_q95"] = float(np.quantile(drawn, 0.95)) if drawn.size else np.nan
        rows.append(row)
    return rows


def _viewings(session: AnalysisPaths) -> list[_Viewing]:
    """Return the films of a session, each with its traces."""
    shown = shown_of_kind(session, "video")
    if not shown:
        return []
    samples = film_samples(session.gaze)
    found = []
    for row in shown:
        traces, reason = np.empty((3, 0), dtype=np.float32), ""
        if samples is None:
            reason = "no gaze was analysed"
        else:
            traces = film_traces(of_presentation(samples, row))
            if not traces.shape[1]:
                reason = "which frames of the film were shown is not recorded"
        found.append(_Viewing(identity_of(row), traces, reason))
    return found


def film_traces(samples: pd.DataFrame) -> NDArray[np.float32]:
    """Return gaze x, gaze y (deg) and pupil over film time, shape (3, n), 25 per second from 0."""
    media = samples["media_time_s"].to_numpy(dtype=np.float64)
    if not np.isfinite(media).any():
        return np.empty((3, 0), dtype=np.float32)
    grid = np.arange(int(np.nanmax(media) * GRID_HZ) + 1) / GRID_HZ
    # A film's frame stays on the screen for many samples; within it film time goes on.
    running = media + _since_flip(media, samples["time"].to_numpy(dtype=np.float64))
    columns = [samples[name].to_numpy(dtype=np.float64) for name in (*_GAZE, _PUPIL)]
    traces = np.array([on_film_time(running, column, grid) for column in columns])
    return np.asarray(traces, dtype=np.float32)


def _since_flip(media_s: Floats, times_s: Floats) -> Floats:
    """Return how long the frame of each sample has been on the screen, at most 0.1 s."""
    begins = np.concatenate(([True], media_s[1:] != media_s[:-1]))
    first = np.maximum.accumulate(np.where(begins, np.arange(media_s.size), 0))
    since: Floats = np.clip(times_s - times_s[first], 0.0, 0.1)
    return since


def film_samples(path: Path) -> pd.DataFrame | None:
    """Return the samples during which a film was shown, of the gaze table; None without the file."""
    if not path.is_file():
        return None
    import pyarrow.parquet as pq  # noqa: PLC0415 (heavy)

    columns = ["time", "presentation_id", "media_time_s", *_GAZE, _PUPIL]
    table = pq.read_table(
        path,
        columns=columns,
        filters=[("media_time_s", ">=", 0.0)],
        read_dictionary=["presentation_id"],
    )
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _mean(values: Floats) -> Floats:
    """Return the mean over the last axis; NaN where nothing is known."""
    known = np.isfinite(values)
    n = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(n > 0, total / np.maximum(n, 1), np.nan))
