"""Bad input gives one clear line, the right exit code, and nothing lost or overwritten."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from duchenne import cli

SHORT = """\
name: short
title: One picture
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: main
    steps:
      - type: trials
        select: {ids: [sunset]}
        fixation_s: 0.5
        duration_s: 1
"""
SIMULATED = ("--eyetracker", "simulated", "--camera", "simulated", "--headless")
needs_display = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)


def refused(*arguments: object, code: int = 1) -> str:
    """Run a command that must be refused; return its one line."""
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("duchenne: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "there"), "there: Read-only file system"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, said: str
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err == f"duchenne: {said}\n"


def test_what_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("a library's own")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(OSError, match="library"):
        cli.main()


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT, encoding="utf-8")
    return path


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path, protocol: Path) -> None:
    protocol.write_text(SHORT.replace("fixation_s", "fixaton_s"), encoding="utf-8")
    line = refused("run", protocol, "--participant", "P01", *SIMULATED, "--study", tmp_path / "s")
    assert "short.yaml:9" in line
    assert "fixation_s" in line
    assert not (tmp_path / "s").exists()


def test_a_missing_stimulus_file_is_named(tmp_path: Path, protocol: Path) -> None:
    import duchenne.stimuli

    bundled = Path(duchenne.stimuli.__file__).parent / "bundled"
    shutil.copytree(bundled, tmp_path / "set", ignore=shutil.ignore_patterns("*.py", "sunset*"))
    protocol.write_text(SHORT + "stimuli: set\n", encoding="utf-8")
    line = refused("run", protocol, "--participant", "P01", *SIMULATED, "--study", tmp_path / "s")
    assert "sunset.jpg" in line
    assert "missing" in line


@pytest.mark.parametrize("label", ["../P01", "P/01", "..", ""])
def test_labels_cannot_leave_the_study(tmp_path: Path, protocol: Path, label: str) -> None:
    refused("run", protocol, "--participant", label, "--study", tmp_path / "s", *SIMULATED, code=2)
    assert not (tmp_path / "s").exists()


def test_an_existing_session_is_kept(tmp_path: Path, protocol: Path) -> None:
    folder = tmp_path / "s/sourcedata/sub-P01/ses-01"
    folder.mkdir(parents=True)
    existing = folder / "sub-P01_ses-01_task-short_run-01_session.h5"
    existing.write_text("precious")
    line = refused("run", protocol, "--participant", "P01", *SIMULATED, "--study", tmp_path / "s")
    assert "never overwritten" in line
    assert existing.read_text() == "precious"


def test_no_eye_tracker_says_what_was_found(tmp_path: Path, protocol: Path) -> None:
    line = refused(
        "run",
        protocol,
        "--participant",
        "P01",
        "--camera",
        "none",
        "--study",
        tmp_path / "s",
        "--headless",
    )
    assert "No stream of type Gaze" in line
    assert "--eyetracker simulated" in line


@needs_display
@pytest.mark.skipif(Path("/dev/video0").exists(), reason="a camera is connected")
def test_no_camera_says_so_and_leaves_no_session(tmp_path: Path, protocol: Path) -> None:
    line = refused(
        *("run", protocol, "--participant", "P01", "--eyetracker", "simulated", "--headless"),
        *("--study", tmp_path / "s"),
    )
    assert "camera" in line
    assert not list(tmp_path.glob("s/**/*.h5"))
    assert not list(tmp_path.glob("s/**/*.journal"))


def test_an_unknown_eye_tracker_is_refused_with_the_known_ones(
    tmp_path: Path, protocol: Path
) -> None:
    line = refused(
        *("run", protocol, "--participant", "P01", "--eyetracker", "simulatd", "--camera", "none"),
        *("--headless", "--study", tmp_path / "s"),
        code=2,
    )
    assert "simulated" in line


@pytest.mark.parametrize("command", ["inspect", "analyze", "report"])
@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n cut short", b"something else", b""])
def test_a_truncated_or_foreign_session_file(tmp_path: Path, command: str, content: bytes) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    assert "x.h5" in refused(command, path)
    assert path.read_bytes() == content


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refused("inspect", tmp_path / "no.h5")
    assert "does not exist" in refused("recover", tmp_path / "no.journal")


def test_a_video_that_is_none(tmp_path: Path) -> None:
    video = tmp_path / "film.mp4"
    video.write_bytes(b"not a film")
    assert "film.mp4" in refused("au", video, "--out", tmp_path / "au.csv")


@needs_display
def test_a_camera_film_that_cannot_be_read(tmp_path: Path, protocol: Path) -> None:
    film = tmp_path / "camera.mp4"
    film.write_bytes(b"not a film")
    line = refused(
        *("run", protocol, "--participant", "P01", "--eyetracker", "simulated", "--headless"),
        *("--camera", film, "--study", tmp_path / "s"),
    )
    assert "camera.mp4" in line
    assert not list(tmp_path.glob("s/**/*.h5"))


def test_a_video_without_a_face(tmp_path: Path) -> None:
    import duchenne.stimuli

    film = Path(duchenne.stimuli.__file__).parent / "bundled" / "balloons.mp4"
    out = tmp_path / "au.csv"
    assert "face" in refused("au", film, "--out", out)
    assert "n/a" in out.read_text(encoding="utf-8")
