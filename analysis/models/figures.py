"""Draws each system from the code itself: its parts in the order in which a picture goes through them.

``python -m duchenne.analysis.models.figures docs`` rewrites the drawings and tables of the pages of all
systems; with evaluations (``duchenne evaluate --out``) behind ``docs`` also the table in ``models.md``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import build_model, model_entries, n_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OPENED = {
    "DengCnn", "Frozen", "ModuleDict", "ModuleList", "PatchEncoder", "ResNet",
    "ResNetEncoder", "ResNetModel", "Vgg19", "ViTEncoder", "ViTMAEDecoder", "ViTMAEEncoder",
    "ViTMAEForPreTraining", "ViTMAEModel", "ViTModel", "_Pooled",
}  # fmt: skip
"""Parts that are drawn as what they are made of."""
_SHOWN = {"Correspondence", "HierarchicalBlock", "MaxPool2d", "RegionLayer", "_Upsampling"}
"""Sequences of these alone are drawn one by one."""
_NAMES = {
    "_LinearBlock": "linear, norm, rectifier",
    "_Upsampling": "transposed convolution",
    "BatchNorm1d": "batch norm",
    "Conv1d": "convolution",
    "Conv2d": "convolution",
    "Correspondence": "channel graph",
    "EdgeGraph": "gated edge graph",
    "GRU": "GRU",
    "HierarchicalBlock": "block",
    "Hourglass": "hourglass",
    "LayerNorm": "layer norm",
    "Linear": "linear",
    "LocalResponseNorm": "response norm",
    "MaxHourglass": "hourglass",
    "MobileNetV3": "MobileNetV3-Large",
    "NearestGraph": "nearest graph",
    "RegionLayer": "region layer",
    "ResNetEmbeddings": "stem",
    "ResNetStage": "residual stage",
    "Sequential": "layers",
    "TransformerEncoder": "transformer",
    "ViTEmbeddings": "patches and positions",
    "ViTLayer": "transformer layer",
    "ViTMAEEmbeddings": "patches and positions",
    "ViTMAELayer": "transformer layer",
    "ViTPooler": "pooler",
}
_CLIP = 32
START, END = "<!-- architecture -->", "<!-- /architecture -->"
PUBLISHED_START, PUBLISHED_END = "<!-- published -->", "<!-- /published -->"
TABLE_START, TABLE_END = "<!-- table -->", "<!-- /table -->"


@dataclass(frozen=True)
class Part:
    """One part of a system.

    Parameters
    ----------
    name : str
        Within the system.
    kind : str
    shape : tuple of int
        Of what it answers, for one picture.
    parameters : int
        Of all of its copies.
    copies : int
        How many like it follow each other.
    learns : bool
        Whether any of its numbers is learnt.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    copies: int = 1
    learns: bool = True


def example_input(name: str, input_px: int) -> tuple[torch.Tensor, ...]:
    """Return what one forward pass of a system takes: shapes alone."""
    picture = (1, 3, input_px, input_px)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "doe": ((1, 2, 3, input_px, input_px),),
        "deng_rnn": ((1, _CLIP, 3, input_px, input_px),),
        "mae_fusion": ((1, 100, 768), (1, 100, 896)),
    }
    return tuple(torch.empty(shape, device="meta") for shape in shapes.get(name, (picture,)))


@cache
def parts(name: str) -> tuple[tuple[int, ...], list[Part], dict[str, tuple[int, ...]]]:
    """Return the input of a system, its parts in the order of the forward pass, and its outputs.

    Nothing is computed: all tensors have a shape and no content.

    Parameters
    ----------
    name : str
        Of the registry.

    Returns
    -------
    input : tuple of int
        Shape for one picture, pair or clip.
    parts : list of Part
    outputs : dict of str to tuple of int
        Shapes of what it answers.
    """
    entry = model_entries()[name]
    with torch.device("meta"):
        net = build_model(name).eval()
    seen: list[Part] = []
    handles = [
        module.register_forward_hook(_watch(path, seen), with_kwargs=True)
        for path, module in _drawn(net)
    ]
    given = example_input(name, entry.input_px)
    try:
        with torch.no_grad(), torch.device("meta"):
            answer = net(*given)
    finally:
        for handle in handles:
            handle.remove()
    outputs = _outputs(answer)
    return tuple(given[0].shape[1:]), _merged(seen), outputs


def _drawn(net: nn.Module, path: str = "") -> list[tuple[str, nn.Module]]:
    """Return the parts that are drawn: children, and instead of containers what is in them."""
    found = []
    for name, child in net.named_children():
        here = f"{path}{name}"
        inside = {type(part).__name__ for part in child.children()}
        listed = isinstance(child, nn.Sequential) and inside <= _SHOWN
        if listed or type(child).__name__ in _OPENED:
            found += _drawn(child, f"{here}.")
        elif n_parameters(child):
            found.append((here, child))
    return found


def _watch(path: str, seen: list[Part]) -> Callable[..., None]:
    def watch(module: nn.Module, _given: Any, _named: Any, found: Any) -> None:
        first = _first_tensor(found)
        if first is not None:
            kind = type(module).__name__
            seen.append(
                Part(
                    path,
                    _NAMES.get(kind, kind),
                    tuple(first.shape[1:]),
                    n_parameters(module),
                    learns=n_parameters(module, trainable=True) > 0,
                )
            )

    return watch


def _first_tensor(found: Any) -> torch.Tensor | None:
    if isinstance(found, torch.Tensor):
        return found
    if isinstance(found, (tuple, list)):
        return next((t for t in map(_first_tensor, found) if t is not None), None)
    if isinstance(found, dict):
        return next((t for t in map(_first_tensor, found.values()) if t is not None), None)
    return None


