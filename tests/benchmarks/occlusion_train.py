"""Train the small network that finds hands and things before a face.

    python tests/benchmarks/occlusion_train.py --data FOLDER --london FOLDER --out occlusion_model.json

``--data`` holds the shards of ``au_geometry_render.py`` (grey crops and landmarks of rendered faces).
``--london`` holds the Face Research Lab London Set (CC BY 4.0); the first 40 persons (by sorted number) are
trained on, the others are left for the check. Hands and things are drawn onto the faces; hair, beards and
glasses are drawn too, as what does not count. Needs torch. The last line says what was written.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from duchenne.analysis.face.decode import image_frame
from duchenne.analysis.face.geometry.align import crop_matrix, grey_crop
from duchenne.analysis.face.landmarks import FaceTracker
from duchenne.analysis.face.surface import OUTLINE

SIDE, INPUT, CELLS = 160, 80, 10
N_TRAIN_PERSONS, PER_SHARD, BATCH = 40, 7, 48
LONDON_SHARE, HAND_SHARE, THING_SHARE = 0.45, 0.40, 0.15
EYES = ((33, 133), (362, 263))
JAW = (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
YY, XX = np.mgrid[:SIDE, :SIDE].astype(np.float32)

Face = tuple[np.ndarray, np.ndarray]
rng = np.random.default_rng(0)


def in_crop(landmarks: np.ndarray) -> np.ndarray:
    """Return the landmarks of one face in pixels of its crop: (478, 2)."""
    matrix = crop_matrix(landmarks)
    return (landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def rendered(folder: Path) -> list[Face]:
    """Return a few faces of each shard."""
    faces = []
    for shard in sorted(folder.glob("*.npz")):
        with np.load(shard) as data:
            crops = data["crops"].reshape(-1, SIDE, SIDE)
            meshes = data["landmarks"].reshape(-1, 478, 3)
        chosen = rng.choice(len(crops), min(PER_SHARD, len(crops)), replace=False)
        known = [i for i in chosen if np.isfinite(meshes[i]).all()]
        faces.extend((crops[i], in_crop(meshes[i])) for i in known)
    return faces


def photographed(folder: Path) -> tuple[list[Face], list[Face]]:
    """Return the faces of the persons trained on, and of the others."""
    paths = sorted(folder.glob("*.jpg"))
    persons = sorted({path.stem.split("_")[0] for path in paths})[:N_TRAIN_PERSONS]
    train: list[Face] = []
    check: list[Face] = []
    with FaceTracker(still=True) as tracker:
        for path in paths:
            image = image_frame(path)
            mesh = tracker.track([(0, 0.0, image)]).landmarks[0]
            chosen = train if path.stem.split("_")[0] in persons else check
            chosen.append((grey_crop(image, mesh), in_crop(mesh)))
    return train, check


def clouds() -> np.ndarray:
    """Return smooth noise of unit variance."""
    k = int(rng.choice([4, 8, 20, 40]))
    small = rng.normal(0, 1, (k, k)).astype(np.float32)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def slope(strength: float) -> np.ndarray:
    """Return brightness that rises in a random direction."""
    return ((XX - 80) * rng.normal(0, strength) + (YY - 80) * rng.normal(0, strength)) / 80


def within(mask: np.ndarray) -> np.ndarray:
    """Return a random point (x, y) of a mask."""
    places = np.argwhere(mask > 0)
    return places[rng.integers(len(places))][::-1].astype(float)


def capsule(a: np.ndarray, b: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from a line in radii, and the signed distance across it."""
    along = b - a
    length = max(float(along @ along), 1e-3)
    t = np.clip(((XX - a[0]) * along[0] + (YY - a[1]) * along[1]) / length, 0, 1)
    dx, dy = XX - a[0] - t * along[0], YY - a[1] - t * along[1]
    across = (dy * along[0] - dx * along[1]) / np.sqrt(length)
    return np.hypot(dx, dy) / radius, across / radius


