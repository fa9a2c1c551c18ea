from __future__ import annotations

import numpy as np
import pytest
from support.tiny_head import tiny_head_arrays

from duchenne.analysis.rendering import head_files
from duchenne.analysis.rendering.head import head_from_arrays, read_head
from duchenne.analysis.rendering.head_files import convert, head_file, read_obj, read_vertices
from duchenne.stimuli.errors import DuchenneError


def write_obj(path, vertices, uv=(), faces=()):
    lines = ["# a made-up head", "mtllib none.mtl"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [f"vt {u:.6f} {v:.6f} 0.0" for u, v in uv]
    lines += ["f " + " ".join(f"{c + 1}/{c + 1}" for c in face) for face in faces]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a folder of OBJ files of the made-up head, and its arrays."""
    folder = tmp_path_factory.mktemp("clone") / "FaceXModel"
    folder.mkdir()
    arrays = tiny_head_arrays()
    rest = arrays["vertices"].astype(float)
    write_obj(folder / "generic_neutral_mesh.obj", rest, arrays["uv"], arrays["faces"])
    for i, move in enumerate(arrays["identity"]):
        write_obj(folder / f"identity{i:03d}.obj", rest + move)
    for name, move in zip(arrays["expression_names"], arrays["expression"], strict=True):
        write_obj(folder / f"{name}.obj", rest + move)
    return folder, arrays


def parts_of(arrays):
    ranges = arrays["part_ranges"].tolist()
    return {str(n): tuple(r) for n, r in zip(arrays["part_names"], ranges, strict=True)}


def test_a_clone_gives_the_head_that_it_holds(clone):
    folder, arrays = clone
    landmarks = tuple(arrays["landmarks68"].tolist())
    made = head_from_arrays(convert(folder, parts_of(arrays), landmarks))
    truth = head_from_arrays(arrays)
    assert np.allclose(made.vertices, truth.vertices, atol=1e-5)
    assert np.array_equal(made.faces, truth.faces)
    assert np.allclose(made.identity, truth.identity, atol=1e-3)
    weights = dict.fromkeys(truth.shapes, 0.3)
    assert np.allclose(
        made.deformed(made.vertices, weights), truth.deformed(truth.vertices, weights), atol=5e-3
    )


def test_the_file_is_made_once_and_kept_in_the_clone(clone, monkeypatch):
    folder, arrays = clone
    monkeypatch.setattr(head_files.convert, "__defaults__", (
        parts_of(arrays), tuple(arrays["landmarks68"].tolist())))  # fmt: skip
    told: list[str] = []
    path = head_file(folder.parent, told.append)
    assert path == folder / "ict_face.npz"
    assert len(told) == 1
    assert set(read_head(path).parts) == {"face", "sclera_l", "sclera_r"}
    assert head_file(folder, told.append) == path
    assert len(told) == 1
    assert head_file(path) == path
    path.unlink()


def test_clones_that_are_not_whole_are_named(clone, tmp_path):
    _, arrays = clone
    with pytest.raises(DuchenneError, match=r"generic_neutral_mesh\.obj cannot be read"):
        convert(tmp_path)
    write_obj(
        tmp_path / "generic_neutral_mesh.obj", arrays["vertices"], arrays["uv"], arrays["faces"]
    )
    with pytest.raises(DuchenneError, match="no whole copy of FaceXModel: without browDown_L"):
        convert(tmp_path)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "bad.obj"
    path.write_text("v 0 0 0\nv 1 x 0\n")
    with pytest.raises(DuchenneError, match="v lines are no numbers"):
        read_vertices(path)
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n")
    with pytest.raises(DuchenneError, match="without texture"):
        read_obj(path)
    path.write_text("v 0 0 0\nvt 0 0\nf 1/1 1/1 1/1 1/1 1/1\n")
    with pytest.raises(DuchenneError, match="5 corners"):
        read_obj(path)
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nf 1/1 2/1 3/1\n")
    assert read_obj(path).faces.tolist() == [[0, 1, 2, -1]]


def test_the_documented_parts_lie_end_to_end():
    last_vertex = last_face = 0
    for first, after, first_face, after_face in head_files.PARTS.values():
        assert (first, first_face) == (last_vertex, last_face)
        last_vertex, last_face = after, after_face
    assert (last_vertex, last_face) == (26719, 26384)
    assert len(set(head_files.LANDMARKS)) == 68


def test_the_shared_head_has_the_documented_parts(real_head):
    assert dict(real_head.parts) == dict(head_files.PARTS)
    assert tuple(real_head.landmarks.tolist()) == head_files.LANDMARKS
