"""Systems for expression, valence and arousal: their shapes, their losses, what they leave alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import ViTConfig

from duchenne.analysis.models.deng import (
    DengCnn,
    DengRnn,
    affect_loss,
    bin_centres,
    expectation,
    student_loss,
    teacher_loss,
    to_bins,
)
from duchenne.analysis.models.doe import DifferenceOfEmbeddings, DisentangledEmbeddings
from duchenne.analysis.models.emofan import (
    EmoFan,
    alignment_loss,
    mirrored_affect,
    shake_loss,
    shake_weights,
)
from duchenne.analysis.models.mae_fusion import MaeFusion, fusion_loss
from duchenne.analysis.models.mae_teacher import encoder_config
from duchenne.analysis.models.mobilenet_v3 import MobileNetV3
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import build_model, n_parameters
from duchenne.analysis.models.vit_se import ViTSqueezeExcite
from duchenne.analysis.training.balance import bin_numbers
from duchenne.analysis.training.checkpoint import load_initial
from duchenne.analysis.training.prepared import Faces
from duchenne.analysis.training.scoring import System
from duchenne.analysis.training.scoring import answered as answered_faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.tasks import Task

NAN = float("nan")


def test_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        vit, emofan = build_model("vit_se", 8), build_model("emofan", 8)
        assert isinstance(vit, ViTSqueezeExcite)
        assert n_parameters(vit.body) == 86_389_248
        assert n_parameters(vit.gate) == 295_872
        assert n_parameters(build_model("doe", 8)) == 3_507_224
        assert n_parameters(build_model("deng_cnn")) == 24_314_999
        assert n_parameters(emofan) == 13_963_410
        assert n_parameters(emofan, trainable=True) == 1_856_906


def test_the_gate_of_vit_se_weighs_what_is_pooled() -> None:
    torch.manual_seed(0)
    small = ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=16,
    )  # fmt: skip
    net = ViTSqueezeExcite(3, small).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        pooled = net.body(images).pooler_output
        net.gate[2].weight.zero_()
        net.gate[2].bias.fill_(0.0)  # sigmoid of 0: everything by half
        answer = net(images)
    torch.testing.assert_close(answer.features, pooled / 2)
    torch.testing.assert_close(answer.values.sum(dim=1), torch.ones(2))


@pytest.fixture(scope="module")
def doe() -> DifferenceOfEmbeddings:
    torch.manual_seed(0)
    return DifferenceOfEmbeddings(4)


def test_the_neutral_face_is_taken_away(doe: DifferenceOfEmbeddings) -> None:
    doe.eval()
    neutral, shown = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = doe(torch.stack([neutral, shown], dim=1)).features
        alone = doe(shown).features
        embedded = doe.encoder(shown) - doe.encoder(neutral)
    assert features is not None
    assert alone is not None
    torch.testing.assert_close(features[:, :960], embedded, atol=1e-5, rtol=1e-4)
    assert float(alone[:, :960].abs().max()) == 0.0


def test_a_frozen_encoder_stays_as_it_is(doe: DifferenceOfEmbeddings) -> None:
    doe.train()
    before = {k: v.clone() for k, v in doe.encoder.state_dict().items()}
    step = torch.optim.SGD([p for p in doe.parameters() if p.requires_grad], 0.1)
    loss = doe(torch.randn(4, 2, 3, 32, 32)).values[:, 0].sum()
    loss.backward()
    step.step()
    for name, value in doe.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name])  # running statistics too
    assert not any(p.requires_grad for p in doe.encoder.parameters())


class _Sums(nn.Module):
    """Stands for a network that knows identity."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, 2048)


def test_two_stages_of_disentangling() -> None:
    torch.manual_seed(0)
    first = DisentangledEmbeddings(3, identity=_Sums()).train()
    first(torch.randn(4, 3, 32, 32)).values[:, 0].sum().backward()
    assert any(p.grad is not None for p in first.emotion.parameters())
    second = first.second_stage()
    assert second.encoder.body is first.emotion
    assert not any(p.requires_grad for p in second.encoder.parameters())
    assert second(torch.randn(2, 2, 3, 32, 32)).values.shape == (2, 3)


