"""Train the networks of the ``geometry`` backend on rendered faces.

    python tests/benchmarks/au_geometry_train.py --data FOLDER --london FOLDER --out geometry_model.json

``--data`` holds the shards of ``au_geometry_render.py``; their measures are cached in ``FOLDER/measures2``.
``--london`` holds the Face Research Lab London Set (CC BY 4.0); the neutral faces of every third person
(by sorted number: the 1st, 4th, 7th …) tell what real faces look like at rest. All others are left for
the test.
Needs torch. The last line says what was written.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from duchenne.analysis.face.cues import frontalise
from duchenne.analysis.face.frames import FaceFrames
from duchenne.analysis.face.geometry.measures import LIVE_BLENDSHAPES, join_measures, measures
from duchenne.analysis.face.geometry.model import GeometryModel, Network, rounded, write_model
from duchenne.analysis.face.geometry.texture import REGIONS, contrast, points_in_crop
from duchenne.analysis.face.landmarks import FaceTracker, pose_from_rotation

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 28, 45)
SIDED = ("AU12L", "AU12R", "AU14L", "AU14R")
OUTPUTS = (*(f"AU{unit:02d}" for unit in UNITS), *SIDED)
LOCKED = (0, 1, 6, 7, 8)  # kinds without any action: neutral, gaze, head, light
MESH_PARTS, FEATURES, MEMBERS = 96, 96, 3
HIDDEN = (192, 96)
EPOCHS, BATCH = 40, 256
# Noise added to each standardised part of each picture.
NOISE = 0.1
# How much more an error counts where no action is shown.
CALM_WEIGHT = 1.4
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


def load(data: Path, split: str, reference: np.ndarray, most: int | None = None) -> Faces:
    """Return all faces of a split."""
    cache = data / "measures2"
    cache.mkdir(exist_ok=True)
    paths = sorted(data.glob(f"{split}_*.npz"))[:most]
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


def london_neutral(folder: Path, reference: np.ndarray) -> np.ndarray:
    """Return the measures of the neutral faces of every third person: (17, k)."""
    from duchenne.analysis.face.decode import image_frame

    paths = sorted(folder.glob("*_neutral.jpg"))[::3]
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
    n_mesh = 3 * 478
    start = k - n_mesh - len(REGIONS)
    spread = deltas.std(axis=0)
    plain = [*range(start), *range(k - len(REGIONS), k)]
    blocks = np.zeros((k, len(plain) + MESH_PARTS))
    blocks[plain, np.arange(len(plain))] = 1.0 / (spread[plain] + 1e-3)
    mesh = slice(start, start + n_mesh)
    blocks[mesh, len(plain) :] = principal(deltas[:, mesh], MESH_PARTS)
    return blocks


def at_rest(faces: Faces) -> np.ndarray:
    """Return the median neutral measures of each person and view: (persons, v, k)."""
    return np.array(
        [
            np.median(faces.measures[(faces.person == p) & (faces.kind == 0)], axis=0)
            for p in range(faces.person.max() + 1)
        ]
    )


class Both(nn.Module):
    """The shared linear map and the two networks."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.map = nn.Linear(parts, FEATURES, bias=False)
        self.own = nn.ModuleList(_layers(3 + FEATURES) for _ in range(MEMBERS))
        self.strange = nn.ModuleList(_layers(3 + 2 * FEATURES + 1) for _ in range(MEMBERS))

    def forward(
        self, pose: torch.Tensor, own: torch.Tensor, strange: torch.Tensor, mode: torch.Tensor
    ) -> torch.Tensor:
        """Return outputs of each member in units of 5 intensities, each row by its mode's network."""
        own, strange = self.map(own), self.map(strange)
        habitual = (mode == HABITUAL).float()[:, None]
        inputs = torch.cat([pose, own], dim=1)
        known = torch.stack([member(inputs) for member in self.own])
        inputs = torch.cat([inputs, strange, habitual], dim=1)
        unknown = torch.stack([member(inputs) for member in self.strange])
        return torch.where((mode == OWN)[:, None], known, unknown)


def _layers(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN[0]), nn.ReLU(), nn.Dropout(0.15),
        nn.Linear(HIDDEN[0], HIDDEN[1]), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(HIDDEN[1], len(OUTPUTS)),
    )  # fmt: skip


