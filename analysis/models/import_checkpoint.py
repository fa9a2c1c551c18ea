"""Makes a checkpoint of this program out of a published one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from duchenne.analysis.models.heatmap import UNITS
from duchenne.analysis.models.importing import Matched, licence_of, matched
from duchenne.analysis.models.jaa_net import BP4D_UNITS, DISFA_UNITS
from duchenne.analysis.training.checkpoint import git_revision, write_checkpoint
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from duchenne.analysis.models.registry import ModelEntry

DISFA_INTENSITIES = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
LEARNT_FROM = "people of the published training, who are not known"
_KINDS: dict[str, tuple[dict[str, Any], ...]] = {"me_graphau": ({"stage": 2}, {"stage": 1})}
"""Settings of a system that a file may be of; that which fits best is taken."""


@dataclass(frozen=True)
class Imported:
    """A published checkpoint that was placed into a system.

    Parameters
    ----------
    entry : ModelEntry
    settings : TrainSettings
        System, labels and settings of its own.
    n_outputs : int
    matched : Matched
    """

    entry: ModelEntry
    settings: TrainSettings
    n_outputs: int
    matched: Matched


def labels_of(entry: ModelEntry, n_outputs: int) -> tuple[str, ...]:
    """Return what a system answers as it was published, where nobody says otherwise.

    Raises
    ------
    UsageError
        When that many outputs were not published.
    """
    if entry.task == "affect":
        return ("valence", "arousal")
    if entry.task == "expression":
        return ("expression",)
    known = {
        "intensity": (DISFA_INTENSITIES, UNITS),
        "occurrence": (BP4D_UNITS, DISFA_UNITS),
    }
    for units in known.get(entry.task, ()):
        if len(units) == n_outputs:
            return tuple(f"AU{unit:02d}" for unit in units)
    raise UsageError(f"{entry.name} with {n_outputs} outputs: name them in order with --labels.")


def imported(
    entry: ModelEntry, given: dict[str, Tensor], labels: Sequence[str] | None = None
) -> Imported:
    """Return a published checkpoint placed into a system.

    Parameters
    ----------
    entry : ModelEntry
    given : dict of str to Tensor
        Of :func:`duchenne.analysis.models.importing.read_several`.
    labels : sequence of str, optional
        What it answers; as published where absent, by the number of outputs that fits best.

    Raises
    ------
    UsageError
        When the labels are needed, or not of this system's kind.
    """
    if labels is not None:
        choices = [len(labels)]
    elif entry.task == "occurrence":
        choices = [len(BP4D_UNITS), len(DISFA_UNITS)]
    elif entry.task == "expression":
        choices = [8, 7]
    else:
        choices = [entry.default_n_outputs]
    tries = []
    for n_outputs in choices:
        named = tuple(labels) if labels is not None else labels_of(entry, n_outputs)
        for own in _KINDS.get(entry.name, ({},)):
            how = TrainSettings(model=entry.name, labels=named, model_settings=own)
            n = (
                n_outputs
                if entry.task != "expression" or labels is None
                else entry.default_n_outputs
            )
            with torch.device("meta"):
                net = build(how, n)
            tries.append(Imported(entry, how, n, matched(entry.name, net, given)))
    return min(
        tries, key=lambda found: (len(found.matched.missing), len(found.matched.other_shape))
    )


def write_imported(path: Path, found: Imported, files: Sequence[Path]) -> None:
    """Write a checkpoint with what matched, and where it is from.

    Raises
    ------
    DuchenneError
        When it cannot be written.
    """
    about = {
        "settings": json.loads(found.settings.model_dump_json()),
        "labels": list(found.settings.labels),
        "n_outputs": found.n_outputs,
        "split": {"train": [LEARNT_FROM], "validation": [], "test": []},
        "data_sha256": None,
        "data": {
            "from": f"published weights ({', '.join(file.name for file in files)})",
            "alignment": found.entry.alignment,
            "licence": licence_of(found.entry.name),
        },
        "git_revision": git_revision(),
        "imported": {
            "layout": found.matched.layout,
            "by_shape": list(found.matched.by_shape),
            "missing": list(found.matched.missing),
            "unexpected": list(found.matched.unexpected),
        },
    }
    write_checkpoint(path, {f"net.{k}": v for k, v in found.matched.tensors.items()}, about)
