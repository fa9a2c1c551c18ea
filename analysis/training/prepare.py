"""Brings a data set into the shape that trainings read: faces found, aligned, written with their labels."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from duchenne import __version__
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.training.alignment import alignment, from_mesh, placed, warped
from duchenne.analysis.training.datasets.base import EXPRESSIONS, Picture, pictures
from duchenne.analysis.training.datasets.files import is_film
from duchenne.analysis.training.prepared_writer import PreparedWriter
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from duchenne.analysis.face.frames import FaceFrames, Image
    from duchenne.analysis.training.alignment import Alignment
    from duchenne.analysis.training.datasets.base import DatasetEntry, Tell

    _Frame = tuple[int, float, Image | None]

STILLS_AT_ONCE = 64
# Of a picture of several people, what is looked at reaches this share of the box beyond it.
_BOX_MARGIN = 0.5
# A face is followed from one wanted frame to the next up to this time; else it is looked for anew.
_FOLLOWED_S = 0.25
# A frame counts as the one of a moment from this long before it.
_EARLY_S = 0.01


@dataclass(frozen=True)
class Order:
    """What is to be prepared.

    Parameters
    ----------
    alignment : str
    px : int
        Side of the pictures.
    every : int
        Of films and sequences, take every so manieth frame.
    limit : int
        Take at most so many pictures; 0 takes all.
    only : str
        Take those whose condition or subject contains this.
    classes : int
        Leave out pictures whose expression is none of the first so many: 7 leaves contempt out.
    """

    alignment: str
    px: int
    every: int = 1
    limit: int = 0
    only: str = ""
    classes: int = len(EXPRESSIONS)


@dataclass(frozen=True)
class Outcome:
    """What became of the pictures.

    Parameters
    ----------
    written, without_face, unreadable : int
        Numbers of pictures.
    """

    written: int = 0
    without_face: int = 0
    unreadable: int = 0

    @property
    def done(self) -> int:
        """Number of pictures that were looked at."""
        return self.written + self.without_face + self.unreadable

    def plus(self, other: Outcome) -> Outcome:
        """Return the sums."""
        return Outcome(
            self.written + other.written,
            self.without_face + other.without_face,
            self.unreadable + other.unreadable,
        )


def chosen(found: Iterable[Picture], order: Order) -> list[Picture]:
    """Return the pictures that the order is about."""
    wanted = (
        p
        for p in found
        if (p.frame is None or p.frame % order.every == 0)
        and (order.only in p.condition or order.only in p.subject)
        and p.labels.get("expression", 0) < order.classes
    )
    return list(islice(wanted, order.limit or None))


def prepare(
    entry: DatasetEntry,
    source: Path,
    out: Path,
    order: Order,
    *,
    tell: Tell,
    progress: Callable[[Outcome, int], None] | None = None,
) -> Outcome:
    """Write a prepared set; go on where the same order was broken off.

    Parameters
    ----------
    entry : DatasetEntry
    source : Path
        Folder of the data set.
    out : Path
        Folder to write, must not exist.
    order : Order
    tell : callable
        Is told in a sentence what was left out.
    progress : callable
        Is given what was done and the number of all pictures, after each part.

    Raises
    ------
    DuchenneError
        When a part of the data is missing, a label is out of its range, no picture is left, no face is found
        in any, or there is too little space.
    """
    root = source if source.is_dir() else source.parent
    place = _Place(alignment(order.alignment), order.px, root)
    found = chosen(pictures(entry, source, tell), order)
    if not found:
        raise DuchenneError(
            f"no picture of {source} is left: see --only, --every, --limit and --classes."
        )
    names = sorted({name for picture in found for name in picture.labels})
    _need_space(out, len(found), order.px)
    signature = {
        **asdict(order),
        "data": entry.name,
        "source": str(source.resolve()),
        "pictures": len(found),
    }
    parts = list(_parts(found))
    with PreparedWriter(out, order.px, names, signature) as writer:
        outcome = Outcome(**writer.place.get("outcome", {}))
        first = int(writer.place.get("next", 0))
        if progress is not None:
            progress(outcome, len(found))
        with FaceTracker(still=True) as still:
            for i, part in enumerate(parts[first:], start=first):
                before = outcome
                for faces in _tracked(part, still, tell):
                    outcome = outcome.plus(_write(writer, faces, part, place))
                    if progress is not None:
                        progress(outcome, len(found))
                if outcome.done - before.done != len(part):
                    raise RuntimeError("a picture was lost")
                writer.keep({"next": i + 1, "outcome": asdict(outcome)})
        if not outcome.written:
            writer.give_up()
            raise DuchenneError(
                f"none of {len(found)} pictures was written: {outcome.without_face} without a face, "
                f"{outcome.unreadable} unreadable."
            )
        writer.finish(_about(entry, source, order, outcome, names))
    return outcome


def _about(
    entry: DatasetEntry, source: Path, order: Order, outcome: Outcome, names: Sequence[str]
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": entry.name,
        "title": entry.title,
        "labels": entry.kind,
        "source": source.resolve().name,
        **asdict(order),
        **asdict(outcome),
        "licence": entry.licence,
        "citation": entry.citation,
        "program": f"duchenne {__version__}",
    }
    if "expression" in names:
        about["classes"] = list(EXPRESSIONS[: order.classes])
    return about


def _need_space(out: Path, n: int, px: int) -> None:
    place = next(p for p in (out.absolute(), *out.absolute().parents) if p.exists())
    free, needed = shutil.disk_usage(place).free, n * px * px * 3
    if needed > free:
        raise DuchenneError(
            f"{n} pictures of {px} px need {needed / 1e9:.1f} GB, and {place} has {free / 1e9:.1f} GB left: "
            "choose a smaller --px, a larger --every, or another disk."
        )


def _parts(found: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Yield the pictures of each film together, and others by so many at once."""
    for film, of_film in groupby(found, key=lambda p: p.path if is_film(p.path) else None):
        rest = iter(of_film)
        size = None if film else STILLS_AT_ONCE
        while part := list(islice(rest, size)):
            yield part


