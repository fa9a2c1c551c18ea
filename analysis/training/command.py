"""The commands ``duchenne train`` and ``duchenne evaluate``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from duchenne.analysis.training.loop import Told
    from duchenne.analysis.training.metrics import Score
    from duchenne.analysis.training.prepared import Faces, Split
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.tasks import Task

TRAIN_EXAMPLE = "Example: duchenne train student.yaml --data faces --out runs/student --resume"
EVALUATE_EXAMPLE = "Example: duchenne evaluate runs/student/best.safetensors --data faces"


def train(
    settings_file: Annotated[Path, typer.Argument(metavar="SETTINGS.yaml", help="What to train.")],
    data: Annotated[Path, typer.Option(help="Folder of prepared faces.")],
    out: Annotated[Path, typer.Option(help="Folder for weights and log.")],
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")
    ] = False,
) -> None:
    """Train a system on prepared faces; with torchrun, in several processes."""
    import torch

    from duchenne.analysis.training.loop import BEST, LAST, Processes
    from duchenne.analysis.training.loop import train as run
    from duchenne.analysis.training.prepared import read_faces
    from duchenne.analysis.training.settings import read_settings

    how = read_settings(settings_file)
    if (out / LAST).exists() and not resume:
        raise UsageError(f"{out} holds a training already: add --resume, or name another folder.")
    faces = read_faces(data).with_labels(how.labels)
    split = split_of(how, faces)
    torch.manual_seed(how.seed)
    task = new_task(how, faces)
    is_first = Processes.here().rank == 0
    with _progress(shown=is_first) as tell:
        place = run(how, task, faces, split, out, resume=resume, tell=tell)
    if is_first:
        best = f"{task.judgement.best} {place.best:.3f} in epoch {place.best_epoch + 1}"
        none = f"no {task.judgement.best} exists on the validation part; these are the last weights"
        typer.echo(f"Best validation: {best if place.best_epoch >= 0 else none}")
        typer.echo(f"Weights: {out / BEST}")


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Weights of `duchenne train`.")],
    data: Annotated[Path, typer.Option(help="Folder of prepared faces.")],
    out: Annotated[Path | None, typer.Option(help="Write the figures here too (.json).")] = None,
    part: Annotated[
        str, typer.Option(help="Whom to score: test (of the training's split), or all.")
    ] = "test",
    draws: Annotated[int, typer.Option(help="Draws of subjects for the intervals.")] = 500,
) -> None:
    """Score weights on faces they have not seen: every figure with its 95 % interval."""
    import numpy as np
    import torch

    from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
    from duchenne.analysis.training.loop import predictions
    from duchenne.analysis.training.metrics import evaluate as scored
    from duchenne.analysis.training.prepared import Split, read_faces
    from duchenne.analysis.training.settings import TrainSettings

    if part not in ("test", "all"):
        raise UsageError(f"--part is test or all, not {part}.")
    tensors, about = read_checkpoint(checkpoint)
    how = TrainSettings.model_validate(about["settings"])
    faces = read_faces(data).with_labels(how.labels)
    split = Split(*(tuple(about["split"][name]) for name in ("train", "validation", "test")))
    rows = rows_of(part, faces, split, data)
    task = new_task(how, faces, student_only=True, n_outputs=about["n_outputs"])
    problems = load_fitting(task.net, tensors)
    if problems:
        raise DuchenneError(f"{checkpoint} does not fit {how.model}: {problems[0]}")
    found = predictions(task, faces, rows, torch.device("cpu"))
    truth, found, names = task.scored(found, faces.truth[rows].astype(np.float64))
    scores = scored(
        truth, found, names, task.judgement.metrics, subjects=faces.subject[rows], n_draws=draws
    )
    n_subjects = len(np.unique(faces.subject[rows]))
    typer.echo(f"{how.model}: {len(rows)} pictures of {n_subjects} subjects, part: {part}")
    _print_scores(scores)
    if out is not None:
        figures = {
            name: {m: [s.value, s.low, s.high] for m, s in row.items()}
            for name, row in scores.items()
        }
        out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        typer.echo(f"Figures: {out}")


def split_of(how: TrainSettings, faces: Faces) -> Split:
    """Return who is for training, validation and test.

    Raises
    ------
    DuchenneError
        When there are too few subjects, or none of a published part.
    """
    from duchenne.analysis.training.prepared import FOLDS, Split, fold_split, split_subjects

    if how.folds is None:
        return split_subjects(
            faces.subjects, validation=how.validation, test=how.test, seed=how.seed
        )
    whole = fold_split(FOLDS[how.folds], how.fold, paper_protocol=how.paper_protocol, seed=how.seed)
    here = set(faces.subjects)
    parts = [
        tuple(name for name in part if name in here)
        for part in (whole.train, whole.validation, whole.test)
    ]
    if not parts[0] or not parts[2]:
        raise DuchenneError(
            f"the prepared faces hold nobody of the published parts of {how.folds}: their subjects are "
            f"{', '.join(faces.subjects[:5])} …"
        )
    return Split(*parts)


def rows_of(part: str, faces: Faces, split: Split, data: Path) -> Any:
    """Return the rows to score.

    Raises
    ------
    DuchenneError
        When nobody of the part is there, or somebody who was learnt from would be scored.
    """
    import numpy as np

    learnt = set(split.train) | set(split.validation)
    if part == "all":
        known = learnt & set(faces.subjects)
        if known:
            raise DuchenneError(
                f"{len(known)} subjects of {data} were learnt from ({', '.join(sorted(known)[:5])} …): "
                "score the test part, or other data."
            )
        return np.arange(len(faces))
    rows = np.flatnonzero(np.isin(faces.subject, list(split.test)))
    if not len(rows):
        raise DuchenneError(
            f"nobody of the test part is in {data}: score other data with --part all."
        )
    return rows


def new_task(
    how: TrainSettings, faces: Faces, *, student_only: bool = False, n_outputs: int | None = None
) -> Task:
    """Return the system of the settings with its losses, initial weights and teacher.

    Parameters
    ----------
    how : TrainSettings
    faces : Faces
        With the labels of the settings.
    student_only : bool
        Leave the teacher and the initial weights out (to evaluate).
    n_outputs : int, optional
        Outputs of the weights that will be loaded, where the faces do not say.
    """
    from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
    from duchenne.analysis.training.tasks import Task

    distillation = None if student_only or how.teacher is None else _distillation(how, faces)
    task = Task(how, faces, distillation, n_outputs=n_outputs)
    if how.initial is not None and not student_only:
        tensors, _ = read_checkpoint(how.initial)
        for line in load_fitting(task.net, tensors):
            typer.echo(f"{how.initial}: {line}", err=True)
    return task


def _distillation(how: TrainSettings, faces: Faces) -> Any:
    from duchenne.analysis.models.mae_teacher import MaeTeacher
    from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
    from duchenne.analysis.training.distill import Distillation
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.tasks import Task

    assert how.teacher is not None
    if how.model != "resnet18_student":
        raise DuchenneError(f"a teacher is for resnet18_student, not for {how.model}.")
    tensors, about = read_checkpoint(how.teacher)
    theirs = TrainSettings.model_validate(about["settings"])
    if theirs.labels != how.labels:
        raise DuchenneError(
            f"{how.teacher} knows {', '.join(theirs.labels)}, the student learns "
            f"{', '.join(how.labels)}."
        )
    teacher = Task(theirs, faces).net
    problems = load_fitting(teacher, tensors)
    if problems or not isinstance(teacher, MaeTeacher):
        raise DuchenneError(f"{how.teacher} is no teacher: {(problems or [theirs.model])[0]}")
    return Distillation(teacher)


def _print_scores(scores: dict[str, dict[str, Score]]) -> None:
    from rich.console import Console
    from rich.table import Table

    metrics = list(scores["mean"])
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for heading in ("", *metrics):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, row in scores.items():
        table.add_row(name, *(_cell(row[metric]) for metric in metrics))
    Console(width=120).print(table)
    missing = {m: s.n_missing for m, s in scores["mean"].items() if s.n_missing}
    for metric, n in missing.items():
        typer.echo(f"{metric} does not exist for {n} outputs (constant); the mean leaves them out.")


def _cell(score: Score) -> str:
    if score.value != score.value:
        return "n/a"
    if score.low != score.low:
        return f"{score.value:.3f}"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Told], None]]:
    """Show a bar with the time that remains; one line per epoch where there is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    plain = shown and not console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = not shown or plain
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("training", total=None)

        def tell(at: Told) -> None:
            total, done = at.epochs * at.steps, at.epoch * at.steps + at.step
            text = f"epoch {at.epoch + 1} of {at.epochs}, loss {at.losses['total']:.4f}"
            bar.update(task, description=text, completed=done, total=total)
            if plain and at.step == at.steps:
                typer.echo(text, err=True)

        yield tell
