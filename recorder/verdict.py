"""Judge what was measured of a stream against the alignment budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.protocols.alignment import Limits

MAX_UNMEASURED_S = 60.0
"""Clocks are asked every 5 s; further away the drift is a guess."""
MIN_DELAY_S, MAX_DELAY_S = -2.0, 30.0
"""Of the median sample; the arrivals of converted files are estimates."""
MAX_AHEAD_S = 60.0
Verdict = Literal["pass", "warn", "fail"]


def judge(measured: Mapping[str, Any], limits: Limits) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on a stream, and why it is not "pass".

    Parameters
    ----------
    measured : mapping
        The fields of a :class:`~duchenne.recorder.certificate.StreamCertificate`.
    limits : Limits
        None of them None.
    """
    values = limits.model_dump()
    fails = _failures(measured, values)
    warnings = _warnings(measured, values)
    for exceeds, text in (_lost(measured, values), _longest(measured, values)):
        if text:
            (fails if exceeds else warnings).append(text)
    verdict: Verdict = "fail" if fails else "warn" if warnings else "pass"
    return verdict, tuple(fails + warnings)


def _lost(measured: Mapping[str, Any], limits: Mapping[str, float]) -> tuple[bool, str]:
    """Return whether too much was lost, and what was; by the counter where there is one."""
    n = measured["missing_samples"] if measured["n_lost"] is None else measured["n_lost"]
    if not n:
        return False, ""
    how = (
        f"samples missing in {_times(measured['n_gaps'], 'gap')}"
        if measured["n_lost"] is None
        else f"samples lost by the source's own {measured['counter']}"
    )
    exceeds = measured["lost_fraction"] > limits["max_lost_fraction"]
    allowed = f", more than {limits['max_lost_fraction']:.2%}" if exceeds else ""
    return exceeds, f"{n} {how} ({measured['lost_fraction']:.2%}{allowed})"


def _longest(measured: Mapping[str, Any], limits: Mapping[str, float]) -> tuple[bool, str]:
    longest = measured["longest_gap_s"]
    if measured["nominal_srate_hz"] <= 0 or not longest > limits["max_gap_s"]:
        return False, ""
    return True, f"a gap of {longest:.2f} s, more than {limits['max_gap_s']:g} s"


def _failures(measured: Mapping[str, Any], limits: Mapping[str, float]) -> list[str]:
    found: list[str] = []
    regular = measured["nominal_srate_hz"] > 0
    if regular and measured["n_samples"] == 0:
        found.append("no samples arrived")
    if regular and measured["ends_early_s"] > limits["max_early_end_s"]:
        found.append(f"the last sample came {measured['ends_early_s']:.1f} s before the end")
    if measured["ahead_of_arrival_s"] > MAX_AHEAD_S or measured["arrival_delay_s"] < MIN_DELAY_S:
        ahead = max(measured["ahead_of_arrival_s"], -measured["arrival_delay_s"])
        found.append(f"stamps {ahead:.0f} s later than their own arrival: not of LSL's clock")
    if measured["arrival_delay_s"] > MAX_DELAY_S:
        found.append(
            f"stamps {measured['arrival_delay_s']:.0f} s older than their arrival: not of LSL's clock"
        )
    if measured["n_nonfinite"]:
        found.append(f"{measured['n_nonfinite']} stamps are no numbers")
    if measured["n_backwards"]:
        found.append(f"{_times(measured['n_backwards'], 'stamp')} going back in time")
    if measured["offset_uncertainty_ms"] > limits["max_uncertainty_ms"]:
        found.append(
            f"clock offset known to ±{measured['offset_uncertainty_ms']:.1f} ms only, "
            f"more than {limits['max_uncertainty_ms']:g} ms"
        )
    return found


def _warnings(measured: Mapping[str, Any], limits: Mapping[str, float]) -> list[str]:
    found: list[str] = []
    nominal, rate = measured["nominal_srate_hz"], measured["effective_srate_hz"]
    if nominal > 0 and measured["starts_late_s"] > limits["max_late_start_s"]:
        found.append(f"the first sample came {measured['starts_late_s']:.1f} s after the start")
    if measured["n_repeated"]:
        found.append(
            f"{_times(measured['n_repeated'], 'sample')} came twice, by the source's own count"
        )
    if measured["n_duplicates"]:
        found.append(f"{measured['n_duplicates']} repeated stamps")
    if measured["n_segments"] > 1:
        found.append(f"the stream re-appeared {_times(measured['n_segments'] - 1, 'time')}")
    if measured["n_clock_steps"]:
        found.append(f"the sender's clock stepped {_times(measured['n_clock_steps'], 'time')}")
    if np.isfinite(rate) and abs(rate / nominal - 1) > limits["max_rate_error"]:
        found.append(f"{rate:.1f} Hz instead of {nominal:g} Hz")
    if measured["jitter_ms"] > limits["max_jitter_ms"]:
        found.append(
            f"jitter of {measured['jitter_ms']:.1f} ms, more than {limits['max_jitter_ms']:g} ms"
        )
    if abs(measured["drift_ppm"]) > limits["max_drift_ppm"]:
        found.append(
            f"the sender's clock drifts by {measured['drift_ppm']:.0f} ppm, "
            f"more than {limits['max_drift_ppm']:g} ppm"
        )
    if measured["unmeasured_s"] > MAX_UNMEASURED_S:
        found.append(
            f"samples up to {measured['unmeasured_s']:.0f} s away from any measurement of the clock offset"
        )
    if measured["n_samples"] and not measured["n_offsets"]:
        found.append("the clock offset was never measured")
    return found


def _times(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
