"""Many inputs: failures told at the end, what is done not done again, several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face import batch
from duchenne.analysis.face.backends.openface_csv import OpenFaceCsvBackend
from duchenne.analysis.face.batch import Settings, units_of
from duchenne.analysis.face.command import run_au_command
from duchenne.analysis.face.decode import video_frames
from duchenne.stimuli.errors import UsageError


def read(path):
    return pd.read_csv(path, na_values="n/a", keep_default_na=False)


@pytest.fixture
def three(write_video, still):
    """Return two films of a face and one file that is none."""
    good = write_video("a.mp4", [still("happiness", 90)] * 2)
    late = write_video("c.mp4", [np.zeros((480, 640, 3), np.uint8), still("neutral", 20)])
    bad = good.with_name("b.mp4")
    bad.write_bytes(b"no film")
    return [good, bad, late]


@pytest.fixture
def counted(monkeypatch):
    """Return the list of films that were decoded."""
    seen = []

    def counting(path, **options):
        seen.append(path.name)
        return video_frames(path, **options)

    monkeypatch.setattr(batch, "video_frames", counting)
    return seen


def test_pictures_are_measured_in_groups(tmp_path):
    paths = [tmp_path / f"{i:03}.png" for i in range(120)]
    units = units_of([tmp_path / "a.mp4", *paths, tmp_path / "z" / "a.mp4"])
    assert [len(unit.paths) for unit in units] == [1, 50, 50, 20, 1]
    assert [unit.still for unit in units] == [False, True, True, True, False]
    assert units[0].labels == (str(tmp_path / "a.mp4"),), "of two files named alike, the whole path"
    assert units[1].labels[0] == "000.png"


def test_failures_come_last_and_the_others_go_on(three, tmp_path, capfd):
    assert run_au_command(three, tmp_path / "au.csv") == 1
    out, err = capfd.readouterr()
    assert err.splitlines()[-1] == "duchenne: 1 of 3 inputs had problems."
    assert "b.mp4" in err.splitlines()[-2]
    assert out.splitlines()[-1].endswith("au.csv")
    assert read(tmp_path / "au.csv")["input"].tolist() == ["a.mp4"] * 2 + ["c.mp4"] * 2
    assert set(json.loads((tmp_path / "au.json").read_text("utf-8"))) == set(
        read(tmp_path / "au.csv")
    )


def test_what_is_done_is_not_done_again(three, tmp_path, counted):
    out = tmp_path / "au.csv"
    run_au_command(three, out)
    first = out.read_bytes()
    counted.clear()
    run_au_command(three, out)
    assert counted == ["b.mp4"], "only what failed is tried again"
    assert out.read_bytes() == first
    counted.clear()
    about = three[0].stat()
    os.utime(three[0], ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000))
    run_au_command(three, out)
    assert counted == ["a.mp4", "b.mp4"], "a file that changed is measured again"
    counted.clear()
    run_au_command(three, out, neutral="0:1")
    assert counted == ["a.mp4", "b.mp4", "c.mp4"], "so is all after a change of settings"


def test_another_table_of_a_backend_is_another_result(three, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(OpenFaceCsvBackend, "one_film", False)
    head = "frame, timestamp, confidence, success, AU12_r"
    table = tmp_path / "openface.csv"
    table.write_text(f"{head}\n1, 0.0, 0.9, 1, 2.0\n2, 0.1, 0.9, 1, 3.0\n", "utf-8")
    films, out, backend = three[::2], tmp_path / "au.csv", f"openface-csv:{table}"
    run_au_command(films, out, backend=backend)
    counted.clear()
    run_au_command(films, out, backend=backend)
    assert counted == []
    about = table.stat()
    table.write_text(f"{head}\n1, 0.0, 0.9, 1, 0.5\n2, 0.1, 0.9, 1, 0.2\n", "utf-8")
    os.utime(table, ns=(about.st_atime_ns, about.st_mtime_ns))
    run_au_command(films, out, backend=backend)
    assert counted == ["a.mp4", "c.mp4"], "its content counts, not its size and time alone"
    assert read(out)["AU12_r"].tolist()[:2] == [0.5, 0.2]


def test_a_damaged_part_is_measured_again(three, tmp_path, counted):
    out = tmp_path / "au.csv"
    run_au_command(three, out)
    stamps = sorted((tmp_path / "au.csv.parts").glob("*.stamp.json"))
    assert len(stamps) == 2
    stamps[0].write_text("{", "utf-8")
    counted.clear()
    run_au_command(three, out)
    assert len(counted) == 2


def test_workers_give_the_same_table(three, tmp_path):
    run_au_command(three, tmp_path / "one.csv")
    command = [sys.executable, "-m", "duchenne.cli", "au", *map(str, three)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "two.csv"), "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "duchenne: 1 of 3 inputs had problems."
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_wrong_number_of_workers(three, tmp_path):
    with pytest.raises(UsageError, match="--workers"):
        run_au_command(three, tmp_path / "au.csv", workers=0)


def test_pictures_of_one_folder_keep_their_order_and_problems(tmp_path, still, capfd):
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "3.png"), still("happiness", 90)[..., ::-1])
    cv2.imwrite(str(folder / "2.png"), np.zeros((99, 99, 3), np.uint8))
    (folder / "1.png").write_bytes(b"")
    assert run_au_command([folder], tmp_path / "au.tsv", style="openface") == 1
    problems = capfd.readouterr().err.splitlines()
    assert "1.png is empty" in problems[0]
    assert "2.png" in problems[1]
    assert problems[-1] == "duchenne: 2 of 3 inputs had problems."
    table = pd.read_csv(tmp_path / "au.tsv", sep="\t", na_values="n/a")
    assert table["input"].tolist() == ["2.png", "3.png"]
    assert table["success"].tolist() == [0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 elsewhere")
@pytest.mark.parametrize("name", ["au.tsv", "AU.TSV", "au.csv"])
def test_a_name_that_is_no_utf8_is_spelt_out(tmp_path, name):
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = cv2.imencode(".png", np.zeros((99, 99, 3), np.uint8))[1].tobytes()
    (folder / os.fsdecode(b"M\xfcller.png")).write_bytes(picture)
    (folder / "Möller.png").write_bytes(picture)
    assert run_au_command([folder], tmp_path / name) == 1
    separator = "," if name.endswith("csv") else "\t"
    table = pd.read_csv(tmp_path / name, sep=separator)
    assert sorted(table["input"]) == [r"M\xfcller.png", "Möller.png"]
    assert json.loads((tmp_path / name).with_suffix(".json").read_text("utf-8"))["input"]


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(tmp_path, monkeypatch, capfd):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((99, 99, 3), np.uint8))
    read_bytes = Path.read_bytes

    def refusing(path):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    names = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / f"{'c' * 300}.png"]
    assert run_au_command(names, tmp_path / "au.csv") == 1
    problems = capfd.readouterr().err.splitlines()
    assert "a.png cannot be read (Permission denied)" in problems[0]
    assert "ccc.png" in problems[2]
    assert read(tmp_path / "au.csv")["input"].tolist() == ["b.png"]


def test_settings_know_the_version():
    assert Settings("blendshapes", "tidy").version
