"""The command ``duchenne contrasts``: what a study declares, and what its contrasts say."""

from __future__ import annotations

import math
from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from rich.table import Table

    from duchenne.analysis.statistics.declared import Declarations
    from duchenne.analysis.statistics.results import StudyStatistics

EPILOG = "Example: duchenne contrasts study"
WIDTH_WITHOUT_TERMINAL = 120
NOTHING = "n/a"


def contrasts(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY", help="The folder of a study with its study.yaml.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where `analyze --out` put the results; by default in the study."
        ),
    ] = None,
) -> None:
    """Note what a study declares; once it is analyzed, work out its contrasts, curves and multiverse.

    Run it before the first session: what is noted then counts as declared
    before the data. `analyze` runs it by itself.
    """
    from rich.console import Console  # noqa: PLC0415

    from duchenne.analysis.paths import derivatives_of  # noqa: PLC0415
    from duchenne.analysis.statistics.declared import Declarations  # noqa: PLC0415
    from duchenne.analysis.study_plan import FILE_NAME, read_plan  # noqa: PLC0415

    if not (study / FILE_NAME).is_file():
        raise DuchenneError(f"there is no {FILE_NAME} in {study}: name the folder of a study")
    read_plan(study)
    declarations = Declarations.of_study(study)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    root = out or derivatives_of(study)
    if not (root / "summary.parquet").is_file():
        console.print(_declared_table(declarations))
        typer.echo(
            f"Nothing is analyzed yet; {declarations.together().status}: {study / FILE_NAME}"
        )
        return
    from duchenne.analysis.statistics.study import in_words, write_statistics  # noqa: PLC0415

    found = write_statistics(study, root)
    if found is None:
        typer.echo(f"Nothing is declared and nothing was rated: {study / FILE_NAME}")
        return
    console.print(contrast_table(found))
    for sentence in in_words(found):
        typer.echo(sentence, err=True)
    typer.echo(f"Contrasts: {root / 'contrasts.tsv'}")


def contrast_table(found: StudyStatistics) -> Table:
    """Return the contrasts of a study as a table for the terminal."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("contrast", overflow="fold")
    for name in ("estimate", "95 % CI", "df", "p", "p corr.", "smallest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("declared", no_wrap=True)
    for one in found.contrasts:
        unit = f" ({one.unit})" if one.unit else ""
        interval = NOTHING
        if math.isfinite(one.ci_low):
            interval = f"{one.ci_low:.3g} to {one.ci_high:.3g}"
        table.add_row(
            f"{one.name}{unit}{' *' if one.significant else ''}",
            _short(one.estimate),
            interval,
            _short(one.df),
            _p(one.p_tested),
            _p(one.p_corrected),
            _short(one.smallest_detectable_effect),
            one.family,
            one.declared,
        )
    return table


def _declared_table(declarations: Declarations) -> Table:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("section", "name", "first seen (UTC)", "sessions then"):
        table.add_column(name)
    for one in declarations.entries:
        table.add_row(one.kind, one.name or NOTHING, one.declared_utc, str(one.n_sessions))
    return table


def _short(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else NOTHING


def _p(value: float) -> str:
    if not math.isfinite(value):
        return NOTHING
    return "< .001" if value < 0.001 else f"{value:.3f}"
