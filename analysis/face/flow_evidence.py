"""Whether the skin moved as an Action Unit moves it: a second witness beside the intensity curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.flow import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.face.frames import FloatArray

_UP, _DOWN = (0.0, -1.0), (0.0, 1.0)
# Region and direction (x outwards from the middle of the face, y down) in which each Action Unit moves the
# skin; those of one side stand for both.
_MOVES: Mapping[str, tuple[tuple[str, tuple[float, float]], ...]] = {
    "AU01": (("brow_inner", _UP),),
    "AU02": (("brow_outer", _UP),),
    "AU04": (("brow_inner", (-0.5, 0.87)), ("glabella", _DOWN), ("brow_outer", _DOWN)),
    "AU06": (("cheek", _UP),),
    "AU09": (("nose", _UP), ("glabella", _DOWN)),
    "AU10": (("upper_lip", _UP), ("nose", _UP)),
    "AU12": (("mouth", (0.7, -0.7)),),
    "AU14": (("mouth", (1.0, 0.0)), ("mouth", _UP)),
    "AU15": (("mouth", _DOWN),),
    "AU17": (("chin", _UP), ("lower_lip", _UP)),
    "AU18": (("mouth", (-1.0, 0.0)),),
    "AU20": (("mouth", (1.0, 0.0)), ("mouth", (0.7, 0.7))),
    "AU23": (("upper_lip", _DOWN), ("lower_lip", _UP)),
    "AU24": (("upper_lip", _DOWN), ("lower_lip", _UP)),
    "AU25": (("lower_lip", _DOWN), ("upper_lip", _UP)),
    "AU26": (("lower_lip", _DOWN), ("chin", _DOWN)),
    "AU28": (("upper_lip", _DOWN), ("lower_lip", _UP)),
}
_MAD_TO_SD = 1.4826
MIN_KNOWN = 2 / 3
# In eye-corner distances: a region never rests better than this.
MIN_NOISE = 5e-4


class FlowEvidence:
    """Displacements of the regions of a face over a whole recording.

    Parameters
    ----------
    flow : (n, 14, 2) float64
        As :meth:`duchenne.analysis.face.flow.FlowReader.read` returns it; NaN counts as no movement.
    """

    def __init__(self, flow: FloatArray) -> None:
        self._path = np.cumsum(np.nan_to_num(flow), axis=0)
        self._known = np.isfinite(flow[:, 0, 0])
        self._noise: dict[tuple[str | float, ...], float] = {}

    def agreement(self, au: str, onset: int, apex: int, offset: int) -> float:
        """Return how clearly the skin moved there and back as this Action Unit moves it.

        Returns
        -------
        float
            Displacement at the apex from the mean of onset and offset (so that a steady drift of the
            head does not count), in the direction of the Action Unit, of the region in which it
            is clearest; in standard deviations (from the median absolute deviation) of the same
            measure all through the recording. NaN where no region tells this Action Unit, or a third of
            the frames are without flow.
        """
        before, after = apex - onset, offset - apex
        if au not in _MOVES or before < 1 or after < 1:
            return np.nan
        if self._known[onset + 1 : offset + 1].mean() < MIN_KNOWN:
            return np.nan
        best = -np.inf
        for region, direction in _MOVES[au]:
            for name, sign in _sides(region):
                along = np.array([direction[0] * sign, direction[1]])
                path = self._path[:, NAMES.index(name)] @ along
                moved = _there(path, before, after)
                best = max(
                    best, float(moved[onset] / self._noise_of((au, name, *direction), moved))
                )
        return best

    def _noise_of(self, key: tuple[str | float, ...], moved: FloatArray) -> float:
        """Return the usual size of a displacement; nearly the same for all durations of a burst."""
        if key not in self._noise:
            spread = _MAD_TO_SD * float(np.median(np.abs(moved - np.median(moved))))
            self._noise[key] = max(spread, MIN_NOISE)
        return self._noise[key]


def _there(path: FloatArray, before: int, after: int) -> FloatArray:
    """Return, for each frame as onset, the way to the apex from the mean of onset and offset."""
    n = len(path) - before - after
    return path[before : before + n] - (path[:n] + path[before + after :]) / 2


def _sides(region: str) -> tuple[tuple[str, float], ...]:
    """Return the names of a region's sides, with the sign of outwards in the image."""
    if region in NAMES:
        return ((region, 1.0),)
    return ((f"{region}_R", -1.0), (f"{region}_L", 1.0))
