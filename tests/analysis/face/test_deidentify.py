"""Videos in which nobody is to be known again: every frame covered, and a head that is nobody's."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

import av
import numpy as np
import pandas as pd
import pytest
from support.sessions import write_session
from typer.testing import CliRunner

from duchenne.analysis.cli import app
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.deidentify import deidentify, expression_of
from duchenne.analysis.face.deidentify_check import check_avatar, check_covered, generic_shape
from duchenne.analysis.face.deidentify_cover import (
    Hider,
    _grown,
    _merged,
    cover_boxes,
    cover_faces,
)
from duchenne.analysis.face.deidentify_draw import draw_avatar, draw_nobody
from duchenne.analysis.face.deidentify_finder import CHECK_CONFIDENCE, FaceFinder
from duchenne.analysis.face.deidentify_head import build_head
from duchenne.analysis.face.deidentify_parts import Expression, rotation
from duchenne.analysis.face.deidentify_shape import ShapeWitness, frontal_shapes, shape_distance
from duchenne.analysis.face.deidentify_video import Mp4Writer, VideoInput
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.process import analyse_face
from duchenne.recorder.sources.camera_encode import encode_jpeg
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def _ignore(*_: object) -> None:
    """Take what a progress bar would."""


class _Blinking(FaceFinder):
    """A finder that misses the face in some frames."""

    def __init__(self, box, missed) -> None:
        super().__init__()
        self._box, self._missed, self._n = box, missed, -1

    def find(self, *_image, **_options):
        self._n += 1
        return [] if self._n in self._missed else [self._box]


@pytest.fixture(scope="module")
def short(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a short film of a smile with sound, metadata and irregular frame times."""
    path = tmp_path_factory.mktemp("deidentify") / "smile.mp4"
    pictures = islice(video_frames(clips / "happiness.mp4"), 10, 100, 6)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Participant 7"
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=16000)
        sound.layout = "mono"
        for i, (_, _, image) in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i * 200 + 13 * (i % 3), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        tone = (8000 * np.sin(np.arange(3 * 16000) / 10)).astype(np.int16)
        for k in range(0, len(tone) - 1023, 1024):
            samples = av.AudioFrame.from_ndarray(tone[None, k : k + 1024], "s16", "mono")
            samples.sample_rate, samples.pts = 16000, k
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    return path


def _times(path: Path) -> list[float]:
    return [round(time_s, 3) for _, time_s, _ in video_frames(path)]


@pytest.mark.parametrize("method", ["blur", "pixelate"])
def test_no_face_is_left_and_nothing_else_is_carried(
    short: Path, tmp_path: Path, method: str
) -> None:
    out = tmp_path / "out.mp4"
    result = deidentify(VideoInput(short), out, method=method)
    assert result.check is not None
    assert result.check.passed, result.check.what
    assert result.n_frames == 15
    assert _times(out) == _times(short)
    with av.open(str(out)) as container:
        assert not container.streams.audio
        assert "title" not in container.metadata
        assert b"Participant 7" not in out.read_bytes()
    first = next(video_frames(out))[2]
    before = next(video_frames(short))[2]
    assert np.abs(first.astype(int) - before)[150:330, 240:400].mean() > 8, "the face is not hidden"
    assert not list(tmp_path.glob("*.part*"))


