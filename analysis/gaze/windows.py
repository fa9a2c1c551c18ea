"""The part of a gaze result that belongs to one time window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import sampling_rate_hz

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.gaze.process import GazeResult


@dataclass(frozen=True)
class Window:
    """Samples in a window, and the events that begin in it.

    Parameters
    ----------
    onset_s, offset_s : float
        The window, seconds of the result.
    samples : DataFrame
        Samples of the window.
    analysable : ndarray of bool
        Samples that are neither loss nor blink.
    valid_fraction : float
        Valid samples ÷ samples due.
    analysable_s : float
        Seconds of analysable gaze; 0 without any valid sample.
    fixations, saccades, blinks : DataFrame
        Events that begin in the window.
    """

    onset_s: float
    offset_s: float
    samples: pd.DataFrame
    analysable: NDArray[np.bool_]
    valid_fraction: float
    analysable_s: float
    fixations: pd.DataFrame
    saccades: pd.DataFrame
    blinks: pd.DataFrame

    @property
    def duration_s(self) -> float:
        """Return the length of the window, seconds."""
        return self.offset_s - self.onset_s

    @property
    def measured(self) -> bool:
        """Return whether any gaze could be analysed."""
        return self.analysable_s > 0

    @property
    def whole_fixations(self) -> pd.DataFrame:
        """Return the fixations that touch no loss and end in the window."""
        ends = self.fixations["onset"] + self.fixations["duration"]
        return self.fixations[~self.fixations["clipped"].astype(bool) & (ends <= self.offset_s)]

    @property
    def whole_saccades(self) -> pd.DataFrame:
        """Return the saccades that touch no loss."""
        return self.saccades[~self.saccades["clipped"].astype(bool)]


def make_window(result: GazeResult, onset_s: float, offset_s: float) -> Window:
    """Cut a window out of a result.

    Raises
    ------
    ValueError
        When the window does not last.
    """
    if not offset_s > onset_s:
        raise ValueError(f"the window from {onset_s} to {offset_s} s does not last")
    rate_hz = result.sampling_rate_hz
    times = result.samples["time"].to_numpy()
    first, last = np.searchsorted(times, [onset_s, offset_s], side="left")
    samples = result.samples.iloc[first:last]
    if result.quality.get("rate_varies") and last - first > 1:
        here_hz = sampling_rate_hz(times[first:last])
        rate_hz = here_hz if np.isfinite(here_hz) else rate_hz
    seen = samples["valid"].to_numpy(dtype=bool)
    due = max(float(seen.size), (offset_s - onset_s) * rate_hz)
    n_valid = int(np.count_nonzero(seen))
    analysable = seen & ~np.isin(samples["label"], (Label.BLINK, Label.UNDEFINED))
    return Window(
        onset_s,
        offset_s,
        samples,
        analysable,
        n_valid / due if np.isfinite(due) and due > 0 else 0.0,
        float(np.count_nonzero(analysable)) / rate_hz if n_valid else 0.0,
        *(_begun(e, onset_s, offset_s) for e in (result.fixations, result.saccades, result.blinks)),
    )


def finite_mean(values: ArrayLike) -> float:
    """Return the mean of the finite values; NaN without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else float("nan")


def finite_median(values: ArrayLike) -> float:
    """Return the median of the finite values; NaN without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if known.size else float("nan")


def finite_sd(values: ArrayLike) -> float:
    """Return the standard deviation (n − 1) of the finite values; NaN for fewer than two."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.std(ddof=1)) if known.size > 1 else float("nan")


def _begun(events: pd.DataFrame, onset_s: float, offset_s: float) -> pd.DataFrame:
    return events[(events["onset"] >= onset_s) & (events["onset"] < offset_s)]
