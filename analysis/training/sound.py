"""Features of the sound at each picture of a film: log-mel energies.

The scale is that of O'Shaughnessy (1987), ``2595 log10(1 + f / 700)``; the filters are triangles that meet at
each other's peaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft
from scipy.signal import get_window

from duchenne.analysis.training.prepared import SOUND, read_faces
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N_BANDS = 64
WINDOW_S = 0.04
SILENCE = 1e-10
"""Added to the power before its logarithm."""


def mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies on the mel scale."""
    return np.asarray(2595 * np.log10(1 + frequency_hz / 700), np.float64)


def hertz(on_mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies of values on the mel scale, in Hz."""
    return np.asarray(700 * (10 ** (on_mel / 2595) - 1), np.float64)


def bands(
    n_bands: int, frequencies_hz: NDArray[np.float64], low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    """Return the weights of frequencies in each band: (n_bands, n_frequencies), 0 to 1.

    Parameters
    ----------
    n_bands : int
    frequencies_hz : (n_frequencies,) float
    low_hz, high_hz : float
        Where the first band begins and the last one ends.
    """
    ends = mel(np.array([low_hz, high_hz]))
    edges = hertz(np.linspace(ends[0], ends[1], n_bands + 2))
    rising = (frequencies_hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies_hz) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)), np.float64)


def log_mel(
    samples: NDArray[np.floating],
    rate_hz: float,
    times_s: NDArray[np.floating],
    *,
    n_bands: int = N_BANDS,
    window_s: float = WINDOW_S,
    low_hz: float = 50.0,
    high_hz: float | None = None,
) -> NDArray[np.float32]:
    """Return the log-mel energies of a sound about some times.

    Parameters
    ----------
    samples : (n,) float
        -1 to 1, of one channel.
    rate_hz : float
        Samples in a second.
    times_s : (m,) float
        From the first sample on, such as those of the pictures of a film.
    n_bands : int
    window_s : float
        Length of the piece about each time (Hann window); the sound is taken as silent beyond its ends.
    low_hz, high_hz : float
        Ends of the bands; half of the rate where the upper one is absent.

    Returns
    -------
    (m, n_bands) float32
        Natural logarithm of the power; NaN for times outside of the sound.
    """
    n = max(2, round(window_s * rate_hz))
    padded = np.pad(np.asarray(samples, np.float64), (n, n))
    times = np.asarray(times_s, np.float64)
    inside = (times >= 0) & (times <= len(samples) / rate_hz)
    starts = np.round(np.where(inside, times, 0) * rate_hz).astype(np.intp) + n - n // 2
    pieces = padded[starts[:, None] + np.arange(n)] * get_window("hann", n)
    power = np.abs(fft.rfft(pieces, axis=1)) ** 2 / n
    weights = bands(n_bands, fft.rfftfreq(n, 1 / rate_hz), low_hz, high_hz or rate_hz / 2)
    energies = np.log(power @ weights.T + SILENCE)
    return np.where(inside[:, None], energies, np.nan).astype(np.float32)


def add_sound(folder: Path, features: NDArray[np.floating]) -> None:
    """Write features of the sound into a prepared set, one row per picture.

    Parameters
    ----------
    folder : Path
    features : (n, k) float
        NaN where there is no sound.

    Raises
    ------
    DuchenneError
        When they are not as many as the pictures, or cannot be written.
    """
    n = len(read_faces(folder))
    if features.ndim != 2 or len(features) != n:
        raise DuchenneError(f"{folder} has {n} pictures, the sound is {features.shape}.")
    try:
        np.save(folder / SOUND, features.astype(np.float32))
    except OSError as error:
        raise DuchenneError(
            f"{folder / SOUND} cannot be written ({error.strerror or error})."
        ) from error
