"""Several systems on one set of faces: one table, paired differences, curves, and what must be told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from duchenne.analysis.models.registry import build_model
from duchenne.analysis.training import scoring
from duchenne.analysis.training.attention import attention_maps, map_of, shown_rows
from duchenne.analysis.training.augment import plain_batch
from duchenne.analysis.training.checkpoint import write_checkpoint
from duchenne.analysis.training.confusions import confused
from duchenne.analysis.training.curves import (
    binned,
    intensity_curve,
    order_of,
    read_conditions,
    reliability,
)
from duchenne.analysis.training.heads import ensemble, mean_answer
from duchenne.analysis.training.metrics import INTENSITY, differences, draws, evaluate
from duchenne.analysis.training.prepared import Faces, write_faces
from duchenne.analysis.training.published import SOURCES, published_of
from duchenne.analysis.training.scoring import (
    Answered,
    answered,
    metrics_for,
    names_of,
    read_system,
)
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.tasks import Task
from duchenne.cli import app
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ("AU01", "AU12")


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def weights(
    path: Path,
    faces: Faces,
    model: str = "cnn_baseline",
    labels: tuple[str, ...] = UNITS,
    *,
    test: tuple[str, ...] = ("S06", "S07"),
    seed: int = 0,
    **settings: object,
) -> Path:
    """Write a system that has learnt nothing."""
    torch.manual_seed(seed)
    how = TrainSettings(model=model, labels=labels, **{"input_px": 32, **settings})  # type: ignore[arg-type]
    n_outputs = 2 if model.startswith("deng") else len(labels)
    task = Task(how, faces.with_labels(labels), n_outputs=n_outputs)
    about = {
        "settings": json.loads(how.model_dump_json()),
        "labels": list(labels),
        "n_outputs": n_outputs,
        "split": {
            "train": [s for s in faces.subjects if s not in test],
            "validation": [],
            "test": list(test),
        },
        "data": {"alignment": "A2"},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, {f"net.{k}": v for k, v in task.net.state_dict().items()}, about)
    return path


@pytest.fixture(scope="module")
def faces(faces: Faces) -> Faces:
    """Return eight subjects of 12 pictures each."""
    return faces.rows(np.flatnonzero(np.arange(len(faces)) % 24 < 12))


@pytest.fixture(scope="module")
def folder(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return eight subjects in a folder, each picture with its kind and the turn of the head."""
    root = tmp_path_factory.mktemp("faces") / "squares"
    rng = np.random.default_rng(0)
    sources = [f"{i}/0/kind{i % 2}" for i in range(len(faces))]
    write_faces(root, replace(faces, about={"alignment": "eyes"}), sources)
    turned = rng.uniform(-50, 50, len(faces))
    turned[-24:] = np.tile([-20.0, 20.0], 12)
    yaw = pd.DataFrame({"yaw_deg": turned, "light": "lamp"})
    yaw.to_csv(root / "conditions.tsv", sep="\t", index=False)
    return root


