"""Facial mimicry: whether a participant's face follows the face in the film, by Action Unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.crossmodal.film_time import au_traces
from duchenne.analysis.crossmodal.lagged import (
    GRID_HZ,
    Following,
    Lagged,
    best_correlation,
    following_of,
    lagged_correlation,
    mean_of,
)
from duchenne.analysis.crossmodal.reactions import FACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.crossmodal.film_faces import FilmFace

    Floats = NDArray[np.float64]
    Traces = Mapping[str, Floats]

MIN_WINDOWS = 3
"""Windows in which the face in the film must move, for an Action Unit to be measured."""
MIN_KNOWN = 0.5
MAX_OTHER_FILMS = 5
COLUMNS = {
    "presentation_id": "object",
    "au": "object",
    "r": "float64",
    "lag_s": "float64",
    "z": "float64",
    "p": "float64",
    "r_chance": "float64",
    "r_chance_q95": "float64",
    "n_shifts": "Int64",
    "n_independent": "float64",
    "r_other_films": "float64",
    "n_other_films": "Int64",
    "n_windows": "Int64",
    "measured_fraction": "float64",
    "reason": "object",
}


@dataclass(frozen=True)
class Viewing:
    """One presentation of a film to a participant.

    Parameters
    ----------
    presentation_id : str
    film : str
        Which film: presentations of one film are no shuffled pairs of each other.
    own : mapping of str to ndarray, shape (n,)
        Intensities of the participant's Action Units over the film, 20 per second from its beginning.
    theirs : mapping of str to ndarray, shape (n,)
        The same of the face in the film; empty where there is none.
    reason : str
        Why nothing can be measured; empty otherwise.
    """

    presentation_id: str
    film: str
    own: Traces
    theirs: Traces
    reason: str = ""


def viewing(
    presentation_id: str,
    film: str,
    face: FilmFace,
    *,
    table: pd.DataFrame,
    media_s: Floats,
    trusted: Sequence[str],
) -> Viewing:
    """Return one presentation on the time of its film.

    Parameters
    ----------
    presentation_id, film : str
    face : FilmFace
        The face in the film.
    table : pandas.DataFrame
        Frames of the participant during the presentation: ``time speaking AUxx_r``.
    media_s : ndarray
        Time in the film of each of these frames.
    trusted : sequence of str
        Action Units to measure.
    """
    if face.reason:
        return Viewing(presentation_id, film, {}, {}, face.reason)
    if not np.isfinite(media_s).any():
        reason = "which frames of the film were shown is not recorded"
        return Viewing(presentation_id, film, {}, {}, reason)
    aus = [au for au in face.aus if au in trusted]
    film_s = face.table["time"].to_numpy(np.float64)
    grid_s = np.arange(int(min(film_s[-1], np.nanmax(media_s)) * GRID_HZ) + 1) / GRID_HZ
    own = au_traces(table, aus, media_s, grid_s, speech=False)
    return Viewing(presentation_id, film, own, au_traces(face.table, aus, film_s, grid_s))


def mimicry(viewings: Sequence[Viewing]) -> pd.DataFrame:
    """Return how each presentation's face followed that in the film: a row per Action Unit.

    Parameters
    ----------
    viewings : sequence of Viewing
        All films that a participant saw.

    Returns
    -------
    pandas.DataFrame
        ``presentation_id au r lag_s z p r_chance r_chance_q95 n_shifts n_independent r_other_films
        n_other_films n_windows measured_fraction reason``; the first row of each presentation (``face``)
        takes all Action Units together. ``r_other_films`` is the same measure with the faces of up to
        five other films of the participant, cut to the shorter of the two.
    """
    rows: list[dict[str, Any]] = []
    for seen in viewings:
        rows += [{"presentation_id": seen.presentation_id} | row for row in _rows(seen, viewings)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _rows(seen: Viewing, viewings: Sequence[Viewing]) -> list[dict[str, Any]]:
    if seen.reason:
        return [{"au": FACE, "reason": seen.reason}]
    pairs = _lagged(seen.own, seen.theirs)
    by_film = _other_films(seen, viewings)
    found = [_row(au, pairs.get(au), [f[au] for f in by_film if au in f], seen) for au in seen.own]
    if not pairs:
        return [{"au": FACE, "reason": "the face in the film does not move"}, *found]
    together = [float(np.mean(list(f.values()))) for f in by_film if f]
    return [_row(FACE, mean_of(list(pairs.values())), together, seen), *found]


def _other_films(seen: Viewing, viewings: Sequence[Viewing]) -> list[dict[str, float]]:
    """Return the correlation with the faces of other films, by Action Unit, a few films at most."""
    others = {v.film: v for v in viewings if v.film != seen.film and not v.reason}
    found = []
    for other in list(others.values())[:MAX_OTHER_FILMS]:
        r = {
            au: best_correlation(other.theirs[au], seen.own[au])
            for au in seen.own
            if au in other.theirs
        }
        found.append({au: value for au, value in r.items() if np.isfinite(value)})
    return found


def _lagged(own: Traces, theirs: Traces) -> dict[str, Lagged]:
    """Return the Action Units with enough to follow."""
    found = {}
    for au in own:
        if au in theirs:
            pair = lagged_correlation(theirs[au], own[au])
            if pair.n_windows >= MIN_WINDOWS:
                found[au] = pair
    return found


def _row(au: str, pair: Lagged | None, others: Sequence[float], seen: Viewing) -> dict[str, Any]:
    own = [seen.own[au]] if au in seen.own else list(seen.own.values())
    share = max((float(np.isfinite(trace).mean()) for trace in own if trace.size), default=0.0)
    row: dict[str, Any] = {"au": au, "measured_fraction": share}
    if share < MIN_KNOWN:
        return row | {"reason": "the participant's face was measured in less than half of the film"}
    if pair is None:
        return row | {"reason": "does not move in the film, or in windows too few"}
    found = following_of(pair)
    row |= _numbers(found)
    row["n_other_films"] = len(others)
    row["r_other_films"] = float(np.mean(others)) if others else np.nan
    return row


def _numbers(found: Following) -> dict[str, Any]:
    chance = found.chance
    return {
        "r": found.r,
        "lag_s": found.lag_s,
        "z": chance.z,
        "p": chance.p if chance.n else np.nan,
        "r_chance": chance.mean,
        "r_chance_q95": chance.q95,
        "n_shifts": chance.n,
        "n_independent": chance.n_independent,
        "n_windows": found.n_windows,
    }
