"""Where samples are missing: long steps between times, and counters that skip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from duchenne.recorder.streams import Channel, StreamInfo

GAP_FACTOR = 1.9
"""A step longer than this many periods counts as a gap."""
MAX_LISTED = 200
COUNTERS = (
    "frame_number",
    "device_frame",
    "frame",
    "sample_number",
    "sequence_number",
    "sequence",
    "seq",
    "sample_counter",
    "counter",
)
"""Labels of channels that count the samples of the device, best first."""
DEVICE_TIME = "device_time"
WRAPS = (2**8, 2**16, 2**24, 2**32)
NEAR_WRAP = 0.98
"""A counter wraps around only where it came this close to the end of its range."""


@dataclass(frozen=True)
class Gap:
    """A stretch without samples.

    Attributes
    ----------
    after_lsl_s : float
        Time of the last sample before it, on the recorder's clock.
    duration_s : float
        To the next sample.
    missing : int
        How many samples would fit in; 0 for an irregular stream.
    reappearance : bool
        The stream had gone and came back.
    """

    after_lsl_s: float
    duration_s: float
    missing: int
    reappearance: bool


@dataclass(frozen=True)
class Count:
    """What the source's own counter says.

    Attributes
    ----------
    label : str
        The channel that counts.
    lost, repeated, restarts : int
        Numbers skipped, numbers that came twice, and how often it began anew.
    """

    label: str
    lost: int
    repeated: int
    restarts: int


def period_of(usual_s: float, nominal_srate_hz: float) -> float:
    """Return the interval at which a regular stream delivers, seconds; NaN for an irregular one.

    The longer of the declared and the median one (`usual_s`): a camera that halves its rate in the
    dark has not lost every other frame.
    """
    if not 0 < nominal_srate_hz < np.inf:
        return float("nan")
    return max(1 / nominal_srate_hz, usual_s)


def find_gaps(
    times_s: npt.NDArray[np.float64], period_s: float, starts: Sequence[int] = ()
) -> list[Gap]:
    """Find the gaps of a stream.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        On the recorder's clock, finite.
    period_s : float
        Interval of a regular stream; NaN: only re-appearances count.
    starts : sequence of int
        Index of the first sample of each appearance.

    Returns
    -------
    list of Gap
        In order.
    """
    steps = np.diff(times_s)
    again = {index - 1 for index in starts if 0 < index < len(times_s)}
    long = set(np.flatnonzero(steps > GAP_FACTOR * period_s).tolist()) | again
    found = []
    for at in sorted(long):
        step = float(steps[at])
        missing = max(round(step / period_s) - 1, 0) if np.isfinite(period_s) else 0
        found.append(Gap(float(times_s[at]), step, missing, at in again))
    return found


def listed(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return at most 200 gaps, the longest ones, in order of time."""
    longest = sorted(gaps, key=lambda gap: -gap.duration_s)[:MAX_LISTED]
    return tuple(sorted(longest, key=lambda gap: gap.after_lsl_s))


def counter_of(info: StreamInfo) -> Channel | None:
    """Return the channel in which a stream counts its samples, else its device time, else None."""
    if info.is_string:
        return None
    by_label = {channel.label.lower(): channel for channel in reversed(info.channels)}
    usable = (*COUNTERS, DEVICE_TIME) if info.nominal_srate_hz > 0 else COUNTERS
    return next((by_label[label] for label in usable if label in by_label), None)


def count(label: str, values: npt.NDArray[np.float64]) -> Count | None:
    """Count what is lost and repeated by the source's own numbers.

    Parameters
    ----------
    label : str
        ``device_time`` is a clock, anything else counts up by one.
    values : ndarray, shape (n,)
        NaN where unknown.

    Returns
    -------
    Count or None
        None where the channel does not count after all: fewer than 3 values, or all the same.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    steps = np.diff(known)
    if len(known) < 3 or not (steps > 0).any():
        return None
    if label.lower() == DEVICE_TIME:
        period = float(np.median(steps[steps > 0]))
        steps = np.where(steps > GAP_FACTOR * period, np.rint(steps / period), np.sign(steps))
    for wrap in WRAPS:
        if NEAR_WRAP * wrap <= known.max() < wrap:
            steps = np.where((steps < -wrap / 2) & (steps + wrap > 0), steps + wrap, steps)
    lost = int(np.sum(steps[steps > 1] - 1))
    return Count(label, lost, int(np.sum(steps == 0)), int(np.sum(steps < 0)))
