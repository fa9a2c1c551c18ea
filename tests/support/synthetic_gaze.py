"""Synthetic eye movements whose truth is known: minimum-jerk saccades on the main sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrueGaze:
    """A noisy gaze trace in degrees with the events that made it."""

    times_s: NDArray[np.float64]
    x_deg: NDArray[np.float64]
    y_deg: NDArray[np.float64]
    saccade_onset_s: NDArray[np.float64]
    saccade_duration_s: NDArray[np.float64]
    amplitude_deg: NDArray[np.float64]
    direction_deg: NDArray[np.float64]
    blinks_s: list[tuple[float, float]] = field(default_factory=list)

    @property
    def n_fixations(self) -> int:
        """Fixations before, between and after the saccades."""
        return len(self.saccade_onset_s) + 1

    @property
    def peak_velocity_deg_s(self) -> NDArray[np.float64]:
        """True peak velocities: 1.875 × amplitude / duration for minimum jerk."""
        return 1.875 * self.amplitude_deg / self.saccade_duration_s


def saccade_duration_s(amplitude_deg: float) -> float:
    """Duration on the main sequence: 21 ms + 2.2 ms per degree (Carpenter 1988)."""
    return 0.021 + 0.0022 * amplitude_deg


def minimum_jerk(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position 0–1 of a minimum-jerk movement at phase 0–1."""
    p = np.clip(phase, 0, 1)
    return 10 * p**3 - 15 * p**4 + 6 * p**5


def make_gaze(
    amplitudes_deg: Sequence[float],
    *,
    rate_hz: float = 600.0,
    noise_deg: float = 0.03,
    drift_deg_s: float = 0.1,
    fixation_s: float | tuple[float, float] = (0.2, 0.5),
    directions_deg: Sequence[float] | None = None,
    blinks_s: Sequence[tuple[float, float]] = (),
    seed: int = 0,
) -> TrueGaze:
    """Make one trace: fixation, saccade, fixation, …; blinks are (onset, duration) of lost samples."""
    rng = np.random.default_rng(seed)
    x, y, t = 0.0, 0.0, 0.0
    targets: list[tuple[float, float, float, float]] = []  # onset, duration, dx, dy
    low, high = fixation_s if isinstance(fixation_s, tuple) else (fixation_s, fixation_s)
    directions = []
    for i, amplitude in enumerate(amplitudes_deg):
        t += rng.uniform(low, high)
        if directions_deg is not None:
            direction = directions_deg[i]
        else:  # towards the centre when far out, so that gaze stays on a screen
            direction = rng.uniform(-180, 180)
            if np.hypot(x, y) > 8:
                direction = np.degrees(np.arctan2(-y, -x)) + rng.uniform(-30, 30)
        dx, dy = (
            amplitude * np.cos(np.radians(direction)),
            amplitude * np.sin(np.radians(direction)),
        )
        duration = saccade_duration_s(amplitude)
        targets.append((t, duration, dx, dy))
        directions.append((direction + 180) % 360 - 180)
        x, y, t = x + dx, y + dy, t + duration
    t += rng.uniform(low, high)
    times = np.arange(round(t * rate_hz)) / rate_hz
    xs, ys = np.zeros_like(times), np.zeros_like(times)
    for onset, duration, dx, dy in targets:
        begin, end = np.searchsorted(times, [onset, onset + duration])
        moved = minimum_jerk((times[begin:end] - onset) / duration)
        xs[begin:end] += dx * moved
        ys[begin:end] += dy * moved
        xs[end:] += dx
        ys[end:] += dy
    step = (
        drift_deg_s / rate_hz / np.sqrt(1 / rate_hz)
    )  # a random walk: drift_deg_s after one second
    xs += np.cumsum(rng.normal(0, step, times.size)) + rng.normal(0, noise_deg, times.size)
    ys += np.cumsum(rng.normal(0, step, times.size)) + rng.normal(0, noise_deg, times.size)
    for onset, duration in blinks_s:
        lost = (times >= onset) & (times < onset + duration)
        xs[lost] = np.nan
        ys[lost] = np.nan
    return TrueGaze(
        times_s=times,
        x_deg=xs,
        y_deg=ys,
        saccade_onset_s=np.array([target[0] for target in targets]),
        saccade_duration_s=np.array([target[1] for target in targets]),
        amplitude_deg=np.asarray(amplitudes_deg, dtype=float),
        direction_deg=np.asarray(directions, dtype=float),
        blinks_s=list(blinks_s),
    )