def test_the_video_of_a_session_keeps_its_times(still, tmp_path: Path) -> None:
    pictures = [encode_jpeg(still("happiness", 60 + k)[..., ::-1]) for k in range(6)]
    times_s = np.array([1.0, 1.05, 1.09, 1.3, 1.31, 1.36])
    session = write_session(tmp_path / "s.h5", frames=(times_s, [*pictures[:5], b"damaged"]))
    out = tmp_path / "s.mp4"
    result = CliRunner().invoke(app, ["deidentify", str(session), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "6 frames, 1 of them hidden as a whole." in result.output
    table = pd.read_csv(tmp_path / "s.tsv", sep="\t")
    assert table["time_s"].to_numpy() == pytest.approx(times_s, abs=1e-3)
    assert table["video_time_s"].to_numpy() == pytest.approx(times_s - 1.0, abs=1e-3)
    assert _times(out) == pytest.approx((times_s - 1.0).tolist(), abs=2e-3)


def test_the_times_of_a_session_are_not_written_over_another_table(still, tmp_path: Path) -> None:
    frame = encode_jpeg(still("happiness")[..., ::-1])
    session = write_session(tmp_path / "s.h5", frames=(np.array([1.0]), [frame]))
    table = tmp_path / "P01.tsv"
    table.write_text("my own ratings", "utf-8")
    with pytest.raises(DuchenneError, match=r"P01\.tsv exists and is never overwritten"):
        deidentify(VideoInput(session), tmp_path / "P01.mp4")
    assert table.read_text("utf-8") == "my own ratings"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["P01.tsv", "s.h5"]


def test_the_check_finds_a_face_that_is_not_hidden(short: Path) -> None:
    found = check_covered(short, _ignore)
    assert not found.passed
    assert "15 of 15 frames" in found.what


def test_sound_is_kept_on_demand_only_and_stays_in_step(short: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    result = CliRunner().invoke(
        app, ["deidentify", str(short), "--out", str(out), "--keep-audio", "--no-check"]
    )
    assert result.exit_code == 0, result.output
    assert "a voice identifies" in result.output
    assert result.output.strip().splitlines()[-1] == f"Wrote {out}"
    with av.open(str(out)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(3.0, abs=0.15)
    assert _times(out) == _times(short)


def _with_click(path: Path, pictures: str, sound: str) -> None:
    """Write two seconds with a click at 1 s."""
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    heard = np.zeros(32 * 1024, np.int16)
    heard[16000:16200] = 20000
    with av.open(str(path), "w") as container:
        video = container.add_stream(pictures, rate=25)
        video.width, video.height = 160, 120
        video.pix_fmt = "yuvj420p" if pictures == "mjpeg" else "yuv420p"
        audio = container.add_stream(sound, rate=16000)
        audio.layout = "mono"
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = i
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for k in range(0, len(heard), 1024):
            samples = av.AudioFrame.from_ndarray(heard[None, k : k + 1024], "s16", "mono")
            samples.sample_rate, samples.pts = 16000, k
            container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def _damage(path: Path, stream: str, packet: int) -> None:
    with av.open(str(path)) as container:
        packets = container.demux(**{stream: 0})
        place = next(islice((p for p in packets if p.size), packet, None))
        at, size = place.pos, place.size
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\xd8", at) if stream == "video" else at
    content[start : start + size] = bytes([0xFF if stream == "audio" else 0]) * size
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "pictures", "sound", "damaged"),
    [
        ("a.avi", "mjpeg", "pcm_s16le", ("video", 0)),
        ("a.mp4", "mpeg4", "aac", ("audio", 5)),
        ("a.mp4", "mpeg4", "aac", None),
    ],
)
def test_sound_stays_in_step_where_packets_are_damaged(
    tmp_path: Path, name: str, pictures: str, sound: str, damaged: tuple[str, int] | None
) -> None:
    given, out = tmp_path / name, tmp_path / "out.mp4"
    _with_click(given, pictures, sound)
    if damaged is not None:
        _damage(given, *damaged)
    missing = [image is None for _, _, image in video_frames(given)]
    assert missing == [damaged == ("video", 0)] + [False] * 49
    assert deidentify(VideoInput(given), out, keep_sound=True, check=False).has_sound
    assert _times(out) == _times(given)
    with av.open(str(out)) as container:
        clicks = [
            frame.time + np.abs(samples).argmax() / 16000
            for frame in container.decode(audio=0)
            if np.abs(samples := frame.to_ndarray()[0]).max() > 0.2
        ]
    assert clicks[0] == pytest.approx(1.0, abs=0.03)


def test_a_missed_face_hides_the_whole_frame() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    frames = [(i, i / 10, image if i != 7 else None) for i in range(9)]
    finder = _Blinking((60.0, 50.0, 80.0, 70.0), missed={3})
    covered = list(cover_faces(frames, finder, "blur"))
    assert [c.index for c in covered] == list(range(9))
    assert [c.whole for c in covered] == [i in {3, 7} for i in range(9)]
    corner = (slice(0, 20), slice(0, 20))
    assert np.array_equal(covered[2].image[corner], image[corner])
    assert covered[3].image[corner].std() < 0.3 * image[corner].std()
    assert not covered[7].image.any()


def test_frames_before_the_first_picture_get_its_size() -> None:
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    frames = [(i, i / 10, image if i >= 20 else None) for i in range(24)]
    finder = _Blinking((60.0, 50.0, 80.0, 70.0), missed=set())
    covered = list(cover_faces(frames, finder, "blur"))
    assert [(c.index, c.time_s) for c in covered] == [(i, i / 10) for i in range(24)]
    assert {c.image.shape for c in covered} == {(120, 160, 3)}
    assert [c.image.any() for c in covered] == [i >= 20 for i in range(24)]
    assert [c.whole for c in covered] == [i < 20 for i in range(24)]
    nothing = list(cover_faces([(i, i / 10, None) for i in range(20)], finder, "blur"))
    assert [c.image.shape for c in nothing] == [(16, 16, 3)] * 20


def test_covers_reach_over_neighbouring_frames() -> None:
    image = np.random.default_rng(1).integers(0, 255, (120, 320, 3), dtype=np.uint8)

    class Moving(FaceFinder):
        n = -1

        def find(self, *_image, **_options):
            self.n += 1
            x = 40.0 + 20 * self.n
            return [(x, 50.0, x + 20, 70.0)]

    frames = [(i, i / 10, image) for i in range(9)]
    covered = list(cover_faces(frames, Moving(), "pixelate", grow_s=0.21))
    places = [np.flatnonzero((c.image != image).any(axis=(0, 2))) for c in covered]
    for i, columns in enumerate(places):
        near = [40 + 20 * k for k in range(max(0, i - 2), min(9, i + 3))]
        assert columns.min() == pytest.approx(near[0] - 6, abs=2)
        assert columns.max() == pytest.approx(near[-1] + 20 + 6, abs=3)


def test_boxes_that_touch_get_one_cover() -> None:
    merged = _merged([(0, 0, 10, 10), (20, 0, 30, 10), (8, 5, 22, 8), (50, 50, 60, 60)])
    assert sorted(merged) == [(0, 0, 30, 10), (50, 50, 60, 60)]
    left, top, right, bottom = _grown((100.0, 100.0, 200.0, 200.0))
    assert (left, top, right, bottom) == (70.0, 50.0, 230.0, 225.0)


def test_a_cover_goes_on_until_nothing_is_found(still) -> None:
    image = still("happiness")
    with FaceFinder() as finder, FaceFinder(CHECK_CONFIDENCE) as strict:
        boxes = finder.find(image)
        assert boxes
        assert strict.find(image)
        hidden = Hider("blur", strict).hide(image, boxes)
        assert hidden is not None
        assert not strict.find(hidden)
        assert not strict.find(Hider("pixelate", strict).hide_all(image))
    coarse = cover_boxes(image, boxes, "pixelate", 4)
    assert len(np.unique(coarse[200:300, 280:360].reshape(-1, 3), axis=0)) <= 16


def test_a_small_face_in_a_large_picture_is_found(still) -> None:
    import cv2

    small = cv2.resize(still("neutral"), (160, 120), interpolation=cv2.INTER_AREA)
    scene = np.full((720, 1280, 3), 120, np.uint8)
    scene[60:180, 1000:1160] = small
    with FaceFinder() as finder:
        boxes = finder.find(scene)
    middles = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom in boxes]
    assert any(abs(x - 1080) < 30 and abs(y - 120) < 30 for x, y in middles)


def test_the_head_turns_with_the_signs_of_the_tables() -> None:
    pitch, yaw, roll = np.radians([10, 20, 30])
    turned = rotation((10, 20, 30))
    assert turned @ turned.T == pytest.approx(np.eye(3))
    assert np.linalg.det(turned) == pytest.approx(1)
    straight = rotation((10, 20, 0))
    assert straight[1, 2] == pytest.approx(np.sin(pitch) * np.cos(yaw))
    assert np.arctan2(rotation((0, 0, 30))[1, 0], rotation((0, 0, 30))[1, 1]) == pytest.approx(roll)


def test_units_move_what_they_should() -> None:
    rest = build_head(Expression())
    smile = build_head(Expression({"AU12L": 5.0, "AU12R": 0.0}))
    corner = rest.lip_line[:, 0].argmax()
    assert smile.lip_line[corner, 1] < rest.lip_line[corner, 1] - 0.5, "up is smaller"
    other = rest.lip_line[:, 0].argmin()
    assert smile.lip_line[other] == pytest.approx(rest.lip_line[other])
    frown = build_head(Expression({"AU04": 5.0}))
    assert frown.sides[0].brow[:, 1].mean() > rest.sides[0].brow[:, 1].mean() + 0.5
    closed = build_head(Expression({"AU45": 5.0}))
    assert np.ptp(closed.sides[0].eye[:, 1]) < 0.6 * np.ptp(rest.sides[0].eye[:, 1])
    assert Expression({"AU12": float("nan")}).unit("AU12") == 0.0


def test_the_same_units_give_the_same_picture_whoever_it_was() -> None:
    row = {"AU12_r": 3.0, "AU25_r": 2.0, "pose_yaw_deg": 4.0, "face_width": 9.0}
    other = {"AU12_r": 3.0, "AU25_r": 2.0, "pose_yaw_deg": 4.0, "face_width": 7.0}
    assert np.array_equal(draw_avatar(expression_of(row)), draw_avatar(expression_of(other)))
    assert np.array_equal(draw_nobody(), draw_nobody())
    assert not np.array_equal(draw_avatar(Expression()), draw_nobody())


@pytest.fixture(scope="module")
def acted(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """Return the measures of neutral, smiling, surprised and angry frames, and the head's film."""
    folder = tmp_path_factory.mktemp("avatar")
    source = folder / "source.mp4"
    with Mp4Writer(source) as writer:
        for i, name in enumerate(("neutral", "happiness", "surprise", "anger")):
            pictures = islice(video_frames(clips / f"{name}.mp4"), 0, 160, 13)
            for k, (_, _, image) in enumerate(pictures):
                writer.add(i * 2.0 + k / 10, image)
    out = folder / "avatar.mp4"
    result = deidentify(
        VideoInput(source),
        out,
        method="avatar",
        backend="geometry",
        neutral=[(0.0, 2.0)],
    )
    assert result.check is not None
    assert result.check.passed, result.check.what
    table = analyse_face(video_frames(source), backend="geometry", neutral=[(0.0, 2.0)]).table
    return table, out


def test_the_head_keeps_the_measured_units(acted: tuple[pd.DataFrame, Path]) -> None:
    original, out = acted
    again = analyse_face(video_frames(out), backend="geometry", neutral=[(0.0, 2.0)]).table
    both = (original["usable"] & again["usable"]).to_numpy()
    assert both.mean() > 0.95, "the head is measured like a face"
    assert again["time"].to_numpy() == pytest.approx(original["time"].to_numpy(), abs=1e-3)
    for au in ("AU04", "AU12", "AU25"):
        r = np.corrcoef(original[f"{au}_r"][both], again[f"{au}_r"][both])[0, 1]
        assert r >= 0.9, f"{au}: r = {r:.2f}"


def test_the_shape_of_the_face_is_not_carried(
    acted: tuple[pd.DataFrame, Path], clips: Path
) -> None:
    _, out = acted
    witness = ShapeWitness(load_backend("blendshapes"))
    analyse_face(islice(video_frames(clips / "neutral.mp4"), 0, 40, 8), backend=witness)
    assert witness.shape is not None
    assert shape_distance(witness.shape, generic_shape()) > 0.02, "the heads differ"
    assert check_avatar(out, witness, _ignore).passed
    not_hidden = check_avatar(clips / "neutral.mp4", witness, _ignore)
    assert not not_hidden.passed


def test_shapes_ignore_place_and_size(still) -> None:
    image = still("neutral")
    with FaceTracker(still=True) as tracker:
        (shape,) = frontal_shapes(tracker.track([(0, 0.0, image)]))
        (moved,) = frontal_shapes(tracker.track([(0, 0.0, np.roll(image, 40, axis=1))]))
    assert shape_distance(shape, moved) < 0.02
    spin = rotation((0, 0, 20)) * 1.7
    assert shape_distance(shape, shape @ spin + 3.0) == pytest.approx(0, abs=1e-9)


def test_what_does_not_fit_is_refused(short: Path, tmp_path: Path) -> None:
    video = VideoInput(short)
    with pytest.raises(UsageError, match="no method 'mask'; there are: blur, pixelate, avatar"):
        deidentify(video, tmp_path / "a.mp4", method="mask")
    with pytest.raises(UsageError, match=r"ends with \.mp4"):
        deidentify(video, tmp_path / "a.avi")
    with pytest.raises(UsageError, match="also the input"):
        deidentify(video, short)
    (tmp_path / "b.mp4").touch()
    with pytest.raises(DuchenneError, match="never overwritten"):
        deidentify(video, tmp_path / "b.mp4")
    with pytest.raises(DuchenneError, match="There is no file"):
        deidentify(VideoInput(tmp_path / "absent.mp4"), tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="no sound to keep"):
        deidentify(VideoInput(tmp_path / "x.h5"), tmp_path / "a.mp4", keep_sound=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.mp4"]
