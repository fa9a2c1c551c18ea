"""From the frames of a video to a table with one row per frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND, load_backend
from duchenne.analysis.face.calibration import Calibration, calibrate, occurrence
from duchenne.analysis.face.dynamics import (
    DEFAULT_OPTIONS,
    Dynamics,
    DynamicsOptions,
    face_dynamics,
)
from duchenne.analysis.face.emotion import match_prototypes
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.flow import FlowReader
from duchenne.analysis.face.frames import BoolArray, FloatArray, Image
from duchenne.analysis.face.geometry.closure import add_closed_eyes
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.microexpressions import fast_enough
from duchenne.analysis.face.quality import DEFAULT_LIMITS, QualityLimits, confidence, usable
from duchenne.analysis.face.signals import FaceSignals
from duchenne.analysis.face.smoothing import median_step_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import FaceFrames

__all__ = ["FaceResult", "analyse_face", "analyse_pictures", "face_features"]

BATCH = 32
BLOCK = 4096
# Action Units that correlate less than this with the truth are kept out of the prototypes.
MIN_RELIABILITY = 0.5
# The rate of a film is taken from so many frames at its beginning.
RATE_FRAMES = 8

Sound = tuple[FloatArray, FloatArray]
Frame = tuple[int, float, Image | None]


@dataclass(frozen=True)
class FaceResult:
    """What was measured in one video.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per frame: ``frame time face confidence pose_pitch_deg pose_yaw_deg pose_roll_deg
        usable AUxx_r … AUxx_c … expr_valence expr_arousal expr_prototype speaking``. Times are the
        caller's seconds. Frames that cannot be measured are NaN, never 0.
    calibration : Calibration
        The neutral face that intensities are measured from.
    quality : dict
        ``n_frames n_undecodable face_fraction usable_fraction sampling_rate_hz backend
        prototype_coverage dynamics`` (the settings of the temporal measures, and what is n/a and why).
    dynamics : Dynamics, optional
        What happens over time; None for pictures.
    """

    table: pd.DataFrame
    calibration: Calibration
    quality: dict[str, Any]
    dynamics: Dynamics | None = None

    @property
    def neutral(self) -> dict[str, Any]:
        """Return how the neutral face was found, and the thresholds that follow from it."""
        return self.calibration.to_dict()


@dataclass(frozen=True)
class Measured:
    """Numbers per frame, before calibration.

    Parameters
    ----------
    frame : (n,) float64
        Index of the frame.
    time_s, confidence : (n,) float64
    readable, found, usable : (n,) bool
        The frame could be decoded; a face was found in it; the face can be measured.
    pose_deg : (n, 3) float64
        Pitch, yaw, roll.
    features : (n, n_features) float64
        As the backend gives them.
    """

    frame: FloatArray
    time_s: FloatArray
    readable: BoolArray
    found: BoolArray
    usable: BoolArray
    confidence: FloatArray
    pose_deg: FloatArray
    features: FloatArray


@dataclass(frozen=True)
class _Film:
    """What the temporal measures need besides, one entry per batch; flow only with a reader."""

    reader: FlowReader | None
    signals: list[FaceSignals] = field(default_factory=list)
    flow: list[FloatArray] = field(default_factory=list)

    def add(self, faces: FaceFrames) -> None:
        """Read a batch of frames."""
        self.signals.append(FaceSignals.of(faces))
        if self.reader is not None:
            self.flow.append(self.reader.read(faces))


def analyse_face(
    frames: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    neutral: Sequence[tuple[float, float]] = (),
    n_frames: int | None = None,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
    sound: Sound | None = None,
    options: DynamicsOptions = DEFAULT_OPTIONS,
) -> FaceResult:
    """Measure one person's face in every frame of a video.

    The frames are read once and let go; what is kept is a few hundred bytes per frame.

    Parameters
    ----------
    frames : iterable of (frame index, time in seconds, (height, width, 3) uint8 RGB or None)
        In the order of time; None stands for a frame that could not be decoded.
    backend : str or AUBackend
        Estimator of the Action Units, by name or itself.
    neutral : sequence of (start, end)
        The neutral phase in the seconds of the frames; empty where there is none.
    n_frames : int, optional
        How many frames to read at most; all of them where absent.
    progress : callable, optional
        Told the number of frames done, after each batch.
    limits : QualityLimits
        What counts as usable.
    sound : (times_s, level_dbfs), optional
        Level of a microphone on the clock of the frames, to tell speech.
    options : DynamicsOptions
        Settings of the temporal measures.

    Raises
    ------
    DuchenneError
        When the face model is missing, or the backend is not known.
    """
    estimator = load_backend(backend) if isinstance(backend, str) else backend
    rest = islice(iter(frames), n_frames)
    begin = list(islice(rest, RATE_FRAMES))
    is_fast = fast_enough(np.array([time_s for _, time_s, _ in begin]))
    film = _Film(FlowReader() if is_fast else None)
    measured = _measure(_chained(begin, rest), estimator, progress, limits, film)
    calibration = calibrate(estimator, measured.features, measured.time_s, measured.usable, neutral)
    result = frame_result(measured, estimator, calibration)
    dynamics = face_dynamics(
        result.table,
        FaceSignals.joined(film.signals).where(measured.usable),
        estimator,
        flow=np.concatenate(film.flow) if film.flow else None,
        sound=sound,
        options=options,
    )
    return replace(
        result,
        table=result.table.assign(speaking=dynamics.speaking),
        quality=result.quality | {"dynamics": dynamics.report},
        dynamics=dynamics,
    )


def analyse_pictures(
    pictures: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
) -> FaceResult:
    """Measure the largest face of each of several pictures that have nothing to do with each other.

    Parameters and result are those of :func:`analyse_face`; every picture is compared with a
    typical neutral face.
    """
    estimator = load_backend(backend) if isinstance(backend, str) else backend
    measured = _measure(iter(pictures), estimator, progress, limits)
    calibration = calibrate(
        estimator, measured.features, measured.time_s, measured.usable, still=True
    )
    return frame_result(measured, estimator, calibration)


def _chained(begin: list[Frame], rest: Iterator[Frame]) -> Iterator[Frame]:
    """Give the frames that were looked at already, and let go of each, then the others."""
    begin.reverse()
    while begin:
        yield begin.pop()
    yield from rest


def _measure(
    frames: Iterator[Frame],
    backend: AUBackend,
    progress: Callable[[int], object] | None,
    limits: QualityLimits,
    film: _Film | None = None,
) -> Measured:
    """Read all frames; those of a film go to `film` too, pictures have none."""
    batches: list[Measured] = []
    done = 0
    keep_images = backend.needs_images or (film is not None and film.reader is not None)
    with FaceTracker(still=film is None) as tracker:
        while True:
            faces = tracker.track(islice(frames, BATCH), keep_images=keep_images)
            if not len(faces):
                break
            if film is not None:
                film.add(faces)
            features = backend.features(faces)
            confidences = confidence(faces, limits)
            batches.append(
                Measured(
                    frame=faces.frame.astype(np.float64),
                    time_s=faces.time_s,
                    readable=np.isfinite(faces.size_px[:, 0]),
                    found=faces.found,
                    usable=usable(faces, confidences, limits),
                    confidence=confidences,
                    pose_deg=faces.pose_deg,
                    features=features.astype(np.float32).astype(np.float64),
                )
            )
            done += len(faces)
            if progress is not None:
                progress(done)
    return _joined(batches, len(backend.feature_names))


def _joined(batches: list[Measured], n_features: int) -> Measured:
    if not batches:
        none, no = np.zeros(0), np.zeros(0, np.bool_)
        return Measured(none, none, no, no, no, none, np.zeros((0, 3)), np.zeros((0, n_features)))
    names = list(Measured.__dataclass_fields__)
    return Measured(*(np.concatenate([getattr(b, name) for b in batches]) for name in names))


def _in_blocks(backend: AUBackend, features: FloatArray, neutral: FloatArray) -> FloatArray:
    """Return the intensities of a whole recording; the layers of a network hold one block at a time."""
    starts = range(0, max(len(features), 1), BLOCK)
    return np.concatenate([backend.intensities(features[i : i + BLOCK], neutral) for i in starts])


def frame_result(measured: Measured, backend: AUBackend, calibration: Calibration) -> FaceResult:
    """Return the table of frames, without what happens over time, from their numbers."""
    raw = _in_blocks(backend, measured.features, calibration.neutral)
    intensities = np.where(measured.usable[:, None], raw, np.nan)
    occurrences = occurrence(intensities, calibration)
    names = backend.au_names
    units = {name: intensities[:, i] for i, name in enumerate(names)}
    occurs = {name: occurrences[:, i] for i, name in enumerate(names)}
    add_closed_eyes(units, occurs, measured.time_s, in_order=calibration.in_order)
    reliable = [au for au in names if backend.reliability.get(au, 1.0) >= MIN_RELIABILITY]
    match = match_prototypes(
        {au: units[au] for au in reliable}, {au: occurs[au] for au in reliable}, backend.reliability
    )
    n = len(measured.frame)
    columns: dict[str, Any] = {
        "frame": measured.frame.astype(np.int64),
        "time": measured.time_s,
        "face": measured.found,
        "confidence": measured.confidence,
        "pose_pitch_deg": measured.pose_deg[:, 0],
        "pose_yaw_deg": measured.pose_deg[:, 1],
        "pose_roll_deg": measured.pose_deg[:, 2],
        "usable": measured.usable,
        **{f"{name}_r": values for name, values in units.items()},
        **{f"{name}_c": values for name, values in occurs.items()},
        "expr_valence": expressive_valence(units),
        "expr_arousal": np.full(n, np.nan),
        "expr_prototype": match.label,
        "speaking": np.full(n, np.nan),
    }
    return FaceResult(
        table=pd.DataFrame(columns),
        calibration=calibration,
        quality=_quality(measured, backend, match.coverage),
    )


def _quality(
    measured: Measured, backend: AUBackend, coverage: Mapping[str, float]
) -> dict[str, Any]:
    n = len(measured.frame)
    step_s = median_step_s(measured.time_s)
    return {
        "n_frames": n,
        "n_undecodable": int((~measured.readable).sum()),
        "face_fraction": float(measured.found.mean()) if n else np.nan,
        "usable_fraction": float(measured.usable.mean()) if n else np.nan,
        "sampling_rate_hz": 1.0 / step_s if step_s > 0 else np.nan,
        "backend": backend.name,
        "prototype_coverage": dict(coverage),
    }
