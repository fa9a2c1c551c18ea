"""Tiny data sets in the layouts of real ones, made up here: nothing of a real data set is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duchenne.analysis.training.datasets.base import Picture, dataset_entry, pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def lay(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes text files (pictures stay empty) and gives their folder."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path / "data"

    return write


@pytest.fixture
def read() -> Callable[[str, Path], tuple[list[Picture], list[str]]]:
    """Return a function that reads a data set: its pictures, and what was left out."""

    def run(name: str, source: Path) -> tuple[list[Picture], list[str]]:
        notes: list[str] = []
        return list(pictures(dataset_entry(name), source, notes.append)), notes

    return run
