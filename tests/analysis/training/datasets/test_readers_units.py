"""Readers of Action Units: labels, missing codes, subjects and frames of each layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from duchenne.analysis.training.datasets.base import check_label, dataset_entries, dataset_entry
from duchenne.analysis.training.datasets.disfa import UNITS as DISFA_UNITS
from duchenne.analysis.training.datasets.files import unit
from duchenne.analysis.training.datasets.micro import units_of
from duchenne.stimuli.errors import DuchenneError, UsageError


def test_every_data_set_says_what_it_is() -> None:
    entries = dataset_entries()
    assert {"disfa", "disfa-plus", "bp4d", "bp4d-intensity", "unbc", "ck-plus", "samm"} <= set(
        entries
    )
    for entry in entries.values():
        assert entry.layout
        assert entry.known_from
        assert entry.licence
    page = (Path(__file__).parents[4] / "docs" / "reference" / "datasets.md").read_text("utf-8")
    for entry in entries.values():  # the page says the same as the readers
        for part in (f"| `{entry.name}` |", entry.layout, entry.licence, entry.known_from):
            assert part in page
    with pytest.raises(UsageError, match="no data set 'disfer'; there are: afew-va, aff-wild2-au"):
        dataset_entry("disfer")


def disfa(n: int = 3) -> dict[str, str]:
    files = {
        f"ActionUnit_Labels/SN001/SN001_au{u}.txt": "".join(
            f"{i + 1},{(u + i) % 6}\n" for i in range(n)
        )
        for u in DISFA_UNITS
    }
    return {**files, "Videos_LeftCamera/LeftVideoSN001_comp.avi": ""}


def test_disfa(lay: Any, read: Any) -> None:
    found, notes = read("disfa", lay(disfa()))
    assert [p.frame for p in found] == [0, 1, 2]
    assert found[1].labels["AU04"] == 5
    assert found[1].labels["AU26"] == 3
    assert len(found[0].labels) == 12
    assert {p.subject for p in found} == {"SN001"}
    assert found[0].path.name == "LeftVideoSN001_comp.avi"
    assert notes == []


def test_disfa_with_parts_missing(lay: Any, read: Any) -> None:
    files = disfa()
    source = lay(files)
    (source / "ActionUnit_Labels/SN001/SN001_au12.txt").unlink()
    with pytest.raises(DuchenneError, match=r"SN001_au12\.txt: is this part of the data missing"):
        read("disfa", source)
    lay({"ActionUnit_Labels/SN001/SN001_au12.txt": "1,0\n2,x\n"})
    with pytest.raises(DuchenneError, match="no number"):
        read("disfa", source)
    lay({"ActionUnit_Labels/SN001/SN001_au12.txt": "1,0\n2,7\n"})
    with pytest.raises(DuchenneError, match="AU12 is 7, and may be 0 to 5"):
        read("disfa", source)
    lay(files)
    (source / "Videos_LeftCamera/LeftVideoSN001_comp.avi").unlink()
    with pytest.raises(DuchenneError, match="holds no labelled picture of DISFA"):
        read("disfa", source)
    (source / "Videos_LeftCamera").rmdir()
    with pytest.raises(DuchenneError, match="has no Videos_LeftCamera or"):
        read("disfa", source)
    with pytest.raises(DuchenneError, match=r"there is no .*nowhere"):
        read("disfa", source / "nowhere")


def test_disfa_plus(lay: Any, read: Any) -> None:
    trial = "SN001/A1_AU1_TrailNo_1"
    found, notes = read(
        "disfa-plus",
        lay(
            {
                f"Labels/{trial}/AU1.txt": "Images  Intensity\n----\n000.jpg     0\n001.jpg     3\n",
                f"Labels/{trial}/AU12.txt": "Images  Intensity\n----\n000.jpg     2\n001.jpg     5\n",
                f"Images/{trial}/000.jpg": "",
            }
        ),
    )
    assert [dict(p.labels) for p in found] == [{"AU01": 0, "AU12": 2}]
    assert (found[0].subject, found[0].condition) == ("SN001", "A1_AU1_TrailNo_1")
    assert notes == ["SN001/A1_AU1_TrailNo_1: 1 labelled pictures are missing"]


def test_bp4d(lay: Any, read: Any) -> None:
    source = lay(
        {
            "AUCoding/F001_T1.csv": "0,1,2,4,10\n7,1,0,9,0\n8,0,0,1,9\n9,9,9,9,9\n10,1,1,1,1\n",
            "BP4D-training/F001/T1/0007.jpg": "",
            "BP4D-training/F001/T1/0008.jpg": "",
            "BP4D-training/F001/T1/0009.jpg": "",
            "AU-INT/AU06/F001_T1_AU06.csv": "7,3\n8,9\n",
            "AU-INT/AU12/F001_T1_AU12.csv": "7,0\n8,5\n",
        }
    )
    found, notes = read("bp4d", source)
    assert [dict(p.labels) for p in found] == [
        {"AU01": 1, "AU02": 0, "AU10": 0},
        {"AU01": 0, "AU02": 0, "AU04": 1},
    ]
    assert [(p.subject, p.condition, p.frame) for p in found] == [
        ("F001", "T1", 7),
        ("F001", "T1", 8),
    ]
    assert notes == ["F001/T1: 1 labelled pictures are missing"]
    graded, _ = read("bp4d-intensity", source)
    assert [dict(p.labels) for p in graded] == [{"AU06": 3, "AU12": 0}, {"AU12": 5}]
    assert read("fera2015", source)[0] == found
    lay({"BP4D-training/F001/T1/0000.jpg": ""})  # pictures from 0: frame 8 is picture 7
    found, _ = read("bp4d", source)
    assert [(p.frame, p.path.stem) for p in found] == [(8, "0007"), (10, "0009")]
    plus = lay(
        {
            "plus/AUCoding/AU_OCC/F001_T1.csv": "0,1\n1,1\n",
            "plus/AUCoding/AU_INT/AU06/F001_T1_AU06.csv": "1,4\n",
            "plus/2D+3D/F001/T1/001.jpg": "",
        }
    )
    assert read("bp4d", plus / "plus")[0][0].labels == {"AU01": 1}
    assert read("bp4d-intensity", plus / "plus")[0][0].labels == {"AU06": 4}
    lay({"AUCoding/F001_T1.csv": "0,1,2\n7,1,0\n8,0,4\n"})
    with pytest.raises(DuchenneError, match=r"AU02 is 4 in frame 8, and may be 0, 1 or 9"):
        read("bp4d", source)
    lay({"AUCoding/F001_T1.csv": ""})
    with pytest.raises(DuchenneError, match="no coded frame"):
        read("bp4d", source)


def test_fera2017(lay: Any, read: Any) -> None:
    source = lay(
        {
            "Train_Occ/FERA17_TR_F001_T1.csv": "0,1,4\n0,1,0\n1,9,1\n",
            "Train_Int/FERA17_TR_F001_T1_AU06_Int.csv": "0,2\n1,9\n",
            "Train/FERA17_TR_F001_T1_6.mp4": "",
            "Train/FERA17_TR_F001_T1_2.mp4": "",
            "Train/FERA17_TR_F009_T1_6.mp4": "",
        }
    )
    found, notes = read("fera2017", source)
    assert [(p.condition, p.frame) for p in found] == [
        ("TR T1 view 2", 0),
        ("TR T1 view 2", 1),
        ("TR T1 view 6", 0),
        ("TR T1 view 6", 1),
    ]
    assert dict(found[1].labels) == {"AU04": 1}
    assert notes == ["FERA17_TR_F009_T1_6.mp4 has no labels"]
    graded, _ = read("fera2017-intensity", source)
    assert [dict(p.labels) for p in graded] == [{"AU06": 2}] * 2


def test_unbc(lay: Any, read: Any) -> None:
    place = "042-ll042/ll042t1aaaff/ll042t1aaaff"
    found, notes = read(
        "unbc",
        lay(
            {
                f"Images/{place}001.png": "",
                f"Images/{place}002.png": "",
                f"Images/{place}003.png": "",
                f"Frame_Labels/FACS/{place}001_facs.txt": "",
                f"Frame_Labels/FACS/{place}002_facs.txt": (
                    "   4.0000000e+00   3.0000000e+00   0.0000000e+00   0.0000000e+00\n"
                    "   4.3000000e+01   0.0000000e+00   0.0000000e+00   0.0000000e+00\n"
                    "   2.5000000e+01   0.0000000e+00   0.0000000e+00   0.0000000e+00\n"
                    "   1.4000000e+01   2.0000000e+00   0.0000000e+00   0.0000000e+00\n"
                ),
                f"Frame_Labels/PSPI/{place}002_facs.txt": "   4.0000000e+00\n",
            }
        ),
    )
    assert set(found[0].labels.values()) == {0.0}
    assert len(found[0].labels) == 10
    second = found[1].labels
    assert (second["AU04"], second["AU43"], second["PSPI"]) == (3, 1, 4)
    assert "AU25" not in second  # there, but not graded
    assert "AU14" not in second  # not of the ten
    assert notes == ["042-ll042/ll042t1aaaff: 1 pictures have no labels"]


def test_ck_plus(lay: Any, read: Any) -> None:
    name = "S005/001/S005_001_000000"
    files = {
        **{f"cohn-kanade-images/{name}{i:02d}.png": "" for i in (1, 2, 3)},
        f"FACS/{name}03_facs.txt": "   9.0e+00   5.0e+00\n   1.7e+01   0.0e+00\n",
        f"Emotion/{name}03_emotion.txt": "   3.0000000e+00\n",
        "cohn-kanade-images/S005/002/S005_002_00000001.png": "",
        "cohn-kanade-images/S005/002/S005_002_00000002.png": "",
    }
    source = lay(files)
    (first, last), notes = read("ck-plus", source)
    assert first.path.stem.endswith("01")
    assert set(first.labels.values()) == {0.0}
    assert {k for k, v in last.labels.items() if v == 1} == {"AU09", "AU17"}
    assert last.labels["expression"] == 5  # disgust
    assert last.path.stem.endswith("03")
    assert notes == ["S005/002 has no codes"]
    lay({f"Emotion/{name}03_emotion.txt": "9\n"})
    with pytest.raises(DuchenneError, match="the emotion is 9, and may be 0 to 7"):
        read("ck-plus", source)


def test_emotionet(lay: Any, read: Any) -> None:
    table = (
        "URL,orig,AU 1,AU 12,\" 'AU 25'\"\n"
        "http://there/N_1/a%20b.jpg,x,1,0,999\n"
        "http://there/c.jpg,x,0,1,1\n"
        "http://there/gone.jpg,x,0,0,0\n"
    )
    found, notes = read(
        "emotionet", lay({"list.csv": table, "pics/a b.jpg": "", "pics/more/c.jpg": ""})
    )
    assert [dict(p.labels) for p in found] == [
        {"AU01": 1, "AU12": 0},
        {"AU01": 0, "AU12": 1, "AU25": 1},
    ]
    assert found[0].subject != found[1].subject
    assert notes == ["list.csv: 1 of 3 pictures are not there"]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_casme2(lay: Any, read: Any, suffix: str) -> None:
    table = pd.DataFrame(
        {
            "Subject": [1, 2],
            "Filename": ["EP02_01f", "EP03_02"],
            "Unnamed: 2": [None, None],
            "OnsetFrame": [46, 10],
            "ApexFrame": [59, "/"],
            "OffsetFrame": [86, 50],
            "Action Units": ["4+L10", "12 or 14"],
            "Estimated Emotion": ["disgust", "happiness"],
        }
    )
    source = lay(
        {f"CASME2-RAW/sub01/EP02_01f/img{i}.jpg": "" for i in (46, 59)}
        | {f"CASME2-RAW/sub02/EP03_02/img{i}.jpg": "" for i in (10, 50)}
    )
    path = source / f"CASME2-coding-20140508.{suffix}"
    if suffix == "csv":
        table.to_csv(path, index=False)
    else:
        pytest.importorskip("openpyxl")
        table.to_excel(path, index=False)
    (onset, apex), notes = read("casme2", source)
    assert dict(onset.labels) == {"AU04": 0, "AU10": 0, "AU12": 0, "AU14": 0, "expression": 0}
    assert dict(apex.labels) == {"AU04": 1, "AU10": 1, "AU12": 0, "AU14": 0, "expression": 5}
    assert (apex.subject, apex.condition, apex.path.name) == ("sub01", "EP02_01f apex", "img59.jpg")
    assert notes == ["EP03_02: the apex is not coded or its picture is missing"]


def test_samm(lay: Any, read: Any) -> None:
    table = (
        "SAMM,,,,,,,,,\n,,,,,,,,,\n"
        "Subject,Filename,Inducement Code,Onset Frame,Apex Frame,Offset Frame,Duration,Micro,"
        "Action Units,Estimated Emotion\n"
        "006,006_1_2,1,5562,5588,5632,71,1/2,AU12B+14?,Other\n"
    )
    source = lay(
        {
            "SAMM_Micro_FACS_Codes_v2.csv": table,
            "006/006_1_2/006_05562.jpg": "",
            "006/006_1_2/006_05588.jpg": "",
        }
    )
    (onset, apex), _ = read("samm", source)
    assert dict(apex.labels) == {"AU12": 1}  # 14 is open; "Other" is no class
    assert (onset.subject, onset.labels["AU14"]) == ("006", 0)


def test_codes_of_micro_expressions() -> None:
    assert units_of("L12+R4") == ({12, 4}, frozenset())
    assert units_of("12 or 14") == (frozenset(), {12, 14})
    assert units_of("4+5?") == ({4}, {5})
    assert units_of("AU4, AU7B") == ({4, 7}, frozenset())


def test_names_of_units() -> None:
    assert [unit(t) for t in ("AU 6", "au06", "'AU 25'", "AU12_L", "AU_45", "age", "AU")] == [
        "AU06",
        "AU06",
        "AU25",
        "AU12L",
        "AU45",
        None,
        None,
    ]


def test_plain_folder(lay: Any, read: Any) -> None:
    table = (
        "file;frame;Subject;AU1;AU12_L;Expression;valence;hair\n"
        "film.mp4;5;A;n/a;2;happy;-0.5;red\n"
        "film.mp4;2;A;1.5;;6;;red\n"
        "still.png;;B;5;0;;1;red\n"
        "gone.png;;B;5;0;;1;red\n"
    )
    source = lay({"labels.csv": table, "film.mp4": "", "still.png": ""})
    found, notes = read("folder", source)
    assert [(p.path.name, p.frame, p.subject) for p in found] == [
        ("film.mp4", 2, "A"),
        ("film.mp4", 5, "A"),
        ("still.png", None, "B"),
    ]
    assert dict(found[0].labels) == {"AU01": 1.5, "expression": 6}
    assert dict(found[1].labels) == {"AU12L": 2, "expression": 1, "valence": -0.5}
    assert notes == ["1 files of labels.csv are not there, such as gone.png"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("file,subject,hair\na.png,A,red\n", "no column of labels"),
        ("file,AU01\na.png,1\n", "no column subject"),
        ("file,subject,AU01\na.png,A,9\n", "AU01 is 9, and may be 0 to 5"),
        ("file,subject,AU01\na.png,A,much\n", "AU01 is 'much' for a.png"),
        ("file,subject,expression\na.png,A,hungry\n", "expression is 'hungry'"),
        ("file,subject,expression\na.png,A,8\n", "expression is 8, and may be 0 to 7"),
        ("file,subject,valence\na.png,A,-3\n", "valence is -3, and may be -1 to 1"),
        ("file,subject,AU01\na.png,,1\n", r"row 2 \(a.png\) has no subject"),
        ("file,subject,AU01\nf.mp4,A,1\n", "f.mp4 is a film, and a row of it has no frame"),
        ("file,subject,AU01\n", "no labelled picture"),
    ],
)
def test_plain_folder_with_faults(lay: Any, read: Any, table: str, problem: str) -> None:
    source = lay({"labels.csv": table, "a.png": "", "f.mp4": ""})
    with pytest.raises(DuchenneError, match=problem):
        read("folder", source)


def test_plain_folder_needs_one_table(lay: Any, read: Any, tmp_path: Path) -> None:
    source = lay({"a.csv": "file,subject,AU01\nx.png,A,1\n", "b.csv": "", "x.png": ""})
    with pytest.raises(DuchenneError, match="has 2 tables"):
        read("folder", source)
    assert len(read("folder", source / "a.csv")[0]) == 1


def test_ranges() -> None:
    check_label("AU01", 5, "x")
    check_label("PSPI", 16, "x")
    check_label("expression", 7, "x")
    for name, value in (("AU01", -1), ("expression", 1.5), ("arousal", 1.1), ("AU12L", 6)):
        with pytest.raises(DuchenneError, match=re.escape(f"x: {name} is {value:g}, and may be")):
            check_label(name, value, "x")
