from __future__ import annotations

import numpy as np
import pytest
from support.tiny_head import tiny_head_arrays

from duchenne.analysis.rendering.head import N_IDENTITY_SHAPES, head_from_arrays, read_head
from duchenne.analysis.rendering.mesh import (
    Normals,
    eyes_of,
    near_in_texture,
    solid_mesh,
    turn_eyes,
)
from duchenne.stimuli.errors import DuchenneError


def test_a_file_is_read_as_it_was_written(tiny_head, tiny_head_file):
    again = read_head(tiny_head_file)
    assert np.array_equal(again.vertices, tiny_head.vertices)
    assert set(again.shapes) == set(tiny_head.shapes)


def test_what_is_no_head_model_is_told_in_one_line(tmp_path):
    with pytest.raises(DuchenneError, match="Clone ICT-FaceKit"):
        read_head(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(DuchenneError, match="cannot be read"):
        read_head(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", vertices=np.zeros((3, 3)))
    with pytest.raises(DuchenneError, match="uv, uv_faces"):
        read_head(tmp_path / "other.npz")
    arrays = tiny_head_arrays()
    with pytest.raises(DuchenneError, match="do not fit"):
        head_from_arrays(arrays | {"expression": arrays["expression"][:, :-1]})
    with pytest.raises(DuchenneError, match="landmarks"):
        head_from_arrays(arrays | {"landmarks68": arrays["landmarks68"] + 10_000})


def test_shapes_and_identities_add_up(tiny_head):
    moved = tiny_head.deformed(tiny_head.vertices, {"jawOpen": 0.5})
    rows, offsets = tiny_head.shapes["jawOpen"]
    assert np.allclose(moved[rows] - tiny_head.vertices[rows], 0.5 * offsets)
    others = np.setdiff1d(np.arange(len(moved)), rows)
    assert np.array_equal(moved[others], tiny_head.vertices[others])
    person = np.array([1.0, 0.0, -2.0], np.float32)
    expected = tiny_head.vertices + np.tensordot(person, tiny_head.identity.reshape(3, -1, 3), 1)
    assert np.allclose(tiny_head.at_rest(person), expected, atol=1e-5)


def test_a_person_stays_within_what_the_scans_cover(real_head):
    people = np.stack([real_head.person(np.random.default_rng(i), 1.0) for i in range(50)])
    assert np.abs(people).max() <= 1.8
    assert not people[:, N_IDENTITY_SHAPES:].any()
    assert 0.8 < people[:, :N_IDENTITY_SHAPES].std() < 1.0


def test_polygons_are_cut_into_triangles(tiny_head):
    corners, places = tiny_head.triangles("face")
    first, last = tiny_head.parts["face"][2:]
    assert len(corners) == len(places) == 2 * (last - first)
    assert not len(tiny_head.triangles("no part")[0])


def test_normals_of_a_ball_point_outwards(tiny_head):
    mesh = solid_mesh(tiny_head)
    normals = Normals(mesh.corners, len(tiny_head.vertices)).of(tiny_head.vertices)
    first, last = tiny_head.parts["face"][:2]
    inner = slice(first + 30, last - 30)
    out = tiny_head.vertices[inner] - [0, 1, 0]
    assert ((normals[inner] * out).sum(axis=1) > 0).all()


def test_eyes_are_found_and_turn_with_the_gaze(real_head):
    eyes = eyes_of(real_head)
    assert eyes.centres[0, 0] > 2.5
    assert np.allclose(eyes.centres[0] * [-1, 1, 1], eyes.centres[1], atol=0.05)
    assert (eyes.axes[:, 2] > 0.98).all()
    turned = turn_eyes(real_head, real_head.vertices, (1.0, 0.0))
    first, last = real_head.parts["sclera_l"][:2]
    front = first + int(np.argmax(real_head.vertices[first:last, 2]))
    before, after = (v[front] - eyes.centres[0] for v in (real_head.vertices, turned))
    angle = np.degrees(np.arctan2(after[0], after[2]) - np.arctan2(before[0], before[2]))
    assert angle == pytest.approx(30, abs=1)  # towards the person's left
    assert np.array_equal(turned[:first], real_head.vertices[:first])


def test_places_in_the_texture_lie_on_the_surface(tiny_head):
    rows, share = near_in_texture(tiny_head, np.array([[0.5, 0.5], [0.4, 0.6]]))
    assert rows.shape == share.shape == (2, 3)
    assert np.allclose(share.sum(axis=1), 1)
    front = (tiny_head.vertices[rows[0]] * share[0][:, None]).sum(axis=0)
    assert np.allclose(front, [0, 1, 9], atol=1.0)
