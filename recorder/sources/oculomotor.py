"""How the simulated eyes move: saccades, scripted fixations, blinks, tremor, as pure functions.

Saccades last 21 ms + 2.2 ms per degree (Carpenter, 1988, Movements of the Eyes) and follow the
minimum-jerk profile 10 u³ - 15 u⁴ + 6 u⁵ (Flash & Hogan, 1985, J. Neurosci. 5), whose peak velocity
is 1.875 times the mean.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from duchenne.recorder.sources.screen import RegionDeg

    FloatArray = npt.NDArray[np.float64]

MAIN_SEQUENCE_INTERCEPT_S = 0.021
MAIN_SEQUENCE_SLOPE_S_PER_DEG = 0.0022
MINIMUM_JERK_PEAK = 1.875

FIXATION_MEDIAN_S = 0.3
FIXATION_LOG_SD = 0.25
FIXATION_RANGE_S = (0.2, 0.45)
AMPLITUDE_MEDIAN_DEG = 4.0
AMPLITUDE_LOG_SD = 0.5
AMPLITUDE_RANGE_DEG = (2.0, 12.0)
BLINK_GAP_S = 4.0
BLINK_GAP_MEAN_EXCESS_S = 4.0
BLINK_DURATION_RANGE_S = (0.12, 0.2)
NOISE_BLOCK = 600
OSCILLATION_HZ = 20.0
OSCILLATION_DECAY_S = 0.012


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return a random generator that depends on the seed and the keys alone."""
    words = [key if isinstance(key, int) else zlib.crc32(key.encode()) for key in keys]
    return np.random.default_rng([seed, *words])


def saccade_duration_s(amplitude_deg: float) -> float:
    """Return the duration of a saccade of `amplitude_deg` on the main sequence, in seconds."""
    return MAIN_SEQUENCE_INTERCEPT_S + MAIN_SEQUENCE_SLOPE_S_PER_DEG * amplitude_deg


@dataclass(frozen=True)
class Saccade:
    """A straight jump of both eyes.

    Attributes
    ----------
    onset_s : float
        On the LSL clock.
    x0_deg, y0_deg, x1_deg, y1_deg : float
        Where it starts and ends; x to the right, y up.
    """

    onset_s: float
    x0_deg: float
    y0_deg: float
    x1_deg: float
    y1_deg: float

    @property
    def amplitude_deg(self) -> float:
        """Distance between start and end."""
        return math.hypot(self.x1_deg - self.x0_deg, self.y1_deg - self.y0_deg)

    @property
    def direction_deg(self) -> float:
        """Direction in (-180, 180], 0 to the right, 90 up."""
        return math.degrees(math.atan2(self.y1_deg - self.y0_deg, self.x1_deg - self.x0_deg))

    @property
    def duration_s(self) -> float:
        """Time from start to end, on the main sequence."""
        return saccade_duration_s(self.amplitude_deg)

    @property
    def offset_s(self) -> float:
        """End, on the LSL clock."""
        return self.onset_s + self.duration_s

    @property
    def peak_velocity_deg_s(self) -> float:
        """Highest velocity of the minimum-jerk profile."""
        return MINIMUM_JERK_PEAK * self.amplitude_deg / self.duration_s


@dataclass(frozen=True)
class Blink:
    """Both eyes closed: no position and no pupil from `onset_s` for `duration_s`."""

    onset_s: float
    duration_s: float

    @property
    def offset_s(self) -> float:
        """End, on the LSL clock."""
        return self.onset_s + self.duration_s


def minimum_jerk(progress: FloatArray) -> FloatArray:
    """Return the travelled part (0 to 1) at a part of the duration (0 to 1)."""
    u: FloatArray = np.clip(progress, 0.0, 1.0)
    return u * u * u * (10.0 + u * (6.0 * u - 15.0))


