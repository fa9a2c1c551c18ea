"""Derive the times of a stream on the recorder's clock, and say how."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.clock import ClockSettings, fit_offsets, mapped, segment_of_each
from duchenne.recorder.dejitter import dejittered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BLOCK_SAMPLES = 1 << 21
"""So many are held in memory at once."""
NEARLY_ALL = 0.99
DEFAULT = ClockSettings()


def blocks_of(n: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """Divide n samples into equal blocks of at most two million: first sample, and the one after the last."""
    n_blocks = min(n, 1) if whole else -(-n // BLOCK_SAMPLES)
    return list(pairwise(n * number // max(n_blocks, 1) for number in range(n_blocks + 1)))


class Derivation:
    """Derives the times of one stream block by block, so that memory stays small however long it is.

    Parameters
    ----------
    n : int
        Samples of the stream.
    measurements : ndarray, shape (m, 2) or (m, 3)
        As for :func:`fit_offsets`.
    nominal_srate_hz : float
        0 for an irregular stream.
    can_drop_samples : bool
        As cameras do; such a stream is not dejittered unless the settings say so.
    received : ndarray, shape (c, 2), optional
        As for :func:`correct`.
    starts : sequence of int
        Index of the first sample of each appearance.
    settings : ClockSettings

    Attributes
    ----------
    blocks : list of (int, int)
        First sample and the one after the last of each block, in the order in which they are to be given to
        `times`: one block of up to two million samples, or of a stream whose sender's clock stepped.
    """

    def __init__(
        self,
        n: int,
        measurements: Floats,
        *,
        nominal_srate_hz: float,
        can_drop_samples: bool,
        received: Floats | None = None,
        starts: Sequence[int] = (),
        settings: ClockSettings = DEFAULT,
    ) -> None:
        self._segments = fit_offsets(measurements, settings)
        self._smooth = settings.smooth if settings.smooth is not None else not can_drop_samples
        self._settings, self._rate_hz = settings, nominal_srate_hz
        self._received, self._starts = received, starts
        self.blocks = blocks_of(n, whole=len(self._segments) > 1)
        self._place = self._n_smoothed = 0

    def times(self, stamps: Floats) -> Floats:
        """Return the times of the next block, seconds on the recorder's clock; NaN where the stamp is."""
        stamps = np.asarray(stamps, dtype=np.float64)
        which = segment_of_each(stamps, self._segments, self._received)
        times = mapped(stamps, self._segments, which)
        start, self._place = self._place, self._place + len(stamps)
        if not self._smooth:
            return times
        inner = [index - start for index in self._starts if start <= index < self._place]
        stepped = np.flatnonzero(np.diff(which)) + 1
        smooth, n = dejittered(times, self._rate_hz, boundaries=(*inner, *stepped.tolist()))
        self._n_smoothed += n
        return smooth

    @property
    def method(self) -> str:
        """What was done to the blocks so far, in words."""
        method = "clock offsets"
        if not self._settings.use_offsets:
            method = "stamps as received"
        elif not self._segments[0].n:
            method = "stamps as received: the clock offset was never measured"
        share = self._n_smoothed / self._place if self._place else 0.0
        if not share:
            return method
        part = "" if share > NEARLY_ALL else f" in part ({share:.0%} of the samples)"
        return f"{method}, dejittered{part}"


def derive_times(
    timestamps: Floats,
    measurements: Floats,
    *,
    nominal_srate_hz: float,
    can_drop_samples: bool,
    received: Floats | None = None,
    starts: Sequence[int] = (),
    settings: ClockSettings = DEFAULT,
) -> tuple[Floats, str]:
    """Derive the times of one stream, as `Derivation` does.

    Parameters
    ----------
    timestamps : ndarray, shape (n,)
        As received.
    measurements, nominal_srate_hz, can_drop_samples, received, starts, settings
        As for :class:`Derivation`.

    Returns
    -------
    times_s : ndarray, shape (n,)
        Seconds on the recorder's clock.
    method : str
        What was done, in words.
    """
    derivation = Derivation(
        len(timestamps),
        measurements,
        nominal_srate_hz=nominal_srate_hz,
        can_drop_samples=can_drop_samples,
        received=received,
        starts=starts,
        settings=settings,
    )
    parts = [derivation.times(timestamps[start:stop]) for start, stop in derivation.blocks]
    return np.concatenate(parts) if parts else np.zeros(0), derivation.method
