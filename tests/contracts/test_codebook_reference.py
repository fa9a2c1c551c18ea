"""The codebook page says what the code says, and knows every column that an analysis writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from duchenne.analysis.codebook_reference import COMMAND, main, reference, tables
from duchenne.analysis.codebooks import EVENTS, PLACE
from duchenne.protocols import parts, parts_forms, parts_gaze

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "codebook.md"


def columns_of(page: str, heading: str) -> set[str]:
    """Return the columns that a section lists."""
    section = page.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_the_page_is_up_to_date() -> None:
    same = PAGE.read_text(encoding="utf-8") == reference()
    assert same, f"{PAGE.name} is not what the code says: run `{COMMAND}`"


def test_every_column_of_every_table_is_there() -> None:
    page = reference()
    for _, entries in tables():
        for entry in entries:
            listed = columns_of(page, f"### {entry.file}")
            if entry.has_place:
                listed |= set(PLACE)
            own = {re.sub(r"^AU\d\d_", "AUxx_", name) for name in entry.book}
            assert own == listed, entry.file


def test_every_step_of_a_protocol_is_a_phase_that_has_a_meaning() -> None:
    steps = set()
    for module in (parts, parts_forms, parts_gaze):
        for kind in vars(module).values():
            field = getattr(kind, "model_fields", {}).get("type")
            steps |= set(get_args(field.annotation)) if field is not None else set()
    assert {"consent", "drift_check", "light_reflex"} <= steps
    known = EVENTS["phase"].levels or {}
    assert steps - {"trials"} <= set(known)


def test_headings_are_unique_and_rows_whole() -> None:
    page = reference()
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    assert len(headings) == len(set(headings))
    cells = [line.replace("\\|", "") for line in page.splitlines() if line.startswith("| `")]
    assert len(cells) > 400
    assert {line.count("|") for line in cells} == {6}


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "codebook.md")]) == 0
    assert (tmp_path / "codebook.md").read_text(encoding="utf-8") == reference()
    assert main([]) == 2
    assert "Usage" in capsys.readouterr().err
