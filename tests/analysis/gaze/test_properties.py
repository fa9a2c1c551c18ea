"""What the detector recovers from synthetic gaze of any amplitude, rate and noise, and what it never does.

Noise is white, stated as RMS of the distance from sample to sample (0 to 0.5°); a slow drift comes on
top. Expected, and tested for saccades of 0.2 to 20° at 60 to 1200 Hz:

- **Found**: every saccade of at least 1° and of at least 10 times the noise.
- **Amplitude**: of each of these within 0.25° + 2 × noise + 1 % of the true one.
- **Onset** within 25 ms + one and a half sample periods of the true one.
- **Smaller ones** are found or not; none is found twice, and no other saccade is invented.
- **Noise alone** has less than one saccade in 10 s.
- Labels do not depend on where gaze is on the screen, which way it is turned, or when the clock began;
  when gaze is turned, only a saccade that does not stand out may come or go, and what is slow may be
  pursuit or fixation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.events import STIMULUS_KINDS, label_samples
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.process import analyse_gaze
from duchenne.analysis.gaze.tabulate import event_table

if TYPE_CHECKING:
    import pandas as pd

PLANE = ScreenGeometry(4000, 4000, 400, 400, 100)
N_SACCADES = 4
DETECTABLE_DEG = 1.0
DETECTABLE_NOISE = 10.0
SAME = 0.99
"""Share of labels that must not change where rounding may move an edge by a sample."""
ALIKE = 0.8
"""The same where single saccades at the limit of detection may come and go."""

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "duchenne-hypothesis")
settings.register_profile(
    "gaze", derandomize=True, deadline=None, database=None, max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
gaze_settings = settings(settings.get_profile("gaze"))

amplitudes = st.floats(0.2, 20.0)
rates = st.floats(60.0, 1200.0)
noises = st.floats(0.0, 0.5)
seeds = st.integers(0, 10_000)


def jumping(amplitude_deg: float, rate_hz: float, noise_deg: float, seed: int) -> TrueGaze:
    """Return gaze that jumps there and back, with noise of the given RMS from sample to sample."""
    direction = float(np.random.default_rng(seed).uniform(-180, 180))
    return make_gaze(
        [amplitude_deg] * N_SACCADES,
        rate_hz=rate_hz,
        noise_deg=noise_deg / 2,
        fixation_s=(0.25, 0.45),
        directions_deg=[direction + 180 * (i % 2) for i in range(N_SACCADES)],
        seed=seed,
    )


def saccades_of(gaze: TrueGaze) -> pd.DataFrame:
    x, y = PLANE.to_normalized(*PLANE.deg_to_px(gaze.x_deg, gaze.y_deg))
    return analyse_gaze(gaze.times_s, {"x": x, "y": y}, PLANE).saccades


def labels_of(gaze: TrueGaze, stimulus: str | None = None) -> np.ndarray:
    return label_samples(gaze.x_deg, gaze.y_deg, gaze.times_s, stimulus=stimulus)


def slow_as_one(labels: np.ndarray) -> np.ndarray:
    """Return the labels with pursuit counted as fixation."""
    return np.where(labels == Label.PURSUIT, Label.FIXATION, labels)


def found_for(gaze: TrueGaze, found: pd.DataFrame, period_s: float) -> list[np.ndarray]:
    """Return, for each true saccade, the rows of those found that overlap it."""
    onset, end = found["onset"].to_numpy(), (found["onset"] + found["duration"]).to_numpy()
    slack = 0.010 + period_s
    return [
        np.flatnonzero((onset < t + d + slack) & (end > t - slack))
        for t, d in zip(gaze.saccade_onset_s, gaze.saccade_duration_s, strict=True)
    ]


@gaze_settings
@given(amplitudes, rates, noises, seeds)
def test_saccades_that_stand_out_are_found_and_measured(
    amplitude_deg: float, rate_hz: float, noise_deg: float, seed: int
) -> None:
    amplitude_deg = max(amplitude_deg, DETECTABLE_DEG, DETECTABLE_NOISE * noise_deg)
    gaze = jumping(amplitude_deg, rate_hz, noise_deg, seed)
    found = saccades_of(gaze)
    matches = found_for(gaze, found, 1 / rate_hz)
    assert [len(rows) for rows in matches] == [1] * N_SACCADES
    rows = [int(match[0]) for match in matches]
    error = np.abs(found["amplitude_deg"].to_numpy()[rows] - amplitude_deg)
    assert error.max() <= 0.25 + 2 * noise_deg + 0.01 * amplitude_deg
    late = np.abs(found["onset"].to_numpy()[rows] - gaze.saccade_onset_s)
    assert late.max() <= 0.025 + 1.5 / rate_hz


@gaze_settings
@given(amplitudes, rates, noises, seeds)
def test_no_saccade_is_invented_or_found_twice(
    amplitude_deg: float, rate_hz: float, noise_deg: float, seed: int
) -> None:
    gaze = jumping(amplitude_deg, rate_hz, noise_deg, seed)
    found = saccades_of(gaze)
    matches = found_for(gaze, found, 1 / rate_hz)
    assert max(len(rows) for rows in matches) <= 1
    assert sum(len(rows) for rows in matches) == len(found)


@gaze_settings
@given(rates, noises, seeds)
def test_noise_alone_makes_no_saccades(rate_hz: float, noise_deg: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.arange(round(10 * rate_hz)) / rate_hz
    x, y = rng.normal(0, noise_deg / 2, (2, times.size))
    labels = label_samples(x, y, times)
    starts = np.count_nonzero(np.diff((labels == Label.SACCADE).astype(int)) == 1)
    assert starts == 0
    assert np.mean(labels == Label.FIXATION) > 0.9


@gaze_settings
@given(
    amplitudes, rates, noises, seeds,
    st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 360), st.floats(-1e5, 1e5),
    st.sampled_from([None, *STIMULUS_KINDS]),
)  # fmt: skip
def test_labels_depend_on_movement_alone(  # noqa: PLR0917 -- one argument for each strategy
    amplitude_deg: float,
    rate_hz: float,
    noise_deg: float,
    seed: int,
    right_deg: float,
    up_deg: float,
    turn_deg: float,
    later_s: float,
    stimulus: str | None,
) -> None:
    gaze = jumping(amplitude_deg, rate_hz, noise_deg, seed)
    labels = labels_of(gaze, stimulus)
    x, y, t = gaze.x_deg, gaze.y_deg, gaze.times_s
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    for name, moved in {
        "shifted": (x + right_deg, y + up_deg, t),
        "turned": (cos * x - sin * y, sin * x + cos * y, t),
        "later": (x, y, t + later_s),
    }.items():
        again = label_samples(*moved, stimulus=stimulus)
        stands_out = amplitude_deg >= max(DETECTABLE_DEG, DETECTABLE_NOISE * noise_deg)
        if name == "turned":
            assert np.mean(slow_as_one(again) == slow_as_one(labels)) >= (
                SAME if stands_out else ALIKE
            )
        else:
            assert np.mean(again == labels) >= SAME, name


@gaze_settings
@given(
    amplitudes, rates, noises, seeds, st.sampled_from([None, *STIMULUS_KINDS]),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.4)), max_size=6),
)  # fmt: skip
def test_loss_anywhere_is_survived_and_never_called_gaze(  # noqa: PLR0917 -- as above
    amplitude_deg: float,
    rate_hz: float,
    noise_deg: float,
    seed: int,
    stimulus: str | None,
    losses: list[tuple[float, float]],
) -> None:
    gaze = jumping(amplitude_deg, rate_hz, noise_deg, seed)
    lost = np.zeros(gaze.times_s.size, dtype=bool)
    for where, how_long in losses:
        first = int(where * lost.size)
        lost[first : first + round(how_long * rate_hz)] = True
    x, y = np.where(lost, np.nan, gaze.x_deg), np.where(lost, np.nan, gaze.y_deg)
    labels = label_samples(x, y, gaze.times_s, stimulus=stimulus)
    assert labels.shape == gaze.times_s.shape
    assert set(labels.tolist()) <= {int(label) for label in Label}
    long_loss = lost & np.roll(lost, 1) & np.roll(lost, -1)
    long_loss[[0, -1]] = False
    deep = np.convolve(lost, np.ones(2 * round(0.02 * rate_hz) + 3), mode="same")
    inside = deep >= 2 * round(0.02 * rate_hz) + 3
    moving = (Label.FIXATION, Label.SACCADE, Label.PSO, Label.PURSUIT)
    assert not np.isin(labels[inside & long_loss], moving).any()


@gaze_settings
@given(
    st.lists(
        st.tuples(st.floats(-30, 30) | st.just(float("nan")), st.floats(-30, 30)), max_size=40
    ),
    rates,
    st.sampled_from([None, *STIMULUS_KINDS]),
)
def test_any_trace_however_short_gets_one_label_per_sample(
    points: list[tuple[float, float]], rate_hz: float, stimulus: str | None
) -> None:
    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    times = np.arange(len(points)) / rate_hz
    labels = label_samples(x, y, times, stimulus=stimulus)
    assert labels.shape == times.shape
    events = event_table(labels, times)
    assert int((events["stop"] - events["start"]).sum()) == len(points)
    assert (events["duration"] >= 0).all()


@gaze_settings
@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(20, 150), st.floats(10, 100))
def test_degrees_and_pixels_undo_each_other(
    x_deg: float, y_deg: float, distance_cm: float, width_cm: float
) -> None:
    screen = ScreenGeometry(1920, 1080, width_cm, width_cm * 9 / 16, distance_cm)
    back = screen.to_deg(*screen.deg_to_px(x_deg, y_deg))
    np.testing.assert_allclose(back, (x_deg, y_deg), atol=1e-9)
