from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.events import (
    bridge_short_loss,
    detector_names,
    get_detector,
    label_samples,
    register_detector,
)
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import runs
from duchenne.analysis.gaze.tabulate import event_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

AMPLITUDES = np.random.default_rng(7).uniform(1, 15, 120)


def _count(labels: NDArray[np.int8], label: Label) -> int:
    return int(runs(labels == label)[0].size)


def _labels(gaze: TrueGaze) -> NDArray[np.int8]:
    return label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s)


@pytest.mark.parametrize("rate_hz", [60, 120, 250, 600, 1200])
@pytest.mark.parametrize("noise_deg", [0.0, 0.03, 0.1])
def test_every_saccade_and_fixation_is_found_once(rate_hz: float, noise_deg: float) -> None:
    gaze = make_gaze(AMPLITUDES, rate_hz=rate_hz, noise_deg=noise_deg, seed=1)
    labels = _labels(gaze)
    tolerance = 0.04 if noise_deg == 0.1 and rate_hz < 250 else 0.01  # 1° is within the noise there
    assert _count(labels, Label.SACCADE) == pytest.approx(AMPLITUDES.size, rel=tolerance)
    assert _count(labels, Label.FIXATION) == pytest.approx(gaze.n_fixations, rel=tolerance)


def test_onsets_and_durations_are_right_within_samples() -> None:
    gaze = make_gaze(AMPLITUDES, rate_hz=600, seed=2)
    events = event_table(_labels(gaze), gaze.times_s)
    saccades = events[events["event"] == "saccade"]
    assert np.median(np.abs(saccades["onset"] - gaze.saccade_onset_s)) < 0.003
    assert np.median(np.abs(saccades["duration"] - gaze.saccade_duration_s)) < 0.004


def test_steady_gaze_is_one_fixation() -> None:
    gaze = make_gaze([], fixation_s=20.0, rate_hz=600, seed=3)
    labels = _labels(gaze)
    assert (labels == Label.FIXATION).all()


@pytest.mark.parametrize("noise_deg", [0.3, 0.5])
def test_noise_alone_makes_few_saccades(noise_deg: float) -> None:
    gaze = make_gaze([], fixation_s=20.0, rate_hz=600, noise_deg=noise_deg, seed=3)
    assert _count(_labels(gaze), Label.SACCADE) <= 2


def test_a_post_saccadic_oscillation_is_no_saccade() -> None:
    gaze = make_gaze([10.0], rate_hz=1000, noise_deg=0.005, fixation_s=0.4, directions_deg=[0.0])
    end = gaze.saccade_onset_s[0] + gaze.saccade_duration_s[0]
    after = np.maximum(gaze.times_s - end, 0)
    wobble = 0.8 * np.sin(2 * np.pi * 25 * after) * np.exp(-after / 0.015)
    labels = label_samples(gaze.x_deg + wobble, gaze.y_deg, gaze.times_s)
    assert _count(labels, Label.SACCADE) == 1
    assert _count(labels, Label.PSO) == 1
    assert _count(labels, Label.FIXATION) == 2


def test_a_blink_is_blanked_with_its_surroundings() -> None:
    gaze = make_gaze([], fixation_s=3.0, blinks_s=[(1.0, 0.15)])
    labels = _labels(gaze)
    starts, stops = runs(labels == Label.BLINK)
    assert gaze.times_s[starts] == pytest.approx([0.95], abs=0.003)
    assert gaze.times_s[stops] == pytest.approx([1.23], abs=0.003)
    assert _count(labels, Label.FIXATION) == 2
    assert _count(labels, Label.SACCADE) == 0


def test_long_loss_is_no_blink() -> None:
    gaze = make_gaze([], fixation_s=3.0, blinks_s=[(1.0, 0.8)])
    labels = _labels(gaze)
    assert not (labels == Label.BLINK).any()
    assert _count(labels, Label.UNDEFINED) == 1


def test_a_lost_sample_does_not_split_a_fixation() -> None:
    gaze = make_gaze([], fixation_s=2.0, blinks_s=[(1.0, 0.003)])
    assert np.isnan(gaze.x_deg).any()
    assert (_labels(gaze) == Label.FIXATION).all()


