"""What a backend measures with is known by its content: another model, another measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duchenne.analysis.exclusions import Exclusions
from duchenne.analysis.face.backends.files import backend_hash, with_whole_path, without_folder
from duchenne.analysis.inputs import inputs_of
from duchenne.analysis.reproduce import _settings
from duchenne.analysis.settings import AnalysisSettings
from duchenne.analysis.window_plan import DEFAULT_PLAN
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def key_of(tmp_path: Path, backend: str) -> str:
    settings = AnalysisSettings(backend)
    h5 = tmp_path / "none.h5"
    return inputs_of(h5, settings, Exclusions(), DEFAULT_PLAN, session_sha256="0").measurement_key


def test_a_student_that_was_exported_again_is_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "my student"
    folder.mkdir()
    (folder / "student.json").write_text("{}", "utf-8")
    (folder / "student.int8.onnx").write_bytes(b"first")
    backend = f"student:{folder}"
    before, key = backend_hash(backend), key_of(tmp_path, backend)
    assert before
    assert before == backend_hash(backend)
    (folder / "student.int8.onnx").write_bytes(b"other")
    assert backend_hash(backend) != before
    assert key_of(tmp_path, backend) != key
    (folder / "student.int8.onnx").write_bytes(b"first")
    moved = folder.rename(tmp_path / "moved")
    assert backend_hash(f"student:{moved}") == before


def test_a_folder_that_is_not_there_has_no_hash(tmp_path: Path) -> None:
    assert backend_hash(f"student:{tmp_path / 'none'}") == ""
    assert backend_hash("geometry") != backend_hash("student")


def test_a_check_asks_for_the_folder_of_the_model(tmp_path: Path) -> None:
    about = {"settings": AnalysisSettings("student:mine").to_dict()}
    with pytest.raises(UsageError, match="student:mine: give the command in the folder of mine"):
        _settings(about, None)


def test_nobody_is_told_the_folder(tmp_path: Path) -> None:
    asked = f"student:{tmp_path / 'a' / 'mine'}"
    assert without_folder(asked) == "student:mine"
    assert without_folder("geometry") == with_whole_path("geometry") == "geometry"
    assert with_whole_path(asked) == asked
