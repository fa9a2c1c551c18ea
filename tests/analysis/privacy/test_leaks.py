"""No export and no report holds a name, a host, a path or a face that may not leave."""

from __future__ import annotations

import base64
import getpass
import gzip
import io
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from tests.analysis.constructed import constructed_session, markers, trial_fields

from duchenne.analysis.export.base import ExportOptions, ExportResult, export_study
from duchenne.analysis.face.decode import video_frames
from duchenne.analysis.face.deidentify_finder import FaceFinder
from duchenne.analysis.paths import derivatives_of, session_files
from duchenne.analysis.privacy.scopes import may_show_stills
from duchenne.analysis.reports.study import write_study_report
from duchenne.analysis.session import report_session
from duchenne.analysis.study import analyze_study
from duchenne.analysis.tables import Column, write_table
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "labpc-seven"
USER = "annabella"
SAID = f"I sat at {HOST}, see /home/{USER}/secret/notes.txt and C:\\Users\\{USER}\\film.avi"
N_FRAMES = 12
CHECKS = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.full((40, 40), 200)).astype(np.uint8)
"""A picture that no detector takes for a face."""
USUAL_CONFIDENCE = 0.5
"""What MediaPipe's detector takes for a face by default."""
SHARED = {
    "participant": Column("Who.", kind="string"),
    "isc_x": Column("How alike.", kind="number"),
}
PEOPLE: dict[str, dict[str, str]] = {
    "P01": {"share_derived": "agree", "share_video": "decline", "share_signals": "decline"},
    "P02": {"share_derived": "agree", "share_video": "agree"},
    "P03": {"share_derived": "decline", "share_video": "agree"},
    "P04": {},
}
"""What each participant agreed to; nobody was asked for stills, P04 for nothing."""


def film(path: Path) -> list[bytes]:
    """Return frames of a real face, as a camera would send them."""
    frames = []
    for index, _, image in video_frames(path):
        if index >= N_FRAMES:
            break
        assert image is not None
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        frames.append(buffer.getvalue())
    return frames


def answers(scopes: dict[str, str]) -> list[tuple[float, str, dict[str, Any]]]:
    given = [
        (0.1, "rating_response", {"form": "consent", "field": name, "value": value})
        for name, value in {"answer": "agree", **scopes}.items()
    ]
    typed = {"scale": "comment", "value": SAID, "rt_s": 1.0}
    return [
        *given,
        (12.4, "rating_response", trial_fields(2) | typed),
        (12.6, "rating_response", {"form": "intake", "field": "remark", "value": SAID}),
        (12.9, "note", {"text": SAID}),
    ]


@pytest.fixture(scope="module")
def frames(shared_folder: Path) -> list[bytes]:
    return film(shared_folder / "media" / "participant" / "neutral.mp4")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, frames: list[bytes]) -> Path:
    """A study of four people in the folder of a user; two of them have face video."""
    root = tmp_path_factory.mktemp("leak") / USER / "study"
    media = root.parent / "media"
    media.mkdir(parents=True)
    for name in ("calm.png", "loud.png"):
        told = PngInfo()
        told.add_text("Author", SAID)
        Image.fromarray(CHECKS).save(media / name, pnginfo=told)
    (media / "manifest.tsv").write_text("id\n")
    stimuli = {
        "id": ["calm", "loud"], "file": ["calm.png", "loud.png"], "kind": ["image"] * 2,
        "category": ["HVLA", "LVHA"], "redistributable": [1.0, 1.0], "licence": ["CC0-1.0"] * 2,
    }  # fmt: skip
    for who, scopes in PEOPLE.items():
        folder = root / "sourcedata" / f"sub-{who}" / "ses-01"
        folder.mkdir(parents=True)
        has_film = who in {"P01", "P02"}
        file = constructed_session(
            folder / f"sub-{who}_ses-01_task-test_run-01_session.h5",
            markers=sorted([*markers(), *answers(scopes)], key=lambda row: row[0]),
            gaze=slow_gaze(),
            gaze_rate_hz=60.0,
            stimuli=stimuli,
            stimuli_source=str(media / "manifest.tsv"),
            participant=who,
            frames=(np.arange(N_FRAMES) / 6 + 0.6, frames) if has_film else None,
        )
        with h5py.File(file, "a") as content:
            for stream in content["streams"].values():
                stream.attrs["hostname"] = HOST
    rows = "".join(f"sub-{who}\t30\t{USER}\n" for who in PEOPLE)
    (root / "participants.tsv").write_text("participant_id\tage\tname\n" + rows)
    (root / "study.yaml").write_text("name: Two pictures\n")
    assert not analyze_study(root, report=False).failed
    people = pd.DataFrame({"participant": list(PEOPLE), "isc_x": 0.5})
    write_table(people, derivatives_of(root) / "synchrony.tsv", SHARED)
    return root


def slow_gaze() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    times = np.arange(840) / 60.0
    noise = np.random.default_rng(3).normal(0, 1e-4, times.size)
    columns = {f"{eye}_{axis}": 0.5 + noise for eye in ("left", "right") for axis in "xy"}
    ones = np.ones(times.size)
    columns |= {f"{eye}_{name}": ones for eye in ("left", "right") for name in ("pupil", "valid")}
    return times, columns


