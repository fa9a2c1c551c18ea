"""Forgetting a participant: everything of them is gone, everything of the others stays."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import h5py
import pandas as pd
import pytest
from support.sessions import write_session
from tests.analysis.constructed import markers
from typer.testing import CliRunner

from duchenne.analysis.privacy.forget import forget, plan_of
from duchenne.analysis.privacy.ledger import note_export
from duchenne.analysis.privacy.stale import stale_tables
from duchenne.cli import app
from duchenne.recorder.keyring import KeyRing
from duchenne.recorder.layout import SessionName
from duchenne.recorder.lock import JournalLock
from duchenne.recorder.study_folder import start_study, study_warnings
from duchenne.recorder.tombstones import forgotten_labels, read_tombstone
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEOPLE = ("P07", "P70", "P1")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("template") / "x.h5"
    return write_session(path, markers=markers(), participant="X1").read_bytes()


@pytest.fixture
def study(tmp_path: Path, template: bytes) -> Path:
    root = tmp_path / "study"
    results = root / "derivatives" / "duchenne"
    for who in PEOPLE:
        folder = root / "sourcedata" / f"sub-{who}" / "ses-01"
        folder.mkdir(parents=True)
        file = folder / f"sub-{who}_ses-01_task-test_run-01_session.h5"
        file.write_bytes(template)
        with h5py.File(file, "a") as content:
            content.attrs["participant"] = who
        mine = results / f"sub-{who}" / "ses-01"
        mine.mkdir(parents=True)
        (mine / f"sub-{who}_ses-01_task-test_run-01_summary.tsv").write_text("participant\n" + who)
    (root / "study.yaml").write_text("name: x\n")
    rows = "".join(f"sub-{who}\t30\r\n" for who in PEOPLE)
    (root / "participants.tsv").write_bytes(b"\xef\xbb\xbfparticipant_id\tage\r\n" + rows.encode())
    lines = "".join(f"{who}\t{i}\tn/a\t2026-01-01T10:00:00\n" for i, who in enumerate(PEOPLE, 1))
    (root / "allocation.tsv").write_text("participant\tnumber\treplaces\tassigned_utc\n" + lines)
    frame = pd.DataFrame({"participant": [*PEOPLE, "P07"], "AU12_mean": [1.0, 2.0, 3.0, 4.0]})
    frame.to_parquet(results / "summary.parquet")
    frame.to_csv(results / "synchrony.tsv", sep="\t", index=False)
    (results / "contrasts.tsv").write_text("contrast\testimate\nA\t1.5\n")
    (results / "study_report.html").write_text("<td>P07</td>")
    (results / "state.json").write_text(
        json.dumps({"sub-P07_ses-01": 1, "sub-P70_ses-01": 2, "rows": [{"participant": "P07"}]})
    )
    (root / "notes.txt").write_text("P07 was late")
    (root / "stimuli.txt").write_text("XP07Y and P070 are no labels")
    note_export(root, "csv", "none", tmp_path / "given", PEOPLE)
    return root


def mentioning(root: Path, label: str = "P07") -> set[str]:
    """Return the files of a study that still name a participant."""
    word = re.compile(rf"(?<![A-Za-z0-9]){label}(?![A-Za-z0-9])")
    found = set()
    for path in (p for p in root.rglob("*") if p.is_file()):
        text = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            text = pd.read_parquet(path).to_csv()
        if word.search(text) or word.search(str(path.relative_to(root))):
            found.add(path.relative_to(root).as_posix())
    return found


LEFT = {"forgotten/sub-P07.json", "allocation.tsv", "exports.tsv", "notes.txt"} | {
    "derivatives/duchenne/stale.json"
}


def test_everything_of_the_participant_is_gone_and_the_others_stay(study: Path) -> None:
    before = {p: p.read_bytes() for p in study.rglob("*") if p.is_file() and "P70" in p.name}
    done = forget(study, "P07")
    assert mentioning(study) == LEFT
    assert {path: path.read_bytes() for path in before} == before
    assert (study / "participants.tsv").read_bytes() == (
        b"\xef\xbb\xbfparticipant_id\tage\r\nsub-P70\t30\r\nsub-P1\t30\r\n"
    )
    results = study / "derivatives" / "duchenne"
    assert pd.read_parquet(results / "summary.parquet")["AU12_mean"].tolist() == [2.0, 3.0]
    assert json.loads((results / "state.json").read_text()) == {"sub-P70_ses-01": 2, "rows": []}
    assert not (results / "study_report.html").exists()
    assert "P07\t1\tn/a\tn/a\n" in (study / "allocation.tsv").read_text()
    stone = read_tombstone(study, "P07")
    assert stone == done.tombstone
    assert stone is not None
    assert stone.is_done
    assert (stone.reason, stone.n_files) == ("withdrawal", 2)
    assert stone.rows == {
        "participants.tsv": 1,
        "derivatives/duchenne/summary.parquet": 2,
        "derivatives/duchenne/synchrony.tsv": 2,
    }
    told = " ".join(done.to_do)
    assert f"csv of {stone.date} in {study.parent / 'given'}" in told
    assert "notes.txt names P07" in told
    assert "Backups" in told
    with pytest.raises(DuchenneError, match="already; nothing is left"):
        forget(study, "P07")


def test_tables_made_with_the_participant_are_stale_until_made_again(study: Path) -> None:
    assert stale_tables(study) == {}
    forget(study, "P07")
    names = {"summary.parquet", "synchrony.tsv", "contrasts.tsv"}
    assert stale_tables(study) == dict.fromkeys(names, "P07")
    (study / "derivatives/duchenne/contrasts.tsv").write_text("contrast\testimate\nA\t1.4\n")
    assert set(stale_tables(study)) == names - {"contrasts.tsv"}


def test_the_label_is_never_used_again(study: Path) -> None:
    forget(study, "P07", reason="mistake")
    for label in ("P07", "p07"):
        with pytest.raises(DuchenneError, match="a label is never used again"):
            start_study(study, SessionName(label, "01", "demo"))
    assert not (study / "sourcedata" / "sub-P07").exists()
    with pytest.raises(DuchenneError, match="sub-P07 was forgotten"):
        study_warnings(study, "P07")
    done = CliRunner().invoke(app, ["run", "demo", "--participant", "P07", "--study", str(study)])
    assert isinstance(done.exception, DuchenneError)
    assert "P07" not in (study / "participants.tsv").read_text()


def test_the_key_is_destroyed(study: Path, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "k.json").with_key_of("P07").with_key_of("P70")
    ring.write()
    done = forget(study, "P07", ring=ring)
    assert done.tombstone.key_destroyed
    assert set(KeyRing.read(ring.path).keys) == {"P70"}


def test_unknown_participants_and_running_recordings_are_refused(study: Path) -> None:
    with pytest.raises(DuchenneError, match="holds nothing of sub-P99; it has sub-P07"):
        forget(study, "P99")
    journal = next((study / "sourcedata" / "sub-P07").glob("*/*.h5")).with_suffix(".journal")
    journal.touch()
    lock = JournalLock(journal)
    lock.acquire()
    try:
        with pytest.raises(DuchenneError, match="is still being recorded"):
            forget(study, "P07")
    finally:
        lock.release()
    assert forgotten_labels(study) == {}
    assert not plan_of(study, "P07").is_empty


def test_links_are_removed_and_not_followed(study: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    (study / "sourcedata" / "sub-P07" / "ses-02").symlink_to(outside)
    forget(study, "P07")
    assert (outside / "kept.txt").read_text() == "kept"
    assert not (study / "sourcedata" / "sub-P07").exists()


CHILD = """
import sys, time
from pathlib import Path
import duchenne.analysis.privacy.forget as work
slow = int(sys.argv[2])
calls = [0]
def slowly(name):
    function = getattr(work, name)
    def call(*arguments):
        calls[0] += 1
        if calls[0] == slow:
            print("now", flush=True)
            time.sleep(60)
        return function(*arguments)
    setattr(work, name, call)
