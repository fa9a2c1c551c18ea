"""One picture in, Action Units and affect out: the same measures as on a film, a frame at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.backends.base import MIN_RELIABILITY
from duchenne.analysis.face.calibration import occurrence
from duchenne.analysis.face.emotion import EXPRESSIONS, LABELS, NOT_ASSESSABLE, match_prototypes
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.quality import DEFAULT_LIMITS, confidence, usable

if TYPE_CHECKING:
    from types import TracebackType

    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import FloatArray, Image
    from duchenne.analysis.face.live_neutral import LiveNeutral

_WARM_UP_PX = 128


@dataclass(frozen=True)
class LiveFrame:
    """What was measured in one picture.

    Attributes
    ----------
    intensities : (n_aus,) float64
        0 to 5, in the backend's order; NaN = not measured.
    valence, arousal : float
        Of the expression, -1 to 1; arousal is NaN, as it needs a model trained on human ratings.
    prototype : str
        One of :data:`duchenne.analysis.face.emotion.LABELS`.
    scores : (7,) float64
        Of the prototypes in the order of ``EXPRESSIONS``; 0 to 1, NaN = not assessable.
    confidence : float
        0 to 1; 0 where there is no face.
    is_usable : bool
    pose_deg : (3,) float64
        Pitch, yaw and roll; NaN where there is no face.
    """

    intensities: FloatArray
    valence: float
    arousal: float
    prototype: str
    scores: FloatArray
    confidence: float
    is_usable: bool
    pose_deg: FloatArray


class LiveMeter:
    """Measures pictures as they come, against the reference in force.

    Parameters
    ----------
    backend : AUBackend
    neutral : LiveNeutral
        Is told of each frame.
    """

    def __init__(self, backend: AUBackend, neutral: LiveNeutral) -> None:
        self._backend, self._neutral = backend, neutral
        self._tracker = FaceTracker()
        self._reliable = [
            au for au in backend.au_names if backend.reliability.get(au, 1.0) >= MIN_RELIABILITY
        ]
        self._n = 0
        self._occurred: FloatArray | None = None

    def __enter__(self) -> LiveMeter:
        self._tracker.__enter__()
        # The first inference takes a good part of a second: it is not left to the first frame.
        blank = np.zeros((_WARM_UP_PX, _WARM_UP_PX, 3), np.uint8)
        self._tracker.track([(0, 0.0, blank)])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tracker.__exit__(kind, error, trace)

    def measure(self, time_s: float, image: Image | None) -> LiveFrame:
        """Measure one picture.

        Parameters
        ----------
        time_s : float
            When it was captured.
        image : (height, width, 3) uint8 RGB, or None
            None stands for a picture that could not be decoded.
        """
        backend = self._backend
        faces = self._tracker.track([(self._n, time_s, image)], keep_images=backend.needs_images)
        self._n += 1
        confidences = confidence(faces, DEFAULT_LIMITS)
        is_usable = bool(usable(faces, confidences, DEFAULT_LIMITS)[0])
        if not is_usable:
            self._neutral.add(time_s, np.zeros(0), is_usable=False)
            return self._nothing(float(confidences[0]), faces.pose_deg[0])
        features = backend.features(faces)
        self._neutral.add(time_s, features[0], is_usable=True)
        return self._affect(features, float(confidences[0]), faces.pose_deg[0])

    def _affect(self, features: FloatArray, confidence: float, pose_deg: FloatArray) -> LiveFrame:
        backend, calibration = self._backend, self._neutral.calibration
        intensities = backend.intensities(features, calibration.neutral)
        occurs = occurrence(intensities, calibration, self._occurred)
        self._occurred = occurs[0]
        units = {au: intensities[:, i] for i, au in enumerate(backend.au_names)}
        occurrences = {au: occurs[:, i] for i, au in enumerate(backend.au_names)}
        match = match_prototypes(
            {au: units[au] for au in self._reliable},
            {au: occurrences[au] for au in self._reliable},
            backend.reliability,
        )
        return LiveFrame(
            intensities=intensities[0],
            valence=float(expressive_valence(units)[0]),
            arousal=float("nan"),
            prototype=str(match.label[0]),
            scores=np.array([match.scores[name][0] for name in EXPRESSIONS]),
            confidence=confidence,
            is_usable=True,
            pose_deg=pose_deg,
        )

    def _nothing(self, confidence: float, pose_deg: FloatArray) -> LiveFrame:
        self._occurred = None
        return LiveFrame(
            intensities=np.full(len(self._backend.au_names), np.nan),
            valence=float("nan"),
            arousal=float("nan"),
            prototype=NOT_ASSESSABLE,
            scores=np.full(len(EXPRESSIONS), np.nan),
            confidence=confidence,
            is_usable=False,
            pose_deg=pose_deg,
        )


def prototype_code(label: str) -> float:
    """Return the number that stands for a prototype in the affect stream."""
    return float(LABELS.index(label))
