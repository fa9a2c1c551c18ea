"""How pictures become what a network sees: varied for training, plain for evaluation.

Every picture is varied by numbers drawn from the seed, the epoch and its own number, so that a training that
goes on after a break sees what it would have seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as fn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.settings import Augmentation

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Points of the 68 that change places in a mirror.
_MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What a task gets.

    Parameters
    ----------
    images : (b, 3, px, px) float32
        Normalised as the system wants it; (b, t, 3, px, px) for pairs and clips.
    truth : (b, k) float32
        NaN where not known; (b, t, k) for clips.
    landmarks : (b, 68, 2) float32 or None
        Pixels of ``images``.
    rows : (b,) int64
        The numbers of the pictures, of a clip that of its first; they stay on the CPU.
    epoch : int
        From 0; -1 outside of training.
    missing : (b, t) bool, optional
        Pictures that a clip lacks at its end.
    sound : (b, t, k) float32, optional
        Features of the sound, 0 where there is none.
    features : (b, t, f) float32, optional
        What a frozen encoder tells of each picture, in the place of pictures.
    """

    images: Tensor
    truth: Tensor
    landmarks: Tensor | None
    rows: Tensor
    epoch: int = -1
    missing: Tensor | None = None
    sound: Tensor | None = None
    features: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the same on another device."""
        return self._each(lambda values: values.to(device), self.rows)

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, first: int, last: int) -> Batch:
        """Return some rows."""
        return self._each(lambda values: values[first:last], self.rows[first:last])

    def _each(self, change: Callable[[Tensor], Tensor], rows: Tensor) -> Batch:
        def changed(values: Tensor | None) -> Tensor | None:
            return None if values is None else change(values)

        return Batch(
            change(self.images), change(self.truth), changed(self.landmarks), rows, self.epoch,
            missing=changed(self.missing), sound=changed(self.sound), features=changed(self.features),
        )  # fmt: skip


@dataclass(frozen=True)
class Varied:
    """A picture that was varied.

    Parameters
    ----------
    image : (3, px, px) float32
        0 to 1.
    points : (68, 2) float32 or None
        Its landmarks, in its pixels.
    is_mirrored : bool
    """

    image: Tensor
    points: NDArray[np.float32] | None
    is_mirrored: bool


def normalised(images: Tensor, preprocessing: str) -> Tensor:
    """Return pictures, (b, 3, h, w) from 0 to 1, as a system wants them.

    Parameters
    ----------
    images : Tensor
    preprocessing : str
        Of its entry: which of the known ways it begins with or names.
    """
    if preprocessing.startswith("ImageNet"):
        mean, spread = (images.new_tensor(v)[:, None, None] for v in _IMAGENET)
        return (images - mean) / spread
    if preprocessing.startswith(("-1 to 1", "mean and standard deviation 0.5")):
        return images * 2 - 1
    if preprocessing.startswith("RGB, 0 to 1"):
        return images
    if preprocessing.startswith("BGR, 0 to 255"):
        mean = images.new_tensor((103.94, 116.78, 123.68))[:, None, None]
        return images.flip(1) * 255 - mean
    if preprocessing.startswith("RGB, 0 to 255 less"):
        mean = images.new_tensor((123.68, 116.78, 103.94))[:, None, None]
        return images * 255 - mean
    raise ValueError(f"no such way to prepare pictures: {preprocessing}")


def resized(images: Tensor, px: int) -> Tensor:
    """Return pictures, (b, 3, h, h), of another side."""
    if images.shape[-1] == px:
        return images
    return fn.interpolate(
        images, size=px, mode="bilinear", align_corners=False, antialias=px < images.shape[-1]
    )


def middle(images: Tensor, window: float | None) -> tuple[Tensor, int]:
    """Return the middle of pictures, (b, 3, h, h), and how many pixels were cut off on the left and above.

    Parameters
    ----------
    images : Tensor
    window : float, optional
        Share of the side that stays; all of it where absent.
    """
    side = images.shape[-1]
    size = round(side * (window or 1.0))
    cut = (side - size) // 2
    return images[..., cut : cut + size, cut : cut + size], cut


def plain_batch(
    faces: Faces,
    rows: NDArray[np.intp],
    px: int,
    preprocessing: str,
    window: float | None = None,
) -> Batch:
    """Return pictures without variation, resized; of `window` only the middle."""
    images = torch.from_numpy(np.ascontiguousarray(faces.images[rows])).permute(0, 3, 1, 2) / 255
    images, cut = middle(images, window)
    points = None
    if faces.landmarks is not None:
        scale = px / images.shape[-1]
        points = (torch.from_numpy(np.ascontiguousarray(faces.landmarks[rows])) - cut) * scale
    images = resized(images, px)
    truth = torch.from_numpy(np.ascontiguousarray(faces.truth[rows]))
    return Batch(
        normalised(images, preprocessing),
        truth,
        points,
        torch.from_numpy(np.asarray(rows, np.int64)),
    )


def varied_batch(
    faces: Faces,
    rows: NDArray[np.intp],
    px: int,
    preprocessing: str,
    how: Augmentation,
    *,
    seed: int,
    epoch: int,
    repeats: NDArray[np.intp] | None = None,
    window: float | None = None,
) -> Batch:
    """Return pictures varied at random, each by its own numbers; `repeats` as in `Shown.varied`."""
    pictures, truths, points = [], [], []
    for i, row in enumerate(rows):
        repeat = int(repeats[i]) if repeats is not None else 0
        rng = np.random.default_rng((seed, epoch, int(row), *((repeat,) if repeat else ())))
        mark = None if faces.landmarks is None else np.array(faces.landmarks[row])
        done = varied(faces.images[row], mark, px, how, rng=rng, grain=rng, window=window)
        truth = np.array(faces.truth[row])
        pictures.append(done.image)
        truths.append(in_a_mirror(truth, faces.names) if done.is_mirrored else truth)
        points.append(done.points)
    landmarks = None
    if faces.landmarks is not None:
        landmarks = torch.from_numpy(np.stack([p for p in points if p is not None]))
    images = normalised(torch.stack(pictures), preprocessing)
    images = images.contiguous(memory_format=torch.channels_last)
    numbers = torch.from_numpy(np.asarray(rows, np.int64))
    return Batch(images, torch.from_numpy(np.stack(truths)), landmarks, numbers, epoch)


def varied(
    picture: NDArray[np.uint8],
    points: NDArray[np.float32] | None,
    px: int,
    how: Augmentation,
    *,
    rng: np.random.Generator,
    grain: np.random.Generator,
    window: float | None = None,
) -> Varied:
    """Return a picture varied at random.

    Parameters
    ----------
    picture : (h, h, 3) uint8
    points : (68, 2) float32, optional
        Its landmarks.
    px : int
        Side of the result.
    how : Augmentation
    rng : Generator
        Mirrors, cuts out and lights; pictures that belong together have equal ones.
    grain : Generator
        Gives the noise and covers parts.
    window : float, optional
        Share of the side that is cut out; `how` says the least of it where absent.
    """
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    is_mirrored = how.flip and rng.random() < 0.5
    if is_mirrored:
        image = image.flip(2)
        if points is not None:
            points = points[list(_MIRRORED)]
            points[:, 0] = image.shape[-1] - points[:, 0]
    shares = (how.crop, 1.0) if window is None else (window, window)
    image, points = _cropped(image, points, px, shares, rng)
    return Varied(_relit(image, how, rng, grain), points, is_mirrored)


def in_a_mirror(labels: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the labels of mirrored pictures: those of sides change places.

    Parameters
    ----------
    labels : (..., k) float32
    names : sequence of str
        ``AU12L`` and ``AU12R`` are two sides; what is not labelled on the other side is not known in the
        mirror.

    Returns
    -------
    (..., k) float32
    """
    swapped = np.full_like(labels, np.nan)
    for i, name in enumerate(names):
        other = name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name[-1] in "LR" else name
        if other in names:
            swapped[..., i] = labels[..., names.index(other)]
    return swapped


