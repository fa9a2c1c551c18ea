"""Files of areas of interest: what they may hold, and how they are refused."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from duchenne.analysis.gaze.aoi import polygon_area
from duchenne.analysis.gaze.aoi_files import (
    AUTO_NAMES,
    aoi_file_of,
    automatic_plan,
    read_aoi_file,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "stimulus\taoi\tshape\tcoordinates\n"


def write(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_shapes_are_read_from_a_table(tmp_path: Path) -> None:
    plan = read_aoi_file(
        write(
            tmp_path / "aois.tsv",
            "# drawn by hand",
            "face1\tface\tauto\tn/a",
            "face1\tmug\trect\t0.1 0.2 0.3 0.6",
            "",
            "face1\tlamp\tellipse\t0.5, 0.5, 0.2, 0.1",
            "*\ttop\tpolygon\t0 0 1 0 1 0.5",
        )
    )
    names = [entry.name for entry in plan.of("face1")]
    assert names == ["mug", "lamp", "top", "face"]  # a face that is found is beneath all else
    assert [entry.name for entry in plan.of("other")] == ["top"]
    mug, lamp, top, face = (entry.polygon for entry in plan.of("face1"))
    assert face is None
    assert polygon_area(mug) == pytest.approx(0.08)
    assert polygon_area(lamp) == pytest.approx(math.pi * 0.02, rel=0.005)
    assert polygon_area(top) == pytest.approx(0.25)
    assert plan.entries[1].where.endswith("aois.tsv:4")
    assert plan.margin_deg is None


def test_the_same_is_read_from_json(tmp_path: Path) -> None:
    path = tmp_path / "aois.json"
    areas: list[dict[str, Any]] = [
        {"stimulus": "a", "aoi": "m", "shape": "rect", "coordinates": [0.1, 0.2, 0.3, 0.6]},
        {"stimulus": "a", "aoi": "p", "shape": "polygon", "coordinates": [[0, 0], [1, 0], [1, 1]]},
    ]
    path.write_text(json.dumps({"margin_deg": 1.5, "aois": areas}, indent=1))
    plan = read_aoi_file(path)
    assert plan.margin_deg == 1.5
    corners = plan.of("a")[0].polygon
    assert corners is not None
    np.testing.assert_allclose(corners[[0, 2]], [[0.1, 0.2], [0.3, 0.6]])
    assert aoi_file_of(tmp_path) == path
    write(tmp_path / "aois.tsv", "a\tm\trect\t0 0 1 1")
    assert aoi_file_of(tmp_path) == tmp_path / "aois.tsv"
    assert aoi_file_of(tmp_path / "none") is None


def test_automatic_areas_are_for_every_stimulus() -> None:
    assert tuple(entry.name for entry in automatic_plan().of("any")) == AUTO_NAMES


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("a\tm\trect\t0 0 1", r":3: rect needs 4 numbers \(left top right bottom\), not 3"),
        ("a\tm\trect\t0.5 0 0.2 1", ":3: rect is left top right bottom"),
        ("a\tm\trect\t0 0 half 1", ":3: coordinates are '0 0 half 1', not numbers"),
        ("a\tm\trect\t0 0 inf 1", ":3: .*finite"),
        ("a\tm\trect\t0 0 640 480", ":3: .*looks like pixels"),
        ("a\tm\tellipse\t0.5 0.5 0 0.1", ":3: half width and half height"),
        ("a\tm\tpolygon\t0 0 1 1", ":3: a polygon needs"),
        ("a\tm\tpolygon\t0 0 1 1 0.5 0.5", ":3: .*has no area"),
        ("a\tm\tcircle\t0 0 1 1", ":3: shape is 'circle', not one of"),
        ("a\tnose\tauto\tn/a", ":3: 'nose' cannot be found automatically"),
        ("a\tnone\trect\t0 0 1 1", ":3: an area cannot be called none"),
        ("\tm\trect\t0 0 1 1", ":3: the area has no stimulus"),
        ("b\tm\trect\t0 0 1 1", r":3: no stimulus 'b' in the manifest"),
        ("a\tm\trect\t0\t0\t1\t1", ":3: 7 cells under 4 columns"),
        ("a\tx\tauto\t", ":3: 'x' cannot"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, row: str, error: str) -> None:
    path = write(tmp_path / "aois.tsv", "a\tfine\trect\t0 0 1 1", row)
    with pytest.raises(DuchenneError, match=error) as caught:
        read_aoi_file(path, known=["a"])
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("aois.tsv", HEADER, "holds no areas"),
        ("aois.tsv", "stimulus\taoi\na\tm\n", ":1: lacks the column shape, coordinates"),
        ("aois.tsv", HEADER + "a\tface\tauto\t\n*\tface\trect\t0 0 1 1\n", ":3: face is also"),
        ("aois.tsv", HEADER + "*\tface\tauto\t\na\tface\trect\t0 0 1 1\n", ":3: face is also"),
        ("aois.json", '{"aois": [\n {"stimulus": "a",}]}', ":2: not JSON"),
        ("aois.json", '{"areas": []}', 'needs "aois"'),
        ("aois.json", '{"margin_deg": "wide", "aois": []}', "margin_deg is 'wide'"),
        ("aois.json", '{"aois": [\n {},\n\n 3]}', ":4: an area is an object"),
        ("aois.json", '{"aois": [\n\n {"stimulus": "a", "aoi": "m"}]}', ":3: shape is ''"),
        ("aois.yaml", "aois: {}", "read from .tsv or .json"),
    ],
)
def test_files_that_are_wrong_as_a_whole(
    tmp_path: Path, name: str, content: str, error: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DuchenneError, match=error) as caught:
        read_aoi_file(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DuchenneError, match="cannot read areas"):
        read_aoi_file(tmp_path / "none.tsv")
    (tmp_path / "aois.tsv").write_bytes(b"stimulus\xff")
    with pytest.raises(DuchenneError, match="not UTF-8"):
        read_aoi_file(tmp_path / "aois.tsv")