def test_several_systems_make_one_table(faces: Faces, folder: Path, tmp_path: Path) -> None:
    first = weights(tmp_path / "a" / "best.safetensors", faces)
    third = weights(
        tmp_path / "jaa" / "best.safetensors", faces, "jaa_net", ("AU12",), input_px=None
    )
    out = tmp_path / "tables" / "both.json"
    told = run(
        "evaluate", first, third, "--data", folder, "--draws", 30, "--out", out,
        "--no-speed", "--curves", tmp_path / "curves", "--by", "kind", "--attention", tmp_path / "maps",
    )  # fmt: skip
    assert "24 pictures of 2 subjects, part: test" in told
    assert "jaa learnt faces aligned by A2; these are aligned by eyes." in told
    assert "Means are over AU12." in told
    assert "JAA-Net" in told  # published figures stand beside
    assert told.splitlines()[-1] == f"Attention: {tmp_path / 'maps'}"
    found = json.loads(out.read_text())
    a, jaa = found["systems"]
    assert [s["name"] for s in found["systems"]] == ["a", "jaa"]
    assert set(a["scores"]["AU12"]) == {"pcc", "icc", "ccc", "mae", "mse", "f1", "accuracy", "auc"}
    assert set(jaa["scores"]["AU12"]) == {"pcc", "f1", "accuracy", "auc"}
    assert a["scores"]["mean"]["mae"] == a["scores"]["AU12"]["mae"]
    assert jaa["landmarks"]["landmark_error"][0] > 0.1
    assert jaa["landmarks"]["landmark_failures"][0] == 1.0
    assert a["parameters"] > 300_000
    value, low, high = found["differences"][0]["scores"]["AU12"]["auc"]
    assert value == pytest.approx(
        jaa["scores"]["AU12"]["auc"][0] - a["scores"]["AU12"]["auc"][0], abs=2e-6
    )
    assert low <= value <= high
    page = out.with_suffix(".md").read_text()
    assert "## Difference from a" in page
    lines = out.with_suffix(".tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["system", "model", "output", "figure", "value", "low", "high"]
    assert any(line.startswith("jaa\tjaa_net\tface\tlandmark_error\t") for line in lines)
    curves = {path.name for path in (tmp_path / "curves").iterdir()}
    assert {"a-calibration.png", "jaa-calibration.svg", "a-kind.tsv", "a-kind.png"} <= curves
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {
        "a-attention.png", "jaa-attention.png",
    }  # fmt: skip


def test_another_set_lacks_labels_and_this_is_told(
    faces: Faces, folder: Path, tmp_path: Path
) -> None:
    both = weights(tmp_path / "both.safetensors", faces)
    others = tmp_path / "others"
    names = np.char.add("other-", faces.subject)
    write_faces(others, replace(faces.with_labels(["AU12"]), subject=names))
    out = tmp_path / "cross"
    told = run(
        "evaluate",
        both,
        "--data",
        others,
        "--part",
        "all",
        "--draws",
        0,
        "--out",
        out,
        "--no-speed",
    )
    assert "both: the faces have no labels AU01; these are n/a." in told
    scores = json.loads((tmp_path / "cross.json").read_text())["systems"][0]["scores"]
    assert scores["AU01"]["pcc"] == [None, None, None]
    assert scores["mean"]["pcc"][0] == scores["AU12"]["pcc"][0] is not None


def test_parts_of_a_cross_validation_are_pooled(faces: Faces, folder: Path, tmp_path: Path) -> None:
    parts = [("S00", "S01", "S02", "S03"), ("S04", "S05", "S06", "S07")]
    files = [
        weights(tmp_path / f"fold{i}.safetensors", faces, test=part, seed=i)
        for i, part in enumerate(parts)
    ]
    told = run(
        "evaluate", *files, "--folds", "--data", folder, "--draws", 10, "--no-speed",
        "--out", tmp_path / "f",
    )  # fmt: skip
    assert "96 pictures of 8 subjects" in told
    assert "mean of the parts" in told
    document = json.loads((tmp_path / "f.json").read_text())
    first, second, mean = document["folds"]
    assert mean["mae"] == pytest.approx((first["mae"] + second["mae"]) / 2, abs=1e-5)
    one, other, both = document["folds_by_output"]["AU12"]["mae"]
    assert both == pytest.approx((one + other) / 2, abs=1e-5)
    assert "PCC in each part" in told
    with pytest.raises(UsageError, match="overlap"):
        run("evaluate", files[0], files[0], "--folds", "--data", folder, "--no-speed")


def test_who_was_learnt_from_by_one_is_scored_by_none(
    faces: Faces, folder: Path, tmp_path: Path
) -> None:
    one = weights(tmp_path / "one.safetensors", faces, test=("S06", "S07"))
    two = weights(tmp_path / "two.safetensors", faces, test=("S05", "S06"))
    told = run("evaluate", one, two, "--data", folder, "--draws", 0, "--no-speed")
    assert "12 pictures of 1 subjects" in told
    assert "learnt from by another" in told
    three = weights(tmp_path / "three.safetensors", faces, test=("S01",))
    with pytest.raises(DuchenneError, match="nobody of the test part"):
        run("evaluate", one, three, "--data", folder)


def test_one_table_for_intensity_and_occurrence() -> None:
    truth = np.array([0.0, 1.0, 2.0, 4.0, 5.0])
    intensity = metrics_for("intensity", graded=True)
    found = np.array([0.1, 2.0, 1.9, 3.0, 4.0])
    assert intensity["f1"](truth, found) == pytest.approx(2 * 2 / (3 + 3))
    assert intensity["accuracy"](truth, found) == pytest.approx(3 / 5)
    assert intensity["auc"](truth, found) == pytest.approx((2 + 2 + 1) / 6)
    occurrence = metrics_for("occurrence", graded=True)
    chance = np.array([0.1, 0.5, 0.2, 0.9, 0.8])
    assert set(occurrence) == {"pcc", "f1", "accuracy", "auc"}
    assert occurrence["f1"](truth, chance) == pytest.approx(2 * 2 / (3 + 3))  # 0.5 counts as yes
    assert occurrence["pcc"](truth, chance) == pytest.approx(np.corrcoef(truth, chance)[0, 1])
    assert set(metrics_for("intensity", graded=False)) == {"f1", "accuracy", "auc"}


def test_differences_are_paired() -> None:
    """A system that is better by the same bit for everybody is surely better, however much people differ."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(10), 20)
    truth = rng.uniform(0, 5, (200, 1))
    off = np.repeat(rng.uniform(0, 3, 10), 20)[:, None]
    found = []
    for extra in (0.0, 0.1):
        args = (truth, truth + off + extra, ("AU01",), {"mae": INTENSITY["mae"]})
        found.append((evaluate(*args), draws(*args, subjects, n_draws=100)))
    apart = differences(*found)["mean"]["mae"]
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.1, 0.1, 0.1))
    spread = np.ptp(np.percentile(found[0][1]["mean"]["mae"], (2.5, 97.5)))
    assert spread > 0.5


def test_calibration() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0, 5.0, np.nan])
    bins = intensity_curve(truth, np.array([0.0, 1.0, 2.0, 2.0, 4.0, 9.0]))
    assert [(b.n, b.truth, b.found) for b in bins] == [(2, 0.0, 0.5), (2, 1.0, 2.0), (1, 5.0, 4.0)]
    occurs = np.array([0.0, 1.0, 1.0, 1.0])
    bins, ece = reliability(occurs, np.array([0.25, 0.25, 0.95, 1.0]))
    assert [(b.n, b.truth) for b in bins] == [(2, 0.5), (2, 1.0)]
    assert ece == pytest.approx((2 * 0.25 + 2 * 0.025) / 4)
    assert np.isnan(reliability(np.array([np.nan]), np.array([0.5]))[1])


def test_what_is_taken_for_what(faces: Faces, tmp_path: Path) -> None:
    counts = confused(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    rng = np.random.default_rng(0)
    affect = replace(
        faces, truth=rng.uniform(-1, 1, (len(faces), 2)).astype(np.float32),
        names=("valence", "arousal"),
    )  # fmt: skip
    path = weights(tmp_path / "deng.safetensors", affect, "deng_cnn", affect.names)
    write_faces(tmp_path / "affect", affect)
    run(
        "evaluate", path, "--data", tmp_path / "affect", "--draws", 0, "--no-speed",
        "--curves", tmp_path / "curves",
    )  # fmt: skip
    table = pd.read_csv(tmp_path / "curves" / "deng-quadrants.tsv", sep="\t", index_col="true")
    assert table.to_numpy().sum() == 24
    assert (tmp_path / "curves" / "deng-quadrants.png").is_file()


def test_conditions(folder: Path, tmp_path: Path) -> None:
    found = read_conditions(folder)
    assert set(found) == {"kind", "yaw_deg"}  # light is always the same
    assert order_of(found["yaw_deg"])[:3] == ["below -45", "-45 to -30", "-30 to -15"]
    assert order_of(found["yaw_deg"])[-1] == "45 and more"
    assert list(np.unique(found["kind"])) == ["0", "1"]
    assert set(read_conditions(folder, ["light"])) == {"light"}
    with pytest.raises(UsageError, match="no condition pitch; there are: kind, yaw_deg, light"):
        read_conditions(folder, ["pitch"])
    numbers = binned("blur", pd.Series([*np.arange(20.0), np.nan]))
    assert list(numbers[[0, 19, 20]]) == ["below 3.8", "15.2 and more", ""]
    shutil.copytree(folder, tmp_path / "torn")
    (tmp_path / "torn" / "conditions.tsv").write_text("yaw_deg\n3\n")
    with pytest.raises(DuchenneError, match="has 1 rows, the labels 96"):
        read_conditions(tmp_path / "torn")


def task_of(model: str, faces: Faces, n_outputs: int = 2, **settings: object) -> Task:
    torch.manual_seed(0)
    how = TrainSettings(model=model, labels=UNITS, **settings)  # type: ignore[arg-type]
    return Task(how, faces, n_outputs=n_outputs).eval()


def test_grad_cam_finds_what_the_answer_depends_on(faces: Faces) -> None:
    """An output that reads one channel alone, which sees the upper half: the map lies there."""
    task = task_of("cnn_baseline", faces, input_px=64)
    net = task.net
    first, last = net.features, net.head
    with torch.no_grad():
        for layer in first:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.zero_()
                layer.weight[0, 0, 1, 1] = 1.0
        for layer in (last[0], last[3]):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0] = 1.0
    batch = plain_batch(faces, np.arange(2), 64, task.entry.preprocessing)
    batch.images[:] = -3.0
    batch.images[:, :, :32] = 3.0
    maps, names, method = attention_maps(task, batch)
    assert (names, method) == (UNITS, "Grad-CAM")
    assert maps.shape == (2, 2, 8, 8)  # not the 4 x 4 places of the end
    assert maps[0, 0, :4].min() > 0.9
    assert maps[0, 0, 4:].max() < 0.1
    assert maps[0, 1].max() == 0  # what depends on nothing is nowhere


@pytest.mark.parametrize(
    ("model", "settings", "shape"),
    [
        ("eac_net", {"model_settings": {"width": 8}}, (11, 100, 100)),
        ("jaa_net", {}, (2, 44, 44)),
        ("heatmap_hourglass", {"input_px": 64}, (2, 16, 16)),
        (
            "mae_teacher",
            {
                "input_px": 32,
                "model_settings": {"encoder": {"patch_px": 8, "width": 32, "depth": 2}},
            },
            (1, 4, 4),
        ),
    ],
)
def test_every_kind_of_attention(
    model: str, settings: dict[str, object], shape: tuple[int, ...], faces: Faces
) -> None:
    task = task_of(model, faces, **settings)
    batch = plain_batch(faces, np.arange(1), task.px, task.entry.preprocessing)
    maps, names, _ = attention_maps(task, batch)
    assert maps.shape == (1, *shape)
    assert len(names) == shape[0]
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_what_is_shown_on_a_sheet(faces: Faces) -> None:
    rows = shown_rows(faces, np.arange(len(faces)), UNITS)[1]
    assert len(set(faces.subject[rows])) == 4
    assert faces.truth[rows, 1].min() > np.median(faces.truth[:, 1])
    regions = ("lids (AU7)", "mouth corners (AU12, AU14, AU15)")
    assert map_of("AU12", regions) == 1
    assert map_of("AU01", regions) == 0
    assert map_of("AU26", (*regions, "all regions")) == len(regions)


def test_speed_is_of_single_faces(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "SPEED_S", 0.0)
    system = scoring.read_system(weights(tmp_path / "a.safetensors", faces), faces, "a")
    speed = scoring.images_per_s(system, 4)
    assert speed is not None
    assert 1 < speed < 1e6
    affect = replace(faces, truth=faces.truth / 5, names=("valence", "arousal"))
    path = weights(tmp_path / "rnn.safetensors", affect, "deng_rnn", affect.names)
    assert scoring.images_per_s(scoring.read_system(path, affect, "rnn"), 4) is None


def test_imported_weights_are_told(faces: Faces, folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_model("cnn_baseline", 2)
    torch.save(net.state_dict(), tmp_path / "theirs.pth")
    out = tmp_path / "theirs.safetensors"
    labels = ",".join(UNITS)
    run(
        "models",
        "import",
        "cnn_baseline",
        tmp_path / "theirs.pth",
        "--labels",
        labels,
        "--out",
        out,
    )
    told = run("evaluate", out, "--data", folder, "--part", "all", "--draws", 0, "--no-speed")
    assert "theirs was imported: whom it learnt from is not known" in told
    with pytest.raises(DuchenneError, match="nobody of the test part"):
        run("evaluate", out, "--data", folder)


def test_names_of_checkpoints(tmp_path: Path) -> None:
    paths = [
        tmp_path / "a" / "best.safetensors",
        tmp_path / "x.safetensors",
        tmp_path / "b" / "x.safetensors",
    ]
    assert names_of(paths) == ["a", "x 1", "x 2"]


def test_published_figures_name_their_source() -> None:
    rows = published_of("resnet18_student") + published_of("jaa_net")
    assert {row.source for row in rows} <= set(SOURCES)
    assert next(row.value for row in published_of("mae_teacher") if row.metric == "pcc") == 0.674
    assert published_of("cnn_baseline") == ()


def test_weights_of_another_system_are_refused(faces: Faces, tmp_path: Path) -> None:
    path = weights(tmp_path / "a.safetensors", faces)
    system = read_system(path, faces, "a")
    assert system.labels == UNITS
    about = {**system.about, "settings": {**system.about["settings"], "model": "resnet18_student"}}
    write_checkpoint(tmp_path / "b.safetensors", {"net.x": torch.zeros(1)}, about)
    with pytest.raises(DuchenneError, match="does not fit resnet18_student"):
        read_system(tmp_path / "b.safetensors", faces, "b")


def test_classes_are_scored_by_recall_too() -> None:
    """Answering the most frequent class everywhere is right often, and finds one class in four."""
    truth = np.repeat([0.0, 1.0, 2.0, 3.0], [7, 1, 1, 1])
    found = metrics_for("expression", graded=False)
    always = {name: metric(truth, np.zeros(10)) for name, metric in found.items()}
    assert always["accuracy"] == pytest.approx(0.7)
    assert always["balanced"] == pytest.approx(0.25)
    assert always["macro_f1"] == pytest.approx((2 * 7 / 17) / 4)
    assert all(metric(truth, truth) == 1 for metric in found.values())
    nothing = np.empty(0)
    assert all(np.isnan(metric(nothing, nothing)) for metric in found.values())


def test_further_heads_and_the_mean_of_several_weights(faces: Faces, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = len(faces)
    truth = np.column_stack(
        [rng.uniform(-1, 1, (n, 2)), rng.uniform(0, 5, n), rng.integers(0, 3, n)]
    ).astype(np.float32)
    truth[::3, 3] = np.nan
    names = ("valence", "arousal", "AU12", "expression")
    affect = replace(faces, truth=truth, names=names)
    write_faces(tmp_path / "affect", affect)
    small = {"model_settings": {"classes": 3, "depth": 18}}
    files = [
        weights(tmp_path / f"{i}.safetensors", affect, "deng_cnn", names, seed=i, **small)
        for i in range(2)
    ]
    out = tmp_path / "found"
    told = run(
        "evaluate", *files, "--ensemble", "--data", tmp_path / "affect", "--draws", 10,
        "--no-speed", "--out", out, "--curves", tmp_path / "curves",
    )  # fmt: skip
    assert "Further heads" in told
    classes = pd.read_csv(tmp_path / "curves" / "1-classes.tsv", sep="\t", index_col="true")
    shown = truth[np.isin(affect.subject, ("S06", "S07")), 3]
    assert classes.sum(axis=1).tolist() == [int((shown == c).sum()) for c in range(3)]
    assert (tmp_path / "curves" / "1-quadrants.png").is_file()
    one, two, both = json.loads(out.with_suffix(".json").read_text())["systems"]
    assert (both["name"], both["members"]) == ("all together", ["0", "1"])
    assert both["parameters"] == one["parameters"] + two["parameters"]
    assert set(one["heads"]) == {"expression", "AU12", "mean_of_units"}
    assert set(one["heads"]["AU12"]) == {"f1", "accuracy", "auc"}
    low, high = one["heads"]["expression"]["accuracy"][1:]
    assert 0 <= low <= one["heads"]["expression"]["accuracy"][0] <= high <= 1
    systems = [read_system(path, affect, path.stem) for path in files]
    rows = np.arange(len(affect))
    answers = [answered(system, affect, rows) for system in systems]
    mean = mean_answer(answers, "affect")
    assert np.allclose(mean.values, (answers[0].values + answers[1].values) / 2)
    assert np.allclose(mean.heads["expression"].sum(axis=1), 1)
    with pytest.raises(UsageError, match="two or more"):
        ensemble(systems[:1])
    other = weights(tmp_path / "cnn.safetensors", affect, "cnn_baseline", ("AU12",))
    with pytest.raises(UsageError, match="differ"):
        ensemble([systems[0], read_system(other, affect, "cnn")])


def test_classes_of_several_weights_follow_from_their_mean() -> None:
    shares = (
        np.array([[0.6, 0.4, 0.0], [0.0, 0.45, 0.55]]),
        np.array([[0.1, 0.8, 0.1], [0.5, 0.4, 0.1]]),
    )
    answers = [
        Answered(p.argmax(axis=1)[:, None].astype(float), None, {"expression": p}) for p in shares
    ]
    assert mean_answer(answers, "expression").values.ravel().tolist() == [1, 1]
