"""Methods paragraph and reporting checklist of a study, as text and for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.reports.checklist import SOURCES, Groups, Item, checklist
from duchenne.analysis.reports.methods_facts import facts_of
from duchenne.analysis.reports.methods_text import paragraphs
from duchenne.analysis.tables import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.reports.study_data import StudyData
    from duchenne.analysis.statistics.results import StudyStatistics

METHODS = "methods.md"


@dataclass(frozen=True)
class Methods:
    """What a paper says about how the study was done.

    Parameters
    ----------
    paragraphs : tuple of str
    groups : tuple of (str, tuple of Item)
        The checklist.
    """

    paragraphs: tuple[str, ...]
    groups: Groups

    @property
    def items(self) -> tuple[Item, ...]:
        """All items of the checklist."""
        return tuple(item for _, items in self.groups for item in items)

    @property
    def n_filled(self) -> int:
        """How many items the records of the study fill."""
        return sum(item.filled for item in self.items)

    def markdown(self) -> str:
        """Return both as Markdown."""
        lines = ["# Methods", ""]
        for paragraph in self.paragraphs:
            lines += [paragraph, ""]
        lines += [
            "# Reporting checklist",
            "",
            f"{self.n_filled} of {len(self.items)} items are recorded. Fill the others yourself.",
            "",
        ]
        for group, items in self.groups:
            lines += [f"## {group}", ""]
            lines += [
                f"- [{'x' if item.filled else ' '}] **{item.name}**: {item.told}" for item in items
            ]
            lines.append("")
        lines += ["Items follow, in our words:", "", *(f"- {source}" for source in SOURCES), ""]
        return "\n".join(lines)


def methods_of(data: StudyData, study: Path, statistics: StudyStatistics | None = None) -> Methods:
    """Return the Methods of a study from its tables, provenance and session files.

    Parameters
    ----------
    data : StudyData
    study : Path
        Its folder.
    statistics : StudyStatistics, optional
        Contrasts, where they were computed.
    """
    facts = facts_of(data, study)
    return Methods(paragraphs(data, facts, statistics), checklist(data, facts, statistics))


def write_methods(methods: Methods, path: Path) -> Path:
    """Write them as Markdown and return the path."""
    with replacing(path) as aside:
        aside.write_text(methods.markdown(), encoding="utf-8", errors="replace")
    return path
