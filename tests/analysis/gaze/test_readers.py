"""Known saccades come back through the whole command from the files of each program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import gaze_exports as exports
from support.gaze_exports import AMPLITUDES, BLINK, SCREEN

from duchenne.analysis.gaze.command import run_gaze_command
from duchenne.analysis.gaze.readers import (
    ReadOptions,
    detect_reader,
    read_gaze_file,
    reader_names,
)
from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

SIZE: dict[str, Any] = {"width_cm": 52.8, "height_cm": 29.7, "distance_cm": 65.0}
PIXELS: dict[str, Any] = {"width_px": 1920, "height_px": 1080}


def tobii(folder: Path) -> Path:
    return exports.write_tobii(folder / "Data export.tsv", {"P01": exports.trace(600)})


def eyelink(folder: Path) -> Path:
    return exports.write_eyelink(folder / "demo.asc", exports.trace(1000))


def core_surface(folder: Path) -> Path:
    return exports.write_core(folder / "000", exports.trace(240), surface=True)


def core_scene(folder: Path) -> Path:
    return exports.write_core(folder / "000", exports.trace(240), surface=False)


def neon(folder: Path) -> Path:
    return exports.write_neon(folder / "rec", exports.trace(200))


def neon_surface(folder: Path) -> Path:
    return exports.write_neon(folder / "rec", exports.trace(200), surface=True)


def bids(folder: Path) -> Path:
    return exports.write_bids(folder / "study", exports.trace(500))


CASES: list[tuple[Callable[[Path], Path], dict[str, Any], str, float, set[str]]] = [
    (tobii, {}, "tobii-pro-lab", 600, {"both"}),
    (eyelink, SIZE, "eyelink-asc", 1000, {"both"}),
    (core_surface, SIZE | PIXELS, "pupil-labs", 240, {"unknown"}),
    (core_scene, {}, "pupil-labs", 240, {"unknown"}),
    (neon, {}, "pupil-labs", 200, {"unknown"}),
    (neon_surface, SIZE | PIXELS, "pupil-labs", 200, {"unknown"}),
    (bids, {}, "bids-physio", 500, {"both"}),
]


@pytest.mark.parametrize(
    ("write", "geometry", "name", "rate_hz", "eyes"), CASES, ids=[c[0].__name__ for c in CASES]
)
def test_known_saccades_come_back(
    tmp_path: Path,
    *,
    write: Callable[[Path], Path],
    geometry: dict[str, Any],
    name: str,
    rate_hz: float,
    eyes: set[str],
) -> None:
    path = write(tmp_path)
    assert detect_reader(path)[0].name == name
    said: list[str] = []
    run_gaze_command(path, tmp_path / "out", **geometry, say=said.append)
    assert len(said) == 1
    assert said[0].startswith("Read as ")
    saccades = read_table(tmp_path / "out" / "saccades.tsv")
    truth = exports.trace(rate_hz)
    origin = _origin(tmp_path / "out", name)
    assert saccades["amplitude_deg"].to_numpy() == pytest.approx(AMPLITUDES, abs=0.3)
    assert saccades["onset"].to_numpy() - origin == pytest.approx(truth.saccade_onset_s, abs=0.012)
    angle = np.radians(saccades["direction_deg"].to_numpy() - truth.direction_deg)
    assert np.abs(np.degrees(np.arctan2(np.sin(angle), np.cos(angle)))).max() < 6
    assert set(saccades["eye"]) == eyes
    quality = read_table(tmp_path / "out" / "quality.tsv").iloc[0]
    assert quality["sampling_rate_hz"] == pytest.approx(rate_hz, rel=1e-3)
    blinks = read_table(tmp_path / "out" / "blinks.tsv")
    assert blinks["onset"].to_numpy() - origin == pytest.approx([BLINK[0]], abs=0.006)
    assert blinks["duration"].to_numpy() == pytest.approx([BLINK[1]], abs=0.006)


def _origin(out: Path, name: str) -> float:
    """Return the file's time of our time 0."""
    first = float(_samples(out)["time"].iloc[0])
    return 0.0 if name == "bids-physio" else first


