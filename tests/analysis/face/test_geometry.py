"""The trained backend: arithmetic, file, mirror image, and what its card promises."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from duchenne.analysis.face.affect import QUADRANTS, affect_quadrant
from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.calibration import Calibration, calibrate, occurrence
from duchenne.analysis.face.geometry.closure import add_closed_eyes, sustained
from duchenne.analysis.face.geometry.measures import N_MEASURES, measure_names, measures
from duchenne.analysis.face.geometry.model import (
    EDGE,
    N_CONTEXT,
    SMILE_REACH,
    SMILE_SHARE,
    GeometryModel,
    Network,
    beyond,
    read_model,
    turned,
    write_model,
)
from duchenne.analysis.face.geometry.reliability import reliability_note, shipped_card
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.process import analyse_face


@pytest.fixture(scope="module")
def backend() -> GeometryBackend:
    return GeometryBackend()


@pytest.fixture(scope="module")
def faces(still):
    pictures = [still("neutral", 20), still("happiness"), None]
    with FaceTracker(still=True) as tracker:
        return tracker.track([(i, i / 10, p) for i, p in enumerate(pictures)], keep_images=True)


def test_the_dead_zone_keeps_order_and_strong_values():
    values = np.linspace(-1, 5, 601)
    for zone in (0.1, 0.6, 2.0):
        left = beyond(values[:, None], np.array([zone]))[:, 0]
        width = max(zone, EDGE)
        assert (np.diff(left) > 0).all()
        assert (left[values <= width] <= EDGE + 1e-12).all()
        np.testing.assert_allclose(left[values >= 2 * width], values[values >= 2 * width])
    assert np.isnan(beyond(np.array([[np.nan]]), np.array([0.5]))).all()


def test_turns_are_counted_by_direction():
    away = turned(
        np.array([[0.5, -0.25, 1.0], [-0.5, 0.25, 0.0]]), np.array([[0.1, 0.2], [-0.1, -0.2]])
    )
    np.testing.assert_allclose(away, [[0.5, 0, 0.25, 0.2, 0, 0.1], [0, 0.5, 0.25, 0, 0.2, 0.1]])


def test_every_measure_has_a_name(faces, backend):
    rows = measures(faces, np.zeros((478, 3)) + np.arange(478)[:, None])
    assert rows.shape == (3, N_MEASURES) == (3, len(measure_names()))
    assert len(set(measure_names())) == N_MEASURES
    features = backend.features(faces)
    assert features.shape == (3, len(backend.feature_names))
    assert np.isfinite(features[:2]).all()
    assert np.isnan(features[2, 1:]).all()


def test_a_frame_without_a_face_is_missing_and_the_neutral_face_is_near_zero(faces, backend):
    features = backend.features(faces)
    found = backend.intensities(features, features[0])
    assert np.isnan(found[2]).all()
    assert found[0].max() <= 0.3
    smile = dict(zip(backend.au_names, found[1], strict=True))
    assert smile["AU12"] > 3
    assert smile["AU12L"] > 3
    assert smile["AU15"] < 0.3
    assert found.min(initial=0, where=np.isfinite(found)) >= 0


def test_units_and_sides_of_the_shipped_model(backend):
    wanted = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 23, 24, 25, 26, 28, 45)
    assert {f"AU{u:02d}" for u in wanted} <= set(backend.au_names)
    assert {"AU12L", "AU12R", "AU14L", "AU14R"} <= set(backend.au_names)
    assert isinstance(load_backend("geometry"), GeometryBackend)


def test_the_card_tells_what_can_be_relied_on(backend):
    card = backend.card
    assert "not human FACS coding" in card["about"]
    assert "MIT" in card["licence"]
    for au in backend.au_names:
        row = card["reliability"][au]
        assert backend.reliability[au] == row["pcc"]
        assert row["reliable"] == (row["pcc"] >= 0.5)
        assert {"icc", "mae_present", "mae_absent", "pcc_habitual", "pcc_by_turn"} <= set(row)
    talk = card["cross_talk_at_4"]
    apart = talk["AU12"]["AU06"] < 0.5 and talk["AU06"]["AU12"] < 0.5
    assert card["duchenne_smile_reliable"] == apart


def small_model() -> GeometryModel:
    rng = np.random.default_rng(1)
    layers = ((rng.normal(size=(3 + 4, 5)), np.zeros(5)), (rng.normal(size=(5, 2)), np.ones(2)))
    network = Network((layers,), np.array([1.0, 2.0]), np.full((1 + N_CONTEXT, 2), 0.5))
    return GeometryModel(
        outputs=("AU01", "AU02"),
        reference=rng.normal(size=(478, 3)),
        map=rng.normal(size=(6, 4)),
        context=rng.normal(size=(6, 4)),
        strange_map=rng.normal(size=(6, 3)),
        typical=rng.normal(size=4),
        typical_strange=rng.normal(size=3),
        typical_context=rng.normal(size=4),
        smile_slope=2.0,
        calibrated=network,
        uncalibrated=network,
        card={"reliability": {"AU01": {"pcc": 0.5}, "AU02": {"pcc": 0.4}}},
    )


def test_a_written_model_is_read_back(tmp_path):
    model = small_model()
    write_model(model, tmp_path / "model.json")
    again = read_model((tmp_path / "model.json").read_text("utf-8"))
    assert again.outputs == model.outputs
    assert again.card == model.card
    np.testing.assert_allclose(again.map, model.map, atol=2e-3)
    inputs, context = np.ones((2, 7)), np.zeros((2, N_CONTEXT))
    np.testing.assert_allclose(
        again.calibrated(inputs, context), model.calibrated(inputs, context), atol=0.02
    )
    with pytest.raises(ValueError, match="not a model"):
        read_model('{"format": "something else"}')


def test_inputs_that_a_network_does_not_use_take_no_room_in_the_file(tmp_path):
    model = small_model()
    weights, biases = model.calibrated.members[0][0]
    unused = np.array([True, False, True, True, False, False, True])
    sparse = np.where(unused[:, None], 0.0, weights)
    layers = ((sparse, biases), model.calibrated.members[0][1])
    network = replace(model.calibrated, members=(layers,))
    write_model(replace(model, calibrated=network), tmp_path / "model.json")
    text = (tmp_path / "model.json").read_text("utf-8")
    layer = json.loads(text)["calibrated"]["members"][0][0]
    assert layer["weights"]["shape"] == [3, 5]
    again = read_model(text).calibrated.members[0][0][0]
    np.testing.assert_allclose(again, sparse, atol=2e-3)
    assert not again[unused].any()


def test_a_strangers_smile_is_drawn_to_what_real_smiles_show(backend):
    model = backend.model
    rest = np.tile(model.typical_context[2:], (3, 1))
    raw = np.zeros((3, len(model.outputs)))
    smiling = rest + np.array([[0.0, 0.0], [1.0, 1.0], [100.0, 0.0]])
    drawn = model.with_smile(raw, smiling)
    left, right, both = (model.outputs.index(au) for au in ("AU12L", "AU12R", "AU12"))
    np.testing.assert_allclose(drawn[0], 0.0)
    assert 1.0 < drawn[1, both] < model.smile_slope
    assert drawn[2, left] == pytest.approx(SMILE_SHARE * SMILE_REACH)
    assert drawn[2, right] == 0.0
    others = np.delete(np.arange(len(model.outputs)), [left, right, both])
    assert not drawn[:, others].any()


def test_an_action_goes_on_until_it_is_half_an_intensity_below():
    values = np.array([1.9, 2.0, 1.6, 1.5, 1.4, 1.9, 2.1, np.nan, 1.9])[:, None]
    calibration = Calibration("neutral phase", np.zeros(1), 50, (), np.zeros(1), ("AU12",))
    found = occurrence(values, calibration)[:, 0]
    np.testing.assert_array_equal(found, [0, 1, 1, 1, 0, 0, 1, np.nan, 0])
    going_on = occurrence(values[2:4], calibration, before=np.array([1.0]))[:, 0]
    np.testing.assert_array_equal(going_on, [1, 1])
    lids = Calibration("neutral phase", np.zeros(1), 50, (), np.zeros(1), ("AU45",))
    np.testing.assert_array_equal(occurrence(values[:3], lids)[:, 0], [0, 1, 0])


def test_pictures_have_no_memory(backend):
    features = np.tile(backend.typical_neutral, (30, 1))
    still = calibrate(backend, features, np.arange(30.0), np.ones(30, bool), still=True)
    assert not still.in_order
    assert still.to_dict()["occurrence_hysteresis"] == 0
    values = np.tile([[2.0], [1.8]], (1, len(backend.au_names)))
    np.testing.assert_array_equal(occurrence(values, still)[1], 0)


def test_closed_eyes_are_longer_than_a_blink():
    times = np.arange(60) / 30
    closed = np.zeros(60)
    closed[5:11] = 4.0  # a blink of 0.2 s
    closed[20:36] = 3.0  # 0.53 s
    found = sustained(times, closed, (closed >= 2).astype(float))
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(20, 36))
    broken = times + 10 * (np.arange(60) >= 28)  # half of the closure, a gap, the other half
    assert not sustained(broken, closed, (closed >= 2).astype(float)).any()
    units, occurs = {"AU45": closed}, {"AU45": (closed >= 2).astype(float)}
    add_closed_eyes(units, occurs, times)
    assert units["AU43"].max() == 3.0
    assert occurs["AU43"].sum() == 16
    pictures = {"AU45": closed}
    add_closed_eyes(pictures, {"AU45": occurs["AU45"]}, times, in_order=False)
    assert np.isnan(pictures["AU43"]).all()


def test_a_mirrored_smirk_changes_sides(still):
    """The participant's left and right are told apart."""
    neutral, smirk = still("neutral", 20), still("contempt")
    sides = []
    for turn in (slice(None), slice(None, None, -1)):
        pictures = [neutral[:, turn]] * 12 + [smirk[:, turn]] * 6
        table = analyse_face(
            [(i, i / 10, np.ascontiguousarray(p)) for i, p in enumerate(pictures)],
            neutral=[(0.0, 1.15)],
        ).table
        last = table.iloc[-1]
        sides.append(last["AU14R_r"] - last["AU14L_r"])
    assert sides[0] > 0.5
    assert sides[1] < -0.5


