from __future__ import annotations

import sys

import numpy as np
import pytest
from support.synthetic_gaze import make_gaze

from duchenne.analysis.gaze.detectors.peers import binocular_microsaccades
from duchenne.analysis.gaze.events import detector_names, label_samples
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import runs
from duchenne.stimuli.errors import DuchenneError

PACKAGES = {
    "engbert": "pymovements",
    "i2mc": "I2MC",
    "idt": "pymovements",
    "remodnav": "remodnav",
}


def _count(labels: np.ndarray, label: Label) -> int:
    return int(runs(labels == label)[0].size)


def test_all_can_be_chosen() -> None:
    assert {"adaptive", "ivt", *PACKAGES} <= set(detector_names())


@pytest.mark.parametrize("detector", PACKAGES)
def test_fixations_and_saccades_are_found(detector: str) -> None:
    pytest.importorskip(PACKAGES[detector])
    gaze = make_gaze([8.0] * 12, rate_hz=500, noise_deg=0.02, fixation_s=(0.3, 0.5), seed=2)
    labels = label_samples(
        gaze.x_deg, gaze.y_deg, gaze.times_s, stimulus="image", detector=detector
    )
    assert _count(labels, Label.FIXATION) == pytest.approx(13, abs=2)
    if detector != "i2mc":  # it knows fixations only
        assert _count(labels, Label.SACCADE) == pytest.approx(12, abs=2)


@pytest.mark.parametrize("detector", PACKAGES)
def test_recordings_that_begin_or_end_in_a_blink(detector: str) -> None:
    pytest.importorskip(PACKAGES[detector])
    gaze = make_gaze(
        [8.0] * 4,
        rate_hz=500,
        noise_deg=0.02,
        fixation_s=0.5,
        blinks_s=[(0.0, 0.1), (1.2, 0.1), (2.5, 1.0)],
    )
    assert np.isnan(gaze.x_deg[[0, -1]]).all()
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, detector=detector)
    assert _count(labels, Label.BLINK) == 1
    assert (labels == Label.FIXATION).mean() > 0.3


@pytest.mark.parametrize("detector", PACKAGES)
@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_nothing_much_to_see(detector: str, n: int) -> None:
    pytest.importorskip(PACKAGES[detector])
    t = np.arange(n) / 500
    for x in (np.zeros(n), np.full(n, np.nan)):
        assert label_samples(x, x, t, detector=detector).shape == (n,)
    frozen = label_samples(
        np.full(1000, 3.0), np.ones(1000), np.arange(1000) / 500, detector="engbert"
    )
    assert (frozen == Label.FIXATION).all()


@pytest.mark.parametrize("rate_hz", [60.0, 120.0, 250.0, 1000.0])
def test_remodnav_takes_any_rate(rate_hz: float) -> None:
    pytest.importorskip("remodnav")
    gaze = make_gaze([8.0] * 8, rate_hz=rate_hz, noise_deg=0.02, fixation_s=0.5)
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, detector="remodnav")
    assert _count(labels, Label.SACCADE) == pytest.approx(8, abs=2)


def test_microsaccades_must_be_in_both_eyes() -> None:
    pytest.importorskip("pymovements")
    gaze = make_gaze([0.5] * 10, rate_hz=1000, noise_deg=0.0, drift_deg_s=0.05, seed=3)
    rng = np.random.default_rng(0)
    t = gaze.times_s

    def eye(extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        noise = rng.normal(0, 0.005, (2, t.size))
        return gaze.x_deg + extra + noise[0], gaze.y_deg + extra + noise[1]

    # Two jumps in one eye only, long before and after those in both.
    alone = 0.5 * np.clip((t - 0.05) / 0.02, 0, 1) + 0.5 * np.clip((t - t[-1] + 0.1) / 0.02, 0, 1)
    both = binocular_microsaccades(eye(np.zeros_like(t)), eye(alone), t)
    starts, stops = runs(both)
    assert starts.size == pytest.approx(10, abs=1)
    middle = gaze.saccade_onset_s + gaze.saccade_duration_s / 2
    covered = (t[starts][:, None] <= middle) & (middle <= t[stops - 1][:, None])
    assert covered.any(axis=0).all()
    assert not both[t < 0.15].any()
    assert not binocular_microsaccades(([0.0], [0.0]), ([0.0], [0.0]), [0.0]).any()


@pytest.mark.parametrize("detector", PACKAGES)
def test_a_missing_package_is_named(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == PACKAGES[detector]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, PACKAGES[detector], None)
    gaze = make_gaze([5.0], rate_hz=500, fixation_s=0.5)
    with pytest.raises(DuchenneError, match=rf"needs {PACKAGES[detector]}: install it"):
        label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, detector=detector)
