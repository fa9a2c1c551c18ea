"""The alignment certificate: a measured statement of how well each stream is placed on the clock.

It certifies transport (stamps, clocks, completeness), not photons: how long a device takes before it
stamps a sample is outside of what the recorder can see, and stated as declared or measured by others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.alignment import Alignment
from duchenne.recorder.clock import correct, fit_offsets
from duchenne.recorder.derivation import blocks_of
from duchenne.recorder.gaps import Gap, listed, period_of
from duchenne.recorder.tally import Tally
from duchenne.recorder.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import h5py
    import numpy.typing as npt

    from duchenne.protocols.alignment import Limits
    from duchenne.recorder.clock import OffsetSegment
    from duchenne.recorder.gaps import Count
    from duchenne.recorder.streams import StreamInfo

__all__ = ["Appearance", "Gap", "StreamCertificate", "Verdict", "certify"]

NAN = float("nan")


@dataclass(frozen=True)
class Appearance:
    """One uninterrupted appearance of a stream.

    Attributes
    ----------
    start_index, n_samples : int
        Its samples.
    first_lsl_s, last_lsl_s : float
        Times of the first and the last one, on the recorder's clock; NaN without samples.
    calibration : str
        Of a gaze stream: the calibration it was made with; ``n/a`` where none is known.
    """

    start_index: int
    n_samples: int
    first_lsl_s: float
    last_lsl_s: float
    calibration: str = "n/a"


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
        Median absolute deviation of the intervals between the stamps as received.
    n_gaps, longest_gap_s, missing_samples : int, float, int
        Steps longer than 1.9 periods, the longest, and how many samples would fit in.
    n_duplicates, n_backwards, n_nonfinite : int
        Stamps equal to, or earlier than, the one before; stamps that are no number.
    starts_late_s, ends_early_s : float
        From the start of the recording to the first sample, from the last to its end; NaN if unknown.
    n_segments : int
        Appearances of the stream; 1 if it was never lost.
    offset_ms, drift_ppm : float
        Clock offset and its mean drift, in the last stretch without a step of the sender's clock.
    offset_uncertainty_ms, round_trip_ms : float
        Bound on the error of the offset, which is half of the median round trip; that round trip.
    offset_residual_ms : float
        Median distance of the measured offsets from the fit.
    n_offsets, n_clock_steps : int
        Measurements of the offset; steps of the sender's clock.
    unmeasured_s : float
        How far the sample that is farthest from a measurement of the offset is from it; NaN without any.
    arrival_delay_s, ahead_of_arrival_s : float
        Median time from a stamp to its arrival, and how far a stamp lies behind its own arrival at most (no
        clock of LSL stamps what has not happened yet); NaN where it is not known when samples arrived.
    counter : str
        Channel in which the source counts; empty where it does not.
    n_lost, n_repeated : int or None
        Lost and repeated samples by that channel; None where it does not count.
    lost_fraction : float
        Lost ones among all that there should be: by the counter, else by the gaps.
    device_latency_s : float
        How much later than its event a sample is stamped, as declared; NaN if unknown.
    latency_source : {"photodiode", "camera_flash", "declared", "unknown"}
    gaps : tuple of Gap
        Where, at most the 200 longest.
    segments : tuple of Appearance
    limits : dict
        The budget that it was judged by.
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
    round_trip_ms: float = NAN
    offset_residual_ms: float = NAN
    n_clock_steps: int = 0
    unmeasured_s: float = NAN
    arrival_delay_s: float = NAN
    ahead_of_arrival_s: float = NAN
    counter: str = ""
    n_lost: int | None = None
    n_repeated: int | None = None
    lost_fraction: float = NAN
    device_latency_s: float = NAN
    latency_source: str = "unknown"
    gaps: tuple[Gap, ...] = ()
    segments: tuple[Appearance, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    verdict: Verdict = "fail"
    reasons: tuple[str, ...] = ()

    @property
    def latency_known(self) -> bool:
        """Whether latencies computed from this stream can be read as latencies of the participant."""
        return self.latency_source != "unknown"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; NaN becomes None."""
        values: dict[str, Any] = _without_nan(asdict(self))
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StreamCertificate:
        """Rebuild from :meth:`to_json`, also of a file written before some fields were there."""
        numbers = {f.name for f in fields(cls) if f.type == "float"}
        known = {f.name for f in fields(cls)}
        old = {"n_nonfinite": 0, "starts_late_s": NAN, "ends_early_s": NAN}
        restored: dict[str, Any] = old | {
            key: NAN if value is None and key in numbers else value
            for key, value in values.items()
            if key in known
        }
        restored["reasons"] = tuple(values["reasons"])
        restored["gaps"] = tuple(Gap(**gap) for gap in values.get("gaps", ()))
        restored["segments"] = tuple(_appearance(part) for part in values.get("segments", ()))
        return cls(**restored)


