"""From frames to the temporal measures of a stimulus; the rendered participant as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.codebooks import AU_EVENTS, MICROEXPRESSIONS
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.dynamics import DEFAULT_OPTIONS, face_dynamics, is_lower_face
from duchenne.analysis.face.dynamics_codebook import FEATURES, with_reasons
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.process import analyse_face
from duchenne.analysis.face.signals import FaceSignals
from duchenne.analysis.summary import summary_codebook

RATE_HZ = 60.0
N = 1200
TIMES = np.arange(N) / RATE_HZ


class Told:
    """A backend whose card vouches for Duchenne smiles; only its names are read here."""

    name = "told"
    au_names = ("AU01", "AU04", "AU06", "AU12", "AU12L", "AU12R", "AU23")
    reliability = {"AU23": 0.1}  # noqa: RUF012  (as the seam has it)
    duchenne_smile_reliable = True


def bump(start_s, duration_s, size):
    phase = np.clip((TIMES - start_s) / duration_s, 0, 1)
    return size * np.sin(np.pi * phase) ** 2


def frames():
    """20 s: a smile at 6 s, a frown at 7 s, a brief brow raise at 9 s, a smile in speech at 13 s."""
    smile = bump(6, 2, 4.0) + bump(13, 2, 3.0)
    units = {
        "AU01": bump(9, 0.2, 3.0),
        "AU04": bump(7, 1, 2.0),
        "AU06": bump(6, 2, 2.0),
        "AU12": smile,
        "AU12L": smile,
        "AU12R": 0.8 * smile,
        "AU23": bump(16, 0.2, 3.0),
    }
    return pd.DataFrame(
        {
            "frame": np.arange(N) + 100,
            "time": TIMES,
            "usable": True,
            "pose_pitch_deg": 5 * np.sin(TIMES),
            "pose_yaw_deg": 0.0,
            "pose_roll_deg": 0.0,
            **{f"{au}_r": values for au, values in units.items()},
            "expr_valence": 0.0,
            "expr_arousal": np.nan,
            "expr_prototype": "neutral",
        }
    )


def signals():
    eye = 0.33 - bump(5.5, 0.3, 0.28) - bump(8.2, 0.3, 0.28)
    talk = (TIMES > 12.5) & (TIMES < 15.5)
    gap = 0.004 + np.where(talk, 0.05 * np.sin(np.pi * 4.5 * TIMES) ** 2, 0)
    pose = frames()[["pose_pitch_deg", "pose_yaw_deg", "pose_roll_deg"]].to_numpy()
    return FaceSignals(eye, eye, gap, np.full(N, 0.5), pose)


@pytest.fixture(scope="module")
def made():
    return face_dynamics(frames(), signals(), Told())


def row_of(made, onset_s, offset_s, **changes):
    table = frames().assign(speaking=made.speaking)
    return face_features(table, onset_s, offset_s, made, **changes)


def test_the_features_of_a_stimulus(made):
    row = row_of(made, 5.0, 10.0)
    assert row["AU12_n_events"] == 1
    assert row["AU12_event_rate_hz"] == pytest.approx(0.2)
    # A sine squared of 2 s reaches a tenth after 0.2 s, and has half of its height times length as area.
    assert row["AU12_first_latency_s"] == pytest.approx(1.2, abs=0.03)
    assert row["AU12_event_peak"] == pytest.approx(4, abs=0.05)
    assert row["AU12_event_area"] == pytest.approx(4, rel=0.05)
    assert row["AU04_n_events"] == 1
    assert row["AU01_n_events"] == 1
    assert row["smile_onset_speed_per_s"] == pytest.approx(4 * np.pi / 2, rel=0.05)
    assert row["smile_symmetry"] == pytest.approx(0.8, abs=0.02)
    assert row["n_duchenne_smiles"] == 1
    assert row["face_n_blinks"] == 2
    assert row["face_blink_rate_hz"] == pytest.approx(0.4)
    assert row["face_blink_duration_s"] == pytest.approx(0.15, abs=0.02)
    assert row["n_microexpression_candidates"] == 1
    assert row["microexpression_candidate_rate_hz"] == pytest.approx(0.2)
    known = TIMES[(TIMES >= 5) & (TIMES < 10)]
    assert row["head_speed_mean_deg_s"] == pytest.approx(np.abs(5 * np.cos(known)).mean(), abs=0.05)
    assert row["head_range_pitch_deg"] == pytest.approx(
        np.ptp(np.percentile(5 * np.sin(known), [5, 95])), abs=0.01
    )
    assert row["head_range_yaw_deg"] == 0


def test_an_action_whose_beginning_was_not_seen_has_no_latency():
    table = frames()
    hidden = (TIMES >= 5.9) & (TIMES < 6.6)  # a hand before the face while the smile comes up
    units = [name for name in table.columns if name.startswith("AU")]
    table.loc[hidden, units] = np.nan
    table.loc[hidden, "usable"] = False
    dynamics = face_dynamics(table, signals(), Told())
    row = face_features(table.assign(speaking=dynamics.speaking), 5.0, 10.0, dynamics)
    assert row["AU12_n_events"] == 1
    assert row["AU12_event_peak"] == pytest.approx(4, abs=0.05)
    assert np.isnan(row["AU12_first_latency_s"])
    assert row["AU04_first_latency_s"] == pytest.approx(2.1, abs=0.05)


def test_a_quiet_stimulus_has_counts_of_zero_and_nothing_else(made):
    row = row_of(made, 1.0, 4.0)
    assert (row["AU12_n_events"], row["AU12_event_area"], row["face_n_blinks"]) == (0, 0, 0)
    assert row["n_microexpression_candidates"] == 0
    for name in (
        "AU12_first_latency_s",
        "AU12_event_peak",
        "smile_symmetry",
        "face_blink_duration_s",
    ):
        assert np.isnan(row[name])


def test_speech_is_left_out_of_the_mouth_and_can_be_kept(made):
    row = row_of(made, 12.0, 17.0)
    kept = row_of(made, 12.0, 17.0, leave_out_speech=False)
    assert row["speaking_fraction"] == pytest.approx(0.65, abs=0.1)
    assert row["AU12_n_events"] == 0
    assert row["AU12_mean"] < 0.01 < kept["AU12_mean"]
    assert row["AU12_peak"] < 0.01 < kept["AU12_peak"]
    assert row["AU04_mean"] == kept["AU04_mean"]
    everything = replace(made, options=replace(DEFAULT_OPTIONS, leave_out_speech=False))
    assert row_of(everything, 12.0, 17.0)["AU12_n_events"] == 1
    assert made.events.loc[made.events["au"] == "AU12", "in_speech"].tolist() == [False, True]
    told = {au for au in ("AU12", "AU14L", "AU25", "AU04", "AU45", "AU09") if is_lower_face(au)}
    assert told == {"AU12", "AU14L", "AU25"}


def test_candidates_keep_the_number_of_their_frame_and_leave_unreliable_units_out(made):
    (burst,) = made.microexpressions.to_dict("records")
    assert burst["aus"] == "AU01"
    assert burst["apex_frame"] == pytest.approx(100 + 9.1 * RATE_HZ, abs=1)
    assert not made.report["optical_flow"]
    assert made.report["smoothing"]["bridge_s"] == 0.1


def test_too_few_usable_frames_give_no_counts(made):
    table = frames().assign(speaking=made.speaking)
    table.loc[(TIMES > 6) & (TIMES < 9), "usable"] = False
    row = face_features(table, 5.0, 10.0, made)
    assert all(np.isnan(row[name]) for name in FEATURES)
    assert np.isnan(row["n_microexpression_candidates"])


def test_a_unit_that_was_mostly_missing_has_no_events_and_its_rate_counts_its_own_time():
    table = frames()
    missing = (TIMES >= 8) & (TIMES < 9.5)
    table.loc[missing, "AU04_r"] = np.nan
    table.loc[(TIMES >= 5) & (TIMES < 9), "AU01_r"] = np.nan
    dynamics = face_dynamics(table, signals(), Told())
    row = face_features(table.assign(speaking=dynamics.speaking), 5.0, 10.0, dynamics)
    assert row["AU04_n_events"] == 1
    assert row["AU04_event_rate_hz"] == pytest.approx(1 / 3.5, rel=0.01)
    assert row["AU12_event_rate_hz"] == pytest.approx(0.2)
    for name in ("n_events", "event_rate_hz", "first_latency_s", "event_peak", "event_area"):
        assert np.isnan(row[f"AU01_{name}"])


def test_a_smile_whose_cheeks_were_not_seen_leaves_the_number_of_genuine_ones_open():
    table = frames()
    table.loc[(TIMES >= 6.5) & (TIMES < 7.5), "AU06_r"] = np.nan
    dynamics = face_dynamics(table, signals(), Told())
    row = face_features(table.assign(speaking=dynamics.speaking), 5.0, 10.0, dynamics)
    assert row["AU12_n_events"] == 1
    assert np.isnan(row["n_duchenne_smiles"])


def test_every_column_has_its_place_in_a_codebook(made):
    row = row_of(made, 5.0, 10.0)
    assert set(FEATURES) <= set(row)
    assert set(row) <= set(summary_codebook(aus=Told.au_names))
    assert set(made.events.columns) <= set(AU_EVENTS)
    assert set(made.microexpressions.columns) == set(MICROEXPRESSIONS) & set(made.microexpressions)


def test_a_slow_film_says_what_is_not_measured_and_why():
    slow = slice(None, None, 6)
    every = frames()[slow].reset_index(drop=True)
    parts = (getattr(signals(), name)[slow] for name in FaceSignals.__dataclass_fields__)
    found = face_dynamics(every, FaceSignals(*parts), Told())
    assert set(found.not_measured) == {"microexpressions", "speaking", "blinks"}
    book = with_reasons(summary_codebook(), found.not_measured)
    for name in ("n_microexpression_candidates", "speaking_fraction", "face_n_blinks"):
        assert "In this session n/a" in book[name].description
    row = face_features(every.assign(speaking=found.speaking), 5.0, 10.0, found)
    assert np.isnan(row["face_n_blinks"])
    assert row["AU12_n_events"] == 1


def test_a_film_without_frames_or_faces():
    nothing = FaceSignals.joined([])
    found = face_dynamics(frames()[:0], nothing, Told())
    assert not len(found.events)
    assert found.speaking.size == 0
    unseen = signals().where(np.zeros(N, bool))
    blank = frames().assign(**{f"{au}_r": np.nan for au in Told.au_names})
    found = face_dynamics(blank, unseen, Told())
    assert not len(found.events)
    assert not len(found.blinks)
    assert not len(found.microexpressions)
    assert np.isnan(found.speaking).all()


def shaken(times):
    return np.sort(times + np.random.default_rng(0).uniform(-0.015, 0.015, len(times)))


@pytest.mark.parametrize(
    ("clock", "n_smiles"),
    [
        pytest.param(lambda t: np.where(t < 10, t, t - 3), 1, id="set back"),
        pytest.param(lambda t: np.where(t < 10, t, t + 100), 1, id="a long gap"),
        pytest.param(shaken, 1, id="jitter"),
        pytest.param(np.zeros_like, np.nan, id="no time at all"),
    ],
)
def test_clocks_as_cameras_have_them(clock, n_smiles):
    table = frames().assign(time=clock(TIMES))
    found = face_dynamics(table, signals(), Told(), flow=np.full((N, 14, 2), 0.001))
    row = face_features(table.assign(speaking=found.speaking), 5.0, 10.0, found)
    assert row["AU12_n_events"] == pytest.approx(n_smiles, nan_ok=True)
    assert len(found.blinks) == (0 if np.isnan(n_smiles) else 2)


def test_the_rendered_participant(clips):
    truth = pd.read_csv(clips / "happiness.csv")
    result = analyse_face(video_frames(clips / "happiness.mp4"), neutral=[(0.0, 1.2)])
    dynamics = result.dynamics
    assert dynamics is not None
    closed = (truth["AU45"] > 2.5).to_numpy()
    begins = truth["time_s"][np.flatnonzero(np.diff(closed.astype(int)) == 1)].to_numpy()
    np.testing.assert_allclose(dynamics.blinks["onset"], begins, atol=0.1)
    smiles = dynamics.events[dynamics.events["au"] == "AU12"]
    onset_s = truth["time_s"][(truth["AU12"] > 0.45).to_numpy()].min()
    assert smiles["onset_s"].min() == pytest.approx(onset_s, abs=0.2)
    assert smiles["symmetry"].max() > 0.8
    assert not (result.table["speaking"] == 1).any()
    assert "microexpressions" in dynamics.not_measured
    assert result.quality["dynamics"]["speech_evidence"] == "lips"
