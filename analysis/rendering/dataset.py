"""Renders identities and writes them as a prepared set for ``duchenne train``."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne import __version__
from duchenne.analysis.rendering.action_units import (
    GAZE_DEG,
    LABEL_NAMES,
    PROTOTYPES,
    labels,
    lip_gap,
)
from duchenne.analysis.rendering.degrade import degraded, varied
from duchenne.analysis.rendering.folds import LINKED, WRINKLES, fold_depths
from duchenne.analysis.rendering.head import read_head
from duchenne.analysis.rendering.lighting import exposed, flickered, random_light
from duchenne.analysis.rendering.plan import (
    NEUTRAL,
    NO_ACTION,
    exposure,
    random_person,
    random_shot,
    shot_kinds,
)
from duchenne.analysis.rendering.renderer import Renderer
from duchenne.analysis.rendering.scene import Shown
from duchenne.analysis.rendering.wearing import occluder, worn
from duchenne.analysis.training.alignment import ALIGNMENTS, alignment
from duchenne.analysis.training.datasets.base import EXPRESSIONS
from duchenne.analysis.training.prepared_writer import PreparedWriter
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.face.frames import FloatArray, Image
    from duchenne.analysis.rendering.head import HeadModel
    from duchenne.analysis.rendering.plan import Person, Shot

EYES = "eyes"
"""The alignment of the pictures that ``duchenne au`` measures texture in: eyes level, at fixed places."""
CONDITIONS = "conditions.tsv"
EXPRESSION = "expression"
_EYE_CORNERS = {33: 36, 133: 39, 362: 42, 263: 45}
# Landmarks that a network finds lie off by so much of the distance between the eyes.
_LANDMARK_NOISE = 0.025
_N_MESH = 478


@dataclass(frozen=True)
class RenderOrder:
    """What is to be rendered.

    Parameters
    ----------
    head : str
        File of the head model.
    px : int
        Side of the pictures.
    seed : int
    pictures : int
        Of each identity.
    align : str
        ``eyes`` or the name of an alignment of `duchenne.analysis.training.alignment`.
    wrinkles : str
        One of `duchenne.analysis.rendering.folds.WRINKLES`.
    props : bool
        Glasses, covers and occluders may occur.

    Raises
    ------
    UsageError
        For an alignment or wrinkles that there are not.
    """

    head: str
    px: int = 160
    seed: int = 0
    pictures: int = 24
    align: str = EYES
    wrinkles: str = LINKED
    props: bool = True

    def __post_init__(self) -> None:
        if self.wrinkles not in WRINKLES:
            raise UsageError(f"--wrinkles is one of {', '.join(WRINKLES)}, not {self.wrinkles}.")
        if self.align not in {EYES, *ALIGNMENTS}:
            known = ", ".join((EYES, *ALIGNMENTS))
            raise UsageError(f"--align is one of {known}, not {self.align}.")


@dataclass(frozen=True)
class RenderedIdentity:
    """The pictures of one identity, row by row.

    Parameters
    ----------
    number : int
    images : list of (px, px, 3) uint8
    landmarks : list of (68, 2) float64
        In pixels.
    labels, conditions : list of dict
    """

    number: int
    images: list[Image]
    landmarks: list[FloatArray]
    labels: list[dict[str, float]]
    conditions: list[dict[str, str | float]]


def eyes_matrix(points: FloatArray, px: int) -> FloatArray:
    """Return the (2, 3) matrix that brings the eyes of 68 landmarks to their places."""
    from duchenne.analysis.face.geometry.align import CROP_PX, crop_matrix  # noqa: PLC0415

    mesh = np.full((_N_MESH, 2), np.nan)
    for place, mark in _EYE_CORNERS.items():
        mesh[place] = points[mark]
    return np.asarray(crop_matrix(mesh) * (px / CROP_PX))


def render_identity(renderer: Renderer, order: RenderOrder, number: int) -> RenderedIdentity:
    """Render all pictures of one identity; the same number and order give the same pictures."""
    rng = np.random.default_rng([order.seed, number])
    person = random_person(renderer.head, rng, props=order.props)
    at_rest = lip_gap(renderer.head, person.base, person.look.resting)
    done = RenderedIdentity(number, [], [], [], [])
    clothes = worn(renderer.head, person.base, person.look)
    for i, kind in enumerate(shot_kinds(order.pictures)):
        picture = np.random.default_rng([order.seed, number, i])
        shot = random_shot(kind, picture, props=order.props)
        light = person.light
        if shot.new_lamp:
            light = exposed(random_light(picture), person.look.skin, exposure(picture))
        light = flickered(light, picture, shot.flicker)
        things = [*clothes, *occluder(shot.occluder, renderer.head, person, picture)]
        shown = Shown(
            person.base,
            person.look,
            shot.act,
            shot.yaw_deg,
            shot.pitch_deg,
            shot.roll_deg,
            light,
            person.camera,
            person.backdrop,
            fold_depths(shot.act.units, person.look, order.wrinkles, picture),
            things,
        )
        rendered = renderer.render(shown, _aligner(order, picture))
        film = varied(person.film, picture)
        done.images.append(degraded(rendered.image, film, picture))
        done.landmarks.append(rendered.landmarks)
        truth = labels(shot.act, rendered.lip_gap, at_rest)
        if kind in {NEUTRAL, NO_ACTION}:
            truth[EXPRESSION] = EXPRESSIONS.index("neutral")
        elif shot.emotion in PROTOTYPES:
            truth[EXPRESSION] = EXPRESSIONS.index(shot.emotion)
        done.labels.append(truth)
        condition: dict[str, str | float] = {"subject": _subject(number), "picture": i}
        condition |= _conditions(person, shot, light)
        quality = asdict(film)
        condition |= {name: _short(quality[name]) for name in quality if name != "balance"}
        done.conditions.append(condition | {"wrinkles": order.wrinkles})
    return done


def _aligner(order: RenderOrder, rng: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    """Return the alignment by landmarks as a network would have found them."""

    def align(points: FloatArray) -> FloatArray:
        apart = float(np.hypot(*(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))))
        found = points + rng.normal(0, _LANDMARK_NOISE * apart, points.shape)
        if order.align == EYES:
            return eyes_matrix(found, order.px)
        return alignment(order.align).matrix(found, order.px)

    return align


def _conditions(person: Person, shot: Shot, light: Any) -> dict[str, str | float]:
    look, lamp = person.look, light.directions[0]
    return {
        "kind": shot.kind,
        "emotion": shot.emotion or "n/a",
        "yaw_deg": _short(shot.yaw_deg),
        "pitch_deg": _short(shot.pitch_deg),
        "roll_deg": _short(shot.roll_deg),
        "gaze_left_deg": _short(GAZE_DEG * shot.act.gaze[0]),
        "gaze_up_deg": _short(GAZE_DEG * shot.act.gaze[1]),
        "skin_tone": _short(look.tone),
        "age": _short(look.age),
        "male": int(look.male),
        "beard": look.beard,
        "glasses": look.glasses,
        "cover": look.cover,
        "occluder": shot.occluder or "none",
        "light_azimuth_deg": _short(float(np.degrees(np.arctan2(lamp[0], lamp[2])))),
        "light_elevation_deg": _short(float(np.degrees(np.arcsin(lamp[1])))),
        "light_hardness": _short(light.hardness),
        "distance": _short(person.camera.distance),
    }


def _short(value: float) -> float:
    return round(float(value), 3)


def _subject(number: int) -> str:
    return f"rendered_{number:05d}"


def render_set(
    order: RenderOrder,
    out: Path,
    *,
    identities: int,
    first: int = 0,
    workers: int = 1,
    progress: Callable[[int, int, int], None] = lambda _done, _total, _n: None,
) -> int:
    """Render identities into a prepared set; go on where a run of the same order was broken off.

    Parameters
    ----------
    order : RenderOrder
    out : Path
        Folder; must not exist.
    identities, first : int
        How many, and the number of the first; the same number is the same person for one seed.
    workers : int
        Processes.
    progress : callable
        Gets how many identities are done, of how many, and the pictures of this run.

    Returns
    -------
    int
        Pictures in the set.

    Raises
    ------
    DuchenneError
        Without a head model, EGL or a place to write to, and when the folder exists.
    """
    head = read_head(Path(order.head))
    names = (*LABEL_NAMES, EXPRESSION)
    about_order = asdict(order) | {"first": first, "head": Path(order.head).name}
    with PreparedWriter(out, order.px, names, about_order) as writer:
        begin = int(writer.place.get("next", first))
        numbers = list(range(begin, first + identities))
        with _ConditionsFile(out, writer.n) as conditions:
            new = 0
            for done in _rendered(order, head, numbers, workers):
                for row, image in enumerate(done.images):
                    truth, condition = done.labels[row], done.conditions[row]
                    source = f"{_subject(done.number)}/{row:03d}/{condition['kind']}"
                    marks = np.asarray(done.landmarks[row], np.float64)
                    writer.add(image, marks, truth, _subject(done.number), source)
                    conditions.add(condition)
                conditions.flush()
                writer.keep({"next": done.number + 1})
                new += len(done.images)
                progress(done.number + 1 - first, identities, new)
        n = writer.n
        writer.finish(_about(order, first, identities, n))
    conditions.move_to(out / CONDITIONS)
    return n


def _about(order: RenderOrder, first: int, identities: int, n: int) -> dict[str, Any]:
    return {
        "name": "rendered faces",
        "from": "duchenne render-faces",
        "version": __version__,
        "alignment": order.align,
        "labels": "intensity = 5 x weight of the action; AU25 also by the rendered lip gap",
        "licence": "head model: ICT-FaceKit (MIT, USC Institute for Creative Technologies)",
        "order": asdict(order) | {"head": Path(order.head).name},
        "first": first,
        "identities": identities,
        "pictures": n,
    }


def _rendered(
    order: RenderOrder, head: HeadModel, numbers: list[int], workers: int
) -> Iterator[RenderedIdentity]:
    """Yield the identities in their order."""
    if workers <= 1 or len(numbers) < 2:
        renderer = Renderer(head, order.px) if numbers else None
        for number in numbers:
            assert renderer is not None
            yield render_identity(renderer, order, number)
        if renderer is not None:
            renderer.close()
        return
    with _pool(order, workers) as pool:
        waiting: deque[Any] = deque()
        for number in numbers:
            waiting.append(pool.submit(_work, order, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _pool(order: RenderOrder, workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(order,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_OWN: dict[str, Renderer] = {}


def _begin(order: RenderOrder) -> None:
    import cv2  # noqa: PLC0415  (heavy)

    cv2.setNumThreads(1)
    _OWN["renderer"] = Renderer(read_head(Path(order.head)), order.px)


def _work(order: RenderOrder, number: int) -> RenderedIdentity:
    return render_identity(_OWN["renderer"], order, number)


class _ConditionsFile:
    """The table of conditions beside a set that is being written.

    Parameters
    ----------
    out : Path
        Folder of the set.
    n_rows : int
        Rows of it that the set has; what is behind them is cut off.
    """

    def __init__(self, out: Path, n_rows: int) -> None:
        self._path = out.parent / f".{out.name}.conditions.part"
        self._n = n_rows

    def __enter__(self) -> _ConditionsFile:
        lines: list[str] = []
        if self._n and self._path.is_file():
            lines = self._path.read_text("utf-8").splitlines(keepends=True)[: self._n + 1]
        if self._n and len(lines) != self._n + 1:
            raise DuchenneError(
                f"{self._path} does not fit the pictures that are there: remove it and the folder of "
                "that name that ends in .part, and begin anew."
            )
        self._file = self._path.open("w", encoding="utf-8")
        self._file.writelines(lines)
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def add(self, row: dict[str, str | float]) -> None:
        """Write one row, and the headings before the first."""
        if not self._n:
            self._file.write("\t".join(row) + "\n")
        self._file.write("\t".join(str(value) for value in row.values()) + "\n")
        self._n += 1

    def flush(self) -> None:
        """Write to the disk."""
        self._file.flush()

    def move_to(self, path: Path) -> None:
        """Put the finished table into the set."""
        self._path.replace(path)
