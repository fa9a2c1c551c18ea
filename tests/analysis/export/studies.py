"""A small study with two good sessions, a pilot, a withdrawal and a session that nobody analysed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.analysis.constructed import END_S, STIMULI, constructed_session, markers, trial_fields

from duchenne.analysis.session import analyze_session

if TYPE_CHECKING:
    from pathlib import Path

HOST = "labpc-seven"
COMMENT = f"I sat at {HOST} and /home/annabella/secret/notes.txt"
RATE_HZ = 120.0
PROTOCOL = """
ratings:
  mood: {type: slider, left: Bad, right: Good, question: How are you}
  mood_why: {type: text, question: Why}
  Mood-Now: {type: choice, options: [calm, tense], question: And now}
blocks:
  - steps:
      - type: form
        name: about
        fields:
          glasses: {type: yes_no, question: Do you wear glasses}
          remark: {type: text, question: Anything else}
"""


def slow_gaze(shift: float = 0.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return gaze at 120 Hz: the left eye 0.25 across, the right 0.75, lost in the first second."""
    times = np.arange(round(END_S * RATE_HZ)) / RATE_HZ
    ones = np.ones(times.size)
    noise = np.random.default_rng(3).normal(0, 1e-4, times.size)
    valid = np.where(times < 1, 0.0, 1.0)
    columns = {"left_x": 0.25 + shift + noise, "right_x": 0.75 + noise}
    columns |= {"left_y": 0.5 + noise, "right_y": 0.5 + noise}
    columns |= {"left_pupil": 3 * ones, "right_pupil": 4 * ones}
    columns |= {"left_valid": valid, "right_valid": valid, "device_time": times}
    return times, columns


def answers() -> list[tuple[float, str, dict[str, Any]]]:
    """Return markers of a calibration, of typed and chosen answers, and of forms."""
    targets = [{"error_left_deg": 0.3, "error_right_deg": 0.2}, {"error_left_deg": 0.7}]
    form = {"form": "intake", "scale": "intake"}
    given = [
        trial_fields(2) | {"scale": scale, "value": value}
        for scale, value in (("mood_why", COMMENT), ("Mood-Now", "calm"))
    ]
    about = [
        {"form": "about", "field": field, "scale": f"about.{field}", "value": value}
        for field, value in (("glasses", "yes"), ("remark", COMMENT))
    ]
    return [
        (
            0.2,
            "calibration_end",
            {
                "accuracy_deg_left": 0.5,
                "accuracy_deg_right": 0.2,
                "targets": targets,
                "calibrated": True,
            },
        ),
        (
            12.4,
            "rating_response",
            trial_fields(2) | {"scale": "comment", "value": COMMENT, "rt_s": 1.0},
        ),
        (12.6, "rating_response", form | {"field": "age", "value": 31}),
        (12.7, "rating_response", form | {"field": "remark", "value": COMMENT}),
        *[(12.8 + i / 100, "rating_response", answer) for i, answer in enumerate(given + about)],
        (12.9, "note", {"text": COMMENT}),
    ]


def write_study(study: Path) -> Path:
    """Write the study and analyse its first two sessions."""
    media = study.parent / "media"
    media.mkdir(parents=True)
    told = PngInfo()
    told.add_text("Author", f"Annabella at {HOST}")
    Image.new("RGB", (8, 6), (10, 200, 30)).save(media / "calm.png", pnginfo=told)
    (media / "loud.png").write_bytes(b"picture that may not")
    (media / "manifest.tsv").write_text("id\n")
    digests = [
        hashlib.sha256((media / name).read_bytes()).hexdigest() for name in ("calm.png", "loud.png")
    ]
    stimuli = STIMULI | {
        "sha256": digests,
        "redistributable": [1.0, 0.0],
        "licence": ["CC0-1.0", "own"],
    }
    stop = [(13.0, "abort", {"reason": "participant: stop and delete"})]
    people: list[tuple[str, str, list[Any]]] = [
        ("P01", "01", answers()),
        ("P02", "01", []),
        ("P03", "01", stop),
        ("P03", "02", []),
        ("P04", "01", []),
        ("P05", "01", []),
    ]
    for who, visit, more in people:
        folder = study / "sourcedata" / f"sub-{who}" / f"ses-{visit}"
        folder.mkdir(parents=True)
        file = constructed_session(
            folder / f"sub-{who}_ses-{visit}_task-test_run-01_session.h5",
            markers=sorted([*markers(), *more], key=lambda row: row[0]),
            gaze=slow_gaze(0.1 if who == "P02" else 0.0),
            gaze_rate_hz=RATE_HZ,
            stimuli=stimuli,
            stimuli_source=str(media / "manifest.tsv"),
            participant=who,
            session=visit,
            protocol_yaml=PROTOCOL,
        )
        with h5py.File(file, "a") as content:
            for stream in content["streams"].values():
                stream.attrs["hostname"] = HOST
            if who == "P04":
                content.attrs["pilot"] = True
        if who in {"P01", "P02"}:
            analyze_session(file)
    (study / "sourcedata/sub-P05/ses-01/sub-P05_ses-01_task-torn_run-02_session.h5").write_bytes(
        b"torn"
    )
    (study / "participants.tsv").write_text(
        "participant_id\tage\tname\nsub-P01\t31\tAnnabella\nsub-P02\t93\tBernd\nsub-P03\t20\tCarla\n"
    )
    (study / "study.yaml").write_text("name: Two pictures\nauthors: [A. Author, B. Author]\n")
    return study
