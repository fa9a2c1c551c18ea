"""A small session whose every summary value can be worked out by hand.

Two presentations of 2 s. The eye is parked at the screen centre, steps once, by a known angle, in each
stimulus, and the pupil steps by a known amount half a second after each onset.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from support.sessions import SCREEN, write_session

if TYPE_CHECKING:
    from pathlib import Path

RECT_PX = [320.0, 120.0, 960.0, 600.0]
ONSETS_S = (4.0, 10.0)
DURATION_S = 2.0
STEP_DEG = 5.0
STEP_AFTER_S = 1.0
PUPIL_MM = 3.0
PUPIL_STEPS_MM = (0.25, -0.15)
RATE_HZ = 600.0
END_S = 14.0
STIMULI = {
    "id": ["calm", "loud"],
    "file": ["calm.png", "loud.png"],
    "kind": ["image", "image"],
    "category": ["HVLA", "LVHA"],
    "sha256": ["0" * 64, "1" * 64],
    "valence": [7.0, 3.0],
    "arousal": [2.0, 9.0],
    "norm_min": [1.0, 1.0],
    "norm_max": [9.0, 9.0],
}
RATINGS = ({"valence": (7, 0.5), "arousal": (3, 0.7)}, {"valence": (2, 0.4)})


def trial_fields(trial: int) -> dict[str, Any]:
    """Return the context fields of a trial's markers."""
    return {
        "trial": trial,
        "block": "main",
        "stimulus": STIMULI["id"][trial - 1],
        "presentation_id": f"P01-01-01-{trial:03d}",
    }


def markers() -> list[tuple[float, str, dict[str, Any]]]:
    """Return the markers of the session, ``session_start`` aside."""
    rows: list[tuple[float, str, dict[str, Any]]] = [
        (0.5, "neutral_onset", {}),
        (2.5, "neutral_offset", {}),
    ]
    for trial, onset in enumerate(ONSETS_S, 1):
        fields = trial_fields(trial)
        shown = {
            "kind": "image",
            "category": STIMULI["category"][trial - 1],
            "file": STIMULI["file"][trial - 1],
            "rect_px": RECT_PX,
            "planned_duration_s": DURATION_S,
        }
        rows += [
            (onset - 1, "fixation_onset", fields | {"position_px": [640, 360]}),
            (onset, "fixation_offset", fields),
            (onset, "stimulus_onset", fields | shown),
            (onset + DURATION_S, "stimulus_offset", fields),
        ]
        at = onset + DURATION_S + 0.1
        for scale, (value, rt_s) in RATINGS[trial - 1].items():
            answer = {"scale": scale, "value": value, "rt_s": rt_s, "device": "keyboard"}
            rows.append((at, "rating_onset", fields | {"scale": scale}))
            rows.append((at + rt_s, "rating_response", fields | answer))
            at += rt_s + 0.1
    rows.append((END_S - 0.5, "session_end", {}))
    return rows


def gaze() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return times and columns of the gaze stream."""
    times = np.arange(round(END_S * RATE_HZ)) / RATE_HZ
    x_deg = np.zeros(times.size)
    pupil = np.full(times.size, PUPIL_MM)
    for onset, change in zip(ONSETS_S, PUPIL_STEPS_MM, strict=True):
        phase = np.clip((times - onset - STEP_AFTER_S) / 0.032, 0, 1)
        back = np.clip((times - onset - DURATION_S - 0.5) / 0.032, 0, 1)
        step = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
        step -= 10 * back**3 - 15 * back**4 + 6 * back**5
        x_deg += STEP_DEG * step
        pupil[(times >= onset) & (times < onset + DURATION_S + 0.2)] += change
    rng = np.random.default_rng(7)
    x = _normalized(x_deg, SCREEN["width_cm"]) + rng.normal(0, 2e-4, times.size)
    y = np.full(times.size, 0.5) + rng.normal(0, 2e-4, times.size)
    ones = np.ones(times.size)
    columns = {f"{eye}_{axis}": v for eye in ("left", "right") for axis, v in (("x", x), ("y", y))}
    columns |= {f"{eye}_pupil": pupil for eye in ("left", "right")}
    columns |= {f"{eye}_valid": ones for eye in ("left", "right")}
    return times, columns | {"device_time": times}


def constructed_session(path: Path, **changes: Any) -> Path:
    """Write the session; keyword arguments replace those of `write_session`."""
    content: dict[str, Any] = {
        "markers": markers(),
        "gaze": gaze(),
        "gaze_rate_hz": RATE_HZ,
        "stimuli": STIMULI,
    }
    return write_session(path, **(content | changes))


def _normalized(deg: np.ndarray, width_cm: float) -> np.ndarray:
    tangent = np.vectorize(math.tan)(np.radians(deg))
    return np.asarray(0.5 + tangent * SCREEN["distance_cm"] / width_cm)