def test_loss_between_different_events_stays_unlabelled() -> None:
    labels = np.array([1, 0, 1, 0, 2, 0], dtype=np.int8)
    lost = np.array([0, 1, 0, 1, 0, 1], dtype=bool)
    assert bridge_short_loss(labels, lost).tolist() == [1, 1, 1, 0, 2, 0]


def test_events_do_not_run_across_a_gap_of_the_stream() -> None:
    gaze = make_gaze([], fixation_s=4.0)
    kept = (gaze.times_s < 1) | (gaze.times_s > 2.5)
    x = gaze.x_deg + 5 * (gaze.times_s > 2)  # the eye moved while nothing was recorded
    t = gaze.times_s[kept]
    labels = label_samples(x[kept], gaze.y_deg[kept], t)
    assert _count(labels, Label.SACCADE) == 0
    fixations = event_table(labels, t)
    assert fixations["duration"].to_numpy() == pytest.approx([1.0, 1.5], abs=0.005)
    assert fixations["clipped"].all()


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_short_input_gives_labels_of_its_length(n: int) -> None:
    assert label_samples(np.zeros(n), np.zeros(n), np.arange(n) / 600).size == n
    assert len(event_table(np.zeros(n), np.arange(n) / 600)) == min(n, 1)


def test_lost_and_frozen_gaze() -> None:
    t = np.arange(1200) / 600
    assert (label_samples(np.full(1200, np.nan), np.full(1200, np.nan), t) == Label.UNDEFINED).all()
    assert (label_samples(np.full(1200, 3.0), np.full(1200, 1.0), t) == Label.FIXATION).all()


def test_wrong_input_is_refused() -> None:
    zero = np.zeros(3)
    with pytest.raises(ValueError, match="one length"):
        label_samples(zero, zero, [0, 1])
    with pytest.raises(ValueError, match="backwards"):
        label_samples(zero, zero, [0, 2, 1])
    with pytest.raises(ValueError, match="stimulus"):
        label_samples(zero, zero, [0, 1, 2], stimulus="poem")
    with pytest.raises(DuchenneError, match=r"No gaze event detector named magic; there are .*ivt"):
        label_samples(zero, zero, [0, 1, 2], detector="magic")


def test_a_detector_can_be_swapped() -> None:
    name = "all-pursuit"
    if name not in detector_names():

        @register_detector(name)
        def _detect(
            x_deg: NDArray[np.float64],
            y_deg: NDArray[np.float64],
            t_s: NDArray[np.float64],
            /,
            *,
            stimulus: str | None = None,
        ) -> NDArray[np.int8]:
            assert stimulus == "dots"
            return np.full(t_s.size, Label.PURSUIT, dtype=np.int8)

    gaze = make_gaze([], fixation_s=1.0)
    labels = label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, stimulus="dots", detector=name)
    assert (labels == Label.PURSUIT).all()
    with pytest.raises(ValueError, match="registered already"):
        register_detector(name)(get_detector(name))


def test_a_million_samples_take_about_a_second() -> None:
    gaze = make_gaze(np.tile(AMPLITUDES, 12), rate_hz=1200)
    label_samples(gaze.x_deg[:1000], gaze.y_deg[:1000], gaze.times_s[:1000])
    began = time.process_time()
    _labels(gaze)
    assert gaze.times_s.size / (time.process_time() - began) > 300_000  # about 2 million alone


def test_expert_labels_of_real_recordings(shared_folder: Path) -> None:
    """Agreement with an expert on pictures (Andersson et al. 2017): plain I-VT at 30°/s has κ 0.82."""
    agree = np.zeros((2, 2))
    for path in sorted((shared_folder / "eye" / "data").glob("*_img_*.npz")):
        data = np.load(path)
        x_deg, y_deg = (
            np.degrees(
                np.arctan(
                    (data[f"{axis}_px"] / data["screen_px"][i] - 0.5) * data["screen_m"][i] / 0.67
                )
            )
            for i, axis in enumerate("xy")
        )
        found = label_samples(x_deg, y_deg, data["t"], stimulus="image") == Label.SACCADE
        expert = data["labels_RA"] == Label.SACCADE
        agree += [
            [np.sum(found & expert), np.sum(found & ~expert)],
            [np.sum(~found & expert), np.sum(~found & ~expert)],
        ]
    n = agree.sum()
    chance = (agree.sum(0) * agree.sum(1)).sum() / n**2
    assert (np.trace(agree) / n - chance) / (1 - chance) > 0.87
