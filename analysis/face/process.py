"""From the frames of a video to a table with one row per frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.calibration import Calibration, calibrate, occurrence
from duchenne.analysis.face.emotion import match_prototypes
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.frames import BoolArray, FloatArray, Image
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.quality import DEFAULT_LIMITS, QualityLimits, confidence, usable
from duchenne.analysis.face.smoothing import median_step_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from duchenne.analysis.face.backends.base import AUBackend

__all__ = ["FaceResult", "analyse_face", "analyse_pictures", "face_features"]

BATCH = 32
DEFAULT_BACKEND = "blendshapes"
# Action Units that correlate less than this with the truth are kept out of the prototypes.
MIN_RELIABILITY = 0.3

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
        prototype_coverage``.
    """

    table: pd.DataFrame
    calibration: Calibration
    quality: dict[str, Any]

    @property
    def neutral(self) -> dict[str, Any]:
        """Return how the neutral face was found, and the thresholds that follow from it."""
        return self.calibration.to_dict()


@dataclass(frozen=True)
class _Measured:
    """Numbers per frame, before calibration."""

    frame: FloatArray
    time_s: FloatArray
    readable: BoolArray
    found: BoolArray
    usable: BoolArray
    confidence: FloatArray
    pose_deg: FloatArray
    features: FloatArray


def analyse_face(
    frames: Iterable[Frame],
    *,
    backend: str | AUBackend = DEFAULT_BACKEND,
    neutral: Sequence[tuple[float, float]] = (),
    n_frames: int | None = None,
    progress: Callable[[int], object] | None = None,
    limits: QualityLimits = DEFAULT_LIMITS,
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

    Raises
    ------
    DuchenneError
        When the face model is missing, or the backend is not known.
    """
    estimator = load_backend(backend) if isinstance(backend, str) else backend
    measured = _measure(frames, estimator, n_frames, progress, limits, still=False)
    calibration = calibrate(estimator, measured.features, measured.time_s, measured.usable, neutral)
    return _result(measured, estimator, calibration)


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
    measured = _measure(pictures, estimator, None, progress, limits, still=True)
    calibration = calibrate(
        estimator, measured.features, measured.time_s, measured.usable, still=True
    )
    return _result(measured, estimator, calibration)


def _measure(
    frames: Iterable[Frame],
    backend: AUBackend,
    n_frames: int | None,
    progress: Callable[[int], object] | None,
    limits: QualityLimits,
    *,
    still: bool,
) -> _Measured:
    batches: list[_Measured] = []
    done = 0
    rest: Iterator[Frame] = islice(iter(frames), n_frames)
    with FaceTracker(still=still) as tracker:
        while True:
            faces = tracker.track(islice(rest, BATCH), keep_images=backend.needs_images)
            if not len(faces):
                break
            features = backend.features(faces)
            confidences = confidence(faces, limits)
            batches.append(
                _Measured(
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


def _joined(batches: list[_Measured], n_features: int) -> _Measured:
    if not batches:
        none, no = np.zeros(0), np.zeros(0, np.bool_)
        return _Measured(none, none, no, no, no, none, np.zeros((0, 3)), np.zeros((0, n_features)))
    names = list(_Measured.__dataclass_fields__)
    return _Measured(*(np.concatenate([getattr(b, name) for b in batches]) for name in names))


def _result(measured: _Measured, backend: AUBackend, calibration: Calibration) -> FaceResult:
    raw = backend.intensities(measured.features, calibration.neutral)
    intensities = np.where(measured.usable[:, None], raw, np.nan)
    occurrences = occurrence(intensities, calibration)
    names = backend.au_names
    units = {name: intensities[:, i] for i, name in enumerate(names)}
    occurs = {name: occurrences[:, i] for i, name in enumerate(names)}
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
    measured: _Measured, backend: AUBackend, coverage: Mapping[str, float]
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
