"""Checks of media files, and the commands that run them."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.stimuli.checks import file_sha256, media_problems
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
    assert problem.where == str(copied["mug"].path)


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
