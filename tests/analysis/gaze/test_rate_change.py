from __future__ import annotations

import numpy as np
import pytest
from support.synthetic_gaze import TrueGaze, make_gaze

from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.process import analyse_gaze
from duchenne.analysis.gaze.signal import gap_starts, rate_segments, sampling_rate_hz

SCREEN = ScreenGeometry(1280, 720, 53.0, 30.0, 60.0)


def _part(rate_hz: float, seed: int) -> TrueGaze:
    return make_gaze(
        [5.0] * 20,
        rate_hz=rate_hz,
        fixation_s=1.0,
        directions_deg=[0, 180] * 10,
        drift_deg_s=0.0,
        noise_deg=0.02,
        seed=seed,
    )


@pytest.mark.parametrize("rates", [(1000.0, 250.0), (60.0, 1000.0), (250.0, 500.0)])
def test_events_of_each_stretch_come_back(rates: tuple[float, float]) -> None:
    parts = [_part(rate, seed) for seed, rate in enumerate(rates)]
    first_s = parts[0].times_s[-1] + 1 / rates[0]
    times = np.concatenate([parts[0].times_s, parts[1].times_s + first_s])
    segments = rate_segments(times, sampling_rate_hz(times))
    assert [one.rate_hz for one in segments] == pytest.approx(rates, rel=0.001)
    assert abs(segments[1].start - parts[0].times_s.size) <= 2
    assert gap_starts(times, sampling_rate_hz(times)).size == 0
    x, y = (np.concatenate([getattr(part, axis) for part in parts]) for axis in ("x_deg", "y_deg"))
    x, y = SCREEN.to_normalized(*SCREEN.deg_to_px(x, y))
    result = analyse_gaze(times, {"x": x, "y": y}, SCREEN)
    true = np.concatenate([parts[0].saccade_onset_s, parts[1].saccade_onset_s + first_s])
    assert result.quality["rate_varies"]
    assert result.quality["n_rates"] == 2
    assert len(result.saccades) == 40
    late = np.abs(result.saccades["onset"].to_numpy() - true)
    assert late.max() < 0.010 + 1.5 / min(rates)
    assert result.saccades["amplitude_deg"].to_numpy() == pytest.approx(5.0, abs=0.2)
    peaks = result.saccades["peak_velocity_deg_s"].to_numpy()
    for rate, found, part in zip(rates, (peaks[:20], peaks[20:]), parts, strict=True):
        if rate < 250:
            assert np.isnan(found).all()
        else:
            assert np.median(found / part.peak_velocity_deg_s) == pytest.approx(1, abs=0.1)


def test_jitter_and_gaps_are_no_change_of_rate() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(30_000) / 250 + rng.uniform(-0.001, 0.001, 30_000)
    times[15_000:] += 20.0
    assert len(rate_segments(times, 250.0)) == 1
    assert gap_starts(times, 250.0).tolist() == [14_999]