def _outputs(answer: Any) -> dict[str, tuple[int, ...]]:
    if isinstance(answer, torch.Tensor):
        return {"loss": tuple(answer.shape)}
    assert isinstance(answer, Answer)
    found = {"values": tuple(answer.values.shape[1:])}
    if answer.landmarks is not None:
        found["landmarks"] = tuple(answer.landmarks.shape[1:])
    for group in (answer.maps, answer.extra):
        found |= {name.replace("_", " "): tuple(value.shape[1:]) for name, value in group.items()}
    return found


def _merged(seen: Sequence[Part]) -> list[Part]:
    """Return the same with parts of one list that are alike in kind and shape as one.

    They follow each other, or take turns with those of one other list.
    """
    found: list[Part] = []
    for part in seen:
        place, _, number = part.name.rpartition(".")
        for back in (1, 2):
            last = found[-back] if len(found) >= back else None
            if (
                last is not None
                and number.isdigit()
                and last.name.rpartition(".")[0] == place
                and (last.kind, last.shape, last.learns) == (part.kind, part.shape, part.learns)
            ):
                found[-back] = replace(
                    last, copies=last.copies + 1, parameters=last.parameters + part.parameters
                )
                break
        else:
            found.append(part)
    return found


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape such as ``64 × 56 × 56``."""
    return " × ".join(map(str, shape)) or "1"


def size_text(parameters: int) -> str:
    """Return a number of parameters in short: ``1.2 M``, ``34 k``."""
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1000 else str(parameters)


def label(part: Part) -> str:
    """Return how a part is called: its place, and how often it is there."""
    name = part.name.replace("body.body.", "").replace("encoder.encoder.", "encoder.")
    if part.copies > 1:
        return f"{name.rpartition('.')[0]} ({part.copies})"
    return name


def architecture(name: str) -> str:
    """Return the parts of a system as a Markdown table."""
    given, found, outputs = parts(name)
    lines = ["| part | kind | output | parameters |", "|---|---|---|---:|"]
    lines.append(f"| input | | {shape_text(given)} | |")
    for part in found:
        kind = part.kind if part.learns else f"{part.kind}, frozen"
        lines.append(
            f"| `{label(part)}` | {kind} | {shape_text(part.shape)} | {size_text(part.parameters)} |"
        )
    lines += [f"| → {output} | | {shape_text(shape)} | |" for output, shape in outputs.items()]
    return "\n".join(lines)


def published(name: str) -> str:
    """Return the published figures of a system as Markdown."""
    from duchenne.analysis.training.evaluation_tables import (  # noqa: PLC0415
        published_table,
        sources_line,
    )
    from duchenne.analysis.training.published import UNQUOTED, published_rows  # noqa: PLC0415

    document = {"published": published_rows([name])}
    if not document["published"]:
        return f"{UNQUOTED.get(name, 'none')}."
    table = published_table(document)
    return f"{table.markdown()}\n\n{sources_line(document)}"


def page_of(name: str, text: str) -> str:
    """Return the page of a system with its published figures and its parts as they are now."""
    text = between(text, PUBLISHED_START, PUBLISHED_END, published(name))
    return between(text, START, END, architecture(name))


def drawing(name: str) -> str:
    """Return the drawing of a system as SVG: boxes as wide as what goes through them is large."""
    from duchenne.analysis.models.drawing import drawn  # noqa: PLC0415 (reads this module)

    return drawn(name, *parts(name))


def between(page: str, start: str, end: str, content: str) -> str:
    """Return a page with what stands between two marks replaced.

    Raises
    ------
    ValueError
        When the marks are not there.
    """
    if start not in page or end not in page:
        raise ValueError(f"the page has no {start} … {end}")
    head, _, rest = page.partition(start)
    return f"{head}{start}\n{content}\n{end}{rest.partition(end)[2]}"


def write_figures(docs: Path) -> list[Path]:
    """Rewrite the drawing and the table of parts of every system; return what was written."""
    written = []
    (docs / "images" / "models").mkdir(parents=True, exist_ok=True)
    for name in model_entries():
        picture = docs / "images" / "models" / f"{name}.svg"
        picture.write_text(drawing(name), "utf-8")
        page = docs / "models" / f"{name}.md"
        if page.is_file():
            page.write_text(page_of(name, page.read_text("utf-8")), "utf-8")
        written += [picture, page]
    return written


def systems_page(evaluations: Sequence[dict[str, Any]]) -> str:
    """Return the table of systems of one or several evaluations as Markdown."""
    from duchenne.analysis.training.evaluation_tables import (  # noqa: PLC0415
        headline,
        mean_line,
        systems_table,
    )

    blocks = []
    for document in evaluations:
        data = document["data"]["from"] or document["data"]["folder"]
        blocks.append(f"{data}: {headline(document)}. {mean_line(document)}")
        blocks.append(systems_table(document).markdown())
    return "\n\n".join(blocks)


def write_table(docs: Path, evaluations: Sequence[Path]) -> Path:
    """Rewrite the table of systems in ``models.md`` from evaluations; return the page."""
    page = docs / "models.md"
    documents = [json.loads(path.read_text("utf-8")) for path in evaluations]
    text = between(page.read_text("utf-8"), TABLE_START, TABLE_END, systems_page(documents))
    page.write_text(text, "utf-8")
    return page


def main(words: Sequence[str]) -> None:
    """Rewrite what is drawn and counted in the documentation; see the module."""
    docs = Path(words[0] if words else "docs")
    for path in write_figures(docs):
        sys.stdout.write(f"{path}\n")
    if len(words) > 1:
        sys.stdout.write(f"{write_table(docs, [Path(word) for word in words[1:]])}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
