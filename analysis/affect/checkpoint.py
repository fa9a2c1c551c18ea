"""The ``checkpoint`` backend: valence, arousal and classes by a trained system that the user supplies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from duchenne.analysis.affect.base import QUADRANT
from duchenne.analysis.affect.columns import CLASS_TOP, ENTROPY, probability_column
from duchenne.analysis.affect.faces import squares
from duchenne.analysis.affect.network import OURS, read_trained
from duchenne.analysis.affect.reference import (
    NEUTRAL_PHASE,
    NONE,
    RUNNING,
    RunningRest,
    rest_of,
)
from duchenne.analysis.affect.rule import NO_AROUSAL, VALENCE_BY_RULE
from duchenne.analysis.affect.runtime import eight_bits, faster
from duchenne.analysis.affect.systems import Answers, Reading, reading_of
from duchenne.analysis.face.affect import affect_quadrant
from duchenne.analysis.training.augment import normalised

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.affect.network import Trained
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

SILENT = "none: the film counts as silent"
AT_ONCE = 8
"""Pictures that a network is asked about together."""
_TREMBLE = 0.9
"""A frame is due when at least this share of the step at the wished rate has passed."""


class CheckpointBackend:
    """Asks a system about every face, or so many per second.

    Parameters
    ----------
    file : str
        Weights of ``duchenne train`` (``best.safetensors``), or a published EmoFAN file.
    rate_hz : float, optional
        Frames per second that are asked about at most; all where absent. The others are n/a.
    onnx : bool, default True
        Look at the pictures with ONNX Runtime where it is installed; the numbers differ by some 1e-6.

    Raises
    ------
    UsageError, DuchenneError
        See :func:`duchenne.analysis.affect.network.read_trained`.
    """

    name = "checkpoint"
    needs_images = True

    def __init__(
        self,
        file: str,
        rate_hz: float | None = None,
        *,
        onnx: bool = True,
    ) -> None:
        self.trained: Trained = read_trained(Path(file))
        self.file = Path(file).name
        self.rate_hz = rate_hz
        self.reading: Reading = reading_of(self.trained)
        module = self.reading.picture
        assert isinstance(module, torch.nn.Module)
        # A published file is used where it lies: its licence may forbid to write its weights in another form.
        ours = Path(file).suffix.lower() == OURS
        small = eight_bits(Path(file)) if onnx and ours else None
        quick = small or (faster(module, Path(file), self.trained.px) if onnx and ours else None)
        plain = "PyTorch" if quick is None else "ONNX Runtime"
        self.runtime = plain if small is None else "ONNX Runtime, 8 bits"
        self.reading.picture = quick or module
        self.n_features = self.reading.n_features
        self.hears = self.trained.hears
        self._next_s = -np.inf
        self._last_s = -np.inf

    @property
    def told(self) -> tuple[str, ...]:
        """What was loaded, one line each."""
        return self.trained.told

    def features(self, faces: FaceFrames) -> FloatArray:
        """Return what is kept of each face; NaN where there is none, or the frame is not asked about."""
        found = np.full((len(faces), self.n_features), np.nan)
        rows = [i for i in np.flatnonzero(faces.found) if faces.images[i] is not None]
        asked = np.array(
            [i for i in rows if faces.still or self._due(float(faces.time_s[i]))], np.intp
        )
        entry = self.trained.entry
        for first in range(0, len(asked), AT_ONCE):
            some = asked[first : first + AT_ONCE]
            pictures = torch.from_numpy(
                squares(faces, some, self.trained.alignment, self.trained.px)
            )
            images = normalised(pictures.permute(0, 3, 1, 2) / 255, entry.preprocessing)
            with torch.no_grad():
                found[some] = self.reading.features(images.contiguous()).double().numpy()
        return found

    def start(self, neutral: FloatArray, *, still: bool = False) -> CheckpointRun:
        """Begin a film."""
        return CheckpointRun(self, neutral, still=still)

    def _due(self, time_s: float) -> bool:
        """Return whether a frame is asked about; frames come in the order of time, film by film."""
        if self.rate_hz is None:
            return True
        if time_s < self._last_s:  # another film
            self._next_s = -np.inf
        self._last_s = time_s
        step = 1.0 / self.rate_hz
        if time_s < self._next_s - (1 - _TREMBLE) * step:
            return False
        self._next_s = time_s + step if time_s > self._next_s + step else self._next_s + step
        return True


class CheckpointRun:
    """One film."""

    def __init__(self, backend: CheckpointBackend, neutral: FloatArray, *, still: bool) -> None:
        self._backend, self._still = backend, still
        self._rest = rest_of(neutral) if backend.reading.needs_neutral and not still else None
        self._running = RunningRest()
        self._heard: Heard | None = None

    def hear(self, heard: Heard) -> None:
        """Take the sound of the film, on the clock of its frames."""
        self._heard = heard

    def columns(
        self, features: FloatArray, table: pd.DataFrame, first: int, last: int
    ) -> dict[str, NDArray[Any]]:
        """Return the columns of a part of the film; NaN where not asked about."""
        usable = table["usable"].to_numpy(np.bool_)
        asked: BoolArray = np.asarray(np.isfinite(features).all(axis=1), np.bool_)
        neutral = self._neutral(features, table, usable, first, last)
        if self._heard is not None:
            sound = self._heard.features(table["time"].to_numpy(np.float64))
            features = np.concatenate([features, sound], axis=1)
        answers = self._answers(features, usable, asked, neutral)
        columns: dict[str, NDArray[Any]] = {
            f"expr_{name}": np.where(asked, values, np.nan)
            for name, values in answers.values.items()
        }
        columns |= {
            f"expr_{name}_spread": np.where(asked, values, np.nan)
            for name, values in answers.spread.items()
        }
        if {"expr_valence", "expr_arousal"} <= columns.keys():
            columns[QUADRANT] = affect_quadrant(columns["expr_valence"], columns["expr_arousal"])
        return columns | class_columns(answers.probabilities, self._backend.trained.classes)

    def report(self) -> dict[str, Any]:
        """Return what the columns rest on."""
        backend = self._backend
        known = backend.trained.dimensions
        rests = [] if "valence" in known else [VALENCE_BY_RULE]
        rests += [] if "arousal" in known else [NO_AROUSAL]
        said = (*known, *(("classes of expression",) if backend.trained.classes else ()))
        rests.append(f"{', '.join(said)}: {backend.file} ({backend.trained.entry.name})")
        found: dict[str, Any] = {
            "backend": backend.name,
            "file": backend.file,
            "system": backend.trained.entry.name,
            "alignment": backend.trained.alignment,
            "classes": list(backend.trained.classes),
            "window_frames": backend.reading.window,
            "rate_hz": backend.rate_hz,
            "runtime": backend.runtime,
            "rests_on": rests,
            "told": list(backend.told),
        }
        if getattr(backend.trained.net, "n_sound", 0):
            found["sound"] = SILENT if self._heard is None else self._heard.source
        if backend.reading.needs_neutral:
            found["face_at_rest"] = (
                NONE if self._still else RUNNING if self._rest is None else NEUTRAL_PHASE
            )
        return found

    def _answers(
        self, features: FloatArray, usable: BoolArray, asked: BoolArray, neutral: FloatArray
    ) -> Answers:
        """Ask about the frames that were looked at, which are a series of their own."""
        reading = self._backend.reading
        if reading.window == 1:
            return reading.answers(features, usable, neutral)
        due = asked | (~usable if self._backend.rate_hz is None else np.zeros(len(asked), bool))
        rows = np.flatnonzero(due)
        some = reading.answers(features[rows], (usable & asked)[rows], neutral[rows])

        def spread_out(values: FloatArray) -> FloatArray:
            whole = np.full((len(due), *values.shape[1:]), np.nan)
            whole[rows] = values
            whole[~asked] = np.nan
            return whole

        return Answers(
            {name: spread_out(values) for name, values in some.values.items()},
            spread_out(some.probabilities),
        )

    def _neutral(
        self,
        features: FloatArray,
        table: pd.DataFrame,
        usable: BoolArray,
        first: int,
        last: int,
    ) -> FloatArray:
        if not self._backend.reading.needs_neutral or self._still:
            return features
        if self._rest is not None:
            return np.broadcast_to(self._rest, features.shape)
        levels = np.full(features.shape, np.nan)
        some = slice(first, last)
        units = [c for c in table.columns if str(c).startswith("AU") and str(c).endswith("_r")]
        strength = table[units].to_numpy(np.float64)[some].mean(axis=1) if units else None
        levels[some] = self._running.levels(
            features[some],
            np.zeros(last - first) if strength is None else strength,
            usable[some],
            table["time"].to_numpy(np.float64)[some],
        )
        return levels


def class_columns(probabilities: FloatArray, classes: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return the probability of each class, the most probable class and the entropy.

    Parameters
    ----------
    probabilities : (n, c) float64
        Rows sum to 1, or are NaN.
    classes : tuple of str

    Returns
    -------
    dict
        ``expr_p_NAME`` …, ``expr_class`` (None where not known), ``expr_class_entropy``: 0 where one class
        is certain, 1 where all are equally likely.
    """
    if not classes:
        return {}
    known = np.isfinite(probabilities).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(probabilities > 0, np.log(probabilities), 0.0)
    entropy = -(probabilities * logs).sum(axis=1) / np.log(max(len(classes), 2))
    label = np.full(len(probabilities), None, dtype=object)
    best = np.nan_to_num(probabilities).argmax(axis=1)
    label[known] = np.array(classes, dtype=object)[best[known]]
    columns: dict[str, NDArray[Any]] = {
        probability_column(name): probabilities[:, i] for i, name in enumerate(classes)
    }
    return columns | {CLASS_TOP: label, ENTROPY: np.where(known, entropy, np.nan)}
