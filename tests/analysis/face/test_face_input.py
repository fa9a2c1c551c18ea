"""Every kind of input a user may give: good, bad, odd and missing."""

from __future__ import annotations

import json
import struct

import cv2
import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.backends.base import AUBackend
from duchenne.analysis.face.backends.registry import backend_names, load_backend
from duchenne.analysis.face.command import parse_neutral, run_au_command
from duchenne.analysis.face.decode import jpeg_frames, video_frames
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.model import MODEL_VARIABLE, face_model_path
from duchenne.analysis.face.process import analyse_face
from duchenne.recorder.sources.film import Film
from duchenne.stimuli.errors import DuchenneError, UsageError


def read(path):
    return pd.read_csv(path, na_values="n/a", keep_default_na=False)


def clip_images(still, n=4):
    return [still("happiness", 88 + i) for i in range(n)]


def noise(n=3, value=None):
    rng = np.random.default_rng(1)
    shape = (96, 128, 3)
    return [
        np.full(shape, value, np.uint8)
        if value is not None
        else rng.integers(0, 255, shape, np.uint8)
        for _ in range(n)
    ]


def test_model_is_found_and_checked(tmp_path, monkeypatch):
    assert face_model_path().name == "face_landmarker.task"
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"not a model")
    monkeypatch.setenv(MODEL_VARIABLE, str(wrong))
    with pytest.raises(DuchenneError, match=r"is not the tested one") as wrong_file:
        face_model_path()
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "none.task"))
    with pytest.raises(DuchenneError, match="is missing") as missing:
        FaceTracker().__enter__()
    assert all("\n" not in str(error.value) for error in (wrong_file, missing))


def test_backends_are_found_by_name():
    assert "blendshapes" in backend_names()
    backend = load_backend("blendshapes")
    assert isinstance(backend, AUBackend)
    assert len(backend.typical_neutral) == len(backend.feature_names) == len(backend.personal)
    assert {"AU01", "AU45", "AU14L"} <= set(backend.au_names)
    with pytest.raises(UsageError, match="blendshapes"):
        load_backend("magic")


def test_crops_put_the_eyes_in_place(still):
    with FaceTracker(still=True) as tracker:
        faces = tracker.track([(0, 0.0, still("neutral", 20)), (1, 0.1, None)], keep_images=True)
    crops = faces.crops(100)
    assert crops.shape == (2, 100, 100, 3)
    assert crops[0].std() > 10
    assert not crops[1].any()


@pytest.mark.parametrize("value", [None, 0], ids=["noise", "black"])
def test_no_face_is_told_and_missing(write_video, tmp_path, capfd, value):
    video = write_video("nobody.mp4", noise(value=value))
    code = run_au_command([video], tmp_path / "au.csv")
    out, err = capfd.readouterr()
    table = read(tmp_path / "au.csv")
    assert code == 1
    assert err.count("\n") == 1
    assert "No face" in err
    assert out.splitlines()[-1].endswith("au.csv")
    assert len(table) == 3
    assert table["AU12_r"].isna().all()
    assert table["AU12_c"].isna().all()
    assert (table["expr_prototype"] == "not_assessable").all()
    assert set(table["usable"].astype(str).str.lower()) == {"false"}