def _appearance(values: Mapping[str, Any]) -> Appearance:
    restored: dict[str, Any] = {
        key: NAN if value is None else value for key, value in values.items()
    }
    return Appearance(**restored)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def certify(
    info: StreamInfo,
    timestamps: npt.NDArray[np.float64] | h5py.Dataset,
    clock_offsets: npt.NDArray[np.float64],
    *,
    times_s: npt.NDArray[np.float64] | h5py.Dataset | None = None,
    received: npt.NDArray[np.float64] | None = None,
    starts: Sequence[int] = (0,),
    recording: tuple[float, float] = (NAN, NAN),
    counted: Count | None = None,
    calibrations: Sequence[str] = (),
    limits: Limits | None = None,
) -> StreamCertificate:
    """Measure one stream.

    Parameters
    ----------
    info : StreamInfo
    timestamps : ndarray or dataset, shape (n,)
        As received.
    clock_offsets : ndarray, shape (m, 3)
        Time, offset and round-trip time in seconds.
    times_s : ndarray or dataset, shape (n,), optional
        The stamps on the recorder's clock, as derived.
    received : ndarray, shape (c, 2), optional
        As for :func:`duchenne.recorder.clock.correct`.
    starts : sequence of int
        Index of the first sample of each appearance.
    recording : (float, float)
        When the recording began and ended, on the recorder's clock; NaN if unknown.
    counted : Count, optional
        What the source's own counter says.
    calibrations : sequence of str
        The calibration of each appearance.
    limits : Limits, optional
        The budget for this stream; the default of its type if not given.
    """
    limits = limits or Alignment().for_type(info.type)
    fits = fit_offsets(clock_offsets)
    stamps = _Stamps(timestamps, times_s, fits, received)
    tally = stamps.tallied(info.nominal_srate_hz, starts)
    delays = np.concatenate([*tally.delays_s, np.zeros(0)])
    missing = sum(gap.missing for gap in tally.gaps)
    lost = missing if counted is None else counted.lost + _uncounted(tally.gaps, counted)
    n = tally.n_finite
    measured: dict[str, Any] = {
        "n_samples": len(timestamps),
        "duration_s": tally.high_s - tally.low_s if n else 0.0,
        "nominal_srate_hz": info.nominal_srate_hz,
        "effective_srate_hz": tally.rate_hz,
        "jitter_ms": 1e3 * tally.jitter_s,
        "n_duplicates": tally.n_duplicates,
        "n_backwards": tally.n_backwards,
        "n_gaps": len(tally.gaps),
        "longest_gap_s": max((gap.duration_s for gap in tally.gaps), default=0.0),
        "missing_samples": missing,
        "n_nonfinite": len(timestamps) - n,
        "starts_late_s": tally.low_s - recording[0] if n else NAN,
        "ends_early_s": recording[1] - tally.high_s if n else NAN,
        "arrival_delay_s": float(np.median(delays)) if len(delays) else NAN,
        "ahead_of_arrival_s": float(max(-delays.min(), 0.0)) if len(delays) else NAN,
        "n_segments": max(len(starts), 1),
        **_clock(fits, clock_offsets),
        "unmeasured_s": tally.farthest_from(_measured_at(clock_offsets)),
        "counter": "" if counted is None else counted.label,
        "n_lost": None if counted is None else lost,
        "n_repeated": None if counted is None else counted.repeated,
        "lost_fraction": lost / (n + lost) if n + lost else 0.0,
        "device_latency_s": info.device_latency_s,
        "latency_source": info.latency_source,
    }
    verdict, reasons = judge(measured, limits)
    return StreamCertificate(
        **measured,
        gaps=listed(tally.gaps),
        segments=_appearances(tally.spans, starts, len(timestamps), calibrations),
        limits=limits.model_dump(),
        verdict=verdict,
        reasons=reasons,
    )


