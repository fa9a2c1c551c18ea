"""Checkpoints: weights as safetensors, with what they are of in the header; no code is ever loaded."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

FORMAT = "duchenne-checkpoint-1"
_UNIT = re.compile(r"AU\d+[LR]?")


def git_revision() -> str:
    """Return the revision of the program, where it runs from a repository; ``unknown`` elsewhere."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=10, check=True, cwd=Path(__file__).parent,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def write_checkpoint(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and what they are of, aside and then renamed.

    Raises
    ------
    DuchenneError
        When it cannot be written; an older one stays as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    header = {"format": FORMAT, "about": json.dumps(about)}
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside, header)
        aside.replace(path)
    except (OSError, SafetensorError) as error:
        raise DuchenneError(f"{path} cannot be written: {error}") from error
    finally:
        aside.unlink(missing_ok=True)


def read_about(path: Path) -> dict[str, Any]:
    """Return what a checkpoint says of itself.

    Raises
    ------
    DuchenneError
        When it is none of ours.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except FileNotFoundError as error:
        raise DuchenneError(f"there is no {path}: name the weights of a training.") from error
    except (OSError, SafetensorError) as error:
        raise DuchenneError(
            f"{path} is no checkpoint of safetensors ({error}). Files that hold code (.pt, .pth, .pkl) are "
            "never loaded; `duchenne models import` reads their weights alone."
        ) from error
    if header.get("format") != FORMAT:
        raise DuchenneError(f"{path} is no checkpoint of this program.")
    about: dict[str, Any] = json.loads(header["about"])
    return about


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a checkpoint and what they are of; errors as `read_about`."""
    about = read_about(path)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118


def learnt_from(about: dict[str, Any]) -> set[str]:
    """Return the subjects that weights have learnt from, also before and through a teacher.

    Parameters
    ----------
    about : dict
        What their checkpoint says of itself; imported weights know nobody.
    """
    split = about.get("split") or {}
    seen = {*split.get("train", ()), *split.get("validation", ())}
    return seen | set(about.get("learnt_from", ()))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put named tensors of `optimizer_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)


def load_fitting(net: nn.Module, tensors: dict[str, Tensor], prefix: str = "net.") -> list[str]:
    """Load the weights that fit by name and shape; return one line on each that does not.

    Parameters
    ----------
    net : nn.Module
    tensors : dict of str to Tensor
    prefix : str
        Of the names that belong to the network.
    """
    own = net.state_dict()
    given = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    told = [f"not in the checkpoint: {name}" for name in own if name not in given]
    fitting = {}
    for name, value in sorted(given.items()):
        if name not in own:
            told.append(f"not in the model: {name}")
        elif own[name].shape != value.shape:
            told.append(
                f"another shape: {name} is {tuple(value.shape)}, not {tuple(own[name].shape)}"
            )
        else:
            fitting[name] = value
    net.load_state_dict({**own, **fitting})
    return told


def load_initial(
    net: nn.Module, tensors: dict[str, Tensor], labels: Sequence[str] = ()
) -> list[str]:
    """Start a network from the weights of another; return what matched and what did not, in few lines.

    Weights go where their name and shape are the same. For other names, a network may say with
    ``taken_over`` where weights of its pre-training belong: a mapping from the beginning of their names to
    that of its own. Parts that belong to one Action Unit each go where a network says with ``taken_from``.

    Parameters
    ----------
    net : nn.Module
    tensors : dict of str to Tensor
        Of a checkpoint.
    labels : sequence of str
        What that checkpoint answers, in order.

    Raises
    ------
    DuchenneError
        When nothing fits.
    """
    own = net.state_dict()
    given = {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
    starts: dict[str, str] = getattr(net, "taken_over", {})
    renamed = {}
    for name, value in given.items():
        there = (
            new + name.removeprefix(old)
            for old, new in starts.items()
            if name.startswith(old) and name not in own
        )
        renamed[next(there, name)] = value
    renamed = _by_unit(net, renamed, labels)
    fitting = {k: v for k, v in renamed.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise DuchenneError("none of its weights fit the system: is it of another one?")
    net.load_state_dict({**own, **fitting})
    told = [f"{len(fitting)} of the {len(own)} arrays of weights are taken over"]
    shapes = [
        f"{k} is {tuple(v.shape)}, not {tuple(own[k].shape)}"
        for k, v in renamed.items()
        if k in own and k not in fitting
    ]
    fresh = [name for name in own if name not in renamed]
    unused = [name for name in renamed if name not in own]
    told += [f"left out, of another shape: {', '.join(shapes)}"] if shapes else []
    told += [f"start fresh: {_grouped(fresh)}"] if fresh else []
    told += [f"left out, not in the system: {_grouped(unused)}"] if unused else []
    return told


def _by_unit(net: nn.Module, given: dict[str, Tensor], labels: Sequence[str]) -> dict[str, Tensor]:
    """Return weights with the parts that belong to an Action Unit under the names they have in a network."""
    asked = getattr(net, "taken_from", None)
    if asked is None or not all(_UNIT.fullmatch(name) for name in labels):
        return given
    starts: dict[str, str] = asked([int(name[2:].rstrip("LR")) for name in labels])
    if not starts:
        return given
    kept = {k: v for k, v in given.items() if not k.startswith(tuple(starts))}
    for new, old in starts.items():
        for name, value in given.items():
            if old and name.startswith(old):
                kept[new + name.removeprefix(old)] = value
    return kept


def _grouped(names: list[str]) -> str:
    """Return names counted by their first two parts: ``head.0 (2), head.2 (5)``."""
    counts = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{start} ({n})" for start, n in counts.items())
