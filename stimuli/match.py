"""Making pictures alike in luminance, contrast, histogram or spectrum (after SHINE).

The steps are those of Willenbockel et al. (2010, Behavior Research Methods, 42, 671–684), worked on
relative luminance (linear light) rather than on pixel values, so that what is matched is what
leaves the screen. Arrays in, arrays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Light = npt.NDArray[np.float64]

Aspect = Literal["luminance", "contrast", "histogram", "spectrum"]
ASPECTS: tuple[Aspect, ...] = ("luminance", "contrast", "histogram", "spectrum")
ROUNDS = 40
TOLERANCE = 2e-4
CLIPPED_BY = 1.0 / 512.0
"""A pixel counts as clipped when it loses more than so much relative luminance."""


def matched(
    lights: Sequence[Light], on: Sequence[Aspect], rounds: int = 5
) -> tuple[list[Light], list[float]]:
    """Match pictures to what they have in common.

    Parameters
    ----------
    lights : sequence of ndarray, shape (height, width)
        Relative luminance, 0 to 1; of equal shape where the spectrum is matched.
    on : sequence of {"luminance", "contrast", "histogram", "spectrum"}
        What to match. The targets are the means over all pictures: of mean luminance; of its
        standard deviation;
        the mean sorted luminance (the average histogram); the mean amplitude spectrum.
    rounds : int
        Where the spectrum goes with something else, so many times one after the other: each undoes a
        little of the other.

    Returns
    -------
    (list of ndarray, list of float)
        Matched luminance within 0 to 1, and the share of pixels of each picture that had to be clipped in the
        last step.
    """
    level = float(np.mean([light.mean() for light in lights]))
    spread = float(np.mean([light.std() for light in lights]))
    amplitude = mean_amplitude(lights) if "spectrum" in on else None
    sorted_light = mean_histogram(lights) if "histogram" in on else None
    found, clipped = [], []
    for light in lights:
        now, share = light, 0.0
        for _ in range(rounds if amplitude is not None and len(on) > 1 else 1):
            if amplitude is not None:
                now = with_amplitude(now, amplitude)
            if sorted_light is not None:
                now = with_histogram(now, sorted_light)
            share = float(np.mean((now < -CLIPPED_BY) | (now > 1.0 + CLIPPED_BY)))
            if "luminance" in on or "contrast" in on:
                own_level = (
                    level if "luminance" in on or amplitude is not None else float(light.mean())
                )
                now, share = with_moments(now, own_level, spread if "contrast" in on else None)
            now = np.clip(now, 0.0, 1.0)
        found.append(now)
        clipped.append(share)
    return found, clipped


def with_moments(light: Light, mean: float, sd: float | None) -> tuple[Light, float]:
    """Give a picture a mean and, unless None, a standard deviation of luminance.

    Without `sd` light is multiplied, as a grey filter would: relative contrast stays. With it the
    change is affine.
    Values outside 0 to 1 are clipped and the change repeated until mean and spread hold after clipping.

    Parameters
    ----------
    light : ndarray
        Relative luminance.
    mean, sd : float
        Wanted, of relative luminance.

    Returns
    -------
    (ndarray, float)
        The picture within 0 to 1 and the share of its pixels that were clipped.
    """
    base = np.asarray(light, dtype=np.float64)
    own_mean, own_sd = float(base.mean()), float(base.std())
    if sd is not None and own_sd < 1e-9:
        return np.full_like(base, np.clip(mean, 0.0, 1.0)), 0.0
    if sd is None and own_mean < 1e-9:
        return np.full_like(base, np.clip(mean, 0.0, 1.0)), 0.0
    gain = sd / own_sd if sd is not None else mean / own_mean
    offset = mean - gain * own_mean if sd is not None else 0.0
    raw = now = base
    for _ in range(ROUNDS):
        raw = gain * base + offset
        now = np.clip(raw, 0.0, 1.0)
        off_mean = mean - float(now.mean())
        if sd is None:
            if abs(off_mean) < TOLERANCE:
                break
            gain *= mean / max(float(now.mean()), 1e-9)
            continue
        now_sd = float(now.std())
        if abs(off_mean) < TOLERANCE and abs(sd - now_sd) < TOLERANCE:
            break
        ratio = float(np.clip(sd / max(now_sd, 1e-9), 0.5, 2.0))
        offset += off_mean + gain * own_mean * (1.0 - ratio)
        gain *= ratio
    return now, float(np.mean((raw < -CLIPPED_BY) | (raw > 1.0 + CLIPPED_BY)))


def mean_histogram(lights: Sequence[Light], n: int = 4096) -> Light:
    """Return the mean of the sorted luminance of pictures, at `n` evenly spaced ranks."""
    ranks = (np.arange(n) + 0.5) / n
    return np.asarray(np.mean([np.quantile(light, ranks) for light in lights], axis=0))


def with_histogram(light: Light, sorted_light: Light) -> Light:
    """Give a picture the luminance values of a histogram, keeping the order of its pixels.

    Pixels of equal luminance are told apart by the mean of their neighbourhood (Coltuc, Bolon, &
    Chassery, 2006,
    IEEE Transactions on Image Processing, 15, 1143–1152), so that flat areas do not tear.
    """
    from scipy import ndimage  # noqa: PLC0415 - not part of the core install

    around = ndimage.uniform_filter(light, 3)
    wider = ndimage.uniform_filter(light, 7)
    order = np.lexsort((wider.ravel(), around.ravel(), light.ravel()))
    n = light.size
    grid = (np.arange(len(sorted_light)) + 0.5) / len(sorted_light)
    values = np.empty(n)
    values[order] = np.interp((np.arange(n) + 0.5) / n, grid, sorted_light)
    return values.reshape(light.shape)


def mean_amplitude(lights: Sequence[Light]) -> Light:
    """Return the mean amplitude spectrum of pictures of one shape."""
    from scipy import fft  # noqa: PLC0415 - not part of the core install

    total: Light = np.zeros((lights[0].shape[0], lights[0].shape[1] // 2 + 1))
    for light in lights:
        total += np.abs(fft.rfft2(light))
    return np.asarray(total / len(lights))


def with_amplitude(light: Light, amplitude: Light) -> Light:
    """Give a picture an amplitude spectrum, keeping its phases; values may leave 0 to 1."""
    from scipy import fft  # noqa: PLC0415 - not part of the core install

    phase = np.angle(fft.rfft2(light))
    return np.asarray(fft.irfft2(amplitude * np.exp(1j * phase), s=light.shape))


def coloured(rgb: npt.NDArray[np.float64], light: Light) -> npt.NDArray[np.float64]:
    """Give a picture another luminance and keep its hues.

    Parameters
    ----------
    rgb : ndarray, shape (height, width, 3)
        Linear sRGB, 0 to 1.
    light : ndarray, shape (height, width)
        Relative luminance wanted, 0 to 1.

    Returns
    -------
    ndarray, shape (height, width, 3)
        Linear sRGB. Chromaticity is kept where the screen can show it, else made paler until it
        can: the luminance
        is always met.
    """
    from duchenne.stimuli.luminance import BLUE, GREEN, RED  # noqa: PLC0415 - keeps this module's values together

    own = rgb @ np.array([RED, GREEN, BLUE])
    gain = np.divide(light, own, out=np.zeros_like(light), where=own > 1e-6)
    scaled = np.where((own > 1e-6)[..., None], rgb * gain[..., None], light[..., None])
    colour = scaled - light[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(
            colour > 1e-12,
            (1.0 - light[..., None]) / colour,
            np.where(colour < -1e-12, -light[..., None] / colour, np.inf),
        )
    keep = np.clip(room.min(axis=-1), 0.0, 1.0)
    return np.asarray(np.clip(light[..., None] + keep[..., None] * colour, 0.0, 1.0))
