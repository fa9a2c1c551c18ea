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
EDGE_S = 2.0
"""A regular stream must deliver within so many seconds of both ends of the recording."""
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
        Declared rate, and the mean one over stretches without gaps.
    jitter_ms : float
        Median absolute deviation of the sample intervals.
    n_gaps, longest_gap_s, missing_samples : int, float, int
        Steps longer than 1.9 periods, the longest, and how many samples would fit in.
    n_duplicates, n_backwards, n_nonfinite : int
        Stamps equal to, or earlier than, the one before; stamps that are no number.
    starts_late_s, ends_early_s : float
        From the start of the recording to the first sample, from the last to its end; NaN if unknown.
    n_segments : int
        Appearances of the stream; 1 if it was never lost.
    offset_ms, drift_ppm, offset_uncertainty_ms, n_offsets : float
        Clock offset, its drift, the bound on its error (half of the median round trip), and the number
        of measurements.
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
    n_nonfinite: int
    starts_late_s: float
    ends_early_s: float
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
        return cls(**_NOT_MEASURED_BEFORE | restored)


_NOT_MEASURED_BEFORE: dict[str, Any] = {
    "n_nonfinite": 0,
    "starts_late_s": float("nan"),
    "ends_early_s": float("nan"),
}
"""What certificates of the first files lack."""


def certify(
    info: StreamInfo,
    timestamps: npt.NDArray[np.float64],
    clock_offsets: npt.NDArray[np.float64],
    *,
    n_segments: int = 1,
    recording: tuple[float, float] = (float("nan"), float("nan")),
    times_s: npt.NDArray[np.float64] | None = None,
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
    recording : (float, float)
        When the recording began and ended, on the recorder's clock; NaN if unknown.
    times_s : ndarray, shape (n,), optional
        The stamps on the recorder's clock.
    """
    finite_stamps = timestamps[np.isfinite(timestamps)]
    steps = np.diff(finite_stamps)
    times = finite_stamps if times_s is None else times_s[np.isfinite(times_s)]
    late = float(times.min() - recording[0]) if len(times) else float("nan")
    early = float(recording[1] - times.max()) if len(times) else float("nan")
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
        "duration_s": float(np.ptp(finite_stamps)) if len(finite_stamps) else 0.0,
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
        "n_nonfinite": len(timestamps) - len(finite_stamps),
        "starts_late_s": late,
        "ends_early_s": early,
        "n_segments": n_segments,
        "offset_ms": 1e3 * fits[-1].offset_s if clock_offsets.size else float("nan"),
        "drift_ppm": 1e6 * fits[-1].drift,
        "offset_uncertainty_ms": float(1e3 * np.median(finite) / 2)
        if finite.size
        else float("nan"),
        "n_offsets": len(clock_offsets),
    }
    verdict, reasons = _judge(info, measured, n_clock_steps=len(fits) - 1)
    return StreamCertificate(**measured, verdict=verdict, reasons=reasons)


def _judge(
    info: StreamInfo, measured: Mapping[str, Any], *, n_clock_steps: int
) -> tuple[Verdict, tuple[str, ...]]:
    fails = _failures(info, measured)
    warnings = _warnings(info, measured)
    if n_clock_steps:
        warnings.append(f"the sender's clock stepped {n_clock_steps} times")
    if measured["missing_samples"]:
        text = f"{measured['missing_samples']} samples missing in {measured['n_gaps']} gaps"
        (warnings if info.can_drop_samples else fails).append(text)
    verdict: Verdict = "fail" if fails else "warn" if warnings else "pass"
    return verdict, tuple(fails + warnings)


def _failures(info: StreamInfo, measured: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    regular = info.nominal_srate_hz > 0
    if regular and measured["n_samples"] == 0:
        found.append("no samples arrived")
    if regular and measured["ends_early_s"] > EDGE_S:
        found.append(f"the last sample came {measured['ends_early_s']:.1f} s before the end")
    if measured["n_nonfinite"]:
        found.append(f"{measured['n_nonfinite']} stamps are no numbers")
    if measured["n_backwards"]:
        found.append(f"{measured['n_backwards']} stamps go back in time")
    return found


def _warnings(info: StreamInfo, measured: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    if info.nominal_srate_hz > 0 and measured["starts_late_s"] > EDGE_S:
        found.append(f"the first sample came {measured['starts_late_s']:.1f} s after the start")
    if measured["n_duplicates"]:
        found.append(f"{measured['n_duplicates']} repeated stamps")
    if measured["n_segments"] > 1:
        found.append(f"the stream re-appeared {measured['n_segments'] - 1} times")
    rate = measured["effective_srate_hz"]
    if np.isfinite(rate) and abs(rate / info.nominal_srate_hz - 1) > RATE_TOLERANCE:
        found.append(f"{rate:.1f} Hz instead of {info.nominal_srate_hz:g} Hz")
    if measured["n_samples"] and not measured["n_offsets"]:
        found.append("the clock offset was never measured")
    elif measured["offset_uncertainty_ms"] > 1e3 * MAX_UNCERTAINTY_S:
        found.append(f"clock offset known to ±{measured['offset_uncertainty_ms']:.1f} ms only")
    return found