def hand(image: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw one to five fingers, often with the back of the hand, mostly from below."""
    skin = float(np.median(image[face > 0]))
    base = np.clip(skin * np.exp(rng.normal(0, 0.25)), 15, 245)
    from_below = rng.random() < 0.75
    angle = rng.uniform(-0.9, 0.9) + np.pi / 2 if from_below else rng.uniform(0, 2 * np.pi)
    out = np.array([np.cos(angle), np.sin(angle)])
    side = np.array([-out[1], out[0]]) * rng.choice([-1, 1])
    n, width, spread = int(rng.integers(1, 6)), rng.uniform(5, 9), rng.uniform(-0.06, 0.14)
    tip = within(face)
    parts = []
    if rng.random() < 0.7:
        middle = tip + out * rng.uniform(60, 85) + side * (n - 1) * width
        radius = width * rng.uniform(2.4, 3.6)
        parts.append((middle + out * 40, middle - out * rng.uniform(0, 15), radius))
    for k in rng.permutation(n) if rng.random() < 0.5 else range(n):
        start = tip + side * k * width * 2 * rng.uniform(0.95, 1.2)
        start = start + out * abs(k - 1.2) * rng.uniform(2, 7)
        end = start + (out + side * spread * (k - n / 2)) * rng.uniform(60, 95)
        parts.append((start, end, width * rng.uniform(0.85, 1.1)))
    drawn, mask = image.copy(), np.zeros((SIDE, SIDE), np.float32)
    if rng.random() < 0.7:
        whole = np.max([(capsule(*part)[0] < 1).astype(np.float32) for part in parts], axis=0)
        shadow = np.roll(whole, tuple(rng.integers(-6, 7, 2)), (0, 1))
        drawn = drawn * (
            1 - rng.uniform(0.1, 0.55) * cv2.GaussianBlur(shadow, (0, 0), rng.uniform(1.5, 6))
        )
    texture = clouds() * rng.uniform(1, 5) + clouds() * rng.uniform(0, 3)
    light, roundness, lit = 1 + slope(0.12), rng.uniform(0.15, 0.5), rng.uniform(-1, 1)
    for start, end, radius in parts:
        off, across = capsule(start, end, radius)
        cover = np.clip((1 - off) * radius / rng.uniform(0.8, 1.6) + 0.5, 0, 1)
        shade = 1 - roundness * np.clip(off, 0, 1) ** 2.5 + 0.2 * lit * np.clip(across, -1, 1)
        colour = (base + texture) * light * shade
        if rng.random() < 0.3:  # a nail
            nail = ((XX - start[0]) ** 2 + (YY - start[1]) ** 2) / (radius * 0.5) ** 2
            colour = colour + np.exp(-nail) * rng.uniform(-20, 35)
        drawn = drawn * (1 - cover) + colour * cover
        mask = np.maximum(mask, cover)
    return drawn, mask


def thing(image: np.ndarray, face: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw an ellipse, a rectangle, a blot or a rod, plain, textured or with parts of another face."""
    x, y = within(face)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        axes = (int(rng.uniform(8, 45)), int(rng.uniform(8, 45)))
        cv2.ellipse(mask, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    elif kind == 1:
        size = (float(rng.uniform(8, 80)), float(rng.uniform(15, 90)))
        box = cv2.boxPoints(((float(x), float(y)), size, float(rng.uniform(0, 180))))
        cv2.fillPoly(mask, [box.astype(np.int32)], 255)
    elif kind == 2:
        n = int(rng.integers(5, 10))
        turn, radius = np.sort(rng.uniform(0, 2 * np.pi, n)), rng.uniform(10, 45, n)
        blot = np.c_[x + radius * np.cos(turn), y + radius * np.sin(turn)]
        cv2.fillPoly(mask, [blot.astype(np.int32)], 255)
    else:
        angle = rng.uniform(0, np.pi)
        end = (int(x + 150 * np.cos(angle)), int(y + 150 * np.sin(angle)))
        cv2.line(mask, (int(x), int(y)), end, 255, int(rng.uniform(6, 20)))
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), rng.uniform(0.4, 1.2))
    colour = rng.uniform(5, 250) + clouds() * rng.uniform(0, 25) + slope(20)
    if rng.random() < 0.3:
        turn = rng.uniform(0, np.pi)
        waves = np.sin((XX * np.cos(turn) + YY * np.sin(turn)) * rng.uniform(0.1, 1))
        colour = colour + rng.uniform(5, 50) * waves
    if rng.random() < 0.3:
        colour = np.roll(other.astype(np.float32), tuple(rng.integers(-60, 60, 2)), (0, 1))
    return image * (1 - cover) + colour * cover, cover


