"""How each system is asked: what is kept of a picture, and what that becomes when the film has been read.

Four ways, by what a system needs besides the picture at hand: nothing (`FrameReading`; the mirrored picture
is asked too), its neighbours in time (`ClipReading`, `FusionReading`), or the same face at rest
(`DifferenceReading`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

from duchenne.analysis.models.deng import FEATURES, N_BINS, expectation
from duchenne.analysis.models.mae_fusion import CLIP_FRAMES as FUSION_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    Picture: TypeAlias = Callable[[Tensor], Tensor]

    from duchenne.analysis.affect.network import Trained
    from duchenne.analysis.face.frames import BoolArray, FloatArray

CLIP_FRAMES = 32
"""Frames of a window of the recurrent system, as it was published."""
_AT_ONCE = 4096


@dataclass(frozen=True)
class Answers:
    """What a system says of n frames.

    Parameters
    ----------
    values : dict of str to (n,) float64
        ``valence``, ``arousal``, ``dominance``, as far as the system knows them; -1 to 1.
    probabilities : (n, c) float64
        Of its classes; (n, 0) where it has none.
    spread : dict of str to (n,) float64
        Half the difference between the picture and its mirror image, for the same names; empty where the
        mirror image is not asked.
    """

    values: Mapping[str, FloatArray]
    probabilities: FloatArray
    spread: Mapping[str, FloatArray] = field(default_factory=dict)


class Reading(Protocol):
    """One way to ask a system."""

    n_features: int
    needs_neutral: bool
    window: int
    picture: Picture

    def features(self, images: Tensor) -> Tensor:
        """Return what is kept of pictures (b, 3, px, px): (b, n_features)."""
        ...

    def answers(self, features: FloatArray, usable: BoolArray, neutral: FloatArray) -> Answers:
        """Return what the system says.

        Parameters
        ----------
        features : (n, n_features) float64
        usable : (n,) bool
        neutral : (n, n_features) float64
            What is kept of the face at rest, as known at each frame.
        """
        ...


def reading_of(trained: Trained) -> Reading:
    """Return the way to ask a system.

    Its ``picture``, the network that looks at pictures, may be replaced by the same network in another
    runtime (:func:`duchenne.analysis.affect.runtime.faster`).
    """
    name = trained.entry.name
    if name == "deng_rnn":
        return ClipReading(trained)
    if name == "mae_fusion":
        return FusionReading(trained)
    return DifferenceReading(trained) if name == "doe" else FrameReading(trained)


class _Outputs(nn.Module):
    """Values of the dimensions and logits of the classes side by side: (b, d + c)."""

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.net = trained.net
        self.n_dimensions, self.n_classes = len(trained.dimensions), len(trained.classes)

    def forward(self, images: Tensor) -> Tensor:
        answer = self.net(images)
        parts = []
        if self.n_dimensions:
            parts.append(answer.values[:, : self.n_dimensions])
        if self.n_classes:
            logits = answer.extra.get("expression", answer.logits)
            parts.append(logits[:, : self.n_classes])
        return torch.cat(parts, dim=1)


class FrameReading:
    """Systems of single pictures: the mean over the picture and its mirror image, and how far they differ."""

    needs_neutral = False
    window = 1

    def __init__(self, trained: Trained) -> None:
        self.names, self.n_classes = trained.dimensions, len(trained.classes)
        self.n_features = 2 * len(self.names) + self.n_classes
        self.picture: Picture = _Outputs(trained).eval()

    def features(self, images: Tensor) -> Tensor:
        """Return values of the picture, of its mirror image, and the mean of their probabilities."""
        k = len(self.names)
        one, other = self.picture(images), self.picture(images.flip(-1).contiguous())
        shares = (one[:, k:].softmax(dim=1) + other[:, k:].softmax(dim=1)) / 2
        return torch.cat([one[:, :k], other[:, :k], shares], dim=1)

    def answers(self, features: FloatArray, usable: BoolArray, neutral: FloatArray) -> Answers:
        """Return the mean of both, clipped, and half their difference."""
        del usable, neutral
        k = len(self.names)
        one, other = features[:, :k], features[:, k : 2 * k]
        values = np.clip((one + other) / 2, -1.0, 1.0)
        spread = np.abs(one - other) / 2
        return Answers(
            {name: values[:, i] for i, name in enumerate(self.names)},
            features[:, 2 * k :],
            {name: spread[:, i] for i, name in enumerate(self.names)},
        )


class _DengFeatures(nn.Module):
    """Features of some tasks of the recurrent system's encoder, side by side."""

    def __init__(self, encoder: Any, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.encoder, self.tasks = encoder, tasks

    def forward(self, images: Tensor) -> Tensor:
        found = self.encoder.features(images)
        return torch.cat([found[task] for task in self.tasks], dim=1)


class _Encoded(nn.Module):
    """The frozen encoder of a fusion."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.net.encode(images)
        return found


class ClipReading:
    """The recurrent system: windows of 32 frames that overlap by half; a frame is the mean of its two.

    Frames that are not usable are given the features of the last usable one.
    """

    needs_neutral = False
    window = CLIP_FRAMES

    def __init__(self, trained: Trained) -> None:
        self._net = trained.net
        self._tasks = ("affect", "expression") if trained.classes else ("affect",)
        self.names, self.n_classes = trained.dimensions, len(trained.classes)
        self.n_features = FEATURES * len(self._tasks)
        self.picture: Picture = _DengFeatures(self._net.encoder, self._tasks).eval()

    def features(self, images: Tensor) -> Tensor:
        """Return the features of the frozen encoder."""
        return self.picture(images)

    def answers(self, features: FloatArray, usable: BoolArray, neutral: FloatArray) -> Answers:
        """Return what the recurrent part says."""
        del neutral
        held = _held(features, usable)
        rows = _over_windows(held, self.window, self._window)
        return Answers(
            {name: rows[:, i] for i, name in enumerate(self.names)}, rows[:, len(self.names) :]
        )

    def _window(self, clip: Tensor) -> Tensor:
        parts = dict(zip(self._tasks, torch.split(clip, FEATURES, dim=-1), strict=True))
        net = self._net
        found = {task: net.head[task](net.gru[task](x)[0]) for task, x in parts.items()}
        bins = found["affect"].view(*found["affect"].shape[:-1], 2, N_BINS)
        said = [expectation(bins)]
        if self.n_classes:
            said.append(found["expression"][..., : self.n_classes].softmax(dim=-1))
        return torch.cat(said, dim=-1)


class FusionReading:
    """Frame features of a masked auto-encoder, and of the sound, in windows of 100 frames.

    Features of the sound stand behind those of the frames where there is any; films are silent elsewhere.
    """

    needs_neutral = False
    window = FUSION_FRAMES

    def __init__(self, trained: Trained) -> None:
        self._net = trained.net
        self.names = trained.dimensions
        self.n_features = int(self._net.join[0].in_channels) - int(self._net.n_sound)
        self.picture: Picture = _Encoded(self._net).eval()

    def features(self, images: Tensor) -> Tensor:
        """Return the features of the frozen encoder."""
        return self.picture(images)

    def answers(self, features: FloatArray, usable: BoolArray, neutral: FloatArray) -> Answers:
        """Return what the transformer says."""
        del neutral
        n = self.n_features
        held = _held(features[:, :n], usable)
        sound = np.nan_to_num(features[:, n:])

        def said(clip: Tensor) -> Tensor:
            heard = clip[..., n:] if clip.shape[-1] > n else None
            values: Tensor = self._net(clip[..., :n], heard).values
            return values

        rows = _over_windows(np.concatenate([held, sound], axis=1), self.window, said)
        return Answers(
            {name: rows[:, i] for i, name in enumerate(self.names)}, np.zeros((len(rows), 0))
        )


class DifferenceReading:
    """Difference of embeddings: what is kept is the embedding, which is then compared with that at rest."""

    needs_neutral = True
    window = 1

    def __init__(self, trained: Trained) -> None:
        self._net = trained.net
        self.n_features = int(self._net.n_embedding)
        self.n_classes = len(trained.classes)
        self.picture: Picture = self._net.encoder

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding."""
        return self.picture(images)

    def answers(self, features: FloatArray, usable: BoolArray, neutral: FloatArray) -> Answers:
        """Return class probabilities."""
        del usable
        pairs = np.concatenate([features - neutral, features], axis=1)
        found = np.full((len(pairs), self.n_classes), np.nan)
        known = np.flatnonzero(np.isfinite(pairs).all(axis=1))
        with torch.no_grad():
            for first in range(0, len(known), _AT_ONCE):
                some = known[first : first + _AT_ONCE]
                logits = self._net.head(torch.from_numpy(pairs[some]).float())
                found[some] = logits.softmax(dim=1).double().numpy()
        return Answers({}, found)


def _held(features: FloatArray, usable: BoolArray) -> FloatArray:
    """Return features in which the frames that cannot be used repeat the last that can (or the first)."""
    known = usable & np.isfinite(features).all(axis=1)
    if not known.any():
        return np.zeros_like(features)
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    last = np.where(last < 0, int(np.argmax(known)), last)
    return np.asarray(features[last], np.float64)


def _over_windows(
    features: FloatArray, window: int, answer: Callable[[Tensor], Tensor], at_once: int = 64
) -> FloatArray:
    """Return the mean of the windows over each frame: windows of one length that overlap by half."""
    n = len(features)
    if not n:
        with torch.no_grad():
            n_outputs = answer(torch.zeros(1, 1, features.shape[1])).shape[-1]
        return np.zeros((0, n_outputs))
    width = min(window, n)
    starts = sorted({*range(0, n - width + 1, max(1, window // 2)), n - width})
    total: FloatArray | None = None
    count = np.zeros(n)
    for i in range(0, len(starts), at_once):
        some = starts[i : i + at_once]
        clips = np.stack([features[a : a + width] for a in some]).astype(np.float32)
        with torch.no_grad():
            said = answer(torch.from_numpy(clips)).double().numpy()
        if total is None:
            total = np.zeros((n, said.shape[-1]))
        for a, rows in zip(some, said, strict=True):
            total[a : a + width] += rows
            count[a : a + width] += 1
    assert total is not None
    return np.asarray(total / count[:, None], np.float64)
