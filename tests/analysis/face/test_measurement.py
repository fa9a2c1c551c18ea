"""Action Units and head pose against the truth of rendered faces."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.process import analyse_face, analyse_pictures

CLIP_S = 6.0
# Least correlation with the truth over all clips; what the mapping reaches is a little more.
LEAST_R = {
    "AU01": 0.9, "AU02": 0.85, "AU04": 0.65, "AU05": 0.75, "AU06": 0.7, "AU09": 0.85, "AU10": 0.9,
    "AU12": 0.9, "AU14": 0.75, "AU17": 0.85, "AU20": 0.9, "AU25": 0.9, "AU26": 0.85, "AU45": 0.9,
}  # fmt: skip


@pytest.mark.parametrize("au", LEAST_R)
def test_intensity_follows_the_truth(measured, truth, au):
    values = measured.table[f"{au}_r"].to_numpy()
    known = truth[f"AU{int(au[2:])}"].to_numpy()
    assert np.corrcoef(values, known)[0, 1] >= LEAST_R[au]
    assert values.min() >= 0
    assert values.max() <= 5


def test_every_frame_is_usable(measured):
    assert measured.quality["usable_fraction"] == 1.0
    assert measured.quality["n_undecodable"] == 0
    assert measured.neutral["source"] == "neutral phase"
    assert measured.table["confidence"].between(0, 1).all()


def test_pose_has_the_signs_of_the_truth(measured, truth):
    for angle, least in (("yaw", 0.9), ("roll", 0.9), ("pitch", 0.3)):
        values = measured.table[f"pose_{angle}_deg"].to_numpy()
        assert np.corrcoef(values, truth[f"{angle}_deg"])[0, 1] >= least


def test_tilting_the_picture_is_roll(still):
    import cv2

    picture = still("neutral", 20)
    centre = (picture.shape[1] / 2, picture.shape[0] / 2)
    rolls = []
    for counter_clockwise_deg in (-15, 15):
        turn = cv2.getRotationMatrix2D(centre, counter_clockwise_deg, 1.0)
        turned = cv2.warpAffine(picture, turn, picture.shape[1::-1])
        rolls.append(analyse_pictures([(0, 0.0, turned)]).table["pose_roll_deg"][0])
    # Counter-clockwise in the picture: the crown goes left, to the participant's right.
    assert rolls[1] - rolls[0] == pytest.approx(30, abs=3)
    assert rolls[1] > 0


@pytest.mark.parametrize("name", ["happiness", "sadness", "surprise", "disgust", "contempt"])
def test_prototype_of_the_clip_is_matched(measured, name):
    order = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
    start_s = order.index(name) * CLIP_S
    row = face_features(measured.table, start_s + 1.5, start_s + 4.5)
    assert row["expr_prototype_top"] == name


def test_valence_tells_a_smile_from_disgust(measured):
    smile = face_features(measured.table, CLIP_S + 1.5, CLIP_S + 4.5)["expr_valence_mean"]
    disgust = face_features(measured.table, 5 * CLIP_S + 1.5, 5 * CLIP_S + 4.5)
    assert smile > 0.4
    assert disgust["expr_valence_mean"] < -0.1


def test_contempt_is_on_the_right_side(measured):
    table = measured.table
    apex = table["time"].between(7 * CLIP_S + 2, 7 * CLIP_S + 4)
    assert table["AU14R_r"][apex].mean() > table["AU14L_r"][apex].mean() + 1.0


def test_the_neutral_clip_is_neutral(measured):
    first = measured.table[measured.table["time"] < CLIP_S]
    assert (first["expr_prototype"] == "neutral").mean() > 0.9
    assert first[[c for c in first if c.endswith("_r") and c != "AU45_r"]].mean().max() < 0.5


def test_bystanders_are_left_out(still):
    """A smaller second face, on either side, changes neither the face followed nor its measures."""
    import cv2

    smile, frown = still("happiness"), still("sadness")
    small = cv2.resize(frown, None, fx=0.6, fy=0.6)
    canvas = np.zeros((480, 640 + small.shape[1], 3), np.uint8)
    left, right = canvas.copy(), canvas.copy()
    left[:, :640], left[: small.shape[0], 640:] = smile, small
    right[:, -640:], right[: small.shape[0], : small.shape[1]] = smile, small
    for picture in (left, right):
        table = analyse_face([(i, i / 10, picture) for i in range(8)]).table
        assert table["AU12_r"].min() > 2.5
    alone = left.copy()
    alone[:, :640] = 0
    table = analyse_face([(i, i / 10, left if i < 4 else alone) for i in range(8)]).table
    assert table["face"].tolist() == [True] * 4 + [False] * 4


def test_a_step_back_in_time_does_not_stop_the_tracking(still):
    """The participant moves away as the clock is set back; two seconds later, the face is known again."""
    face = still("happiness")
    left = np.zeros((480, 640 * 2 + 200, 3), np.uint8)
    right = left.copy()
    left[:, :640], right[:, -640:] = face, face
    frames = [(i, 1000 + i / 4, left) for i in range(3)]
    frames += [(i, (i - 3) / 4, right) for i in range(3, 15)]
    found = analyse_face(frames).table["face"].to_numpy()
    assert found[:3].all()
    assert not found[3:10].any()  # to 1.75 s after the face was last seen
    assert found[13:].all()  # it is compared for a third of a second first


def test_thresholds_are_written_beside_the_results(measured):
    told = measured.neutral["occurrence_threshold"]
    units = [c[:-2] for c in measured.table if c.endswith("_r")]
    assert list(told) == [au for au in units if au != "AU43"]  # which follows from AU45
    assert min(told.values()) == 2.0
    assert told["AU45"] == 2.0
    au45 = measured.table["AU45_r"].to_numpy()
    np.testing.assert_array_equal(measured.table["AU45_c"], (au45 >= 2).astype(float))


def test_real_face_film(shared_folder):
    """Crying first, laughing later, without a neutral phase."""
    film = (f for f in video_frames(shared_folder / "media" / "face_real.mp4") if f[0] % 4 == 0)
    table = analyse_face(film).table
    crying = table[table["frame"] < 472 / 3]
    laughing = table[table["frame"] >= 472 / 2]
    difference = laughing.mean(numeric_only=True) - crying.mean(numeric_only=True)
    assert difference["AU12_r"] >= 0.5
    assert difference["AU25_r"] >= 0.5
    assert difference["AU04_r"] <= -0.1


def test_smiles_of_real_faces(shared_folder):
    from duchenne.analysis.face.decode import image_frame

    folder = shared_folder / "media" / "london"
    smiles = sorted(folder.glob("*_smiling.jpg"))[:10]
    pictures = [
        image_frame(p.with_name(p.name.replace("smiling", k)))
        for p in smiles
        for k in ("neutral", "smiling")
    ]
    table = analyse_pictures((i, 0.0, picture) for i, picture in enumerate(pictures)).table
    smiling, neutral = table["AU12_r"].to_numpy()[1::2], table["AU12_r"].to_numpy()[::2]
    assert (smiling > neutral).all()
