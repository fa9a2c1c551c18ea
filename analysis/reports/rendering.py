"""From values to a page: the templates of the reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from duchenne import __version__
from duchenne.analysis.reports.style import FONT_STACK, GRADE_SIGNS


@dataclass(frozen=True)
class Fact:
    """A heading and what it says, in the head of a report."""

    name: str
    value: str


def render(template: str, **values: Any) -> str:
    """Return a page from its template and all values that it names."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("duchenne.analysis.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(
        font=FONT_STACK, grade_signs=GRADE_SIGNS, version=__version__, **values
    )
    return str(page)
