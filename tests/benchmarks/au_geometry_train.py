"""Train the networks of the ``geometry`` backend on rendered faces.

    python tests/benchmarks/au_geometry_train.py --data FOLDER --london FOLDER --out geometry_model.json

``--data`` holds the shards of ``au_geometry_render.py``; their measures are cached in ``FOLDER/measures3``.
``--london`` holds the Face Research Lab London Set (CC BY 4.0), whose neutral faces tell what real faces
look like at rest. Each person is kept from one of the four networks that compare strangers (the linear maps
before them know all).

Two stages: `EPOCHS` on the split ``train`` and 110 identities of ``calm`` with every third real person; then
`MORE_EPOCHS` at a lower rate with 200 identities of ``calm``, those of ``mixed`` and all real persons. The
other identities of ``calm`` are left for the dead zones.
With ``--leave-out 1`` (or 2), the 2nd, 5th, … (3rd, 6th, …) real person takes no part in either stage. These
two models are given to the last training (``--left-out ONE TWO``): what their strangers reach at rest sets
from where an action occurs without a neutral face.
Needs torch. The last line says what was written.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from duchenne.analysis.face.backends.geometry import GeometryBackend
from duchenne.analysis.face.cues import frontalise
from duchenne.analysis.face.frames import FaceFrames
from duchenne.analysis.face.geometry.measures import (
    BLOCKS,
    join_measures,
    measure_names,
    measures,
)
from duchenne.analysis.face.geometry.model import (
    EDGE,
    N_CONTEXT,
    GeometryModel,
    Network,
    read_model,
    turned,
    write_model,
)
from duchenne.analysis.face.geometry.texture import contrast, points_in_crop
from duchenne.analysis.face.landmarks import FaceTracker, pose_from_rotation

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 28, 45)
SIDED = ("AU12L", "AU12R", "AU14L", "AU14R")
OUTPUTS = (*(f"AU{unit:02d}" for unit in UNITS), *SIDED)
LOCKED = (0, 1, 6, 7, 8)  # kinds without any action: neutral, gaze, head, light
MESH_PARTS, FEATURES, STRANGE, MEMBERS = 96, 112, 64, 4
HIDDEN = (192, 96)
EPOCHS, MORE_EPOCHS, BATCH = 20, 6, 128
RATE, MORE_RATE = 1.5e-3, 6e-4
# Identities without any action: for the first stage, for the second, and from where on for dead zones.
N_CALM, N_MORE_CALM = 110, 200
N_THIRD = 17
# Noise added to each standardised part of each picture.
NOISE = 0.07
# How much more an error counts where no action is shown, and again where it is above 0.
CALM_WEIGHT, FALSE_WEIGHT = 1.4, 2.0
# The dead zone holds this share of the answers to held-out faces without any action: where the neutral
# face is known, and where it is not (there, a wider one would cost too many weak actions).
QUIET_SHARES = (0.985, 0.9)
# Compared with a typical face, an action occurs from this intensity, and above what real resting faces
# reach by this factor: they are few, and others will reach more.
STRANGE_OCCURRENCE, MOST_OCCURRENCE, STRANGE_MARGIN = 2.5, 5.0, 1.5
# What changes when a real person smiles: measured on those that training may use.
SMILE = {
    "L": ("log_odds_mouthSmileLeft", "mouth_corner_height_L"),
    "R": ("log_odds_mouthSmileRight", "mouth_corner_height_R"),
}
SMILE_OF_BOTH = ("mouth_protrusion", "log_odds_cheekPuff")
# Intensity of AU12 in the median smile of the Face Research Lab London Set, as the networks see it.
MEDIAN_SMILE = 2.7
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


@dataclass(frozen=True)
class Faces:
    """Measured faces: one row per picture, one column per view where there are two.

    Parameters
    ----------
    measures : (n, v, k) float32
    truth : (n, 26) float32
        Intensities in the order of ``OUTPUTS``.
    person, kind : (n,) int64
    pose, gaze : (n, 3), (n, 2) float32
    """

    measures: np.ndarray
    truth: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray


def as_frames(landmarks: np.ndarray, blendshapes: np.ndarray, rotation: np.ndarray) -> FaceFrames:
    """Return measured faces as a batch of frames without pictures."""
    n = len(landmarks)
    return FaceFrames(
        frame=np.arange(n),
        time_s=np.arange(n) / 25.0,
        size_px=np.full((n, 2), 320.0),
        landmarks=landmarks.astype(np.float64),
        blendshapes=blendshapes.astype(np.float64),
        rotation=rotation.astype(np.float64),
        pose_deg=pose_from_rotation(rotation.astype(np.float64)),
    )


def reference_mesh(paths: list[Path]) -> np.ndarray:
    """Return the median mesh of the neutral faces of 60 identities: (478, 3) float64."""
    meshes = []
    for path in paths[:60]:
        with np.load(path) as shard:
            rest = shard["kind"] == 0
            frames = as_frames(
                *(shard[n][rest, 0] for n in ("landmarks", "blendshapes", "rotation"))
            )
        meshes.append(frontalise(frames))
    return np.round(np.median(np.concatenate(meshes), axis=0), 5)


def measured(path: Path, cache: Path, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return one shard with its measures, from the cache where they are there."""
    kept = cache / path.name
    with np.load(path) as shard:
        arrays = {name: shard[name] for name in ("au", "sided", "kind", "pose", "gaze")}
        if kept.exists():
            with np.load(kept) as known:
                return {**arrays, "measures": known["measures"]}
        views = [
            join_measures(
                as_frames(*(shard[n][:, j] for n in ("landmarks", "blendshapes", "rotation"))),
                np.array(
                    [
                        contrast(crop, points_in_crop(points.astype(np.float64)))
                        for crop, points in zip(
                            shard["crops"][:, j], shard["landmarks"][:, j], strict=True
                        )
                    ]
                ),
                reference,
            )
            for j in range(shard["landmarks"].shape[1])
        ]
    measures = np.stack(views, axis=1).astype(np.float32)
    np.savez(kept, measures=measures)
    return {**arrays, "measures": measures}


