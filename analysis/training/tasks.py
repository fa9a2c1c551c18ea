"""What a system learns from a batch: its named losses, and what it answers when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import ViTConfig

from duchenne.analysis.models.eac_net import attention_map, centres, eac_loss
from duchenne.analysis.models.emofan import shake_loss, shake_weights
from duchenne.analysis.models.heatmap import growing_maps, heat_loss, point_maps
from duchenne.analysis.models.jaa_net import CENTRES, jaa_loss, unit_weights
from duchenne.analysis.models.mae_teacher import mae_config
from duchenne.analysis.models.me_graphau import graph_loss
from duchenne.analysis.models.registry import ModelEntry, model_entry
from duchenne.analysis.training.losses import (
    concordance,
    masked_bce,
    masked_cross_entropy,
    masked_mse,
)
from duchenne.analysis.training.metrics import (
    AFFECT,
    INTENSITY,
    OCCURRENCE,
    OCCURS,
    Metric,
    accuracy,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from duchenne.analysis.models.outputs import Answer
    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.distill import Distillation
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings

WITHOUT_JAW = (*range(17, 60), *range(61, 64), *range(65, 68))
"""The 49 of 68 landmarks that JAA-Net knows: no jaw, no inner corners of the mouth."""
LEFT_EYE, RIGHT_EYE = tuple(range(36, 42)), tuple(range(42, 48))
NEEDS_LANDMARKS = (
    "eac_net",
    "jaa_net",
    "jaa_net_v2",
    "heatmap_deconv",
    "heatmap_scc",
    "heatmap_hourglass",
)
LEAST_RATE = 1e-3


def unit_numbers(names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of Action Units such as ``AU06``.

    Raises
    ------
    DuchenneError
        When a name is none.
    """
    try:
        return tuple(int(name.removeprefix("AU")) for name in names)
    except ValueError as error:
        raise DuchenneError(f"labels must be Action Units here, not {', '.join(names)}") from error


@dataclass(frozen=True)
class Judgement:
    """How a task is scored.

    Parameters
    ----------
    metrics : dict
        Figures of each output.
    best : str
        The one whose mean decides which weights are kept; larger is better.
    """

    metrics: dict[str, Metric]
    best: str


