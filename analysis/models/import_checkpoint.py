"""Makes a checkpoint of this program out of a published one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from duchenne.analysis.models.heatmap import UNITS
from duchenne.analysis.models.importing import Matched, licence_of, matched
from duchenne.analysis.models.jaa_net import BP4D_UNITS, DISFA_UNITS
from duchenne.analysis.models.mae_fusion import SOUND_FEATURES
from duchenne.analysis.training.checkpoint import git_revision, write_checkpoint
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from duchenne.analysis.models.registry import ModelEntry

DISFA_INTENSITIES = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
LEARNT_FROM = "people of the published training, who are not known"
_KINDS: dict[str, tuple[dict[str, Any], ...]] = {"me_graphau": ({"stage": 2}, {"stage": 1})}
"""Settings of a system that a file may be of; that which fits best is taken."""


_LAYERS = re.compile(r"^(?!.*decoder)(?!.*over_frames).*?\b(?:blocks|layers?)\.(\d+)\.")
_OVER_FRAMES = re.compile(r"over_frames\.layers\.(\d+)\.")


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


def fusion_sizes(given: Mapping[str, Tensor]) -> tuple[dict[str, Any], int]:
    """Return the settings of a fusion, and the side of its pictures, as its tensors have them.

    Of the encoder: patches, width and depth (a head for every 64 of the width); of what is upon it, where it
    is there under our names: width, layers and how many features of the sound; as published elsewhere.

    Parameters
    ----------
    given : mapping of str to Tensor
        Of one or several files.

    Raises
    ------
    UsageError
        When no encoder of pictures is among them.
    """
    encoder = {k: v for k, v in given.items() if "decoder" not in k}
    patches = [v for k, v in encoder.items() if v.ndim == 4 and "patch_embed" in k]
    depths = {int(m[1]) for k in encoder if (m := _LAYERS.match(k))}
    if not patches or not depths:
        raise UsageError(
            "mae_fusion: the file holds no encoder of pictures, whose sizes the system needs: name the "
            "file of the masked auto-encoder too."
        )
    width, patch_px = int(patches[0].shape[0]), int(patches[0].shape[-1])
    sizes: dict[str, Any] = {"width": width, "depth": max(depths) + 1, "patch_px": patch_px}
    places = [v for k, v in encoder.items() if re.search(r"pos_embed|position_embeddings", k)]
    side = round((int(places[0].shape[-2]) - 1) ** 0.5) if places else 224 // patch_px
    own: dict[str, Any] = {"encoder": sizes, "n_sound": SOUND_FEATURES}
    join = next((v for k, v in given.items() if k.endswith("join.0.weight")), None)
    if join is not None:
        own |= {"width": int(join.shape[0]), "n_sound": int(join.shape[1]) - width}
    if over := {int(m[1]) for k in given if (m := _OVER_FRAMES.search(k))}:
        own["layers"] = max(over) + 1
    return own, side * patch_px


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
    kinds, px = _KINDS.get(entry.name, ({},)), None
    if entry.name == "mae_fusion":
        sizes, px = fusion_sizes(given)
        kinds = (sizes,)
    for n_outputs in choices:
        named = tuple(labels) if labels is not None else labels_of(entry, n_outputs)
        for own in kinds:
            how = TrainSettings(model=entry.name, labels=named, model_settings=own, input_px=px)
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