for name in ("_write", "_remove_folder", "without_rows", "without_entries", "mark_stale"):
    slowly(name)
work.forget(Path(sys.argv[1]), "P07")
"""


@pytest.mark.parametrize("step", [2, 4, 7])
def test_killed_half_way_calling_it_again_completes(study: Path, step: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(study), str(step)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "now\n"
    child.kill()
    child.wait(20)
    child.stdout.close()
    assert forgotten_labels(study) == {"P07": False}
    with pytest.raises(DuchenneError, match="was forgotten"):
        start_study(study, SessionName("P07", "01", "demo"))
    forget(study, "P07")
    assert mentioning(study) == LEFT
    assert forgotten_labels(study) == {"P07": True}
    stone = read_tombstone(study, "P07")
    assert stone is not None
    assert stone.n_files == 2


@pytest.fixture
def call(study: Path) -> Callable[..., tuple[int, str]]:
    def invoke(*arguments: str, answer: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(
            app, ["forget", "P07", "--study", str(study), *arguments], input=answer
        )
        return done.exit_code, f"{done.output} {done.exception or ''}"

    return invoke


def test_the_command_asks_first(study: Path, call: Callable[..., tuple[int, str]]) -> None:
    code, told = call(answer="n\n")
    assert code != 0
    assert "nothing was removed" in told
    assert (study / "sourcedata" / "sub-P07").exists()
    code, told = call("--reason", "boredom")
    assert "it is one of withdrawal, retention, mistake, other" in told
    code, told = call("--yes")
    assert code == 0
    assert "sub-P07: 2 files and 5 rows of tables removed. Tombstone:" in told
    assert mentioning(study) == LEFT


def test_only_the_video_can_be_made_unreadable(
    study: Path, call: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    key = tmp_path / "k.json"
    assert "name the key file" in call("--video-only", "--yes")[1]
    KeyRing(key).with_key_of("P07").write()
    code, told = call("--video-only", "--yes", "--key", str(key))
    assert code == 0, told
    assert KeyRing.read(key).keys == {}
    assert "sub-P07\tshare_video\t" in (study / "consent.tsv").read_text()
    assert (study / "sourcedata" / "sub-P07").exists()


def test_consent_is_shown_and_narrowed(study: Path) -> None:
    def consent(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["consent", str(study), *arguments])
        return f"{done.output} {done.exception or ''}"

    assert "(no)" in consent("--participant", "P07")
    assert "--participant" in consent("--withdraw", "share_video")
    unknown = CliRunner().invoke(
        app, ["consent", str(study), "--participant", "P07", "--withdraw", "share_vido"]
    )
    assert isinstance(unknown.exception, UsageError)
    assert "did you mean 'share_video'" in str(unknown.exception)
    for _ in range(2):
        assert "consent.tsv" in consent("--participant", "P07", "--withdraw", "analysis")
    assert len((study / "consent.tsv").read_text().splitlines()) == 2
    assert "no consent to the analysis" in " ".join(consent("--participant", "P07").split())


def test_forgetting_a_large_study_takes_no_time(study: Path) -> None:
    begun = time.monotonic()
    forget(study, "P07")
    assert time.monotonic() - begun < 10
