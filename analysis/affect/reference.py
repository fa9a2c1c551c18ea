"""The face at rest, for systems that compare with it: the neutral phase, else a running estimate.

The running estimate at a time is the median of what was kept of the quietest frames before it: of the last
800 that were looked at (one usable frame in a tenth of a second, some 80 s of face) the quarter whose Action
Units are weakest. It is renewed every second; in the first second of a film it is that of this second. Where
somebody never rests, it follows what they do most quietly: a smile held throughout becomes the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FloatArray

QUIET_SHARE = 0.25
REMEMBERED = 800
TAKEN_S, RENEWED_S = 0.1, 1.0
MIN_NEUTRAL_FRAMES = 10
NEUTRAL_PHASE, RUNNING, NONE = "neutral phase", "running estimate", "none"


class RunningRest:
    """Holds at most 800 rows; is fed in the order of time."""

    def __init__(self) -> None:
        self._rows: list[FloatArray] = []
        self._strength: list[float] = []
        self._taken_s = -np.inf
        self._renewed_s = -np.inf
        self._level: FloatArray | None = None

    def levels(
        self, features: FloatArray, strength: FloatArray, usable: BoolArray, time_s: FloatArray
    ) -> FloatArray:
        """Return the face at rest as known at each frame, and learn from these frames.

        Parameters
        ----------
        features : (n, k) float64
        strength : (n,) float64
            How strong the expression is; NaN where not measured.
        usable : (n,) bool
        time_s : (n,) float64
            Ascending, later than all before.

        Returns
        -------
        (n, k) float64
            NaN before the first usable frame.
        """
        levels = np.full(features.shape, np.nan)
        known = usable & np.isfinite(features).all(axis=1) & np.isfinite(strength)
        start = 0
        while start < len(time_s):
            end = int(np.searchsorted(time_s, time_s[start] + RENEWED_S, side="left"))
            end = max(end, start + 1)
            some = slice(start, end)
            is_first = self._level is None
            if is_first:
                self._learn(features[some], strength[some], known[some], time_s[some])
            if self._level is not None:
                levels[some] = self._level
            if not is_first:
                self._learn(features[some], strength[some], known[some], time_s[some])
            start = end
        return levels

    def _learn(
        self, features: FloatArray, strength: FloatArray, known: BoolArray, time_s: FloatArray
    ) -> None:
        taken = False
        for i in np.flatnonzero(known):
            if time_s[i] - self._taken_s >= TAKEN_S - 1e-6:
                self._rows.append(features[i])
                self._strength.append(float(strength[i]))
                self._taken_s = float(time_s[i])
                taken = True
        if taken:
            self._rows = self._rows[-REMEMBERED:]
            self._strength = self._strength[-REMEMBERED:]
            limit = np.quantile(self._strength, QUIET_SHARE)
            quiet = [i for i, s in enumerate(self._strength) if s <= limit]
            self._level = np.median(np.stack([self._rows[i] for i in quiet]), axis=0)


def rest_of(neutral: FloatArray) -> FloatArray | None:
    """Return the median of the frames of a neutral phase; None where there are fewer than ten."""
    known = neutral[np.isfinite(neutral).all(axis=1)] if len(neutral) else neutral
    return np.median(known, axis=0) if len(known) >= MIN_NEUTRAL_FRAMES else None
