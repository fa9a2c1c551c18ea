"""Quadrants of affect: derive them from regression, or classify them? A small study on rendered faces.

    python tests/benchmarks/quadrant_study.py TRAIN TEST [--epochs 6] [--seeds 2] [--out FILE.jsonl]

TRAIN and TEST are prepared sets of rendered faces with Action Unit labels, of different identities.

**This is plumbing, not validity.** No human has rated these faces. Valence and arousal are *defined* here, by
a toy mapping from the intensities of the prototypes that were rendered (`TOY`), so that there is a truth to
compare two ways of learning quadrants with. No figure of this study says anything about real affect.

Two networks with the same layers, pictures and epochs: one learns valence and arousal (squared error and
concordance) and quadrants follow from its answers, with the usual radius of what is neutral and with one
fitted on training faces; the other learns the five quadrants themselves.
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
from duchenne.analysis.face.affect import NEUTRAL_RADIUS
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


def fitted_radius(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the radius within which answers to training faces are best called neutral."""
    true = quadrant_numbers(*truth.T)
    grid = np.arange(0.05, 0.85, 0.05)
    hits = [confusion(true, quadrant_numbers(*found.T, neutral_radius=r)).accuracy for r in grid]
    return float(grid[int(np.argmax(hits))])


def judged(truth: NDArray[np.float64], numbers: NDArray[np.int64]) -> dict[str, object]:
    """Return how well quadrants are hit."""
    true, near = quadrant_numbers(*truth.T), near_border(truth)
    shown = true != LABELS.index("neutral")
    score = confusion(true, numbers)
    return {
        "accuracy": score.accuracy,
        "balanced": score.balanced_accuracy,
        "near": confusion(true[near], numbers[near]).accuracy,
        "far": confusion(true[~near], numbers[~near]).accuracy,
        "not_neutral": confusion(true[shown], numbers[shown]).accuracy,
        "opposite": opposite(score),
        "confusion": score.confusion.tolist(),
    }


def dimensions(truth: NDArray[np.float64], found: NDArray[np.float64]) -> dict[str, float]:
    """Return how well valence and arousal are hit; signs alone of faces that are not neutral."""
    shown = np.hypot(*truth.T) >= NEUTRAL_RADIUS
    row = {}
    for i, name in enumerate(("valence", "arousal")):
        pair = truth[:, i], found[:, i]
        row |= {f"{name}_ccc": ccc(*pair), f"{name}_rmse": rmse(*pair)}
        row[f"{name}_sagr"] = sagr(truth[shown, i], found[shown, i])
    return row


def main() -> int:
    """Train both ways and tell every figure, a line of JSON each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--every", type=int, default=2, help="Learn from every n-th picture.")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, truth = pictures(asked.train, asked.every)
    test_images, test_truth = pictures(asked.test)
    true = quadrant_numbers(*test_truth.T)
    lines: list[dict[str, object]] = [
        {
            "labels": LABELS, "n_train": len(truth), "n_test": len(true),
            "shares": (np.bincount(true, minlength=len(LABELS)) / len(true)).tolist(),
            "near_border": float(near_border(test_truth).mean()),
        }
    ]  # fmt: skip
    for seed in range(asked.seeds):
        begun = time.process_time()
        net = learn(images, truth, "regression", asked.epochs, seed)
        found = np.clip(answers(net, test_images), -1, 1)
        radius = fitted_radius(np.clip(answers(net, images[::4]), -1, 1), truth[::4])
        for way, r in (("regression", NEUTRAL_RADIUS), ("regression, radius fitted", radius)):
            numbers = quadrant_numbers(*found.T, neutral_radius=r)
            about = {"way": way, "seed": seed, "radius": r}
            lines.append(about | judged(test_truth, numbers) | dimensions(test_truth, found))
        classes = answers(learn(images, truth, "classes", asked.epochs, seed), test_images)
        numbers = classes.argmax(axis=1).astype(np.int64)
        lines.append({"way": "classes", "seed": seed} | judged(test_truth, numbers))
        lines[-1]["cpu_s_of_both"] = time.process_time() - begun
        for line in lines[-3:]:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    if asked.out is not None:
        asked.out.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return 0


def opposite(score: QuadrantScore) -> float:
    """Return the share of faces that are taken for the opposite quadrant."""
    counts = score.confusion
    across = counts[0, 2] + counts[2, 0] + counts[1, 3] + counts[3, 1]
    return float(across) / float(counts.sum())


if __name__ == "__main__":
    raise SystemExit(main())
