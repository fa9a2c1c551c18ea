"""Stimulus sets: the bundled one, and every way in which a manifest can be wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.manifest import EXPRESSIONS, Stimulus, StimulusSet

BUNDLED = StimulusSet.bundled()


def write_set(folder: Path, *, columns: str | None = None, **changes: str) -> Path:
    """Write a set of two small images; `changes` replace cells of the second row."""
    rows = []
    for name, grey in (("dark", 40), ("light", 200)):
        path = folder / f"{name}.png"
        Image.fromarray(np.full((30, 40, 3), grey, np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        row = {"id": name, "file": path.name, "kind": "image", "category": "grey", "sha256": digest}
        row |= {"valence": "5", "arousal": "2.5", "norm_min": "1", "norm_max": "9"}
        rows.append(row)
    rows[1] |= changes
    header = columns.split() if columns else list(rows[0] | rows[1])
    lines = ["\t".join(header)]
    lines += ["\t".join(row.get(name, "n/a") for name in header) for row in rows]
    manifest = folder / "manifest.tsv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def test_bundled_set_covers_the_design() -> None:
    images = [s for s in BUNDLED if s.kind == "image"]
    films = [s for s in BUNDLED if s.kind == "video"]
    assert len(images) >= 10
    assert len(films) == 2
    assert set(BUNDLED.categories) == {"HVHA", "HVLA", "LVHA", "LVLA", "neutral"}
    for category in BUNDLED.categories:
        assert sum(s.category == category for s in images) >= 2
    assert {s.target_expression for s in BUNDLED} == set(EXPRESSIONS)


def test_bundled_set_is_in_order_and_small() -> None:
    assert BUNDLED.check() == []
    assert sum(s.path.stat().st_size for s in BUNDLED) < 3_000_000
    assert all(s.licence == "CC0-1.0" and s.redistributable for s in BUNDLED)
    codebook = json.loads((BUNDLED.folder / "manifest.json").read_text(encoding="utf-8"))
    assert "not human ratings" in codebook["StimulusSet"]["Norms"]
    assert set(BUNDLED.to_frame().columns) == set(codebook) - {"StimulusSet"}


def test_bundled_norms_lie_in_their_quadrant() -> None:
    for s in BUNDLED:
        assert s.valence_scaled is not None
        assert s.arousal_scaled is not None
        if s.category == "neutral":
            assert abs(s.valence_scaled) < 0.1
        else:
            assert (s.valence_scaled > 0) == s.category.startswith("HV")
            assert (s.arousal_scaled > 0) == s.category.endswith("HA")


def test_norms_are_scaled_to_minus_one_to_one() -> None:
    low = Stimulus("a", "a", Path("a"), "image", "c", "0" * 64, valence=1, norm_min=1, norm_max=9)
    assert low.valence_scaled == -1.0
    assert low.arousal_scaled is None
    seven = Stimulus("a", "a", Path("a"), "image", "c", "0" * 64, arousal=7, norm_min=1, norm_max=7)
    assert seven.arousal_scaled == 1.0


def test_set_behaves_as_a_collection() -> None:
    assert BUNDLED["sunset"].path.is_file()
    assert "sunset" in BUNDLED
    assert len(list(BUNDLED)) == len(BUNDLED)
    with pytest.raises(DuchenneError, match="did you mean 'sunset'"):
        BUNDLED["sunst"]


def test_frame_has_the_columns_of_the_manifest() -> None:
    frame = BUNDLED.to_frame()
    assert frame.columns[0] == "id"
    assert len(frame) == len(BUNDLED)
    assert frame["valence"].dtype == np.float64
    assert frame.set_index("id").loc["balloons", "duration_s"] == 5.0
    assert np.isnan(frame.set_index("id").loc["mug", "duration_s"])


def test_load_takes_a_folder_or_a_file(tmp_path: Path) -> None:
    manifest = write_set(tmp_path)
    assert [s.id for s in StimulusSet.load(tmp_path)] == ["dark", "light"]
    loaded = StimulusSet.load(str(manifest))
    assert loaded.name == tmp_path.name
    assert loaded.check() == []
    assert loaded["dark"].dominance is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "dark"}, r"manifest.tsv:3: .*'dark'.*used before, in line 2"),
        ({"file": "../light.png"}, r":3: .*outside the folder"),
        ({"file": "/etc/light.png"}, r":3: .*outside the folder"),
        ({"file": r"..\light.png"}, r":3: .*outside the folder"),
        ({"valence": "9.5"}, r":3: .*valence 9.5 is outside its scale 1 to 9"),
        ({"valence": "high"}, r":3: .*valence is 'high', which is no number"),
        ({"norm_max": "n/a"}, r":3: .*valence without norm_min and norm_max"),
        ({"norm_max": "1"}, r":3: .*norm_min 1 is not below norm_max 1"),
        ({"kind": "imge"}, r":3: .*unknown kind 'imge'; did you mean 'image'"),
        ({"kind": "video"}, r":3: .*no duration_s for this video"),
        ({"sha256": "abc"}, r":3: .*not 64 hexadecimal digits"),
        ({"category": "n/a"}, r":3: .*no value for category"),
        ({"target_expression": "hapiness"}, r":3: .*did you mean 'happiness'"),
        ({"redistributable": "perhaps"}, r":3: .*write true or false"),
        ({"width_px": "40.5"}, r":3: .*no whole number"),
        ({"luminance": "2"}, r":3: .*luminance is 2"),
    ],
)
def test_bad_rows_are_refused_with_their_line(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    manifest = write_set(tmp_path, **changes)
    with pytest.raises(DuchenneError, match=message) as caught:
        StimulusSet.load(manifest)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_missing_column_is_named(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, columns="id file kind category")
    with pytest.raises(DuchenneError, match=r"manifest.tsv:1: the column 'sha256' is missing"):
        StimulusSet.load(manifest)


def test_commas_instead_of_tabs_are_explained(tmp_path: Path) -> None:
    manifest = write_set(tmp_path)
    manifest.write_text(manifest.read_text().replace("\t", ","))
    with pytest.raises(DuchenneError, match="separated by tabs"):
        StimulusSet.load(manifest)


def test_uneven_row_is_refused(tmp_path: Path) -> None:
    manifest = write_set(tmp_path)
    manifest.write_text(manifest.read_text() + "third\tx.png\n")
    with pytest.raises(DuchenneError, match=r"manifest.tsv:4: 2 cells under 9 columns"):
        StimulusSet.load(manifest)


def test_non_utf8_manifest_is_refused_with_its_line(tmp_path: Path) -> None:
    manifest = write_set(tmp_path)
    manifest.write_bytes(manifest.read_bytes().replace(b"light", b"l\xfcght"))
    with pytest.raises(DuchenneError, match=r"manifest.tsv:3: not UTF-8 text \(byte 0xfc\)"):
        StimulusSet.load(manifest)


def test_empty_and_absent_manifests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="no stimulus manifest at"):
        StimulusSet.load(tmp_path)
    manifest = write_set(tmp_path)
    manifest.write_text(manifest.read_text().splitlines()[0] + "\n")
    with pytest.raises(DuchenneError, match="no stimuli in the manifest"):
        StimulusSet.load(manifest)
    manifest.write_text("")
    with pytest.raises(DuchenneError, match="the column 'id' is missing"):
        StimulusSet.load(manifest)


def test_broken_codebook_is_refused(tmp_path: Path) -> None:
    manifest = write_set(tmp_path)
    manifest.with_suffix(".json").write_text("{")
    with pytest.raises(DuchenneError, match="not a JSON codebook"):
        StimulusSet.load(manifest)
