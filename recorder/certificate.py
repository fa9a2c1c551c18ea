"""The alignment certificate: a measured statement of how well each stream is placed on the clock.

It certifies transport (stamps, clocks, completeness), not photons: how long a device takes before it
stamps a sample is outside of what the recorder can see.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from duchenne.recorder.clock import fit_offsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

Verdict = Literal["pass", "warn", "fail"]
RATE_TOLERANCE = 0.02
MAX_UNCERTAINTY_S = 0.001
GAP_FACTOR = 1.9
"""A step longer than this many nominal periods counts as a gap."""


@dataclass(frozen=True)
class StreamCertificate:
    """What was measured of one stream; NaN where it cannot be measured.

    Attributes
    ----------
    n_samples : int
    duration_s : float
        From the first to the last sample.
    nominal_srate_hz, effective_srate_hz : float
        Declared rate, and the median one over stretches without gaps.
    jitter_ms : float
        Median absolute deviation of the sample intervals.
    n_gaps, longest_gap_s, missing_samples : int, float, int
        Steps longer than 1.9 periods, the longest, and how many samples would fit in.
    n_duplicates, n_backwards : int
        Stamps equal to, or earlier than, the one before.
    n_segments : int
        Appearances of the stream; 1 if it was never lost.
    offset_ms, drift_ppm, offset_uncertainty_ms, n_offsets : float
        Clock offset, its drift, half of the round-trip bound, and the number of measurements.
    verdict : {"pass", "warn", "fail"}
    reasons : tuple of str
        Why the verdict is not "pass".
    """

    n_samples: int
    duration_s: float
    nominal_srate_hz: float
    effective_srate_hz: float
    jitter_ms: float
    n_gaps: int
    longest_gap_s: float
    missing_samples: int
    n_duplicates: int
    n_backwards: int
    n_segments: int
    offset_ms: float
    drift_ppm: float
    offset_uncertainty_ms: float
    n_offsets: int
    verdict: Verdict
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        values = asdict(self) | {"reasons": list(self.reasons)}
        return {
            key: None if isinstance(value, float) and not np.isfinite(value) else value
            for key, value in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StreamCertificate:
        """Rebuild from :meth:`to_json`."""
        restored: dict[str, Any] = {
            key: float("nan") if value is None else value for key, value in values.items()
        }
        restored["reasons"] = tuple(values["reasons"])
        return cls(**restored)


def certify(
    info: StreamInfo,
    timestamps: npt.NDArray[np.float64],
    clock_offsets: npt.NDArray[np.float64],
    *,
    n_segments: int = 1,
) -> StreamCertificate:
    """Measure one stream.

    Parameters
    ----------
    info : StreamInfo
    timestamps : ndarray, shape (n,)
        As received.
    clock_offsets : ndarray, shape (m, 3)
        Time, offset and uncertainty in seconds.
    n_segments : int
        Appearances of the stream.
    """
    steps = np.diff(timestamps)
    regular = info.nominal_srate_hz > 0
    period = 1 / info.nominal_srate_hz if regular else float("nan")
    gaps = steps[steps > GAP_FACTOR * period] if regular else steps[:0]
    forward = steps[(steps > 0) & (steps <= GAP_FACTOR * period)] if regular else steps[:0]
    effective = float(1 / np.mean(forward)) if forward.size else float("nan")
    median_step = float(np.median(steps)) if steps.size else float("nan")
    fits = fit_offsets(clock_offsets)
    uncertainty = clock_offsets[:, 2] if clock_offsets.size else np.array([])
    finite = uncertainty[np.isfinite(uncertainty)]
    measured: dict[str, Any] = {
        "n_samples": len(timestamps),
        "duration_s": float(np.ptp(timestamps)) if len(timestamps) else 0.0,
        "nominal_srate_hz": info.nominal_srate_hz,
        "effective_srate_hz": effective,
        "jitter_ms": float(1e3 * np.median(np.abs(steps - median_step)))
        if regular and steps.size
        else float("nan"),
        "n_gaps": int(gaps.size),
        "longest_gap_s": float(gaps.max()) if gaps.size else 0.0,
        "missing_samples": int(np.sum(np.rint(gaps / period) - 1)) if gaps.size else 0,
        "n_duplicates": int(np.sum(steps == 0)) if regular else 0,
        "n_backwards": int(np.sum(steps < 0)),
        "n_segments": n_segments,
        "offset_ms": 1e3 * fits[-1].offset_s if clock_offsets.size else float("nan"),
        "drift_ppm": 1e6 * fits[-1].drift,
        "offset_uncertainty_ms": float(1e3 * np.median(finite)) if finite.size else float("nan"),
        "n_offsets": len(clock_offsets),
    }
    verdict, reasons = _judge(info, measured, n_clock_steps=len(fits) - 1)
    return StreamCertificate(**measured, verdict=verdict, reasons=reasons)


def _judge(
    info: StreamInfo, measured: Mapping[str, Any], *, n_clock_steps: int
) -> tuple[Verdict, tuple[str, ...]]:
    fails: list[str] = []
    warnings: list[str] = []
    if measured["n_samples"] == 0 and info.nominal_srate_hz > 0:
        fails.append("no samples arrived")
    if measured["n_backwards"]:
        fails.append(f"{measured['n_backwards']} stamps go back in time")
    if measured["missing_samples"]:
        text = f"{measured['missing_samples']} samples missing in {measured['n_gaps']} gaps"
        (warnings if info.can_drop_samples else fails).append(text)
    if measured["n_duplicates"]:
        warnings.append(f"{measured['n_duplicates']} repeated stamps")
    if measured["n_segments"] > 1:
        warnings.append(f"the stream re-appeared {measured['n_segments'] - 1} times")
    if n_clock_steps:
        warnings.append(f"the sender's clock stepped {n_clock_steps} times")
    rate = measured["effective_srate_hz"]
    if np.isfinite(rate) and abs(rate / info.nominal_srate_hz - 1) > RATE_TOLERANCE:
        warnings.append(f"{rate:.1f} Hz instead of {info.nominal_srate_hz:g} Hz")
    if measured["n_samples"] and not measured["n_offsets"]:
        warnings.append("the clock offset was never measured")
    elif measured["offset_uncertainty_ms"] > 1e3 * MAX_UNCERTAINTY_S:
        warnings.append(f"clock offset known to ±{measured['offset_uncertainty_ms']:.1f} ms only")
    verdict: Verdict = "fail" if fails else "warn" if warnings else "pass"
    return verdict, tuple(fails + warnings)
