"""Published checkpoints that a user has obtained: read without running code, renamed, and reported on.

Files of PyTorch are read by its reader of weights alone: whatever else is pickled in them is refused.
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from duchenne.analysis.models.import_rules import EMOFAN, LAYOUTS, Layout
from duchenne.analysis.models.registry import build_model
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

LICENCES = {
    "emofan": (
        "CC BY-NC-ND 4.0: research use; no changed copy may be made or passed on, so the file is used where "
        "it lies"
    ),
    "me_graphau": "code MIT; weights under the terms of BP4D and DISFA",
    "deng_cnn": "code MIT; weights under the terms of Aff-Wild2",
    "deng_rnn": "code MIT; weights under the terms of Aff-Wild2",
    "mae_teacher": "LibreFace: research and non-profit use; MAE of Facebook Research: CC BY-NC 4.0",
    "resnet18_student": "LibreFace: research and non-profit use",
    "eac_net": "no licence was published: all rights are the authors'",
    "jaa_net": "no licence was published: all rights are the authors'",
    "jaa_net_v2": "no licence was published: all rights are the authors'",
    "heatmap_scc": "no licence was published: all rights are the authors'",
    "heatmap_deconv": "no licence was published: all rights are the authors'",
    "mae_fusion": "no licence was published: all rights are the authors'",
}
"""Terms of the published weights; what is not named stands under the terms of whoever made the file."""
UNKNOWN_LICENCE = "the terms of whoever made the file, and of the data it was trained on"
IN_PLACE = ("emofan",)
"""Systems whose published weights are never written anew."""
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
_COUNTERS = "num_batches_tracked"
OURS, BY_SHAPE = "our own names", "order and shape alone (a guess: check the answers)"


@dataclass(frozen=True)
class Matched:
    """What became of the tensors of a file.

    Parameters
    ----------
    tensors : dict of str to Tensor
        Those that fit, under our names.
    layout : str
        Whose names the file has.
    by_shape : tuple of str
        Ours that were found by order and shape, not by name.
    missing : tuple of str
        Ours that nothing was found for.
    unexpected : tuple of str
        Theirs that belong nowhere.
    other_shape : tuple of str
        One line on each that has a place but another shape.
    n_filled : int
        How many of ``tensors`` are counters of batches that no file needs to have.
    """

    tensors: dict[str, Tensor] = field(repr=False)
    layout: str
    by_shape: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shape: tuple[str, ...]
    n_filled: int = 0

    @property
    def n_found(self) -> int:
        """How many tensors of the file found a place."""
        return len(self.tensors) - self.n_filled

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of the system was found."""
        return not self.missing

    def lines(self, most: int = 5) -> list[str]:
        """Return the report, at most so many names of each kind."""
        told = [f"{self.n_found} tensors match, by {self.layout}"]
        if self.by_shape:
            told.append(f"{len(self.by_shape)} of them by {BY_SHAPE}: {_some(self.by_shape, most)}")
        for what, names in (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("of another shape", self.other_shape),
        ):
            told.append(f"{len(names)} {what}" + (f": {_some(names, most)}" if names else ""))
        return told


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint in their order, out of what they are wrapped in.

    Raises
    ------
    DuchenneError
        When the file cannot be read, holds code, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DuchenneError(
            f"{path} holds more than weights (pickled code or objects), and is refused: ask its authors "
            "for a state_dict, or write one where you trust it "
            "(`torch.save(model.state_dict(), 'weights.pth')`)."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DuchenneError(f"{path} cannot be read as a checkpoint: {first}") from error
    for _ in range(3):
        inner = next(
            (
                found[key]
                for key in _WRAPPERS
                if isinstance(found, dict) and isinstance(found.get(key), dict)
            ),
            None,
        )
        if inner is None:
            break
        found = inner
    if not isinstance(found, dict):
        raise DuchenneError(f"{path} holds {type(found).__name__}, not named tensors.")
    tensors = {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise DuchenneError(f"{path} holds no tensors.")
    return without_fused({name.removeprefix("module."): value for name, value in tensors.items()})


def without_fused(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same with ``….attn.qkv.…`` taken apart into ``q``, ``k`` and ``v``."""
    apart: dict[str, Tensor] = {}
    for name, value in tensors.items():
        fused = re.fullmatch(r"(.*attn\.)qkv\.(\w+)", name)
        if fused is None or value.shape[0] % 3:
            apart[name] = value
            continue
        for letter, part in zip("qkv", value.chunk(3), strict=True):
            apart[f"{fused[1]}{letter}.{fused[2]}"] = part
    return apart


def matched(system: str, net: nn.Module, given: dict[str, Tensor]) -> Matched:
    """Return which tensors of a file belong where in a system.

    Our own names and every known layout are tried, and that which places most tensors is taken. What is left
    on both sides is matched by order and shape where that leaves no choice: when the shapes of a whole part,
    or of all that is left, follow each other in the same order, or when a shape is there once.

    Parameters
    ----------
    system : str
    net : nn.Module
    given : dict of str to Tensor
        In the order of the file.
    """
    own = net.state_dict()
    identity = Layout(OURS, ((r"(?:net\.)?(.+)", r"\1"),))
    tries = [_by_layout(layout, own, given) for layout in (identity, *LAYOUTS.get(system, ()))]
    layout, names, other = max(tries, key=lambda found: len(found[1]))
    left_given = {k: v for k, v in given.items() if k not in names and k not in other}
    placed = set(names.values())
    left_own = {k: v for k, v in own.items() if k not in placed}
    guessed = _by_shape(left_own, left_given)
    tensors = {
        ours: given[theirs].to(own[ours].dtype) for theirs, ours in {**names, **guessed}.items()
    }
    found = set(tensors)
    counters = [k for k in own if k.endswith(_COUNTERS) and k not in found]
    return Matched(
        tensors={
            **tensors,
            **{k: own[k].cpu() if not own[k].is_meta else torch.tensor(0) for k in counters},
        },
        layout=layout.name if names else "none of the known layouts",
        by_shape=tuple(guessed.values()),
        missing=tuple(k for k in own if k not in found and k not in counters),
        unexpected=tuple(k for k in left_given if k not in guessed and not k.endswith(_COUNTERS)),
        other_shape=tuple(
            f"{k} is {tuple(given[k].shape)}, not {tuple(own[v].shape)}" for k, v in other.items()
        ),
        n_filled=len(counters),
    )


def _by_layout(
    layout: Layout, own: dict[str, Tensor], given: dict[str, Tensor]
) -> tuple[Layout, dict[str, str], dict[str, str]]:
    names: dict[str, str] = {}
    other: dict[str, str] = {}
    taken: set[str] = set()
    for theirs, value in given.items():
        ours = layout.ours(theirs)
        if ours is None or ours not in own or ours in taken:
            continue
        taken.add(ours)
        (names if own[ours].shape == value.shape else other)[theirs] = ours
    return layout, names, other


def _by_shape(own: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, str]:
    """Return theirs to ours where order and shape leave no choice; see `matched`."""
    ours = {k: tuple(v.shape) for k, v in own.items() if not k.endswith(_COUNTERS)}
    theirs = {k: tuple(v.shape) for k, v in given.items() if not k.endswith(_COUNTERS)}
    if ours and list(ours.values()) == list(theirs.values()):
        return dict(zip(theirs, ours, strict=True))
    found: dict[str, str] = {}
    for part in _parts(ours):
        shapes = [ours[name] for name in part]
        same = [
            group
            for group in _parts(theirs)
            if [theirs[name] for name in group] == shapes and not set(group) & set(found)
        ]
        alike = [other for other in _parts(ours) if [ours[name] for name in other] == shapes]
        if len(same) == 1 and len(alike) == 1:
            found |= dict(zip(same[0], part, strict=True))
    taken = set(found.values())
    rest_ours = {k: v for k, v in ours.items() if k not in taken}
    rest_theirs = {k: v for k, v in theirs.items() if k not in found}
    n_ours, n_theirs = Counter(rest_ours.values()), Counter(rest_theirs.values())
    once = {
        shape: name
        for name, shape in rest_ours.items()
        if len(shape) > 1 and n_ours[shape] == n_theirs[shape] == 1
    }
    return found | {name: once[shape] for name, shape in rest_theirs.items() if shape in once}


def _parts(names: dict[str, tuple[int, ...]]) -> list[list[str]]:
    """Return the names of each part: what stands before the first dot."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.partition(".")[0], []).append(name)
    return list(parts.values())


def read_several(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the tensors of one or several files; those of several are told apart by the file's name."""
    if len(paths) == 1:
        return read_tensors(paths[0])
    return {
        f"{path.stem}.{name}": value for path in paths for name, value in read_tensors(path).items()
    }


def load_published_emofan(path: Path) -> tuple[nn.Module, list[str]]:
    """Return EmoFAN with the weights of a published file, read where it lies; nothing is written.

    Parameters
    ----------
    path : Path
        Such as ``emonet_8.pth`` or ``emonet_5.pth``, which users obtain themselves.

    Returns
    -------
    net : EmoFan
        For evaluation, with as many classes as the file has.
    told : list of str
        What matched, and the licence.

    Raises
    ------
    DuchenneError
        When the file cannot be read, holds code, or is not of this system.
    """
    given = read_tensors(path)
    last = [v for k, v in given.items() if EMOFAN.ours(k) == "head.3.weight"]
    if not last:
        raise DuchenneError(f"{path} is no published EmoFAN: it has no emo_fc_2.3.weight.")
    net = build_model("emofan", int(last[0].shape[0]) - 2)
    found = matched("emofan", net, given)
    if not found.is_complete or found.by_shape:
        raise DuchenneError(f"{path} is no published EmoFAN: {'; '.join(found.lines(3))}.")
    net.load_state_dict(found.tensors)
    return net.eval(), [*found.lines(), f"Licence: {LICENCES['emofan']}"]


def licence_of(system: str) -> str:
    """Return under which terms published weights of a system stand."""
    return LICENCES.get(system, UNKNOWN_LICENCE)
