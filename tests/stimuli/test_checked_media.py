"""What was found good once is not decoded again; what was not, is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from duchenne.stimuli.checked_media import CheckedMedia, cache_folder
from duchenne.stimuli.checks import media_problems
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUCHENNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checked-media.txt"


def test_a_good_film_is_remembered_by_content_and_declaration(memory: Path) -> None:
    film = next(s for s in StimulusSet.bundled() if s.kind == "video")
    assert film not in CheckedMedia()
    assert media_problems([film]) == []
    assert film in CheckedMedia()
    assert film.path.name not in memory.read_text("ascii")
    assert film.duration_s is not None
    longer = replace(film, duration_s=film.duration_s + 5)
    assert longer not in CheckedMedia()
    assert len(media_problems([longer])) == 1
    assert longer not in CheckedMedia()


def test_a_changed_file_is_found_although_its_row_is_remembered(
    memory: Path, tmp_path: Path
) -> None:
    film = next(s for s in StimulusSet.bundled() if s.kind == "video")
    CheckedMedia().add(film)
    assert memory.exists()
    other = tmp_path / "other.mp4"
    other.write_bytes(film.path.read_bytes()[:-1])
    [problem] = media_problems([replace(film, path=other)])
    assert "SHA-256 differs" in problem.what


def test_a_memory_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"\xff not a folder")
    monkeypatch.setenv("DUCHENNE_CACHE", str(blocked))
    assert cache_folder() == blocked
    film = next(s for s in StimulusSet.bundled() if s.kind == "video")
    assert media_problems([film]) == []
