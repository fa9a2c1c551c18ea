"""The student's files: a card, and the network that ONNX Runtime runs on one core.

A folder of ``duchenne models export`` holds ``student.json`` (the card), ``student.int8.onnx`` (what runs)
and ``student.safetensors`` (the weights in half precision, to train on from). The card names the hash of
each.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.geometry.model import N_CONTEXT, beyond
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

FORMAT = "duchenne-student-1"
CARD, NETWORK, WEIGHTS = "student.json", "student.int8.onnx", "student.safetensors"
SHIPPED = Path(__file__).parent / "weights"
ALIGNMENT = "eyes"
"""What :func:`duchenne.analysis.face.geometry.align.grey_crop` makes; other faces the backend cannot give."""
OWN, STRANGE = "own", "strange"
"""The person's neutral face is known; it is not, and a typical face stands for it."""
# Faces that go through the network together: the weights are then read from memory once for all of them.
TOGETHER = 8
MAX_INTENSITY = 5.0


@dataclass(frozen=True)
class Answer:
    """How outputs of the network become intensities, for one kind of reference.

    Parameters
    ----------
    share : (n,) float64
        Which part of the neutral face's output is taken away, 0 to 1.
    slope : (n,) float64
        Factor from the difference to intensities.
    zone : (1 + 6, n) float64
        Dead zone, as in :class:`duchenne.analysis.face.geometry.model.Network`; all 0 for none.
    """

    share: FloatArray
    slope: FloatArray
    zone: FloatArray

    @classmethod
    def plain(cls, n: int) -> Answer:
        """Return the one that takes the neutral face's output away and does nothing else."""
        return cls(np.ones(n), np.ones(n), np.zeros((1 + N_CONTEXT, n)))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Answer:
        """Return the one in a card."""
        return cls(*(np.array(table[name], np.float64) for name in ("share", "slope", "zone")))

    def raw(self, outputs: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return intensities before the dead zone, (k, n); may be negative."""
        return np.asarray((outputs - self.share * neutral) * self.slope, np.float64)

    def __call__(self, outputs: FloatArray, neutral: FloatArray, context: FloatArray) -> FloatArray:
        """Return intensities, 0 to 5, (k, n).

        Parameters
        ----------
        outputs : (k, n) float64
        neutral : (n,) float64
        context : (k, 6) float64
            How far head and eyes are turned, see :func:`duchenne.analysis.face.geometry.model.turned`.
        """
        raw = self.raw(outputs, neutral)
        if not self.zone.any():
            return np.asarray(np.clip(raw, 0.0, MAX_INTENSITY), np.float64)
        return beyond(raw, self.zone[0] + context @ self.zone[1:])


@dataclass
class StudentModel:
    """A student in its folder.

    The network is loaded, and its file compared with the card, when the first face is measured.

    Parameters
    ----------
    folder : Path
    card : mapping
        Of ``student.json``.
    """

    folder: Path
    card: Mapping[str, Any]
    _session: Any = field(default=None, init=False, repr=False)

    @property
    def units(self) -> tuple[str, ...]:
        """Return the Action Units in the order of the outputs."""
        return tuple(self.card["units"])

    @property
    def typical(self) -> FloatArray:
        """Return the outputs for a typical neutral face: (n,)."""
        return np.array(self.card.get("typical_neutral", [0.0] * len(self.units)), np.float64)

    def answer(self, reference: str) -> Answer:
        """Return how outputs become intensities where the neutral face is known or not."""
        fitted = self.card.get("calibration")
        return Answer.from_table(fitted[reference]) if fitted else Answer.plain(len(self.units))

    def outputs(self, pictures: NDArray[np.float32]) -> FloatArray:
        """Return what the network answers, 0 to 5.

        Parameters
        ----------
        pictures : (k, 1, input_px, input_px) float32
            Of :func:`duchenne.analysis.face.backends.pixels.student_input`.

        Returns
        -------
        (k, n) float64

        Raises
        ------
        DuchenneError
            When the network's file is missing, damaged, or not the one that the card is of.
        """
        found = np.zeros((len(pictures), len(self.units)))
        if len(pictures) and self._session is None:
            self._session = open_network(self.folder / NETWORK, self.card["files"][NETWORK])
        for first in range(0, len(pictures), TOGETHER):
            some = pictures[first : first + TOGETHER]
            found[first : first + TOGETHER] = self._session.run(None, {"grey": some})[0]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "card": self.card, "_session": None}


def read_student(folder: Path | None = None) -> StudentModel:
    """Open a student; only its card is read.

    Parameters
    ----------
    folder : Path, optional
        The one that is shipped where absent.

    Raises
    ------
    DuchenneError
        When there is none, or it is not for this backend.
    """
    place = SHIPPED if folder is None else folder
    path = place / CARD
    if folder is None and not path.is_file():
        raise DuchenneError(
            f"{place} holds no student: this copy was made without one. Name your own, student:FOLDER "
            "(`duchenne models export` writes it)."
        )
    try:
        card = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DuchenneError(
            f"{path} cannot be read ({error.strerror or error}): a student is a folder that "
            "`duchenne models export` wrote."
        ) from error
    except ValueError as error:
        raise DuchenneError(f"{path} is no card of a student: {error}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise DuchenneError(f"{path} is no card of the format {FORMAT}.")
    if card["alignment"] != ALIGNMENT:
        raise DuchenneError(
            f"{path}: the student was trained on faces aligned as {card['alignment']}; the backend gives "
            f"it grey faces aligned by the {ALIGNMENT}."
        )
    return StudentModel(place, card)


def open_network(path: Path, row: Mapping[str, Any], *, threads: int = 1) -> Any:
    """Return a session of ONNX Runtime on a network, after its file was compared with the card.

    Parameters
    ----------
    path : Path
    row : mapping
        ``sha256`` of the file.
    threads : int
        Cores that one face is worked on with.

    Raises
    ------
    DuchenneError
        When the file is missing, or is another one than the card says.
    """
    import onnxruntime  # noqa: PLC0415  (heavy; loaded when the first face is measured)

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DuchenneError(f"{path} cannot be read ({error.strerror or error}).") from error
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise DuchenneError(
            f"{path} is not the file that its card is of (another SHA-256): export it again, or install "
            "the package again."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
