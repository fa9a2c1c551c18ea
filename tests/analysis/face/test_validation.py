"""Clips for coders, their sheets in ELAN's and Datavyu's formats, and the agreement read from them."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import yaml
from support.sessions import write_session
from typer.testing import CliRunner

from duchenne.analysis.cli import app
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.deidentify_video import VideoInput
from duchenne.analysis.face.validation import Measured, evaluate, prepare, read_codings
from duchenne.analysis.face.validation_agreement import agreement_rows
from duchenne.analysis.face.validation_codes import CODED, intensities_of
from duchenne.analysis.face.validation_datavyu import read_datavyu, write_datavyu
from duchenne.analysis.face.validation_draw import Clip, blind_names, candidates, draw
from duchenne.analysis.face.validation_elan import read_elan, write_elan
from duchenne.analysis.paths import analysis_paths
from duchenne.analysis.statistics.agreement import cohens_kappa, icc_3_1
from duchenne.analysis.tables import Column, read_table, write_table
from duchenne.recorder.sources.clips import encode_clip
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AUS = ("AU04", "AU12", "AU25")
LETTERS = "0ABCDE"


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = icc_3_1(np.array([*judges, [np.nan, 1, 2, 3]], np.float64))
    assert found.n == 6
    assert found.value == pytest.approx(0.7148, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((0.3425, 0.9459), abs=1e-3)


def test_kappa_has_its_large_sample_interval() -> None:
    first = np.repeat([False, True], 25)
    second = np.repeat([False, True, False, True], [15, 10, 5, 20])
    found = cohens_kappa(first, second)
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.1511, 0.6489), abs=2e-3)


def test_coefficients_without_ground_are_missing() -> None:
    assert np.isnan(icc_3_1(np.ones((9, 2))).value)
    assert np.isnan(cohens_kappa(np.zeros(9, bool), np.zeros(9, bool)).value)
    assert np.isnan(icc_3_1(np.array([[1.0, 2.0]])).value)
    perfect = icc_3_1(np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]))
    assert (perfect.value, perfect.low) == (1.0, 1.0)


def test_elan_files_follow_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "clip_abcde.eaf"
    write_elan(path, "clip_abcde.mp4", 1.5, AUS)
    root = ET.parse(path).getroot()
    assert path.read_text("utf-8").startswith("<?xml version='1.0' encoding='UTF-8'?>")
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert {"AUTHOR", "DATE", "FORMAT", "VERSION"} <= set(root.attrib)
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONTROLLED_VOCABULARY"]
    places = [order.index(child.tag) for child in root]
    assert places == sorted(places)
    assert set(places) == set(range(len(order)))
    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "-1")) for s in root.iter("TIME_SLOT")}
    assert set(slots.values()) == {0, 1500}
    types = {t.get("LINGUISTIC_TYPE_ID"): t for t in root.iter("LINGUISTIC_TYPE")}
    vocabularies = {v.get("CV_ID") for v in root.iter("CONTROLLED_VOCABULARY")}
    languages = {node.get("LANG_ID") for node in root.iter("LANGUAGE")}
    used = [
        n.get(key)
        for n in root.iter()
        for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
        if n.get(key)
    ]
    assert sorted(used) == sorted(slots)
    ids = [n.get("ANNOTATION_ID") for n in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids) == len(AUS) + 1
    assert [t.get("TIER_ID") for t in root.iter("TIER")] == [CODED, *AUS]
    for tier in root.iter("TIER"):
        assert (
            types[tier.get("LINGUISTIC_TYPE_REF")].get("CONTROLLED_VOCABULARY_REF") in vocabularies
        )
    assert {node.get("LANG_REF") for node in root.iter("CVE_VALUE")} <= languages
    entries = [node.get("CVE_ID") for node in root.iter("CV_ENTRY_ML")]
    assert len(set(entries)) == len(entries)
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.get("RELATIVE_MEDIA_URL") == "./clip_abcde.mp4"
    assert read_elan(path) == {name: [] for name in (CODED, *AUS)}


def test_datavyu_files_are_archives_of_a_spreadsheet_and_a_project(tmp_path: Path) -> None:
    path = tmp_path / "clip_abcde.opf"
    write_datavyu(path, 61.5, AUS)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["db", "project"]
        lines = archive.read("db").decode().splitlines()
        project = archive.read("project").decode()
    assert lines[0] == "#4"
    assert lines[3:5] == ["AU04 (MATRIX,true,)-intensity|NOMINAL", "00:00:00:000,00:01:01:500,()"]
    assert project.startswith("!project\n")
    told = yaml.safe_load(project.removeprefix("!project\n"))
    assert told["dbFile"] == "db"
    assert told["version"] == 5
    assert read_datavyu(path) == {name: [] for name in (CODED, *AUS)}


def test_what_datavyu_itself_saves_is_read(tmp_path: Path) -> None:
    text = (
        "#4\ncoded (MATRIX,true,)-yes|NOMINAL\n00:00:00:000,00:00:01:000,(yes)\n"
        "AU12 (MATRIX,false,)-intensity|NOMINAL,note|NOMINAL\n"
        "00:00:00:000,00:00:00:400,(B,a \\\\- b)\n00:00:00:400,00:00:01:000,(d,)\n"
        "AU25 (MATRIX,true,)-x|NOMINAL\n"
    )
    path = tmp_path / "a.opf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("db", text)
        archive.writestr("project", "")
    entered = read_datavyu(path)
    assert entered["AU12"] == ["B", "d"]
    assert intensities_of(entered, AUS, "a") == {"AU04": 0.0, "AU12": 4.0, "AU25": 0.0}


def test_entries_become_intensities() -> None:
    entered = {CODED: ["yes"], "AU04": ["X"], "AU12": ["a", "3", "B"], "AU25": []}
    found = intensities_of(entered, AUS, "a")
    assert found is not None
    assert np.isnan(found["AU04"])
    assert (found["AU12"], found["AU25"]) == (3.0, 0.0)
    assert intensities_of(entered | {CODED: []}, AUS, "a") is None
    with pytest.raises(DuchenneError, match="AU12 is 'F'; enter one of 0 A B"):
        intensities_of(entered | {"AU12": ["F"]}, AUS, "clip.eaf")


@pytest.mark.parametrize("mark", ["yes", " Yes", "Y", "ja", "1", "TRUE"])
def test_clips_that_are_marked_are_coded(mark: str) -> None:
    assert intensities_of({CODED: [mark], "AU12": ["B"]}, ("AU12",), "a") == {"AU12": 2.0}


@pytest.mark.parametrize("mark", ["no", "No ", "n", "nein", "0", "false", " "])
def test_clips_that_are_marked_as_not_coded_are_left_out(mark: str) -> None:
    assert intensities_of({CODED: [mark], "AU12": ["B"]}, ("AU12",), "a") is None


def test_marks_that_say_neither_are_told() -> None:
    with pytest.raises(DuchenneError, match=r"clip\.opf: coded is 'Half'; enter yes, or nothing"):
        intensities_of({CODED: ["yes", "Half"]}, ("AU12",), "clip.opf")


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    for name, reader in (("a.eaf", read_elan), ("a.opf", read_datavyu)):
        (tmp_path / name).write_text("<html>", encoding="utf-8")
        with pytest.raises(DuchenneError, match="cannot be read"):
            reader(tmp_path / name)


def _clips(n: int) -> list[Clip]:
    """Return clips of two conditions, most of them without any action."""
    rng = np.random.default_rng(3)
    clips = []
    for i in range(n):
        peaks = {au: float(rng.choice([0.0, 1.5, 4.0], p=[0.9, 0.06, 0.04])) for au in AUS}
        condition = "rare" if i % 10 == 0 else "usual"
        occurs = {au: peak >= 2 for au, peak in peaks.items()}
        clips.append(Clip(None, f"P{i % 3}", condition, float(i), i + 1.0, peaks, occurs))  # type: ignore[arg-type]
    return clips


def test_the_draw_is_stratified_and_repeatable() -> None:
    clips = _clips(400)
    drawn = draw(clips, 40, AUS, seed=1)
    assert drawn == draw(clips, 40, AUS, seed=1)
    assert drawn != draw(clips, 40, AUS, seed=2)
    assert len({clip.start_s for clip in drawn}) == 40
    for au in AUS:
        share_high = np.mean([clip.level(au) == "high" for clip in drawn])
        assert share_high > 0.15, "four times as many as by chance"
    assert 0.3 < np.mean([clip.condition == "rare" for clip in drawn]) < 0.7
    counts = [sum(clip.participant == f"P{i}" for clip in drawn) for i in range(3)]
    assert max(counts) - min(counts) <= 4
    names = blind_names(40, seed=1)
    assert len(set(names)) == 40
    assert len(draw(clips[:5], 40, AUS, seed=1)) == 5


def _table(clips: Path, name: str) -> pd.DataFrame:
    """Return the truth of a rendered clip in the columns of the measurement."""
    truth = pd.read_csv(clips / f"{name}.csv")
    table = pd.DataFrame({"time": np.arange(len(truth)) / 30, "usable": True})
    for au in AUS:
        table[f"{au}_r"] = truth[f"AU{int(au[2:])}"]
        table[f"{au}_c"] = (table[f"{au}_r"] >= 2).astype(float)
    return table


def test_windows_keep_to_one_condition_and_to_usable_frames(clips: Path) -> None:
    table = _table(clips, "happiness")
    table.loc[60:89, "usable"] = False
    conditions = ["a"] * 45 + ["b"] * 135
    found = candidates(table, clips, conditions, participant="P", au_names=AUS, clip_s=1.0)
    assert [(c.condition, round(c.start_s, 2)) for c in found] == [
        ("a", 0.0), ("b", 3.5), ("b", 4.5)
    ]  # fmt: skip
    assert found[1].peaks["AU12"] == pytest.approx(
        np.percentile(table["AU12_r"][105:135], 95), abs=1e-9
    )
    assert found[1].occurs["AU12"]


def _fill_elan(path: Path, values: Mapping[str, str]) -> None:
    tree = ET.parse(path)
    for tier in tree.getroot().iter("TIER"):
        node = tier.find("ANNOTATION/ALIGNABLE_ANNOTATION/ANNOTATION_VALUE")
        assert node is not None
        node.text = values.get(tier.get("TIER_ID", ""), "")
    tree.write(path, encoding="UTF-8", xml_declaration=True)


def _fill_datavyu(path: Path, values: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path) as archive:
        lines, project = archive.read("db").decode().splitlines(), archive.read("project")
    for i, line in enumerate(lines):
        name = line.partition(" (")[0]
        if name in values:
            lines[i + 1] = lines[i + 1].removesuffix("()") + f"({values[name]})"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("db", "\n".join(lines))
        archive.writestr("project", project)


@pytest.fixture(scope="module")
def coding(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a draw that two coders have coded: one what is true, one 1 more of AU12."""
    folder = tmp_path_factory.mktemp("validation")
    recordings = [
        Measured(
            VideoInput(clips / f"{name}.mp4"), _table(clips, name), f"person-{i}", [name] * 180
        )
        for i, name in enumerate(("happiness", "anger"))
    ]
    out = folder / "coding"
    drawn = prepare(recordings, out, n_clips=14, clip_s=0.5, au_names=AUS, seed=4)
    assert drawn.n_clips == 14
    key = read_table(drawn.key / "key.tsv")
    for coder, more in (("anna", 0), ("ben", 1)):
        mine = folder / coder
        mine.mkdir()
        for _, row in key.iterrows():
            level = {au: round(row[f"{au}_peak"]) for au in AUS}
            level["AU12"] = min(level["AU12"] + more, 5)
            values = {CODED: "yes"} | {au: LETTERS[n] if n else "" for au, n in level.items()}
            ending, fill = (".eaf", _fill_elan) if coder == "anna" else (".opf", _fill_datavyu)
            target = mine / f"{row['clip']}{ending}"
            target.write_bytes((drawn.coders / target.name).read_bytes())
            fill(target, values)
    return folder


