"""What the film of the face tells the gaze analysis: whether the lids were shut while gaze was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.blinks import LID_CLOSED, find_losses
from duchenne.analysis.gaze.signal import sampling_rate_hz

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.face.process import FaceResult

    Floats = NDArray[np.float64]

MARGIN_S = 0.1
"""Frames are some ten milliseconds apart and the delay of a camera is often not known."""
MIN_BLINKS = 3
MIN_AGREEMENT = 0.6
"""Share of the film's blinks that must fall together with a loss of gaze."""


@dataclass(frozen=True)
class LidEvidence:
    """How far the lids are closed in the film of the face.

    Parameters
    ----------
    times_s : (n,) float64
        Seconds from ``session_start``, ascending.
    closed : (n,) float64
        0 open to 1 shut; NaN not known.
    blinks : pandas.DataFrame
        Blinks of the film: ``onset duration``.
    """

    times_s: Floats
    closed: Floats
    blinks: pd.DataFrame

    @classmethod
    def of(cls, face: FaceResult | None) -> LidEvidence | None:
        """Return the evidence of an analysed film; None where there is none, or not of the eyes."""
        if face is None or face.dynamics is None:
            return None
        times = face.table["time"].to_numpy(np.float64)
        order = np.argsort(times, kind="stable")
        closed = face.dynamics.eye_closure[order]
        if not np.isfinite(closed).any():
            return None
        return cls(times[order], closed, face.dynamics.blinks)

    def of_gaze(
        self, times_s: Floats, columns: Mapping[str, NDArray[Any]]
    ) -> tuple[tuple[Floats, Floats], dict[str, Any]]:
        """Return the evidence as the gaze analysis takes it, and how far film and tracker agree.

        That the lids were shut counts always. That they were open, so that a loss of gaze is no blink,
        counts only where at least three blinks of the film lie within the recording of gaze and 60 % of
        them fall together with a loss: otherwise the two clocks do not belong together well enough.
        Lids count as shut for 0.1 s more on both sides.

        Parameters
        ----------
        times_s : (m,) float64
            Stamps of the gaze samples, seconds.
        columns : mapping of str to (m,) array
            ``left_x left_valid …`` as recorded.
        """
        n_blinks, n_lost = self._lost_at_blinks(times_s, columns)
        agrees = n_blinks >= MIN_BLINKS and n_lost >= MIN_AGREEMENT * n_blinks
        closed = _widened(self.times_s, self.closed)
        if not agrees:
            closed = np.where(closed >= LID_CLOSED, closed, np.nan)
        report = {
            "source": "film of the face",
            "n_film_blinks": n_blinks,
            "n_with_loss_of_gaze": n_lost,
            "open_lids_count": bool(agrees),
        }
        return (self.times_s, closed), report

    def _lost_at_blinks(
        self, times_s: Floats, columns: Mapping[str, NDArray[Any]]
    ) -> tuple[int, int]:
        order = np.argsort(times_s, kind="stable")
        order = order[np.isfinite(times_s[order])]
        times = np.asarray(times_s[order], np.float64)
        if times.size < 2:
            return 0, 0
        losses = find_losses(_valid(columns, order), times, sampling_rate_hz(times))
        # Stamps of the first lost sample and of the first after each loss.
        begin = times[losses.starts]
        end = times[np.minimum(losses.stops, times.size - 1)]
        long_enough = end - begin >= MARGIN_S / 2
        begin, end = begin[long_enough], end[long_enough]
        n_blinks = n_lost = 0
        for onset, duration in zip(self.blinks["onset"], self.blinks["duration"], strict=True):
            first, last = onset - MARGIN_S, onset + duration + MARGIN_S
            if first < times[0] or last > times[-1]:
                continue
            n_blinks += 1
            n_lost += bool(((begin <= last) & (end >= first)).any())
        return n_blinks, n_lost


def _valid(columns: Mapping[str, NDArray[Any]], order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return where either eye was measured."""
    seen = np.zeros(order.size, np.bool_)
    for eye in ("left_", "right_", ""):
        if f"{eye}x" not in columns:
            continue
        own = np.isfinite(np.asarray(columns[f"{eye}x"], np.float64)[order])
        if f"{eye}valid" in columns:
            own &= ~(np.asarray(columns[f"{eye}valid"], np.float64)[order] <= 0.5)  # NaN: not told
        seen |= own
    return seen


def _widened(times_s: Floats, closed: Floats) -> Floats:
    """Return the closure with each time of shut lids made longer on both sides."""
    shut_s = times_s[closed >= LID_CLOSED]
    if not shut_s.size:
        return closed
    after = np.searchsorted(shut_s, times_s)
    left = np.abs(times_s - shut_s[np.clip(after - 1, 0, shut_s.size - 1)])
    right = np.abs(shut_s[np.clip(after, 0, shut_s.size - 1)] - times_s)
    near = np.minimum(left, right) <= MARGIN_S
    return np.where(near, np.fmax(closed, LID_CLOSED), closed)
