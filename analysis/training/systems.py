"""From the settings of a training to its system: outputs, sizes, and the words that labels must be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import ViTConfig

from duchenne.analysis.models.deng import N_UNITS
from duchenne.analysis.models.jaa_net import CENTRES
from duchenne.analysis.models.mae_teacher import encoder_config
from duchenne.analysis.models.registry import ModelEntry, model_entry
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings

WITHOUT_JAW = (*range(17, 60), *range(61, 64), *range(65, 68))
"""The 49 of 68 landmarks that JAA-Net knows: no jaw, no inner corners of the mouth."""
LARGEST_INTENSITY = 5.0


def unit_numbers(names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of Action Units such as ``AU06``, or ``AU12L`` of one side.

    Raises
    ------
    DuchenneError
        When a name is none.
    """
    try:
        return tuple(
            int(name.removeprefix("AU").removesuffix("L").removesuffix("R")) for name in names
        )
    except ValueError as error:
        raise DuchenneError(f"labels must be Action Units here, not {', '.join(names)}") from error


def entry_of(settings: TrainSettings) -> ModelEntry:
    """Return the system of the settings, with what it is to learn where it can learn several things."""
    entry = model_entry(settings.model)
    learns = settings.model_settings.get("learns", entry.task)
    return entry if learns == entry.task else replace(entry, task=learns)


def outputs_for(entry: ModelEntry, faces: Faces) -> int:
    """Return how many outputs a system needs for these labels.

    Raises
    ------
    DuchenneError
        When the labels are not of its kind.
    """
    names = faces.names
    if entry.task == "pictures":
        if names:
            raise DuchenneError(f"{entry.name} learns from pictures alone: leave `labels` out.")
        return 0
    if not names:
        raise DuchenneError(f"{entry.name} needs `labels`; the faces may have some.")
    if entry.name == "emofan" or entry.task == "affect":
        if not {"valence", "arousal"} <= set(names):
            raise DuchenneError(f"{entry.name} learns valence and arousal, not {', '.join(names)}.")
        return len(names) if entry.name == "mae_fusion" else entry.default_n_outputs
    if entry.task == "expression":
        if names != ("expression",):
            raise DuchenneError(
                f"{entry.name} learns the label expression, not {', '.join(names)}."
            )
        return int(np.nanmax(faces.truth, initial=0.0)) + 1
    known = faces.truth[np.isfinite(faces.truth)]
    if known.size and not 0 <= known.min() <= known.max() <= LARGEST_INTENSITY:
        raise DuchenneError(
            f"{entry.name} learns intensities from 0 to {LARGEST_INTENSITY:g}; the labels are "
            f"{known.min():g} to {known.max():g}."
        )
    return len(names)


def build(settings: TrainSettings, outputs: int) -> nn.Module:
    """Return the system of the settings with fresh weights.

    Raises
    ------
    DuchenneError
        When it does not take such settings.
    """
    entry = model_entry(settings.model)
    own = dict(settings.model_settings)
    if entry.name in ("jaa_net", "jaa_net_v2"):
        own.setdefault("units", unit_numbers(settings.labels))
    if entry.name in ("deng_cnn", "deng_rnn"):
        units = sum(name.startswith("AU") for name in settings.labels)
        own.setdefault("units", units or N_UNITS)
    px = settings.input_px or entry.input_px
    entry.check_size(px)
    if entry.name == "mae_fusion":
        own.setdefault("n_sound", 0)
        if "encoder" not in own:
            raise DuchenneError(
                "mae_fusion needs the sizes of its frozen encoder: `model_settings: {encoder: {…}}`, as the "
                "pre-training had them, and its weights as `initial`."
            )
    try:
        if entry.name in ("mae_teacher", "mae_pretraining", "mae_fusion"):
            own["config"] = encoder_config(px, own.pop("encoder", {}))
        if entry.name == "vit_se":
            own["config"] = ViTConfig(**{"image_size": px, **own.pop("encoder", {})})
        return entry.build(n_outputs=outputs, **own)
    except (TypeError, ValueError, KeyError) as error:
        raise DuchenneError(f"model_settings of {settings.model}: {error}") from error


def check_places(name: str, labels: Sequence[str]) -> None:
    """Refuse Action Units whose place on the face a system does not know.

    Raises
    ------
    DuchenneError
        Which ones, and which places it knows.
    """
    unknown = [
        label
        for label, unit in zip(labels, unit_numbers(labels), strict=True)
        if unit not in CENTRES
    ]
    if unknown:
        known = ", ".join(str(unit) for unit in sorted(CENTRES))
        raise DuchenneError(
            f"{name} knows no place for {', '.join(unknown)}: name `labels` of the Action Units {known}."
        )


def action_points(points: Tensor, labels: Sequence[str]) -> Tensor:
    """Return the two points of each Action Unit from 68 landmarks, in the same pixels: (b, n, 2, 2)."""
    known = points[:, WITHOUT_JAW]
    ruler = (known[:, 22, 0] - known[:, 25, 0]).abs()
    places = []
    for unit in unit_numbers(labels):
        pair, below = CENTRES[unit]
        shift = torch.stack([torch.zeros_like(ruler), below * ruler], dim=1)
        places.append(torch.stack([known[:, i] + shift for i in pair], dim=1))
    return torch.stack(places, dim=1)