def _cropped(
    image: Tensor,
    points: NDArray[np.float32] | None,
    px: int,
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Tensor, NDArray[np.float32] | None]:
    side = image.shape[-1]
    size = max(2, round(side * rng.uniform(*shares)))
    left, top = (int(v) for v in rng.integers(0, side - size + 1, 2))
    cut = image[:, top : top + size, left : left + size]
    if size != px:
        cut = fn.interpolate(
            cut[None], size=px, mode="bilinear", align_corners=False, antialias=px < size
        )[0]
    if points is not None:
        points = (points - np.array([left, top], np.float32)) * np.float32(px / size)
    return cut, points


def _relit(
    image: Tensor, how: Augmentation, rng: np.random.Generator, grain: np.random.Generator
) -> Tensor:
    light = 1 + rng.uniform(-how.brightness, how.brightness)
    contrast = 1 + rng.uniform(-how.contrast, how.contrast)
    colour = torch.tensor(1 + rng.uniform(-how.colour, how.colour, 3), dtype=torch.float32)
    image = (image - image.mean()) * contrast + image.mean()
    image = image * light * colour[:, None, None]
    if how.blur > 0:
        image = _blurred(image, rng.uniform(0, how.blur))
    if how.noise > 0:
        noise = grain.normal(0, grain.uniform(0, how.noise), tuple(image.shape))
        image = image + torch.from_numpy(noise.astype(np.float32))
    if grain.random() < how.erase:
        side = image.shape[-1]
        height, width = (int(v) for v in grain.uniform(0.1, 0.4, 2) * side)
        top, left = int(grain.integers(0, side - height)), int(grain.integers(0, side - width))
        image[:, top : top + height, left : left + width] = float(grain.random())
    return image.clamp(0, 1)


def _blurred(image: Tensor, sigma_px: float) -> Tensor:
    if sigma_px < 0.2:
        return image
    reach = max(1, round(2.5 * sigma_px))
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    bell = torch.exp(-(at**2) / (2 * sigma_px**2))
    bell = bell / bell.sum()
    padded = fn.pad(image[None], (reach,) * 4, mode="replicate")
    wide = fn.conv2d(padded, bell.view(1, 1, 1, -1).expand(3, 1, 1, -1), groups=3)
    return fn.conv2d(wide, bell.view(1, 1, -1, 1).expand(3, 1, -1, 1), groups=3)[0]
