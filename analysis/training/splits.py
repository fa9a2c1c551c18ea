"""Who is for training, for choosing the best weights, and for the test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duchenne.analysis.training.settings import TrainSettings


@dataclass(frozen=True)
class Split:
    """Who is for training, for choosing the best weights, and for the test; nobody twice.

    Parameters
    ----------
    train, validation, test : tuple of str
        Subjects.

    Raises
    ------
    DuchenneError
        When a subject is in two parts, or the training part is empty.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        seen: dict[str, str] = {}
        for part, subjects in parts.items():
            for subject in subjects:
                if subject in seen:
                    raise DuchenneError(
                        f"subject {subject} is in {seen[subject]} and {part}: a score would be of faces "
                        "that were learnt."
                    )
                seen[subject] = part
        if not self.train:
            raise DuchenneError("the split leaves nobody for training")


def split_subjects(
    subjects: Sequence[str], *, validation: float = 0.15, test: float = 0.2, seed: int = 0
) -> Split:
    """Return a random split of subjects.

    Parameters
    ----------
    subjects : sequence of str
    validation, test : float
        Share of the subjects in each, at least one where above 0.
    seed : int

    Raises
    ------
    DuchenneError
        When there are too few subjects.
    """
    order = np.random.default_rng(seed).permutation(sorted(set(subjects))).tolist()
    n_test = max(1, round(test * len(order))) if test > 0 else 0
    n_validation = max(1, round(validation * len(order))) if validation > 0 else 0
    if n_test + n_validation >= len(order):
        raise DuchenneError(
            f"{len(order)} subjects are too few for a split with {n_validation} for validation and "
            f"{n_test} for the test."
        )
    held, rest = order[:n_test], order[n_test:]
    return Split(tuple(rest[n_validation:]), tuple(rest[:n_validation]), tuple(held))


def split_people(subjects: Sequence[str], *, validation: float, test: float, seed: int) -> Split:
    """Return a random split in which subjects of one name are in one part, whatever set they are of.

    Two sets may hold the same people (DISFA and DISFA+): ``disfa/SN001`` and ``disfa-plus/SN001`` are taken
    for one. Parameters and errors are those of :func:`split_subjects`.
    """
    people = [plain_name(name) for name in subjects]
    drawn = split_subjects(people, validation=validation, test=test, seed=seed)
    parts = (set(drawn.train), set(drawn.validation), set(drawn.test))
    return Split(*(tuple(s for s in subjects if plain_name(s) in part) for part in parts))


BP4D_FOLDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(names.split())
    for names in (
        "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014",
        "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018",
        "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015",
    )
)
"""The three published parts of BP4D (Shao et al. 2018; Luo et al. 2022)."""
DISFA_FOLDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(f"SN{number:03d}" for number in numbers)
    for numbers in (
        (1, 2, 9, 10, 16, 26, 27, 30, 32),
        (6, 11, 12, 13, 18, 21, 24, 28, 31),
        (3, 4, 5, 7, 8, 17, 23, 25, 29),
    )
)
"""The three published parts of DISFA."""


FOLDS = {"bp4d": BP4D_FOLDS, "disfa": DISFA_FOLDS}


def fold_split(
    folds: Sequence[Sequence[str]], test: int, *, paper_protocol: bool = False, seed: int = 0
) -> Split:
    """Return the split that leaves one published part for the test.

    Parameters
    ----------
    folds : sequence of sequences of str
    test : int
        Which part is left for the test, from 0.
    paper_protocol : bool
        Choose the best weights on the test part itself, as the published programs do. Figures come out
        too high; by default every sixth training subject is kept aside for it.
    seed : int

    Raises
    ------
    DuchenneError
        For a part that is not there.
    """
    if not 0 <= test < len(folds):
        raise DuchenneError(f"there are parts 0 to {len(folds) - 1}, not {test}")
    others = [name for i, fold in enumerate(folds) if i != test for name in fold]
    if paper_protocol:
        return Split(tuple(others), (), tuple(folds[test]))
    aside = split_people(others, validation=1 / 6, test=0.0, seed=seed)
    return Split(aside.train, aside.validation, tuple(folds[test]))


