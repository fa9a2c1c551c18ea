"""The study file: what it may hold, and what is said where something in it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duchenne.analysis.study_plan import StudyPlan, read_plan
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
name: Smiles
authors: [A. Author]
ethics: Approved by the board of the university (2026-17)
room: Booth 2
lighting: LED panels, 300 lx
retention_until: 2031-01-01
windows:
  late: {start_s: 2, stop_s: null}
contrasts:
  - {name: smile, measure: AU12_mean, plus: [HVHA, HVLA], minus: [LVHA, LVLA], direction: positive}
  - {name: norm, measure: AU12_mean, predictor: norm_valence_scaled, family: exploratory, window: late}
curves:
  - {name: pupil, measure: pupil, plus: [HVHA], minus: [LVLA], stop_s: 5}
multiverse:
  - contrast: smile
    measures: [AU12_change_mean, AU12_peak]
    exclusions: [declared, none, {name: strict, keep: {gaze_valid_fraction: {min: 0.8}}}]
    covariates: [[], [trial]]
    backends: [{name: fusion, folder: derivatives/fusion}]
"""


def read(folder: Path, text: str) -> StudyPlan:
    """Read a study file."""
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return read_plan(folder)


def test_a_whole_file(tmp_path: Path) -> None:
    plan = read(tmp_path, WHOLE)
    assert [one.name for one in plan.contrasts] == ["smile", "norm"]
    assert plan.contrast("smile").compared == "(HVHA + HVLA) \N{MINUS SIGN} (LVHA + LVLA)"
    assert plan.curves[0].is_from_baseline
    assert plan.multiverse[0].exclusions[2].keep["gaze_valid_fraction"].min == 0.8
    assert plan.statistics.permutations == 1999
    assert plan.ethics == "Approved by the board of the university (2026-17)"
    assert (plan.room, plan.environment, plan.lighting) == ("Booth 2", None, "LED panels, 300 lx")


def test_no_file_an_empty_one_and_that_of_a_new_study(tmp_path: Path) -> None:
    assert read_plan(tmp_path) == StudyPlan()
    assert read(tmp_path, "# to be written\n") == StudyPlan()
    assert read(tmp_path, "duchenne_version: 0.1.0\nname: x\n").name == "x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("contrast: []", "study.yaml:1: unknown key 'contrast'; did you mean 'contrasts'?"),
        ("name: x\ncontrasts:\n- {name: a, measure: b, plus: [c]}", ":3: .*both plus and minus"),
        ("contrasts:\n- {name: a, measure: b}", "give plus and minus .* or predictor"),
        ("contrasts:\n- {name: a, measure: b, predictor: b}", "compared with itself"),
        ("contrasts:\n- {name: a, measure: b, plus: [c], minus: [c]}", "c is in plus and in minus"),
        ("contrasts:\n- {name: a, measure: b, predictor: c, family: main}", "unknown value 'main'"),
        (
            "contrasts:\n- {name: a, measure: b, predictor: c}\n- {name: a, measure: d, predictor: c}",
            "two contrasts are named 'a'",
        ),
        ("multiverse:\n- {contrast: a}", "there is no contrast 'a'"),
        ("curves:\n- {name: a, measure: smile, plus: [c], minus: [d]}", "pattern"),
        ("curves:\n- {name: a, measure: AU12, plus: [c], minus: [d], stop_s: -1}", "two steps"),
        ("windows: {late: {start_s: 2, stop_s: 1}}", "windows: the window late ends before"),
        ("statistics: {permutations: -1}", "greater than or equal to 0"),
        ("- a", "a list of keys"),
        ("ethics: [a]", "study.yaml:1: "),
        ("name: [", "not valid YAML"),
        ("name: x\nname: y", "given before"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DuchenneError, match=said):
        read(tmp_path, text)


def test_rules_of_a_multiverse_are_named_or_spelt_out(tmp_path: Path) -> None:
    base = "contrasts:\n- {name: a, measure: b, predictor: c}\nmultiverse:\n- {contrast: a, exclusions: [%s]}"
    with pytest.raises(DuchenneError, match="strict: write 'declared' or 'none'"):
        read(tmp_path, base % "strict")
    with pytest.raises(DuchenneError, match="none: write"):
        read(tmp_path, base % "{name: none, keep: {x: {min: 1}}}")
