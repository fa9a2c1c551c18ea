"""A trained system of affect or expression, read from its checkpoint, and what its answers mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.models.registry import ModelEntry

OURS = ".safetensors"
AFFECT = ("valence", "arousal", "dominance")
OF_FIVE = ("neutral", "happiness", "sadness", "surprise", "anger")
"""Classes of the published five-class EmoFAN: its last one is anger, whatever its documentation says."""


@dataclass(frozen=True)
class Trained:
    """A network with what is needed to use it.

    Parameters
    ----------
    net : torch.nn.Module
        For evaluation.
    entry : ModelEntry
    px : int
        Side of the pictures it sees.
    alignment : str
        How its faces were brought into the picture: a name of
        :data:`duchenne.analysis.training.alignment.ALIGNMENTS`, or ``eyes``.
    dimensions : tuple of str
        Which of valence, arousal, dominance its values are, in their order.
    classes : tuple of str
        Its classes of expression; empty where it was not taught any.
    told : tuple of str
        What was loaded, one line each.
    hears : bool
        It learnt from sound whose features are known here
        (:data:`duchenne.analysis.affect.hearing.FEATURES`).
    """

    net: Any
    entry: ModelEntry
    px: int
    alignment: str
    dimensions: tuple[str, ...]
    classes: tuple[str, ...]
    told: tuple[str, ...] = field(default=())
    hears: bool = False


def read_trained(path: Path) -> Trained:
    """Read weights of ``duchenne train``, or a published file of EmoFAN where it lies.

    Parameters
    ----------
    path : Path
        ``…safetensors``, or a file of PyTorch, of which only the weights are read, never code.

    Raises
    ------
    UsageError
        When it is no such file.
    DuchenneError
        When it cannot be read, does not fit its system, or the system does not answer affect or expression.
    """
    if not path.is_file():
        raise UsageError(f"There is no checkpoint {path}.")
    return _ours(path) if path.suffix.lower() == OURS else _published(path)


def _ours(path: Path) -> Trained:
    from duchenne.analysis.affect.hearing import FEATURES  # noqa: PLC0415
    from duchenne.analysis.models.registry import model_entry  # noqa: PLC0415 (torch)
    from duchenne.analysis.training.checkpoint import (  # noqa: PLC0415
        load_fitting,
        read_checkpoint,
    )
    from duchenne.analysis.training.settings import TrainSettings  # noqa: PLC0415
    from duchenne.analysis.training.systems import build  # noqa: PLC0415

    tensors, about = read_checkpoint(path)
    how = TrainSettings.model_validate(about["settings"])
    entry = model_entry(how.model)
    labels = tuple(about["labels"])
    if not set(labels) & {*AFFECT, "expression"}:
        raise DuchenneError(
            f"{path} ({how.model}) learnt {', '.join(labels[:4])} …, neither valence and arousal nor "
            "expression."
        )
    net: Any = build(how, about["n_outputs"])
    problems = load_fitting(net, tensors)
    if problems:
        raise DuchenneError(f"{path} does not fit {how.model}: {problems[0]}")
    data = about.get("data") or {}
    return Trained(
        net=net.eval().requires_grad_(requires_grad=False),
        entry=entry,
        px=how.input_px or entry.input_px,
        alignment=str(data.get("alignment") or entry.alignment),
        dimensions=_dimensions(entry, labels),
        classes=_class_names(net, entry, data) if "expression" in labels else (),
        told=(f"{how.model}, all {len(net.state_dict())} tensors", *_said_of(about)),
        hears=bool(getattr(net, "n_sound", 0)) and data.get("sound") == FEATURES,
    )


def _dimensions(entry: ModelEntry, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the values of a system are: always valence and arousal, or as labelled."""
    if entry.task != "affect":
        return ()
    if entry.name == "emofan" or entry.name.startswith("deng"):
        return AFFECT[:2]
    return tuple(n for n in labels if n in AFFECT)


def _class_names(net: Any, entry: ModelEntry, data: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes that the system tells apart, in our order or that of its data."""
    from duchenne.analysis.training.datasets.base import EXPRESSIONS  # noqa: PLC0415

    if entry.name == "emofan":
        n = int(net.head[-1].out_features) - 2
    elif entry.name.startswith("deng"):
        n = int(net.sizes["expression"])
    else:
        n = int(_last_linear(net).out_features)
    names = tuple(str(name) for name in data.get("classes") or EXPRESSIONS)
    return (*names, *(f"class_{i}" for i in range(len(names), n)))[:n]


def _last_linear(net: Any) -> Any:
    from torch import nn  # noqa: PLC0415 (heavy)

    return [module for module in net.head.modules() if isinstance(module, nn.Linear)][-1]


def _said_of(about: dict[str, Any]) -> tuple[str, ...]:
    data = about.get("data") or {}
    name = (
        data.get("name")
        or data.get("source")
        or data.get("from")
        or "data that does not say its name"
    )
    return (f"trained on {name}",)


def _published(path: Path) -> Trained:
    """Read a published EmoFAN in place; nothing is converted or written."""
    from duchenne.analysis.models.importing import load_published_emofan  # noqa: PLC0415 (torch)
    from duchenne.analysis.models.registry import model_entry  # noqa: PLC0415
    from duchenne.analysis.training.datasets.base import EXPRESSIONS  # noqa: PLC0415

    net, told = load_published_emofan(path)
    entry = model_entry("emofan")
    n_classes = int(_last_linear(net).out_features) - 2
    return Trained(
        net=net.eval().requires_grad_(requires_grad=False),
        entry=entry,
        px=entry.input_px,
        alignment=entry.alignment,
        dimensions=AFFECT[:2],
        classes=EXPRESSIONS if n_classes == len(EXPRESSIONS) else OF_FIVE,
        told=tuple(told),
    )