def test_coders_learn_nothing_from_names_and_files(coding: Path) -> None:
    coders = coding / "coding" / "coders"
    stems = {path.stem for path in coders.glob("clip_*")}
    assert len(stems) == 14
    for path in coders.iterdir():
        assert path.stat().st_mtime == 946_684_800.0
        data = path.read_bytes()
        for word in (b"happiness", b"anger", b"person-"):
            assert word not in data
    key = read_table(coding / "coding" / "key" / "key.tsv")
    assert set(key["clip"]) == stems
    assert set(key["condition"]) == {"happiness", "anger"}
    frames = list(video_frames(coders / f"{key['clip'][0]}.mp4"))
    assert len(frames) == key["n_frames"][0] == 15


def test_codings_come_back_with_their_agreement(coding: Path) -> None:
    out = coding / "coding"
    key = read_table(out / "key" / "key.tsv").set_index("clip", drop=False)
    anna = read_codings(coding / "anna", key.index, AUS)
    ben = read_codings(coding / "ben", key.index, AUS)
    assert anna.loc[key["clip"], "AU12"].to_numpy() == pytest.approx(key["AU12_peak"].round())
    people = pd.DataFrame(
        {
            "participant_id": ["sub-person-0", "sub-person-1"],
            "skin_tone": ["II", "V"],
            "beard": ["no", "no"],
        }
    )
    written, table, counts = evaluate(out, [coding / "anna", coding / "ben"], people)
    assert counts == {"anna": 14, "ben": 14}
    assert json.loads(written.with_suffix(".json").read_text("utf-8"))["kappa"]
    rows = table.set_index(["au", "first", "second", "group_by", "group"])
    both = rows.loc[("AU12", "anna", "ben", "all", "all")]
    expected = icc_3_1(np.column_stack([anna["AU12"], ben["AU12"]]))
    assert both["icc_3_1"] == pytest.approx(expected.value)
    assert rows.loc[("AU12", "measured", "anna", "all", "all"), "icc_3_1"] > 0.95
    assert rows.loc[("AU25", "anna", "ben", "all", "all"), "icc_3_1"] == pytest.approx(1.0)
    assert ("AU12", "measured", "coders", "skin_tone", "V") in rows.index
    n = rows.loc[("AU12", "measured", "coders", "skin_tone", ["II", "V"]), "n"]
    assert n.sum() == 14