def test_mobilenet_halves_five_times() -> None:
    net = MobileNetV3().eval()
    with torch.no_grad():
        assert net.body(torch.zeros(1, 3, 224, 224)).shape == (1, 960, 7, 7)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_bins_hold_their_values(values: list[float]) -> None:
    at = torch.tensor(values)
    numbers = to_bins(at)
    assert int(numbers.min()) >= 0
    assert int(numbers.max()) <= 19
    assert float((bin_centres()[numbers] - at).abs().max()) <= 0.05 + 1e-5
    certain = torch.nn.functional.one_hot(numbers, 20) * 50.0
    torch.testing.assert_close(expectation(certain), bin_centres()[numbers], atol=1e-4, rtol=0.0)


def test_a_label_between_two_bins_is_in_the_upper_one() -> None:
    """Ratings have one or two decimals: many lie on an edge, which rounding must not move."""
    edges = np.round(np.linspace(-1, 1, 21), 2)
    wanted = [*range(20), 19]
    assert to_bins(torch.tensor(edges, dtype=torch.float32)).tolist() == wanted
    assert bin_numbers(edges).tolist() == bin_numbers(edges.astype(np.float32)).tolist() == wanted


def test_expectation_knows_shift_and_what_is_not_known() -> None:
    logits = torch.randn(3, 20)
    torch.testing.assert_close(expectation(logits + 7.0), expectation(logits))
    torch.testing.assert_close(expectation(torch.zeros(1, 20)), torch.zeros(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(bin_centres()[[0, -1]], torch.tensor([-0.95, 0.95]))
    torch.testing.assert_close(bin_centres(parity=True)[[0, -1]], torch.tensor([-1.0, 1.0]))
    assert to_bins(torch.tensor([NAN, 1.0, -1.0])).tolist() == [-1, 19, 0]


def answered(seed: int, n: int = 6) -> Answer:
    draw = torch.Generator().manual_seed(seed)
    bins = torch.randn(n, 2, 20, generator=draw)
    extra = {
        "au": torch.randn(n, 8, generator=draw),
        "expression": torch.randn(n, 7, generator=draw),
    }
    return Answer(expectation(bins), logits=bins, extra=extra)


def test_losses_of_deng_by_hand() -> None:
    answer = answered(0, 2)
    truth = torch.tensor([[0.33, NAN], [-0.97, NAN]])
    classes = torch.tensor([13, 0])
    nll = -answer.logits[:, 0].log_softmax(dim=1)[[0, 1], classes].mean()
    x, y = answer.values[:, 0], truth[:, 0]
    shared = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var(unbiased=False) + y.var(unbiased=False) + (x.mean() - y.mean()) ** 2
    torch.testing.assert_close(affect_loss(answer.logits, truth), nll + 1 - 2 * shared / spread)
    named = teacher_loss(answer, {"expression": torch.tensor([2, -1])})
    assert set(named) == {"total", "expression"}
    expected = -answer.extra["expression"].log_softmax(dim=1)[0, 2]
    torch.testing.assert_close(named["total"], expected)


def test_a_student_takes_from_its_teacher_what_no_label_says() -> None:
    student, teacher = answered(1), answered(2)
    labels = {"expression": torch.tensor([0, 1, 2, 3, 4, 5])}
    named = student_loss(student, teacher, labels)
    wanted = (teacher.extra["expression"] / 1.5).softmax(dim=1)
    found = (student.extra["expression"] / 1.5).log_softmax(dim=1)
    told = (wanted * (wanted.log() - found)).sum(dim=1).mean()
    known = teacher_loss(student, labels)["expression"]
    torch.testing.assert_close(named["expression"], 0.4 * told + 0.6 * known)
    torch.testing.assert_close(
        named["total"], (named["au"] + named["expression"] + named["affect"]) / 3
    )
    same = student_loss(teacher, teacher, {})
    assert float(same["affect"]) == pytest.approx(0.0, abs=1e-5)


def test_deng_answers_frames_and_clips() -> None:
    torch.manual_seed(0)
    net = DengCnn().eval()
    with torch.no_grad():
        answer = net(torch.randn(2, 3, 64, 64))
        clips = DengRnn(encoder=net)(torch.randn(2, 3, 3, 64, 64))
    assert answer.values.shape == (2, 2)
    assert float(answer.values.abs().max()) <= 0.95
    assert clips.values.shape == (2, 3, 2)
    assert clips.extra["au"].shape == (2, 3, 8)


@pytest.fixture(scope="module")
def emofan() -> EmoFan:
    torch.manual_seed(0)
    return EmoFan(5)


def test_emofan_looks_where_landmarks_are(emofan: EmoFan) -> None:
    emofan.eval()
    images = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        answer = emofan(images)
        both = mirrored_affect(emofan, images)
    assert answer.values.shape == (1, 2)
    assert answer.extra["expression"].shape == (1, 5)
    assert answer.maps["heat"].shape == (1, 68, 64, 64)
    torch.testing.assert_close(
        answer.maps["attention"][:, 0], answer.maps["heat"].sum(dim=1), atol=1e-4, rtol=1e-4
    )
    assert answer.landmarks is not None
    row, column = divmod(int(answer.maps["heat"][0, 7].argmax()), 64)
    assert answer.landmarks[0, 7].tolist() == [(column + 0.5) * 4, (row + 0.5) * 4]
    assert float(both.abs().max()) <= 1.0


def test_emofan_is_scored_by_the_mean_with_the_mirror_image() -> None:
    how = TrainSettings(model="emofan", labels=("valence", "arousal"), input_px=64)
    pictures = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
    truth, who = np.zeros((2, 2), np.float32), np.array(["A", "B"])
    faces = Faces(pictures, truth, how.labels, who, None, {})
    torch.manual_seed(0)
    system = System("emofan", how, {}, Task(how, faces).eval())
    one = answered_faces(system, faces, np.arange(2)).values
    mirrored = replace(faces, images=np.ascontiguousarray(pictures[:, :, ::-1]))
    other = answered_faces(system, mirrored, np.arange(2)).values
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert np.abs(one).max() <= 1


def test_the_alignment_network_of_emofan_may_learn_first() -> None:
    torch.manual_seed(0)
    net = EmoFan(5, alignment=True).train()
    assert all(m.training for part in net.alignment_parts() for m in part.modules())
    assert all(p.requires_grad for p in net.parameters())
    answer = net(torch.rand(2, 3, 64, 64))
    assert answer.extra["heats"].shape == (2, 2, 68, 16, 16)
    points = torch.rand(2, 68, 2) * 20 + 20
    loss = alignment_loss(answer, points, 64)
    loss.backward()
    assert net.stem[0].weight.grad.abs().sum() > 0


def test_landmarks_are_bells_in_the_maps() -> None:
    """No answer counts the sum of a squared bell, which is pi; the bell itself counts nothing."""
    points = torch.full((1, 68, 2), 32.0)
    points[:, 3] = math.nan
    nothing = Answer(torch.zeros(1, 2), extra={"heats": torch.zeros(1, 2, 68, 16, 16)})
    assert float(alignment_loss(nothing, points, 64)) == pytest.approx(math.pi, rel=1e-3)
    away = torch.arange(16) + 0.5 - 8
    bell = torch.exp(-(away[None] ** 2 + away[:, None] ** 2) / 2)
    right = Answer(torch.zeros(1, 2), extra={"heats": bell.expand(1, 2, 68, 16, 16)})
    assert float(alignment_loss(right, points, 64)) == pytest.approx(0, abs=1e-6)
    unknown = torch.full((1, 68, 2), math.nan)
    assert float(alignment_loss(nothing, unknown, 64)) == 0


def test_smaller_residual_networks() -> None:
    """What is frozen or shared may be smaller; the heads keep their sizes."""
    with torch.device("meta"):
        cnn = build_model("deng_cnn", depth=18)
        rnn = build_model("deng_rnn", depth=18)
        first = build_model("ddoe", 8, identity_depth=18)
    assert n_parameters(cnn) < 12_000_000
    stage = DisentangledEmbeddings(3, residual=18, identity_depth=18).second_stage()
    assert (stage.n_embedding, stage.head[0].in_features) == (512, 1024)
    assert rnn.encoder.embed["affect"][1].in_features == 512
    assert first.head[0].in_features == 960 + 512
    assert cnn.head["affect"].in_features == rnn.gru["affect"].input_size == 128


def test_vit_begins_from_a_masked_auto_encoder() -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    mae = build_model("mae_pretraining", config=encoder_config(32, {**sizes, "patch_size": 16}))
    vit = ViTSqueezeExcite(
        3, ViTConfig(**sizes, image_size=32, patch_size=16, intermediate_size=128)
    )
    told = load_initial(vit, {f"net.{k}": v for k, v in mae.state_dict().items()})
    assert any("start fresh: body.pooler (2), gate.0 (2)" in line for line in told)
    theirs = mae.state_dict()["body.vit.layers.1.mlp.fc2.weight"]
    assert torch.equal(vit.state_dict()["body.layers.1.mlp.fc2.weight"], theirs)


def test_the_alignment_network_of_emofan_does_not_learn(emofan: EmoFan) -> None:
    emofan.train()
    assert not any(m.training for part in emofan.alignment_parts() for m in part.modules())
    assert emofan.affect.training
    learnt = {name.split(".")[0] for name, p in emofan.named_parameters() if p.requires_grad}
    assert learnt == {"join", "affect", "head"}


def test_shaken_losses() -> None:
    draw = torch.Generator().manual_seed(0)
    weights = [shake_weights(draw) for _ in range(300)]
    assert all(float(w.sum()) == pytest.approx(1.0) and float(w.min()) >= 0 for w in weights)
    assert np.allclose(torch.stack(weights).mean(dim=0), 1 / 3, atol=0.03)
    values = torch.tensor([[0.1, 0.2], [0.5, -0.3], [-0.4, 0.0]])
    truth = torch.tensor([[0.2, 0.1], [0.4, -0.2], [-0.1, 0.3]])
    answer = Answer(values, extra={"expression": torch.zeros(3, 8)})
    named = shake_loss(answer, truth, torch.tensor([1, 2, -1]), torch.tensor([0.2, 0.3, 0.5]))
    rs, cs = [], []
    for x, y in zip(values.T.numpy(), truth.T.numpy(), strict=True):
        rs.append(np.corrcoef(x, y)[0, 1])
        cs.append(2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
    by_hand = (
        math.log(8)
        + 0.2 * float(((values - truth) ** 2).mean())
        + 0.3 * (1 - np.mean(rs))
        + 0.5 * (1 - np.mean(cs))
    )
    assert float(named["total"]) == pytest.approx(by_hand, rel=1e-4)


def test_fusion_leaves_missing_frames_alone() -> None:
    torch.manual_seed(0)
    net = MaeFusion(3, 8, 4, width=16, layers=2, heads=2).eval()
    frames, sound = torch.randn(2, 10, 8), torch.randn(2, 10, 4)
    missing = torch.zeros(2, 10, dtype=torch.bool)
    missing[:, 7:] = True
    with torch.no_grad():
        answer = net(frames, sound, missing)
        other = net(torch.cat([frames[:, :7], frames[:, 7:] + 5], dim=1), sound, missing)
        silent = net(frames)
    assert answer.values.shape == (2, 10, 3)
    torch.testing.assert_close(answer.values[:, :7], other.values[:, :7])
    assert not torch.equal(answer.values, silent.values)
    truth = torch.full((2, 10, 3), NAN)
    truth[..., 0] = answer.values[..., 0]
    named = fusion_loss(answer, truth)
    assert float(named["0"]) == pytest.approx(0.0, abs=1e-3)
    assert float(named["1"]) == pytest.approx(1.0)  # nothing known: no concordance, and no gradient


@pytest.mark.parametrize("kind", ["fusion", "doe"])
def test_a_small_batch_is_learnt_by_heart(kind: str, doe: DifferenceOfEmbeddings) -> None:
    torch.manual_seed(1)
    if kind == "fusion":
        net: nn.Module = MaeFusion(2, 8, 0, width=16, layers=1, heads=2, dropout=0.0)
        inputs, truth = torch.randn(4, 10, 8), torch.rand(4, 10, 2) * 1.6 - 0.8

        def loss() -> torch.Tensor:
            return fusion_loss(net(inputs), truth)["total"]
    else:
        net = doe.eval()
        pairs, classes = torch.randn(4, 2, 3, 32, 32), torch.arange(4)
        with torch.no_grad():
            embedded = doe(pairs).features
        assert embedded is not None
        scaled = embedded / embedded.std()

        def loss() -> torch.Tensor:
            return nn.functional.cross_entropy(doe.head(scaled), classes)

    step = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 5e-3)
    first = float(loss().detach())
    for _ in range(150):
        step.zero_grad()
        value = loss()
        value.backward()
        step.step()
    assert float(value.detach()) < 0.2 * first
