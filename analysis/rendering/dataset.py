"""Renders identities and writes them as a prepared set for ``duchenne train``."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne import __version__
from duchenne.analysis.rendering.action_units import LABEL_NAMES
from duchenne.analysis.rendering.graphics import open_context
from duchenne.analysis.rendering.head import read_head
from duchenne.analysis.rendering.identity import EXPRESSION, render_identity, subject_name
from duchenne.analysis.rendering.renderer import Renderer
from duchenne.analysis.training.prepared_writer import PreparedWriter
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from duchenne.analysis.rendering.head import HeadModel
    from duchenne.analysis.rendering.identity import RenderedIdentity, RenderOrder

CONDITIONS = "conditions.tsv"


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
    open_context().release()  # before anything is written, it tells what is missing
    names = (*LABEL_NAMES, EXPRESSION)
    about_order = asdict(order) | {"first": first, "head": Path(order.head).name}
    with PreparedWriter(out, order.px, names, about_order) as writer:
        begin = int(writer.place.get("next", first))
        numbers = list(range(begin, first + identities))
        with (
            _ConditionsFile(out, writer.n) as conditions,
            closing(_rendered(order, head, numbers, workers)) as people,
        ):
            new = 0
            for done in people:
                for row, image in enumerate(done.images):
                    truth, condition = done.labels[row], done.conditions[row]
                    source = f"{subject_name(done.number)}/{row:03d}/{condition['kind']}"
                    marks = np.asarray(done.landmarks[row], np.float64)
                    writer.add(image, marks, truth, subject_name(done.number), source)
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
) -> Generator[RenderedIdentity, None, None]:
    """Yield the identities in their order."""
    if not numbers:
        return
    if workers <= 1:
        renderer = Renderer(head, order.px)
        try:
            for number in numbers:
                yield render_identity(renderer, order, number)
        finally:
            renderer.close()
        return
    with _pool(order, min(workers, len(numbers))) as pool:
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
    except BrokenProcessPool as error:
        raise DuchenneError(
            "a process died: run the same command again to go on, with fewer --workers if memory was short."
        ) from error
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
