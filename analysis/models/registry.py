"""The systems that are there, by name, with what a user must know before choosing one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

Task = Literal["intensity", "occurrence", "expression", "affect", "pictures"]
N_OUTPUTS: dict[Task, int] = {
    "intensity": 12,
    "occurrence": 12,
    "expression": 8,
    "affect": 2,
    "pictures": 0,
}
"""How many outputs a system is listed with, unless it says otherwise."""
_MODULES = (
    "baselines",
    "mae_teacher",
    "resnet18_student",
    "eac_net",
    "jaa_net",
    "me_graphau",
    "heatmap",
    "vit_se",
    "doe",
    "deng",
    "emofan",
    "mae_fusion",
)
_BuilderT = TypeVar("_BuilderT", bound="Callable[..., nn.Module]")


@dataclass(frozen=True)
class ModelEntry:
    """One system.

    Parameters
    ----------
    name : str
        Such as ``"jaa_net"``.
    build : callable
        Takes ``n_outputs`` and settings of its own; returns a module whose ``forward`` takes images,
        (b, 3, input_px, input_px) float32, normalised as ``preprocessing`` says.
    task : {"intensity", "occurrence", "expression", "affect", "pictures"}
        ``pictures`` learns from the pictures alone, without labels.
    input_px : int
    alignment : str
        How faces are brought into the picture: A1, A2, A3, A4 of
        :mod:`duchenne.analysis.training.alignment`, or ``crop``.
    preprocessing : str
        What is done to pixel values.
    paper : str
        What the system is from.
    default_n_outputs : int
        Outputs it is listed with.
    weights : str
        Under which terms published weights stand.
    sizes : {"any", "one"} or int
        Which sides of pictures it takes: any, `input_px` alone, or from so many pixels on.
    """

    name: str
    build: Callable[..., nn.Module]
    task: Task
    input_px: int
    alignment: str
    preprocessing: str
    paper: str
    default_n_outputs: int
    weights: str
    sizes: Literal["any", "one"] | int = "any"

    def check_size(self, px: int) -> None:
        """Refuse pictures of a side that the system does not take.

        Raises
        ------
        DuchenneError
            Which sides it takes.
        """
        if self.sizes == "one" and px != self.input_px:
            raise DuchenneError(
                f"{self.name} sees pictures of {self.input_px} pixels and no others: leave "
                "`input_px` out."
            )
        if isinstance(self.sizes, int) and px < self.sizes:
            raise DuchenneError(
                f"{self.name} sees pictures of {self.sizes} pixels or more, not {px}."
            )


_ENTRIES: dict[str, ModelEntry] = {}


def model(
    name: str,
    *,
    task: Task,
    input_px: int,
    alignment: str,
    preprocessing: str,
    paper: str,
    default_n_outputs: int | None = None,
    weights: str = "none published that may be passed on",
    sizes: Literal["any", "one"] | int = "any",
) -> Callable[[_BuilderT], _BuilderT]:
    """Register the class or function below as the system of this name; see `ModelEntry`."""

    def register(build: _BuilderT) -> _BuilderT:
        _ENTRIES[name] = ModelEntry(
            name=name,
            build=build,
            task=task,
            input_px=input_px,
            alignment=alignment,
            preprocessing=preprocessing,
            paper=paper,
            default_n_outputs=default_n_outputs or N_OUTPUTS[task],
            weights=weights,
            sizes=sizes,
        )
        return build

    return register


def model_entries() -> dict[str, ModelEntry]:
    """Return all systems by name."""
    for module in _MODULES:
        import_module(f"duchenne.analysis.models.{module}")
    return dict(sorted(_ENTRIES.items()))


def model_entry(name: str) -> ModelEntry:
    """Return one system.

    Raises
    ------
    UsageError
        When there is none of this name.
    """
    entries = model_entries()
    if name not in entries:
        raise UsageError(f"there is no model '{name}'; there are: {', '.join(entries)}")
    return entries[name]


def build_model(name: str, n_outputs: int | None = None, **settings: Any) -> nn.Module:
    """Return a system with fresh weights.

    Parameters
    ----------
    name : str
    n_outputs : int, optional
        Action Units, classes or dimensions; as the system is listed where absent.
    **settings
        Of the system itself.
    """
    entry = model_entry(name)
    return entry.build(n_outputs=n_outputs or entry.default_n_outputs, **settings)


def n_parameters(module: nn.Module, *, trainable: bool = False) -> int:
    """Return how many numbers a module learns or holds; buffers do not count."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)
