"""Where a system looks: its own maps where it has any, else what its answers depend on.

- EAC-Net: the maps that are drawn from landmarks, one for each region, whoever the face is;
- JAA-Net and JÂA-Net: the refined map of each Action Unit;
- heat-map systems: the map of each Action Unit;
- ME-GraphAU: how strongly each place speaks for the features of each Action Unit;
- EmoFAN: the sum of its landmark maps;
- vision transformers: attention rollout (Abnar & Zuidema 2020), the same for every output;
- networks of convolutions: Grad-CAM (Selvaraju et al. 2017) of the last features, for each output; where
  these have too few places, of earlier ones, each place weighed by its own gradient (Draelos & Carin 2020,
  HiResCAM).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.eac_net import REGIONS, EacNet, attention_map, centres
from duchenne.analysis.training.scoring import known_labels
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.augment import Batch
    from duchenne.analysis.training.prepared import Faces
    from duchenne.analysis.training.scoring import System
    from duchenne.analysis.training.tasks import Task

FACES_SHOWN = 4
LEAST_PLACES = 5
EVERYWHERE = "all regions"
"""The map for units that have no region of their own."""
_TRANSFORMERS = {"mae_teacher": "encoder", "vit_se": "body"}
_OWN = {"me_graphau": "length of the features of each unit", "emofan": "sum of the landmark maps"}


def attention_maps(task: Task, batch: Batch) -> tuple[NDArray[np.float32], tuple[str, ...], str]:
    """Return where a system looks.

    Parameters
    ----------
    task : Task
        Evaluating.
    batch : Batch
        Faces, (b, 3, px, px).

    Returns
    -------
    maps : (b, m, h, w) float32
        Each from 0 to 1 over a face.
    names : tuple of str
        Of the m maps.
    method : str
        How they were made.

    Raises
    ------
    DuchenneError
        When the system looks at no single picture.
    """
    name = task.entry.name
    if task.kind == "clip":
        raise DuchenneError(f"{name} answers nothing of a single face: there is nothing to draw.")
    if name == "eac_net":
        return _drawn_regions(task, batch)
    if name in _TRANSFORMERS:
        return _scaled(rollout(task, batch.images)), ("all outputs",), "attention rollout"
    if name in _OWN or name.startswith(("jaa_net", "heatmap")):
        return _own_maps(task, batch)
    cams = grad_cam(task, batch)
    names = task.labels
    if cams.shape[1] != len(names):
        names = tuple(f"class {i}" for i in range(cams.shape[1]))
    return _scaled(cams), names, "Grad-CAM"


def _own_maps(task: Task, batch: Batch) -> tuple[NDArray[np.float32], tuple[str, ...], str]:
    with torch.no_grad():
        maps = task.answer(batch).maps
    if "heat" in maps and task.entry.name != "emofan":
        heat = maps["heat"].clamp(min=0)
        if heat.shape[1] == 2 * len(task.labels):
            heat = heat.view(len(heat), -1, 2, *heat.shape[2:]).amax(dim=2)
        return _scaled(heat), task.labels, "heat maps"
    names = task.labels if maps["attention"].shape[1] == len(task.labels) else ("landmarks",)
    return _scaled(maps["attention"]), names, _OWN.get(task.entry.name, "refined attention maps")


def _drawn_regions(task: Task, batch: Batch) -> tuple[NDArray[np.float32], tuple[str, ...], str]:
    assert batch.landmarks is not None
    where = centres(batch.landmarks.numpy().astype(np.float64) / task.px)
    assert isinstance(task.net, EacNet)
    slope = task.net.slope
    each = [attention_map(where[:, 2 * i : 2 * i + 2], slope) for i in range(len(REGIONS))]
    maps = np.stack([*each, np.max(each, axis=0)], axis=1)
    return maps, (*REGIONS, EVERYWHERE), "maps drawn from landmarks"


def rollout(task: Task, images: Tensor) -> Tensor:
    """Return attention rollout of a vision transformer: (b, 1, side, side).

    The attention of each layer, the mean over heads, with half of the identity for the way around it; all
    layers multiplied. What the head reads counts: all patches for the masked auto-encoder, the class token
    for ViT-SE unless it pools patches.
    """
    body: Any = getattr(task.net, _TRANSFORMERS[task.entry.name])
    before = body.config._attn_implementation  # noqa: SLF001  # the library offers no other way to ask
    body.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            if task.entry.name == "mae_teacher":
                side = body.config.image_size // body.config.patch_size
                in_order = torch.arange(side**2, dtype=torch.float32).expand(len(images), -1)
                layers = body(images, noise=in_order, output_attentions=True).attentions
            else:
                layers = body(images, output_attentions=True).attentions
    finally:
        body.set_attn_implementation(before)
    n = layers[0].shape[-1]
    through = torch.eye(n).expand(len(images), n, n)
    for layer in layers:
        mixed = 0.5 * layer.mean(dim=1) + 0.5 * torch.eye(n)
        through = (mixed / mixed.sum(dim=-1, keepdim=True)) @ through
    patches = task.entry.name == "mae_teacher" or getattr(task.net, "pool", None) == "mean"
    reads = through[:, 1:].mean(dim=1) if patches else through[:, 0]
    side = round((n - 1) ** 0.5)
    return reads[:, 1:].view(len(images), 1, side, side)


def grad_cam(task: Task, batch: Batch) -> Tensor:
    """Return Grad-CAM of the last feature maps for every output: (b, k, h, w).

    ``ReLU(sum_c g_c A_c)``, ``g_c`` the gradient of the output in channel c at each place. Features whose
    mean over places is answered from have the same gradient everywhere, and this is Grad-CAM (Selvaraju et
    al. 2017). In earlier layers the mean gradient would mix places that speak for and against, and shows
    nothing: there it is HiResCAM (Draelos & Carin 2020), whose gradient is smoothed over neighbours, since
    layers that skip every other place leave it at 0.

    Raises
    ------
    DuchenneError
        When no layer of the network has feature maps.
    """
    seen: list[Tensor] = []
    layer = last_maps_of(task, batch)

    def keep(_module: nn.Module, _given: Any, found: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # also within a frozen encoder, which works without gradients
        kept = found.detach().requires_grad_()
        seen.append(kept)
        return kept

    handle = layer.register_forward_hook(keep)
    try:
        answer = task.answer(batch)
    finally:
        handle.remove()
    features = seen[-1]
    outputs = answer.values if answer.logits is None or answer.logits.ndim != 2 else answer.logits
    maps = []
    for i in range(outputs.shape[1]):
        (slope,) = torch.autograd.grad(outputs[:, i].sum(), features, retain_graph=True)
        maps.append(torch.relu((_smoothed(slope) * features).sum(dim=1)))
    # Systems that look at a pair of faces give maps of both, the shown one last.
    return (
        torch.stack(maps, dim=1).detach().view(len(batch), -1, len(maps), *maps[0].shape[1:])[:, -1]
    )


def _smoothed(maps: Tensor) -> Tensor:
    """Return maps (b, c, h, w) in which each place is half itself and half its neighbours, on each axis."""
    around = fn.pad(maps, (1, 1, 1, 1), mode="reflect")
    return fn.avg_pool2d(fn.avg_pool2d(around, 2, stride=1), 2, stride=1)


def last_maps_of(task: Task, batch: Batch) -> nn.Module:
    """Return the last layer that makes feature maps, (b, c, h, w), of at least 5 × 5 places.

    Small pictures leave few places at the end: a map of 3 × 3 would say nothing. Where no layer has as many,
    the last with more than one counts.
    """
    last: list[nn.Module] = []
    wide: list[nn.Module] = []

    def look(module: nn.Module, _given: Any, found: Any) -> None:
        if isinstance(found, torch.Tensor) and found.ndim == 4 and min(found.shape[2:]) > 1:
            last.append(module)
            if min(found.shape[2:]) >= LEAST_PLACES:
                wide.append(module)

    leaves = [module for module in task.net.modules() if not list(module.children())]
    handles = [module.register_forward_hook(look) for module in leaves]
    try:
        with torch.no_grad():
            task.answer(batch.part(0, 1))
    finally:
        for handle in handles:
            handle.remove()
    if not last:
        raise DuchenneError(f"{task.entry.name} makes no feature maps of a single picture.")
    return (wide or last)[-1]


def _scaled(maps: Tensor) -> NDArray[np.float32]:
    """Return maps from 0 to 1 over each face, from the lowest to the highest."""
    flat = maps.detach().float().flatten(2)
    low = flat.amin(dim=2, keepdim=True)
    span = (flat.amax(dim=2, keepdim=True) - low).clamp(min=1e-12)
    return np.asarray(((flat - low) / span).view_as(maps).numpy(), np.float32)


def shown_rows(
    faces: Faces, rows: NDArray[np.intp], labels: Sequence[str], n: int = FACES_SHOWN
) -> list[NDArray[np.intp]]:
    """Return for each label the rows in which it is strongest, of different people where it can be."""
    own, _ = known_labels(faces, labels)
    chosen = []
    for i in range(len(labels)):
        strength = np.nan_to_num(own.truth[rows, i], nan=-1.0)
        order = rows[np.argsort(-strength, kind="stable")]
        _, first = np.unique(faces.subject[order], return_index=True)
        picked = order[np.sort(first)][:n]
        rest = order[~np.isin(order, picked)]
        chosen.append(np.concatenate([picked, rest[: n - len(picked)]]))
    return chosen


def write_attention(
    folder: Path, system: System, faces: Faces, rows: NDArray[np.intp]
) -> list[str]:
    """Draw ``NAME-attention.png``: for every output the faces in which it is strongest, and the maps on them.

    Parameters
    ----------
    folder : Path
    system : System
    faces : Faces
    rows : (n,) int
        Which faces may be shown.

    Returns
    -------
    list of str
        What must be told: systems for which there is nothing to draw.

    Raises
    ------
    DuchenneError
        When the folder cannot be written.
    """
    from duchenne.analysis.training.attention_figure import Row, draw_sheet  # noqa: PLC0415

    task = system.task
    labels = [name for name in system.labels if name in faces.names] or list(system.labels)
    lines = []
    method = ""
    for label, some in zip(labels, shown_rows(faces, rows, labels), strict=True):
        batch = task.shown_plain(faces, some)
        try:
            maps, names, method = attention_maps(task, batch)
        except DuchenneError as error:
            return [f"{system.name}: {error}"]
        which = map_of(label, names)
        truth, _ = known_labels(faces, [label])
        pictures = task.shown_plain(faces, some, "RGB, 0 to 1").images
        lines.append(
            Row(
                label,
                pictures.permute(0, 2, 3, 1).numpy(),
                _enlarged(maps[:, which], task.px),
                truth.truth[some, 0],
                names[which],
            )
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_sheet(folder / f"{system.name}-attention.png", f"{system.name}: {method}", lines)
    except OSError as error:
        raise DuchenneError(f"{folder} cannot be written ({error.strerror or error}).") from error
    return []


def map_of(label: str, names: Sequence[str]) -> int:
    """Return which map belongs to a label: its own, the region that names it, that of all, or the first."""
    if label in names:
        return list(names).index(label)
    unit = label.removeprefix("AU").lstrip("0")
    for i, name in enumerate(names):
        inside = name.partition("(")[2].rstrip(")").split(", ")
        if f"AU{unit}" in inside:
            return i
    return list(names).index(EVERYWHERE) if EVERYWHERE in names else 0


def _enlarged(maps: NDArray[np.float32], px: int) -> NDArray[np.float32]:
    wide = fn.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps))[:, None],
        size=px, mode="bilinear", align_corners=False,
    )  # fmt: skip
    return np.asarray(wide[:, 0].numpy(), np.float32)
