"""What the confidence says of faces that are small, dark, blurred, covered or trembling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.frames import FaceFrames
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.occlusion import CELLS, INPUT_PX, covered_cells
from duchenne.analysis.face.process import analyse_face
from duchenne.analysis.face.quality import confidence, shares_by_reason, trembling, usable

if TYPE_CHECKING:
    from pathlib import Path


def tracked(images, *, still=True):
    with FaceTracker(still=still) as tracker:
        return tracker.track([(i, i / 30, image) for i, image in enumerate(images)])


def reason(frames):
    """Return for each frame what the confidence is the smallest of."""
    shares = shares_by_reason(frames)
    table = np.column_stack([np.nan_to_num(values, nan=1.0) for values in shares.values()])
    return [list(shares)[i] for i in table.argmin(axis=1)]


def test_good_faces_are_good(still):
    frames = tracked([still("neutral", 20), still("happiness", 90), still("disgust", 90)])
    assert (confidence(frames) > 0.9).all()


def test_dark_and_blurred_faces_are_not(still):
    face = still("happiness", 90)
    dark = (face * 0.07).astype(np.uint8)
    blurred = cv2.GaussianBlur(face, (0, 0), 16)
    slightly = cv2.GaussianBlur(face, (0, 0), 1.2)
    frames = tracked([dark, blurred, slightly])
    assert usable(frames, confidence(frames)).tolist() == [False, False, True]
    assert reason(frames)[1] == "sharpness"
    assert np.isnan(shares_by_reason(tracked([face * 0]))["brightness"]).all()


def test_overexposed_faces_are_not_usable(still):
    face = still("happiness", 90).astype(np.float64)
    frames = tracked([np.clip(face * gain, 0, 255).astype(np.uint8) for gain in (1.0, 1.6, 3.0)])
    assert (np.diff(frames.surface[:, 0]) > 0).all()
    assert usable(frames, confidence(frames)).tolist() == [True, True, False]
    assert reason(frames)[2] == "clipped"


def fingers(image, points, colour, *, n=3, width=34):
    """Draw parallel fingers from below up to a point of the face."""
    drawn = image.copy()
    x, y = points
    shades = np.linspace(0.75, 1.1, n)
    for k in range(n):
        start = (int(x + (k - n / 2) * width * 1.08), int(y + 6 * abs(k - 1)))
        end = (int(start[0] - 25), image.shape[0] + 60)
        cv2.line(drawn, start, end, [float(c) * 0.45 for c in colour], width + 5, cv2.LINE_AA)
        cv2.line(drawn, start, end, [float(c * shades[k]) for c in colour], width, cv2.LINE_AA)
    return drawn


@pytest.mark.parametrize("where", [205, 14, 425], ids=["right cheek", "mouth", "left cheek"])
def test_fingers_before_the_face(still, where):
    face = still("neutral", 20)
    points = tracked([face]).landmarks[0, where, :2]
    colour = np.median(face[200:260, 280:360].reshape(-1, 3), axis=0)
    frames = tracked([fingers(face, points, colour)])
    assert frames.found[0]
    assert not usable(frames, confidence(frames))[0]


@pytest.mark.parametrize("grey", [20, 235])
def test_a_cup_before_the_mouth(still, grey):
    face = still("happiness", 90)
    x, y = tracked([face]).landmarks[0, 14, :2].astype(int)
    cv2.ellipse(covered := face.copy(), (x, y), (50, 42), 0, 0, 360, (grey,) * 3, -1)
    frames = tracked([covered])
    assert not usable(frames, confidence(frames))[0]


def test_covered_frames_are_missing_not_zero(still):
    face = still("happiness", 90)
    x, y = tracked([face]).landmarks[0, 14, :2].astype(int)
    cv2.rectangle(covered := face.copy(), (x - 60, y - 40), (x + 60, y + 60), (30, 30, 35), -1)
    film = [face] * 4 + [covered] * 4 + [face] * 4
    table = analyse_face([(i, i / 30, image) for i, image in enumerate(film)]).table
    away = table["AU12_r"].isna().to_numpy()
    assert away[4:8].all()
    assert not away[:3].any()
    assert not away[9:].any()


def test_nothing_covers_the_rendered_face(clips):
    covered = []
    for name in ("fear", "surprise"):
        with FaceTracker() as tracker:
            frames = tracker.track(list(video_frames(clips / f"{name}.mp4"))[::6])
        assert usable(frames, confidence(frames)).mean() > 0.98
        covered.append(frames.surface[:, 3])
    assert np.concatenate(covered).max() < 0.05


def test_an_empty_picture_has_no_cells():
    crops = np.full((2, INPUT_PX, INPUT_PX), 90, np.uint8)
    assert covered_cells(crops, np.zeros((2, CELLS, CELLS))).tolist() == [0, 0]


def test_trembling_is_what_departs_from_a_straight_path():
    mesh = np.random.default_rng(0).uniform(100, 200, (478, 3))
    moving = np.stack([mesh + np.array([4.0 * i, i, 0]) for i in range(5)])

    def frames(landmarks):
        n = len(landmarks)
        return FaceFrames(
            frame=np.arange(n),
            time_s=np.arange(n) / 30,
            size_px=np.full((n, 2), 640.0),
            landmarks=landmarks,
            blendshapes=np.zeros((n, 52)),
            rotation=np.tile(np.eye(3), (n, 1, 1)),
            pose_deg=np.zeros((n, 3)),
        )

    smooth = trembling(frames(moving))
    assert np.isnan(smooth[[0, -1]]).all()
    assert smooth[1:-1] == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(1).normal(0, 6, moving.shape)
    assert (trembling(frames(moving + noise))[1:-1] > 0.02).all()
    assert np.isnan(trembling(frames(moving[:2]))).all()


def test_the_hand_in_the_real_film(shared_folder: Path):
    """Frames 59 to 227 show a hand before the face; the film was looked at frame by frame."""
    film = shared_folder / "media" / "face_real.mp4"
    with FaceTracker() as tracker:
        frames = tracker.track(list(video_frames(film))[::4])
    is_usable = usable(frames, confidence(frames))
    hand = (frames.frame >= 60) & (frames.frame <= 226)
    beside = (frames.frame > 52) & (
        frames.frame < 236
    )  # a frame passed over follows its neighbours
    assert is_usable[hand].mean() <= 0.05
    assert is_usable[~beside & (frames.frame < 440)].mean() >= 0.98


def test_real_faces_are_usable(shared_folder: Path):
    pictures = sorted((shared_folder / "media" / "london").glob("*.jpg"))[::4]
    frames = tracked([cv2.resize(image_frame(path), (320, 320)) for path in pictures])
    assert usable(frames, confidence(frames)).mean() >= 0.96
