"""Quadrants of affect: derive them from regression, or classify them? A small study on rendered faces.

    python tests/benchmarks/quadrant_study.py TRAIN TEST [--epochs 4] [--seeds 2] [--out FILE.md]

TRAIN and TEST are prepared sets of rendered faces with Action Unit labels, of different identities.

**This is plumbing, not validity.** No human has rated these faces. Valence and arousal are *defined* here, by
a toy mapping from the intensities of the prototypes that were rendered (`TOY`), so that there is a truth to
compare two ways of learning quadrants with. No figure of this study says anything about real affect.

Two networks with the same layers, pictures and epochs: one learns valence and arousal (squared error and
concordance) and quadrants follow from its answers; the other learns the five quadrants themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.affect.quadrants import (
    LABELS,
    QuadrantScore,
    confusion,
    polar,
    quadrant_numbers,
)
from duchenne.analysis.training.losses import concordance
from duchenne.analysis.training.metrics import ccc, rmse, sagr
from duchenne.analysis.training.prepared import read_faces

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

PX = 48
# Toy places in the plane, made up for this study: Action Units, valence, arousal.
TOY = (
    ("happiness", (6, 12, 25), 0.9, 0.5),
    ("contentment", (12, 45), 0.7, -0.7),
    ("sadness", (1, 4, 15), -0.8, -0.6),
    ("weariness", (15, 45), -0.5, -0.8),
    ("surprise", (1, 2, 5, 26), 0.3, 0.9),
    ("fear", (1, 2, 4, 5, 20), -0.7, 0.8),
    ("anger", (4, 5, 7, 23), -0.8, 0.7),
    ("disgust", (9, 10, 17), -0.8, 0.3),
)
GAIN = 2.0
BORDER = 0.1
"""A face this close to a border between quadrants counts as near it."""


def toy_affect(units: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the toy's valence and arousal of each face: (n, 2), within the unit disc."""
    place = {name: i for i, name in enumerate(names)}
    total = np.zeros((len(units), 2))
    for _, numbers, valence, arousal in TOY:
        known = [place[f"AU{number:02d}"] for number in numbers]
        strength = (units[:, known] / 5).mean(axis=1)
        total += GAIN * strength[:, None] * np.array([valence, arousal])
    radius = np.hypot(*total.T)
    return total / np.maximum(radius, 1.0)[:, None]


class Small(nn.Module):
    """Four convolutions and one layer."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for n_out in (16, 32, 64, 64):
            layers += [
                nn.Conv2d(n_in, n_out, 3, padding=1),
                nn.BatchNorm2d(n_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            n_in = n_out
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 9, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_outputs)."""
        found: Tensor = self.head(self.body(x))
        return found


def pictures(folder: Path, every: int = 1) -> tuple[Tensor, NDArray[np.float64]]:
    """Return grey pictures of 48 px, and the toy's labels."""
    faces = read_faces(folder)
    rows = np.arange(0, len(faces), every)
    grey = []
    for first in range(0, len(rows), 1024):
        block = np.ascontiguousarray(faces.images[rows[first : first + 1024]][..., 0])
        pixels = torch.from_numpy(block)[:, None].float() / 255
        grey.append(fn.interpolate(pixels, size=PX, mode="area"))
    images = torch.cat(grey)
    images = (images - images.mean(dim=(1, 2, 3), keepdim=True)) * 4
    return images, toy_affect(faces.truth[rows].astype(np.float64), faces.names)


