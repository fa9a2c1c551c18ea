"""Figures of gaze, areas of interest and clock alignment in the report."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.analysis.constructed import RECT_PX, constructed_session

from duchenne.analysis.gaze.plots import plot_pupil_course
from duchenne.analysis.reports.alignment import alignment_table, alignments, in_words, told
from duchenne.analysis.reports.areas import area_rows, margin_said
from duchenne.analysis.reports.data import ReportData
from duchenne.analysis.reports.gaze_figures import (
    LEAST_DETAIL,
    _bridged,
    detail_of,
    heat_map_uri,
    main_sequence_uri,
    pupil_course_uri,
    scan_path_uri,
    scarf_uri,
)
from duchenne.analysis.reports.pictures import Picture
from duchenne.analysis.session import analyze_session

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths

RECT = tuple(float(edge) for edge in RECT_PX)
PICTURE = Picture(None, None, 4 / 3, pixels=np.full((120, 160, 3), 200, dtype=np.uint8))
FIXATIONS = pd.DataFrame(
    {"x_stim": [0.2, 0.8], "y_stim": [0.3, 0.3], "duration": [0.2, 0.6], "onset": [0.0, 0.5]}
)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> AnalysisPaths:
    """The constructed session with areas of interest for one of its pictures."""
    folder = tmp_path_factory.mktemp("report")
    areas = folder / "areas.tsv"
    areas.write_text(
        "stimulus\taoi\tshape\tcoordinates\ncalm\tright & more\trect\t0.6 0.3 0.8 0.7\n"
        "calm\tdot\tellipse\t0.1 0.1 0.01 0.01\n"
    )
    return analyze_session(constructed_session(folder / "x_session.h5"), aois=areas)


def test_the_report_has_every_figure_and_table(analysed: AnalysisPaths) -> None:
    html = analysed.report.read_text(encoding="utf-8")
    for section in ("eyes", "areas", "details", "alignment"):
        assert f'<h2 id="{section}">' in html
    assert html.count("data:image/webp;base64,") == 2 * 3 + 1
    assert "right &amp; more" in html
    assert "://" not in html.replace("http://www.w3.org", "")
    assert len(html) < 4_000_000


def test_areas_are_told_in_words(analysed: AnalysisPaths) -> None:
    data = ReportData.read(analysed)
    right, dot = area_rows(data)
    assert (right["number"], right["stimulus"], right["share"]) == ("1", "calm", "100 %")
    assert right["note"] == ""
    assert dot["note"] == "smaller than the margin of 1.0°"
    assert dot["first"] == "–"
    assert "as the accuracy of the recording is not known" in margin_said(data)
    assert scarf_uri(data) is not None


def test_a_report_without_gaze_has_no_figures_of_it(tmp_path: Path) -> None:
    paths = analyze_session(constructed_session(tmp_path / "x_session.h5", gaze=None))
    data = ReportData.read(paths)
    drawn = (pupil_course_uri(data), main_sequence_uri(data), scarf_uri(data))
    assert drawn == (None, None, None)
    assert area_rows(data) == []
    assert margin_said(data) == ""
    assert "No gaze; stimulus not shown: file not found." in paths.report.read_text()


def test_drawings_keep_the_shape_of_the_stimulus() -> None:
    for uri in (
        heat_map_uri(FIXATIONS, RECT, PICTURE, sigma=0.05),
        scan_path_uri(FIXATIONS, RECT, PICTURE),
        scan_path_uri(FIXATIONS.iloc[:0], RECT, Picture(None, None, 4 / 3, "file not found")),
    ):
        media, _, content = uri.partition(",")
        assert media == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            assert 1.1 < image.width / image.height < 4 / 3


def test_many_presentations_are_drawn_coarser() -> None:
    assert detail_of(0) == detail_of(20) == 1
    assert detail_of(40) == pytest.approx(np.sqrt(0.5))
    assert detail_of(1000) == LEAST_DETAIL


def test_short_gaps_alone_are_bridged() -> None:
    nan = np.nan
    values = np.array([nan, 1.0, nan, 3.0, nan, nan, nan, 7.0, nan])
    np.testing.assert_array_equal(_bridged(values, 2), [nan, 1, 2, 3, nan, nan, nan, 7, nan])
    assert np.isnan(_bridged(np.full(3, nan), 2)).all()


def test_two_trials_make_no_band() -> None:
    t_s = np.linspace(-0.5, 2, 50)
    trials = np.random.default_rng(0).normal(0, 1, (3, 50))
    figure = plot_pupil_course(
        t_s, {"two": trials[:2], "three": trials}, colours={"three": "#123456"}
    )
    two, three = figure.axes[0].collections[:2]
    assert not any(len(path.vertices) for path in two.get_paths())
    assert any(len(path.vertices) for path in three.get_paths())
    assert figure.axes[0].lines[-1].get_color() == "#123456"


@dataclass(frozen=True)
class Inner:
    slope_ppm: float
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Later:
    """A certificate with measures that this version does not know."""

    n_samples: int
    longest_gap_s: float
    is_monotonic: bool
    clock: Inner
    edges_ms: dict[str, float]
    note: str | None = None
    verdict: str = "warn"
    reasons: tuple[str, ...] = ("a clock step of 3 ms",)
    extra: list[Any] = field(default_factory=list)


def test_certificates_of_any_kind_are_told() -> None:
    later = Later(61272, float("nan"), True, Inner(-1.25, (1, 2)), {"first": -0.5})
    (stream,) = alignments({"Gaze": later})
    assert (stream.verdict, stream.grade, stream.reasons) == (
        "warn", "fair", ("a clock step of 3 ms",),
    )  # fmt: skip
    assert dict(alignment_table({"Gaze": later})) == {
        "Number of samples": ["61\u2009272"],
        "Longest gap (s)": ["–"],
        "Is monotonic": ["yes"],
        "Clock": ["slope (ppm) \u22121.250, steps 1, 2"],
        "Edges (ms)": ["first \u22120.500"],
        "Note": ["–"],
        "Extra": ["–"],
    }
    assert in_words("effective_srate_hz") == "Effective rate (Hz)"
    assert told(-1e-9) == "0.000"
    assert alignment_table({}) == []
