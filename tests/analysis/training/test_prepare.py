"""A data set becomes prepared faces: found, aligned, labelled; also after a break or with damaged parts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.training import prepare as prepare_module
from duchenne.analysis.training.alignment import eye_centres
from duchenne.analysis.training.datasets.base import Picture, dataset_entry
from duchenne.analysis.training.prepare import Order, Outcome, chosen, prepare
from duchenne.analysis.training.prepared import read_faces
from duchenne.analysis.training.prepared_writer import GrowingArray, PreparedWriter
from duchenne.cli import app
from duchenne.recorder import sources
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTICIPANT = Path(sources.__file__).parent / "data" / "participant"
EVERY = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a plain folder: two films of the rendered participant, a picture, and what is damaged."""
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("mediapipe")
    folder = tmp_path_factory.mktemp("data")
    tables = []
    for name in ("neutral", "happiness"):
        shutil.copy(PARTICIPANT / f"{name}.mp4", folder)
        truth = pd.read_csv(PARTICIPANT / f"{name}.csv")
        part = truth[["frame", "AU6", "AU12"]].assign(file=f"{name}.mp4", subject="P1")
        tables.append(part)
    frames = video_frames(PARTICIPANT / "happiness.mp4")
    image = next(frames)[2]
    assert image is not None
    cv2.imwrite(str(folder / "face.png"), image[:, :, ::-1])
    cv2.imwrite(str(folder / "wall.png"), np.full((120, 120, 3), 90, np.uint8))
    (folder / "torn.png").write_bytes((folder / "face.png").read_bytes()[:40])
    stills = pd.DataFrame(
        {"file": ["face.png", "wall.png", "torn.png"], "subject": "P2", "AU12": 1}
    )
    late = pd.DataFrame({"file": ["neutral.mp4"], "frame": [4000], "subject": "P1", "AU12": 0})
    pd.concat([*tables, stills, late]).to_csv(folder / "labels.csv", index=False)
    return folder


def run(data: Path, out: Path, **order: Any) -> tuple[Outcome, list[str]]:
    notes: list[str] = []
    given = Order(**{"alignment": "A2", "px": 96, "every": EVERY, **order})
    return prepare(dataset_entry("folder"), data, out, given, tell=notes.append), notes


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, list[str]]:
    """Return the folder prepared in one go."""
    out = tmp_path_factory.mktemp("prepared") / "set"
    return out, *run(data, out)


def test_films_and_pictures_become_faces(whole: tuple[Path, Outcome, list[str]]) -> None:
    out, outcome, notes = whole
    faces = read_faces(out)
    truth = pd.read_csv(PARTICIPANT / "happiness.csv")
    n_neutral = len(range(0, len(pd.read_csv(PARTICIPANT / "neutral.csv")), EVERY))
    n_happy = len(range(0, len(truth), EVERY))
    assert outcome == Outcome(n_neutral + n_happy + 1, 1, 2)
    assert len(faces) == outcome.written
    assert faces.images.shape[1:] == (96, 96, 3)
    assert faces.names == ("AU06", "AU12")
    assert faces.subjects == ("P1", "P2")
    happy = faces.truth[n_neutral : n_neutral + n_happy, 1]
    np.testing.assert_allclose(happy, truth["AU12"][::EVERY], rtol=1e-5)
    assert happy.max() > 1
    assert np.isnan(faces.truth[-1, 0])  # AU06 of the picture is not known
    assert any("torn.png" in note for note in notes)
    assert any("ends before its labels: 1 of" in note for note in notes)
    labels = pd.read_csv(out / "labels.tsv", sep="\t")
    assert labels["source"].tolist()[1] == f"neutral.mp4#{EVERY}"
    about = json.loads((out / "about.json").read_text())
    assert (about["alignment"], about["px"], about["unreadable"]) == ("A2", 96, 2)


def test_faces_lie_as_their_alignment_says(whole: tuple[Path, Outcome, list[str]]) -> None:
    faces = read_faces(whole[0])
    assert faces.landmarks is not None
    for points, image in zip(faces.landmarks, faces.images, strict=True):
        right, left = eye_centres(points.astype(float))
        assert right[0] < 48 < left[0]
        assert abs(left[1] - right[1]) < 3
        assert (right + left)[0] / 2 == pytest.approx(48, abs=1.5)
        assert 12 < left[0] - right[0] <= 96 / 4 + 0.01
        # The pupils, which are dark, lie where the landmarks say.
        for x, y in (right, left):
            eye = image[round(y) - 2 : round(y) + 3, round(x) - 4 : round(x) + 5].astype(int)
            cheek = image[round(y) + 12 : round(y) + 16, round(x) - 3 : round(x) + 4].astype(int)
            assert eye.sum(axis=2).min() < cheek.sum(axis=2).mean() - 120


