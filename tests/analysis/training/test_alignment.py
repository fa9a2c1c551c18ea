"""Alignments: the same face, however it is held, comes to lie the same; published places are hit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duchenne.analysis.training.alignment import (
    A4_POINTS,
    A4_TARGETS,
    ALIGNMENTS,
    MEAN_FACE,
    MESH_PAIRS,
    OF_68_IN_49,
    alignment,
    eye_centres,
    from_49,
    from_mesh,
    placed,
    procrustes,
    warped,
)
from duchenne.analysis.training.augment import _MIRRORED
from duchenne.stimuli.errors import UsageError


def drawn_face() -> np.ndarray:
    """Return 68 points of a plain upright face of about 100 by 120 pixels."""
    points = np.zeros((68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.column_stack([100 + 50 * np.cos(angle), 90 + 70 * np.sin(angle)])
    points[17:22] = np.column_stack([np.linspace(60, 90, 5), [82, 78, 77, 78, 80]])
    points[22:27] = np.column_stack([np.linspace(110, 140, 5), [80, 78, 77, 78, 82]])
    points[27:31] = np.column_stack([[100.0] * 4, np.linspace(90, 115, 4)])
    points[31:36] = np.column_stack([np.linspace(92, 108, 5), [120, 121, 122, 121, 120]])
    eye = np.array([[-10, 0], [-4, -4], [4, -4], [10, 0], [4, 4], [-4, 4]])
    points[36:42], points[42:48] = np.add(eye, [75, 90]), np.add(eye, [125, 90])
    turn = np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)
    points[48:60] = np.column_stack([100 + 20 * np.cos(turn), 138 + 8 * np.sin(turn)])
    turn = np.linspace(np.pi, 3 * np.pi, 8, endpoint=False)
    points[60:68] = np.column_stack([100 + 14 * np.cos(turn), 138 + 3 * np.sin(turn)])
    return points


def moved(
    points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]
) -> np.ndarray:
    """Return points turned, scaled and shifted."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * points @ np.array([[c, -s], [s, c]]).T + shift


@given(st.floats(-60, 60), st.floats(0.3, 5), st.floats(-200, 200), st.floats(-200, 200))
def test_turned_and_scaled_faces_come_to_lie_the_same(
    degrees: float, scale: float, x: float, y: float
) -> None:
    face = drawn_face()
    held = moved(face, degrees, scale, (x, y))
    for name in ("A1", "A2", "A4", "procrustes"):
        how = ALIGNMENTS[name]
        upright = placed(face, how.matrix(face, how.px))
        np.testing.assert_allclose(placed(held, how.matrix(held, how.px)), upright, atol=1e-6)


def test_upright_squares_follow_scale_and_shift_only() -> None:
    face = drawn_face()
    bigger = moved(face, 0, 3, (40, -20))
    for name in ("A3", "crop"):
        how = ALIGNMENTS[name]
        upright = placed(face, how.matrix(face, how.px))
        np.testing.assert_allclose(placed(bigger, how.matrix(bigger, how.px)), upright, atol=1e-9)
        assert how.matrix(moved(face, 30, 1, (0, 0)), how.px)[0, 1] == 0  # never turned


def test_published_places() -> None:
    face = moved(drawn_face(), 25, 2, (50, 10))
    a4 = placed(face, ALIGNMENTS["A4"].matrix(face, 256))
    np.testing.assert_allclose(
        a4[list(A4_POINTS)], [[127.65, 227.82], [79.16, 87.04], [176.84, 87.04]], atol=1e-9
    )
    np.testing.assert_allclose(A4_TARGETS[0] * 256, [127.65, 227.82])

    # A1: eyes level; eyes 50 apart, 48 down to the mouth: the side is 2.9 × 50, around the extent's middle.
    a1 = placed(face, ALIGNMENTS["A1"].matrix(face, 200))
    right, left = eye_centres(a1)
    assert right[1] == pytest.approx(left[1])
    assert left[0] - right[0] == pytest.approx(200 / 2.9)
    assert (left[0] + right[0]) / 2 == pytest.approx(100)
    assert (right[1] + a1[48, 1]) / 2 == pytest.approx(100)

    # A2: max(2 × 50, 1.8 × 48) = 100 to each side of a point 0.1 × 48 below the eyes.
    a2 = placed(face, ALIGNMENTS["A2"].matrix(face, 256))
    right, left = eye_centres(a2)
    assert left[0] - right[0] == pytest.approx(256 * 50 / 200)
    np.testing.assert_allclose((left + right) / 2, [128, 128 - 256 * 4.8 / 200], atol=1e-6)

    # A3: the box of 100 × 83 pixels becomes a square of 200 × 183 / 220.
    face = drawn_face()
    width, height = np.ptp(face, axis=0)
    a3 = placed(face, ALIGNMENTS["A3"].matrix(face, 256))
    assert np.ptp(a3[:, 0]) == pytest.approx(256 * width / (200 * (width + height) / 220))
    np.testing.assert_allclose((a3.min(axis=0) + a3.max(axis=0)) / 2, 128)