def hair(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Draw strands, or all that is beside them, along one side of the face."""
    right = rng.random() < 0.5
    x = points[234 if right else 454][0] + rng.uniform(-12, 14) * (1 if right else -1)
    mask, heights = np.zeros((SIDE, SIDE), np.uint8), np.arange(-5, 170, 12)
    for _ in range(rng.integers(2, 14)):
        wave = x + rng.normal(0, 5) + 6 * np.sin(heights / 40 + rng.uniform(0, 6))
        strand = np.c_[wave, heights].astype(np.int32)
        cv2.polylines(mask, [strand], False, int(rng.uniform(100, 255)), int(rng.integers(1, 5)))
    if rng.random() < 0.5:
        edge = np.c_[x + rng.normal(0, 2, len(heights)), heights]
        outside = -50 if right else 210
        cv2.fillPoly(mask, [np.r_[edge, [[outside, 170], [outside, -5]]].astype(np.int32)], 230)
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.7)
    return image * (1 - cover) + (rng.uniform(5, 110) + clouds() * 12) * cover


def beard(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Draw a beard around the lips."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    upper = (291, 410, 164, 186, 61) if rng.random() < 0.5 else (291, 17, 61)
    cv2.fillPoly(mask, [points[[*JAW, *upper]].astype(np.int32)], 255)
    cv2.fillPoly(mask, [points[list(LIPS)].astype(np.int32)], 0)
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 3) * rng.uniform(0.15, 0.85)
    stubble = rng.normal(0, 8, (SIDE, SIDE))
    return image * (1 - cover) + (rng.uniform(15, 80) + clouds() * 12 + stubble) * cover


def glasses(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Draw frames around the eyes."""
    mask, width = np.zeros((SIDE, SIDE), np.uint8), int(rng.integers(1, 5))
    share, flat, is_round = rng.uniform(0.55, 0.9), rng.uniform(0.6, 1), rng.random() < 0.5
    for a, b in EYES:
        middle = (points[a] + points[b]) / 2 + [0, 3]
        across = np.linalg.norm(points[a] - points[b]) * share
        half = np.array([across, across * flat]).astype(int)
        if is_round:
            cv2.ellipse(
                mask,
                tuple(middle.astype(int).tolist()),
                tuple(half.tolist()),
                0,
                0,
                360,
                255,
                width,
            )
        else:
            low, high = (middle - half).astype(int), (middle + half).astype(int)
            cv2.rectangle(mask, tuple(low.tolist()), tuple(high.tolist()), 255, width)
    ends = [tuple(points[i].astype(int).tolist()) for i in (133, 362)]
    cv2.line(mask, ends[0], ends[1], 255, width)
    cover = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.6)
    return image * (1 - cover) + rng.uniform(5, 160) * cover


def normalised(small: np.ndarray) -> np.ndarray:
    """Return the network's input, as ``occlusion.py`` makes it."""
    light = np.log(np.asarray(small, np.float32) + 12)
    part = light[16:72, 14:66]
    return ((light - part.mean()) / (part.std() + 0.1)).astype(np.float32)


