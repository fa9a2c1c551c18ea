"""The sound of the films that the pictures of a prepared set are from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.affect.hearing import FEATURES, film_sound
from duchenne.analysis.training.datasets.base import dataset_entry, pictures
from duchenne.analysis.training.datasets.files import is_film
from duchenne.analysis.training.prepare import source_of
from duchenne.analysis.training.prepared import ABOUT, read_faces
from duchenne.analysis.training.sound import N_BANDS, add_sound
from duchenne.protocols.displays.frame_times import frame_times
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.training.datasets.base import Picture, Tell

_SIDES = ("_left", "_right")
"""What is put behind a film's name where it shows two people (Aff-Wild2)."""


def hear_films(
    folder: Path,
    source: Path,
    *,
    tell: Tell,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Add the sound of its films to a prepared set.

    Pictures of a film have that film's sound; pictures in a folder of frames have that of the film with the
    folder's name, anywhere below the source.

    Parameters
    ----------
    folder : Path
        Of the prepared set; gets ``audio.npy``, and its ``about.json`` says which features these are.
    source : Path
        Folder of the data set that it was prepared from, with the films.
    tell : callable
        Is told in a sentence which films have no sound, or cannot be read.
    progress : callable, optional
        Is given the number of films that are done, and of all.

    Returns
    -------
    int
        Pictures with sound; the others get NaN.

    Raises
    ------
    DuchenneError
        When the set does not say which data set it is of, or none of its pictures has sound.
    """
    faces = read_faces(folder)
    if faces.source is None or "name" not in faces.about:
        raise DuchenneError(f"{folder} does not say which data set it is of, or lacks `source`.")
    entry = dataset_entry(str(faces.about["name"]))
    rows = {str(text): i for i, text in enumerate(faces.source)}
    root = source if source.is_dir() else source.parent
    films = {p.stem: p for p in sorted(root.rglob("*")) if is_film(p)}
    of_film: dict[Path, list[tuple[int, Picture]]] = {}
    for picture in pictures(entry, source, lambda _: None):
        row = rows.get(source_of(picture, root))
        film = _film_of(picture, films)
        if row is not None and film is not None:
            of_film.setdefault(film, []).append((row, picture))
    found = np.full((len(faces), N_BANDS), np.nan, np.float32)
    for n, (film, shown) in enumerate(of_film.items(), start=1):
        try:
            found[[row for row, _ in shown]] = _features(film, [picture for _, picture in shown])
        except DuchenneError as error:
            tell(str(error))
        if progress is not None:
            progress(n, len(of_film))
    n_heard = int(np.isfinite(found).all(axis=1).sum())
    if not n_heard:
        raise DuchenneError(f"no film of {source} has sound for a picture of {folder}.")
    add_sound(folder, found)
    about = faces.about | {"sound": FEATURES}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return n_heard


def _film_of(picture: Picture, films: dict[str, Path]) -> Path | None:
    if is_film(picture.path):
        return picture.path
    name = picture.path.parent.name
    for side in _SIDES:
        name = name.removesuffix(side)
    return films.get(name)


def _features(film: Path, shown: list[Picture]) -> NDArray[np.float32]:
    heard = film_sound(film)
    if heard is None:
        raise DuchenneError(f"{film.name} has no sound")
    return heard.features(_times(film, shown))


def _times(film: Path, shown: list[Picture]) -> NDArray[np.float64]:
    """Return when the pictures are seen, in seconds from the first frame; NaN where not known."""
    frames_s = frame_times(film).pts_s
    found = np.full(len(shown), np.nan)
    for i, picture in enumerate(shown):
        if picture.time_s is not None:
            found[i] = picture.time_s
        elif picture.frame is not None and picture.frame < len(frames_s):
            found[i] = frames_s[picture.frame] - frames_s[0]
    return found
