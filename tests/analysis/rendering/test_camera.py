from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.rendering.camera import FRAME_PX, Camera, aligned, projected, turn
from duchenne.analysis.training.alignment import a2_matrix, placed

NOSE = np.array([0.0, 0.0, 1.0])


def test_heads_turn_where_they_are_told():
    assert turn(20, 0, 0) @ NOSE == pytest.approx(
        [np.sin(np.radians(20)), 0, np.cos(np.radians(20))]
    )
    assert (turn(0, 15, 0) @ NOSE)[1] > 0.2  # up
    assert (turn(0, 0, 10) @ [0, 1, 0])[0] > 0.1  # the crown goes to the person's left


def test_the_persons_left_is_on_the_right_of_the_picture():
    left, up = projected(np.array([[5.0, 1.2, 4.0], [0.0, 6.0, 4.0]]), Camera().matrix())
    assert left == pytest.approx([FRAME_PX * 0.625, FRAME_PX / 2])
    assert up[1] < FRAME_PX / 2


def test_near_cameras_distort():
    ear, eye = np.array([[7.0, 1.2, 0.0]]), np.array([[7.0, 1.2, 9.0]])
    share = [
        float(
            (projected(ear, camera.matrix())[0, 0] - 500)
            / (projected(eye, camera.matrix())[0, 0] - 500)
        )
        for camera in (Camera(distance=35), Camera(distance=120))
    ]
    assert share[0] < share[1] < 1


def test_an_aligned_camera_shows_what_a_warped_picture_shows():
    rng = np.random.default_rng(0)
    points = rng.uniform((-7, -8, 0), (7, 8, 12), (68, 3))
    camera = Camera(60, 3, -2).matrix()
    affine = a2_matrix(projected(points, camera), 160)
    direct = projected(points, aligned(camera, affine, 160), 160)
    assert direct == pytest.approx(placed(projected(points, camera), affine))
