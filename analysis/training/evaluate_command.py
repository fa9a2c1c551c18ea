"""The command ``duchenne evaluate``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.training.evaluation_tables import Table
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import Answered, Figures, System

EVALUATE_EXAMPLE = (
    "Example: duchenne evaluate runs/student/best.safetensors runs/cnn/best.safetensors --data faces "
    "--out comparison"
)
WIDTH_WITHOUT_TERMINAL = 200
_SUFFIXES = {".json", ".md", ".tsv"}


def evaluate(
    checkpoints: Annotated[
        list[Path], typer.Argument(metavar="WEIGHTS ...", help="Weights of `duchenne train`.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of prepared faces.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="NAME", help="Write NAME.json, NAME.md and NAME.tsv too."),
    ] = None,
    part: Annotated[
        str, typer.Option(help="Whom to score: test (of the training's split), or all.")
    ] = "test",
    draws: Annotated[
        int, typer.Option(help="Draws of subjects for the intervals; 0 for none.", min=0)
    ] = 500,
    folds: Annotated[
        bool,
        typer.Option("--folds", help="The weights are the parts of one cross-validation."),
    ] = False,
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Score the mean answer of all weights besides."),
    ] = False,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Measure faces per second on one thread.")
    ] = True,
    curves: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw calibration and robustness into this folder."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Condition for --curves; may be repeated."),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw where each system looks into this folder."),
    ] = None,
) -> None:
    """Score systems on faces they have not seen; several weights become one table of systems."""
    from duchenne.analysis.training.evaluation import document, notes
    from duchenne.analysis.training.prepared import read_faces
    from duchenne.analysis.training.scoring import names_of, read_system

    if part not in ("test", "all"):
        raise UsageError(f"--part is test or all, not {part}.")
    if folds and part == "all":
        raise UsageError("--folds scores each part on its own test people: leave --part out.")
    if folds and ensemble:
        raise UsageError("--folds has one answer to each face: leave --ensemble out.")
    faces = read_faces(data)
    conditions = _conditions(data, by or []) if curves is not None else {}
    names = names_of(checkpoints)
    systems = [read_system(p, faces, n) for p, n in zip(checkpoints, names, strict=True)]
    with _progress(systems) as tell:
        if folds:
            scored = _as_folds(systems, faces, data, draws, tell)
        else:
            scored = _beside(systems, faces, (data, part), draws, tell, together=ensemble)
    systems = scored.systems
    found = document(
        systems[:1] if folds else systems, scored.figures, faces, scored.rows,
        data=data, part=part, n_draws=draws, told=[*scored.told, *notes(systems, faces)],
        with_speed=speed, folds=scored.folds,
    )  # fmt: skip
    _show(found)
    written = [] if out is None else _write(found, out)
    if curves is not None:
        written.append(_curves(curves, systems, scored, faces, conditions))
    if attention is not None:
        alone = [system for system in systems if not system.members]
        written.append(_attention(attention, alone, faces, scored.rows))
    for line in written:
        typer.echo(line)


class _Scored:
    """What was answered and how well: rows, answers and figures of every system, and notes."""

    def __init__(
        self,
        systems: Sequence[System],
        rows: NDArray[Any],
        answers: Sequence[Answered],
        figures: Sequence[Figures],
        *,
        told: Sequence[str] = (),
        folds: Sequence[Figures] = (),
    ) -> None:
        self.systems = list(systems)
        self.rows, self.answers, self.figures = rows, answers, figures
        self.told, self.folds = told, folds


def _beside(
    systems: Sequence[System],
    faces: Faces,
    where: tuple[Path, str],
    n_draws: int,
    tell: Callable[[str, int, int], object],
    *,
    together: bool = False,
) -> _Scored:
    from duchenne.analysis.training.evaluation import common_labels, scored_rows, split_of
    from duchenne.analysis.training.heads import all_figures, ensemble, mean_answer
    from duchenne.analysis.training.scoring import answered

    data, part = where
    rows, told = scored_rows(part, faces, [split_of(system) for system in systems], data)
    over = common_labels(systems, faces)
    whole = ensemble(systems) if together else None
    answers = [
        answered(system, faces, rows, partial(tell, system.name, len(rows))) for system in systems
    ]
    if whole is not None:
        systems = [*systems, whole]
        answers.append(mean_answer(answers, whole.entry.task))
    found = [
        all_figures(system, answer, faces, rows, mean_of=over, n_draws=n_draws)
        for system, answer in zip(systems, answers, strict=True)
    ]
    return _Scored(systems, rows, answers, found, told=told)


def _as_folds(
    systems: Sequence[System],
    faces: Faces,
    data: Path,
    n_draws: int,
    tell: Callable[[str, int, int], object],
) -> _Scored:
    import numpy as np

    from duchenne.analysis.training.evaluation import common_labels, split_of
    from duchenne.analysis.training.evaluation import scored_rows as rows_for
    from duchenne.analysis.training.heads import all_figures
    from duchenne.analysis.training.scoring import answered, figures, pooled

    if len({(system.entry.name, system.labels) for system in systems}) > 1:
        raise UsageError("--folds takes weights of one system with the same labels.")
    over = common_labels(systems, faces)
    every, answers, each = [], [], []
    for system in systems:
        rows, _ = rows_for("test", faces, [split_of(system)], data)
        answer = answered(system, faces, rows, partial(tell, system.name, len(rows)))
        every.append(rows)
        answers.append(answer)
        each.append(figures(system, answer, faces, rows, mean_of=over, n_draws=0))
    rows = np.concatenate(every)
    if len(np.unique(rows)) < len(rows):
        raise UsageError(
            "the test people of these weights overlap: they are not parts of one split."
        )
    whole = pooled(answers)
    found = all_figures(systems[0], whole, faces, rows, mean_of=over, n_draws=n_draws)
    return _Scored(systems, rows, [whole], [found], folds=each)


def _show(document: dict[str, Any]) -> None:
    from duchenne.analysis.training import evaluation_tables as tables

    if len(document["systems"]) == 1:
        typer.echo(f"{document['systems'][0]['model']}: {tables.headline(document)}")
        _print_fitting(partial(tables.own_table, document["systems"][0]))
        _print(tables.systems_table(document, interval=False))
    else:
        typer.echo(tables.headline(document))
        _print(tables.systems_table(document, interval=False))
        _print(tables.differences_table(document), titled=True)
        first = tables.metrics_of(document["systems"])[0]
        _print_fitting(partial(tables.units_table, document, first), titled=True)
    heads = tables.heads_table(document)
    if heads.rows:
        _print_fitting(partial(tables.heads_table, document), titled=True)
    if document["folds"]:
        _print(tables.folds_table(document))
        first = tables.metrics_of(document["systems"])[0]
        _print(tables.folds_by_output_table(document, first), titled=True)
    typer.echo(tables.mean_line(document))
    for note in document["notes"]:
        typer.echo(note)
    if document["published"]:
        _print(tables.published_table(document), titled=True)
        typer.echo(tables.sources_line(document))


def _print_fitting(table: Callable[..., Table], *, titled: bool = False) -> None:
    """Print a table with intervals where they fit into the width, without them elsewhere."""
    whole = table()
    _print(whole if whole.width <= _width() else table(interval=False), titled=titled)


def _width() -> int:
    from rich.console import Console

    console = Console()
    return console.width if console.is_terminal else WIDTH_WITHOUT_TERMINAL


def _print(table: Table, *, titled: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table as Shown

    shown = Shown(
        box=None, header_style="bold", padding=(0, 1), title=table.title if titled else None
    )
    shown.title_justify = "left"
    for i, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if i else "left", no_wrap=i == 0)
    for row in table.rows:
        shown.add_row(*row)
    Console(width=_width()).print(shown)


def _write(document: dict[str, Any], out: Path) -> list[str]:
    from duchenne.analysis.training import evaluation_tables as tables

    stem = out.with_suffix("") if out.suffix in _SUFFIXES else out
    contents = {
        "json": json.dumps(document, indent=1, allow_nan=False) + "\n",
        "md": tables.markdown(document),
        "tsv": tables.tsv(document),
    }
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for suffix, text in contents.items():
            stem.with_name(f"{stem.name}.{suffix}").write_text(text, "utf-8")
    except OSError as error:
        raise DuchenneError(f"{stem} cannot be written ({error.strerror or error}).") from error
    return [f"Figures: {stem}.json, .md, .tsv"]


def _conditions(data: Path, by: Sequence[str]) -> dict[str, NDArray[Any]]:
    from duchenne.analysis.training.curves import read_conditions

    return read_conditions(data, by)


def _curves(
    folder: Path,
    systems: Sequence[System],
    scored: _Scored,
    faces: Faces,
    conditions: dict[str, NDArray[Any]],
) -> str:
    from duchenne.analysis.training.curves import write_curves

    for system, answer in zip(systems, scored.answers, strict=False):
        write_curves(folder, system, answer, faces, scored.rows, conditions=conditions)
    return f"Curves: {folder}"


def _attention(folder: Path, systems: Sequence[System], faces: Faces, rows: NDArray[Any]) -> str:
    from duchenne.analysis.training.attention import write_attention

    for system in systems:
        for note in write_attention(folder, system, faces, rows):
            typer.echo(note)
    return f"Attention: {folder}"


@contextmanager
def _progress(systems: Sequence[System]) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar over the faces of all systems; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    hidden = not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("evaluating", total=None)

        def tell(name: str, each: int, n: int) -> None:
            bar.update(task, description=name, advance=n, total=each * len(systems))

        yield tell