class Sampler:
    """Draws training rows: picture, view, and the face that it is compared with."""

    def __init__(self, faces: Faces, parts: np.ndarray, real: np.ndarray, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.faces, self.parts, self.real = faces, parts, real
        self.typical = np.median(real, axis=0)
        self.rows = [np.flatnonzero(faces.person == p) for p in range(faces.person.max() + 1)]
        n_plain = parts.shape[-1] - MESH_PARTS
        n_shapes = len(LIVE_BLENDSHAPES)
        self.blocks = {
            "pose": slice(0, 3),
            "blendshapes": slice(3, 3 + n_shapes),
            "distances": slice(3 + n_shapes, n_plain - len(REGIONS)),
            "contrast": slice(n_plain - len(REGIONS), n_plain),
            "mesh": slice(n_plain, None),
        }

    def epoch(self) -> tuple[np.ndarray, ...]:
        """Return pose, own difference, difference from the typical face, mode and truth."""
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
            np.concatenate(column).astype(np.int64 if i == 3 else np.float32)
            for i, column in enumerate(zip(*out, strict=True))
        )

    def _gains(self) -> np.ndarray:
        """Return how strongly each kind of measure answers in this person: (p,).

        Rendered skin folds where it is told to; real skin need not. Whole kinds of measures are
        weakened or left out at random, so that none is relied on alone.
        """
        rng = self.rng
        gains = np.ones(self.parts.shape[-1])
        gains[self.blocks["blendshapes"]] = np.exp(rng.normal(0, 0.15)) * (rng.random() > 0.1)
        gains[self.blocks["distances"]] = gains[self.blocks["mesh"]] = np.exp(rng.normal(0, 0.12))
        gains[self.blocks["contrast"]] = rng.uniform(0, 1.3) * (rng.random() > 0.25)
        return gains

    def _person(
        self, rows: np.ndarray, values: np.ndarray, kind: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        rng = self.rng
        middle = np.median(values[rest], axis=0)
        values = middle + (values - middle) * self._gains() + rng.normal(0, NOISE, values.shape)
        n_rest = 3 if rng.random() < 0.6 else int(rng.integers(1, 4))
        own = np.median(values[rng.permutation(rest)[:n_rest]], axis=0)
        others = values
        if rng.random() < 0.6:  # the same actions on a real person's resting face
            one, two, three = self.real[rng.permutation(len(self.real))[:3]]
            others = values - middle + one + rng.uniform(0.2, 1.4) * (two - three)
        calm = np.flatnonzero(np.isin(kind, LOCKED))
        active = np.flatnonzero(~np.isin(kind, LOCKED))
        some = np.concatenate([calm, rng.permutation(active)[: int(rng.integers(0, len(active)))]])
        habitual = np.median(others[some], axis=0)
        pose = values[:, :3]
        truth = self.faces.truth[rows]
        n = len(rows)
        blocks = [
            (OWN, values - own, values - own),
            (TYPICAL, others - self.typical, others - self.typical),
            (HABITUAL, others - habitual, others - self.typical),
        ]
        return (
            np.concatenate([pose] * 3),
            np.concatenate([block[1] for block in blocks]),
            np.concatenate([block[2] for block in blocks]),
            np.concatenate([np.full(n, block[0]) for block in blocks]),
            np.concatenate([truth] * 3),
        )


def train(
    faces: Faces,
    real: np.ndarray,
    first: np.ndarray,
    pose_scale: np.ndarray,
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> Both:
    """Return the trained networks."""
    torch.manual_seed(seed)
    parts = (faces.measures @ first.astype(np.float32)).astype(np.float32)
    sampler = Sampler(faces, parts, (real @ first).astype(np.float32), seed)
    net = Both(parts.shape[-1])
    weights = torch.tensor(1.0 / (faces.truth.std(axis=0) / 5 + 0.06)).float()
    n_steps = epochs * (6 * len(faces.kind) // BATCH - 1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1.5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.5e-3, total_steps=n_steps)
    done = 0
    for epoch in range(epochs):
        pose, own, strange, mode, truth = (torch.from_numpy(a) for a in sampler.epoch())
        pose = pose / torch.tensor(pose_scale, dtype=torch.float32)
        order = torch.randperm(len(mode))
        loss_sum = 0.0
        for start in range(0, len(order) - BATCH, BATCH):
            i = order[start : start + BATCH]
            if done >= n_steps:
                break
            predicted = net(pose[i], own[i], strange[i], mode[i])
            calm = (truth[i].max(dim=1, keepdim=True).values == 0) * (CALM_WEIGHT - 1.0) + 1.0
            error = (predicted - truth[i] / 5) * weights * calm
            loss = (error**2).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            loss_sum += float(loss.detach())
        if epoch % 20 == 19:
            print(
                f"epoch {epoch + 1}: loss {loss_sum / max(1, len(order) // BATCH):.4f}", flush=True
            )
    return net.eval()


def fit_lines(
    outputs: np.ndarray, truth: np.ndarray, calm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return offset and slope for each output, from identities that were not trained on.

    The offset is as large as keeps the correlation within 0.01 of its best and is needed to bring
    95 % of the frames without any action below 0.25; the slope is that of least squares.
    """
    offsets, slopes = np.zeros(outputs.shape[1]), np.ones(outputs.shape[1])
    for j in range(outputs.shape[1]):
        p, y = outputs[:, j], truth[:, j]
        grid = np.arange(0.0, 1.01, 0.05)
        scores = np.array([np.corrcoef(rounded(p - t), y)[0, 1] for t in grid])
        good = grid[scores >= scores.max() - 0.01]
        needed = max(0.0, float(np.percentile(p[calm], 95)) - 0.25)
        offsets[j] = good[np.argmin(np.abs(good - needed))]
        x = rounded(p - offsets[j])
        slopes[j] = np.clip((x * y).sum() / max((x * x).sum(), 1e-9), 0.5, 2.0)
    return offsets, slopes


def as_layers(layers: nn.Sequential) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return weights and biases of the linear layers, the last in units of intensity."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    arrays = [(m.weight.detach().numpy().T.copy(), m.bias.detach().numpy().copy()) for m in linear]
    arrays[-1] = (5 * arrays[-1][0], 5 * arrays[-1][1])
    return tuple(arrays)


def line_rows(faces: Faces, features: np.ndarray, typical: np.ndarray, own: bool) -> np.ndarray:
    """Return the inputs of one of the networks for held-out faces, all views."""
    rows = []
    for view in range(features.shape[1]):
        values = features[:, view]
        pose = faces.measures[:, view, :3]
        rest = np.array(
            [
                np.median(values[(faces.person == p) & (faces.kind == 0)], axis=0)
                for p in range(faces.person.max() + 1)
            ]
        )[faces.person]
        strange = values - typical
        rows.append(
            np.column_stack([pose, values - rest])
            if own
            else np.column_stack([pose, strange, strange, np.zeros(len(values))])
        )
    return np.concatenate(rows)


def build(
    net: Both,
    first: np.ndarray,
    real: np.ndarray,
    held: Faces,
    reference: np.ndarray,
) -> GeometryModel:
    """Return the model with its lines fitted on held-out identities."""
    whole = (
        (first @ net.map.weight.detach().numpy().T.astype(np.float64))
        .astype(np.float16)
        .astype(np.float64)
    )
    typical = np.median(real @ whole, axis=0)
    features = held.measures.astype(np.float64) @ whole
    truth = np.concatenate([held.truth] * features.shape[1])
    calm = np.isin(np.concatenate([held.kind] * features.shape[1]), LOCKED)
    networks = []
    for members, own in ((net.own, True), (net.strange, False)):
        plain = Network(
            tuple(map(as_layers, members)), np.zeros(len(OUTPUTS)), np.ones(len(OUTPUTS))
        )
        outputs = plain.raw(line_rows(held, features, typical, own))
        networks.append(Network(plain.members, *fit_lines(outputs, truth, calm)))
    return GeometryModel(OUTPUTS, reference, whole, typical, *networks, card=placeholder())


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
    given = parser.parse_args()
    torch.set_num_threads(1)
    start_s = time.monotonic()
    reference = reference_mesh(sorted(given.data.glob("train_*.npz")))
    real = london_neutral(given.london, reference)
    faces = load(given.data, "train", reference, given.identities)
    held = load(given.data, "calibrate", reference)
    print(f"{len(faces.kind)} pictures, {time.monotonic() - start_s:.0f} s", flush=True)
    first = first_map(faces)
    net = train(faces, real, first, np.diag(first)[:3], epochs=given.epochs, seed=given.seed)
    model = build(net, first, real, held, reference)
    model.card.update(
        {
            "n_train_pictures": len(faces.kind),
            "n_train_identities": int(faces.person.max() + 1),
        }
    )
    write_model(model, given.out)
    print(f"{time.monotonic() - start_s:.0f} s. Written: {given.out}")


if __name__ == "__main__":
    main()
