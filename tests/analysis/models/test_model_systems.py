"""Every system has the shape of its publication, and learns a small batch by heart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from duchenne.analysis.models.backbones import Vgg19
from duchenne.analysis.models.eac_net import EacNet, attention_map, centres
from duchenne.analysis.models.heatmap import growing_maps, heat_loss, point_maps
from duchenne.analysis.models.jaa_net import BP4D_UNITS, JaaNet, JaaNetV2, initial_maps
from duchenne.analysis.models.mae_teacher import MaeTeacher, MaskedAutoencoder, mae_config
from duchenne.analysis.models.me_graphau import MeGraphAu
from duchenne.analysis.models.registry import (
    build_model,
    model_entries,
    model_entry,
    n_parameters,
)
from duchenne.analysis.training.checkpoint import load_initial
from duchenne.analysis.training.optimizing import learnt_groups, set_rate
from duchenne.analysis.training.prepared import Faces
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.shown import Shown
from duchenne.analysis.training.tasks import Task
from duchenne.stimuli.errors import DuchenneError, UsageError

PUBLISHED = {
    ("resnet18_student", 12): 11_243_980,
    ("jaa_net", 12): 22_162_854,
    ("jaa_net", 8): 18_603_674,
    ("jaa_net_v2", 12): 25_237_182,
    ("jaa_net_v2", 8): 20_653_226,
    ("me_graphau", 12): 31_666_132,
    ("heatmap_deconv", 5): 33_997_898,
    ("heatmap_hourglass", 5): 3_416_197,
}


@pytest.mark.parametrize(("name", "n_outputs"), PUBLISHED)
def test_as_many_parameters_as_published(name: str, n_outputs: int) -> None:
    with torch.device("meta"):
        assert n_parameters(build_model(name, n_outputs)) == PUBLISHED[name, n_outputs]


def test_parameters_of_the_parts() -> None:
    with torch.device("meta"):
        eac, teacher, first = EacNet(12), MaeTeacher(12), MeGraphAu(12, stage=1)
        enhancing = n_parameters(eac.vgg) + n_parameters(eac.enhanced)
        cropping = (eac.crop_convolutions, eac.crop_layers, eac.cropped)
    assert round(enhancing / 1e6, 1) == 131.2
    assert round(sum(map(n_parameters, cropping)) / 1e6, 1) == 77.9
    assert n_parameters(teacher.to_features) + n_parameters(teacher.head) == 19_272_300
    assert n_parameters(first) == 28_253_784


def test_every_system_is_listed_and_an_unknown_one_refused() -> None:
    entries = model_entries()
    assert {name for name, _ in PUBLISHED} <= set(entries)
    assert all(entry.paper and entry.preprocessing for entry in entries.values())
    with pytest.raises(UsageError, match="there is no model 'resnet'; there are: cnn_baseline"):
        model_entry("resnet")


@pytest.mark.parametrize(
    "name",
    ["cnn_baseline", "resnet18_student", "me_graphau", "heatmap_deconv", "heatmap_hourglass"],
)
def test_answers_lie_in_their_range(name: str) -> None:
    torch.manual_seed(1)
    entry = model_entry(name)
    net = build_model(name).eval()
    with torch.no_grad():
        answer = net(torch.randn(2, 3, 64, 64))
    assert answer.values.shape == (2, entry.default_n_outputs)
    assert float(answer.values.min()) >= 0
    assert float(answer.values.max()) <= (5 if entry.task == "intensity" else 1)


def small_teacher(n_outputs: int = 3) -> tuple[MaeTeacher, MaskedAutoencoder]:
    config = mae_config(
        input_px=32, patch_px=8, width=32, depth=2, heads=2, decoder_width=32, decoder_depth=1
    )
    return MaeTeacher(n_outputs, config, dropout=0.0), MaskedAutoencoder(config)


def test_the_teacher_sees_every_patch_in_its_place() -> None:
    teacher, pretraining = small_teacher()
    teacher.load_encoder(pretraining)
    teacher.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        answer = teacher(images)
        torch.testing.assert_close(teacher(images).values, answer.values)
        tokens = teacher.encoder(images, noise=torch.arange(16.0).expand(2, -1)).last_hidden_state
    assert tokens.shape == (2, 17, 32)
    assert answer.features is not None
    assert answer.features.shape == (2, 128)
    torch.testing.assert_close(teacher.answer(answer.features).values, answer.values)


def test_patches_know_their_place() -> None:
    """The fixed positions are those of the publication, and no two are alike."""
    teacher, pretraining = small_teacher()
    for positions in (
        teacher.encoder.embeddings.position_embeddings,
        pretraining.encoder.embeddings.position_embeddings,
        pretraining.body.decoder.decoder_pos_embed,
    ):
        assert not positions.requires_grad
        assert float(positions[0, 0].abs().max()) == 0.0  # the class token
        assert float(positions[0, 7, 0]) == pytest.approx(np.sin(2.0))  # patch 6: row 1, column 2
        assert float(positions[0, 7, 16]) == pytest.approx(np.sin(1.0))
        assert float(torch.pdist(positions[0]).min()) > 0.5


def test_pretraining_paints_hidden_patches() -> None:
    torch.manual_seed(0)
    _, pretraining = small_teacher()
    images = torch.randn(1, 3, 8, 8).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    noise = torch.rand(1, 16)
    step = torch.optim.AdamW(pretraining.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = pretraining(images, noise=noise)
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


def face_points(n: int, side: float) -> np.ndarray:
    """Return points spread over the middle of a picture: (n, 2)."""
    at = np.random.default_rng(3).uniform(0.3, 0.7, (n, 2))
    return at * side


def test_attention_of_eac_falls_from_its_centres() -> None:
    landmarks = face_points(68, 1.0)[None]
    landmarks[0, [39, 42]] = [[0.4, 0.4], [0.6, 0.4]]
    landmarks[0, [48, 54]] = [[0.35, 0.7], [0.65, 0.7]]
    landmarks[0, [21, 22]] = [[0.45, 0.3], [0.55, 0.3]]
    points = centres(landmarks)
    np.testing.assert_allclose(points[0, :2], [[0.45, 0.2], [0.55, 0.2]])  # half a ruler above
    np.testing.assert_allclose(points[0, 12:14], landmarks[0, [48, 54]])
    drawn = attention_map(points[:, 12:14])
    row, column = round(0.7 * 99), round(0.35 * 99)
    np.testing.assert_allclose(
        drawn[0, row, column : column + 7], [1, 0.905, 0.81, 0.715, 0.62, 0.525, 0], rtol=1e-5
    )
    np.testing.assert_allclose(drawn[0, row + 5, column + 5], 0.05, atol=1e-6)
    released = attention_map(points[:, 12:14], 0.07)  # within 7 of each centre
    np.testing.assert_allclose(
        released[0, row, column + 6 : column + 9], [0.58, 0.51, 0], rtol=1e-5
    )
    landmarks[0, 42, 1] += 0.1  # the ruler is the horizontal distance
    np.testing.assert_allclose(centres(landmarks)[0, :2], points[0, :2])


def test_crops_of_eac_lie_about_their_points() -> None:
    """A bright cell is seen by the crop whose centre it is, and by no other."""
    net = EacNet(2, width=8).eval()
    with torch.no_grad():
        for convolution in net.crop_convolutions:
            convolution.weight.fill_(1.0)
            convolution.bias.zero_()
        for layer in net.crop_layers:
            layer.weight.fill_(1.0)
            layer.bias.zero_()
        features = torch.zeros(1, 512, 28, 28)
        features[0, :, 14, 7] = 1.0
        points = torch.full((1, 20, 2), 0.9)
        points[0, 4] = torch.tensor([7.5 / 28, 14.5 / 28])
        seen = net._crops(features, points).view(20, -1)
    assert float(seen[4].min()) > 0
    assert float(seen[[i for i in range(20) if i != 4]].abs().max()) == 0


def test_eac_answers_from_its_attention() -> None:
    torch.manual_seed(0)
    net = EacNet(3, width=8).eval()
    images = torch.randn(1, 3, 224, 224)
    points = centres(np.random.default_rng(0).uniform(0.3, 0.7, (1, 68, 2)))
    with torch.no_grad():
        answer = net(
            images, torch.tensor(attention_map(points)), torch.tensor(points, dtype=torch.float32)
        )
        plain = net(images)
    assert answer.values.shape == (1, 3)
    assert answer.maps["attention"].shape == (1, 1, 224, 224)
    assert not torch.equal(answer.values, plain.values)


@torch.no_grad()
def test_pictures_differ_at_the_end_of_a_fresh_vgg() -> None:
    torch.manual_seed(0)
    found = torch.rand(2, 3, 64, 64) * 255 - 110
    for stage in Vgg19():
        for layer in stage:
            found = layer(found)
        found = torch.nn.functional.max_pool2d(found, 2)
        assert float((found[0] - found[1]).std()) > 0.5


def test_initial_maps_of_jaa() -> None:
    points = torch.full((1, 49, 2), 88.0)
    points[0, 22], points[0, 25] = torch.tensor([60.0, 80.0]), torch.tensor([116.0, 80.0])
    points[0, 31], points[0, 37] = torch.tensor([40.0, 130.0]), torch.tensor([136.0, 130.0])
    points[0, 4], points[0, 5] = torch.tensor([70.0, 60.0]), torch.tensor([106.0, 60.0])
    maps = initial_maps(points, (12, 1))
    assert maps.shape == (1, 2, 52, 52)
    row, column = round(130 * 52 / 176), round(40 * 52 / 176)
    fall = 0.56 / (52 * 0.14)
    assert float(maps[0, 0, row, column]) == pytest.approx(1.0)
    assert float(maps[0, 0, row + 2, column + 1]) == pytest.approx(1 - 3 * fall)
    assert float(maps[0, 0, row, column + 5]) == 0.0
    above = round((60 * 52 / 176) - (56 * 52 / 176) / 2)
    assert float(maps[0, 1, above, round(70 * 52 / 176)]) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [JaaNet, JaaNetV2])
def test_jaa_places_landmarks_and_attends(kind: type[JaaNet]) -> None:
    torch.manual_seed(0)
    net = kind(2, units=(1, 12)).train()
    answer = net(torch.randn(2, 3, 176, 176))
    assert answer.landmarks is not None
    assert answer.landmarks.shape == (2, 49, 2)
    assert answer.maps["attention"].shape == (2, 2, 44, 44)
    torch.testing.assert_close(answer.values, answer.logits.softmax(2)[..., 1])
    assert ("local_logits" in answer.extra) == (kind is JaaNetV2)
    answer.values.sum().backward()
    first = net.local[0][0].weight.grad
    assert (first is None or not first.any()) == (kind is JaaNetV2)  # version 2 detaches


def test_branches_of_jaa_follow_their_units() -> None:
    """From BP4D to DISFA: 9 starts from 12, 26 from 17, 25 from 23, the others from their own."""
    with torch.device("meta"):
        net, small = JaaNet(8), JaaNetV2(2, units=(5, 12))
    found = net.taken_from(BP4D_UNITS)
    given = [found[f"refine.{i}."] for i in range(8)]
    assert given == [f"refine.{BP4D_UNITS.index(u)}." for u in (1, 2, 4, 6, 12, 12, 23, 17)]
    assert found["local.7."] == f"local.{BP4D_UNITS.index(17)}."
    assert found["classify.1."] == ""
    assert net.taken_from(net.units) == {}
    assert small.taken_from((12,))["local_classify.0."] == ""  # nothing stands in for 5
    tensors = {f"net.refine.{i}.bias": torch.full((1,), float(i)) for i in range(2)}
    own = torch.nn.Module()
    own.refine = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(2))
    own.taken_from = lambda given: {"refine.0.": f"refine.{given.index(9)}.", "refine.1.": ""}  # type: ignore[assignment]
    told = load_initial(own, tensors, ("AU04", "AU09"))
    assert float(own.refine[0].bias.detach()) == 1.0
    assert told == [
        "1 of the 4 arrays of weights are taken over",
        "start fresh: refine.0 (1), refine.1 (2)",
    ]


def small_task(model: str, **changes: object) -> tuple[Task, Faces]:
    labels = ("AU01", "AU12")
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 5, (3, len(labels))).astype(np.float32)
    truth[:2] = [[4.0] * len(labels), [0.0] * len(labels)]
    points = rng.uniform(8, 24, (3, 68, 2)).astype(np.float32)
    points[:, 36:42, 0], points[:, 42:48, 0] = 10, 22
    images = rng.integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
    faces = Faces(images, truth, labels, np.array(["a", "b", "c"]), points, {})
    torch.manual_seed(0)
    how = TrainSettings.model_validate({"model": model, "labels": labels, **changes})
    return Task(how, faces), faces


BY_HEART = [
    ("cnn_baseline", {"input_px": 32}, 3e-3, 5),
    ("resnet18_student", {"input_px": 32}, 3e-3, 8),
    (
        "mae_teacher",
        {
            "input_px": 32,
            "model_settings": {"dropout": 0.0, "encoder": {"width": 32, "depth": 1, "patch_px": 8}},
        },
        3e-3,
        30,
    ),
    ("me_graphau", {"input_px": 32, "model_settings": {"stage": 1}}, 3e-3, 9),
    ("me_graphau", {"input_px": 32, "model_settings": {"stage": 2}}, 3e-3, 9),
    ("heatmap_hourglass", {"input_px": 64}, 3e-3, 8),
    ("heatmap_deconv", {"input_px": 32}, 5e-4, 14),
    ("jaa_net", {}, 2e-3, 4),
    ("jaa_net_v2", {}, 2e-3, 5),
]


@pytest.mark.parametrize(("model", "changes", "rate", "steps"), BY_HEART)
def test_a_small_batch_is_learnt_by_heart(
    model: str, changes: dict[str, object], rate: float, steps: int
) -> None:
    task, faces = small_task(model, **changes)
    batch = Shown.to(task.entry, task.settings, faces).plain(np.arange(2)[:, None])
    task.train()
    step = torch.optim.AdamW(learnt_groups(task.net, getattr(task.net, "rates", {})), rate)
    set_rate(step, rate)
    losses = []
    for _ in range(steps):
        loss = task(batch)["total"]
        step.zero_grad()
        loss.backward()
        step.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("model", "px"), [("jaa_net", 64), ("heatmap_scc", 128), ("heatmap_hourglass", 32)]
)
def test_sizes_that_a_system_cannot_see_are_refused(model: str, px: int) -> None:
    with pytest.raises(DuchenneError, match="sees pictures of"):
        small_task(model, input_px=px)


def test_nearest_graph_connects_like_with_like() -> None:
    torch.manual_seed(0)
    net = MeGraphAu(4, stage=1, neighbours=2)
    assert net.nearest is not None
    nodes = torch.zeros(2, 4, 512)
    nodes[:, 0, 0] = nodes[:, 1, 0] = 2.0
    nodes[:, 2, 1] = nodes[:, 3, 1] = 2.0
    with torch.no_grad():
        for part in (net.nearest.own, net.nearest.of_others):
            part.weight.zero_()
            part.bias.zero_()
        net.nearest.of_others.weight.copy_(torch.eye(512))
        net.nearest.eval()
        found = net.nearest(nodes)
    # two neighbours each, itself among them: half of its own and half of its like is its own again
    torch.testing.assert_close(found[:, 0, 0], torch.full((2,), 4.0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 0, 1], torch.zeros(2))


def test_target_maps_of_heat() -> None:
    points = torch.tensor([[[[10.0, 20.0], [50.0, 20.0]]]])
    intensity = torch.tensor([[3.0]])
    maps = point_maps(points, intensity)
    assert maps.shape == (1, 2, 64, 64)
    assert float(maps[0, 0, 20, 10]) == pytest.approx(3 * 255)
    assert float(maps[0, 0, 20, 12]) == pytest.approx(3 * 255 * np.exp(-0.5))
    assert float(maps[0, 1, 20, 50]) == pytest.approx(3 * 255)
    growing = growing_maps(points, intensity)
    assert growing.shape == (1, 1, 64, 64)
    assert float(growing[0, 0, 20, 10]) == pytest.approx(3.0)
    wide = 2 * (1 + 3 / 5)
    assert float(growing[0, 0, 20, 12]) == pytest.approx(3 * np.exp(-4 / (2 * wide**2)))
    unknown = point_maps(points, torch.tensor([[np.nan]], dtype=torch.float32))
    answer = build_model("heatmap_deconv", 1).eval()(torch.zeros(1, 3, 256, 256))
    assert float(heat_loss(answer, unknown)["total"].detach()) == 0.0
