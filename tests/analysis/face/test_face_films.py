"""Films as they come: every codec and container, turned, huge, slow, cut off, without colour."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.command import run_au_command
from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.model import MODEL_VARIABLE
from duchenne.analysis.face.process import analyse_face
from duchenne.stimuli.errors import DuchenneError


@pytest.fixture
def film(tmp_path):
    """Return a function that writes pictures as a film of any codec."""

    def write(name, images, *, codec="libx264", rate=10, pix_fmt="yuv420p", options=None, turn=0):
        path = tmp_path / name
        settings = {"movflags": "faststart"} if path.suffix in {".mp4", ".mov"} else {}
        with av.open(str(path), "w", options=settings) as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pix_fmt
            if turn:
                stream.set_display_rotation(turn)
            for image in images:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def smiles(still):
    """Return a function that gives a few pictures of a smile."""

    def pictures(n=3, scale=1.0):
        images = [still("happiness", 88 + i) for i in range(n)]
        return [cv2.resize(image, None, fx=scale, fy=scale) for image in images]

    return pictures


def measured(path):
    return analyse_face(video_frames(path, max_side_px=1920)).table


X265 = {"x265-params": "log-level=none:pools=1", "preset": "ultrafast"}
VP9 = {"deadline": "realtime", "cpu-used": "8"}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("hevc.mp4", ("libx265", "yuv420p", X265)),
        ("vp9.webm", ("libvpx-vp9", "yuv420p", VP9)),
        ("ten-bit.mov", ("prores_ks", "yuv422p10le", {})),
        ("grey.mkv", ("ffv1", "gray", {})),
        ("pictures.avi", ("mjpeg", "yuvj420p", {})),
    ],
)
def test_codecs(film, smiles, name, made):
    codec, pix_fmt, options = made
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write {codec}")
    table = measured(film(name, smiles(), codec=codec, pix_fmt=pix_fmt, options=options))
    assert len(table) == 3
    assert table["usable"].all()
    assert (table["AU12_r"] > 2).all()
    assert table["time"].tolist() == pytest.approx([0, 0.1, 0.2], abs=0.002)


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_telephone(film, smiles, turn):
    upright = smiles(2, scale=0.5)
    lying = [np.rot90(image, -turn // 90) for image in upright]
    table = measured(film("phone.mov", lying, turn=turn))
    assert table["face"].all()
    assert (table["pose_roll_deg"].abs() < 15).all()


def test_4k_is_made_smaller(film, smiles):
    path = film("4k.mp4", smiles(2, scale=6.0), options={"preset": "ultrafast"})
    pictures = [image for _, _, image in video_frames(path, max_side_px=1920)]
    assert pictures[0].shape == (1440, 1920, 3)
    assert next(video_frames(path))[2].shape == (2880, 3840, 3)
    assert measured(path)["usable"].all()


def test_a_film_without_its_end_gives_what_there_is(film, smiles, tmp_path, capfd):
    whole = film("whole.mp4", smiles(12), options={"g": "1", "bf": "0"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    run_au_command([cut], tmp_path / "au.csv")
    told = capfd.readouterr().err.splitlines()
    table = pd.read_csv(tmp_path / "au.csv", na_values="n/a")
    assert 3 <= len(table) < 10
    assert table["usable"].sum() >= 3
    assert len(told) == 1
    assert f"cut off: only {len(table)} of 12 frames" in told[0]


def test_a_film_without_its_beginning_is_no_film(film, smiles, tmp_path):
    whole = film("whole.mp4", smiles(3))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[400:])
    with pytest.raises(DuchenneError, match="cannot be read as a video"):
        list(video_frames(cut))


def test_sound_alone_is_no_film(tmp_path):
    path = tmp_path / "voice.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DuchenneError, match="no picture track"):
        list(video_frames(path))


def test_ten_frames_per_second_and_a_still_face(film, smiles):
    table = measured(film("slow.mp4", smiles(1) * 12, rate=10))
    assert table["usable"].all()
    assert table["AU12_r"].std() < 0.2
    assert table["speaking"].isna().all(), "10 frames per second cannot show speech"


def test_profile_and_darkness_are_not_measured(film, smiles, tmp_path, capfd):
    dark = film("dark.mp4", [(image * 0.04).astype(np.uint8) for image in smiles(3)])
    assert run_au_command([dark], tmp_path / "au.csv") == 1
    assert capfd.readouterr().err.count("\n") == 1
    table = pd.read_csv(tmp_path / "au.csv", na_values="n/a")
    assert table["AU12_r"].isna().all()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (
            "alpha.png",
            lambda rgb: np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 128, np.uint8)]),
        ),
        ("grey.png", lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
        ("deep.png", lambda rgb: rgb[..., ::-1].astype(np.uint16) * 256),
        ("film.webp", lambda rgb: rgb[..., ::-1]),
    ],
)
def test_pictures_of_every_kind(smiles, tmp_path, name, make):
    path = tmp_path / name
    cv2.imwrite(str(path), make(smiles(1)[0]))
    assert image_frame(path).shape == (480, 640, 3)
    assert run_au_command([path], tmp_path / "au.csv") == 0
    table = pd.read_csv(tmp_path / "au.csv", na_values="n/a")
    assert table["AU12_r"][0] > 1.5
    assert "input" not in table


def test_a_missing_model_is_told_in_one_line(film, smiles, tmp_path, monkeypatch):
    path = film("film.mp4", smiles(1))
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "none.task"))
    with pytest.raises(DuchenneError, match=MODEL_VARIABLE) as told:
        run_au_command([path], tmp_path / "au.csv")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "au.csv").exists()