def test_a_break_costs_nothing(
    data: Path,
    whole: tuple[Path, Outcome, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "set"
    tracked = prepare_module._tracked
    seen: list[str] = []

    def torn(part: list[Any], still: Any, tell: Any) -> Iterator[Any]:
        seen.append(part[0].path.name)
        for i, faces in enumerate(tracked(part, still, tell)):
            yield faces
            if part[0].path.name == "happiness.mp4" and i == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "_tracked", torn)
    with pytest.raises(KeyboardInterrupt):
        run(data, out)
    assert not out.exists()
    assert (tmp_path / ".set.part" / "progress.json").is_file()
    monkeypatch.setattr(prepare_module, "_tracked", tracked)
    outcome, _ = run(data, out)
    assert seen == ["neutral.mp4", "happiness.mp4"]
    assert outcome == whole[1]
    for name in ("images.npy", "landmarks.npy", "labels.tsv", "about.json"):
        assert (out / name).read_bytes() == (whole[0] / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]
    with pytest.raises(DuchenneError, match="exists already"):
        run(data, out)


def test_only_and_limit(data: Path, tmp_path: Path) -> None:
    outcome, _ = run(data, tmp_path / "a", only="P2")
    assert outcome == Outcome(1, 1, 1)
    with pytest.raises(DuchenneError, match=r"no picture of .* is left"):
        run(data, tmp_path / "b", only="P3")
    assert run(data, tmp_path / "c", limit=1, alignment="A4")[0] == Outcome(1, 0, 0)


def test_seven_classes_leave_contempt_out() -> None:
    labels: list[dict[str, float]] = [
        {"expression": 7},
        {"expression": 6, "valence": 0},
        {"AU01": 1},
    ]
    found = [Picture(Path(str(i)), row, "A") for i, row in enumerate(labels)]
    assert len(chosen(found, Order("A2", 64))) == 3
    assert [p.path.name for p in chosen(found, Order("A2", 64, classes=7))] == ["1", "2"]


def test_nothing_but_walls(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("mediapipe")
    source = tmp_path / "data"
    source.mkdir()
    cv2.imwrite(str(source / "wall.png"), np.full((60, 60, 3), 90, np.uint8))
    (source / "labels.csv").write_text("file,subject,AU12\nwall.png,A,1\n")
    with pytest.raises(DuchenneError, match="none of 1 pictures was written: 1 without a face"):
        run(source, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_too_little_space(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match=r"need .* GB, and .* has .* GB left"):
        run(data, tmp_path / "out", px=10_000_000)


def test_command(data: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["prepare", "list"])
    assert listed.exit_code == 0
    assert "disfa-plus" in listed.output
    out = tmp_path / "faces"
    options = ["--align", "A3", "--px", "64", "--limit", "4"]
    done = runner.invoke(app, ["prepare", "folder", str(data), "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"Prepared faces: {out}"
    assert "4 faces written, 0 pictures without a face that was found, 0 unreadable." in done.output
    assert read_faces(out).images.shape == (4, 64, 64, 3)
    wrong = runner.invoke(app, ["prepare", "folder", str(data), "--out", str(out), "--align", "A5"])
    assert wrong.exit_code != 0
    assert "there is no alignment A5" in str(wrong.exception)


def test_an_array_grows_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    array = GrowingArray(path, (2, 3), np.float32)
    rows = np.arange(42, dtype=np.float32).reshape(7, 2, 3)
    for row in rows[:5]:
        array.append(row)
    array.settle()
    np.testing.assert_array_equal(np.load(path), rows[:5])
    array.append(rows[6])
    array.close()  # killed here: what was not settled is cut off
    array = GrowingArray(path, (2, 3), np.float32, n_rows=5)
    for row in rows[5:]:
        array.append(row)
    with pytest.raises(ValueError, match="a row is"):
        array.append(np.zeros(3))
    array.settle()
    array.close()
    back = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(back, rows)
    assert back.dtype == np.float32


def test_another_order_begins_anew(tmp_path: Path) -> None:
    image, points = np.zeros((8, 8, 3), np.uint8), np.zeros((68, 2))
    for order, expected in (({"px": 8}, 0), ({"px": 8}, 1), ({"px": 8, "every": 2}, 0)):
        with PreparedWriter(tmp_path / "out", 8, ["AU01"], order) as writer:
            assert writer.n == expected
            if writer.n == 0:
                writer.add(image, points, {}, "A", 'a "b".png')
                writer.keep({"next": 1})
            else:
                assert writer.place == {"next": 1}
    with PreparedWriter(tmp_path / "out", 8, ["AU01"], {"px": 8, "every": 2}) as writer:
        writer.finish({})
    faces = read_faces(tmp_path / "out")
    assert len(faces) == 1
    assert np.isnan(faces.truth[0, 0])
