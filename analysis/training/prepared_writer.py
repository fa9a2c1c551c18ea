"""Writes a prepared set picture by picture, so that neither its size nor a break matters.

The set grows in a folder aside, ``.NAME.part``, and gets its name when it is complete. After every part that
is written whole, ``progress.json`` says how far it is; a later run of the same order goes on there.
"""

from __future__ import annotations

import io
import json
import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.training.prepared import ABOUT, IMAGES, LABELS, LANDMARKS, N_LANDMARKS
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

    from duchenne.analysis.face.frames import FloatArray, Image

PROGRESS = "progress.json"
_HEADER_BYTES = 128


class GrowingArray:
    """An array in a ``.npy`` file that grows row by row; a reader sees the rows since `settle`.

    Parameters
    ----------
    path : Path
    row_shape : tuple of int
    dtype : numpy dtype
    n_rows : int
        Rows that are there and stay; what is behind them is cut off. 0 begins anew.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: Any, n_rows: int = 0) -> None:
        self._shape, self._dtype, self._n = row_shape, np.dtype(dtype), n_rows
        self._file: BinaryIO = path.open("r+b" if n_rows else "w+b")
        if not n_rows:
            self._file.write(self._header())
        row_bytes = math.prod(row_shape) * self._dtype.itemsize
        self._file.truncate(_HEADER_BYTES + n_rows * row_bytes)
        self._file.seek(0, io.SEEK_END)

    def append(self, row: Any) -> None:
        """Write one more row."""
        array = np.ascontiguousarray(row, self._dtype)
        if array.shape != self._shape:
            raise ValueError(f"a row is {array.shape}, not {self._shape}")
        self._file.write(array.tobytes())
        self._n += 1

    def settle(self) -> None:
        """Make all rows that were written readable."""
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, io.SEEK_END)
        self._file.flush()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _header(self) -> bytes:
        """Return the heading of version 1.0, as long whatever the number of rows is."""
        text = str(
            {"descr": self._dtype.str, "fortran_order": False, "shape": (self._n, *self._shape)}
        )
        start = b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little")
        return start + text.ljust(_HEADER_BYTES - 11).encode("latin1") + b"\n"


class PreparedWriter:
    """A prepared set that is being written; use it as a context manager.

    Parameters
    ----------
    out : Path
        Folder that the set gets in the end; must not exist.
    px : int
        Side of the pictures.
    names : sequence of str
        Of the labels.
    order : dict
        What is being prepared; only the same order goes on.

    Attributes
    ----------
    place : dict
        What `keep` was given last: empty at the beginning.

    Raises
    ------
    DuchenneError
        When the folder is there already or cannot be written.
    """

    def __init__(self, out: Path, px: int, names: Sequence[str], order: Mapping[str, Any]) -> None:
        if out.exists():
            raise DuchenneError(f"{out} exists already: name another folder, or remove it.")
        self._out, self._aside = out, out.parent / f".{out.name}.part"
        self._names, self._order = tuple(names), dict(order)
        self._px = px
        self.n = 0
        self.place: dict[str, Any] = {}

    def __enter__(self) -> PreparedWriter:
        try:
            kept = self._kept()
            if kept is None:
                shutil.rmtree(self._aside, ignore_errors=True)
                self._aside.mkdir(parents=True)
            self.n = kept["n"] if kept else 0
            self.place = kept["place"] if kept else {}
            shape = (self._px, self._px, 3)
            self._images = GrowingArray(self._aside / IMAGES, shape, np.uint8, self.n)
            points = (N_LANDMARKS, 2)
            self._points = GrowingArray(self._aside / LANDMARKS, points, np.float32, self.n)
            self._labels = (self._aside / LABELS).open("r+b" if self.n else "w+b")
            if self.n:
                assert kept is not None
                self._labels.truncate(kept["labels_bytes"])
                self._labels.seek(0, io.SEEK_END)
            else:
                self._line(["subject", "source", *self._names])
        except OSError as error:
            raise DuchenneError(
                f"{self._aside} cannot be written ({error.strerror or error})."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (self._images, self._points, self._labels):
            file.close()

    def _kept(self) -> dict[str, Any] | None:
        path = self._aside / PROGRESS
        try:
            kept = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        same = kept.get("order") == self._order and kept.get("names") == list(self._names)
        return dict(kept) if same else None

    def add(
        self,
        image: Image,
        points: FloatArray,
        labels: Mapping[str, float],
        subject: str,
        source: str,
    ) -> None:
        """Write one picture.

        Parameters
        ----------
        image : (px, px, 3) uint8
        points : (68, 2) float
            In pixels of the picture; NaN where not known.
        labels : mapping of str to float
            Those that are not there are not known.
        subject, source : str
        """
        self._images.append(image)
        self._points.append(points)
        cells = (f"{labels[n]:.6g}" if n in labels else "n/a" for n in self._names)
        self._line([_clean(subject), _clean(source), *cells])
        self.n += 1

    def _line(self, cells: Sequence[str]) -> None:
        self._labels.write(("\t".join(cells) + "\n").encode())

    def keep(self, place: Mapping[str, Any]) -> None:
        """Note that all up to this place is written."""
        for file in (self._images, self._points):
            file.settle()
        self._labels.flush()
        self.place = dict(place)
        note = {
            "n": self.n,
            "labels_bytes": self._labels.tell(),
            "order": self._order,
            "names": list(self._names),
            "place": self.place,
        }
        fresh = self._aside / f"{PROGRESS}.new"
        fresh.write_text(json.dumps(note), "utf-8")
        fresh.replace(self._aside / PROGRESS)

    def finish(self, about: Mapping[str, Any]) -> None:
        """Complete the set and give it its name."""
        for file in (self._images, self._points):
            file.settle()
        self._labels.flush()
        (self._aside / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        (self._aside / PROGRESS).unlink(missing_ok=True)
        self._aside.rename(self._out)

    def give_up(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._aside, ignore_errors=True)


def _clean(text: str) -> str:
    return " ".join(text.replace('"', "'").split()) or "unknown"
