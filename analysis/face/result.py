"""The table of frames: Action Units, what they match, how well the face was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.backends.base import MIN_RELIABILITY
from duchenne.analysis.face.calibration import Calibration, occurrence
from duchenne.analysis.face.emotion import match_prototypes
from duchenne.analysis.face.geometry.closure import add_closed_eyes
from duchenne.analysis.face.smoothing import median_step_s

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.dynamics import Dynamics
    from duchenne.analysis.face.frames import FloatArray
    from duchenne.analysis.face.measured import Measured, MeasuredFilm

BLOCK = 4096


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


def _in_blocks(backend: AUBackend, features: FloatArray, neutral: FloatArray) -> FloatArray:
    """Return the intensities of a whole recording; the layers of a network hold one block at a time."""
    starts = range(0, max(len(features), 1), BLOCK)
    return np.concatenate([backend.intensities(features[i : i + BLOCK], neutral) for i in starts])


def usable_intensities(
    measured: Measured, backend: AUBackend, calibration: Calibration
) -> FloatArray:
    """Return the intensities of the backend's Action Units, (n, n_aus), 0 to 5; NaN in unusable frames."""
    raw = _in_blocks(backend, measured.features, calibration.neutral)
    return np.where(measured.usable[:, None], raw, np.nan)


def frame_result(
    measured: Measured,
    backend: AUBackend,
    calibration: Calibration,
    before: FloatArray | None = None,
) -> FaceResult:
    """Return the table of frames, without what happens over time, from their numbers.

    Parameters
    ----------
    measured : Measured
    backend : AUBackend
    calibration : Calibration
    before : (n_aus,) float64, optional
        Which Action Units occurred in the frame before the first; none where absent.
    """
    intensities = usable_intensities(measured, backend, calibration)
    occurrences = occurrence(intensities, calibration, before)
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
        quality=film_quality(measured, backend) | {"prototype_coverage": dict(match.coverage)},
    )


def film_quality(film: Measured | MeasuredFilm, backend: AUBackend) -> dict[str, Any]:
    """Return how many frames there are, at what rate, and how well the face is seen in them."""
    n = len(film.frame)
    step_s = median_step_s(film.time_s)
    return {
        "n_frames": n,
        "n_undecodable": int((~film.readable).sum()),
        "face_fraction": float(film.found.mean()) if n else np.nan,
        "usable_fraction": float(film.usable.mean()) if n else np.nan,
        "sampling_rate_hz": 1.0 / step_s if step_s > 0 else np.nan,
        "backend": backend.name,
    }
