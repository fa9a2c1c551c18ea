"""Pacing by timer, and virtual screens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pylsl
import pytest

from duchenne.protocols.displays.base import fit_rect
from duchenne.protocols.displays.environment import psychopy_environment
from duchenne.protocols.displays.pacing import RefreshGrid, wait_until
from duchenne.protocols.displays.virtual import has_display, virtual_display
from duchenne.stimuli.errors import DuchenneError

needs_xvfb = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")


def test_the_grid_never_gives_a_point_twice_and_skips_what_is_past():
    grid = RefreshGrid(60.0, start_s=100.0)
    assert grid.take(100.0) == pytest.approx(100 + 1 / 60)
    assert grid.take(100.001) == pytest.approx(100 + 2 / 60)
    assert grid.take(100.0501) == pytest.approx(100 + 4 / 60)
    assert grid.take(107.0001) == pytest.approx(107 + 1 / 60)


def test_waiting_ends_in_time_and_looks_around_meanwhile():
    calls = []
    start_s = pylsl.local_clock()
    wait_until(start_s + 0.05, lambda: calls.append(pylsl.local_clock()))
    late_s = pylsl.local_clock() - start_s - 0.05
    assert 0 <= late_s < 0.02
    assert len(calls) >= 5
    wait_until(start_s, lambda: pytest.fail("the time is past"))


def test_shapes_are_fitted_without_distortion():
    assert fit_rect(400, 300, (640, 360), (800, 450)) == (160, 45, 640, 405)
    assert fit_rect(1000, 100, (640, 360), (800, 450)) == (80, 193, 720, 257)


@needs_xvfb
def test_a_virtual_screen_comes_and_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not has_display()
    with virtual_display(320, 240) as first, virtual_display(640, 480, always=True) as second:
        assert os.environ["DISPLAY"] == second
        assert first != second
        assert Path(f"/tmp/.X11-unix/X{second[1:]}").exists()
    assert not has_display()
    assert not Path(f"/tmp/.X11-unix/X{second[1:]}").exists()


def test_without_xvfb_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DuchenneError, match="apt-get install xvfb"), virtual_display():
        pass


@needs_xvfb
def test_a_screen_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("DISPLAY", raising=False)
    fake = tmp_path / "Xvfb"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DuchenneError, match="did not start"), virtual_display():
        pass


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PSYCHOPYNOPACKAGES", raising=False)
    before = dict(os.environ)
    with psychopy_environment():
        assert os.environ["PSYCHOPYNOPACKAGES"] == "1"
    assert dict(os.environ) == before


def test_the_protocol_package_does_not_import_psychopy():
    code = "import sys, duchenne.protocols.present; sys.exit('psychopy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
