"""First reactions of the face with planted latencies, and what was looked at then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.crossmodal.content import Stays, with_content
from duchenne.analysis.crossmodal.reactions import FACE, first_reactions

RATE_HZ = 30.0
ONSETS_S = (5.0, 15.0, 25.0)
SHOWN = pd.DataFrame(
    {
        "presentation_id": ["one", "two", "three"],
        "onset_s": ONSETS_S,
        "offset_s": np.array(ONSETS_S) + 4.0,
    }
)


def ramp(times_s: np.ndarray, start_s: float, rise_s: float = 0.3, held_s: float = 1.5) -> Any:
    """Return a rise to 1 that begins at a time, is held, and falls again."""
    up = np.clip((times_s - start_s) / rise_s, 0, 1)
    down = np.clip((times_s - start_s - rise_s - held_s) / rise_s, 0, 1)
    return up - down


def frames(
    *, noise: float = 0.05, rate_hz: float = RATE_HZ, seed: int = 0, **curves: Any
) -> pd.DataFrame:
    """Return a table of frames whose Action Units follow the given functions of time."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(32 * rate_hz)) / rate_hz + 0.007
    table = pd.DataFrame({"time": times, "usable": True, "speaking": 0.0})
    for au, curve in curves.items():
        table[f"{au}_r"] = np.clip(curve(times) + rng.normal(0, noise, times.size), 0, 5)
    return table


def reaction(found: pd.DataFrame, presentation: str, au: str = FACE) -> dict[str, Any]:
    """Return one row."""
    row = found[(found["presentation_id"] == presentation) & (found["au"] == au)]
    assert len(row) == 1
    return {str(name): value for name, value in row.iloc[0].items()}


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 60.0])
@pytest.mark.parametrize("level", [0.0, 0.8])
def test_planted_latency_comes_back_within_a_frame(rate_hz: float, level: float) -> None:
    errors = []
    for seed in range(8):
        table = frames(
            rate_hz=rate_hz,
            seed=seed,
            AU12=lambda t: level + 3 * ramp(t, 5.4, 0.2) + 2 * ramp(t, 15.9, 0.4),
            AU04=lambda t: level + 0 * t,
        )
        found = first_reactions(table, SHOWN)
        first = reaction(found, "one", "AU12")
        assert first["reacted"]
        assert first["uncertainty_s"] == pytest.approx(1 / rate_hz, abs=1e-6)
        assert first["baseline"] == pytest.approx(level, abs=0.06)
        errors.append(first["latency_s"] - 0.4)
        assert reaction(found, "one") | {"au": "AU12"} == pytest.approx(first, nan_ok=True)
        # A tenth of a slower rise is reached a little later.
        assert reaction(found, "two", "AU12")["latency_s"] == pytest.approx(0.92, abs=0.05)
        assert reaction(found, "three", "AU12")["reason"] == "no rise above the baseline"
        assert reaction(found, "one", "AU04")["reacted"] == False  # noqa: E712
    assert np.abs(errors).max() < 1 / min(rate_hz, 30.0)


def test_nothing_but_noise_is_no_reaction() -> None:
    reacted = 0
    for seed in range(20):
        table = frames(seed=seed, noise=0.3, AU01=lambda t: 0.5 + 0 * t, AU12=lambda t: 1 + 0 * t)
        found = first_reactions(table, SHOWN)
        reacted += int(found.loc[found["au"] == FACE, "reacted"].sum())
    assert reacted == 0


def test_what_was_under_way_is_no_reaction_and_what_is_too_soon_is_flagged() -> None:
    table = frames(AU12=lambda t: 3 * ramp(t, 4.6) + 3 * ramp(t, 15.02, 0.1))
    found = first_reactions(table, SHOWN)
    assert not reaction(found, "one", "AU12")["reacted"]
    early = reaction(found, "two", "AU12")
    assert early["reacted"]
    assert early["early"]


def test_mouth_of_a_speaker_and_unreliable_units_do_not_count() -> None:
    table = frames(
        AU25=lambda t: 3 * ramp(t, 5.3),
        AU07=lambda t: 3 * ramp(t, 5.4),
        AU04=lambda t: 3 * ramp(t, 6.0),
    )
    table.loc[table["time"].between(5.2, 7.5), "speaking"] = 1.0
    found = first_reactions(table, SHOWN, reliability={"AU07": 0.2, "AU25": 0.96, "AU04": 0.8})
    assert not reaction(found, "one", "AU25")["reacted"]
    assert reaction(found, "one", "AU07")["latency_s"] == pytest.approx(0.42, abs=0.05)
    assert reaction(found, "one")["first_au"] == "AU04"
    assert reaction(found, "one")["latency_s"] == pytest.approx(1.02, abs=0.05)


