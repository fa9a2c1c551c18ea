"""What a system learns from a batch: its named losses, and what it answers when it is asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from duchenne.analysis.models.deng import DengCnn, DengRnn, teacher_loss
from duchenne.analysis.models.eac_net import EacNet, attention_map, centres, eac_loss
from duchenne.analysis.models.emofan import EmoFan, alignment_loss, shake_loss, shake_weights
from duchenne.analysis.models.heatmap import growing_maps, heat_loss, point_maps
from duchenne.analysis.models.jaa_losses import jaa_loss, unit_weights
from duchenne.analysis.models.mae_fusion import MaeFusion, fusion_loss
from duchenne.analysis.models.mae_teacher import MaskedAutoencoder
from duchenne.analysis.models.me_graphau import MeGraphAu, graph_loss
from duchenne.analysis.training.augment import plain_batch
from duchenne.analysis.training.judging import JUDGEMENTS
from duchenne.analysis.training.losses import (
    class_numbers,
    concordance,
    masked_bce,
    masked_cross_entropy,
    masked_mse,
)
from duchenne.analysis.training.metrics import OCCURS
from duchenne.analysis.training.shown import kind_of
from duchenne.analysis.training.start import start_at_means
from duchenne.analysis.training.systems import (
    WITHOUT_JAW,
    action_points,
    build,
    check_places,
    entry_of,
    outputs_for,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.models.outputs import Answer
    from duchenne.analysis.models.registry import ModelEntry
    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.distill import Distillation, TaskDistillation
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings


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
_HIDDEN = 0x4D41
"""Keeps the numbers that hide patches apart from those that vary pictures."""


class Task(nn.Module):
    """A system with its loss; ``forward`` gives the named losses of a batch, ``total`` among them.

    Parameters
    ----------
    settings : TrainSettings
    faces : Faces
        Numbers of classes come from it.
    distillation : Distillation or TaskDistillation, optional
        Adds the teacher of a student.
    n_outputs : int, optional
        Of weights that are to be loaded; what the labels need where absent.
    rows : (n,) int, optional
        The faces that are trained on, of which rates of occurrence come; all of them where absent.

    Attributes
    ----------
    answers : tuple of str
        What is scored, in the order of the outputs.

    Raises
    ------
    DuchenneError
        When the labels or landmarks that the system needs are not there.
    """

    def __init__(
        self,
        settings: TrainSettings,
        faces: Faces,
        distillation: Distillation | TaskDistillation | None = None,
        *,
        n_outputs: int | None = None,
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.entry: ModelEntry = entry_of(settings)
        self.family = self.entry.name.partition("_")[0]
        self.kind = kind_of(self.entry.name)
        self.labels = settings.labels
        if self.entry.name in NEEDS_LANDMARKS and faces.landmarks is None:
            raise DuchenneError(
                f"{self.entry.name} needs landmarks, and the prepared faces have none."
            )
        if self.family in ("jaa", "heatmap"):
            check_places(self.entry.name, self.labels)
        self.n_outputs = n_outputs or outputs_for(self.entry, faces)
        self.answers = {
            "emofan": ("valence", "arousal"),
            "deng": ("valence", "arousal"),
            "pictures": ("pictures",),
        }.get("pictures" if self.entry.task == "pictures" else self.family, self.labels)
        self.net = build(settings, self.n_outputs)
        if isinstance(self.net, EmoFan) and self.net.alignment and faces.landmarks is None:
            raise DuchenneError(
                "`alignment: true` learns landmarks, and the prepared faces have none."
            )
        _check_classes(self.net, faces)
        _check_sound(self.net, faces)
        if settings.window and self.entry.task in ("expression", "affect"):
            raise DuchenneError("`window` is for systems of Action Units.")
        self.distillation = distillation
        self.px = settings.input_px or self.entry.input_px
        self.occurs_from: NDArray[np.float32] | None = None
        self.occurring = [
            self.entry.task == "occurrence" or (self.family == "deng" and name.startswith("AU"))
            for name in self.labels
        ]
        highest = np.nan_to_num(faces.truth).max(axis=0, initial=0.0)
        if bool((highest[self.occurring] > 1).any()):
            # A set may grade some units and only mark others, such as AU43 of UNBC-McMaster.
            self.occurs_from = np.where(highest > 1, OCCURS, 0.5).astype(np.float32)
        rates = self._rates(faces.truth if rows is None else faces.truth[rows])
        if self.entry.task == "intensity":
            start_at_means(self.net, rates)
        self.register_buffer(
            "weights", unit_weights(torch.tensor(rates, dtype=torch.float32)), persistent=False
        )
        self.judgement = JUDGEMENTS[self.entry.task]

    def _rates(self, labels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean of each label where it is known: (k,)."""
        truth = np.asarray(self._numpy_targets(labels), np.float64)
        n_known = np.isfinite(truth).sum(axis=0)
        rates: NDArray[np.float64] = np.nansum(truth, axis=0) / np.maximum(n_known, 1)
        return np.maximum(rates, LEAST_RATE)

    def _numpy_targets(self, truth: Any) -> Any:
        if self.occurs_from is None:
            return truth
        occurs = np.where(np.isfinite(truth), truth >= self.occurs_from, np.nan)
        return np.where(self.occurring, occurs, truth)

    def targets(self, truth: Tensor) -> Tensor:
        """Return labels as the loss wants them: intensities become 1 and 0 where occurrence is learnt."""
        if self.occurs_from is None:
            return truth
        least = torch.from_numpy(self.occurs_from).to(truth.device)
        occurs = torch.where(torch.isfinite(truth), (truth >= least).float(), truth)
        return torch.where(torch.tensor(self.occurring, device=truth.device), occurs, truth)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the named losses and their ``total``."""
        if self.entry.task == "pictures":
            return {"total": self.painting_errors(batch).mean()}
        answer = self.answer(batch)
        truth = self.targets(batch.truth)
        if self.distillation is not None:
            labels = self._by_task(truth) if self.family == "deng" else truth
            return dict(self.distillation(batch.images, answer, labels))
        if self.family == "jaa":
            return self._joint(answer, truth, self._points(batch))
        if self.family == "heatmap":
            return self._heat(answer, truth, self._points(batch))
        if self.family == "deng":
            return teacher_loss(answer, self._by_task(truth))
        losses: dict[str, Callable[[Answer, Tensor], dict[str, Tensor]]] = {
            "eac": eac_loss,
            "me": self._graph,
            "emofan": partial(self._emofan, batch),
            "mae": fusion_loss if self.kind == "clip" else self._plain,
        }
        return losses.get(self.family, self._plain)(answer, truth)

    def _graph(self, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        assert isinstance(self.net, MeGraphAu)
        return graph_loss(answer, truth, self._weights(), self.net.edge_share)

    def _joint(self, answer: Answer, truth: Tensor, points: Tensor) -> dict[str, Tensor]:
        eyes = points[:, LEFT_EYE].mean(dim=1) - points[:, RIGHT_EYE].mean(dim=1)
        known = points[:, WITHOUT_JAW]
        return jaa_loss(
            answer, truth, known, eyes.norm(dim=1), self._weights(), parity=bool(self.net.parity)
        )

    def _heat(self, answer: Answer, truth: Tensor, points: Tensor) -> dict[str, Tensor]:
        side = answer.maps["heat"].shape[-1]
        places = action_points(points * (side / self.px), self.labels)
        draw = growing_maps if self.entry.name == "heatmap_hourglass" else point_maps
        return heat_loss(answer, draw(places, truth, side=side))

    def _by_task(self, truth: Tensor) -> dict[str, Tensor]:
        """Return labels by the task they are of, the frames of clips one after another."""
        flat = truth.flatten(0, -2)
        units = [i for i, occurs in enumerate(self.occurring) if occurs]
        places = [self.labels.index(name) for name in self.answers]
        found = {"affect": flat[:, places]}
        if units:
            found["au"] = flat[:, units]
        if "expression" in self.labels:
            found["expression"] = class_numbers(flat[:, self.labels.index("expression"), None])
        return found

    def shown_plain(
        self, faces: Faces, rows: NDArray[np.intp], preprocessing: str | None = None
    ) -> Batch:
        """Return single pictures as it sees them, not varied; in another preprocessing where one is given."""
        how = preprocessing or self.entry.preprocessing
        return plain_batch(faces, rows, self.px, how, self.settings.window)

    def answer(self, batch: Batch) -> Answer:
        """Return the outputs of the system."""
        if isinstance(self.net, EacNet):
            corners = self._points(batch).cpu().numpy().astype(np.float64) / self.px
            if not np.isfinite(corners).all():
                raise DuchenneError("eac_net needs landmarks of every face; some have none.")
            where = centres(corners)
            at = batch.images.device
            found: Answer = self.net(
                batch.images,
                torch.from_numpy(attention_map(where, self.net.slope)).to(at),
                torch.from_numpy(where.astype(np.float32)).to(at),
            )
            return found
        if isinstance(self.net, MaeFusion):
            frames = batch.features if batch.features is not None else self.net.encode(batch.images)
            fused: Answer = self.net(frames, batch.sound, batch.missing)
            return fused
        plain: Answer = self.net(batch.images)
        return plain

    def head_sizes(self) -> dict[str, int]:
        """Return how many probabilities each further head tells, of those that labels are there for."""
        sizes: dict[str, int] = {}
        has_classes = "expression" in self.labels and isinstance(self.net, EmoFan)
        if self.entry.task == "expression" or has_classes:
            sizes["expression"] = self.n_outputs
        elif isinstance(self.net, (DengCnn, DengRnn)):
            if any(self.occurring):
                sizes["au"] = sum(self.occurring)
            if "expression" in self.labels:
                sizes["expression"] = self.net.sizes["expression"]
        return sizes

    def beside(self, answer: Answer) -> Tensor:
        """Return what is scored and the probabilities of all heads side by side: (b, …, k + heads)."""
        parts = [answer.values]
        if self.entry.task == "expression":
            parts = [answer.values.argmax(dim=1, keepdim=True).float(), answer.values]
        else:
            for name in self.head_sizes():
                logits = answer.extra[name]
                parts.append(logits.sigmoid() if name == "au" else logits.softmax(dim=-1))
        return torch.cat(parts, dim=-1)

    def everything(self, batch: Batch) -> Tensor:
        """Return `beside` of what a batch is answered."""
        return self.beside(self.answer(batch))

    def painting_errors(self, batch: Batch) -> Tensor:
        """Return how far off the hidden patches of each picture were painted: (b,).

        Which patches are hidden depends on the seed, the epoch and the picture alone.
        """
        assert isinstance(self.net, MaskedAutoencoder)
        n, seed = self.net.n_patches, self.settings.seed
        drawn = [
            np.random.default_rng((seed, _HIDDEN, batch.epoch + 1, row)).random(n)
            for row in batch.rows.tolist()
        ]
        noise = torch.from_numpy(np.stack(drawn).astype(np.float32)).to(batch.images.device)
        return self.net.errors(batch.images, noise)

    def predicted(self, batch: Batch) -> Tensor:
        """Return what is scored: (b, k), of clips (b, t, k)."""
        if self.entry.task == "pictures":
            return self.painting_errors(batch)[:, None]
        answer = self.answer(batch)
        if self.entry.task == "expression":
            chosen: Tensor = answer.values.argmax(dim=1, keepdim=True).float()
            return chosen
        return answer.values

    def scored(self, found: Any, truth: Any) -> tuple[Any, Any, tuple[str, ...]]:
        """Return truth and answers as figures want them, and the names of the outputs.

        A class is right or wrong: truth 1, and found 1 where they agree.
        """
        if self.entry.task == "pictures":
            return np.zeros_like(found), found, self.answers
        truth = self._numpy_targets(truth)
        if self.entry.task == "expression":
            right = np.where(np.isfinite(truth), found == truth, np.nan)
            return np.where(np.isfinite(truth), 1.0, np.nan), right, self.labels
        return truth[:, [self.labels.index(name) for name in self.answers]], found, self.answers

    def _plain(self, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        if self.entry.task == "intensity":
            return {"total": masked_mse(answer.values, truth)}
        if self.entry.task == "expression":
            assert answer.logits is not None
            return {"total": masked_cross_entropy(answer.logits, class_numbers(truth))}
        if self.entry.task == "occurrence":
            assert answer.logits is not None
            return {"total": masked_bce(answer.logits, truth)}
        columns = zip(answer.values.T, truth.T, strict=True)
        apart = [1 - concordance(found, wanted) for found, wanted in columns]
        squared = masked_mse(answer.values, truth)
        agreement = torch.stack(apart).mean()
        return {"total": squared + agreement, "mse": squared, "concordance": agreement}

    def _emofan(self, batch: Batch, answer: Answer, truth: Tensor) -> dict[str, Tensor]:
        places = {name: i for i, name in enumerate(self.labels)}
        affect = torch.stack([truth[:, places[n]] for n in ("valence", "arousal")], dim=1)
        classes = (
            class_numbers(truth[:, places["expression"], None])
            if "expression" in places
            else truth.new_full((len(truth),), -1).long()
        )
        losses = shake_loss(answer, affect, classes, shake_weights().to(truth.device))
        if "heats" in answer.extra:
            aligned = alignment_loss(answer, self._points(batch), self.px)
            losses |= {"alignment": aligned, "total": losses["total"] + aligned}
        return losses

    def _points(self, batch: Batch) -> Tensor:
        assert batch.landmarks is not None
        return batch.landmarks

    def _weights(self) -> Tensor:
        assert isinstance(self.weights, torch.Tensor)
        return self.weights


def _check_sound(net: nn.Module, faces: Faces) -> None:
    n_sound = net.n_sound if isinstance(net, MaeFusion) else 0
    if n_sound and faces.sound is not None and faces.sound.shape[1] != n_sound:
        raise DuchenneError(
            f"the system hears {n_sound} features of the sound and the prepared faces have "
            f"{faces.sound.shape[1]}: set `model_settings: {{n_sound: {faces.sound.shape[1]}}}`."
        )


def _check_classes(net: nn.Module, faces: Faces) -> None:
    if not isinstance(net, (DengCnn, DengRnn)) or "expression" not in faces.names:
        return
    largest = int(np.nanmax(faces.truth[:, faces.names.index("expression")], initial=0.0))
    if largest >= net.sizes["expression"]:
        raise DuchenneError(
            f"expression {largest} is among the labels, and the system has classes 0 to "
            f"{net.sizes['expression'] - 1}: set `model_settings: {{classes: {largest + 1}}}`."
        )
