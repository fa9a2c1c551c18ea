"""Onset, apex and offset of curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.au_events import COLUMNS, au_events


def table(values, rate_hz=60.0, au="AU12"):
    return pd.DataFrame({"time": 10 + np.arange(len(values)) / rate_hz, f"{au}_r": values})


def held(rate_hz=60.0, *, peak=4.0, at_s=1.0, rise_s=0.5, hold_s=1.0, length_s=5.0):
    times = np.arange(round(length_s * rate_hz)) / rate_hz
    corners = [at_s, at_s + rise_s, at_s + rise_s + hold_s, at_s + 2 * rise_s + hold_s]
    return np.interp(times, corners, [0, peak, peak, 0])


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 60.0])
def test_a_held_expression(rate_hz):
    events = au_events(table(held(rate_hz), rate_hz), ["AU12"])
    assert list(events.columns) == list(COLUMNS)
    assert len(events) == 1
    event = events.iloc[0]
    # A tenth of the peak is reached after a tenth of the rise, 95 % after 95 % of it.
    assert event["onset_s"] == pytest.approx(11.05, abs=0.02)
    assert event["apex_s"] == pytest.approx(11.475, abs=0.02)
    assert event["offset_s"] == pytest.approx(12.95, abs=0.02)
    assert event["rise_time_s"] == pytest.approx(0.425, abs=0.03)
    assert event["duration_s"] == pytest.approx(1.9, abs=0.03)
    assert event["peak"] == pytest.approx(4, abs=0.1)
    assert event["area"] == pytest.approx(4 * 1.5, rel=0.03)
    assert event["onset_speed_per_s"] == pytest.approx(8, rel=0.05)
    assert event["complete"]


def test_noise_does_not_move_the_event():
    rng = np.random.default_rng(3)
    values = np.clip(held() + rng.normal(0, 0.15, 300), 0, 5)
    (event,) = au_events(table(values), ["AU12"]).to_dict("records")
    assert event["onset_s"] == pytest.approx(11.05, abs=0.06)
    assert event["offset_s"] == pytest.approx(12.95, abs=0.06)


def test_two_peaks_are_two_events_where_the_valley_is_deep():
    deep = np.maximum(held(hold_s=0.1), held(at_s=2.3, hold_s=0.1))
    shallow = np.maximum(deep, np.where(deep > 0, 3.0, 0.0))
    shallow[np.arange(300) / 60 > 3.4] = 0
    assert len(au_events(table(deep), ["AU12"])) == 2
    joined = held(hold_s=1.4)
    joined[90:100] = 3.2
    assert len(au_events(table(joined), ["AU12"])) == 1


def test_events_of_one_unit_never_overlap():
    # The second peak begins before the first has fallen to its edge.
    values = np.interp(np.arange(300) / 60, [1, 1.3, 1.6, 1.9, 2.4], [0, 5, 0.4, 1.5, 0])
    first, second = au_events(table(values), ["AU12"]).to_dict("records")
    assert first["offset_s"] <= second["onset_s"] + 1e-9
    assert first["offset_s"] == pytest.approx(11.6, abs=0.04)


def test_an_event_under_way_is_told_and_has_no_times_that_were_not_seen():
    for values, known in ((held(at_s=-1.0), "offset"), (held(at_s=3.0, hold_s=9.0), "onset")):
        (event,) = au_events(table(values), ["AU12"]).to_dict("records")
        assert not event["complete"]
        assert np.isnan(event["duration_s"])
        assert np.isfinite(event["rise_time_s"]) == (known == "onset")


def test_an_event_that_is_cut_by_missing_frames_is_two_halves():
    values = held(hold_s=2.0)
    values[120:150] = np.nan
    first, second = au_events(table(values), ["AU12"]).to_dict("records")
    assert (first["complete"], second["complete"]) == (False, False)
    assert first["offset_s"] == pytest.approx(10 + 119 / 60)
    values = held(hold_s=2.0)
    values[120:124] = np.nan  # 0.08 s are bridged
    assert len(au_events(table(values), ["AU12"])) == 1


@pytest.mark.parametrize("peak", [0.4, 0.9])
def test_what_is_too_weak_is_no_event(peak):
    assert not len(au_events(table(held(peak=peak)), ["AU12"]))


def test_units_without_a_column_and_films_without_frames():
    empty = au_events(table(np.zeros(0)), ["AU12", "AU99"])
    assert list(empty.columns) == list(COLUMNS)
    assert len(au_events(table(np.full(100, np.nan)), ["AU12"])) == 0
    assert len(au_events(table(held()[:1]), ["AU12"])) == 0


def test_a_saturated_curve_does_not_exceed_five():
    values = np.clip(held(peak=9.0), 0, 5)
    assert au_events(table(values), ["AU12"])["peak"].max() <= 5.0
