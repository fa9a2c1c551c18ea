"""The networks of the ``geometry`` backend while they are trained. Needs torch."""

from __future__ import annotations

import numpy as np
import torch
from au_geometry_faces import LOCKED, OUTPUTS, Faces, at_rest
from torch import nn

from duchenne.analysis.face.geometry.measures import BLOCKS, measure_names

MESH_PARTS, FEATURES, STRANGE, MEMBERS = 96, 112, 64, 4
HIDDEN = (192, 96)
BATCH = 128
N_THIRD = 17
# Noise added to each standardised part of each picture.
NOISE = 0.07
# How much more an error counts where no action is shown, and again where it is above 0.
CALM_WEIGHT, FALSE_WEIGHT = 1.4, 2.0
# What skin and brows of many real faces do at intensity 5, and the rendered ones do not, or little: the
# chin dimples, brows are knit. Added to the rendered measures at random strength, often not at all.
REAL_SIGNS = {
    ("AU04", "contrast_glabella"): 1.0,
    ("AU04", "brow_gap"): -0.035,
    ("AU01", "contrast_forehead_middle"): 0.5,
    ("AU09", "contrast_nose_root"): 0.8,
    ("AU17", "contrast_chin"): 1.0,
    ("AU15", "contrast_chin"): 0.3,
    ("AU06", "contrast_eye_corner_L"): 0.8,
    ("AU06", "contrast_eye_corner_R"): 0.8,
}
OWN, TYPICAL, HABITUAL = range(3)


def principal(deltas: np.ndarray, parts: int) -> np.ndarray:
    """Return the directions in which measures change most: (k, parts), scaled to unit spread."""
    some = deltas[np.random.default_rng(0).permutation(len(deltas))[:5000]]
    _, singular, directions = np.linalg.svd(some - some.mean(axis=0), full_matrices=False)
    return directions[:parts].T / (singular[:parts] / np.sqrt(len(some)) + 1e-9)


def first_map(faces: Faces) -> np.ndarray:
    """Return the fixed linear map from measures to standardised parts: (k, p)."""
    n, _, k = faces.measures.shape
    some = np.random.default_rng(0).permutation(n)[:6000]
    deltas = (
        (faces.measures[some] - at_rest(faces)[faces.person[some]])
        .reshape(-1, k)
        .astype(np.float64)
    )
    spread = deltas.std(axis=0)
    mesh = BLOCKS["mesh"]
    plain = [*range(mesh.start), *range(mesh.stop, k)]
    blocks = np.zeros((k, len(plain) + MESH_PARTS))
    blocks[plain, np.arange(len(plain))] = 1.0 / (spread[plain] + 1e-3)
    blocks[mesh, len(plain) :] = principal(deltas[:, mesh], MESH_PARTS)
    return blocks


def part_blocks() -> dict[str, slice]:
    """Return where each kind of measure lies among the parts of :func:`first_map`."""
    mesh = BLOCKS["mesh"]
    n_plain = BLOCKS["log_odds"].stop - (mesh.stop - mesh.start)
    blocks = {"mesh": slice(n_plain, None)}
    for name in ("pose", "blendshapes", "distances"):
        blocks[name] = BLOCKS[name]
    shift = mesh.stop - mesh.start
    for name in ("contrast", "log_odds"):
        blocks[name] = slice(BLOCKS[name].start - shift, BLOCKS[name].stop - shift)
    return blocks