def learn(images: Tensor, truth: NDArray[np.float64], way: str, epochs: int, seed: int) -> Small:
    """Train one network."""
    torch.manual_seed(seed)
    net = Small(2 if way == "regression" else len(LABELS))
    affect = torch.from_numpy(truth).float()
    labels = torch.from_numpy(quadrant_numbers(*truth.T))
    step = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    draw = torch.Generator().manual_seed(seed)
    n, size = len(images), 128
    rates = torch.optim.lr_scheduler.OneCycleLR(step, 4e-3, total_steps=epochs * (n // size))
    for _ in range(epochs):
        order = torch.randperm(n, generator=draw)
        net.train()
        for first in range(0, n - size + 1, size):
            rows = order[first : first + size]
            batch = images[rows]
            if bool(torch.rand(1, generator=draw) < 0.5):
                batch = batch.flip(-1)
            found = net(batch)
            if way == "regression":
                wanted = affect[rows]
                apart = [1 - concordance(found[:, i], wanted[:, i]) for i in (0, 1)]
                loss = fn.mse_loss(found, wanted) + torch.stack(apart).mean()
            else:
                loss = fn.cross_entropy(found, labels[rows])
            step.zero_grad()
            loss.backward()
            step.step()
            rates.step()
    return net.eval()


def answers(net: Small, images: Tensor) -> NDArray[np.float64]:
    """Return what a network says to the pictures and their mirror images, the mean."""
    with torch.no_grad():
        parts = [
            (net(images[i : i + 512]) + net(images[i : i + 512].flip(-1))) / 2
            for i in range(0, len(images), 512)
        ]
    return np.asarray(torch.cat(parts).double().numpy(), np.float64)


def near_border(truth: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which faces lie near a border: an axis, or the circle of the neutral ones."""
    radius, _ = polar(*truth.T)
    axis = np.abs(truth).min(axis=1) < BORDER
    return np.where(radius < 0.2, radius > 0.2 - BORDER, axis | (radius < 0.2 + BORDER))


def main() -> int:
    """Train both ways and write a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--every", type=int, default=2, help="Learn from every n-th picture.")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, truth = pictures(asked.train, asked.every)
    test_images, test_truth = pictures(asked.test)
    true = quadrant_numbers(*test_truth.T)
    near = near_border(test_truth)
    shares = np.bincount(true, minlength=len(LABELS)) / len(true)
    rows = []
    sums: dict[str, NDArray[np.int64]] = {}
    for seed in range(asked.seeds):
        for way in ("regression", "classes"):
            begun = time.process_time()
            found = answers(learn(images, truth, way, asked.epochs, seed), test_images)
            if way == "regression":
                found = np.clip(found, -1, 1)
                numbers = quadrant_numbers(*found.T)
            else:
                numbers = found.argmax(axis=1).astype(np.int64)
            score = confusion(true, numbers)
            sums[way] = sums.get(way, np.zeros_like(score.confusion)) + score.confusion
            row = {
                "way": way, "seed": seed, "accuracy": score.accuracy,
                "balanced": score.balanced_accuracy,
                "near": confusion(true[near], numbers[near]).accuracy,
                "far": confusion(true[~near], numbers[~near]).accuracy,
                "opposite": opposite(score), "cpu_s": time.process_time() - begun,
            }  # fmt: skip
            if way == "regression":
                for i, name in enumerate(("valence", "arousal")):
                    pair = test_truth[:, i], found[:, i]
                    row |= {
                        f"{name}_ccc": ccc(*pair),
                        f"{name}_rmse": rmse(*pair),
                        f"{name}_sagr": sagr(*pair),
                    }
            rows.append(row)
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
    told = {
        "labels": LABELS, "n_train": len(truth), "n_test": len(true), "shares": shares.tolist(),
        "near_border": float(near.mean()), "rows": rows,
        "confusion": {way: counts.tolist() for way, counts in sums.items()},
    }  # fmt: skip
    if asked.out is not None:
        asked.out.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def opposite(score: QuadrantScore) -> float:
    """Return the share of faces that are taken for the opposite quadrant."""
    counts = score.confusion
    across = counts[0, 2] + counts[2, 0] + counts[1, 3] + counts[3, 1]
    return float(across) / float(counts.sum())


if __name__ == "__main__":
    raise SystemExit(main())
