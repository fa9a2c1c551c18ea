"""The documentation holds together: every page is listed, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def targets(page: Path) -> list[Path]:
    """Return the files that a page links to."""
    found = LINK.findall(page.read_text(encoding="utf-8"))
    return [(page.parent / link).resolve() for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = [str(target) for target in targets(page) if not target.exists()]
    assert not missing


def test_every_page_is_listed() -> None:
    listed = {ROOT / "docs" / "README.md", *targets(ROOT / "docs" / "README.md")}
    unlisted = [
        str(page.relative_to(ROOT))
        for page in PAGES
        if page.is_relative_to(ROOT / "docs")
        and page not in listed
        and (ROOT / "docs" / "decisions") not in page.parents
    ]
    assert not unlisted
