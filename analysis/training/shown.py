"""What a system sees at once: a picture, a neutral and a shown face, or a clip.

Everything is kept in rows of an array: (n, 1) for single pictures and pairs, (n, t) for clips.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from duchenne.analysis.training.augment import (
    Batch,
    in_a_mirror,
    normalised,
    plain_batch,
    resized,
    varied,
    varied_batch,
)
from duchenne.analysis.training.clips import NOTHING, cut, runs
from duchenne.analysis.training.neutral import NeutralFaces

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.models.registry import ModelEntry
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import TrainSettings

Kind = Literal["picture", "pair", "clip"]
_KINDS: dict[str, Kind] = {"doe": "pair", "deng_rnn": "clip", "mae_fusion": "clip"}
_FRAMES = {"deng_rnn": 32, "mae_fusion": 100}
_NEUTRAL, _GRAIN = 0x4E45, 0x4752
"""Keep the numbers that choose a neutral face, and those of the grain, apart from the others."""


def kind_of(model: str) -> Kind:
    """Return what a system of this name sees at once."""
    return _KINDS.get(model, "picture")


@dataclass(frozen=True)
class Shown:
    """Faces as a system sees them.

    Parameters
    ----------
    faces : Faces
    settings : TrainSettings
    px : int
        Side of the pictures it sees.
    preprocessing : str
        Of its entry.
    features : (n, f) float32, optional
        What a frozen encoder tells of each picture; clips then carry these, and no pictures.
    """

    faces: Faces
    settings: TrainSettings
    px: int
    preprocessing: str
    features: NDArray[np.float32] | None = None

    @classmethod
    def to(cls, entry: ModelEntry, settings: TrainSettings, faces: Faces) -> Shown:
        """Return faces as the system of the settings sees them."""
        return cls(faces, settings, settings.input_px or entry.input_px, entry.preprocessing)

    @property
    def kind(self) -> Kind:
        """What is seen at once."""
        return kind_of(self.settings.model)

    @cached_property
    def neutral(self) -> NeutralFaces:
        """The neutral faces of everybody."""
        return NeutralFaces(self.faces)

    def items(self, rows: NDArray[np.intp], *, whole: bool = False) -> NDArray[np.intp]:
        """Return what can be seen of some pictures: (n, 1), or clips (n, t); see the module.

        Parameters
        ----------
        rows : (n,) int
        whole : bool
            Let clips cover every picture, for predictions.
        """
        if self.kind != "clip":
            return rows[:, None]
        how = self.settings.clip
        n = how.frames or _FRAMES[self.settings.model]
        every = n if whole else how.every or n
        clips = [cut(r, n, every, whole=whole) for r in runs(self.faces, rows, how.largest_gap)]
        return np.concatenate(clips) if clips else np.empty((0, n), np.intp)

    def varied(
        self, items: NDArray[np.intp], *, epoch: int, repeats: NDArray[np.intp] | None = None
    ) -> Batch:
        """Return a batch varied at random, by numbers that depend on seed, epoch and picture alone.

        Parameters
        ----------
        items : (b, t) int
        epoch : int
        repeats : (b,) int, optional
            How often each came before in this epoch: it is varied in another way each time.
        """
        seed, how = self.settings.seed, self.settings.augmentation
        if self.kind == "picture":
            return varied_batch(
                self.faces, items[:, 0], self.px, self.preprocessing, how,
                seed=seed, epoch=epoch, repeats=repeats, window=self.settings.window,
            )  # fmt: skip
        if self.features is not None:
            return self._of_features(items, epoch)
        images, truths = [], []
        for i, item in enumerate(items):
            repeat = int(repeats[i]) if repeats is not None else 0
            key = (seed, epoch, int(item[0]), *((repeat,) if repeat else ()))
            seen, truth = [], self._truth(item)
            for j, picture in enumerate(
                self._pictures(item, np.random.default_rng((*key, _NEUTRAL)))
            ):
                rng, grain = np.random.default_rng(key), np.random.default_rng((*key, j, _GRAIN))
                done = varied(picture, None, self.px, how, rng=rng, grain=grain)
                seen.append(done.image)
                if j == 0 and done.is_mirrored:
                    truth = in_a_mirror(truth, self.faces.names)
            images.append(torch.stack(seen))
            truths.append(truth)
        return self._batch(items, torch.stack(images), np.stack(truths), epoch)

    def plain(self, items: NDArray[np.intp]) -> Batch:
        """Return a batch without variation."""
        if self.kind == "picture":
            return plain_batch(
                self.faces, items[:, 0], self.px, self.preprocessing, self.settings.window
            )
        if self.features is not None:
            return self._of_features(items, -1)
        pictures = np.stack([np.stack(self._pictures(item)) for item in items])
        images = torch.from_numpy(pictures).permute(0, 1, 4, 2, 3) / 255
        small = resized(images.flatten(0, 1), self.px)
        small = small.view(*images.shape[:2], *small.shape[1:])
        truth = np.stack([self._truth(item) for item in items])
        return self._batch(items, small, truth, -1)

    def _pictures(
        self, item: NDArray[np.intp], rng: np.random.Generator | None = None
    ) -> list[NDArray[np.uint8]]:
        images = self.faces.images
        if self.kind == "clip":
            there = item[item != NOTHING]
            lacking = len(item) - len(there)
            return [np.asarray(images[int(row)]) for row in [*there, *[there[-1]] * lacking]]
        shown = np.asarray(images[int(item[0])])
        if not self.settings.neutral_reference:
            return [shown, shown]
        references = self.neutral.of(int(item[0]), rng)
        if len(references) == 1:
            return [np.asarray(images[int(references[0])]), shown]
        middle = np.median(np.asarray(images[references]), axis=0)
        return [middle.astype(np.uint8), shown]

    def _truth(self, item: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the labels: (k,), of a clip (t, k), NaN where it lacks a picture."""
        if self.kind == "pair":
            return np.array(self.faces.truth[item[0]])
        truth = np.array(self.faces.truth[item])
        truth[item == NOTHING] = np.nan
        return truth

    def _of_features(self, items: NDArray[np.intp], epoch: int) -> Batch:
        assert self.features is not None
        truth = np.stack([self._truth(item) for item in items])
        features = np.where((items == NOTHING)[..., None], 0, self.features[items])
        batch = self._batch(items, None, truth, epoch)
        return replace(batch, features=torch.from_numpy(features))

    def _batch(
        self, items: NDArray[np.intp], images: Tensor | None, truth: NDArray[np.float32], epoch: int
    ) -> Batch:
        seen = torch.empty(*items.shape, 0)
        if images is not None:
            flat = normalised(images.flatten(0, 1), self.preprocessing)
            seen = flat.view(*images.shape[:2], *flat.shape[1:])
        sound = None
        if self.kind == "clip" and self.faces.sound is not None:
            heard = np.nan_to_num(self.faces.sound[items])
            sound = torch.from_numpy(np.where((items == NOTHING)[..., None], np.float32(0), heard))
        return Batch(
            seen,
            torch.from_numpy(truth),
            None,
            torch.from_numpy(items[:, 0].astype(np.int64)),
            epoch,
            missing=torch.from_numpy(items == NOTHING) if self.kind == "clip" else None,
            sound=sound,
        )
