"""Importers, on small files of each database's shape, and on the real BASS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from duchenne.stimuli.cli import app
from duchenne.stimuli.databases import REGISTRY
from duchenne.stimuli.databases.building import Imported, import_set
from duchenne.stimuli.databases.cells import Cells
from duchenne.stimuli.databases.tables import read_table
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = StimulusSet.bundled()
OASIS_HEADER = (
    ",Theme,Category,Source,Valence_mean,Valence_SD,Valence_N,Arousal_mean,Arousal_SD,Arousal_N"
)
OASIS_ROWS = (
    "I1,Acorns 1,Object,Pixabay,4.6,1.1,103,2.3,1.5,101",
    'I2,"Fire, big 2",Scene,Wikimedia,2.2,1.0,101,5.6,1.3,100',
    "I3,Lake 9,Scene,Pixabay,6.3,0.9,99,3.1,1.8,101",
)


def pictures(folder: Path, *names: str) -> None:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 40 + 30 * i, np.uint8)).save(path)


def films(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(BUNDLED["balloons"].path.read_bytes())


def oasis(folder: Path, ends: str = "\r", encoding: str = "utf-8") -> Path:
    pictures(folder, "images/Acorns 1.jpg", "images/Fire, big 2.jpg", "images/Lake 9.jpg")
    (folder / "OASIS.csv").write_bytes(ends.join([OASIS_HEADER, *OASIS_ROWS]).encode(encoding))
    return folder


def loaded(done: Imported) -> StimulusSet:
    """Load what was imported; every file is in order."""
    stimuli = StimulusSet.load(done.manifest)
    assert stimuli.check() == []
    return stimuli


def codebook(done: Imported) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(
        done.manifest.with_suffix(".json").read_text(encoding="utf-8")
    )
    return found


@pytest.mark.parametrize("ends", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_oasis_with_any_line_ends_and_encoding(tmp_path: Path, ends: str, encoding: str) -> None:
    done = import_set("oasis", oasis(tmp_path, ends, encoding))
    stimuli = loaded(done)
    assert done.notes == ()
    fire = stimuli["Fire,_big_2"]
    assert (fire.valence, fire.arousal, fire.norm_min, fire.norm_max) == (2.2, 5.6, 1, 7)
    assert fire.valence_scaled == pytest.approx(-0.6)
    assert fire.measures["valence_sd"] == 1.0
    assert fire.measures["arousal_n"] == 100
    assert [s.category for s in stimuli] == ["HVLA", "LVHA", "HVLA"]
    assert (fire.width_px, fire.height_px) == (30, 20)
    assert fire.luminance is not None
    assert codebook(done)["valence_sd"]["Description"].startswith("Standard deviation of valence")


def test_oasis_norms_by_sex(tmp_path: Path) -> None:
    oasis(tmp_path)
    header = "Theme,Valence_mean_men,Valence_SD_men,Arousal_mean_men,Valence_mean_women,Arousal_mean_women"
    rows = ["Acorns 1,4.0,1.0,3,5.0,2", '"Fire, big 2",2,1,5,1.5,6', "Lake 9,6,1,3,6.5,2"]
    (tmp_path / "OASIS_bygender_CORRECTED_092617.csv").write_text("\r".join([header, *rows]))
    stimuli = loaded(import_set("oasis", tmp_path, sample="men"))
    assert stimuli["Acorns_1"].valence == 4.0
    assert stimuli["Acorns_1"].measures["valence_mean_women"] == 5.0
    with pytest.raises(UsageError, match=r"no sample 'man'.*did you mean 'men'"):
        import_set("oasis", tmp_path, sample="man", replace=True)


def test_neutral_zone_and_category_column(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    stimuli = loaded(import_set("oasis", folder, cells=Cells(neutral_zone=0.25)))
    assert [s.category for s in stimuli] == ["neutral", "LVHA", "HVLA"]
    done = import_set("oasis", folder, cells=Cells(column="content"), replace=True)
    assert [s.category for s in loaded(done)] == ["Object", "Scene", "Scene"]
    assert (tmp_path / "manifest.tsv.bak").is_file()
    with pytest.raises(UsageError, match=r"--category contnt: no such column; did you mean"):
        import_set("oasis", folder, cells=Cells(column="contnt"), replace=True)


def test_files_and_norms_that_stay_alone_are_listed(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    (folder / "images" / "Lake 9.jpg").unlink()
    pictures(folder, "images/Stray 1.jpg")
    (folder / "images" / "Acorns 1.jpg").write_bytes(b"broken")
    done = import_set("oasis", folder)
    assert [s.id for s in loaded(done)] == ["Fire,_big_2"]
    notes = "\n".join(done.notes)
    assert "OASIS.csv:4: 'Lake 9' left out: no file of that name" in notes
    assert "Stray 1.jpg: left out: no norms for this file" in notes
    assert "Acorns 1.jpg: cannot be decoded as an image" in notes


def test_a_manifest_is_not_replaced_by_chance(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    import_set("oasis", folder)
    with pytest.raises(DuchenneError, match=r"add --replace"):
        import_set("oasis", folder)


@pytest.mark.parametrize("files", ["copy", "link"])
def test_copy_and_link(tmp_path: Path, files: str) -> None:
    folder, out = oasis(tmp_path / "lab"), tmp_path / "set"
    with pytest.raises(UsageError, match=r"may not point outside its folder; add --copy or --link"):
        import_set("oasis", folder, out=out)
    stimuli = loaded(import_set("oasis", folder, out=out, files=files))  # type: ignore[arg-type]
    assert stimuli.folder == out.resolve()
    assert stimuli["Lake_9"].file == "images/Lake 9.jpg"
    same = stimuli["Lake_9"].path.samefile(folder / "images" / "Lake 9.jpg")
    assert same == (files == "link")


def test_a_set_may_hold_the_folder_of_its_files(tmp_path: Path) -> None:
    oasis(tmp_path)
    done = import_set("oasis", tmp_path / "images", out=tmp_path)
    assert loaded(done)["Lake_9"].file == "images/Lake 9.jpg"


def test_bass(shared_folder: Path, tmp_path: Path) -> None:
    folder = shared_folder / "stimuli" / "bass"
    done = import_set("bass", folder, out=tmp_path, files="copy")
    stimuli = StimulusSet.load(done.manifest)
    assert len(stimuli) == 583
    assert done.notes == ()
    counts = Counter(s.category for s in stimuli)
    assert counts == {"HVLA": 212, "HVHA": 187, "LVHA": 120, "LVLA": 64}
    abuse = stimuli["abuse"]
    assert abuse.valence == pytest.approx(1.729166667)
    assert abuse.measures["arousal_sd_ch"] == pytest.approx(2.045940116)
    assert abuse.measures["black_share"] == pytest.approx(35243 / 90000, abs=1e-6)
    white = np.array([1 - s.measures["black_share"] for s in stimuli])
    measured = np.array([s.luminance for s in stimuli], dtype=float)
    assert np.abs(white - measured).max() < 0.02  # the pixels are what the table says
    chinese = import_set("bass", folder, out=tmp_path, files="copy", sample="ch", replace=True)
    assert StimulusSet.load(chinese.manifest)["abuse"].valence == pytest.approx(2.98019802)


def test_iaps(tmp_path: Path) -> None:
    pictures(tmp_path, "pics/1050.jpg", "pics/2055.1.jpg", "pics/7010.jpg")
    head = "desc\tIAPS\tvalmn\tvalsd\taromn\tarosd\tdom1mn\tdom1sd\tdom2mn\tdom2sd\tset\r\n"
    rows = (
        "Snake\t1050\t3.46\t2.15\t6.87\t1.68\t3.08\t2.13\t.\t.\t1\r\n"
        "Man\u2019s baby\t2055.1\t7.1\t2\t4.5\t2\t.\t.\t5.5\t1.9\t4\r\n"
        "Basket\t7010\t4.94\t1.07\t1.76\t1.48\t6.70\t1.48\t.\t.\t1\r\n"
    )
    text = "The International Affective Picture System\r\n\r\nAll subjects\r\n\r\n" + head + rows
    (tmp_path / "AllSubjects_1-20.txt").write_bytes(text.encode("cp1252"))
    males = head + "Snake\t1050\t4.0\t2\t6\t1\t3\t2\t.\t.\t1\r\n"
    (tmp_path / "Males_1-20.txt").write_bytes(males.encode("cp1252"))
    done = import_set("iaps", tmp_path)
    stimuli = loaded(done)
    snake, baby = stimuli["1050"], stimuli["2055.1"]
    assert (snake.valence, snake.arousal, snake.dominance) == (3.46, 6.87, 3.08)
    assert baby.dominance == 5.5
    assert baby.description == "Man\u2019s baby"
    assert snake.measures["valence_mean_male"] == 4.0
    assert not any(s.redistributable for s in stimuli)
    assert [s.category for s in stimuli] == ["LVHA", "HVLA", "LVLA"]
    assert "LVHALD" in done.manifest.read_text(encoding="utf-8")
    assert "must not be published" in codebook(done)["StimulusSet"]["License"]


def test_naps_with_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    pictures(tmp_path, "Faces_001_h.jpg", "Landscapes_012_v.jpg")
    (tmp_path / "NAPS.csv").write_text(
        "ID;Category;V/H;M_Val;SD_Val;M_Ar;SD_Ar;M_Av/Ap;SD_Av/Ap;Valence_men\n"
        "Faces_001_h;Faces;H;3,25;1,5;6,1;1,2;4,0;1,1;3,5\n"
        "Landscapes_012_v;Landscapes;V;7,75;1,1;3,4;1,9;7,1;1,3;7,5\n",
        encoding="cp1252",
    )
    stimuli = loaded(import_set("naps", tmp_path))
    face = stimuli["Faces_001_h"]
    assert (face.valence, face.arousal, face.category) == (3.25, 6.1, "LVHA")
    assert face.measures["approach_sd"] == 1.1
    assert face.measures["valence_mean_male"] == 3.5


def test_gaped_with_a_table_for_each_folder(tmp_path: Path) -> None:
    pictures(tmp_path, "GAPED/Sn/Sn001.bmp", "GAPED/P/P001.bmp", "GAPED/Sn/Sn002.bmp")
    for name, rows in (
        ("Sn", "Sn001.bmp\t32.5\t68\t70\t75\nSn002.bmp\t30\t60\t60\t60\n"),
        ("P", "P001.bmp\t90.1\t15.2\t90\t91\n"),
    ):
        head = "Picture\tValence\tArousal\tInternal norms\tExternal norms\n"
        (tmp_path / "GAPED" / name / f"{name}.txt").write_text(head + rows)
    stimuli = loaded(import_set("gaped", tmp_path / "GAPED"))
    snake = stimuli["Sn001"]
    assert (snake.valence, snake.norm_min, snake.norm_max, snake.category) == (32.5, 0, 100, "LVHA")
    assert snake.measures["external_norms_mean"] == 75
    assert snake.description == "snakes"
    assert stimuli["P001"].category == "HVLA"


def test_emdb(tmp_path: Path) -> None:
    films(tmp_path, "1000.mp4", "4001.mp4")
    (tmp_path / "EMDB_norms.csv").write_text(
        "Film number,Category,Valence Mean,Valence SD,Arousal Mean,Arousal SD,"
        "Dominance Mean,Dominance SD,Valence Mean Female\n"
        "1000,Horror,1.9,1.0,7.0,1.5,2.9,1.8,1.5\n"
        "4001,Scenery,6.4,1.6,2.8,1.7,6.5,1.9,6.6\n"
    )
    stimuli = loaded(import_set("emdb", tmp_path))
    horror = stimuli["1000"]
    assert (horror.kind, horror.category, horror.duration_s) == (
        "video",
        "LVHA",
        pytest.approx(5, abs=0.05),
    )
    assert horror.measures["valence_mean_female"] == 1.5
    assert horror.measures["has_sound"] == 1


def test_filmstim(tmp_path: Path) -> None:
    films(tmp_path, "01 - The Shining.mp4", "22.mp4")
    (tmp_path / "FilmStim.csv").write_text(
        "Number;Film;Target;Arousal;Positive affect;Negative affect;DES fear\n"
        "1;The Shining;Fear;5,5;1,8;2,4;4,1\n22;A Fish Called Wanda;Amusement;4,1;2,5;1,2;1,1\n"
    )
    done = import_set("filmstim", tmp_path)
    stimuli = loaded(done)
    first = stimuli["01_-_The_Shining"]
    assert (first.arousal, first.norm_max, first.valence, first.category) == (5.5, 7, None, "Fear")
    assert first.target_expression == "fear"
    assert first.measures["des_fear"] == 4.1
    assert done.notes == ()


@pytest.mark.parametrize("letters", [("Valence", "Arousal", "Dominance"), ("x", "y", "z")])
def test_deap(tmp_path: Path, letters: tuple[str, str, str]) -> None:
    films(tmp_path, "01.mp4", "online_77.mp4")
    columns = ",".join(f"AVG_{letter},STD_{letter}" for letter in letters)
    (tmp_path / "video_list.csv").write_text(
        "Online_id,Experiment_id,Lastfm_tag,Artist,Title,Youtube_link,Highlight_start,Num_ratings,"
        f"VAQ_Estimate,VAQ_Online,{columns}\n"
        '5,1,exciting,Emilíana Torrini,"Jungle Drum, live",http://x,90,15,1,1,7.5,1.1,6.2,1.4,6.1,1.2\n'
        "77,,sad,Someone,Slow,http://y,12,14,3,3,3.1,1.0,3.5,1.2,4.2,1.3\n"
        "88,9,sad,Nobody,Lost,http://z,12,14,3,3,3.1,1.0,3.5,1.2,4.2,1.3\n",
        encoding="utf-8",
    )
    done = import_set("deap", tmp_path)
    stimuli = loaded(done)
    assert stimuli["01"].valence == 7.5
    assert stimuli["01"].dominance == 6.1
    assert stimuli["01"].measures["highlight_start_s"] == 90
    assert stimuli["online_77"].category == "LVLA"
    assert len(done.notes) == 1
    assert "video_list.csv:4: '9' left out" in done.notes[0]


def test_kdef_and_rafd_file_names(tmp_path: Path) -> None:
    pictures(tmp_path / "k", "AF01/AF01ANS.JPG", "BM12/BM12HAFR.JPG", "BM12/readme.JPG")
    done = import_set("kdef", tmp_path / "k")
    first, second = loaded(done)
    assert (first.id, first.category, first.target_expression) == ("AF01ANS", "anger", "anger")
    assert second.description == "male face M12, posed happiness, full right profile"
    assert len(done.notes) == 1
    name = "Rafd090_01_Caucasian_female_contemptuous_frontal.jpg"
    pictures(tmp_path / "r", name, "Rafd180_23_Kid_male_sad_left.jpg")
    first, second = loaded(import_set("rafd", tmp_path / "r"))
    assert (first.category, first.measures["camera_deg"]) == ("contempt", 90.0)
    assert second.category == "sadness"
    assert not first.redistributable


def test_any_table_with_a_mapping(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "vignette.txt").write_text("You walk home.\n", encoding="utf-8")
    (tmp_path / "mine.csv").write_text(
        "Datei;Valenz;Erregung;Zelle;Bekannt\na.png;-2,5;1;x;0,5\nb.png;3;2,5;y;\nvignette.txt;0;1;x;1\n"
    )
    mapping = {"file": "Datei", "valence": "Valenz", "arousal": "Erregung", "known": "Bekannt"}
    with pytest.raises(DuchenneError, match=r"mine.csv:2: norms without a scale; add --scale"):
        import_set("csv", tmp_path, norms=tmp_path / "mine.csv", columns=mapping)
    done = import_set(
        "csv",
        tmp_path,
        norms=tmp_path / "mine.csv",
        columns=mapping | {"zelle": "Zelle"},
        scale=(-4, 4),
        cells=Cells(column="zelle"),
    )
    stimuli = loaded(done)
    assert [s.category for s in stimuli] == ["x", "y", "x"]
    assert stimuli["a"].valence == -2.5
    assert stimuli["a"].measures["known"] == 0.5
    assert stimuli["vignette"].kind == "text"
    assert not stimuli["a"].redistributable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "a spreadsheet, not text; save it as CSV"),
        (b"Theme,Valence_mean\nA\x81,3\n", r"OASIS.csv:2: neither UTF-8.*byte 0x81"),
        (b"Theme,Valence_mean\n", "no rows below the header"),
        (b"nothing of it\n", "no header line with a column theme"),
        (b"Theme,Valence_mean\nAcorns 1,3,4,5\n", "OASIS.csv:2: 4 cells under 2 columns"),
        (
            b"Theme,Valence_mean\nAcorns 1,high\n",
            "OASIS.csv:2: 'high' in the column 'Valence_mean'",
        ),
        (b"Theme,Valence_mean\nAcorns 1,8\n", "OASIS.csv:2: valence 8 is outside its scale 1 to 7"),
        (b"Theme,Valence_mean\nOther,3\n", "none of 1 entries has a file here"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    folder = oasis(tmp_path)
    (folder / "OASIS.csv").write_bytes(content)
    with pytest.raises(DuchenneError, match=message) as caught:
        import_set("oasis", folder)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match=r"no such folder"):
        import_set("oasis", tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no importer for 'oases'; did you mean 'oasis'"):
        import_set("oases", tmp_path)
    with pytest.raises(
        DuchenneError, match=r"no norms of Open Affective.*name the file with --norms"
    ):
        import_set("oasis", tmp_path)
    (tmp_path / "OASIS.csv").write_text(OASIS_HEADER + "\n" + OASIS_ROWS[0])
    with pytest.raises(DuchenneError, match=r"no media files of Open Affective"):
        import_set("oasis", tmp_path)
    with pytest.raises(UsageError, match=r"csv needs --norms FILE"):
        import_set("csv", tmp_path)


def test_quoted_cells_may_hold_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"two\nlines",1\nthree,2\n')
    rows = read_table(path).rows
    assert rows[0].text("a") == "two\nlines"
    assert rows[1].number("b") == 2.0


def test_every_database_says_what_it_is() -> None:
    assert len(REGISTRY) == 11
    for about, _ in REGISTRY.values():
        assert about.terms
        assert about.name == "csv" or about.citation


def test_import_command(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    (folder / "images" / "Lake 9.jpg").unlink()
    result = CliRunner().invoke(app, ["import", "oasis", str(folder), "--neutral-zone", "0.25"])
    assert result.exit_code == 0, result.output
    assert "note: " in result.stderr
    assert result.stdout.splitlines()[-1].startswith("2 stimuli written to")
    wrong = CliRunner().invoke(app, ["import", "oasis", str(folder), "--map", "valence"])
    assert isinstance(wrong.exception, UsageError)


def test_copying_never_overwrites_another_file(tmp_path: Path) -> None:
    folder, out = oasis(tmp_path / "lab"), tmp_path / "set"
    pictures(out, "images/other.jpg")
    (out / "images" / "other.jpg").rename(out / "images" / "Lake 9.jpg")
    done = import_set("oasis", folder, out=out, files="copy")
    assert len(done.rows) == 2
    assert "another file of this name is here" in done.notes[0]


def test_huge_pictures_are_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    Image.new("1", (12_000, 12_000)).save(folder / "images" / "Lake 9.png")
    (folder / "images" / "Lake 9.jpg").unlink()
    done = import_set("oasis", folder)
    assert [row["id"] for row in done.rows] == ["Acorns_1", "Fire,_big_2"]
    assert "Lake 9.png: 12000 × 12000 pixels is too large to show" in done.notes[0]


def test_many_notes_go_to_a_file(tmp_path: Path) -> None:
    folder = oasis(tmp_path)
    pictures(folder, *[f"images/x{i}.png" for i in range(7)], "images/y.bmp")
    pictures(folder, *[f"more/z{i}.png" for i in range(7)])
    result = CliRunner().invoke(app, ["import", "oasis", str(folder)])
    assert result.exit_code == 0, result.output
    assert "and 3 more, all in" in result.stderr
    assert len((folder / "import-notes.txt").read_text().splitlines()) == 15


def test_nothing_heavy_is_imported_with_the_commands() -> None:
    code = (
        "import sys, duchenne.stimuli.cli; "
        "print([m for m in ('PIL', 'cv2', 'av', 'scipy', 'skimage') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "[]"