def split_of(how: TrainSettings, subjects: Sequence[str]) -> Split:
    """Return the split that settings ask for.

    Parameters
    ----------
    how : TrainSettings
    subjects : sequence of str
        Everybody who is there, once. Somebody of one of several sets, ``set/name``, may be named in the
        settings with or without the set.

    Raises
    ------
    DuchenneError
        When there are too few subjects, none of a published part, or somebody is named who is not there.
    """
    test = named(how.test_subjects, subjects, "test_subjects")
    validation = named(how.validation_subjects, subjects, "validation_subjects")
    if how.folds is not None:
        if test or validation:
            raise DuchenneError("`folds` and lists of subjects are two splits: leave one out.")
        return _published(how, subjects)
    if how.paper_protocol and validation:
        raise DuchenneError(
            "`paper_protocol` keeps nobody aside: leave `validation_subjects` out, or `paper_protocol`."
        )
    share = 0.0 if how.paper_protocol else how.validation
    if not test and not validation:
        return split_people(subjects, validation=share, test=how.test, seed=how.seed)
    rest = [name for name in subjects if name not in {*test, *validation}]
    if not rest:
        raise DuchenneError("the lists of subjects leave nobody for training.")
    shares = {
        "validation": 0.0 if validation else share,
        "test": 0.0 if test else how.test,
    }
    drawn = split_people(rest, **shares, seed=how.seed)
    return Split(drawn.train, validation or drawn.validation, test or drawn.test)


def named(
    wanted: Sequence[str] | Path, subjects: Sequence[str], key: str = "subjects"
) -> tuple[str, ...]:
    """Return the subjects of a list, or of a file with one name a line (``#`` begins a comment).

    Raises
    ------
    DuchenneError
        When the file cannot be read, or a name is of nobody.
    """
    if isinstance(wanted, Path):
        try:
            lines = wanted.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DuchenneError(f"{key}: {wanted} cannot be read ({error}).") from error
        wanted = [name for line in lines if (name := line.partition("#")[0].strip())]
    unknown = [n for n in wanted if not any(n in (s, plain_name(s)) for s in subjects)]
    if unknown:
        raise DuchenneError(
            f"{key}: nobody is called {', '.join(unknown[:5])}; there are {', '.join(subjects[:5])} …"
        )
    chosen = set(wanted)
    return tuple(name for name in subjects if name in chosen or plain_name(name) in chosen)


def plain_name(subject: str) -> str:
    """Return a subject without the set it is of: ``S001`` of ``disfa/S001``."""
    return subject.partition("/")[2] or subject


def same_people(names: Iterable[str], subjects: Iterable[str]) -> set[str]:
    """Return the subjects that are meant by some names.

    Where only one side says which set somebody is of (``set/name``), the name alone counts: who may be the
    same is taken for the same.
    """
    exact, people = set(names), set(subjects)
    of_sets = any("/" in name for name in exact)
    plain = {plain_name(name) for name in exact}
    return {
        one
        for one in people
        if one in exact or (("/" in one) != of_sets and plain_name(one) in plain)
    }


def _published(how: TrainSettings, subjects: Sequence[str]) -> Split:
    assert how.folds is not None
    folds = FOLDS.get(how.folds) or tuple((name,) for name in sorted(subjects))
    there = [
        tuple(name for name in subjects if name in part or plain_name(name) in part)
        for part in folds
    ]
    held = there[how.fold] if how.fold < len(there) else ()
    if how.fold < len(there) and not (held and sum(map(len, there)) > len(held)):
        raise DuchenneError(
            f"the prepared faces hold nobody of the published parts of {how.folds}: their subjects are "
            f"{', '.join(subjects[:5])} …"
        )
    return fold_split(there, how.fold, paper_protocol=how.paper_protocol, seed=how.seed)
