"""The worked example of the how-to, executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from support import gaze_exports as exports
from typer.testing import CliRunner

from duchenne.analysis.gaze.cli import gaze as gaze_command
from duchenne.analysis.tables import read_table

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "tobii-pro-lab-to-table.md"


def _example_table(text: str) -> list[list[str]]:
    """Return the cells of the summary shown in the how-to, without header and rule."""
    lines = text[text.index("| participant | stimulus") :].splitlines()
    rows = [line for line in lines[: lines.index("")] if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_tobii_how_to_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HOW_TO.read_text(encoding="utf-8")
    people = {"P01": exports.trace(300, seed=1), "P02": exports.trace(300, seed=2)}
    exports.write_tobii(tmp_path / "Data export.tsv", people)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(gaze_command)
    outcome = CliRunner().invoke(app, ["Data export.tsv", "--out", "results"])
    assert outcome.exit_code == 0, outcome.output
    for line in (*outcome.stdout.splitlines(), *outcome.stderr.splitlines()):
        if line.startswith(("Read", "Note", "Wrote")):
            assert line in text
    header, _rule, *rows = _example_table(text)
    summary = read_table(tmp_path / "results" / "summary.tsv")[header]
    assert len(rows) == len(summary)
    for shown, (_, found) in zip(rows, summary.iterrows(), strict=True):
        assert shown[:2] == found.tolist()[:2]
        assert [float(cell) for cell in shown[2:]] == pytest.approx(found.tolist()[2:], abs=0.06)
    by_hand = ["--width-cm", "52.8", "--height-cm", "29.7", "--distance-cm", "65"]
    assert " ".join(by_hand) in text
    bare = exports.write_tobii(tmp_path / "bare.tsv", people, drop=("DACS mm",))
    refused = CliRunner().invoke(app, [str(bare), "--out", "bare"])
    assert refused.exit_code == 1
    done = CliRunner().invoke(app, [str(bare), "--out", "bare", *by_hand])
    assert done.exit_code == 0, done.output
    again = read_table(tmp_path / "bare" / "summary.tsv")
    assert again["mean_saccade_amplitude_deg"].to_numpy() == pytest.approx(
        summary["mean_saccade_amplitude_deg"].to_numpy(), rel=0.01
    )
    assert np.isfinite(again["gaze_valid_fraction"]).all()
