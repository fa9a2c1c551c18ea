"""Optical flow of pictures whose movement is known to a fraction of a pixel."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from duchenne.analysis.face.flow import NAMES, REGIONS, FlowReader
from duchenne.analysis.face.frames import N_BLENDSHAPES, N_LANDMARKS, FaceFrames

SIDE_PX = 300
EYES_PX = 90.0
MIDDLE = np.array([150.0, 110.0])


def skin(seed=0):
    rng = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(rng.normal(0, 1, (SIDE_PX, SIDE_PX)), (0, 0), 3.0)
    return np.clip(128 + 140 * grey / np.abs(grey).max(), 0, 255).astype(np.float32)


def picture(moved=(), shift=(0.0, 0.0), turn_deg=0.0, light=1.0):
    """Return skin in which regions (name, dx, dy in eye distances) are moved, then the head."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    from_x, from_y = x.copy(), y.copy()
    for name, dx, dy in moved:
        centre = MIDDLE + EYES_PX * np.array(REGIONS[name][:2])
        bell = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * (0.12 * EYES_PX) ** 2))
        from_x -= (EYES_PX * dx * bell).astype(np.float32)
        from_y -= (EYES_PX * dy * bell).astype(np.float32)
    image = cv2.remap(skin(), from_x, from_y, cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D(MIDDLE.tolist(), -turn_deg, 1.0)
    matrix[:, 2] += shift
    image = cv2.warpAffine(image, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    image = np.clip(light * image, 0, 255)
    return np.repeat(image[..., None], 3, axis=2).astype(np.uint8)


def frames(images, shifts=None):
    n = len(images)
    landmarks = np.zeros((n, N_LANDMARKS, 3))
    shifts = np.zeros((n, 2)) if shifts is None else np.asarray(shifts)
    for corner, side in ((33, -0.5), (263, 0.5)):
        landmarks[:, corner, :2] = MIDDLE + np.array([side * EYES_PX, 0]) + shifts
    return FaceFrames(
        frame=np.arange(n),
        time_s=np.arange(n) / 60,
        size_px=np.full((n, 2), float(SIDE_PX)),
        landmarks=landmarks,
        blendshapes=np.zeros((n, N_BLENDSHAPES)),
        rotation=np.tile(np.eye(3), (n, 1, 1)),
        pose_deg=np.zeros((n, 3)),
        images=images,
    )


@pytest.mark.parametrize("name", ["brow_inner_L", "mouth_R", "chin", "upper_lip"])
@pytest.mark.parametrize("moved", [(0.0, -0.01), (0.008, 0.006)])
def test_a_region_that_moves(name, moved):
    flow = FlowReader().read(frames([picture(), picture([(name, *moved)])]))
    assert np.isnan(flow[0]).all()
    own = flow[1, NAMES.index(name)]
    # The bell-shaped movement is a bit smaller on average than in its middle.
    assert own @ moved / np.dot(moved, moved) == pytest.approx(0.8, abs=0.25)
    others = [
        i
        for i, other in enumerate(NAMES)
        if np.hypot(*(np.array(REGIONS[other][:2]) - REGIONS[name][:2])) > 0.5
    ]
    assert np.abs(flow[1, others]).max() < 0.2 * np.hypot(*moved)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"shift": (1.2, -0.8)}, id="the head shifts"),
        pytest.param({"turn_deg": 0.8}, id="the head tilts"),
        pytest.param({"light": 1.1}, id="the light flickers"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_the_whole_head_does_is_no_flow(changed):
    flow = FlowReader().read(frames([picture(), picture(**changed)]))
    assert np.abs(flow[1]).max() < 0.0025


def test_jitter_of_the_landmarks_moves_nothing():
    still = [picture()] * 3
    flow = FlowReader().read(frames(still, [(0, 0), (1.5, -1.0), (-1.0, 1.0)]))
    assert np.abs(flow[1:]).max() < 1e-3


def test_batches_join_and_lost_frames_are_not_known():
    images = [picture(), picture([("chin", 0, -0.01)]), None, picture(), picture()]
    whole = FlowReader().read(frames(images))
    reader = FlowReader()
    parts = np.concatenate([reader.read(frames(images[:1])), reader.read(frames(images[1:]))])
    np.testing.assert_array_equal(whole, parts)
    assert np.isfinite(whole[:, 0, 0]).tolist() == [False, True, False, False, True]
    lost = frames(images[:2])
    lost.landmarks[1] = np.nan
    assert np.isnan(FlowReader().read(lost)).all()


def test_a_frame_costs_little():
    pair = [picture(), picture([("chin", 0, -0.01)])] * 20
    batch = frames(pair)
    reader = FlowReader()
    reader.read(batch)
    begun = time.thread_time()
    reader.read(batch)
    assert (time.thread_time() - begun) / len(pair) < 0.004