def load(
    data: Path,
    split: str,
    reference: np.ndarray,
    most: int | None = None,
    *,
    first: int = 0,
    every: int = 1,
) -> Faces:
    """Return all faces of a split, or those of every so many identities."""
    cache = data / "measures3"
    cache.mkdir(exist_ok=True)
    paths = sorted(data.glob(f"{split}_*.npz"))[:most][first::every]
    shards = [measured(path, cache, reference) for path in paths]
    joined = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    return Faces(
        measures=joined["measures"],
        truth=np.column_stack([joined["au"], joined["sided"]]).astype(np.float32),
        person=np.repeat(np.arange(len(shards)), [len(shard["kind"]) for shard in shards]),
        kind=joined["kind"],
        pose=joined["pose"],
        gaze=joined["gaze"],
    )


def joined(*some: Faces) -> Faces:
    """Return the faces of several splits, each with persons of its own."""
    counts = np.cumsum([0, *(int(faces.person.max()) + 1 for faces in some[:-1])])
    return Faces(
        **{
            name: np.concatenate([getattr(faces, name) for faces in some])
            for name in ("measures", "truth", "kind", "pose", "gaze")
        },
        person=np.concatenate([f.person + n for f, n in zip(some, counts, strict=True)]),
    )


def london_faces(folder: Path, reference: np.ndarray, name: str) -> np.ndarray:
    """Return the measures of the neutral or smiling faces, by number: (persons, k)."""
    from duchenne.analysis.face.decode import image_frame

    paths = sorted(folder.glob(f"*_{name}.jpg"))
    with FaceTracker(still=True) as tracker:
        return np.concatenate(
            [
                measures(tracker.track([(i, 0.0, image_frame(path))], keep_images=True), reference)
                for i, path in enumerate(paths)
            ]
        )


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


