"""Ratings over time: RECOLA and SEWA (and tables like theirs).

RECOLA: ``ratings_individual/valence/P16.csv`` has ``time;FM1;FM2 …`` every 40 ms, one column per rater, whose
mean is taken; ``ratings_gold_standard/valence/P16.arff`` (as of AVEC) has lines ``name,time,value`` and is
preferred. Films are ``recordings_video/P16.mp4``.

SEWA: one table per recording with a time column and ``valence`` and ``arousal`` (and ``liking``, not read),
as AVEC 2017 gave them out; the film of the same name lies anywhere below the folder. The layout of the full
SEWA database is not known to us: bring it into this shape, or into the plain folder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import column, is_film, known, read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_TIMES = ("time", "timestamp", "frametime", "time_s")


@dataset(
    "recola",
    title="RECOLA",
    kind="affect",
    layout="ratings_gold_standard/valence/P16.arff or ratings_individual/valence/P16.csv, and P16.mp4",
    known_from="public programs that read it (AVEC 2015, 2016); the place of the films is not sure",
    licence="agreement with the University of Fribourg; research only",
    citation="Ringeval et al. (2013), Introducing the RECOLA multimodal corpus",
)
def read_recola(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield a picture for every rated moment with ``valence`` and ``arousal``."""
    for name in ("ratings_gold_standard", "ratings_individual"):
        if (source / name).is_dir():
            break
    else:
        raise DuchenneError(f"{source} has no ratings_gold_standard or ratings_individual.")
    films = _films(source)
    for path in sorted((source / name / "valence").glob("*.*")):
        other = source / name / "arousal" / path.name
        film = films.get(path.stem)
        if film is None or not other.is_file():
            tell(f"{path.stem} has no {'film' if film is None else 'ratings of arousal'}")
            continue
        both = pd.DataFrame({"valence": _ratings(path), "arousal": _ratings(other)}).dropna()
        yield from _moments(film, both, path.stem)


@dataset(
    "sewa",
    title="SEWA (as of AVEC)",
    kind="affect",
    layout="one table per recording with a time, valence and arousal, and a film of the same name",
    known_from="not sure: written from the columns of AVEC 2017",
    licence="agreement with the SEWA consortium; research only",
    citation="Kossaifi et al. (2021), SEWA DB: a rich database for audio-visual emotion and sentiment",
)
def read_sewa(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield a picture for every rated moment with ``valence`` and ``arousal``."""
    films = _films(source)
    for path in sorted(p for p in source.rglob("*") if p.suffix.lower() in {".csv", ".tsv"}):
        table = read_table(path, sep=None, engine="python")
        time = column(table, *_TIMES)
        wanted = {n: c for n in ("valence", "arousal") if (c := column(table, n)) is not None}
        if time is None or not wanted:
            tell(f"{path.name} has no time, or neither valence nor arousal")
            continue
        if path.stem not in films:
            tell(f"{path.stem} has no film")
            continue
        rows = pd.DataFrame({n: table[c].to_numpy(float) for n, c in wanted.items()})
        rows.index = pd.Index(table[time].to_numpy(float))
        yield from _moments(films[path.stem], rows, path.stem)


def _films(source: Path) -> dict[str, Path]:
    return {p.stem: p for p in sorted(source.rglob("*")) if is_film(p)}


def _moments(film: Path, rows: pd.DataFrame, subject: str) -> Iterator[Picture]:
    times = rows.index.to_numpy(float)
    if len(times) > 1 and (np.diff(times) <= 0).any():
        raise DuchenneError(f"the ratings of {film.stem} do not go forward in time")
    for i, (time_s, row) in enumerate(zip(times, rows.to_dict("records"), strict=True)):
        labels = known({str(name): float(value) for name, value in row.items()})
        if labels:
            yield Picture(film, labels, subject, "", i, float(time_s))


def _ratings(path: Path) -> pd.Series:
    """Return the rating of each time, in seconds, of an ARFF file or of a table of raters."""
    if path.suffix.lower() != ".arff":
        table = read_table(path, sep=None, engine="python")
        time = column(table, *_TIMES)
        if time is None:
            raise DuchenneError(f"{path} has no column time.")
        rest = table.drop(columns=[time]).to_numpy(float)
        return pd.Series(np.nanmean(rest, axis=1), index=table[time].to_numpy(float).round(3))
    lines = path.read_text("utf-8", errors="replace").splitlines()
    begin = next((i for i, t in enumerate(lines) if t.strip().lower() == "@data"), None)
    if begin is None:
        raise DuchenneError(f"{path} has no @data.")
    cells = [line.split(",") for line in lines[begin + 1 :] if line.strip()]
    try:
        values = {round(float(row[-2]), 3): float(row[-1]) for row in cells}
    except (IndexError, ValueError) as error:
        raise DuchenneError(f"{path} holds a line that is not name, time and value.") from error
    return pd.Series(values)
