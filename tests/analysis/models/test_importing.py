"""Published checkpoints find their place, whatever their names, and code in them is refused."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from duchenne.analysis.models.import_checkpoint import imported
from duchenne.analysis.models.import_rules import EMOFAN, LAYOUTS
from duchenne.analysis.models.importing import (
    load_published_emofan,
    matched,
    read_several,
    read_tensors,
    without_fused,
)
from duchenne.analysis.models.mae_teacher import encoder_config
from duchenne.analysis.models.registry import build_model, model_entry
from duchenne.analysis.training.checkpoint import read_checkpoint
from duchenne.cli import app
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# What the reference graph answers to weights drawn from the names of its tensors and to random pictures.
REFERENCE = {
    "affect": [[-21.718494, 7.494795], [-22.471094, 7.861692]],
    "first": [
        27.086489,
        8.004071,
        19.300169,
        16.474997,
        19.210123,
        -50.031311,
        37.011284,
        23.895046,
    ],
}


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def meta(name: str, n_outputs: int | None = None, **settings: object) -> torch.nn.Module:
    with torch.device("meta"):
        return build_model(name, n_outputs, **settings)


def drawn(shape: tuple[int, ...]) -> Tensor:
    """Return a tensor that takes no memory."""
    return torch.zeros(()).expand(shape)


def block(name: str, *, skip: bool = False) -> list[str]:
    parts = [part for i in "123" for part in (*norm(f"{name}.bn{i}"), f"{name}.conv{i}.weight")]
    if skip:
        parts += [*norm(f"{name}.downsample.0"), f"{name}.downsample.2.weight"]
    return parts


def norm(name: str) -> list[str]:
    values = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return [f"{name}.{value}" for value in values]


def both(name: str) -> list[str]:
    return [f"{name}.weight", f"{name}.bias"]


def emofan_names() -> list[str]:
    """Return the names of the published file, which follow those of the face-alignment network."""
    names = [*both("conv1"), *norm("bn1"), *block("conv2", skip=True), *block("conv3")]
    names += block("conv4", skip=True)
    for stack in "01":
        for level in "4321":
            names += [part for which in "123" for part in block(f"m{stack}.b{which}_{level}")]
        names += [*block(f"m{stack}.b2_plus_1"), *block(f"top_m_{stack}")]
        names += [*both(f"conv_last{stack}"), *norm(f"bn_end{stack}"), *both(f"l{stack}")]
    names += [*both("bl0"), *both("al0"), *both("conv1x1_input_emo_2")]
    names += [part for i in (0, 2, 4, 6) for part in block(f"emo_net_2.{i}")]
    return [*names, *both("emo_fc_2.0"), *norm("emo_fc_2.1"), *both("emo_fc_2.3")]


def from_name(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor that the reference was computed with."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if len(shape) >= 2:
        values = rng.normal(0, 0.5 * np.sqrt(2 / np.prod(shape[1:])), shape)
    elif name.endswith("running_mean"):
        values = rng.normal(0, 0.1, shape)
    elif name.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif name.endswith("weight"):
        values = rng.uniform(0.8, 1.2, shape)
    else:
        values = rng.normal(0, 0.02, shape)
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="module")
def emofan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a made-up file with the names and shapes of the published one."""
    own = meta("emofan").state_dict()
    names = emofan_names()
    assert len(names) == len(own) == 682
    shapes = {name: tuple(own[str(EMOFAN.ours(name))].shape) for name in names}
    path = tmp_path_factory.mktemp("emofan") / "emonet_8.pth"
    torch.save({f"module.{name}": from_name(name, shape) for name, shape in shapes.items()}, path)
    return path


def test_emofan_answers_as_the_reference_graph(emofan_file: Path) -> None:
    net, told = load_published_emofan(emofan_file)
    assert told[0].startswith("682 tensors match")
    pictures = np.random.Generator(np.random.PCG64(0)).random((2, 3, 256, 256))
    with torch.no_grad():
        answer = net(torch.tensor(pictures, dtype=torch.float32))
    np.testing.assert_allclose(answer.values.numpy(), REFERENCE["affect"], rtol=1e-4)
    np.testing.assert_allclose(answer.extra["expression"][0], REFERENCE["first"], rtol=1e-4)


def test_emofan_is_used_where_it_lies(emofan_file: Path, tmp_path: Path) -> None:
    told = run("models", "import", "emofan", emofan_file, "--check")
    assert "CC BY-NC-ND 4.0" in told
    assert told.splitlines()[-1] == f"Usable in place: {emofan_file}"
    with pytest.raises(UsageError, match="allows no changed copy"):
        run("models", "import", "emofan", emofan_file, "--out", tmp_path / "copy.safetensors")
    assert list(tmp_path.iterdir()) == []


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code ran",))


