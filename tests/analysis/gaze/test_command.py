from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import typer
from support.synthetic_gaze import make_gaze
from typer.testing import CliRunner

from duchenne.analysis.gaze.cli import gaze as gaze_command
from duchenne.analysis.gaze.command import OUTPUTS, run_gaze_command
from duchenne.analysis.gaze.geometry import ScreenGeometry
from duchenne.analysis.gaze.plain_table import parse_columns
from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

GEOMETRY: dict[str, Any] = {
    "width_px": 1280,
    "height_px": 720,
    "width_cm": 53.0,
    "height_cm": 30.0,
    "distance_cm": 60.0,
}


def _frame(rate_hz: float = 600) -> pd.DataFrame:
    gaze = make_gaze([5.0, 3.0, 8.0], rate_hz=rate_hz, fixation_s=0.6, blinks_s=[(0.2, 0.15)])
    x_px, y_px = ScreenGeometry(**GEOMETRY).deg_to_px(gaze.x_deg, gaze.y_deg)
    return pd.DataFrame({"time": gaze.times_s, "x": x_px / 1280, "y": y_px / 720})


@pytest.mark.parametrize("form", ["csv", "tsv", "semicolon", "parquet"])
def test_a_plain_table_becomes_tables_of_events(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"gaze.{'csv' if form == 'semicolon' else form}"
    if form == "parquet":
        _frame().to_parquet(path)
    else:
        separator = {"csv": ",", "tsv": "\t", "semicolon": ";"}[form]
        _frame().to_csv(path, sep=separator, index=False, na_rep="n/a")
    written = run_gaze_command(path, tmp_path / "out", **GEOMETRY)
    assert {p.name for p in written} == set(OUTPUTS)
    assert all(p.is_file() and p.with_suffix(".json").is_file() for p in written)
    saccades = read_table(tmp_path / "out" / "saccades.tsv")
    assert saccades["amplitude_deg"].to_numpy() == pytest.approx([5, 3, 8], abs=0.2)
    assert len(read_table(tmp_path / "out" / "fixations.tsv")) == 5  # the blink splits the first
    blinks = read_table(tmp_path / "out" / "blinks.tsv")
    assert blinks["source"].tolist() == ["gaze_loss"]
    quality = read_table(tmp_path / "out" / "quality.tsv")
    assert quality["sampling_rate_hz"].iloc[0] == pytest.approx(600)
    assert len(pd.read_parquet(tmp_path / "out" / "gaze.parquet")) == len(_frame())


def test_other_names_units_and_an_eye(tmp_path: Path) -> None:
    frame = _frame(60)
    given = pd.DataFrame(
        {
            "Timestamp": (1e6 * frame["time"]).round().astype(int),
            "GX": 1280 * frame["x"],
            "GY": 720 * frame["y"],
            "Ok": frame["x"].notna(),
        }
    )
    given.to_csv(tmp_path / "g.csv", index=False)
    mapping = parse_columns(["time=Timestamp", "left_x=GX", "left_y=GY", "left_valid=Ok"])
    run_gaze_command(
        tmp_path / "g.csv",
        tmp_path,
        columns=mapping,
        time_unit="us",
        position_unit="px",
        **GEOMETRY,
    )
    saccades = read_table(tmp_path / "saccades.tsv")
    assert saccades["amplitude_deg"].to_numpy() == pytest.approx([5, 3, 8], abs=0.3)
    assert saccades["peak_velocity_deg_s"].isna().all()
    assert set(saccades["eye"]) == {"left"}


def _swap(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[[50, 51], "time"] = frame.loc[[51, 50], "time"].to_numpy()
    return frame


def _misspell(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(x=frame["x"].astype(object).where(frame.index != 3, "oops"))


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda f: f.rename(columns={"x": "GazeX"}), {}, r"no gaze columns.*found time, GazeX, y"),
        (lambda f: f.rename(columns={"time": "when"}), {}, r"no column time; found when, x, y"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (_swap, {}, r"runs backwards in data row 52"),
        (_misspell, {}, r"x holds 'oops' in data row 4"),
        (lambda f: f.assign(time=f["time"].where(f.index != 3)), {}, "no time in data row 4"),
        (lambda f: f.assign(time=1000 * f["time"]), {}, "give another --time-unit"),
        (lambda f: f.assign(x=1280 * f["x"]), {}, "looks like pixels"),
        (lambda f: f, {"distance_cm": None}, "distance_cm missing"),
        (lambda f: f, {"distance_cm": 0}, "distance_cm is 0"),
        (lambda f: f, {"columns": {"left_x": "nope"}}, "no column nope; found time, x, y"),
        (lambda f: f, {"time_unit": "h"}, "--time-unit h"),
        (lambda f: f, {"position_unit": "deg"}, "--unit deg"),
        (lambda f: f, {"detector": "magic"}, "named magic"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(
    tmp_path: Path, spoil: Any, options: dict[str, Any], message: str
) -> None:
    spoil(_frame()).to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(DuchenneError, match=message) as caught:
        run_gaze_command(tmp_path / "g.csv", tmp_path / "out", **(GEOMETRY | options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "noise.csv").write_bytes(
        bytes(np.random.default_rng(0).integers(0, 256, 3000, np.uint8))
    )
    (tmp_path / "noise.parquet").write_bytes(b"no parquet")
    for name, message in (
        ("empty.csv", "is empty"),
        ("noise.csv", "cannot be read"),
        ("noise.parquet", "cannot be read"),
        ("absent.csv", "No table at"),
    ):
        with pytest.raises(DuchenneError, match=message) as caught:
            run_gaze_command(tmp_path / name, tmp_path / "out", **GEOMETRY)
        assert "\n" not in str(caught.value)


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    _frame().to_csv(tmp_path / "fixations.tsv", sep="\t", index=False)
    with pytest.raises(DuchenneError, match="would be overwritten"):
        run_gaze_command(tmp_path / "fixations.tsv", tmp_path, **GEOMETRY)


def test_column_options_are_checked() -> None:
    with pytest.raises(UsageError, match="NAME=COLUMN"):
        parse_columns(["left_x"])
    with pytest.raises(UsageError, match="third_eye_x is none of"):
        parse_columns(["third_eye_x=a"])


def test_the_command_names_what_it_wrote(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(gaze_command)
    _frame().to_csv(tmp_path / "g.csv", index=False)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in GEOMETRY.items()]
    outcome = CliRunner().invoke(
        app, [str(tmp_path / "g.csv"), "--out", str(tmp_path / "out"), *flags]
    )
    assert outcome.exit_code == 0, outcome.output
    last = outcome.stdout.strip().splitlines()[-1]
    assert "fixations.tsv" in last
    assert "gaze.parquet" in last


def test_normalized_units_mistaken_for_pixels_are_noticed(tmp_path: Path) -> None:
    _frame().to_csv(tmp_path / "g.csv", index=False)
    with pytest.raises(DuchenneError, match="looks like normalized units; use --unit normalized"):
        run_gaze_command(tmp_path / "g.csv", tmp_path / "out", position_unit="px", **GEOMETRY)


def test_one_table_of_several_people_and_stimuli(tmp_path: Path) -> None:
    parts = []
    for name in ("07", "08"):
        frame = _frame()
        shown = frame["time"].between(0.5, 1.5)
        frame["Picture"] = np.where(shown, "dog", np.where(frame["time"] > 2, "cat", None))
        parts.append(frame.assign(Subject=name))
    pd.concat(parts).to_csv(tmp_path / "g.csv", index=False)
    columns = parse_columns(["participant=Subject", "stimulus=Picture"])
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", columns=columns, **GEOMETRY)
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["participant"].tolist() == ["07", "07", "08", "08"]
    assert summary["stimulus"].tolist() == ["dog", "cat"] * 2
    assert summary["n_saccades"].tolist() == [2, 0, 2, 0]
    assert summary["entropy_area"].unique().tolist() == ["screen"]
    quality = read_table(tmp_path / "out" / "quality.tsv")
    assert quality["n_saccades"].tolist() == [3, 3]


def test_rows_that_were_left_out_between_stimuli_belong_to_none(tmp_path: Path) -> None:
    frame = _frame()
    frame["stimulus"] = np.where(frame["time"] < 1, "dog", "cat")
    pause = frame["time"].between(1, 1.5, inclusive="left")
    frame[~pause].to_csv(tmp_path / "g.csv", index=False)
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", **GEOMETRY)
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["stimulus"].tolist() == ["dog", "cat"]
    last = frame["time"].iloc[-1] + frame["time"].diff().median()
    assert summary["duration"].tolist() == pytest.approx([1.0, last - 1.5], abs=1e-4)
    assert summary["gaze_valid_fraction"][0] == pytest.approx(0.85, abs=0.01), "but for a blink"


def test_without_stimuli_the_summary_is_of_the_recording(tmp_path: Path) -> None:
    _frame().to_csv(tmp_path / "g.csv", index=False)
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", **GEOMETRY)
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["stimulus"].isna().tolist() == [True]
    assert summary["n_saccades"].tolist() == [3]
    assert summary["n_blinks"].tolist() == [1]


def test_a_sampling_rate_that_changes_is_said(tmp_path: Path) -> None:
    gaze = _frame(600)
    late = gaze.index >= 900
    gaze.loc[late, "time"] = gaze["time"][900] + 2 * (gaze["time"][late] - gaze["time"][900])
    gaze.to_csv(tmp_path / "g.csv", index=False)
    notes: list[str] = []
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", note=notes.append, **GEOMETRY)
    assert any("changes between 300 and 600 Hz" in line for line in notes)


@pytest.mark.parametrize("spoil", ["lost", "one sample", "still"])
def test_empty_recordings_give_empty_tables(tmp_path: Path, spoil: str) -> None:
    frame = _frame()
    columns = ["x", "y"]
    if spoil == "lost":
        frame[columns] = np.nan
    elif spoil == "one sample":
        frame.loc[frame.index != 700, columns] = np.nan
    else:
        frame[columns] = 0.5
    frame.to_csv(tmp_path / "g.csv", index=False)
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", **GEOMETRY)
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert len(read_table(tmp_path / "out" / "saccades.tsv")) == 0
    assert len(summary) == 1
    assert summary["mean_saccade_amplitude_deg"].isna().all()
    if spoil == "lost":
        assert summary["n_fixations"].isna().all()


def test_a_webcam_says_less(tmp_path: Path) -> None:
    _frame(30).to_csv(tmp_path / "g.csv", index=False)
    run_gaze_command(tmp_path / "g.csv", tmp_path / "out", **GEOMETRY)
    summary = read_table(tmp_path / "out" / "summary.tsv").iloc[0]
    assert np.isnan(summary["saccade_peak_velocity_deg_s"])
    assert summary["n_fixations"] >= 1


def test_one_eye_and_the_distance_in_millimetres(tmp_path: Path) -> None:
    given = _frame().rename(columns={"x": "left_x", "y": "left_y"})
    given["right_x"], given["right_y"] = given["left_x"] + 0.01, given["left_y"]
    given.to_parquet(tmp_path / "g.parquet")
    app = typer.Typer()
    app.command()(gaze_command)
    size = [f"--{name.replace('_', '-')}={value}" for name, value in GEOMETRY.items()]
    size[-1] = "--distance-mm=600"
    call = [str(tmp_path / "g.parquet"), "--out", str(tmp_path / "out"), *size]
    found = {}
    for eye in ("left", "right", "cyclopean"):
        assert CliRunner().invoke(app, [*call, f"--eye={eye}"]).exit_code == 0
        quality = read_table(tmp_path / "out" / "quality.tsv").iloc[0]
        assert quality["distance_cm"] == pytest.approx(60)
        found[quality["eye"]] = read_table(tmp_path / "out" / "fixations.tsv")["x_px"].iloc[0]
    assert found["right"] - found["left"] == pytest.approx(12.8, abs=0.01)
    assert found["both"] - found["left"] == pytest.approx(6.4, abs=0.01)
    refused = CliRunner().invoke(app, [*call, "--eye=third"])
    assert isinstance(refused.exception, UsageError)