def test_a_wide_mouth_distance_widens_a2() -> None:
    face = drawn_face()
    face[48:68, 1] += 30  # 78 down to the mouth: 1.8 × 78 > 2 × 50
    a2 = placed(face, ALIGNMENTS["A2"].matrix(face, 256))
    right, left = eye_centres(a2)
    assert left[0] - right[0] == pytest.approx(256 * 50 / (2 * 1.8 * 78))


@given(st.floats(-180, 180), st.floats(0.1, 10), st.floats(-50, 50))
def test_procrustes_finds_turn_scale_and_shift(degrees: float, scale: float, shift: float) -> None:
    face = drawn_face()
    target = moved(face, degrees, scale, (shift, -shift))
    found = procrustes(face, target)
    np.testing.assert_allclose(placed(face, found), target, atol=1e-6 * max(1, scale))
    assert np.linalg.det(found[:, :2]) == pytest.approx(scale**2)


def test_a_mean_face_lies_at_its_places() -> None:
    held = moved(MEAN_FACE * 256, 25, 2, (50, 10))
    found = placed(held, ALIGNMENTS["procrustes"].matrix(held, 128))
    np.testing.assert_allclose(found, MEAN_FACE * 128, atol=1e-9)
    np.testing.assert_allclose(
        MEAN_FACE[list(_MIRRORED)] * [-1, 1] + [1, 0], MEAN_FACE, atol=1.1 / 256
    )
    np.testing.assert_allclose(MEAN_FACE[list(A4_POINTS)], A4_TARGETS, atol=0.03)


def test_procrustes_never_mirrors() -> None:
    face = drawn_face()
    found = procrustes(face, face * [-1, 1])
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 3.0])
def test_pixels_follow_their_points(scale: float) -> None:
    # A bright disc lies where the matrix puts its middle, at every scale.
    side = round(200 / scale) + 40
    ys, xs = np.mgrid[:side, :side] + 0.5
    middle = np.array([side * 0.4, side * 0.55])
    disc = np.hypot(xs - middle[0], ys - middle[1]) < 25 / scale
    image = np.repeat((disc * 200).astype(np.uint8)[:, :, None], 3, axis=2)
    matrix = np.column_stack([moved(np.eye(2), 20, scale, (0, 0)).T, [40.0, 10.0]])
    out = warped(image, matrix, 300)[:, :, 0].astype(float)
    ys, xs = np.mgrid[:300, :300] + 0.5
    found = [(out * xs).sum() / out.sum(), (out * ys).sum() / out.sum()]
    np.testing.assert_allclose(found, placed(middle[None], matrix)[0], atol=0.15 * max(1, scale))


def test_outside_the_picture() -> None:
    image = np.full((20, 20, 3), 77, np.uint8)
    matrix = np.array([[1.0, 0, 30], [0, 1, 30]])
    assert warped(image, matrix, 60, fill=128)[0, 0].tolist() == [128] * 3
    assert warped(image, matrix, 60)[0, 0].tolist() == [0] * 3
    assert warped(image, matrix, 60, fill=None)[0, 0].tolist() == [77] * 3


def test_points_of_the_mesh() -> None:
    mesh = np.random.default_rng(0).normal(size=(3, 478, 3))
    mesh[1] = np.nan
    points = from_mesh(mesh)
    assert points.shape == (3, 68, 2)
    np.testing.assert_allclose(points[0, 2], (mesh[0, 93, :2] + mesh[0, 132, :2]) / 2)
    np.testing.assert_allclose(points[0, 30], mesh[0, 4, :2])
    assert np.isnan(points[1]).all()
    # No point is used for two landmarks but where the jaw is spaced between two of the mesh's.
    shared = [p for p in np.unique(MESH_PAIRS) if np.isin(MESH_PAIRS, p).any(axis=1).sum() > 1]
    assert shared == [132, 361]
    assert len(OF_68_IN_49) == 49
    assert OF_68_IN_49[13] == 30
    assert (OF_68_IN_49[19], OF_68_IN_49[25], OF_68_IN_49[31], OF_68_IN_49[37]) == (36, 42, 48, 54)


def test_49_points_are_enough_for_two_alignments() -> None:
    face = drawn_face()
    known = from_49(face[list(OF_68_IN_49)])
    for name in ("A1", "A2"):
        how = ALIGNMENTS[name]
        np.testing.assert_array_equal(how.matrix(known, how.px), how.matrix(face, how.px))
    assert np.isnan(ALIGNMENTS["A3"].matrix(known, 256)).any()


def test_mesh_points_are_symmetric() -> None:
    # In MediaPipe's mesh a face of its own mirror image: pairs of partners, found by their order here.
    partner: dict[int, int] = {}
    for i, j in enumerate(_MIRRORED):
        for a, b in zip(sorted(MESH_PAIRS[i]), sorted(MESH_PAIRS[j]), strict=True):
            partner.setdefault(int(a), int(b))
    assert partner[33] == 263
    assert partner[61] == 291
    assert all(partner[partner[a]] == a for a in (33, 133, 61, 78, 98, 127))


def test_unknown_alignment() -> None:
    with pytest.raises(UsageError, match="there is no alignment A9; there are: A1, A2"):
        alignment("A9")