def context_map(real: np.ndarray, smiling: np.ndarray) -> np.ndarray:
    """Return the map from measures to gaze (across, up) and smile (L, R): (k, 4).

    The smile is the mean of four changes, each divided by its median over the real smiles.
    """
    names = measure_names()
    columns = np.zeros((len(names), 4))
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        columns[names.index(f"eyeLookOut{side}"), 0] += sign / 2
        columns[names.index(f"eyeLookIn{side}"), 0] -= sign / 2
        columns[names.index(f"eyeLookUp{side}"), 1] += 0.5
        columns[names.index(f"eyeLookDown{side}"), 1] -= 0.5
    effect = np.median(smiling - real, axis=0)
    for j, side in enumerate("LR", 2):
        cues = [names.index(name) for name in (*SMILE[side], *SMILE_OF_BOTH)]
        columns[cues, j] = 1.0 / (len(cues) * effect[cues])
    return columns


def mirror(measures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the measures of the same faces seen in a mirror: (..., k)."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    names = measure_names()
    places = {name: i for i, name in enumerate(names)}
    order = np.arange(len(names))
    sign = np.ones(len(names), measures.dtype)
    for i, name in enumerate(names):
        for one, other in (("Left", "Right"), ("Right", "Left"), ("_L", "_R"), ("_R", "_L")):
            if name.endswith(one):
                order[i] = places[name.removesuffix(one) + other]
    _, partner = linear_sum_assignment(cdist(reference, reference * [-1, 1, 1]))
    start = BLOCKS["mesh"].start
    order[BLOCKS["mesh"]] = start + (3 * partner[:, None] + np.arange(3)).ravel()
    sign[start : BLOCKS["mesh"].stop : 3] = -1
    sign[1:3] = -1
    return measures[..., order] * sign


def with_mirrored(faces: Faces, reference: np.ndarray) -> Faces:
    """Return faces and, as more persons, the same in a mirror."""
    places = [OUTPUTS.index(_other_side(name)) for name in OUTPUTS]
    return Faces(
        measures=np.concatenate([faces.measures, mirror(faces.measures, reference)]),
        truth=np.concatenate([faces.truth, faces.truth[:, places]]),
        person=np.concatenate([faces.person, faces.person + faces.person.max() + 1]),
        kind=np.concatenate([faces.kind] * 2),
        pose=np.concatenate([faces.pose, faces.pose * [1, -1, -1]]),
        gaze=np.concatenate([faces.gaze, faces.gaze * [-1, 1]]),
    )


def _other_side(name: str) -> str:
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name[-1] in "LR" else name


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


def at_rest(faces: Faces) -> np.ndarray:
    """Return the median neutral measures of each person and view: (persons, v, k)."""
    return np.array(
        [
            np.median(faces.measures[(faces.person == p) & (faces.kind == 0)], axis=0)
            for p in range(faces.person.max() + 1)
        ]
    )


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
    epochs: int = EPOCHS,
    seed: int = 0,
    rate: float = RATE,
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


def fit_slope(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the factor from outputs to intensities where the action is shown, by least squares."""
    slopes = np.ones(outputs.shape[1])
    for j in range(outputs.shape[1]):
        shown = truth[:, j] > 0
        x, y = outputs[shown, j], truth[shown, j]
        slopes[j] = np.clip((x * y).sum() / max((x * x).sum(), 1e-9), 0.7, 1.6)
    return slopes


def fit_zone(raw: np.ndarray, context: np.ndarray, share: float) -> np.ndarray:
    """Return the dead zone of each output from held-out faces without any action: (1 + 6, m).

    Quantile regression on how far head and eyes are turned, whose coefficients are 0 or more.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, hstack, identity

    n = len(raw)
    design = np.column_stack([np.ones(n), context])
    cost = np.concatenate([np.full(1 + N_CONTEXT, 1e-3), np.full(n, share), np.full(n, 1 - share)])
    equal = hstack([csr_matrix(design), identity(n), -identity(n)]).tocsr()
    zone = np.zeros((1 + N_CONTEXT, raw.shape[1]))
    for j in range(raw.shape[1]):
        found = linprog(cost, A_eq=equal, b_eq=np.maximum(raw[:, j], 0.0), method="highs")
        zone[:, j] = found.x[: 1 + N_CONTEXT]
    zone[0] = np.maximum(zone[0], EDGE)
    return zone


def as_layers(layers: nn.Sequential) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return weights and biases of the linear layers, the last in units of intensity."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    arrays = [(m.weight.detach().numpy().T.copy(), m.bias.detach().numpy().copy()) for m in linear]
    arrays[-1] = (5 * arrays[-1][0], 5 * arrays[-1][1])
    return tuple(arrays)


def held_rows(faces: Faces, model: GeometryModel, own: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs of one kind of network and context for held-out faces, all views."""
    rows, turns = [], []
    for view in range(faces.measures.shape[1]):
        raw = faces.measures[:, view].astype(np.float64)
        pose, values, context = raw[:, :3], raw @ model.map, raw @ model.context
        if own:
            rest = resting_rows(faces, np.column_stack([pose, context, values]))
            rows.append(np.column_stack([pose, values - rest[:, 7:]]))
            turns.append(turned(pose - rest[:, :3], context[:, :2] - rest[:, 3:5]))
        else:
            strange = raw @ model.strange_map - model.typical_strange
            none = np.zeros((len(values), 1))
            rows.append(np.column_stack([pose, 0.0 * values, strange, none]))
            turns.append(turned(pose, context[:, :2] - model.typical_context[:2]))
    return np.concatenate(rows), np.concatenate(turns)


def resting_rows(faces: Faces, values: np.ndarray) -> np.ndarray:
    """Return, for each picture, the median of the values of that person's neutral pictures."""
    rest = [
        np.median(values[(faces.person == p) & (faces.kind == 0)], axis=0)
        for p in range(faces.person.max() + 1)
    ]
    return np.array(rest)[faces.person]


def build(
    net: Both,
    first: np.ndarray,
    reals: tuple[np.ndarray, np.ndarray],
    both: tuple[Faces, Faces],
    reference: np.ndarray,
) -> GeometryModel:
    """Return the model with slopes and dead zones found on held-out identities.

    Parameters
    ----------
    reals : ((p, k), (p, k)) float64
        Real persons at rest, and smiling.
    both : (Faces, Faces)
        For slopes and dead zones, and more faces for dead zones.
    """
    (held, quiet), (real, smiling) = both, reals
    whole = rounded_map(first @ net.map.weight.detach().numpy().T)
    comparable = np.ones((first.shape[1], 1))
    comparable[part_blocks()["log_odds"]] = 0.0
    strange = rounded_map(first @ (net.strange_map.weight.detach().numpy().T * comparable))
    context = context_map(real, smiling).astype(np.float32).astype(np.float64)
    none = Network((), np.ones(len(OUTPUTS)), np.zeros((1 + N_CONTEXT, len(OUTPUTS))))
    model = GeometryModel(
        outputs=OUTPUTS,
        reference=reference,
        map=whole,
        context=context,
        strange_map=strange,
        typical=np.median(real @ whole, axis=0),
        typical_strange=np.median(real @ strange, axis=0),
        typical_context=np.median(real @ context, axis=0),
        smile_slope=MEDIAN_SMILE,
        calibrated=none,
        uncalibrated=none,
        card=placeholder(),
    )
    networks = []
    kinds = zip((net.own, net.strange), (True, False), QUIET_SHARES, strict=True)
    for members, own, share in kinds:
        plain = replace(none, members=tuple(map(as_layers, members)))
        inputs, turns = held_rows(held, model, own)
        truth = np.concatenate([held.truth] * held.measures.shape[1])
        scaled = replace(plain, slope=fit_slope(plain.raw(inputs), truth))
        calm = np.concatenate([np.isin(held.kind, LOCKED)] * held.measures.shape[1])
        more, more_turns = held_rows(quiet, model, own)
        more_calm = np.concatenate([np.isin(quiet.kind, LOCKED)] * quiet.measures.shape[1])
        answers = scaled.raw(np.concatenate([inputs[calm], more[more_calm]]))
        zone = fit_zone(answers, np.concatenate([turns[calm], more_turns[more_calm]]), share)
        networks.append(replace(scaled, zone=zone))
    return replace(model, calibrated=networks[0], uncalibrated=networks[1])


def strangers_at_rest(left_out: list[GeometryModel], real: np.ndarray) -> np.ndarray:
    """Return what persons at rest reach who took no part in a model, compared with a typical face.

    Parameters
    ----------
    left_out : list of GeometryModel
        Trained without the 2nd, 5th, … and without the 3rd, 6th, … person.
    real : (n, k) float64
        All persons at rest.

    Returns
    -------
    (m, aus) float64
        Of the persons left out, in their order.
    """
    place = np.arange(len(real)) % 3
    values = np.full((len(real), len(GeometryBackend(left_out[0]).au_names)), np.nan)
    for k, model in enumerate(left_out, 1):
        backend = GeometryBackend(model)
        rows = backend.mapped(real[place == k])
        values[place == k] = backend.intensities(rows, backend.typical_neutral)
    return values[place > 0]


def occurrence_limits(rest: np.ndarray) -> np.ndarray:
    """Return from where actions occur, given the intensities of persons at rest: (n, m) to (m,).

    The highest value times `STRANGE_MARGIN`, at least `STRANGE_OCCURRENCE`.
    """
    return np.clip(STRANGE_MARGIN * rest.max(axis=0), STRANGE_OCCURRENCE, MOST_OCCURRENCE)


def rounded_map(values: np.ndarray) -> np.ndarray:
    """Return values in the precision in which they are stored."""
    return values.astype(np.float16).astype(np.float64)


def placeholder() -> dict[str, Any]:
    """Return a card without figures, which the evaluation writes."""
    names = [name for name in OUTPUTS if name not in ("AU16", "AU22")]
    return {"reliability": {name: {"pcc": 1.0} for name in sorted(names)}}


def main() -> None:
    """Train and write the model, without its reliability, which the evaluation adds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--london", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--identities", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-out", type=int, choices=(1, 2), default=None)
    parser.add_argument("--left-out", type=Path, nargs=2, default=None, metavar="MODEL")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start_s = time.monotonic()
    reference = reference_mesh(sorted(given.data.glob("train_*.npz")))
    real, smiling = (london_faces(given.london, reference, n) for n in ("neutral", "smiling"))
    told = (
        np.arange(len(real)) % 3 != given.leave_out
        if given.leave_out
        else np.arange(len(real)) >= 0
    )
    faces = load(given.data, "train", reference, given.identities)
    held = load(given.data, "calibrate", reference)
    print(f"{len(faces.kind)} pictures, {time.monotonic() - start_s:.0f} s", flush=True)
    first = first_map(faces)
    scale = np.diag(first)[:3]
    some = with_mirrored(joined(faces, load(given.data, "calm", reference, N_CALM)), reference)
    net = train(some, real[::3], first, scale, epochs=given.epochs, seed=given.seed)
    faces = joined(
        faces,
        load(given.data, "calm", reference, N_MORE_CALM),
        load(given.data, "mixed", reference),
    )
    net = train(
        with_mirrored(faces, reference), real[told], first, scale,
        epochs=MORE_EPOCHS, seed=given.seed + 1, rate=MORE_RATE, start=net,
    )  # fmt: skip
    quiet = joined(
        load(given.data, "sweep", reference, every=2),
        load(given.data, "calm", reference, first=N_MORE_CALM),
    )
    model = build(net, first, (real[told], smiling[told]), (held, quiet), reference)
    model.card.update(
        {
            "n_train_pictures": len(faces.kind),
            "n_train_identities": int(faces.person.max() + 1),
        }
    )
    if given.left_out:
        others = [read_model(path.read_text("utf-8")) for path in given.left_out]
        limits = occurrence_limits(strangers_at_rest(others, real))
        names = GeometryBackend(model).au_names
        model.card["resting_threshold"] = {
            au: round(float(v), 2) for au, v in zip(names, limits, strict=True)
        }
    write_model(model, given.out)
    print(f"{time.monotonic() - start_s:.0f} s. Written: {given.out}")


if __name__ == "__main__":
    main()
