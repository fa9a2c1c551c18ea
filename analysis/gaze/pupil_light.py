"""What light alone does to the pupil of one participant, so that it can be taken off.

Luminance becomes the diameter an average pupil would settle at (Watson & Yellott 2012), that becomes a
time course by a gamma-shaped response after a latency (the form of Korn & Bach 2016), and the
participant's own gain is fitted where nothing emotional is shown. Pure functions of arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import oaconvolve

from duchenne.analysis.gaze.signal import interpolate_nan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

WHITE_CD_M2 = 200.0
"""Luminance of a usual monitor's white, where the screen does not tell its own."""
AMBIENT = 0.0025
"""What a black screen gives off, relative to its white."""
AGE_YEARS = 28.58
"""Watson and Yellott's reference age; it only scales the drive, which the fitted gain undoes."""
LATENCY_S = 0.22
SHAPE = 3.0
SCALE_S = 0.16
"""Default response: the mean of its delay is 0.22 + 3 × 0.16 = 0.70 s."""
SCALES_S = (0.06, 0.10, 0.16, 0.24, 0.36, 0.50)
LATENCIES_S = (0.18, 0.22, 0.28)
"""Responses tried where a light-reflex calibration tells them apart."""
ONSET_SHAPE, ONSET_SCALE_S = 11.1, 0.0921
"""Response to anything that appears: Hoeks & Levelt 1993, t^10.1 exp(−10.1 t / 0.93 s)."""
MIN_FIT_S = 8.0
MIN_LEVELS = {"calibration": 3, "non-emotional": 4}
"""Different luminances that a fit needs; pictures also need telling apart from that they appear."""
FORGOTTEN = 0.05
"""A response is not known while more than this share of it rests on light that is not known."""
MIN_T = 3.0
SOURCES = {
    "calibration": "fitted on the participant's light-reflex calibration",
    "non-emotional": "fitted on the participant's neutral stimuli and empty screens",
    "population": "not fitted: the average pupil's response (Watson & Yellott 2012), gain 1",
    "none": "not known: nothing was taken off",
}


@dataclass(frozen=True)
class LightKernel:
    """Gamma-distributed delay of the response to light.

    Parameters
    ----------
    latency_s : float
        Nothing happens before.
    scale_s, shape : float
        The mean delay after the latency is their product.
    """

    latency_s: float = LATENCY_S
    scale_s: float = SCALE_S
    shape: float = SHAPE

    def weights(self, rate_hz: float) -> Floats:
        """Return the impulse response at a rate, summing to 1."""
        length_s = self.latency_s + self.scale_s * (self.shape + 8.0 * np.sqrt(self.shape) + 8.0)
        x = np.maximum(np.arange(round(length_s * rate_hz) + 1) / rate_hz - self.latency_s, 0.0)
        x = x / self.scale_s
        density = x ** (self.shape - 1.0) * np.exp(-x)
        if not density.sum() > 0:
            density[-1] = 1.0
        return np.asarray(density / density.sum())


ONSET_KERNEL = LightKernel(0.0, ONSET_SCALE_S, ONSET_SHAPE)


@dataclass(frozen=True)
class LightModel:
    """A participant's response to light.

    Parameters
    ----------
    source : str
        One of :data:`SOURCES`.
    gain : float
        Participant's change per change of the average pupil, in units of the trace per millimetre; 1
        is average for a diameter in millimetres. NaN where unknown.
    gain_se : float
        Its standard error, with the residuals' autocorrelation taken into account; NaN where not
        fitted.
    kernel : LightKernel
    reference_mm : float
        Average pupil on the empty screen: light there counts as none.
    range_mm : tuple of float
        Smallest and largest drive in the fit.
    variance_explained : float
        By light alone in the fitted stretches, 0–1 after trend and other regressors; NaN where not
        fitted.
    reason : str
        Why a better source could not be used; empty where it was the best.
    """

    source: str = "none"
    gain: float = float("nan")
    gain_se: float = float("nan")
    kernel: LightKernel = LightKernel()
    reference_mm: float = float("nan")
    range_mm: tuple[float, float] = (float("nan"), float("nan"))
    variance_explained: float = float("nan")
    reason: str = ""


