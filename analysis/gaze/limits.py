"""What a sampling rate cannot carry: the measures that are n/a, and why."""

from __future__ import annotations

import math

from duchenne.analysis.gaze.labels import PEAK_VELOCITY_MIN_HZ
from duchenne.analysis.gaze.microsaccades import MICROSACCADE_MIN_HZ

RATE_TOLERANCE = 0.99
"""A tracker of nominally 250 Hz measures a little below it."""
SACCADE_MIN_HZ = 50.0
"""Below this rate most saccades (20–80 ms) fall between two samples: only their effect is seen."""
SACCADE_DURATION_MIN_HZ = 200.0
"""Duration is known to one sample: 5 ms of a typical 30–50 ms (Andersson et al. 2010)."""

_SACCADES = (
    "n_saccades",
    "saccade_rate_hz",
    "mean_saccade_amplitude_deg",
    "median_saccade_amplitude_deg",
    "saccade_direction_mean_deg",
    "saccade_direction_resultant",
    "saccade_horizontal_share",
    "first_saccade_latency_s",
    "coefficient_k",
    "pursuit_fraction",
    "pursuit_speed_deg_s",
    "pursuit_gain",
)
MIN_RATE_HZ: dict[str, float] = {
    **dict.fromkeys(_SACCADES, SACCADE_MIN_HZ),
    "mean_blink_duration_s": SACCADE_MIN_HZ,
    "mean_saccade_duration_s": SACCADE_DURATION_MIN_HZ,
    "saccade_peak_velocity_deg_s": PEAK_VELOCITY_MIN_HZ,
    "main_sequence_vmax_deg_s": PEAK_VELOCITY_MIN_HZ,
    "main_sequence_scale_deg": PEAK_VELOCITY_MIN_HZ,
    "main_sequence_r2": PEAK_VELOCITY_MIN_HZ,
    "n_microsaccades": MICROSACCADE_MIN_HZ,
    "microsaccade_rate_hz": MICROSACCADE_MIN_HZ,
}
"""Least sampling rate of each measure that needs one."""


def carried(measure: str, rate_hz: float) -> bool:
    """Return whether a sampling rate carries a measure; an unknown rate carries none of the listed."""
    least = MIN_RATE_HZ.get(measure)
    return least is None or rate_hz >= RATE_TOLERANCE * least


def not_measured(rate_hz: float) -> dict[str, str]:
    """Return the measures that a sampling rate cannot carry, each with the reason in words."""
    has = "the sampling rate is unknown" if math.isnan(rate_hz) else f"it was {rate_hz:.0f} Hz"
    return {
        name: f"needs {least:.0f} Hz, {has}"
        for name, least in MIN_RATE_HZ.items()
        if not carried(name, rate_hz)
    }


def reasons_text(rate_hz: float) -> str | None:
    """Return the reasons of :func:`not_measured` in one line, grouped; None where there are none."""
    groups: dict[str, list[str]] = {}
    for name, reason in not_measured(rate_hz).items():
        groups.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in groups.items()) or None
