"""Checks of media files, and the commands that run them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.stimuli.checks import file_sha256, media_notes, media_problems, value_problems
from duchenne.stimuli.cli import app
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.luminance import relative_luminance
from duchenne.stimuli.manifest import Stimulus, StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = StimulusSet.bundled()


@pytest.fixture
def copied(tmp_path: Path) -> StimulusSet:
    """Return a copy of the bundled set that may be broken."""
    for stimulus in BUNDLED:
        shutil.copy(stimulus.path, tmp_path)
    for name in ("manifest.tsv", "manifest.json"):
        shutil.copy(BUNDLED.folder / name, tmp_path)
    return StimulusSet.load(tmp_path)


def rehashed(stimulus: Stimulus) -> Stimulus:
    return dataclasses.replace(stimulus, sha256=file_sha256(stimulus.path))


def test_missing_file(copied: StimulusSet) -> None:
    copied["mug"].path.unlink()
    (problem,) = copied.check()
    assert problem.id == "mug"
    assert "the file is missing" in problem.what
    assert problem.where == f"{copied['mug'].path} (manifest.tsv:12)"


def test_changed_file(copied: StimulusSet) -> None:
    with copied["mug"].path.open("ab") as stream:
        stream.write(b"\0")
    (problem,) = copied.check()
    assert "SHA-256 differs" in problem.what


def test_only_the_named_stimuli_are_checked(copied: StimulusSet) -> None:
    copied["mug"].path.unlink()
    assert copied.check({"sunset"}) == []


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n broken"])
def test_undecodable_image(copied: StimulusSet, content: bytes) -> None:
    copied["mug"].path.write_bytes(content)
    (problem,) = media_problems([rehashed(copied["mug"])])
    assert "cannot be decoded as an image" in problem.what


def test_truncated_image(copied: StimulusSet) -> None:
    path = copied["mug"].path
    path.write_bytes(path.read_bytes()[:9000])
    (problem,) = media_problems([rehashed(copied["mug"])])
    assert "cannot be decoded as an image" in problem.what


@pytest.mark.parametrize("content", [b"", b"no film at all" * 50])
def test_undecodable_film(copied: StimulusSet, content: bytes) -> None:
    copied["balloons"].path.write_bytes(content)
    (problem,) = media_problems([rehashed(copied["balloons"])])
    assert "cannot be decoded as video" in problem.what


def test_truncated_film(copied: StimulusSet) -> None:
    path = copied["balloons"].path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (problem,) = media_problems([rehashed(copied["balloons"])])
    assert "duration_s says 5" in problem.what or "cannot be decoded" in problem.what


def test_image_declared_as_film(copied: StimulusSet) -> None:
    wrong = dataclasses.replace(copied["mug"], kind="audio", duration_s=5.0)
    (problem,) = media_problems([wrong])
    assert "has no sound" in problem.what


def test_wrong_size_and_length(copied: StimulusSet) -> None:
    wide = dataclasses.replace(copied["mug"], width_px=801)
    short = dataclasses.replace(copied["balloons"], duration_s=3.0)
    what = [problem.what for problem in media_problems([wide, short])]
    assert "is 800 × 600 pixels but the manifest says 801 × 600" in what[0]
    assert "ends after 5.00 s but duration_s says 3" in what[1]


def test_huge_image_is_refused_without_decoding_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (12_000, 12_000)).save(path)
    huge = Stimulus("huge", path.name, path, "image", "c", file_sha256(path))
    (problem,) = media_problems([huge])
    assert "too large to show" in problem.what


def test_repeated_id_in_a_set_made_by_code() -> None:
    twice = StimulusSet("twice", BUNDLED.folder, (BUNDLED["mug"], BUNDLED["mug"]))
    assert "used 2 times" in twice.check()[0].what


def test_luminance_of_known_greys() -> None:
    def grey(level: int) -> float:
        return relative_luminance(np.full((4, 4, 3), level, np.uint8))

    assert grey(0) == 0.0
    assert grey(255) == pytest.approx(1.0)
    assert grey(188) == pytest.approx(0.5, abs=0.005)
    green = np.zeros((2, 2, 3), np.uint8)
    green[..., 1] = 255
    assert relative_luminance(green) == pytest.approx(0.7152)


def test_luminance_in_the_manifest_is_that_of_the_file() -> None:
    for name in ("sunset", "spider"):
        with Image.open(BUNDLED[name].path) as image:
            measured = relative_luminance(np.array(image.convert("RGB"), dtype=np.uint8))
        assert measured == pytest.approx(BUNDLED[name].luminance, abs=0.002)


def test_check_command_passes_the_bundled_set() -> None:
    result = CliRunner().invoke(app, ["check", str(BUNDLED.folder)])
    assert result.exit_code == 0
    assert "15 stimuli are in order" in result.stdout.splitlines()[-1]


def test_check_command_names_every_problem(copied: StimulusSet) -> None:
    manifest = copied.folder / "manifest.tsv"
    copied["rain"].path.unlink()
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("\t7.6\t", "\t76\t"))
    result = CliRunner().invoke(app, ["check", str(manifest)])
    lines = result.stderr.splitlines()
    assert isinstance(result.exception, DuchenneError)
    assert "2 problems" in str(result.exception)
    assert "manifest.tsv:2: stimulus 'fireworks': valence 76 is outside its scale" in lines[0]
    assert "stimulus 'rain': the file is missing" in lines[1]


def test_list_command_shows_the_bundled_set() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert "fireworks" in result.stdout
    assert "15 stimuli" in result.stdout.splitlines()[-1]


def film(path: Path, times: list[int]) -> Stimulus:
    """Write a film without sound whose frames are due at these milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 64
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_ms in times:
            frame = av.VideoFrame.from_ndarray(
                np.full((64, 64, 3), time_ms % 250, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Stimulus("film", path.name, path, "video", "c", file_sha256(path))


def test_steady_film_without_sound_is_noted_once(tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", [40 * i for i in range(50)])
    (note,) = media_notes([silent])
    assert "the film has no sound; if that is meant, write 0 in a column has_sound" in note.what
    assert media_notes([dataclasses.replace(silent, measures={"has_sound": 0.0})]) == []


def test_variable_frame_rate_is_noted(tmp_path: Path) -> None:
    times = np.cumsum([40] * 30 + [90, 25, 60, 40] * 5).tolist()
    uneven = film(tmp_path / "uneven.mkv", times)
    what = media_notes([dataclasses.replace(uneven, measures={"has_sound": 0.0})])[0].what
    assert "variable frame rate (15 of 49 intervals differ from 40.0 ms); convert it: " in what
    steady = film(tmp_path / "ntsc.mkv", [round(1001 * i / 30) for i in range(90)])
    assert len(media_notes([steady])) == 1  # whole milliseconds of 29.97 Hz are no variable rate


def test_bundled_films_have_no_notes() -> None:
    assert media_notes(BUNDLED) == []


def test_sound_files_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = np.zeros((1, 16_000), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    tone = Stimulus("t", path.name, path, "audio", "c", file_sha256(path), duration_s=2.0)
    assert media_problems([tone]) == []
    (problem,) = media_problems([dataclasses.replace(tone, duration_s=3.0)])
    assert "ends after 2.00 s but duration_s says 3" in problem.what
    path.write_bytes(b"RIFF no sound")
    (problem,) = media_problems([rehashed(tone)])
    assert "cannot be decoded as audio" in problem.what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"You hear steps behind you.\n", None),
        ("\ufeffDu h\u00f6rst Schritte.".encode(), None),
        (b"one\nDu h\xf6rst", r"line 2 is not UTF-8 text \(byte 0xf6\)"),
        (b" \n", "holds no words"),
        (b"x" * 30_000, "30000 characters"),
    ],
)
def test_vignettes(tmp_path: Path, content: bytes, what: str | None) -> None:
    path = tmp_path / "vignette.txt"
    path.write_bytes(content)
    vignette = Stimulus("v", path.name, path, "text", "c", file_sha256(path))
    assert value_problems([vignette]) == []
    found = media_problems([vignette])
    assert bool(found) == (what is not None)
    if what is not None:
        assert re.search(what, found[0].what)


def test_absurd_duration() -> None:
    (problem,) = value_problems([dataclasses.replace(BUNDLED["balloons"], duration_s=5e5)])
    assert "duration_s is 500000; more than 14400 cannot be meant" in problem.what


def test_a_category_without_stimuli_is_a_problem(copied: StimulusSet) -> None:
    codebook = copied.folder / "manifest.json"
    content = json.loads(codebook.read_text(encoding="utf-8"))
    content["category"]["Levels"]["erotic"] = "pictures of couples"
    codebook.write_text(json.dumps(content), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(copied.folder)])
    assert isinstance(result.exception, DuchenneError)
    assert "stimulus 'erotic': this category of the codebook has no stimulus" in result.stderr


def test_strict_check_refuses_what_is_only_noted(copied: StimulusSet) -> None:
    silent = film(copied.folder / "silent.mp4", [40 * i for i in range(50)])
    row = [
        silent.id,
        silent.file,
        "video",
        "neutral",
        silent.sha256,
        *["n/a"] * 5,
        "2.0",
        *["n/a"] * 8,
    ]
    manifest = copied.folder / "manifest.tsv"
    text = manifest.read_text(encoding="utf-8")
    assert len(row) == len(text.splitlines()[0].split("\t"))
    manifest.write_text(text + "\t".join(row) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(manifest)])
    assert result.exit_code == 0, result.output
    assert "note: " in result.stderr
    assert "has no sound" in result.stderr
    strict = CliRunner().invoke(app, ["check", str(manifest), "--strict"])
    assert isinstance(strict.exception, DuchenneError)