def average_diameter_mm(
    luminance: ArrayLike,
    *,
    area_deg2: float,
    white_cd_m2: float = WHITE_CD_M2,
    ambient: float = AMBIENT,
) -> Floats:
    """Return the diameter at which the average pupil settles.

    Parameters
    ----------
    luminance : array_like
        Displayed luminance relative to the screen's white, 0–1, linear (not sRGB values).
    area_deg2 : float
        Area of the lit field, square degrees.
    white_cd_m2 : float
        Luminance of white.
    ambient : float
        What black gives off, relative to white.

    Returns
    -------
    ndarray
        Millimetres, 2–8; NaN where the luminance is.

    References
    ----------
    Watson & Yellott 2012, Journal of Vision 12(10):12: unified formula for both eyes at the reference
    age of 28.58 years, which is that of Stanley & Davies (1995).
    """
    flux = (np.maximum(np.asarray(luminance, dtype=np.float64), 0.0) + ambient) * white_cd_m2
    power = (flux * area_deg2 / 846.0) ** 0.41
    return np.asarray(7.75 - 5.75 * power / (power + 2.0))


def respond(drive: ArrayLike, rate_hz: float, kernel: LightKernel) -> Floats:
    """Return the time course that a drive causes; before its start it held its first value.

    Parameters
    ----------
    drive : array_like, shape (n,)
        At equal steps; NaN is held over.
    rate_hz : float
        Steps per second.
    kernel : LightKernel

    Returns
    -------
    ndarray, shape (n,)
    """
    values = np.asarray(drive, dtype=np.float64)
    known = np.isfinite(values)
    if values.size == 0 or not known.any():
        return np.full(values.shape, np.nan)
    values = interpolate_nan(values, known)
    weights = kernel.weights(rate_hz)
    change = oaconvolve(values - values[0], weights)[: values.size]
    return np.asarray(values[0] + change)


def fit_light(
    times_s: Floats,
    pupil: Floats,
    drive_mm: Floats,
    fit_mask: Bools,
    *,
    source: str,
    reference_mm: float,
    shown: Floats | None = None,
    nuisance: Floats | None = None,
) -> LightModel:
    """Fit a participant's response to light where nothing emotional is shown.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds at equal steps (50 Hz is plenty).
    pupil : ndarray, shape (n,)
        Cleaned trace at these times; NaN where missing.
    drive_mm : ndarray, shape (n,)
        From :func:`average_diameter_mm`.
    fit_mask : ndarray of bool, shape (n,)
        Samples to fit. Never those during or shortly after emotional stimuli.
    source : {"calibration", "non-emotional"}
        What the mask holds. The shape of the response is only fitted on a calibration.
    reference_mm : float
        Drive of the empty screen.
    shown : ndarray, shape (n,), optional
        1 while any stimulus is on. The response to something appearing is fitted beside that to light
        and not taken off.
    nuisance : ndarray, shape (n, k), optional
        Further regressors, such as gaze position; NaN rows are left out.

    Returns
    -------
    LightModel
        With source ``none`` and the reason where the stretch is shorter than 8 s, has fewer than 3
        levels of light (4 for ``non-emotional``), or the gain is not above 0 by 3 standard errors:
        pupils do not widen in light.
    """
    rate_hz = _rate(times_s)
    use = fit_mask & np.isfinite(pupil) & _remembered(drive_mm, rate_hz, LightKernel())
    extra = np.zeros((times_s.size, 0)) if nuisance is None else nuisance
    use &= np.isfinite(extra).all(axis=1)
    nothing = LightModel(reference_mm=reference_mm)
    if np.count_nonzero(use) < MIN_FIT_S * rate_hz:
        return replace(nothing, reason=f"{source}: less than {MIN_FIT_S:g} s without emotion")
    levels = np.unique(np.round(drive_mm[fit_mask & np.isfinite(drive_mm)], 2)).size
    if levels < MIN_LEVELS[source]:
        return replace(nothing, reason=f"{source}: only {levels} level(s) of light")
    trend = 2.0 * (times_s - times_s[use].min()) / max(float(np.ptp(times_s[use])), 1e-9) - 1.0
    columns = [np.ones(times_s.size), trend]
    if shown is not None and np.ptp(shown[use]) > 0:
        columns.append(respond(shown, rate_hz, ONSET_KERNEL))
    base = np.column_stack([*columns, extra])[use]
    calibrating = source == "calibration"
    kernels = (
        [LightKernel(latency, scale) for latency in LATENCIES_S for scale in SCALES_S]
        if calibrating
        else [LightKernel()]
    )
    drive = drive_mm - reference_mm
    fits = []
    for kernel in kernels:
        light = respond(drive, rate_hz, kernel)[use]
        fits.append((_least_squares(base, light, pupil[use]), kernel))
    (gain, error, explained, _), kernel = min(fits, key=lambda fit: fit[0][3])
    if not gain > MIN_T * error:
        return replace(
            nothing,
            reason=f"{source}: gain {gain:.2g} ± {error:.2g} cannot be told from none",
        )
    span = (float(drive_mm[use].min()), float(drive_mm[use].max()))
    return LightModel(source, gain, error, kernel, reference_mm, span, explained)