class Task(nn.Module):
    """A system with its loss; ``forward`` gives the named losses of a batch, ``total`` among them.

    Parameters
    ----------
    settings : TrainSettings
    faces : Faces
        What is trained on: rates of occurrence and numbers of classes come from it.
    distillation : Distillation, optional
        Adds the teacher of a student.
    n_outputs : int, optional
        Of weights that are to be loaded; what the labels need where absent.

    Raises
    ------
    DuchenneError
        When the labels or landmarks that the system needs are not there.
    """

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        distillation: Distillation | None = None,
        *,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.entry: ModelEntry = model_entry(settings.model)
        self.labels = settings.labels
        if self.entry.name in NEEDS_LANDMARKS and faces.landmarks is None:
            raise DuchenneError(
                f"{self.entry.name} needs landmarks, and the prepared faces have none."
            )
        self.n_outputs = n_outputs or outputs_for(self.entry, faces)
        self.net = build(settings, self.n_outputs)
        self.distillation = distillation
        self.px = settings.input_px or self.entry.input_px
        self.occurs_from = None
        if self.entry.task == "occurrence" and float(np.nanmax(faces.truth, initial=0.0)) > 1:
            self.occurs_from = OCCURS
        rates = np.nan_to_num(np.nanmean(self._numpy_targets(faces.truth), axis=0))
        self.register_buffer(
            "weights",
            unit_weights(torch.tensor(np.maximum(rates, LEAST_RATE), dtype=torch.float32)),
            persistent=False,
        )
        self.judgement = {
            "intensity": Judgement(INTENSITY, "pcc"),
            "occurrence": Judgement(OCCURRENCE, "f1"),
            "affect": Judgement(AFFECT, "ccc"),
            "expression": Judgement({"accuracy": accuracy}, "accuracy"),
        }[self.entry.task]

    def _numpy_targets(self, truth: Any) -> Any:
        if self.occurs_from is None:
            return truth
        return np.where(np.isfinite(truth), truth >= self.occurs_from, np.nan)

    def targets(self, truth: Tensor) -> Tensor:
        """Return labels as the loss wants them: intensities become 1 and 0 where occurrence is learnt."""
        if self.occurs_from is None:
            return truth
        return torch.where(torch.isfinite(truth), (truth >= self.occurs_from).float(), truth)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the named losses and their ``total``."""
        answer = self.answer(batch)
        truth = self.targets(batch.truth)
        if self.distillation is not None:
            return dict(self.distillation(batch.images, answer, truth))
        family = self.entry.name.partition("_")[0]
        if family == "jaa":
            return self._joint(answer, truth, self._points(batch))
        if family == "heatmap":
            return self._heat(answer, truth, self._points(batch))
        losses: dict[str, Callable[[Answer, Tensor], dict[str, Tensor]]] = {
            "eac": eac_loss,
            "me": partial(graph_loss, weights=self._weights()),
            "emofan": self._emofan,
        }
        return losses.get(family, self._plain)(answer, truth)

    def _joint(self, answer: Answer, truth: Tensor, points: Tensor) -> dict[str, Tensor]:
        eyes = points[:, LEFT_EYE].mean(dim=1) - points[:, RIGHT_EYE].mean(dim=1)
        known = points[:, WITHOUT_JAW]
        return jaa_loss(answer, truth, known, eyes.norm(dim=1), self._weights())

    def _heat(self, answer: Answer, truth: Tensor, points: Tensor) -> dict[str, Tensor]:
        side = answer.maps["heat"].shape[-1]
        places = action_points(points * (side / self.px), self.labels)
        draw = growing_maps if self.entry.name == "heatmap_hourglass" else point_maps
        return heat_loss(answer, draw(places, truth, side=side))

    def answer(self, batch: Batch) -> Answer:
        """Return the outputs of the system."""
        if self.entry.name == "eac_net":
            corners = self._points(batch).cpu().numpy().astype(np.float64) / self.px
            where = centres(corners)
            at = batch.images.device
            found: Answer = self.net(
                batch.images,
                torch.from_numpy(attention_map(where)).to(at),
                torch.from_numpy(where.astype(np.float32)).to(at),
            )
            return found
        plain: Answer = self.net(batch.images)
        return plain

    def predicted(self, batch: Batch) -> Tensor:
        """Return what is scored: (b, k)."""
        answer = self.answer(batch)
        if self.entry.task == "expression":
            chosen: Tensor = answer.values.argmax(dim=1, keepdim=True).float()
            return chosen
        return answer.values

    def scored(self, found: Any, truth: Any) -> tuple[Any, Any, tuple[str, ...]]:
        """Return truth and answers as figures want them, and the names of the outputs.

        A class is right or wrong: truth 1, and found 1 where they agree.
        """
        truth = self._numpy_targets(truth)
        if self.entry.task == "expression":
            right = np.where(np.isfinite(truth), found == truth, np.nan)
            return np.where(np.isfinite(truth), 1.0, np.nan), right, self.labels
        return truth, found, self.labels

    def _plain(self, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        if self.entry.task == "intensity":
            return {"total": masked_mse(answer.values, truth)}
        if self.entry.task == "expression":
            assert answer.logits is not None
            return {"total": masked_cross_entropy(answer.logits, _classes(truth))}
        if self.entry.task == "occurrence":
            assert answer.logits is not None
            return {"total": masked_bce(answer.logits, truth)}
        columns = zip(answer.values.T, truth.T, strict=True)
        apart = [1 - concordance(found, wanted) for found, wanted in columns]
        squared = masked_mse(answer.values, truth)
        agreement = torch.stack(apart).mean()
        return {"total": squared + agreement, "mse": squared, "concordance": agreement}

    def _emofan(self, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        places = {name: i for i, name in enumerate(self.labels)}
        affect = torch.stack([truth[:, places[n]] for n in ("valence", "arousal")], dim=1)
        classes = (
            _classes(truth[:, places["expression"], None])
            if "expression" in places
            else truth.new_full((len(truth),), -1).long()
        )
        return shake_loss(answer, affect, classes, shake_weights().to(truth.device))

    def _points(self, batch: Batch) -> Tensor:
        assert batch.landmarks is not None
        return batch.landmarks

    def _weights(self) -> Tensor:
        assert isinstance(self.weights, torch.Tensor)
        return self.weights


def _classes(truth: Tensor) -> Tensor:
    return torch.where(torch.isfinite(truth[:, 0]), torch.nan_to_num(truth[:, 0]), -1.0).long()


def outputs_for(entry: ModelEntry, faces: Faces) -> int:
    """Return how many outputs a system needs for these labels.

    Raises
    ------
    DuchenneError
        When the labels are not of its kind.
    """
    names = faces.names
    if entry.name == "emofan" or entry.task == "affect":
        if not {"valence", "arousal"} <= set(names):
            raise DuchenneError(f"{entry.name} learns valence and arousal, not {', '.join(names)}.")
        return entry.default_n_outputs if entry.name == "emofan" else len(names)
    if entry.task == "expression":
        if names != ("expression",):
            raise DuchenneError(
                f"{entry.name} learns the label expression, not {', '.join(names)}."
            )
        return int(np.nanmax(faces.truth, initial=0.0)) + 1
    unit_numbers(names)
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
    px = settings.input_px or entry.input_px
    try:
        if entry.name == "mae_teacher":
            own["config"] = mae_config(**{"input_px": px, **own.pop("encoder", {})})
        if entry.name == "vit_se":
            own["config"] = ViTConfig(**{"image_size": px, **own.pop("encoder", {})})
        return entry.build(n_outputs=outputs, **own)
    except (TypeError, ValueError, KeyError) as error:
        raise DuchenneError(f"model_settings of {settings.model}: {error}") from error


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
