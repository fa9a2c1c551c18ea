"""What the simulated eye tracker reports of the eyes: two of them, noise, lids, its own clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.sources.oculomotor import SlowNoise, gaze_position, tremor

if TYPE_CHECKING:
    import numpy.typing as npt

    from duchenne.recorder.sources.gaze_plan import GazePlan
    from duchenne.recorder.sources.pupil_response import PupilPlan
    from duchenne.recorder.sources.screen import Screen

    FloatArray = npt.NDArray[np.float64]

N_CHANNELS = 11
LEFT, RIGHT = slice(0, 2), slice(2, 4)
PUPILS, VALID, DISTANCES, DEVICE_TIME = slice(4, 6), slice(6, 8), slice(8, 10), 10
POSITIONS = slice(0, 4)

DRIFT_SD_DEG = 0.04
DRIFT_BAND_HZ = (0.2, 2.0)
VERGENCE_DEG = 0.15
"""Left eye to the right, right eye to the left: the eyes converge a little before the screen."""
PUPIL_NOISE_MM = 0.01
PUPIL_EYE_DIFFERENCE_MM = 0.05
HIPPUS_SD_MM = 0.04
HIPPUS_BAND_HZ = (0.05, 0.4)
SWAY_SD_MM = 3.0
SWAY_BAND_HZ = (0.02, 0.2)
DEVICE_EPOCH_S = 1000.0


@dataclass(frozen=True)
class Chunk:
    """Consecutive samples and what they were made from.

    Attributes
    ----------
    samples : (n, 11) array
        Channels of a Gaze stream.
    times_s : (n,) array
        LSL times.
    pupil_mm : (n,) array
        True mean diameter: light, arousal and hippus, without noise and eyelids.
    """

    samples: FloatArray
    times_s: FloatArray
    pupil_mm: FloatArray


def tilted(
    screen: Screen, x: FloatArray, y: FloatArray, up_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Return positions whose lines of sight point `up_deg` higher, everywhere by exactly that angle.

    Parameters
    ----------
    screen : Screen
    x, y : (n,) arrays
        Normalized, from the top left; NaN stays NaN.
    up_deg : float
    """
    sight = np.stack(
        [
            (x - 0.5) * screen.width_cm,
            (0.5 - y) * screen.height_cm,
            np.full(np.shape(x), screen.distance_cm),
        ],
        axis=-1,
    )
    sight /= np.linalg.norm(sight, axis=-1, keepdims=True)
    up = np.array([0.0, 1.0, 0.0])
    across = up - sight * sight[..., 1:2]
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    angle = np.radians(up_deg)
    moved = np.cos(angle) * sight + np.sin(angle) * across
    at_screen = moved[..., :2] * (screen.distance_cm / moved[..., 2:3])
    return 0.5 + at_screen[..., 0] / screen.width_cm, 0.5 - at_screen[..., 1] / screen.height_cm


class EyeTrackerSignal:
    """Turns the path of the eyes into samples; sample k depends on plan, seed and k alone.

    Parameters
    ----------
    start_s : float
        LSL time of sample 0.
    rate_hz : float
    seed : int
    noise_deg : float
        Standard deviation of the white noise per eye, axis and sample; the RMS of the distance from
        sample to sample is twice as much. A drift of 0.04° (standard deviation) comes on top.
    oscillation : float
        Post-saccadic oscillation, as a part of the amplitude.
    clock_drift_ppm : float
        By how much the device's clock runs fast against LSL's.

    Attributes
    ----------
    error_deg : float
        The reported gaze lies so far above the true one; may change between chunks.
    """

    def __init__(
        self,
        start_s: float,
        rate_hz: float,
        *,
        seed: int,
        noise_deg: float,
        oscillation: float = 0.0,
        clock_drift_ppm: float = 0.0,
    ) -> None:
        self.error_deg = 0.0
        self.start_s = start_s
        self.rate_hz = rate_hz
        self._seed = seed
        self._noise_deg = noise_deg
        self._oscillation = oscillation
        self._device_rate = 1.0 + 1e-6 * clock_drift_ppm
        self._cache: dict[int, FloatArray] = {}
        self._drift = tuple(
            SlowNoise.draw(seed, f"drift-{axis}", sd=DRIFT_SD_DEG, band_hz=DRIFT_BAND_HZ)
            for axis in "xy"
        )
        self._hippus = SlowNoise.draw(seed, "hippus", sd=HIPPUS_SD_MM, band_hz=HIPPUS_BAND_HZ)
        self._sway = SlowNoise.draw(seed, "sway", sd=SWAY_SD_MM, band_hz=SWAY_BAND_HZ)

    def device_time_s(self, number: int) -> float:
        """Return the device's own time of a sample."""
        return DEVICE_EPOCH_S + number / self.rate_hz * self._device_rate

    def chunk(self, plan: GazePlan, pupil: PupilPlan, screen: Screen, first: int, n: int) -> Chunk:
        """Return samples `first` to ``first + n - 1``.

        Parameters
        ----------
        plan : GazePlan
            Advanced beyond the last sample.
        pupil : PupilPlan
        screen : Screen
            Turns degrees into screen coordinates.
        first, n : int

        Returns
        -------
        Chunk
            Positions, pupils and distances are NaN, and validity 0, while the eyes are closed.
        """
        elapsed = (first + np.arange(n)) / self.rate_hz
        times = self.start_s + elapsed
        saccades, rest = plan.around(times[0], times[-1])
        x, y = gaze_position(saccades, rest, times, oscillation=self._oscillation)
        dx, dy = plan.pursued(times)
        x, y = x + dx, y + dy
        x += self._drift[0].at(elapsed)
        y += self._drift[1].at(elapsed)
        noise = tremor(self._seed, first, n, 6, self._cache)
        out = np.empty((n, N_CHANNELS))
        jitter = self._noise_deg * noise
        left_x, left_y = screen.to_normalized(x + VERGENCE_DEG + jitter[:, 0], y + jitter[:, 1])
        right_x, right_y = screen.to_normalized(x - VERGENCE_DEG + jitter[:, 2], y + jitter[:, 3])
        if self.error_deg:
            left_x, left_y = tilted(screen, left_x, left_y, self.error_deg)
            right_x, right_y = tilted(screen, right_x, right_y, self.error_deg)
        out[:, 0], out[:, 1], out[:, 2], out[:, 3] = left_x, left_y, right_x, right_y
        diameter = pupil.diameter_mm(times) + self._hippus.at(elapsed)
        out[:, 4] = diameter + PUPIL_EYE_DIFFERENCE_MM
        out[:, 5] = diameter - PUPIL_EYE_DIFFERENCE_MM
        out[:, PUPILS] += PUPIL_NOISE_MM * noise[:, 4:]
        out[:, VALID] = 1.0
        out[:, DISTANCES] = (10.0 * screen.distance_cm + self._sway.at(elapsed))[:, None]
        out[:, DEVICE_TIME] = DEVICE_EPOCH_S + elapsed * self._device_rate
        for blink in plan.closed(times[0], times[-1]):
            shut = (times >= blink.onset_s) & (times < blink.offset_s)
            out[shut, :6] = np.nan
            out[shut, VALID] = 0.0
            out[shut, DISTANCES] = np.nan
        return Chunk(out, times, diameter)