@pytest.mark.parametrize("name", ["coders", "measured"])
def test_a_coder_is_not_taken_for_something_else(coding: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(coding / "coding", tmp_path / "coding")
    shutil.copytree(coding / "anna", tmp_path / name)
    _, plain, _ = evaluate(tmp_path / "coding", [coding / "anna", coding / "ben"])
    _, table, counts = evaluate(tmp_path / "coding", [tmp_path / name, coding / "ben"])
    other = f"{name} (1)"
    assert counts == {other: 14, "ben": 14}
    pd.testing.assert_frame_equal(table, plain.replace("anna", other))
    _, alone, _ = evaluate(tmp_path / "coding", [tmp_path / name])
    assert set(alone["second"]) == {other}
    taken = tmp_path / other
    shutil.copytree(coding / "ben", taken)
    _, _, counts = evaluate(tmp_path / "coding", [tmp_path / name, taken])
    assert counts == {f"{name} (2)": 14, other: 14}


def test_participants_and_groups_may_be_numbers(coding: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "coding"
    shutil.copytree(coding / "coding", drawn)
    key = drawn / "key" / "key.tsv"
    key.write_text(
        key.read_text("utf-8").replace("person-0", "001").replace("person-1", "002"), "utf-8"
    )
    people = drawn / "key" / "participants.tsv"
    head = "participant_id\tskin_tone\tglasses\tnote\n"
    rows = '001\t2\tn/a\t"so\n002\t5\tyes\t\n003\t\tno\t\n'
    people.write_text(head + rows, "utf-8-sig")
    run = ["au-validate", str(drawn), "--read", str(coding / "anna")]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    assert "none of the participants" not in result.output
    with (drawn / "key" / "agreement.tsv").open(encoding="utf-8") as file:
        groups = {tuple(line.split("\t")[3:5]) for line in file.readlines()[1:]}
    assert groups == {
        ("all", "all"), ("skin_tone", "2"), ("skin_tone", "5"), ("glasses", "n/a"), ("glasses", "yes"),
    }  # fmt: skip
    people.write_text(head + rows.replace("00", ""), "utf-8")
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    assert "none of the participants in the table (clips: 00" in result.output
    assert "table: 1, 2, 3): every group is n/a." in result.output
    people.write_bytes(b"participant_id\t\xff\xfe")
    assert "cannot be read as a table" in str(CliRunner().invoke(app, run).exception)


def test_an_analyzed_session_is_drawn_from_by_category(clips: Path, tmp_path: Path) -> None:
    frames = encode_clip("happiness")
    times_s = 2.0 + np.arange(180) / 30
    session = write_session(tmp_path / "s.h5", frames=(times_s, frames))
    table = _table(clips, "happiness")
    table["time"], table["participant"] = times_s, "P01"
    table["phase"] = np.where(np.arange(180) < 60, "neutral", "stimulus")
    table["stimulus_id"] = np.where(np.arange(180) < 60, "n/a", "joy")
    paths = analysis_paths(session)
    paths.au.parent.mkdir()
    write_table(table, paths.au, {name: Column(name) for name in table})
    summary = pd.DataFrame({"stimulus_id": ["joy"], "category": ["HVHA"]})
    write_table(summary, paths.summary, {name: Column(name) for name in summary})
    out = tmp_path / "coding"
    result = CliRunner().invoke(
        app, ["au-validate", str(session), "--out", str(out), "--clips", "4"]
    )
    assert result.exit_code == 0, result.output
    assert result.output.strip().splitlines()[-1] == f"Wrote 4 clips to {out}"
    key = read_table(out / "key" / "key.tsv")
    assert set(key["condition"]) == {"neutral", "HVHA"}
    assert (key["n_frames"] == 30).all()
    bare = write_session(tmp_path / "bare.h5", frames=(times_s[:2], frames[:2]))
    missing = CliRunner().invoke(app, ["au-validate", str(bare), "--out", str(tmp_path / "x")])
    assert "run duchenne analyze" in str(missing.exception)


def test_agreement_has_the_known_kappa() -> None:
    clips = [f"clip_{i}" for i in range(50)]
    first = np.repeat([False, True], 25)
    coded = np.repeat([0.0, 2.0, 0.0, 3.0], [15, 10, 5, 20])
    key = pd.DataFrame({"clip": clips, "AU12_peak": coded + 0.5, "AU12_occurs": first}, index=clips)
    coding = pd.DataFrame({"AU12": coded}, index=clips)
    (row,) = agreement_rows(key, {"anna": coding}, ["AU12"], {})
    assert row["kappa"] == pytest.approx(0.4)
    assert row["n_occurs"] == 30
    assert row["icc_3_1"] == pytest.approx(1.0), "a constant difference is no disagreement"
    (row,) = agreement_rows(key.assign(AU12_occurs=True), {"anna": coding}, ["AU12"], {})
    assert row["kappa"] == 0
    assert np.isnan([row["kappa_low"], row["kappa_high"]]).all(), "one says always the same"


def test_the_command_tells_what_is_missing(coding: Path, clips: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, object, str]:
        result = CliRunner().invoke(app, ["au-validate", *map(str, arguments)])
        return result.exit_code, result.exception, result.output

    assert isinstance(run(clips / "anger.mp4")[1], UsageError)
    taken = run(clips / "anger.mp4", "--out", tmp_path)[1]
    assert "never overwritten" in str(taken)
    (tmp_path / "empty").mkdir()
    uncoded = run(coding / "coding", "--read", tmp_path / "empty")[1]
    assert "holds no coded clip" in str(uncoded)
    assert "name the folder that was drawn" in str(run(tmp_path, "--read", coding / "anna")[1])
    code, _, said = run(coding / "coding", "--read", coding / "anna")
    assert code == 0
    assert "anna: 14 clips coded." in said
    assert said.strip().splitlines()[-1].startswith("Wrote ")