def gaze_position(
    saccades: Sequence[Saccade],
    rest_deg: tuple[float, float],
    times_s: FloatArray,
    *,
    oscillation: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Return where the eyes point, without noise.

    Parameters
    ----------
    saccades : sequence of Saccade
        Each starts where the one before it ended.
    rest_deg : (float, float)
        Position before the first of them.
    times_s : (n,) array
        LSL times.
    oscillation : float, default 0
        First swing of the post-saccadic oscillation, as a part of the amplitude.

    Returns
    -------
    x_deg, y_deg : (n,) arrays
    """
    x = np.full(times_s.shape, rest_deg[0])
    y = np.full(times_s.shape, rest_deg[1])
    for saccade in saccades:
        travelled = minimum_jerk((times_s - saccade.onset_s) / saccade.duration_s)
        if oscillation:
            after = np.maximum(times_s - saccade.offset_s, 0.0)
            swing = np.sin(2 * math.pi * OSCILLATION_HZ * after)
            travelled = travelled + oscillation * swing * np.exp(-after / OSCILLATION_DECAY_S)
        x += (saccade.x1_deg - saccade.x0_deg) * travelled
        y += (saccade.y1_deg - saccade.y0_deg) * travelled
    return x, y


def exploration(
    region: RegionDeg, start_deg: tuple[float, float], seed: int, key: str
) -> Iterator[tuple[float, float, float]]:
    """Script the scan of a region: endless, and always the same for the same arguments.

    Parameters
    ----------
    region : RegionDeg
        All targets lie in it.
    start_deg : (float, float)
        Where the eyes are before the first saccade.
    seed : int
    key : str
        Usually the presentation's id.

    Yields
    ------
    x_deg, y_deg : float
        Where the next saccade lands: in all directions, with log-normal amplitudes of 4° median
        within 2° to 12°.
    fixation_s : float
        How long the eyes stay there: log-normal, 0.3 s median within 0.2 to 0.45 s.
    """
    random = generator(seed, "exploration", key)
    here = start_deg
    while True:
        here = _next_target(region, here, random)
        fixation = float(np.exp(random.normal(math.log(FIXATION_MEDIAN_S), FIXATION_LOG_SD)))
        yield *here, float(np.clip(fixation, *FIXATION_RANGE_S))


def _next_target(
    region: RegionDeg, here: tuple[float, float], random: np.random.Generator, tries: int = 40
) -> tuple[float, float]:
    for _ in range(tries):
        amplitude = float(np.exp(random.normal(math.log(AMPLITUDE_MEDIAN_DEG), AMPLITUDE_LOG_SD)))
        amplitude = float(np.clip(amplitude, *AMPLITUDE_RANGE_DEG))
        direction = random.uniform(-math.pi, math.pi)
        x = here[0] + amplitude * math.cos(direction)
        y = here[1] + amplitude * math.sin(direction)
        if region.contains(x, y):
            return x, y
    # Too small a region, or far outside of it: the farthest of a few points inside.
    points = random.uniform((region.left, region.bottom), (region.right, region.top), size=(8, 2))
    distances = np.hypot(points[:, 0] - here[0], points[:, 1] - here[1])
    x, y = points[int(np.argmax(distances))]
    return float(x), float(y)


def spontaneous_blinks(start_s: float, seed: int) -> Iterator[Blink]:
    """Script the blinks of a resting participant: endless, about seven per minute.

    Parameters
    ----------
    start_s : float
        LSL time from which blinks may come.
    seed : int

    Yields
    ------
    Blink
        In order; at least 4 s apart, the rest of the gap exponential with a mean of 4 s.
    """
    random = generator(seed, "blinks")
    onset = start_s
    while True:
        onset += BLINK_GAP_S + random.exponential(BLINK_GAP_MEAN_EXCESS_S)
        blink = Blink(onset, random.uniform(*BLINK_DURATION_RANGE_S))
        onset = blink.offset_s
        yield blink


def tremor(seed: int, first: int, n: int, columns: int, cache: dict[int, FloatArray]) -> FloatArray:
    """Return white noise of unit variance that depends on the seed and the sample's number alone.

    Parameters
    ----------
    seed : int
    first, n : int
        Number of the first sample, and how many.
    columns : int
        Independent values per sample.
    cache : dict
        Keeps the block in use between calls; an empty one to begin with.

    Returns
    -------
    (n, columns) array
    """
    parts = []
    position, last = first, first + n
    while position < last:
        block, begin = divmod(position, NOISE_BLOCK)
        if block not in cache:
            cache.clear()
            cache[block] = generator(seed, "tremor", block).standard_normal((NOISE_BLOCK, columns))
        end = min(begin + last - position, NOISE_BLOCK)
        parts.append(cache[block][begin:end])
        position += end - begin
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True)
class SlowNoise:
    """A smooth random curve, as a sum of sinusoids: a function of time alone.

    Attributes
    ----------
    frequency_hz, phase, weight : (k,) arrays
        `weight` scales the sum to the wanted standard deviation.
    """

    frequency_hz: FloatArray
    phase: FloatArray
    weight: FloatArray

    @classmethod
    def draw(
        cls, seed: int, key: str, *, sd: float, band_hz: tuple[float, float], terms: int = 5
    ) -> SlowNoise:
        """Draw a curve of standard deviation `sd`; in `band_hz`, low frequencies are stronger."""
        random = generator(seed, "slow", key)
        frequency = np.exp(random.uniform(math.log(band_hz[0]), math.log(band_hz[1]), terms))
        weight = frequency**-0.5
        weight *= sd * math.sqrt(2.0) / math.sqrt(float(np.sum(weight**2)))
        return cls(frequency, random.uniform(0, 2 * math.pi, terms), weight)

    def at(self, times_s: FloatArray) -> FloatArray:
        """Return the curve at times, seconds from any fixed origin."""
        angle = 2 * math.pi * np.outer(times_s, self.frequency_hz) + self.phase
        curve: FloatArray = np.sin(angle) @ self.weight
        return curve