@dataclass(frozen=True)
class _Stamps:
    """Stamps and times of a stream, arrays or datasets of a file, read block by block."""

    stamps: Any
    times: Any
    fits: tuple[OffsetSegment, ...]
    received: npt.NDArray[np.float64] | None

    def tallied(self, nominal_srate_hz: float, starts: Sequence[int]) -> Tally:
        blocks = blocks_of(len(self.stamps), whole=len(self.fits) > 1)
        usual = [float(np.median(steps)) for b in blocks if len(steps := self._intervals(*b))]
        usual_s = float(np.median(usual)) if usual else 0.0
        tally = Tally(period_of(usual_s, nominal_srate_hz), starts)
        for start, stop in blocks:
            stamps = np.asarray(self.stamps[start:stop], dtype=np.float64)
            corrected = correct(stamps, self.fits, self.received)
            times = corrected if self.times is None else self.times[start:stop]
            tally.add(stamps, corrected, times)
            if self.received is not None and len(self.received):
                ends = np.append(self.received[1:, 0], len(self.stamps)).astype(np.intp) - 1
                own = (ends >= start) & (ends < stop)
                tally.add_arrivals(corrected[ends[own] - start], self.received[own, 1])
        return tally

    def _intervals(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        stamps = np.asarray(self.stamps[start:stop], dtype=np.float64)
        times = (
            correct(stamps, self.fits, self.received)
            if self.times is None
            else self.times[start:stop]
        )
        return np.diff(times[np.isfinite(stamps) & np.isfinite(times)])


def _measured_at(clock_offsets: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not clock_offsets.size:
        return np.zeros(0)
    return np.asarray(clock_offsets[np.isfinite(clock_offsets[:, :2]).all(axis=1), 0])


def _uncounted(gaps: Sequence[Gap], counted: Count) -> int:
    """Return what a counter that began anew cannot tell: what went by while the stream was gone."""
    return sum(gap.missing for gap in gaps if gap.reappearance) if counted.restarts else 0


def _clock(
    fits: tuple[OffsetSegment, ...], clock_offsets: npt.NDArray[np.float64]
) -> dict[str, float | int]:
    round_trips = clock_offsets[:, 2] if clock_offsets.size else np.zeros(0)
    known = round_trips[np.isfinite(round_trips)]
    round_trip_ms = float(1e3 * np.median(known)) if known.size else NAN
    return {
        "offset_ms": 1e3 * fits[-1].offset_s if clock_offsets.size else NAN,
        "drift_ppm": 1e6 * fits[-1].drift,
        "offset_uncertainty_ms": round_trip_ms / 2,
        "round_trip_ms": round_trip_ms,
        "offset_residual_ms": 1e3 * fits[-1].residual_s,
        "n_offsets": len(clock_offsets),
        "n_clock_steps": len(fits) - 1,
    }


def _appearances(
    spans: Sequence[tuple[float, float]], starts: Sequence[int], n: int, calibrations: Sequence[str]
) -> tuple[Appearance, ...]:
    found = []
    for number, start in enumerate(starts):
        stop = n if number + 1 == len(starts) else starts[number + 1]
        name = calibrations[number] if number < len(calibrations) else "n/a"
        found.append(Appearance(start, max(stop - start, 0), *spans[number], name))
    return tuple(found)