def content_of(path: Path) -> bytes:
    """Return what a file says, unpacked."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    if path.suffix == ".parquet":
        return content + pd.read_parquet(path).select_dtypes(exclude="number").to_csv().encode()
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as base:
            for (name,) in base.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                table = base.table(name).df().select_dtypes(exclude="number")
                content += table.to_csv().encode()
    return content


def words_in(path: Path, study: Path) -> list[str]:
    """Return the names of hosts, users and folders that a file holds."""
    text = content_of(path).decode("latin-1").lower()
    secrets = {HOST, USER, str(study), str(study.parent), f"{Path.home()}/", platform.node()}
    secrets |= {getpass.getuser()} if len(getpass.getuser()) > 5 else set()
    return [word for word in secrets if len(word) > 5 and word.lower() in text]


def payload_in(path: Path, frames: list[bytes]) -> bool:
    """Whether a file holds bytes of a recorded frame, as they are or in base64."""
    content = content_of(path)
    pieces = [frame[at : at + 60] for frame in frames for at in (1000, 1500)]
    coded = [base64.b64encode(piece[i:])[4:-4] for piece in pieces for i in range(3)]
    return any(piece in content for piece in [*pieces, *coded])


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    """Yield every picture that a file shows: its frames, or what an HTML page embeds."""
    if path.suffix == ".mp4":
        for index, _, image in video_frames(path):
            if image is not None and index % 3 == 0:
                yield image
        return
    blobs = [path.read_bytes()]
    if path.suffix == ".html":
        found = re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", path.read_bytes())
        blobs = [base64.b64decode(blob) for blob in found]
    for blob in blobs:
        try:
            yield np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"))
        except (UnidentifiedImageError, OSError):
            continue


def faces_in(folder: Path) -> set[str]:
    """Return the files of a folder in which a face is found."""
    with FaceFinder(USUAL_CONFIDENCE) as finder:
        return {
            path.name
            for path in folder.rglob("*")
            if path.suffix in {".mp4", ".png", ".jpg", ".html"}
            and any(finder.find(image, tiles=False) for image in pictures_of(path))
        }


def files_of(result: ExportResult) -> list[Path]:
    return [path for path in result.path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "chosen",
    [
        ("bids", True, "tidy"),
        ("csv", True, "imotions"),
        ("parquet", True, "tidy"),
        ("duckdb", False, "tidy"),
    ],
)
def test_no_name_no_host_no_path_and_no_frame_leaves(
    study: Path, frames: list[bytes], tmp_path: Path, chosen: tuple[str, bool, str]
) -> None:
    format_name, with_text, style = chosen
    options = ExportOptions(with_text=with_text, style=style)
    result = export_study(study, tmp_path / "out", format_name, options=options)
    assert result.n_sessions == 3
    for path in files_of(result):
        assert words_in(path, study) == [], path
        assert not payload_in(path, frames), path
        assert "P03" not in content_of(path).decode("latin-1"), path
        assert "P03" not in path.name
    told = " ".join(result.notes)
    assert "sub-P03_ses-01_task-test_run-01_session.h5: left out, the participant did not" in told
    assert "1 participant was never asked" in told
    assert people_of_samples(result) == (
        {"P02", "P04"} if format_name in {"bids", "parquet"} else set()
    )
    assert any("I sat at" in content_of(p).decode("latin-1") for p in files_of(result)) == with_text
    if format_name == "bids":
        assert not faces_in(result.path)


def people_of_samples(result: ExportResult) -> set[str]:
    """Return whose samples are in the files of a BIDS or Parquet export."""
    names = {p.name[4:7] for p in files_of(result) if p.name.endswith("eye1_physio.tsv.gz")}
    for path in result.path.glob("gaze.parquet"):
        names |= set(pd.read_parquet(path, columns=["participant"])["participant"])
    return names


def test_a_hidden_face_is_hidden_and_the_original_needs_its_own_consent(
    study: Path, frames: list[bytes], tmp_path: Path
) -> None:
    options = ExportOptions(video="original", method="blur", asked_only=True)
    result = export_study(study, tmp_path / "bids", "bids", options=options)
    assert result.n_sessions == 2
    ledger = (study / "exports.tsv").read_text().splitlines()[-1].split("\t")
    assert ledger[1:] == ["bids", "original", str((tmp_path / "bids").resolve()), "P01 P02"]
    films = {path.relative_to(result.path).as_posix(): path for path in result.path.rglob("*.mp4")}
    original = "sourcedata/sub-P02/ses-01/sub-P02_ses-01_task-test_run-01_video.mp4"
    hidden = "derivatives/deidentified/sub-P01/ses-01/sub-P01_ses-01_task-test_run-01_desc-blur_video.mp4"
    assert set(films) == {original, hidden}
    for path in files_of(result):
        assert words_in(path, study) == [], path
        assert payload_in(path, frames) == (path == films[original])
        assert "P04" not in content_of(path).decode("latin-1")
    assert faces_in(result.path) == {films[original].name}
    assert any("P01" in note and "did not agree to more" in note for note in result.notes)


def test_no_report_shows_a_face_or_says_a_host(study: Path, frames: list[bytes]) -> None:
    first = session_files(study)[0]
    reports = [report_session(first).report, write_study_report(study)]
    for path in reports:
        assert path.stat().st_size > 10_000
        assert not payload_in(path, frames), path
        assert words_in(path, study) == [], path
    assert not faces_in(derivatives_of(study))


def test_stills_need_a_scope_of_their_own(study: Path) -> None:
    file = next(study.glob("sourcedata/sub-P02/*/*_session.h5"))
    with Recording.open(file) as recording:
        assert not may_show_stills(recording)