def test_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "extra": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(DuchenneError, match="more than weights"):
        read_tensors(tmp_path / "evil.pth")
    assert "code ran" not in capsys.readouterr().out
    (tmp_path / "torn.pth").write_bytes(b"no checkpoint")
    with pytest.raises(DuchenneError, match=r"torn\.pth"):
        read_tensors(tmp_path / "torn.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(DuchenneError, match="holds no tensors"):
        read_tensors(tmp_path / "empty.pth")
    torch.save({"a": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(DuchenneError, match="is no published EmoFAN"):
        load_published_emofan(tmp_path / "other.pth")


def torchvision_resnet(prefix: str, depth: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a ResNet as torchvision has them."""
    blocks, wide = ((2, 2, 2, 2), 1) if depth == 18 else ((3, 4, 6, 3), 4)
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, n_in: int, n_out: int, kernel: int, bn: str) -> None:
        shapes[f"{prefix}{name}.weight"] = (n_out, n_in, kernel, kernel)
        shapes.update({f"{prefix}{key}": (n_out,) for key in norm(bn)[:4]})

    convolution("conv1", 3, 64, 7, "bn1")
    n_in = 64
    for stage, (n, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), 1):
        for i in range(n):
            at = f"layer{stage}.{i}"
            kernels = (3, 3) if depth == 18 else (1, 3, 1)
            widths = (width,) * (len(kernels) - 1) + (width * wide,)
            before = n_in
            for j, (kernel, n_out) in enumerate(zip(kernels, widths, strict=True), 1):
                convolution(f"{at}.conv{j}", before, n_out, kernel, f"{at}.bn{j}")
                before = n_out
            if n_in != width * wide:
                convolution(f"{at}.downsample.0", n_in, width * wide, 1, f"{at}.downsample.1")
            n_in = width * wide
    return shapes


def graph_shapes(n: int, stage: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a checkpoint of ME-GraphAU."""
    shapes = torchvision_resnet("module.backbone.", 50)

    def linear(name: str, n_in: int, n_out: int, *, bias: bool = True) -> None:
        shapes[f"module.{name}.weight"] = (n_out, n_in)
        if bias:
            shapes[f"module.{name}.bias"] = (n_out,)

    def bn(name: str, width: int) -> None:
        shapes.update({f"module.{key}": (width,) for key in norm(name)[:4]})

    linear("global_linear.fc", 2048, 512)
    bn("global_linear.bn", 512)
    for i in range(n):
        linear(f"head.class_linears.{i}.fc", 512, 512)
        bn(f"head.class_linears.{i}.bn", 512)
    shapes["module.head.sc"] = (n, 512)
    if stage == 1:
        linear("head.gnn.U", 512, 512)
        linear("head.gnn.V", 512, 512)
        bn("head.gnn.bnv", n)
        return shapes
    for attention in ("FAM", "ARM"):
        for part, width in (("q", 256), ("k", 256), ("v", 512)):
            linear(f"head.edge_extractor.{attention}.linear_{part}", 512, width)
    linear("head.edge_extractor.edge_proj", 512, 512)
    bn("head.edge_extractor.bn", n * n)
    for layer in "12":
        for part in "UVABE":
            linear(f"head.gnn.{part}{layer}", 512, 512, bias=False)
        bn(f"head.gnn.bnv{layer}", n)
        bn(f"head.gnn.bne{layer}", n * n)
    linear("head.edge_fc", 512, 4)
    return shapes


@pytest.mark.parametrize(("n", "stage"), [(12, 2), (8, 1)])
def test_graph_checkpoints_find_system_stage_and_outputs(
    n: int, stage: int, tmp_path: Path
) -> None:
    shapes = graph_shapes(n, stage)
    given = {k.removeprefix("module."): drawn(v) for k, v in shapes.items()}
    found = imported(model_entry("me_graphau"), given)
    assert found.matched.is_complete
    assert not found.matched.by_shape
    assert not found.matched.unexpected
    assert found.settings.model_settings == {"stage": stage}
    assert len(found.settings.labels) == found.n_outputs == n


def test_backbones_of_torchvision_fill_their_part() -> None:
    given = {k: drawn(v) for k, v in torchvision_resnet("", 18).items()}
    given["fc.weight"] = drawn((1000, 512))
    found = matched("resnet18_student", meta("resnet18_student"), given)
    assert {name.partition(".")[0] for name in found.missing} == {"head"}
    assert found.unexpected == ("fc.weight",)
    assert found.layout == "ResNet with names of torchvision"
    places = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
    own = meta("eac_net", width=8)
    shapes = [v.shape for k, v in own.state_dict().items() if k.startswith("vgg")]
    vgg = {}
    for i, at in enumerate(places):
        vgg[f"features.{at}.weight"] = drawn(tuple(shapes[2 * i]))
        vgg[f"features.{at}.bias"] = drawn(tuple(shapes[2 * i + 1]))
    found = matched("eac_net", own, vgg)
    assert len([k for k in found.tensors if k.startswith("vgg.")]) == 32
    assert not found.unexpected


def test_mobilenet_of_torchvision_fills_the_encoder() -> None:
    own = meta("doe")
    given = {}
    for name, value in own.state_dict().items():
        if not name.startswith("encoder."):
            continue
        parts = name.removeprefix("encoder.body.body.").split(".")
        if parts[1] == "body":
            rest = ".".join(parts[3:])
            rest = rest.replace("gate.0", "fc1").replace("gate.2", "fc2")
            given[f"features.{parts[0]}.block.{parts[2]}.{rest}"] = drawn(tuple(value.shape))
        else:
            given[f"features.{'.'.join(parts)}"] = drawn(tuple(value.shape))
    found = matched("doe", own, given)
    assert {name.partition(".")[0] for name in found.missing} == {"head"}
    assert found.layout == "MobileNetV3 with names of torchvision"
    assert not found.by_shape


def transformer_shapes(
    depth: int, width: int = 768, patch_px: int = 16, px: int = 224
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a masked auto-encoder as its authors have them."""
    places = (px // patch_px) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width), "pos_embed": (1, places, width),
        "decoder_pos_embed": (1, places, 512), "patch_embed.proj.weight": (width, 3, patch_px, patch_px),
        "patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,),
    }  # fmt: skip
    for i in range(depth):
        at = f"blocks.{i}"
        for name, n_in, n_out in (
            ("attn.qkv", width, 3 * width),
            ("attn.proj", width, width),
            ("mlp.fc1", width, 4 * width),
            ("mlp.fc2", 4 * width, width),
        ):
            shapes[f"{at}.{name}.weight"], shapes[f"{at}.{name}.bias"] = (n_out, n_in), (n_out,)
        for name in ("norm1", "norm2"):
            shapes[f"{at}.{name}.weight"] = shapes[f"{at}.{name}.bias"] = (width,)
    return shapes


def test_encoders_of_mae_fill_the_teacher() -> None:
    given = without_fused({k: drawn(v) for k, v in transformer_shapes(12).items()})
    found = matched("mae_teacher", meta("mae_teacher"), given)
    assert {name.partition(".")[0] for name in found.missing} == {"to_features", "head"}
    assert found.unexpected == ("decoder_pos_embed",)
    fused = torch.arange(6.0).view(6, 1)
    apart = without_fused({"blocks.0.attn.qkv.weight": fused})
    assert apart["blocks.0.attn.k.weight"].flatten().tolist() == [2.0, 3.0]


def test_a_fusion_has_the_sizes_of_its_file(tmp_path: Path) -> None:
    """The encoder's own, in the names of its authors; what is upon it in ours, or as published."""
    torch.manual_seed(0)
    sizes = {"width": 64, "depth": 3, "patch_px": 8}
    shapes = transformer_shapes(3, 64, 8, 32)
    theirs = without_fused({k: torch.randn(v) for k, v in shapes.items()})
    upon = build_model(
        "mae_fusion", 3, width=16, layers=2, n_sound=5, config=encoder_config(32, sizes)
    ).state_dict()
    upon = {k: v for k, v in upon.items() if not k.startswith("encoder.")}
    torch.save(theirs, tmp_path / "mae.pth")
    torch.save({"model": upon}, tmp_path / "fusion.pth")
    out = tmp_path / "whole.safetensors"
    files = (tmp_path / "mae.pth", tmp_path / "fusion.pth")
    told = run(
        "models",
        "import",
        "mae_fusion",
        *files,
        "--labels",
        "valence,arousal,dominance",
        "--out",
        out,
    )
    assert "0 missing" in told
    tensors, about = read_checkpoint(out)
    own = about["settings"]["model_settings"]
    assert own == {"encoder": sizes, "n_sound": 5, "width": 16, "layers": 2}
    assert (about["settings"]["input_px"], about["n_outputs"]) == (32, 3)
    assert torch.equal(tensors["net.join.0.weight"], upon["join.0.weight"])
    where = "net.encoder.body.layers.2.mlp.fc2.weight"
    assert torch.equal(tensors[where], theirs["blocks.2.mlp.fc2.weight"])
    with pytest.raises(UsageError, match="holds no encoder of pictures"):
        run("models", "import", "mae_fusion", tmp_path / "fusion.pth", "--check")


def test_what_order_and_shape_alone_say_is_called_a_guess() -> None:
    torch.manual_seed(0)
    net = build_model("cnn_baseline", 3)
    renamed = {f"x{i}": v for i, v in enumerate(net.state_dict().values()) if v.ndim}
    found = matched("cnn_baseline", meta("cnn_baseline", 3), renamed)
    assert found.is_complete
    assert "a guess" in found.lines()[1]
    assert torch.equal(found.tensors["head.0.weight"], net.state_dict()["head.0.weight"])
    some = {"first": drawn((128, 256)), "second": drawn((7, 128)), "third": drawn((32,))}
    found = matched("cnn_baseline", meta("cnn_baseline", 3), some)
    assert found.by_shape == ("head.0.weight",)  # what is there once; (32,) is there often
    assert set(found.unexpected) == {"second", "third"}


def test_parts_in_several_files_are_told_apart(tmp_path: Path) -> None:
    """A release of one file for each part fills a system whose parts have other names."""
    own = meta("jaa_net", 2, units=(1, 12)).state_dict()
    torch.manual_seed(0)
    for part in ("align_stack", "whole", "classify", "refine"):
        tensors = {
            f"layer.{i}": torch.randn(v.shape)
            for i, (k, v) in enumerate(own.items())
            if k.startswith(f"{part}.") and v.ndim
        }
        torch.save({"state_dict": tensors}, tmp_path / f"their_{part}.pth")
    given = read_several([tmp_path / f"their_{p}.pth" for p in ("classify", "refine")])
    found = matched("jaa_net", meta("jaa_net", 2, units=(1, 12)), given)
    assert {name.partition(".")[0] for name in found.by_shape} == {"classify", "refine"}
    # Two parts of the same shapes: which is which cannot be known, and nothing is placed.
    given = read_several([tmp_path / f"their_{p}.pth" for p in ("align_stack", "whole")])
    assert not matched("jaa_net", meta("jaa_net", 2, units=(1, 12)), given).by_shape


def test_an_imported_system_is_a_checkpoint_of_this_program(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_model("resnet18_student", 12)
    torch.save({"model": net.state_dict(), "epoch": 4}, tmp_path / "student.pth")
    out = tmp_path / "student.safetensors"
    told = run("models", "import", "resnet18_student", tmp_path / "student.pth", "--out", out)
    assert "0 missing" in told
    assert told.splitlines()[-1] == f"Weights: {out}"
    tensors, about = read_checkpoint(out)
    assert torch.equal(tensors["net.head.4.bias"], net.state_dict()["head.4.bias"])
    assert about["labels"][:3] == ["AU01", "AU02", "AU04"]
    torch.save(dict(list(net.state_dict().items())[:100]), tmp_path / "half.pth")
    half = (
        "models",
        "import",
        "resnet18_student",
        tmp_path / "half.pth",
        "--out",
        tmp_path / "h.safetensors",
    )
    with pytest.raises(DuchenneError, match="tensors are missing"):
        run(*half)
    run(*half, "--partial")
    assert json.loads(
        json.dumps(read_checkpoint(tmp_path / "h.safetensors")[1]["imported"]["missing"])
    )


@pytest.mark.parametrize(
    ("system", "theirs", "ours"),
    [
        (
            "vit_se",
            "vit.encoder.layer.3.attention.attention.query.weight",
            "body.layers.3.attention.q_proj.weight",
        ),
        (
            "vit_se",
            "vit.encoder.layer.3.attention.output.dense.bias",
            "body.layers.3.attention.o_proj.bias",
        ),
        ("vit_se", "vit.encoder.layer.3.intermediate.dense.bias", "body.layers.3.mlp.fc1.bias"),
        ("vit_se", "vit.encoder.layer.11.output.dense.weight", "body.layers.11.mlp.fc2.weight"),
        ("vit_se", "vit.embeddings.cls_token", "body.embeddings.cls_token"),
        ("vit_se", "vit.layernorm.weight", "body.layernorm.weight"),
        ("vit_se", "blocks.0.norm2.weight", "body.layers.0.layernorm_after.weight"),
        (
            "mae_teacher",
            "vit.encoder.layer.0.layernorm_before.bias",
            "encoder.layers.0.layernorm_before.bias",
        ),
        ("heatmap_deconv", "deconv_layers.4.running_var", "up.1.1.running_var"),
        ("heatmap_scc", "deconv_layers.6.weight", "up.4.0.weight"),
        ("heatmap_scc", "final_layer.bias", "to_maps.bias"),
    ],
)
def test_names_of_others(system: str, theirs: str, ours: str) -> None:
    assert ours in meta(system).state_dict()
    assert ours in [layout.ours(theirs) for layout in LAYOUTS[system]]