def _tracked(part: list[Picture], still: FaceTracker, tell: Tell) -> Iterator[FaceFrames]:
    """Yield the pictures of a part with their faces, in the order of the part, a few at once."""
    if is_film(part[0].path):
        with closing(cast("Generator[_Frame]", _film_frames(part, tell))) as frames:
            if _is_followed(part):
                with FaceTracker() as tracker:
                    yield from _batches(tracker, frames)
            else:
                yield from _batches(still, frames)
        return
    stills = ((i, 0.0, _still(picture, tell)) for i, picture in enumerate(part))
    yield from _batches(still, stills)


def _batches(tracker: FaceTracker, frames: Iterator[_Frame]) -> Iterator[FaceFrames]:
    for first in frames:
        some = iter((first, *islice(frames, STILLS_AT_ONCE - 1)))
        while len(faces := tracker.track(some, keep_images=True)):
            yield faces


def _is_followed(part: list[Picture]) -> bool:
    """Tell whether wanted frames are so close that a face is the same from one to the next."""
    if part[0].time_s is not None:
        times = [p.time_s for p in part if p.time_s is not None]
    else:
        times = [p.frame / 25 for p in part if p.frame is not None]
    return len(times) > 1 and float(np.median(np.diff(times))) <= _FOLLOWED_S


def _film_frames(part: list[Picture], tell: Tell) -> Iterator[_Frame]:
    """Yield the wanted frames of a film, None where the film has none."""
    path, at = part[0].path, 0
    last_s = 0.0
    try:
        with closing(cast("Generator[_Frame]", video_frames(path))) as frames:
            for index, time_s, image in frames:
                last_s = time_s
                while at < len(part) and _is_wanted(part[at], index, time_s):
                    yield at, time_s, image
                    at += 1
                if at == len(part):
                    return
    except DuchenneError as error:
        tell(str(error))
    if at:
        tell(f"{path.name} ends before its labels: {len(part) - at} of {len(part)} have no frame")
    for row in range(at, len(part)):
        yield row, last_s, None


def _is_wanted(picture: Picture, index: int, time_s: float) -> bool:
    if picture.time_s is not None:
        return time_s >= picture.time_s - _EARLY_S
    return picture.frame is not None and index >= picture.frame


def _still(picture: Picture, tell: Tell) -> Image | None:
    try:
        image = picture.load() if picture.load is not None else image_frame(picture.path)
    except DuchenneError as error:
        tell(str(error))
        return None
    if picture.box is not None:
        left, top, width, height = picture.box
        x, y = _BOX_MARGIN * width, _BOX_MARGIN * height
        columns = slice(max(0, round(left - x)), max(0, round(left + width + x)))
        rows = slice(max(0, round(top - y)), max(0, round(top + height + y)))
        if image[rows, columns].size:
            image = np.ascontiguousarray(image[rows, columns])
    return image


@dataclass(frozen=True)
class _Place:
    how: Alignment
    px: int
    root: Path


def _write(
    writer: PreparedWriter, faces: FaceFrames, part: list[Picture], place: _Place
) -> Outcome:
    written = without_face = unreadable = 0
    points = from_mesh(faces.landmarks)
    for i, row in enumerate(faces.frame):
        image, picture = faces.images[i], part[int(row)]
        if image is None:
            unreadable += 1
        elif not faces.found[i]:
            without_face += 1
        else:
            matrix = place.how.matrix(points[i], place.px)
            writer.add(
                warped(image, matrix, place.px, place.how.fill),
                placed(points[i], matrix),
                picture.labels,
                picture.subject,
                source_of(picture, place.root),
            )
            written += 1
    return Outcome(written, without_face, unreadable)


def source_of(picture: Picture, root: Path) -> str:
    """Return what the prepared set says a picture is from: its file below the folder, and its frame."""
    try:
        where = picture.path.relative_to(root).as_posix()
    except ValueError:
        where = picture.path.name
    return where if picture.frame is None else f"{where}#{picture.frame}"