def test_quadrants_of_the_emotion_wheel():
    valence = np.array([0.5, -0.5, -0.5, 0.5, 0.1, 0.0, 0.5, np.nan])
    arousal = np.array([0.5, 0.5, -0.5, -0.5, -0.1, -0.3, np.nan, 0.5])
    found = affect_quadrant(valence, arousal).tolist()
    assert found == [*QUADRANTS, "neutral", "HVLA", "not_assessable", "not_assessable"]


def test_the_codebook_tells_the_reliability(backend):
    card = shipped_card()
    assert card == backend.card
    if "icc" in card["reliability"]["AU12"]:
        assert "not human FACS coding" in reliability_note("AU12L")
        assert "Not reliable" in reliability_note("AU23")
    assert reliability_note("AU43") == ""


def test_real_smiles_are_higher_than_the_same_faces_at_rest(shared_folder, backend):
    """Without calibration; the model card says how persons fare that a training left out."""
    from duchenne.analysis.face.decode import image_frame

    folder = shared_folder / "media" / "london"
    rest = [p for i, p in enumerate(sorted(folder.glob("*_neutral.jpg"))) if i % 3]
    paths = [p for r in rest for p in (r, r.with_name(r.name.replace("neutral", "smiling")))]
    with FaceTracker(still=True) as tracker:
        features = np.concatenate(
            [
                backend.features(tracker.track([(0, 0.0, image_frame(p))], keep_images=True))
                for p in paths
            ]
        )
    found = backend.intensities(features, backend.typical_neutral)
    calm, glad = found[::2], found[1::2]
    au12 = backend.au_names.index("AU12")
    assert (glad[:, au12] > calm[:, au12]).mean() >= 0.97
    area = np.mean(glad[:, au12][:, None] > calm[:, au12][None, :])
    assert area >= 0.95
    occurs = calm > np.maximum(backend.resting_threshold, 2)
    assert occurs.mean() <= 0.01
    assert occurs.mean(axis=0).max() <= 0.03
