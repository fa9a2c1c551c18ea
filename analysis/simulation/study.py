"""A whole simulated study: sealed sessions, the declared contrasts, and the truth beside them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from duchenne.analysis.simulation.answers import draw_answers
from duchenne.analysis.simulation.design import check_trials, write_design
from duchenne.analysis.simulation.effects import spread_of
from duchenne.analysis.simulation.plan_file import known_contrasts, study_file
from duchenne.analysis.simulation.session import SessionPlan, write_session
from duchenne.analysis.tables import Column, write_json, write_table
from duchenne.recorder.allocation import allocate
from duchenne.recorder.declarations import note_declarations
from duchenne.recorder.sources.oculomotor import generator
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from duchenne.analysis.simulation.answers import Answers
    from duchenne.analysis.simulation.effects import Effect
    from duchenne.analysis.simulation.plan_file import KnownContrast

MIN_PARTICIPANTS, MAX_PARTICIPANTS = 2, 500
TRUTH = "truth.json"
TRUE_ANSWERS = "true_answers.tsv"


@dataclass(frozen=True)
class Wish:
    """What is to be simulated.

    Attributes
    ----------
    out : Path
        Folder of the study; new or empty.
    effects : tuple of Effect
        What is planted, nulls included.
    participants, n_trials : int
    stimulus_s : float
        How long each stimulus is shown.
    gaze_rate_hz : float
    seed : int
        Same seed, same study.
    """

    out: Path
    effects: tuple[Effect, ...]
    participants: int = 12
    n_trials: int = 24
    stimulus_s: float = 4.0
    gaze_rate_hz: float = 120.0
    seed: int = 0


def simulate_study(wish: Wish, progress: Callable[[int, int], object] | None = None) -> Path:
    """Write a study; return its folder.

    The contrasts are declared before the first session is recorded, as in a study that was planned.

    Parameters
    ----------
    wish : Wish
    progress : callable, optional
        Told the number of sessions written, and how many there will be.

    Raises
    ------
    UsageError
        A number is out of range.
    DuchenneError
        The folder is not empty, or cannot be written.
    """
    study = wish.out
    if not MIN_PARTICIPANTS <= wish.participants <= MAX_PARTICIPANTS:
        raise UsageError(
            f"--participants {wish.participants}: give {MIN_PARTICIPANTS} to {MAX_PARTICIPANTS}"
        )
    check_trials(wish.n_trials)
    if wish.seed < 0:
        raise UsageError(f"--seed {wish.seed}: a seed is not negative")
    if study.exists() and (not study.is_dir() or any(study.iterdir())):
        raise DuchenneError(f"{study} exists and is not empty: name a new folder with --out.")
    try:
        return _write(wish, progress)
    except OSError as error:
        raise DuchenneError(f"cannot write {study}: {error.strerror or error}") from error


def _write(wish: Wish, progress: Callable[[int, int], object] | None) -> Path:
    study = wish.out
    study.mkdir(parents=True, exist_ok=True)
    protocol = write_design(
        study, n_trials=wish.n_trials, stimulus_s=wish.stimulus_s, seed=wish.seed
    )
    stimuli = protocol.stimulus_set()
    digits = max(2, len(str(wish.participants)))
    labels = [f"P{number:0{digits}d}" for number in range(1, wish.participants + 1)]
    answers = draw_answers(wish.effects, labels, stimuli, wish.seed)
    known = known_contrasts(wish.effects, wish.stimulus_s)
    content = study_file(study.resolve().name, known, stimulus_s=wish.stimulus_s)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
    (study / "study.yaml").write_text(text, encoding="utf-8")
    note_declarations(study)
    _write_people(study, labels, wish.seed)
    _write_truth(wish, answers, known)
    for done, label in enumerate(labels, 1):
        number = allocate(study, label).number
        seed = int(generator(wish.seed, "person", label).integers(2**31))
        plan = SessionPlan(
            study, protocol, stimuli, answers, label, number, seed, wish.gaze_rate_hz
        )
        write_session(plan)
        if progress is not None:
            progress(done, len(labels))
    return study


def _write_people(study: Path, labels: Sequence[str], seed: int) -> None:
    random = generator(seed, "people")
    people = pd.DataFrame(
        {
            "participant_id": [f"sub-{label}" for label in labels],
            "age": random.integers(19, 45, len(labels)),
            "sex": random.choice(["F", "M"], len(labels)),
        }
    )
    book = {
        "participant_id": Column("Participant; all of them are simulated.", kind="string"),
        "age": Column("Age, drawn at random.", "year", kind="integer"),
        "sex": Column("Sex, drawn at random.", levels={"F": "female", "M": "male"}, kind="string"),
    }
    write_table(people, study / "participants.tsv", book)


def _write_truth(wish: Wish, answers: Answers, known: Sequence[KnownContrast]) -> None:
    study = wish.out
    truth = {
        "about": "What was planted into this simulated study. No analysis reads this file.",
        "seed": wish.seed,
        "participants": wish.participants,
        "trials": wish.n_trials,
        "stimulus_s": wish.stimulus_s,
        "effects": [
            asdict(one) | {"column": one.column, "spread": asdict(spread_of(one.measure))}
            for one in wish.effects
        ],
        "contrasts": [one.to_json() for one in known],
        "slopes_of_participants": [
            {"measure": measure, "factor": factor, "participant": label, "slope": round(slope, 6)}
            for (measure, factor), slopes in answers.slopes.items()
            for label, slope in zip(answers.participants, slopes.tolist(), strict=True)
        ],
    }
    write_json(truth, study / TRUTH)
    n, m = len(answers.participants), len(answers.stimuli)
    table = pd.DataFrame(
        {
            "participant": np.repeat(answers.participants, m),
            "stimulus_id": np.tile(answers.stimuli, n),
            **{name: values.ravel() for name, values in answers.values.items()},
        }
    )
    book = {
        "participant": Column("Label of the participant.", kind="string"),
        "stimulus_id": Column("Stimulus.", kind="string"),
    } | {
        name: Column(
            "True answer: mean intensity above rest or mean dilation while the stimulus is shown, or the "
            "rating before it is rounded to the scale.",
            spread_of(name).unit,
            kind="number",
        )
        for name in answers.values
    }
    write_table(table, study / TRUE_ANSWERS, book)