@pytest.mark.parametrize("content", [b"this is no video", b""], ids=["text", "empty"])
def test_not_a_video(tmp_path, capfd, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    assert run_au_command([path], tmp_path / "au.csv") == 1
    assert capfd.readouterr().err.count("\n") == 1
    assert not (tmp_path / "au.csv").exists()


def test_truncated_video(write_video, tmp_path, still):
    whole = write_video("whole.mp4", clip_images(still))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(DuchenneError, match=r"cut\.mp4"):
        list(video_frames(cut))


def test_missing_video_and_folder(tmp_path):
    with pytest.raises(DuchenneError, match="no file"):
        next(video_frames(tmp_path / "none.mp4"))
    with pytest.raises(DuchenneError, match="folder"):
        next(video_frames(tmp_path))


def test_one_frame_video(write_video, tmp_path, still):
    video = write_video("one.mp4", clip_images(still, 1))
    assert run_au_command([video], tmp_path / "au.tsv") == 0
    table = pd.read_csv(tmp_path / "au.tsv", sep="\t", na_values="n/a")
    assert len(table) == 1
    assert table["AU12_r"][0] > 2
    assert json.loads((tmp_path / "au.json").read_text("utf-8"))["AU12_r"]["Description"]


def test_rotated_video_is_turned_upright(write_video, still):
    picture = still("happiness")
    lying = np.rot90(picture, -1)
    upright = [
        image for _, _, image in video_frames(write_video("r.mp4", [lying], rotation_deg=90))
    ]
    assert upright[0].shape == picture.shape
    assert np.abs(upright[0].astype(float) - picture).mean() < 12


@pytest.mark.parametrize(
    ("matrix", "stored"),
    [
        ((-1, 0, 0, 1), lambda upright: upright[:, ::-1]),
        ((1, 0, 0, -1), lambda upright: upright[::-1]),
        ((0, 1, 1, 0), lambda upright: np.transpose(upright, (1, 0, 2))),
    ],
)
def test_a_mirrored_film_is_shown_as_a_player_shows_it(write_video, still, matrix, stored):
    picture = still("happiness")
    path = write_video("selfie.mp4", [stored(picture)])
    content = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    track = content.index(b"tkhd") + 4 + 40  # version 0: where the display matrix is
    content[track : track + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    shown = next(video_frames(path))[2]
    assert shown.shape == picture.shape
    assert np.abs(shown.astype(float) - picture).mean() < 12
    as_camera = next(Film.open(path).frames()).picture.bgr()
    assert np.abs(as_camera[..., ::-1].astype(float) - picture).mean() < 12


def test_variable_frame_times_are_kept(write_video):
    video = write_video("v.mp4", noise(4), times=[0, 1, 5, 7])
    assert [t for _, t, _ in video_frames(video)] == pytest.approx([0.0, 0.1, 0.5, 0.7], abs=1e-3)


def test_damaged_packets_are_missing_not_zero(still):
    good = cv2.imencode(".jpg", still("happiness")[..., ::-1])[1].tobytes()
    packets = [good, b"", b"\xff\xd8 broken", good]
    result = analyse_face(jpeg_frames(packets, [0.0, 0.1, 0.2, 0.3]))
    assert result.quality["n_undecodable"] == 2
    assert result.table["face"].tolist() == [True, False, False, True]
    assert result.table["AU12_r"].isna().tolist() == [False, True, True, False]
    assert result.table["time"].tolist() == [0.0, 0.1, 0.2, 0.3]


def test_no_frames_at_all():
    result = analyse_face([])
    assert len(result.table) == 0
    assert "AU12_r" in result.table
    assert result.quality["n_frames"] == 0


def test_small_faces_are_not_usable(still):
    small = cv2.resize(still("happiness"), None, fx=0.2, fy=0.2)
    canvas = np.zeros((480, 640, 3), np.uint8)
    canvas[200 : 200 + small.shape[0], 300 : 300 + small.shape[1]] = small
    table = analyse_face([(0, 0.0, canvas)]).table
    assert not table["usable"][0]
    assert table["confidence"][0] < 0.5
    assert np.isnan(table["AU12_r"][0])


def test_folder_of_pictures_ignores_other_files(tmp_path, still, capfd):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("happiness", "neutral"):
        cv2.imwrite(
            str(folder / f"{name}.png"), still(name, 90 if name == "happiness" else 20)[..., ::-1]
        )
    (folder / "info.csv").write_text("a,b\n")
    (folder / "broken.jpg").write_bytes(b"no picture")
    code = run_au_command([folder], tmp_path / "au.csv")
    table = read(tmp_path / "au.csv")
    assert code == 1
    assert "broken.jpg" in capfd.readouterr().err
    assert table.columns[0] == "input"
    assert table["input"].tolist() == ["happiness.png", "neutral.png"]
    assert table["AU12_r"][0] > table["AU12_r"][1] + 2


def test_one_bad_file_does_not_stop_the_rest(write_video, tmp_path, still, capfd):
    good = write_video("good.mp4", clip_images(still, 2))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"bad")
    assert run_au_command([bad, good], tmp_path / "au.csv") == 1
    assert "1 of 2 inputs" in capfd.readouterr().err
    assert set(read(tmp_path / "au.csv")["input"]) == {"good.mp4"}


def test_openface_style(write_video, tmp_path, still):
    video = write_video("v.mp4", clip_images(still, 2))
    assert run_au_command([video], tmp_path / "au.csv", style="openface") == 0
    table = read(tmp_path / "au.csv")
    assert table.columns[:8].tolist() == [
        "frame", "face_id", "timestamp", "confidence", "success", "pose_Rx", "pose_Ry", "pose_Rz",
    ]  # fmt: skip
    assert sum(c.endswith("_r") for c in table) == 17
    assert sum(c.endswith("_c") for c in table) == 18
    assert table["frame"].tolist() == [1, 2]
    assert table["success"].tolist() == [1, 1]


def test_wrong_usage(write_video, tmp_path):
    video = write_video("v.mp4", noise(1))
    for arguments in (
        {"out": tmp_path / "au.xlsx"},
        {"out": tmp_path / "au.csv", "style": "fancy"},
        {"out": tmp_path / "au.csv", "neutral": "3:1"},
        {"out": tmp_path / "au.csv", "neutral": "soon"},
        {"out": tmp_path / "au.csv", "backend": "magic"},
    ):
        with pytest.raises(UsageError):
            run_au_command([video], **arguments)
    with pytest.raises(UsageError):
        run_au_command([], tmp_path / "au.csv")
    (tmp_path / "in-the-way").touch()
    with pytest.raises(DuchenneError, match="could not be made"):
        run_au_command([video], tmp_path / "in-the-way" / "au.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DuchenneError, match="no pictures"):
        run_au_command([tmp_path / "empty"], tmp_path / "au.csv")


def test_neutral_windows():
    assert parse_neutral(None) == ()
    assert parse_neutral("0:2.5") == ((0.0, 2.5),)
    assert parse_neutral(["0:1", "4:5"]) == ((0.0, 1.0), (4.0, 5.0))
