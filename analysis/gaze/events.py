"""Event detectors: one seam, a registry, and sample labels from any of them.

A detector is a pure function ``(x_deg, y_deg, t_s, *, stimulus) -> labels``: degrees of visual angle
(NaN where lost; blinks and their surroundings are blanked before), seconds, and one code of
:class:`~duchenne.analysis.gaze.labels.Label` per sample. Register one and name it in an analysis::

    @register_detector("mine")
    def detect(x_deg, y_deg, t_s, *, stimulus=None): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from duchenne.analysis.gaze.blinks import find_losses
from duchenne.analysis.gaze.detectors.adaptive import detect_adaptive
from duchenne.analysis.gaze.detectors.peers import PEERS
from duchenne.analysis.gaze.ivt import detect_ivt
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import (
    as_floats,
    fill_runs,
    rate_segments,
    runs,
    sampling_rate_hz,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

DEFAULT_DETECTOR = "adaptive"
STIMULUS_KINDS = ("image", "dots", "video")


class Detector(Protocol):
    """A pure function from gaze in degrees to one label per sample."""

    def __call__(
        self,
        x_deg: NDArray[np.float64],
        y_deg: NDArray[np.float64],
        t_s: NDArray[np.float64],
        /,
        *,
        stimulus: str | None = None,
    ) -> NDArray[np.int8]:
        """Label every sample."""
        ...


_DETECTORS: dict[str, Detector] = {}


def register_detector(name: str) -> Callable[[Detector], Detector]:
    """Register a detector under a name (decorator).

    Raises
    ------
    ValueError
        When the name is taken.
    """

    def register(detector: Detector) -> Detector:
        if name in _DETECTORS:
            raise ValueError(f"a gaze event detector named {name} is registered already")
        _DETECTORS[name] = detector
        return detector

    return register


def detector_names() -> list[str]:
    """Return the names of the registered detectors."""
    return sorted(_DETECTORS)


def get_detector(name: str) -> Detector:
    """Return a registered detector.

    Raises
    ------
    DuchenneError
        Naming those that exist.
    """
    try:
        return _DETECTORS[name]
    except KeyError:
        raise DuchenneError(
            f"No gaze event detector named {name}; there are {', '.join(detector_names())}."
        ) from None


_SINGLE_PRECISION = (DEFAULT_DETECTOR, "ivt")
"""Detectors that turn single precision into double piece by piece; others are given double."""

register_detector(DEFAULT_DETECTOR)(detect_adaptive)
register_detector("ivt")(detect_ivt)
for _name, _peer in PEERS.items():
    register_detector(_name)(_peer)


def label_samples(
    x_deg: ArrayLike,
    y_deg: ArrayLike,
    t_s: ArrayLike,
    *,
    stimulus: str | None = None,
    detector: str = DEFAULT_DETECTOR,
) -> NDArray[np.int8]:
    """Label every gaze sample with the kind of eye movement.

    Loss comes first: it is blanked with its surroundings, then the detector sees the rest. Where the
    sampling rate changes within the recording, each stretch of one rate is worked on by itself.

    Parameters
    ----------
    x_deg, y_deg : array_like, shape (n,)
        Degrees of visual angle; NaN where lost. Single precision stays so, which saves memory.
    t_s : array_like, shape (n,)
        Seconds, ascending; need not be even.
    stimulus : {"image", "dots", "video"}, optional
        What was looked at, for detectors that treat them apart.
    detector : str
        Name of a registered detector.

    Returns
    -------
    ndarray of int8, shape (n,)
        0 none, 1 fixation, 2 saccade, 3 post-saccadic oscillation, 4 pursuit, 5 blink (a loss of
        6–500 ms with its surroundings), 6 undefined (any other loss, or impossible movement).

    Raises
    ------
    ValueError
        When shapes differ, stamps run backwards or are not finite, or ``stimulus`` is unknown.
    DuchenneError
        When there is no such detector.
    """
    x, y = as_floats(x_deg), as_floats(y_deg)
    if not (x.dtype == y.dtype and detector in _SINGLE_PRECISION):
        x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    t = np.asarray(t_s, dtype=np.float64)
    if not (x.ndim == 1 and x.shape == y.shape == t.shape):
        raise ValueError(f"x_deg {x.shape}, y_deg {y.shape} and t_s {t.shape} need one length")
    if stimulus is not None and stimulus not in STIMULUS_KINDS:
        raise ValueError(f"stimulus is {stimulus!r}, not one of {', '.join(STIMULUS_KINDS)}")
    if not np.isfinite(t).all() or (t[1:] < t[:-1]).any():
        raise ValueError("time stamps run backwards or are missing; sort them first")
    find = get_detector(detector)
    stretches = rate_segments(t, sampling_rate_hz(t)) if t.size else []
    if len(stretches) > 1:
        parts = [slice(one.start, one.stop) for one in stretches]
        return np.concatenate(
            [label_samples(x[p], y[p], t[p], stimulus=stimulus, detector=detector) for p in parts]
        )
    valid = np.isfinite(x) & np.isfinite(y)
    rate_hz = sampling_rate_hz(t)
    if t.size < 2 or not np.isfinite(rate_hz):
        return np.zeros(t.size, dtype=np.int8)
    losses = find_losses(valid, t, rate_hz)
    seen = valid & ~losses.guard
    labels = np.asarray(
        find(np.where(seen, x, np.nan), np.where(seen, y, np.nan), t, stimulus=stimulus)
    ).astype(np.int8)
    labels = bridge_short_loss(labels, ~valid & ~losses.guard)
    labels[losses.guard] = Label.UNDEFINED
    labels[losses.blink_guard] = Label.BLINK
    return labels


def bridge_short_loss(labels: NDArray[np.int8], lost: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Give lost samples too few for a blink or guard the label before them, if it is the one after."""
    starts, stops = runs(lost)
    inside = (starts > 0) & (stops < labels.size)
    starts, stops = starts[inside], stops[inside]
    before, after = labels[starts - 1], labels[stops]
    filled = labels.copy()
    filled[fill_runs(starts, stops, labels.size)] = np.repeat(
        np.where(before == after, before, Label.NONE), stops - starts
    )
    return filled