def real_folds(n: int) -> list[np.ndarray]:
    """Return the real persons that each member of the networks for strangers is not told about.

    Three neighbours belong together, so that every third person is kept from the same member in both stages.
    """
    together = 3 if n > N_THIRD else 1
    return [np.flatnonzero(np.arange(n) // together % MEMBERS == k) for k in range(MEMBERS)]


def real_signs(first: np.ndarray) -> dict[str, dict[int, float]]:
    """Return, for each Action Unit, what its real signs add to which part at intensity 5."""
    names = measure_names()
    signs: dict[str, dict[int, float]] = {}
    for (au, name), amount in REAL_SIGNS.items():
        row = first[names.index(name)]
        part = int(np.abs(row).argmax())
        signs.setdefault(au, {})[part] = amount * row[part]
    return signs


class Both(nn.Module):
    """The linear maps and the two kinds of networks."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.map = nn.Linear(parts, FEATURES, bias=False)
        self.strange_map = nn.Linear(parts, STRANGE, bias=False)
        self.own = nn.ModuleList(_layers(3 + FEATURES) for _ in range(MEMBERS))
        self.strange = nn.ModuleList(_layers(3 + FEATURES + STRANGE + 1) for _ in range(MEMBERS))

    def known(self, pose: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return outputs of each member, in units of 5 intensities, where the neutral face is known."""
        inputs = torch.cat([pose, self.map(own)], dim=1)
        return torch.stack([member(inputs) for member in self.own])

    def unknown(
        self, pose: torch.Tensor, own: torch.Tensor, strange: torch.Tensor, mode: torch.Tensor
    ) -> torch.Tensor:
        """Return outputs of each member where the face is compared with a habitual or typical one."""
        habitual = (mode == HABITUAL).float()[:, None]
        inputs = [pose, self.map(own) * habitual, self.strange_map(strange), habitual]
        inputs = torch.cat(inputs, dim=1)
        return torch.stack([member(inputs) for member in self.strange])


def _layers(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN[0]), nn.ReLU(), nn.Dropout(0.15),
        nn.Linear(HIDDEN[0], HIDDEN[1]), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(HIDDEN[1], len(OUTPUTS)),
    )  # fmt: skip


class Sampler:
    """Draws training rows: picture, view, and the face that it is compared with."""

    def __init__(self, faces: Faces, first: np.ndarray, real: np.ndarray, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        parts = (faces.measures @ first.astype(np.float32)).astype(np.float32)
        self.faces, self.parts = faces, parts
        self.real = real = (real @ first).astype(np.float32)
        self.folds = real_folds(len(real))
        self.signs = real_signs(first)
        self.typical = np.median(real, axis=0)
        # The log-odds of resting faces differ too much between persons to compare strangers in them.
        self.comparable = np.ones(parts.shape[-1], np.float32)
        self.comparable[part_blocks()["log_odds"]] = 0.0
        self.rows = [np.flatnonzero(faces.person == p) for p in range(faces.person.max() + 1)]
        self.blocks = part_blocks()

    def epoch(self) -> tuple[np.ndarray, ...]:
        """Return pose, own difference, difference from the typical face, mode, truth and fold."""
        out: list[tuple[np.ndarray, ...]] = []
        for rows in self.rows:
            kind = self.faces.kind[rows]
            for view in range(self.parts.shape[1]):
                values = self.parts[rows, view]
                rest = np.flatnonzero(kind == 0)
                if not len(rest):
                    continue
                out.append(self._person(rows, values, kind, rest))
        return tuple(
            np.concatenate(column).astype(np.int64 if i in (3, 5) else np.float32)
            for i, column in enumerate(zip(*out, strict=True))
        )

    def _gains(self) -> np.ndarray:
        """Return how strongly each kind of measure answers in this person: (p,).

        Rendered skin folds where it is told to; real skin need not. Whole kinds of measures are
        weakened or left out at random, so that none is relied on alone.
        """
        rng = self.rng
        gains = np.ones(self.parts.shape[-1])
        shapes = np.exp(rng.normal(0, 0.15)) * (rng.random() > 0.1)
        gains[self.blocks["blendshapes"]] = gains[self.blocks["log_odds"]] = shapes
        gains[self.blocks["distances"]] = gains[self.blocks["mesh"]] = np.exp(rng.normal(0, 0.12))
        gains[self.blocks["contrast"]] = rng.uniform(0, 1.3) * (rng.random() > 0.25)
        return gains

    def _signs(self, truth: np.ndarray) -> np.ndarray:
        """Return what real faces do besides, in one person's way: (n, p)."""
        rng = self.rng
        added = np.zeros((len(truth), self.parts.shape[-1]))
        for au, parts in self.signs.items():
            strength = rng.uniform(0, 1) * (rng.random() > 0.4)
            for part, amount in parts.items():
                added[:, part] += strength * amount * truth[:, OUTPUTS.index(au)] / 5
        return added

    def _person(
        self, rows: np.ndarray, values: np.ndarray, kind: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        rng = self.rng
        middle = np.median(values[rest], axis=0)
        values = middle + (values - middle) * self._gains() + rng.normal(0, NOISE, values.shape)
        truth = self.faces.truth[rows]
        values += self._signs(truth)
        n_rest = 3 if rng.random() < 0.6 else int(rng.integers(1, 4))
        own = np.median(values[rng.permutation(rest)[:n_rest]], axis=0)
        others, fold = values, -1
        if rng.random() < 0.8:  # the same actions on a real person's resting face
            fold = int(rng.integers(MEMBERS))
            one, two, three = self.real[rng.permutation(self.folds[fold])[:3]]
            others = values - middle + one + rng.uniform(0.2, 1.8) * (two - three)
        calm = np.flatnonzero(np.isin(kind, LOCKED))
        active = np.flatnonzero(~np.isin(kind, LOCKED))
        n_active = int(rng.integers(0, max(len(active), 1)))
        some = np.concatenate([calm, rng.permutation(active)[:n_active]])
        habitual = np.median(others[some], axis=0)
        strange = (others - self.typical) * self.comparable
        pose = values[:, :3]
        n = len(rows)
        blocks = [
            (OWN, values - own, values - own),
            (TYPICAL, others - self.typical, strange),
            (HABITUAL, others - habitual, strange),
        ]
        return (
            np.concatenate([pose] * 3),
            np.concatenate([block[1] for block in blocks]),
            np.concatenate([block[2] for block in blocks]),
            np.concatenate([np.full(n, block[0]) for block in blocks]),
            np.concatenate([truth] * 3),
            np.repeat([-1, fold, fold], n),
        )


def train(
    faces: Faces,
    real: np.ndarray,
    first: np.ndarray,
    pose_scale: np.ndarray,
    *,
    epochs: int,
    rate: float,
    seed: int = 0,
    start: Both | None = None,
) -> Both:
    """Return the trained networks, new ones or those of `start` trained further."""
    torch.manual_seed(seed)
    sampler = Sampler(faces, first, real, seed)
    parts = sampler.parts
    net = (Both(parts.shape[-1]) if start is None else start).train()
    weights = torch.tensor(1.0 / (faces.truth.std(axis=0) / 5 + 0.06)).float()
    steps = len(faces.kind) * parts.shape[1] // BATCH - 1
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps)
    scale = torch.tensor(pose_scale, dtype=torch.float32)

    members = torch.arange(MEMBERS)[:, None, None]

    def loss_of(predicted: torch.Tensor, truth: torch.Tensor, fold: torch.Tensor) -> torch.Tensor:
        calm = truth.max(dim=1, keepdim=True).values == 0
        error = (predicted - truth / 5) * weights
        heavy = 1.0 + calm * (CALM_WEIGHT**2 - 1.0 + FALSE_WEIGHT * (predicted > 0))
        return (heavy * error**2 * (members != fold[None, :, None])).mean()

    for epoch in range(epochs):
        pose, own, strange, mode, truth, fold = (torch.from_numpy(a) for a in sampler.epoch())
        pose = pose / scale
        first, other = (torch.nonzero(m)[:, 0] for m in (mode == OWN, mode != OWN))
        first, other = first[torch.randperm(len(first))], other[torch.randperm(len(other))]
        loss_sum = 0.0
        for k in range(min(steps, len(first) // BATCH)):
            i = first[k * BATCH : (k + 1) * BATCH]
            j = other[2 * k * BATCH : 2 * (k + 1) * BATCH]
            known = net.known(pose[i], own[i])
            unknown = net.unknown(pose[j], own[j], strange[j], mode[j])
            loss = loss_of(known, truth[i], fold[i]) + loss_of(unknown, truth[j], fold[j])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            loss_sum += float(loss.detach())
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss_sum / steps:.4f}", flush=True)
    return net.eval()