def population_light(
    reference_mm: float, *, unit: str | None, measure: str | None, reason: str = ""
) -> LightModel:
    """Return the average pupil's response, for a device that gives diameters in millimetres.

    Parameters
    ----------
    reference_mm : float
        Drive of the empty screen.
    unit, measure : str or None
        Of the trace; for anything but a diameter in millimetres the source is ``none``.
    reason : str
        Why the response could not be fitted.
    """
    if unit == "mm" and (measure or "diameter") == "diameter":
        return LightModel("population", 1.0, reference_mm=reference_mm, reason=reason)
    why = f"{reason}; sizes are not diameters in mm, so the average response does not apply"
    return LightModel(reference_mm=reference_mm, reason=why.removeprefix("; "))


def light_response(model: LightModel, drive_mm: Floats, rate_hz: float) -> Floats:
    """Return the part of the pupil that light explains, against the empty screen.

    Parameters
    ----------
    model : LightModel
    drive_mm : ndarray, shape (n,)
        At equal steps.
    rate_hz : float
        Steps per second.

    Returns
    -------
    ndarray, shape (n,)
        In the unit of the trace; take it off to be rid of light. NaN where the response is unknown.
    """
    if not np.isfinite(model.gain):
        return np.full(drive_mm.shape, np.nan)
    course = respond(model.gain * (drive_mm - model.reference_mm), rate_hz, model.kernel)
    return np.where(_remembered(drive_mm, rate_hz, model.kernel), course, np.nan)


def _rate(times_s: Floats) -> float:
    return float((times_s.size - 1) / (times_s[-1] - times_s[0])) if times_s.size > 1 else 0.0


def _remembered(drive: Floats, rate_hz: float, kernel: LightKernel) -> Bools:
    """Return where the response rests on known drive."""
    unknown = ~np.isfinite(drive)
    if not unknown.any():
        return ~unknown
    return np.asarray(respond(unknown.astype(np.float64), rate_hz, kernel) <= FORGOTTEN)


def _least_squares(base: Floats, light: Floats, pupil: Floats) -> tuple[float, float, float, float]:
    """Return the gain of light, its standard error, R² by light, and the residual sum of squares."""
    rest = pupil - base @ np.linalg.lstsq(base, pupil, rcond=None)[0]
    own = light - base @ np.linalg.lstsq(base, light, rcond=None)[0]
    power = float(own @ own)
    if power <= 1e-9 * light.size:
        return 0.0, float("inf"), 0.0, float(rest @ rest)
    gain = float(own @ rest) / power
    residual = rest - own * gain
    left, total = float(residual @ residual), float(rest @ rest)
    again = float(residual[1:] @ residual[:-1]) / left if left > 0 else 0.0
    again = min(max(again, 0.0), 0.9999)
    n_free = max(pupil.size * (1 - again) / (1 + again) - base.shape[1] - 1, 1.0)
    return (
        gain,
        float(np.sqrt(left / n_free / power)),
        1.0 - left / total if total > 0 else 0.0,
        left,
    )