def outline(points: np.ndarray) -> np.ndarray:
    """Return the mask of a face: (160, 160) uint8."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [points[list(OUTLINE)].astype(np.int32)], 255)
    return mask


def sample(faces: list[Face], others: list[Face]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an input, what is covered and what is face, both per cell."""
    crop, points = faces[rng.integers(len(faces))]
    image, points = crop.astype(np.float32), points.copy()
    mirrored = rng.random() < 0.5
    if mirrored:
        image, points[:, 0] = image[:, ::-1].copy(), SIDE - 1 - points[:, 0]
    change = cv2.getRotationMatrix2D((80, 70), rng.normal(0, 5), np.exp(rng.normal(0, 0.05)))
    change[:, 0] *= np.exp(rng.normal(0, 0.04))
    change[:, 2] += rng.normal(0, 3, 2)
    image = cv2.warpAffine(
        image, change.astype(np.float32), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    )
    points = (points @ change[:, :2].T + change[:, 2]).astype(np.float32)
    face = outline(points)
    if (face > 0).sum() < 500:
        return sample(faces, others)
    if rng.random() < 0.45:
        image = hair(image, points)
    if not mirrored and rng.random() < 0.2:  # the landmarks of a mirrored face have changed sides
        image = beard(image, points)
    if not mirrored and rng.random() < 0.2:
        image = glasses(image, points)
    mask, chance = np.zeros((SIDE, SIDE), np.float32), rng.random()
    if chance < HAND_SHARE:
        image, mask = hand(image, face)
    elif chance < HAND_SHARE + THING_SHARE:
        image, mask = thing(image, face, others[rng.integers(len(others))][0])
    image = 255 * (np.clip(image, 0, 255) / 255) ** np.exp(rng.normal(0, 0.3))
    image = (image - 128) * np.exp(rng.normal(0, 0.15)) + 128 + rng.normal(0, 8) + slope(15)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), rng.uniform(0.3, 1.6))
    small = cv2.resize(
        np.clip(image, 0, 255).astype(np.float32), (INPUT, INPUT), interpolation=cv2.INTER_AREA
    )
    small = np.clip(small + rng.normal(0, rng.choice([0.5, 1.5, 4]), small.shape), 0, 255)
    cells = [
        cv2.resize(m, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        for m in (mask, face.astype(np.float32) / 255)
    ]
    return normalised(small), cells[0], cells[1]


class CoverNet(nn.Module):
    """Five convolutions; each cell also sees the mean over the whole face."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (1, 12, 24, 32, 40, 40), (2, 2, 2, 1, 1)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(i, o, 3, s, 1), nn.BatchNorm2d(o), nn.ReLU())
                for i, o, s in zip(widths, widths[1:], strides, strict=False)
            )
        )
        self.whole = nn.Linear(40, 24)
        self.hidden, self.output = nn.Conv2d(64, 32, 1), nn.Conv2d(32, 1, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        local = self.layers(pictures)
        whole = torch.relu(self.whole(local.mean((2, 3))))[:, :, None, None]
        joined = torch.cat([local, whole.expand(-1, -1, CELLS, CELLS)], 1)
        return self.output(torch.relu(self.hidden(joined)))[:, 0]


def weights_of(net: CoverNet) -> dict[str, np.ndarray]:
    """Return the weights with the batch normalisation folded in, as ``occlusion.py`` reads them."""
    found = {}
    for i, (convolution, norm, _) in enumerate(net.layers):
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        kernel = convolution.weight * scale[:, None, None, None]
        found[f"conv{i}"] = kernel.permute(2, 3, 1, 0).reshape(-1, kernel.shape[0])
        found[f"bias{i}"] = (convolution.bias - norm.running_mean) * scale + norm.bias
    found |= {"whole": net.whole.weight.T, "whole_bias": net.whole.bias}
    for name in ("hidden", "output"):
        layer = getattr(net, name)
        found |= {name: layer.weight[:, :, 0, 0].T, f"{name}_bias": layer.bias}
    return {name: value.detach().numpy() for name, value in found.items()}


def write(net: CoverNet, path: Path, card: dict[str, object]) -> None:
    """Write the model as JSON, arrays in half precision."""
    packed = {
        name: {
            "shape": list(array.shape),
            "data": base64.b64encode(np.ascontiguousarray(array, "<f2").tobytes()).decode("ascii"),
        }
        for name, array in weights_of(net).items()
    }
    model = {"format": "duchenne-occlusion-1", "card": card, "weights": packed}
    path.write_text(json.dumps(model, indent=1) + "\n", "utf-8")


def covered_share(net: CoverNet, faces: list[Face]) -> np.ndarray:
    """Return the share of each face that the network holds to be covered."""
    shares = []
    with torch.no_grad():
        for crop, points in faces:
            small = cv2.resize(crop, (INPUT, INPUT), interpolation=cv2.INTER_AREA)
            chance = torch.sigmoid(net(torch.tensor(normalised(small))[None, None]))[0].numpy()
            face = cv2.resize(outline(points), (CELLS, CELLS), interpolation=cv2.INTER_AREA) > 127
            shares.append(((chance > 0.5) & face).sum() / max(face.sum(), 1))
    return np.array(shares)


def main() -> None:
    """Train, check on the persons left out, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--london", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1600)
    told = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    drawn = rendered(told.data)
    train, check = photographed(told.london)
    print(f"{len(drawn)} rendered, {len(train)} photographed, {len(check)} for the check")
    net = CoverNet()
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, told.steps)
    for step in range(1, told.steps + 1):
        batch = [
            sample(train if rng.random() < LONDON_SHARE else drawn, drawn) for _ in range(BATCH)
        ]
        pictures, covers, faces = (
            torch.tensor(np.stack(part)) for part in zip(*batch, strict=True)
        )
        loss = nn.functional.binary_cross_entropy_with_logits(
            net(pictures[:, None]), (covers > 0.4).float(), reduction="none"
        )
        loss = (loss * (faces + 0.05)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(step, round(float(loss.detach()), 4), flush=True)
    net.eval()
    shares = covered_share(net, check)
    print("share covered, persons left out:", np.percentile(shares, [50, 90, 100]).round(3))
    card = {"steps": told.steps, "rendered": len(drawn), "photographed": len(train)}
    write(net, told.out, card)
    print(f"Model: {told.out}")


if __name__ == "__main__":
    main()
