from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from duchenne.analysis.cli import app
from duchenne.analysis.rendering import dataset
from duchenne.analysis.rendering.action_units import LABEL_NAMES
from duchenne.analysis.rendering.dataset import CONDITIONS, render_set
from duchenne.analysis.rendering.identity import RenderOrder
from duchenne.analysis.training.prepared import read_faces
from duchenne.cli import EXTRAS
from duchenne.stimuli.errors import DuchenneError, UsageError

PX, N = 32, 8


@pytest.fixture(scope="module")
def order(tiny_head_file):
    return RenderOrder(str(tiny_head_file), px=PX, pictures=N)


@pytest.fixture(scope="module")
def rendered(graphics, order, tmp_path_factory):
    """Return a set of two identities."""
    out = tmp_path_factory.mktemp("set") / "faces"
    assert render_set(order, out, identities=2) == 2 * N
    return out


def test_a_set_is_one_that_trainings_read(rendered):
    faces = read_faces(rendered)
    assert len(faces) == 2 * N
    assert faces.names == (*LABEL_NAMES, "expression")
    assert faces.subjects == ("rendered_00000", "rendered_00001")
    assert faces.images.shape == (2 * N, PX, PX, 3)
    assert faces.images.std() > 5
    assert np.isfinite(faces.landmarks).all()
    assert faces.about["order"]["pictures"] == N
    assert "/" not in faces.about["order"]["head"]


def test_conditions_tell_of_the_same_rows(rendered):
    conditions = pd.read_csv(
        rendered / CONDITIONS, sep="\t", na_values=["n/a"], keep_default_na=False
    )
    rows = pd.read_csv(rendered / "labels.tsv", sep="\t", na_values=["n/a"])
    assert conditions["subject"].tolist() == rows["subject"].tolist()
    assert [text.split("/")[2] for text in rows["source"]] == conditions["kind"].tolist()
    calm = conditions["kind"].isin(["neutral", "no-action"])
    assert not rows.loc[calm, list(LABEL_NAMES)].to_numpy().any()
    assert (rows.loc[calm, "expression"] == 0).all()
    shown = conditions["emotion"].notna()
    assert (rows.loc[shown, "expression"] > 0).all()
    assert rows.loc[~calm & ~shown, "expression"].isna().all()
    assert {"yaw_deg", "gaze_left_deg", "skin_tone", "glasses", "beard", "occluder"} <= set(
        conditions
    )


def test_a_run_that_was_broken_off_goes_on(rendered, order, tmp_path, monkeypatch):
    out = tmp_path / "faces"

    def break_off(done, total, n):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_set(order, out, identities=2, progress=break_off)
    assert not out.exists()
    torn = tmp_path / ".faces.conditions.part"
    torn.write_text(torn.read_text() + "half a li")
    seen: list[int] = []
    whole = dataset.render_identity
    monkeypatch.setattr(
        dataset, "render_identity", lambda r, o, n: (seen.append(n), whole(r, o, n))[1]
    )
    render_set(order, out, identities=2)
    assert seen == [1]
    first, again = read_faces(rendered), read_faces(out)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.truth, again.truth, equal_nan=True)
    assert (out / CONDITIONS).read_text() == (rendered / CONDITIONS).read_text()
    assert not list(tmp_path.glob(".faces*"))


def test_ablated_folds_change_no_label(rendered, order, tmp_path):
    ablated = RenderOrder(order.head, PX, pictures=N, wrinkles="none", grey=True)
    render_set(ablated, tmp_path / "faces", identities=1)
    one, other = read_faces(rendered), read_faces(tmp_path / "faces")
    assert np.array_equal(one.truth[:N], other.truth, equal_nan=True)
    assert np.array_equal(one.landmarks[:N], other.landmarks)
    assert (np.ptp(np.asarray(other.images), axis=3) == 0).all()
    assert np.ptp(np.asarray(one.images), axis=3).max() > 20


def test_orders_that_cannot_be_are_refused(order, rendered):
    with pytest.raises(UsageError, match="linked, independent, none"):
        RenderOrder(order.head, wrinkles="some")
    with pytest.raises(UsageError, match="--expressions is one of standard, distress"):
        RenderOrder(order.head, expressions="glee")
    with pytest.raises(UsageError, match="eyes, A1"):
        RenderOrder(order.head, align="B7")
    with pytest.raises(DuchenneError, match="exists already"):
        render_set(order, rendered, identities=1)
    with pytest.raises(DuchenneError, match="no head model"):
        render_set(RenderOrder("nowhere.npz"), Path("out"), identities=1)


def test_processes_render_what_one_process_renders(rendered, tiny_head_file, tmp_path):
    out = tmp_path / "faces"
    given = f"--identities 2 --pictures {N} --px {PX} --workers 2 --out {out}".split()
    command = [
        sys.executable,
        "-m",
        "duchenne.cli",
        "render-faces",
        "--head",
        tiny_head_file,
        *given,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Rendered faces: {out}"
    assert np.array_equal(read_faces(rendered).images, read_faces(out).images)


def test_help_has_an_example():
    result = CliRunner().invoke(app, ["render-faces", "--help"], env={"COLUMNS": "120"})
    assert "Example: duchenne render-faces" in result.stdout
    assert EXTRAS["moderngl"] == "rendering"
