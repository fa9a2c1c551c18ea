"""The command ``duchenne train``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from duchenne.analysis.training.loop import Told
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.splits import Split
    from duchenne.analysis.training.tasks import Task

TRAIN_EXAMPLE = "Example: duchenne train student.yaml --data faces --out runs/student --resume"


def train(
    settings_file: Annotated[Path, typer.Argument(metavar="SETTINGS.yaml", help="What to train.")],
    data: Annotated[
        list[Path], typer.Option(help="Folder of prepared faces; may be repeated for several.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for weights and log.")],
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")
    ] = False,
) -> None:
    """Train a system on prepared faces; with torchrun, in several processes."""
    import numpy as np
    import torch

    from duchenne.analysis.training.loop import BEST, LAST
    from duchenne.analysis.training.loop import train as run
    from duchenne.analysis.training.processes import Processes
    from duchenne.analysis.training.settings import read_settings
    from duchenne.analysis.training.splits import split_of
    from duchenne.analysis.training.together import read_together

    how = read_settings(settings_file)
    if (out / LAST).exists() and not resume:
        raise UsageError(f"{out} holds a training already: add --resume, or name another folder.")
    faces = read_together(data).with_labels(how.labels)
    nowhere = [name for i, name in enumerate(faces.names) if np.isnan(faces.truth[:, i]).all()]
    if nowhere:
        raise DuchenneError(
            f"no picture has a label {', '.join(nowhere)}: leave that out of `labels`, or prepare faces "
            "that have one."
        )
    split = split_of(how, faces.subjects)
    before = learnt_before(how, split)
    torch.manual_seed(how.seed)
    trained = np.flatnonzero(np.isin(faces.subject, list(split.train)))
    task = new_task(how, faces, rows=trained)
    is_first = Processes.here().rank == 0
    with _progress(shown=is_first) as tell:
        place = run(how, task, faces, split, out, resume=resume, tell=tell, before=before)
    if is_first:
        best = f"{task.judgement.best} {place.best:.3f} in epoch {place.best_epoch + 1}"
        why = (
            f"no {task.judgement.best} exists for them"
            if split.validation
            else "nobody is kept aside"
        )
        none = f"{why}; these are the last weights"
        whom = "Best on the test part (too high)" if how.paper_protocol else "Best validation"
        typer.echo(f"{whom}: {best if place.best_epoch >= 0 else none}")
        typer.echo(f"Weights: {out / BEST}")


def learnt_before(how: TrainSettings, split: Split) -> set[str]:
    """Return the subjects that the initial weights and the teacher have learnt from.

    Raises
    ------
    DuchenneError
        When one of them is in the test part: a score would be of faces that were learnt.
    """
    from duchenne.analysis.training.checkpoint import learnt_from, read_about
    from duchenne.analysis.training.splits import same_people

    seen: set[str] = set()
    for path in (how.initial, how.teacher):
        if path is None:
            continue
        theirs = learnt_from(read_about(path))
        tested = same_people(theirs, split.test)
        if tested:
            raise DuchenneError(
                f"{path} has learnt from {len(tested)} subjects of the test part "
                f"({', '.join(sorted(tested)[:5])} …): give all trainings the same `test_subjects`."
            )
        seen |= theirs
    return seen


def new_task(
    how: TrainSettings,
    faces: Faces,
    *,
    student_only: bool = False,
    n_outputs: int | None = None,
    rows: NDArray[np.intp] | None = None,
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
    rows : (n,) int, optional
        The faces that are trained on; all of them where absent.
    """
    from duchenne.analysis.training.checkpoint import load_initial, read_checkpoint
    from duchenne.analysis.training.tasks import Task

    distillation = None if student_only or how.teacher is None else _distillation(how, faces)
    task = Task(how, faces, distillation, n_outputs=n_outputs, rows=rows)
    if how.initial is not None and not student_only:
        tensors, about = read_checkpoint(how.initial)
        try:
            lines = load_initial(task.net, tensors, about.get("labels", ()))
        except DuchenneError as error:
            raise DuchenneError(f"{how.initial}: {error}") from error
        for line in lines:
            typer.echo(f"{how.initial}: {line}", err=True)
    if task.entry.task == "intensity" and not (faces.truth > 1).any():
        typer.echo(
            f"{how.model} learns intensities, and no label is above 1: if these are occurrences (0 or 1), "
            "see `learns: occurrence`, or take a system that learns occurrence.",
            err=True,
        )
    return task


def _distillation(how: TrainSettings, faces: Faces) -> Any:
    from duchenne.analysis.models.mae_teacher import MaeTeacher
    from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint
    from duchenne.analysis.training.distill import Distillation, DistillWeights, TaskDistillation
    from duchenne.analysis.training.settings import TrainSettings
    from duchenne.analysis.training.systems import entry_of
    from duchenne.analysis.training.tasks import Task

    assert how.teacher is not None
    of_tasks = how.model in {"deng_cnn", "deng_rnn"}
    if how.model != "resnet18_student" and not of_tasks:
        raise DuchenneError(
            f"a teacher is for resnet18_student, deng_cnn and deng_rnn, not for {how.model}."
        )
    tensors, about = read_checkpoint(how.teacher)
    theirs = TrainSettings.model_validate(about["settings"])
    if theirs.labels != how.labels:
        raise DuchenneError(
            f"{how.teacher} knows {', '.join(theirs.labels)}, the student learns "
            f"{', '.join(how.labels)}."
        )
    kinds = [entry_of(settings).task for settings in (theirs, how)]
    if not of_tasks and kinds[0] != kinds[1]:
        raise DuchenneError(
            f"{how.teacher} learnt {kinds[0]}, the student learns {kinds[1]}: give both the same "
            "`model_settings: {learns: …}`."
        )
    teacher = Task(theirs, faces).net
    problems = load_fitting(teacher, tensors)
    if of_tasks:
        if problems or theirs.model != how.model:
            raise DuchenneError(
                f"{how.teacher} is no {how.model}: {(problems or [theirs.model])[0]}"
            )
        return TaskDistillation(teacher)
    if problems or not isinstance(teacher, MaeTeacher):
        raise DuchenneError(f"{how.teacher} is no teacher: {(problems or [theirs.model])[0]}")
    weights = DistillWeights(how.distill.features, how.distill.task, how.distill.divergence)
    return Distillation(teacher, resize=how.distill.resize, weights=weights)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Told], None]]:
    """Show a bar with the time that remains; one line per epoch where there is no terminal."""
    from duchenne.analysis.command_progress import bar_with_time_left

    with bar_with_time_left(shown=shown) as bar:
        task = bar.add_task("training", total=None)

        def tell(at: Told) -> None:
            total, done = at.epochs * at.steps, at.epoch * at.steps + at.step
            text = f"epoch {at.epoch + 1} of {at.epochs}, loss {at.losses['total']:.4f}"
            bar.update(task, description=text, completed=done, total=total)
            if shown and bar.disable and at.step == at.steps:
                typer.echo(text, err=True)

        yield tell
