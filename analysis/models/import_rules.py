"""How others name the tensors of a system, and what they are called here.

Each layout is a list of rules, tried from the first: a pattern for a whole name, and what it becomes. Names
are those of the released programs as far as they are known; every tensor that a rule places is checked for
its shape, and nothing but names is taken over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Rule: TypeAlias = tuple[str, "str | Callable[[re.Match[str]], str]"]
_ANY = r"(.*?)"
"""What stands before the names of a part, such as ``backbone.`` or nothing."""


@dataclass(frozen=True)
class Layout:
    """One way in which a checkpoint of a system is laid out.

    Parameters
    ----------
    name : str
        For the report.
    rules : tuple of (str, str or callable)
        Patterns for whole names, and replacements as of `re.sub`.
    """

    name: str
    rules: tuple[Rule, ...]

    def ours(self, name: str) -> str | None:
        """Return what a tensor is called here; None where no rule knows it."""
        for pattern, replacement in self.rules:
            found = re.fullmatch(pattern, name)
            if found is not None:
                return replacement(found) if callable(replacement) else found.expand(replacement)
        return None


def resnet(to: str, before: str = _ANY) -> tuple[Rule, ...]:
    """Return rules for ResNets with names of torchvision (``layer1.0.conv1`` …); `to` is our prefix."""

    def stage(found: re.Match[str]) -> str:
        _, layer, block, kind, number, rest = found.groups()
        part = "convolution" if kind == "conv" else "normalization"
        return f"{to}encoder.stages.{int(layer) - 1}.layers.{block}.layer.{int(number) - 1}.{part}.{rest}"

    def shortcut(found: re.Match[str]) -> str:
        _, layer, block, number, rest = found.groups()
        part = "convolution" if number == "0" else "normalization"
        return f"{to}encoder.stages.{int(layer) - 1}.layers.{block}.shortcut.{part}.{rest}"

    return (
        (before + r"layer([1-4])\.(\d+)\.(conv|bn)([123])\.(\w+)", stage),
        (before + r"layer([1-4])\.(\d+)\.downsample\.([01])\.(\w+)", shortcut),
        (before + r"conv1\.(\w+)", rf"{to}embedder.embedder.convolution.\2"),
        (before + r"bn1\.(\w+)", rf"{to}embedder.embedder.normalization.\2"),
    )


def mobilenet(to: str) -> tuple[Rule, ...]:
    """Return rules for MobileNetV3-Large with names of torchvision (``features.4.block.2.fc1`` …)."""

    def excite(found: re.Match[str]) -> str:
        _, block, part, layer, rest = found.groups()
        return f"{to}{block}.body.{part}.gate.{0 if layer == '1' else 2}.{rest}"

    return (
        (_ANY + r"features\.(\d+)\.block\.(\d+)\.fc([12])\.(\w+)", excite),
        (_ANY + r"features\.(\d+)\.block\.(\d+)\.([01])\.(\w+)", rf"{to}\2.body.\3.\4.\5"),
        (_ANY + r"features\.(0|16)\.([01])\.(\w+)", rf"{to}\2.\3.\4"),
    )


_VGG19_AT = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
_VGG19_STAGES = (2, 2, 4, 4, 4)


def vgg19(to: str) -> tuple[Rule, ...]:
    """Return rules for VGG-19 with names of torchvision (``features.0`` …)."""
    places = [f"{stage}.{i}" for stage, n in enumerate(_VGG19_STAGES) for i in range(n)]
    return tuple(
        (rf"(?:.*\.)?features\.{at}\.(\w+)", rf"{to}{place}.0.\1")
        for at, place in zip(_VGG19_AT, places, strict=True)
    )


def transformer(to: str, layers: str) -> tuple[Rule, ...]:
    """Return rules for vision transformers named as by timm and the authors of MAE.

    The fused ``qkv`` must have been taken apart into ``q``, ``k`` and ``v`` (`importing.without_fused`).
    """
    block = _ANY + r"blocks\.(\d+)\."
    return (
        (block + r"attn\.([qkv])\.(\w+)", rf"{layers}\2.attention.\3_proj.\4"),
        (block + r"attn\.proj\.(\w+)", rf"{layers}\2.attention.o_proj.\3"),
        (block + r"norm1\.(\w+)", rf"{layers}\2.layernorm_before.\3"),
        (block + r"norm2\.(\w+)", rf"{layers}\2.layernorm_after.\3"),
        (block + r"mlp\.(fc[12])\.(\w+)", rf"{layers}\2.mlp.\3.\4"),
        (_ANY + r"patch_embed\.proj\.(\w+)", rf"{to}embeddings.patch_embeddings.projection.\2"),
        (_ANY + r"cls_token", rf"{to}embeddings.cls_token"),
        (r"(?!decoder)(.*\.)?pos_embed", rf"{to}embeddings.position_embeddings"),
        (r"(.*\.)?norm\.(\w+)", rf"{to}layernorm.\2"),
    )


def older_transformer(to: str, layers: str) -> tuple[Rule, ...]:
    """Return rules for vision transformers named as by older releases of the transformers library."""
    layer = _ANY + r"encoder\.layer\.(\d+)\."
    heads = {"query": "q", "key": "k", "value": "v"}
    return (
        *(
            (
                layer + rf"attention\.attention\.{long}\.(\w+)",
                rf"{layers}\2.attention.{short}_proj.\3",
            )
            for long, short in heads.items()
        ),
        (layer + r"attention\.output\.dense\.(\w+)", rf"{layers}\2.attention.o_proj.\3"),
        (layer + r"intermediate\.dense\.(\w+)", rf"{layers}\2.mlp.fc1.\3"),
        (layer + r"output\.dense\.(\w+)", rf"{layers}\2.mlp.fc2.\3"),
        (layer + r"(layernorm_before|layernorm_after)\.(\w+)", rf"{layers}\2.\3.\4"),
        (r"(?!decoder)(?:.*\.)?(embeddings\..*)", rf"{to}\1"),
        (r"(?:.*\.)?(layernorm\.\w+)", rf"{to}\1"),
        (r"(?:.*\.)?(pooler\.dense\.\w+)", rf"{to}\1"),
    )


def _fusion(*encoder: Rule) -> tuple[Rule, ...]:
    """Return rules for a fusion with our own names upon an encoder of others."""
    return (*encoder, (r"(?:.*\.)?((?:join|over_frames|heads)\..+)", r"\1"))


def _graph_rules() -> tuple[Rule, ...]:
    layers = {"U": "own", "V": "of_others", "A": "first", "B": "second", "E": "edge"}
    norms = {"bnv": "node_norm", "bne": "edge_norm"}
    attention = {"FAM": "to_face", "ARM": "to_other"}
    parts = {"q": "query", "k": "key", "v": "value"}

    def gated(found: re.Match[str]) -> str:
        what, number, rest = found.groups()
        return f"graph.layers.{int(number) - 1}.{layers.get(what) or norms[what]}.{rest}"

    return (
        (r"global_linear\.fc\.(\w+)", r"face.linear.\1"),
        (r"global_linear\.bn\.(\w+)", r"face.norm.\1"),
        (r"head\.class_linears\.(\d+)\.fc\.(\w+)", r"units.\1.linear.\2"),
        (r"head\.class_linears\.(\d+)\.bn\.(\w+)", r"units.\1.norm.\2"),
        (r"head\.gnn\.U\.(\w+)", r"nearest.own.\1"),
        (r"head\.gnn\.V\.(\w+)", r"nearest.of_others.\1"),
        (r"head\.gnn\.bnv\.(\w+)", r"nearest.norm.\1"),
        (r"head\.gnn\.([UVABE]|bnv|bne)([12])\.(\w+)", gated),
        *(
            (rf"head\.edge_extractor\.{a}\.linear_{p}\.(\w+)", rf"graph.{ours}.{long}.\1")
            for a, ours in attention.items()
            for p, long in parts.items()
        ),
        (r"head\.edge_extractor\.edge_proj\.(\w+)", r"graph.project.\1"),
        (r"head\.edge_extractor\.bn\.(\w+)", r"graph.norm.\1"),
        (r"head\.edge_fc\.(\w+)", r"edge_classes.\1"),
        (r"head\.sc", r"wanted"),
        *resnet("body.body.", before=r"(backbone\.)"),
    )


def _deconv_rules(step: int) -> tuple[Rule, ...]:
    def up(found: re.Match[str]) -> str:
        number, rest = int(found[1]), found[2]
        return f"up.{number // 3 * step}.{number % 3}.{rest}"

    return (
        (r"deconv_layers\.([0134679])\.(\w+)", up),
        (r"final_layer\.(\w+)", r"to_maps.\1"),
        *resnet("body.body."),
    )


def _alignment_rules() -> tuple[Rule, ...]:
    """Return rules for EmoFAN, whose face-alignment network is named as FAN is."""

    def block(to: str, found: str) -> str:
        return re.sub(
            r"(bn|conv)([123])\.(\w+)$",
            lambda m: f"steps.{int(m[2]) - 1}.{0 if m[1] == 'bn' else 2}.{m[3]}",
            re.sub(r"downsample\.", "skip.", found),
        ).join([to, ""])

    def stem(found: re.Match[str]) -> str:
        return block(f"stem.{ {'2': 3, '3': 5, '4': 6}[found[1]] }.", found[2])

    def hourglass(found: re.Match[str]) -> str:
        stack, which, level, rest = found.groups()
        inward = "inner." * (4 - int(level))
        part = {"1": "beside.", "2": "down.", "3": "up."}[which]
        return block(f"hourglasses.{stack}.{inward}{part}", rest)

    def deepest(found: re.Match[str]) -> str:
        return block(f"hourglasses.{found[1]}.{'inner.' * 4}", found[2])

    return (
        (r"conv1\.(\w+)", r"stem.0.\1"),
        (r"bn1\.(\w+)", r"stem.1.\1"),
        (r"conv([234])\.(.+)", stem),
        (r"m([01])\.b([123])_(\d)\.(.+)", hourglass),
        (r"m([01])\.b2_plus_1\.(.+)", deepest),
        (r"top_m_([01])\.(.+)", lambda m: block(f"tops.{m[1]}.block.", m[2])),
        (r"conv_last([01])\.(\w+)", r"tops.\1.features.0.\2"),
        (r"bn_end([01])\.(\w+)", r"tops.\1.features.1.\2"),
        (r"l([01])\.(\w+)", r"tops.\1.heat.\2"),
        (r"bl0\.(\w+)", r"back_features.\1"),
        (r"al0\.(\w+)", r"back_heat.\1"),
        (r"conv1x1_input_emo_2\.(\w+)", r"join.\1"),
        (r"emo_net_2\.(\d)\.(.+)", lambda m: block(f"affect.{m[1]}.", m[2])),
        (r"emo_fc_2\.(\d)\.(\w+)", r"head.\1.\2"),
    )


EMOFAN = Layout("the authors' names (FAN and the parts upon it)", _alignment_rules())
_TORCHVISION = "names of torchvision"
_RESNET = Layout(f"ResNet with {_TORCHVISION}", resnet("body.body."))
LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "resnet18_student": (_RESNET,),
    "deng_cnn": (_RESNET,),
    "deng_rnn": (Layout(f"ResNet with {_TORCHVISION}", resnet("encoder.body.body.")),),
    "me_graphau": (Layout("the authors' names", _graph_rules()), _RESNET),
    "heatmap_deconv": (Layout("ResNet and deconv_layers", _deconv_rules(1)),),
    "heatmap_scc": (Layout("ResNet and deconv_layers", _deconv_rules(2)),),
    "eac_net": (Layout(f"VGG-19 with {_TORCHVISION}", vgg19("vgg.")),),
    "mae_teacher": (
        Layout("names of timm and MAE", transformer("encoder.", "encoder.layers.")),
        Layout("older names of transformers", older_transformer("encoder.", "encoder.layers.")),
    ),
    "mae_fusion": (
        Layout(
            "names of timm and MAE",
            _fusion(*transformer("encoder.body.", "encoder.body.layers.")),
        ),
        Layout(
            "older names of transformers",
            _fusion(*older_transformer("encoder.body.", "encoder.body.layers.")),
        ),
    ),
    "vit_se": (
        Layout("names of timm", transformer("body.", "body.layers.")),
        Layout("older names of transformers", older_transformer("body.", "body.layers.")),
    ),
    "doe": (Layout(f"MobileNetV3 with {_TORCHVISION}", mobilenet("encoder.body.body.")),),
    "ddoe": (
        Layout(
            f"MobileNetV3 and ResNet-50 with {_TORCHVISION}",
            (*mobilenet("emotion.body."), *resnet("identity.body.body.body.")),
        ),
    ),
    "emofan": (EMOFAN,),
}
"""Layouts of each system besides our own names; systems that are not here have their own names alone."""