def _samples(out: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(out / "gaze.parquet")


@pytest.mark.parametrize(
    ("changes", "drop"),
    [
        ({"units_in_header": False}, ()),
        ({"units_in_header": False, "microseconds": False}, ()),
        ({"microseconds": False}, ()),
        ({"decimal": ","}, ()),
        ({"encoding": "utf-16"}, ()),
        ({"with_events": False}, ()),
        ({}, ("right",)),
    ],
    ids=["old-us", "old-ms", "ms", "comma", "utf-16", "names-only", "left-eye"],
)
def test_versions_of_a_tobii_export(
    tmp_path: Path, changes: dict[str, Any], drop: tuple[str, ...]
) -> None:
    gaze = exports.trace(600)
    path = exports.write_tobii(tmp_path / "e.tsv", {"P01": gaze}, drop=drop, **changes)
    (recording,), _ = read_gaze_file(path)
    assert recording.times_s - recording.times_s[0] == pytest.approx(gaze.times_s, abs=2e-6 + 1e-9)
    assert recording.screen["width_px"] == 1920
    assert recording.screen["width_cm"] == pytest.approx(52.8, abs=0.01)
    assert recording.screen["height_cm"] == pytest.approx(29.7, abs=0.01)
    assert recording.screen["distance_cm"] == pytest.approx(65)
    assert [one.stimulus for one in recording.presentations] == ["face.png", "sea.mp4"]
    assert [one.onset_s - recording.times_s[0] for one in recording.presentations] == pytest.approx(
        [0.4, 1.8], abs=0.002
    )
    x_px, _ = SCREEN.deg_to_px(gaze.x_deg, gaze.y_deg)
    assert recording.columns["left_x"] == pytest.approx(x_px + 3, abs=0.06, nan_ok=True)
    assert ("right_x" in recording.columns) == (not drop)
    lost = ~np.isfinite(gaze.x_deg)
    assert (recording.columns["left_valid"] == ~lost).all()


def test_people_and_stimuli_of_one_tobii_export(tmp_path: Path) -> None:
    people = {"P01": exports.trace(300, seed=1), "P02": exports.trace(300, seed=2)}
    path = exports.write_tobii(tmp_path / "e.tsv", people)
    notes: list[str] = []
    said: list[str] = []
    run_gaze_command(path, tmp_path / "out", say=said.append, note=notes.append)
    assert "2 participants, 2 recordings" in said[0]
    assert "4 stimulus presentations" in said[0]
    assert any("1920 × 1080 px, 52.8 × 29.7 cm, 65.0 cm" in line for line in notes)
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["participant"].tolist() == ["P01", "P01", "P02", "P02"]
    assert summary["stimulus"].tolist() == ["face.png", "sea.mp4"] * 2
    assert summary["duration"].to_numpy() == pytest.approx(1.2)
    saccades = read_table(tmp_path / "out" / "saccades.tsv")
    for row in summary.itertuples():
        truth = people[str(row.participant)]
        onset = row.onset - _first_time(tmp_path / "out", str(row.participant))
        inside = (truth.saccade_onset_s >= onset) & (truth.saccade_onset_s < onset + 1.2)
        assert row.n_saccades == inside.sum()
        assert row.mean_saccade_amplitude_deg == pytest.approx(
            truth.amplitude_deg[inside].mean(), abs=0.2
        )
        here = (saccades["participant"] == row.participant) & (saccades["stimulus"] == row.stimulus)
        assert here.sum() == row.n_saccades
    shown = saccades[saccades["stimulus"].notna()]
    assert shown["t_from_onset_s"].between(0, 1.2).all()
    assert saccades.loc[saccades["stimulus"].isna(), "presentation"].isna().all()


def _first_time(out: Path, participant: str) -> float:
    samples = _samples(out)
    return float(samples.loc[samples["participant"] == participant, "time"].iloc[0])


def test_numeric_validity_codes_of_older_programs(tmp_path: Path) -> None:
    path = exports.write_tobii(tmp_path / "e.tsv", {"P01": exports.trace(300)})
    header, _, rows = path.read_text(encoding="utf-8-sig").partition("\n")
    rows = rows.replace("\tValid", "\t0").replace("\tInvalid", "\t4")
    rows = rows.replace("\t0\t0\t3.2", "\t0\t2\t3.2", 1)
    path.write_text(f"{header}\n{rows}", encoding="utf-8")
    (recording,), _ = read_gaze_file(path)
    assert (
        np.isnan(recording.columns["left_x"]).sum() == (recording.columns["left_valid"] == 0).sum()
    )
    assert np.flatnonzero(recording.columns["right_valid"] == 0)[0] == 0


def test_eyelink_eyes_rates_messages_and_screen(tmp_path: Path) -> None:
    gaze = exports.trace(2000)
    path = exports.write_eyelink(tmp_path / "a.asc", gaze, eyes="R", rate_hz=2000)
    (recording,), said = read_gaze_file(path)
    assert "EyeLink" in said
    assert set(recording.columns) == {"right_x", "right_y", "right_pupil"}
    assert np.diff(recording.times_s) == pytest.approx(
        np.full(gaze.times_s.size - 1, 5e-4), abs=1e-9
    )
    assert recording.screen == {"width_px": 1920, "height_px": 1080}
    assert (recording.pupil_unit, recording.pupil_measure) == ("arbitrary", "area")
    (trial,) = recording.presentations
    assert (trial.stimulus, trial.offset_s - trial.onset_s) == ("1", pytest.approx(1.4))
    with pytest.raises(DuchenneError, match="width_cm, height_cm, distance_cm missing"):
        run_gaze_command(path, tmp_path / "out")
    run_gaze_command(
        path, tmp_path / "out", **SIZE, stimulus_start=r"^SHOW (.*)", stimulus_end="^HIDE"
    )
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["stimulus"].tolist() == ["face.png"]
    assert summary["duration"].iloc[0] == pytest.approx(1.2)


@pytest.mark.parametrize("corner", [(1919, 1079), (1920, 1080)])
def test_eyelink_corners_by_either_convention(tmp_path: Path, corner: tuple[int, int]) -> None:
    path = exports.write_eyelink(tmp_path / "a.asc", exports.trace(250), rate_hz=250, corner=corner)
    assert read_gaze_file(path)[0][0].screen == {"width_px": 1920, "height_px": 1080}


def test_the_place_of_a_stimulus_in_a_tobii_export(tmp_path: Path) -> None:
    rect = (480.0, 270.0, 1440.0, 810.0)
    path = exports.write_tobii(tmp_path / "e.tsv", {"P01": exports.trace(300)}, rect_px=rect)
    assert read_gaze_file(path)[0][0].presentations[0].rect_px == rect
    run_gaze_command(path, tmp_path / "out")
    fixations = read_table(tmp_path / "out" / "fixations.tsv")
    on = fixations[fixations["stimulus"].notna()]
    assert on["x_stim"].to_numpy() == pytest.approx((on["x_px"].to_numpy() - 480) / 960, abs=1e-5)
    assert fixations.loc[fixations["stimulus"].isna(), "x_stim"].isna().all()
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["entropy_area"].unique().tolist() == ["stimulus"]


@pytest.mark.parametrize("write", [neon, core_scene, bids], ids=["neon", "core", "bids"])
def test_events_of_the_other_programs(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    run_gaze_command(
        write(tmp_path), tmp_path / "out", stimulus_start="(?i)show (.*)", stimulus_end="(?i)hide"
    )
    summary = read_table(tmp_path / "out" / "summary.tsv")
    assert summary["stimulus"].tolist() == ["face.png"]
    assert summary["n_saccades"].tolist() == [2]
    assert summary["duration"].iloc[0] == pytest.approx(1.2, abs=0.001)
    pupil = _samples(tmp_path / "out")["pupil"].median()
    assert pupil == pytest.approx(4600 if write is bids else 3.2, rel=0.01)


def test_a_folder_of_pupil_labs(tmp_path: Path) -> None:
    neon(tmp_path)
    core_surface(tmp_path)
    assert read_gaze_file(tmp_path / "rec")[0][0].screen["distance_cm"] == 100
    recordings, said = read_gaze_file(tmp_path / "000")
    assert recordings[0].screen == {}
    assert "gaze_positions_on_surface_Screen.csv" in said
    with pytest.raises(DuchenneError, match="folder without an export"):
        read_gaze_file(tmp_path)


def test_bids_events_one_eye_and_wrong_units(tmp_path: Path) -> None:
    gaze = exports.trace(500)
    (recording,), _ = read_gaze_file(exports.write_bids(tmp_path / "a", gaze, eyes=1, distance=65))
    assert set(recording.columns) == {"left_x", "left_y", "left_pupil"}
    assert (recording.participant, recording.recording) == ("sub-01", "task-look_run-01")
    assert recording.screen["distance_cm"] == 65
    assert "taken as centimetres" in recording.notes[0]
    assert [one.stimulus for one in recording.presentations] == ["cross", "face.png", "sea.png"]
    assert recording.times_s == pytest.approx(gaze.times_s, abs=1e-6)


def _replace(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text(encoding="utf-8-sig").replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("spoil", "geometry", "message"),
    [
        (
            lambda f: exports.write_tobii(f / "e.tsv", {"P": exports.trace(120)}, with_mm=False),
            {},
            r"width_cm, height_cm.* missing",
        ),
        (lambda f: _replace(tobii(f), "[DACS px]", "[MCS norm]"), {}, "no gaze point in display pixels"),
        (lambda f: _replace(tobii(f), "Eye Tracker", "GSR"), {}, "no row of the sensor"),
        (lambda f: _replace(tobii(f), "Mouse", "Gyroscope"), {}, "is of eye-tracking glasses"),
        (lambda f: _replace(tobii(f), "\t3.2000", "\twide"), {}, r"holds 'wide' in data row"),
        (
            lambda f: exports.write_eyelink(f / "a.asc", exports.trace(100), kind="HREF"),
            SIZE,
            "HREF samples, not gaze",
        ),
        (
            lambda f: _replace(neon(f), "azimuth [deg]", "azimut"),
            SIZE | PIXELS,
            "degrees cannot be had",
        ),
        (core_surface, {}, "width_px, height_px, width_cm"),
        (neon, {"distance_cm": 60}, "--distance-cm is for gaze on a screen"),
        (
            lambda f: _bad_bids(f, "SampleCoordinateSystem", '"eye-in-head", "x'),
            {},
            "holds eye-in-head",
        ),
        (lambda f: _bad_bids(f, '"Columns"', '"Kolumns'), {}, "names no Columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(
    tmp_path: Path, spoil: Callable[[Path], Path], geometry: dict[str, Any], message: str
) -> None:
    path = spoil(tmp_path)
    with pytest.raises(DuchenneError, match=message) as caught:
        run_gaze_command(path, tmp_path / "out", **geometry)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def _bad_bids(folder: Path, what: str, instead: str) -> Path:
    path = bids(folder)
    sidecar = folder / "study" / "task-look_physio.json"
    text = sidecar.read_text()
    if what == '"Columns"':
        sidecar.write_text(text.replace(what, instead + '"'))
    else:
        sidecar.write_text(text.replace('"gaze-on-screen"', '"eye-in-head"'))
    return path


def test_the_formats_have_names(tmp_path: Path) -> None:
    assert reader_names() == ["tobii-pro-lab", "eyelink-asc", "bids-physio", "pupil-labs", "plain"]
    path = tobii(tmp_path)
    with pytest.raises(UsageError, match="--format smi is none of auto, tobii-pro-lab"):
        read_gaze_file(path, file_format="smi")
    with pytest.raises(DuchenneError, match=r"no column timestamp \[ns\]"):
        read_gaze_file(path, file_format="pupil-labs")
    (tmp_path / "x.asc").write_text("** EYELINK II CL\n")
    with pytest.raises(DuchenneError, match="no column Recording timestamp"):
        read_gaze_file(tmp_path / "x.asc", file_format="tobii-pro-lab")
    with pytest.raises(UsageError, match=r"--stimulus-start \( is no regular expression"):
        read_gaze_file(path, ReadOptions(stimulus_start="("))
    with pytest.raises(DuchenneError, match="no column time"):
        read_gaze_file(path, file_format="plain")
