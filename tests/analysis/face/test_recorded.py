"""Action Units of a recorded stream, some of which come and go one by one."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.face.recorded import RECORDED, recorded_face
from duchenne.recorder.streams import Channel, StreamInfo

UNITS = ("AU04", "AU06", "AU12", "AU20")
TIMES = np.arange(300) / 30.0


class Told:
    """A stream of another program, as far as it is read here."""

    start_lsl_s = 0.0

    def __init__(self, **units):
        self.info = StreamInfo(
            "other", "AU", channel_count=len(units), channels=tuple(map(Channel, units))
        )
        self.times_s, self._units, self.n = TIMES, units, len(TIMES)

    def column(self, label):
        return self._units[label]


@pytest.fixture
def units():
    """Return 10 s: a neutral phase of 4 s with a restless brow, then a smile."""
    restless = np.where(TIMES < 4, 2.5 * (np.arange(300) % 2), 0.0)
    smile = 4 * np.clip(TIMES - 5, 0, 1)
    return {"AU04": restless, "AU06": 0.5 * smile, "AU12": smile, "AU20": np.zeros(300)}


def test_units_that_come_and_go_leave_the_neutral_phase_and_each_other(units):
    whole = recorded_face(Told(**units), neutral=[(0.0, 4.0)])
    gone = {
        au: np.where(np.arange(300) % 4 == i, np.nan, v) for i, (au, v) in enumerate(units.items())
    }
    parts = recorded_face(Told(**gone), neutral=[(0.0, 4.0)])
    assert parts.calibration.source == RECORDED
    assert parts.calibration.n_frames == whole.calibration.n_frames == 120
    np.testing.assert_allclose(parts.calibration.threshold, whole.calibration.threshold, atol=0.1)
    assert np.isnan(parts.table["expr_valence"]).all()
    known = np.isfinite(parts.table["AU12_r"])
    assert known.sum() == 225
    assert (parts.table["AU12_c"][known] == whole.table["AU12_c"][known]).all()


def test_a_channel_that_never_holds_a_value_is_as_if_it_were_not_there(units):
    never = recorded_face(Told(**units | {"AU20": np.full(300, np.nan)}))
    without = recorded_face(Told(**{au: units[au] for au in UNITS[:3]}))
    assert list(never.table) == list(without.table)
    np.testing.assert_array_equal(never.table["expr_valence"], without.table["expr_valence"])
    assert np.isfinite(never.table["expr_valence"]).all()
    assert never.quality["prototype_coverage"] == without.quality["prototype_coverage"]


def test_a_stream_without_any_value_keeps_its_columns(units):
    nothing = recorded_face(Told(**{au: np.full(300, np.nan) for au in units}))
    assert [f"{au}_r" in nothing.table for au in units] == [True] * 4
    assert not nothing.table["usable"].any()
