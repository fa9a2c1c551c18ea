"""Mimicry and synchrony with known answers: planted lags, shared signals, and nothing at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.align import ShownFrames
from duchenne.analysis.crossmodal.film_time import media_times
from duchenne.analysis.crossmodal.lagged import (
    GRID_HZ,
    Following,
    best_correlation,
    following_of,
    lagged_correlation,
    mean_of,
)
from duchenne.analysis.crossmodal.mimicry import Viewing, mimicry
from duchenne.analysis.crossmodal.reactions import FACE
from duchenne.analysis.crossmodal.shifts import (
    Chance,
    circular_correlations,
    independent,
    shifts_of,
)
from duchenne.analysis.crossmodal.synchrony_study import (
    SignalViewing,
    leave_one_out,
    signal_synchrony,
)

FILM_S = 40.0
N = round(FILM_S * GRID_HZ)


def wander(rng: np.random.Generator, n: int = N, sd_s: float = 0.4) -> np.ndarray:
    """Return slow noise of standard deviation 1, as faces move."""
    half = round(3 * sd_s * GRID_HZ)
    bell = np.exp(-0.5 * (np.arange(-half, half + 1) / (sd_s * GRID_HZ)) ** 2)
    made = np.convolve(rng.normal(size=n + 2 * half), bell, "valid")
    return np.asarray(made / np.sqrt((bell**2).sum()))


def follow(leading: np.ndarray, following: np.ndarray) -> Following:
    """Return how one curve follows another."""
    return following_of(lagged_correlation(leading, following))


@pytest.mark.parametrize("lag_s", [0.0, 0.3, 0.75, 1.5])
def test_a_planted_lag_comes_back(lag_s: float) -> None:
    lag = round(lag_s * GRID_HZ)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        film = wander(rng, N + 60)
        own = 0.6 * np.roll(film, lag) + 0.3 * wander(rng, N + 60) + 1.0
        found = follow(film[60:], own[60:])
        assert found.lag_s == pytest.approx(lag_s, abs=0.1)
        assert found.r > 0.75
        assert found.chance.z > 3
        assert found.chance.p == pytest.approx(1 / (1 + found.chance.n_independent))
        assert found.chance.p < 0.06


def test_nothing_shared_is_significant_in_five_per_cent() -> None:
    rng = np.random.default_rng(11)
    found = [follow(wander(rng), wander(rng)).chance for _ in range(400)]
    rate = np.mean([chance.p <= 0.05 for chance in found])
    # Of 1000 such pairs 3 %, of 90 s 4.5 %: films of 40 s are worth some 30 independent shifts.
    assert 0.01 <= rate <= 0.072
    assert abs(np.mean([chance.z for chance in found])) < 0.15


def test_opposite_movement_is_no_mimicry() -> None:
    rng = np.random.default_rng(1)
    film = wander(rng)
    assert follow(film, -film).chance.p > 0.05


def test_a_face_that_does_not_move_does_not_follow() -> None:
    rng = np.random.default_rng(2)
    found = follow(wander(rng), np.zeros(N))
    assert found.r == 0
    still = lagged_correlation(np.ones(N), wander(rng))
    assert still.n_windows == 0
    assert np.isnan(following_of(still).r)
    short = lagged_correlation(np.arange(3.0), np.arange(3.0))
    assert short.n_windows == 0


def test_gaps_do_not_make_or_hide_mimicry() -> None:
    rng = np.random.default_rng(3)
    film = wander(rng, N + 6)
    own = film[:-6].copy()
    own[200:300] = np.nan
    found = follow(film[6:], own)
    assert found.r > 0.9
    assert found.lag_s == pytest.approx(0.3, abs=0.05)
    parts = [lagged_correlation(film[6:], own), lagged_correlation(film[6:], wander(rng))]
    together = following_of(mean_of(parts))
    assert 0.5 < together.r < found.r


def test_the_same_lags_come_of_sums_and_of_transforms() -> None:
    rng = np.random.default_rng(8)
    film, own = wander(rng), wander(rng)
    own[300:340] = np.nan
    # Windows that end within two seconds of the end are left out of the one and not of the other.
    assert best_correlation(film, own) == pytest.approx(follow(film, own).r, abs=0.08)
    assert np.isnan(best_correlation(film[:3], own[:3]))
    assert np.isnan(best_correlation(np.ones(N), own))


def test_long_films_are_moved_around_in_blocks() -> None:
    rng = np.random.default_rng(9)
    film = wander(rng, 14006)
    found = lagged_correlation(film[6:], film[:-6] + 0.5 * wander(rng, 14000))
    assert found.z.size == 4660
    assert following_of(found).lag_s == pytest.approx(0.3, abs=0.05)


def test_correlations_at_every_shift_are_those_of_numpy() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(2, 1, 60), rng.normal(-1, 3, 60)
    a[5], b[[7, 8]] = np.nan, np.nan
    found = circular_correlations(a, b)
    for shift in (0, 1, 17, 59):
        moved = np.roll(a, -shift)
        both = np.isfinite(moved) & np.isfinite(b)
        assert found[shift] == pytest.approx(np.corrcoef(moved[both], b[both])[0, 1])
    assert np.isnan(circular_correlations(np.ones(60), b)).all()
    assert np.isnan(circular_correlations(np.full(60, np.nan), b)).all()


def test_chance_counts_shifts() -> None:
    chance = Chance.of(0.9, [0.1, 0.3, 0.2, np.nan])
    assert (chance.n, chance.n_independent) == (3, 3.0)
    assert chance.p == 0.25
    assert chance.z == pytest.approx(7.0)
    rng = np.random.default_rng(0)
    assert Chance.of(0.9, rng.normal(size=500)).n_independent == pytest.approx(500, rel=0.4)
    slow = np.repeat(rng.normal(size=100), 10)
    assert independent(slow) == pytest.approx(100, rel=0.4)
    assert independent(np.ones(5)) == 1
    assert np.isnan(Chance.of(np.nan, [0.1]).p)
    np.testing.assert_array_equal(shifts_of(1000, 20.0)[[0, -1]], [100, 900])
    assert shifts_of(100, 20.0).tolist() == [25, 35, 45, 55, 65, 75]


def test_mimicry_by_action_unit_and_of_all_together() -> None:
    rng = np.random.default_rng(5)
    smile, brow = 1 + wander(rng, N + 6), 1 + wander(rng, N + 6)
    other = {"AU12": 1 + wander(rng, N + 100), "AU04": 1 + wander(rng, N + 100)}
    seen = Viewing(
        "one",
        "film",
        own={"AU12": smile[:-6] + 0.3 * wander(rng), "AU04": wander(rng), "AU01": wander(rng)},
        theirs={"AU12": smile[6:], "AU04": brow[6:], "AU01": np.full(N, 0.1)},
    )
    lost = Viewing("two", "elsewhere", {"AU12": np.full(N, np.nan)}, other)
    none = Viewing("three", "landscape", {}, {}, "no face in the film")
    table = mimicry([seen, lost, none])
    rows = table.set_index(["presentation_id", "au"])
    assert rows.loc[("one", "AU12"), "lag_s"] == pytest.approx(0.3, abs=0.1)
    assert rows.loc[("one", "AU12"), "r"] > 0.8
    assert rows.loc[("one", "AU12"), "p"] < 0.06
    assert rows.loc[("one", "AU12"), "r_other_films"] < 0.5
    assert rows.loc[("one", "AU12"), "n_other_films"] == 1
    assert rows.loc[("one", "AU04"), "p"] > 0.05
    assert "does not move" in rows.loc[("one", "AU01"), "reason"]
    assert rows.loc[("one", FACE), "p"] < 0.1
    assert rows.loc[("two", "AU12"), "reason"].startswith("the participant's face was measured")
    assert rows.loc[("three", FACE), "reason"] == "no face in the film"
    assert table["au"].tolist()[0] == FACE


def test_film_time_runs_between_frames_and_stops_with_them() -> None:
    flips = 2.0 + np.arange(120) / 60
    media = np.floor((flips - 2.0) * 24 + 1e-9) / 24  # a film of 24 frames/s on a screen of 60 Hz
    flips[60:] += 1.0  # it stood still for a second
    shown = ShownFrames(flips, np.ones(120), media)
    camera = np.array([1.9, 2.0, 2.51, 3.5, 4.3, 9.0])
    found = media_times(camera, shown, 2.0, 8.0)
    np.testing.assert_allclose(found[[1, 2, 4]], [0.0, 0.51, 1.3], atol=0.02)
    assert np.isnan(found[[0, 3, 5]]).all()
    nothing = ShownFrames(flips, np.ones(120), np.full(120, np.nan))
    assert np.isnan(media_times(camera, nothing, 2.0, 8.0)).all()


def test_a_shared_signal_synchronises_and_noise_does_not() -> None:
    rng = np.random.default_rng(6)
    shared, n_people = wander(rng), 8
    traces = np.array([shared + wander(rng) for _ in range(n_people)])
    traces[-1] = wander(rng)
    found = leave_one_out(traces, rate_hz=GRID_HZ)
    # Seven who share half of their variance: r = 1 / sqrt(2 (1 + 1/6 ...)) with the eighth diluting.
    for r, chance in found[:-1]:
        assert 0.35 < r < 0.8
        assert chance.p < 0.05, r
    assert found[-1][1].p > 0.05
    rate = []
    for _ in range(60):
        rate += [c.p <= 0.05 for _, c in leave_one_out(
            np.array([wander(rng) for _ in range(6)]), rate_hz=GRID_HZ
        )]  # fmt: skip
    assert 0.02 <= np.mean(rate) <= 0.08


def test_rows_of_synchrony_say_why_there_is_none() -> None:
    rng = np.random.default_rng(7)
    shared = wander(rng).astype(np.float32)
    people = [
        SignalViewing(
            {"participant": f"P{i}", "stimulus_id": "film"},
            {
                "AU12": shared + 0.1 * i,
                "AU04": np.zeros(N, np.float32),
                "pupil": 3 + (i + 1) * shared,
            },
        )
        for i in range(3)
    ]
    people.append(SignalViewing({"participant": "P3"}, {"AU12": shared[:100]}))
    people.append(people[0])  # shown again: only the first time counts
    table = pd.DataFrame(signal_synchrony(people)).set_index(["participant", "signal"])
    assert len(table) == 12
    assert table.loc[("P1", "AU12"), "isc"] == pytest.approx(1, abs=1e-6)
    assert table.loc[("P1", "pupil"), "isc"] == pytest.approx(1, abs=1e-6)
    assert table.loc[("P1", "AU04"), "reason"] == "it did not move, or that of the others did not"
    assert table.loc[("P3", "AU12"), "reason"].startswith("measured in 12%")
    two = pd.DataFrame(signal_synchrony(people[:2]))
    assert set(two["reason"]) == {"2 participants with a usable signal; 3 are needed"}
