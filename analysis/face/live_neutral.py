"""The neutral face of a live measurement: a typical one until the person's own is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from duchenne.analysis.face.calibration import MIN_NEUTRAL_FRAMES, Calibration, calibrate

if TYPE_CHECKING:
    from duchenne.analysis.face.backends.base import AUBackend
    from duchenne.analysis.face.frames import FloatArray

NeutralFrom = Literal["first", "markers", "typical"]
TYPICAL, FIRST_SECONDS, NEUTRAL_PHASE = 0, 1, 2
REFERENCES = ("typical face", "first seconds", "neutral phase")
"""What the codes of the channel ``reference`` mean."""
LONGEST_S = 120.0
"""A neutral phase whose end is never marked is closed after this time."""


class LiveNeutral:
    """Collects the frames of a neutral phase and makes the reference from them.

    A neutral phase that markers announce (``neutral_onset`` … ``neutral_offset``) always counts and
    replaces what was known before. Without one, the first seconds in which the face can be measured
    stand for it (`source` ``"first"``); until then, and where neither is wanted, a typical neutral
    face is the reference.

    Parameters
    ----------
    backend : AUBackend
    source : {"first", "markers", "typical"}
    first_s : float
        Length of the first seconds.

    Attributes
    ----------
    calibration : Calibration
        The reference in force.
    code : int
        Index in :data:`REFERENCES`.
    """

    def __init__(
        self, backend: AUBackend, source: NeutralFrom = "first", first_s: float = 5.0
    ) -> None:
        self._backend, self._source, self._first_s = backend, source, first_s
        self.calibration = self._typical()
        self.code = TYPICAL
        self._phase_from_s: float | None = None
        self._times_s: list[float] = []
        self._features: list[FloatArray] = []

    @property
    def is_collecting(self) -> bool:
        """Whether frames are being kept for a reference."""
        waits_for_first = self._source == "first" and self.code == TYPICAL
        return self._phase_from_s is not None or waits_for_first

    def hear(self, event: str, time_s: float) -> bool:
        """Take a marker; return whether the reference changed.

        Parameters
        ----------
        event : str
            Markers other than those of the neutral phase do nothing.
        time_s : float
            On the clock of the frames.
        """
        if self._source == "typical":
            return False
        if event == "neutral_onset":
            self._begin(time_s)
        elif event == "neutral_offset" and self._phase_from_s is not None:
            return self._end(time_s)
        elif event in {"abort", "session_end"} and self._phase_from_s is not None:
            self._phase_from_s = None
            self._forget()
        return False

    def add(self, time_s: float, features: FloatArray, *, is_usable: bool) -> bool:
        """Take a frame; return whether the reference changed.

        Parameters
        ----------
        time_s : float
        features : (n_features,) float64
        is_usable : bool
            Whether the face could be measured in it.
        """
        if not self.is_collecting:
            return False
        if is_usable and bool(np.isfinite(features).all()):
            self._times_s.append(time_s)
            self._features.append(features)
        if self._phase_from_s is not None:
            if time_s - self._phase_from_s > LONGEST_S:
                return self._end(time_s)
            return False
        if not self._times_s or self._times_s[-1] - self._times_s[0] < self._first_s:
            return False
        return self._set(FIRST_SECONDS, self._times_s[0], self._times_s[-1] + 1e-3)

    def _begin(self, time_s: float) -> None:
        self._phase_from_s = time_s
        self._forget()

    def _end(self, time_s: float) -> bool:
        begun_s, self._phase_from_s = self._phase_from_s, None
        assert begun_s is not None
        return self._set(NEUTRAL_PHASE, begun_s, time_s)

    def _set(self, code: int, start_s: float, end_s: float) -> bool:
        times_s = np.array(self._times_s)
        features = np.array(self._features)
        self._forget()
        if ((times_s >= start_s) & (times_s < end_s)).sum() < MIN_NEUTRAL_FRAMES:
            return False
        usable = np.ones(len(times_s), np.bool_)
        found = calibrate(self._backend, features, times_s, usable, [(start_s, end_s)])
        self.calibration = replace(found, source=REFERENCES[code])
        self.code = code
        return True

    def _forget(self) -> None:
        self._times_s, self._features = [], []

    def _typical(self) -> Calibration:
        none = np.zeros((0, len(self._backend.feature_names)))
        return calibrate(self._backend, none, np.zeros(0), np.zeros(0, np.bool_), still=True)
