"""Two measurements of one film beside each other, and OpenFace's table as a backend."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from duchenne.analysis.cli import app
from duchenne.analysis.face.agreement import agreement_table, icc_3_1, pearson
from duchenne.analysis.face.backends.base import AUBackend
from duchenne.analysis.face.backends.registry import load_backend
from duchenne.analysis.face.command import run_au_command, run_compare_command
from duchenne.analysis.face.compare import measure_source, read_measured
from duchenne.analysis.face.model import face_model_path, open_landmarker
from duchenne.analysis.face.native import library
from duchenne.analysis.face.openface_csv import read_openface
from duchenne.analysis.face.process import analyse_face
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_icc_by_its_definition():
    """The first two of the four raters in table 2 of Shrout & Fleiss (1979)."""
    a, b = np.array([9.0, 6, 8, 7, 10, 6]), np.array([2.0, 1, 4, 1, 5, 2])
    mean = (a + b) / 2
    between = 2 * ((mean - mean.mean()) ** 2).sum() / 5
    rest = ((a - b - (a - b).mean()) ** 2).sum() / 2 / 5
    assert icc_3_1(a, b) == pytest.approx((between - rest) / (between + rest))
    assert icc_3_1(a, a + 3) == pytest.approx(1.0), "a constant difference does not count"
    assert icc_3_1(a, 2 * a) < 0.9
    assert icc_3_1(a, -a) == pytest.approx(-1.0)
    assert np.isnan(icc_3_1(a[:2], b[:2]))
    assert np.isnan(icc_3_1(np.ones(5), np.ones(5)))
    assert np.isnan(pearson(np.ones(5), np.arange(5.0)))


def table(values, frames=None, au="AU12"):
    n = len(values)
    return pd.DataFrame(
        {
            "frame": np.arange(n) if frames is None else frames,
            "time": np.arange(n) / 25,
            "usable": np.isfinite(values),
            f"{au}_r": np.asarray(values, float),
        }
    )


def test_only_frames_that_both_measured_count():
    a = table([1, 2, np.nan, 4, 5])
    b = table([2, np.nan, 5, 6], frames=[1, 2, 3, 4])
    row = agreement_table(a, b).iloc[0]
    assert row["n_frames"] == 3
    assert row["r"] == pytest.approx(np.corrcoef([2, 4, 5], [2, 5, 6])[0, 1])
    assert row["mae"] == pytest.approx(2 / 3)


OPENFACE = """frame, face_id, timestamp, confidence, success, AU12_r, AU25_r, AU12_c
1, 0, 0.000, 0.98, 1, 1.50, 0.00, 1.00
2, 0, 0.040, 0.02, 0, 0.00, 0.00, 0.00
3, 0, 0.080, 0.98, 1, 2.50, 1.00, 1.00
3, 1, 0.080, 0.98, 1, 4.00, 4.00, 1.00
"""


@pytest.fixture
def openface(tmp_path):
    path = tmp_path / "openface.csv"
    path.write_text(OPENFACE, "utf-8")
    return path


def test_frames_without_a_face_are_missing_not_zero(openface):
    found = read_openface(openface)
    assert found["frame"].tolist() == [0, 1, 2]
    assert found["AU12_r"].tolist() == [1.5, pytest.approx(np.nan, nan_ok=True), 2.5]
    assert found["usable"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "frame, timestamp, success"),
        ("frame,timestamp,success\n1,0,1\n", "Action Units"),
        ("frame,timestamp,success,AU12_r\nx,0,1,2\n", "text where numbers belong"),
        ("", "cannot be read"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, told):
    path = tmp_path / "odd.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DuchenneError, match=told) as error:
        read_openface(path)
    assert "\n" not in str(error.value)


def test_openface_as_a_backend(openface, still):
    backend = load_backend(f"openface-csv:{openface}")
    assert isinstance(backend, AUBackend)
    film = [(i, i / 25, still("happiness", 90)) for i in range(5)]
    measured = analyse_face(film, backend=backend).table
    assert measured["AU12_r"].tolist()[0::2][:2] == [1.5, 2.5]
    assert measured["AU12_r"].isna().tolist() == [False, True, False, True, True]
    assert measured["face"].all()


def test_a_backend_and_its_file():
    with pytest.raises(UsageError, match=r"openface-csv:FILE\.csv"):
        load_backend("openface-csv")
    with pytest.raises(DuchenneError, match="no file"):
        load_backend("openface-csv:none.csv")
    with pytest.raises(UsageError, match="takes no file"):
        load_backend("blendshapes:x.csv")


def page_data(path):
    page = path.read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"']?https?:", page), "the page needs no network"
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_a_page_of_two_measurements(write_video, still, openface, tmp_path, capsys):
    film = write_video("a<b.mp4", [still("happiness", 70 + 10 * i) for i in range(3)])
    run_au_command([film], tmp_path / "ours.csv")
    out = tmp_path / "page.html"
    sources = (str(tmp_path / "ours.csv"), str(openface))
    assert run_compare_command([film], out, sources) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("page.html")
    data = page_data(out)
    assert [unit["au"] for unit in data["units"]] == ["AU12", "AU25"]
    assert data["units"][0]["b"] == [1.5, None, 2.5]
    assert data["units"][0]["n"] == 2
    assert data["film"] == "a<b.mp4"
    assert len(data["video"]) > 1000
    assert data["usable"] == [True] * 3
    agreement = pd.read_csv(tmp_path / "page.tsv", sep="\t", na_values="n/a")
    assert agreement["au"].tolist() == ["AU12", "AU25"]
    assert "icc_3_1" in json.loads((tmp_path / "page.json").read_text("utf-8"))


def test_a_page_without_a_film_and_wrong_usage(openface, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text(OPENFACE.replace("1.50", "1.00"), "utf-8")
    out = tmp_path / "page.html"
    assert run_compare_command([], out, (str(openface), str(other))) == 0
    assert page_data(out)["video"] is None
    for videos, where, sources in (
        ([], tmp_path / "page.csv", (str(openface), str(other))),
        (["a.mp4", "b.mp4"], out, (str(openface), str(other))),
        ([], out, ("blendshapes", str(other))),
        ([], out, ("magic", str(other))),
    ):
        with pytest.raises(UsageError):
            run_compare_command(videos, where, sources)
    with pytest.raises(DuchenneError, match="no file"):
        run_compare_command([], out, ("none.csv", str(other)))


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_what_is_compared_is_never_written_over(openface, tmp_path, suffix):
    ours = tmp_path / f"film.{suffix}"
    ours.write_text(OPENFACE.replace(", ", "\t" if suffix == "tsv" else ","), "utf-8")
    (tmp_path / "film.json").write_text("{}", "utf-8")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for given in (ours, tmp_path / "x" / ".." / ours.name, f"openface-csv:{ours}"):
        with pytest.raises(UsageError, match=r"write over .*film\.(tsv|json).*another name"):
            run_compare_command([], tmp_path / "film.html", (str(given), str(openface)))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run_compare_command([], tmp_path / "page.html", (str(ours), str(openface))) == 0


def test_the_table_of_a_backend_is_no_table_of_ours(write_video, still, openface):
    film = write_video("a.mp4", [still("happiness", 90)] * 3)
    measured = measure_source(f"openface-csv:{openface}", film)
    assert measured["AU12_r"].tolist()[0::2] == [1.5, 2.5]


def test_the_table_of_a_backend_is_an_input(openface, tmp_path):
    before = openface.read_bytes()
    with pytest.raises(UsageError, match="also an input"):
        run_au_command([tmp_path / "a.mp4"], openface, backend=f"openface-csv:{openface}")
    assert openface.read_bytes() == before


def test_the_table_of_one_film_is_not_that_of_others(openface, tmp_path):
    pictures = [tmp_path / f"{i}.png" for i in range(51)]
    for films in ([tmp_path / "a.mp4", tmp_path / "b.mp4"], pictures):
        with pytest.raises(UsageError, match=f"about one film, but there are {len(films)} inputs"):
            run_au_command(films, tmp_path / "au.csv", backend=f"openface-csv:{openface}")
    assert not (tmp_path / "au.csv").exists()
    drawn = ["au-validate", "a.mp4", "b.mp4", "--out", str(tmp_path / "coding")]
    result = CliRunner().invoke(app, [*drawn, "--backend", f"openface-csv:{openface}"])
    assert isinstance(result.exception, UsageError)


def test_tables_of_openface_with_tabs_and_of_several_films(tmp_path):
    tabs = tmp_path / "a.tsv"
    tabs.write_text(OPENFACE.replace(", ", "\t"), "utf-8")
    assert read_measured(tabs)["AU12_r"].tolist()[0::2] == [1.5, 2.5]
    head, *rows = OPENFACE.splitlines()
    both = tmp_path / "both.csv"
    named = [f"{name}.mp4, {row}" for name in "ab" for row in rows]
    both.write_text("\n".join([f"input, {head}", *named]), "utf-8")
    for read in (read_openface, read_measured):
        with pytest.raises(DuchenneError, match="several films: give a table of one"):
            read(both)
    both.write_text("\n".join([f"input, {head}", *named[:4]]), "utf-8")
    assert len(read_openface(both)) == 3


def test_tables_of_ours_in_both_styles(write_video, still, tmp_path):
    film = write_video("a.mp4", [still("happiness", 90)] * 2)
    for style, name in (("tidy", "a.tsv"), ("openface", "b.csv")):
        run_au_command([film], tmp_path / name, style=style)
        found = read_measured(tmp_path / name)
        assert found["frame"].tolist() == [0, 1]
        assert found["usable"].all()
        assert (found["AU12_r"] > 2).all()


@pytest.mark.skipif(library() is None, reason="another version of MediaPipe than the tested one")
def test_the_c_library_gives_what_the_package_gives(still, monkeypatch):
    images = [still("happiness", 60 + 10 * i) for i in range(3)]
    direct = open_landmarker(face_model_path(), video=True, max_faces=1)
    ours = [direct.find(image, 40 * i) for i, image in enumerate(images)]
    assert direct.find(np.zeros((90, 90, 3), np.uint8), 200) == []
    direct.close()
    monkeypatch.setattr("duchenne.analysis.face.native.library", lambda: None)
    package = open_landmarker(face_model_path(), video=True, max_faces=1)
    theirs = [package.find(image, 40 * i) for i, image in enumerate(images)]
    package.close()
    assert type(package) is not type(direct)
    for (a,), (b,) in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-6)


def test_agreement_with_openface_on_the_real_film(shared_folder: Path, tmp_path):
    """The strongest movements agree; the hand before the face is left out by us, not by OpenFace."""
    from duchenne.analysis.face.decode import video_frames

    film = shared_folder / "media" / "face_real.mp4"
    ours = analyse_face(list(video_frames(film))[::3], backend="blendshapes").table
    theirs = read_openface(shared_folder / "media" / "face_real_openface.csv")
    rows = agreement_table(ours, theirs).set_index("au")
    assert rows.loc["AU12", "r"] > 0.7
    assert rows.loc["AU25", "r"] > 0.8
    assert rows.loc["AU12", "n_frames"] < 130