def test_missing_frames_say_so() -> None:
    table = frames(AU12=lambda t: 3 * ramp(t, 5.4) + 3 * ramp(t, 15.4) + 3 * ramp(t, 25.5))
    lost = table["time"].between(4.0, 5.0) | table["time"].between(15.2, 15.8)
    lost |= table["time"].between(25.3, 29.0)
    table.loc[lost, "AU12_r"] = np.nan
    found = first_reactions(table, SHOWN)
    assert reaction(found, "one")["reason"] == "the second before the stimulus was not measured"
    two = reaction(found, "two")
    assert two["reacted"]
    assert np.isnan(two["latency_s"])
    assert two["reason"] == "the beginning of the rise was not measured"
    three = reaction(found, "three")
    assert pd.isna(three["reacted"])
    assert "less than half" in three["reason"]
    # Frames lost just before the reaction make its time less certain.
    table = frames(AU12=lambda t: 3 * ramp(t, 5.4))
    gappy = table[~table["time"].between(5.40, 5.43)]
    assert reaction(first_reactions(gappy, SHOWN), "one")["uncertainty_s"] > 0.06


def test_what_was_fixated_at_the_reaction_and_before() -> None:
    table = frames(AU12=lambda t: 3 * ramp(t, 6.4))
    fixations = pd.DataFrame(
        {
            "onset": [5.1, 6.0, 7.5],
            "duration": [0.8, 1.4, 1.0],
            "x_stim": [0.2, 0.7, 0.5],
            "y_stim": [0.4, 0.6, 0.5],
        }
    )
    visits = pd.DataFrame(
        {
            "presentation_id": ["one"] * 3,
            "aoi": ["eyes", "mouth", "none"],
            "onset_s": [0.1, 1.0, 2.5],
            "duration_s": [0.8, 1.4, 1.0],
        }
    )
    areas = pd.DataFrame({"presentation_id": ["one"] * 3, "aoi": ["eyes", "mouth", "lamp"]})
    found, by_area = with_content(first_reactions(table, SHOWN), SHOWN, fixations, visits, areas)
    first = reaction(found, "one")
    latency = first["latency_s"]
    assert latency == pytest.approx(1.41, abs=0.04)
    assert (first["x_stim"], first["y_stim"], first["aoi"]) == (0.7, 0.6, "mouth")
    # In the second before: the eyes for 0.9 s - (latency - 1 s), then the mouth.
    assert first["aoi_before"] == "eyes"
    eyes = 0.9 - (latency - 1.0)
    assert first["aoi_before_fraction"] == pytest.approx(eyes / (eyes + latency - 1.0))
    assert first["since_first_fixation_s"] == pytest.approx(latency - 1.0)
    assert pd.isna(reaction(found, "two")["aoi"])
    assert by_area is not None
    rows = by_area[by_area["au"] == FACE].set_index("aoi")
    assert list(rows.index) == ["eyes", "mouth", "lamp"]
    assert rows["fixated"].tolist() == [False, True, False]
    assert rows["since_first_fixation_s"]["eyes"] == pytest.approx(latency - 0.1)
    assert np.isnan(rows["first_fixation_s"]["lamp"])
    assert rows["dwell_fraction"].tolist() == pytest.approx([0.8 / 3.2, 1.4 / 3.2, 0.0])
    none, nothing = with_content(first_reactions(table, SHOWN), SHOWN, None, None)
    assert nothing is None
    assert none["x_stim"].isna().all()


def test_a_saccade_is_in_no_area() -> None:
    stays = Stays(["eyes", "mouth"], np.array([0.0, 1.0]), np.array([0.9, 2.0]))
    assert stays.at(0.95) is None
    assert stays.at(0.5) == "eyes"
    assert stays.dwell_s(0.5, 1.5) == pytest.approx({"eyes": 0.4, "mouth": 0.5})
    assert np.isnan(stays.first_s("lamp"))
