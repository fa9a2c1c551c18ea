"""The report of a study: what it says of known data, and of data that are missing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tests.analysis.reports.statistics_values import statistics
from tests.analysis.reports.study_tables import AUS, CATEGORIES, SMILE, write_study
from typer.testing import CliRunner

from duchenne.analysis.reports.exclusion_flow import exclusion_flow
from duchenne.analysis.reports.group_curves import gather, interval, strongest_measures
from duchenne.analysis.reports.likeness import likeness_tables
from duchenne.analysis.reports.methods import methods_of
from duchenne.analysis.reports.multiverse_view import multiverse_figures
from duchenne.analysis.reports.profile import au_profile, prototype_profile
from duchenne.analysis.reports.ratings_view import rating_checks
from duchenne.analysis.reports.statistics_view import contrast_rows, curve_figures, p_said
from duchenne.analysis.reports.study import study_report, write_study_report
from duchenne.analysis.reports.study_curves import category_chart
from duchenne.analysis.reports.study_data import StudyData
from duchenne.analysis.study_plan import read_plan
from duchenne.analysis.tables import Column, write_table
from duchenne.cli import app
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

N = 5


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("reported") / "study", N)


@pytest.fixture(scope="module")
def data(study: Path) -> StudyData:
    return StudyData.read(study)


@pytest.fixture(scope="module")
def page(study: Path, data: StudyData) -> str:
    return study_report(data, study, statistics=statistics())


def test_group_curves_are_the_known_ones(data: StudyData) -> None:
    assert strongest_measures(data.used, 4) == ["AU04", "AU12"]
    gathered = gather(data, AUS, lambda _done, _all: None)
    films = data.summary.drop_duplicates("stimulus_id").set_index("stimulus_id")["category"]
    smiled = next(name for name, category in films.items() if category == "HVHA")
    curves = gathered[str(smiled)].by_participant("AU12")
    times = gathered[str(smiled)].grid.times_s
    assert curves.shape[0] == int((data.used["stimulus_id"] == smiled).sum())
    mean, _ = interval(curves)
    assert mean[times < 0.9].max() < 0.1
    assert mean[(times > 1.6) & (times < 2.9)].mean() == pytest.approx(SMILE, rel=0.3)
    assert times[0] == pytest.approx(-0.95)


def test_a_stimulus_without_category_is_in_no_line(data: StudyData) -> None:
    gathered = gather(data, AUS, lambda _done, _all: None)
    name = data.summary["stimulus_id"].iloc[0]
    unknown = data.summary["category"].mask(data.summary["stimulus_id"] == name, pd.NA)
    some = replace(data, summary=data.summary.assign(category=unknown.astype("string")))
    chart = category_chart(some, gathered, dict.fromkeys(CATEGORIES, "#000000"), AUS)
    assert chart is not None
    assert len(chart.panels[0].lines) == len(CATEGORIES)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    mean, half = interval(rng.normal(0, 1, (6, 4000)))
    assert np.mean(np.abs(mean) < half) == pytest.approx(0.95, abs=0.012)
    assert np.isnan(interval(rng.normal(0, 1, (2, 3)))[1]).all()


def test_the_profile_is_the_mean_change_of_each_category(data: StudyData) -> None:
    profile = au_profile(data)
    assert profile is not None
    assert profile.columns == ("HVHA", "LVHA", "neutral")
    cells = {name[:4]: [cell.told for cell in row] for name, row in profile.rows}
    assert cells["AU12"][1:] == ["0.00", "0.00"]
    assert float(cells["AU12"][0]) == pytest.approx(SMILE / 2, rel=0.3)
    matched = prototype_profile(data)
    assert matched is not None
    assert [name for name, _ in matched.rows] == ["anger", "happiness", "neutral"]
    assert matched.rows[1][1][0].told == "100 %"


def test_exclusions_flow_from_sessions_to_presentations(data: StudyData) -> None:
    recorded, shown, used = exclusion_flow(data)
    assert (recorded.count, recorded.left_out) == (N, ())
    assert shown.count == N * 2 * len(CATEGORIES)
    assert shown.left_out == ((1, "gaze valid in too little of the stimulus, less than 50%"),)
    assert used.count == shown.count - 1


def test_ratings_follow_the_norms(data: StudyData) -> None:
    valence, arousal = rating_checks(data)
    assert (valence.name, arousal.name) == ("valence", "arousal")
    assert [category for category, _, _ in valence.means] == ["HVHA", "LVHA", "neutral"]
    assert "positive in 5." in valence.norm
    assert len(valence.by_participant) == N


def test_contrasts_say_what_was_found_and_what_was_not() -> None:
    smile, pupil = contrast_rows(statistics())
    assert (smile.name, smile.verdict, smile.in_direction) == ("smile", "differs", "3 of 4")
    assert smile.tests[0] == "t(10.4) = 12.10, p < .001"
    assert (pupil.verdict, pupil.note) == ("no difference shown", "Few stimuli & wide intervals.")
    assert pupil.estimate == "+0.02 mm [−0.05 to 0.09 mm]"
    assert [p_said(p) for p in (0.0004, 0.052, 1.0, np.nan)] == ["< .001", ".052", "1", "–"]
    (curve,) = curve_figures(statistics())
    assert curve.chart.panels[1].marked[0][:2] == (1.2, 3.9)
    assert len(curve.chart.shade) == 1
    (multiverse,) = multiverse_figures(statistics())
    assert "from 1.30 to 1.90" in multiverse.alt


def test_likeness_is_told_against_chance(study: Path, data: StudyData) -> None:
    table = pd.DataFrame(
        {
            "stimulus_id": ["film"] * 3,
            "au": ["AU12"] * 3,
            "r": [0.3, 0.4, 0.1],
            "r_chance": [0.2, 0.2, 0.2],
        }
    )
    path = data.sessions[0].paths.table("mimicry")
    write_table(table, path, {str(name): Column("Made by the test.") for name in table})
    try:
        (told,) = likeness_tables(data)
    finally:
        path.unlink()
        path.with_suffix(".json").unlink()
    (row,) = told.rows
    assert (row["measure"], row["above"], row["chance"]) == ("AU12", "2 of 3", "0.20")


class Outline(HTMLParser):
    """What is checked of a page: its headings, pictures, landmarks, links and names."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.scrolls: list[dict[str, str | None]] = []
        self.cells_without_scope = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.tags.add(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" or about.get("role") == "img":
            self.pictures.append(about)
        if tag == "th" and not about.get("scope"):
            self.cells_without_scope += 1
        if about.get("class") == "scroll":
            self.scrolls.append(about)
        for name, kept in (("id", self.ids), ("href", self.links), ("src", self.sources)):
            value = about.get(name)
            if value is not None:
                kept.append(value)


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    return found


def check_essentials(html: str) -> Outline:
    """Check what every page must have for readers with other eyes and hands."""
    found = outline(html)
    assert '<html lang="en">' in html
    assert {"header", "nav", "main", "footer"} <= found.tags
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    assert found.pictures
    assert all("alt" in one or one.get("aria-label") for one in found.pictures)
    assert len(set(found.ids)) == len(found.ids)
    assert all(link[1:] in found.ids for link in found.links if link.startswith("#"))
    assert all(one.get("tabindex") == "0" and one.get("aria-label") for one in found.scrolls)
    assert found.cells_without_scope == 0
    assert all(source.startswith("data:") for source in found.sources)
    assert "://" not in html.replace("http://www.w3.org", "")
    return found


def test_the_page_can_be_read_by_all(page: str) -> None:
    found = check_essentials(page)
    outside = [link for link in found.links if not link.startswith("#")]
    assert len(outside) == N
    assert all(link.startswith("sub-P") and link.endswith("_report.html") for link in outside)
    assert 'alt=""' not in page


def test_the_page_tells_everything(page: str) -> None:
    for said in (
        "A small study", "declared after data", "Few stimuli &amp; wide intervals.", "smile over time",
        "P03: valence ratings do not follow the norms", "no picture of a participant",
        "AU12 lip corner puller",
        "Methods", "Facial Action Units (Ekman, Friesen &amp; Hager 2002) were estimated, not coded",
        "74.0% of the samples are valid", "not what was felt",
    ):  # fmt: skip
        assert said.lower() in page.lower(), said
    assert page.count('<script type="text/plain" id="plotly">') == 1
    assert len(page) < 4e6


def test_methods_tell_the_settings_and_leave_the_unknown_open(study: Path, data: StudyData) -> None:
    methods = methods_of(data, study, statistics())
    told = " ".join(methods.paragraphs)
    for said in ("300 Hz", "the mean of both eyes", "0.050°", "4.0 %", "1280 × 720 px", "1 of 30",
                 "Holm's method", "intraclass correlation", "neutral-face phase"):  # fmt: skip
        assert said in told, said
    items = {item.name: item for item in methods.items}
    assert not items["Head stabilisation"].filled
    assert items["Head stabilisation"].told == "not recorded"
    assert items["Age"].filled
    text = methods.markdown()
    assert "- [ ] **Head stabilisation**: not recorded" in text
    assert f"{methods.n_filled} of {len(methods.items)} items" in text


def test_a_try_is_no_participant(study: Path, data: StudyData) -> None:
    tried = replace(data.sessions[0], key=("P99", "01", "pictures", "01"), counted=False)
    together = replace(data, sessions=(*data.sessions, tried))
    methods, before = (
        methods_of(together, study, statistics()),
        methods_of(data, study, statistics()),
    )
    assert f"{N} participants took part in {len(data.sessions)} sessions" in " ".join(
        methods.paragraphs
    )
    assert methods.items == before.items


def test_the_checklist_takes_ethics_and_room_from_the_study_file(
    tmp_path: Path, study: Path, data: StudyData
) -> None:
    written = tmp_path / "study.yaml"
    written.write_text("ethics: Board, no. 17\nroom: Booth 2\nlighting: 300 lx\n", encoding="utf-8")
    plan = read_plan(tmp_path).model_dump()
    items = {item.name: item for item in methods_of(replace(data, plan=plan), study, None).items}
    assert items["Ethics approval and consent"].told == "Board, no. 17"
    assert items["Room and lighting"].told == "Booth 2; 300 lx"
    before = {item.name: item for item in methods_of(data, study, None).items}
    assert not before["Ethics approval and consent"].filled


def test_one_participant_without_anything_declared(tmp_path: Path) -> None:
    study = write_study(
        tmp_path / "one", 1, per_category=1, categories=["HVHA"], exclude_first=False
    )
    result = CliRunner().invoke(app, ["report", str(study), "--no-sessions"])
    assert result.exit_code == 0, result.output
    page = (study / "derivatives" / "duchenne" / "report.html").read_text(encoding="utf-8")
    assert result.output.strip().splitlines()[-1].endswith("report.html")
    for said in (
        "One participant",
        "No contrasts are declared",
        "No multiverse is declared",
        "Not computed",
    ):
        assert said in page
    check_essentials(page)
    result = CliRunner().invoke(app, ["report", str(study), "--methods"])
    assert result.exit_code == 0, result.output
    assert "# Reporting checklist" in result.output
    assert (study / "derivatives" / "duchenne" / "methods.md").is_file()


def test_a_study_without_results_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sourcedata").mkdir()
    with pytest.raises(DuchenneError, match="duchenne analyze"):
        write_study_report(tmp_path)


def test_a_study_without_faces_gaze_or_categories_has_its_report(tmp_path: Path) -> None:
    study = write_study(tmp_path / "bare", 2, per_category=1, categories=["HVHA"], with_files=1)
    root = study / "derivatives" / "duchenne"
    for path in [*root.rglob("*_au.tsv"), *root.rglob("*_gaze.parquet")]:
        path.unlink()
    summary = pd.read_parquet(root / "summary.parquet")
    bare = summary.drop(columns=[c for c in summary if c.startswith(("AU", "expr_", "rating_"))])
    bare.assign(category=None).to_parquet(root / "summary.parquet")
    page = write_study_report(study).read_text(encoding="utf-8")
    for said in ("there are no time courses", "No face was measured", "No ratings with numbers"):
        assert said in page
    check_essentials(page)


def test_a_broken_session_never_stops_the_rest(tmp_path: Path) -> None:
    study = write_study(tmp_path / "broken", 3, per_category=1, categories=["HVHA"])
    root = study / "derivatives" / "duchenne"
    next(root.glob("sub-P02/*/*_provenance.json")).write_text("{", encoding="utf-8")
    next(root.glob("sub-P03/*/*_gaze.parquet")).write_bytes(b"no parquet")
    (study / "sourcedata" / "sub-P04" / "ses-01").mkdir(parents=True)
    (study / "sourcedata" / "sub-P04" / "ses-01" / "sub-P04_ses-01_session.h5").touch()
    page = write_study_report(study).read_text(encoding="utf-8")
    assert "Left out, as its results cannot be read: sub-P02_" in page
    assert "Left out, as its results cannot be read: sub-P03_" in page
    assert "1 recorded sessions have no results: sub-P04_ses-01_session.h5." in page


def test_consent_is_told_and_its_refusal_first(tmp_path: Path) -> None:
    study = write_study(tmp_path / "refused", 2, per_category=1, categories=["HVHA"], with_files=2)
    (study / "consent.tsv").write_text(
        "participant_id\tscope\tdate\nP02\tshare_derived\t2026-01-01\n", encoding="utf-8"
    )
    page = write_study_report(study).read_text(encoding="utf-8")
    assert "Measures of 1 session may not leave the study" in page
    assert "<td>not asked</td>" in page
    assert "<td>no</td>" in page


def test_methods_of_a_session_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path / "x.h5"), "--methods"])
    assert result.exit_code != 0
    assert "name its folder" in str(result.exception)
