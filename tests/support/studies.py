"""Study folders of simulated sessions: gaze and a recorded stream of Action Units, quick to analyse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.streams import Channel, StreamInfo
from support.sessions import write_session

if TYPE_CHECKING:
    from pathlib import Path

AUS = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17",
       "AU20", "AU23", "AU25", "AU26", "AU45")  # fmt: skip
CATEGORIES = ("HVHA", "neutral")
NEUTRAL_S = 4.0
FIXATION_S, STIMULUS_S, PAUSE_S = 1.5, 4.0, 0.5
SMILE_AFTER_S, SMILE_LASTS_S, SMILE = 1.0, 2.0, 3.0
CHEEK = 0.8
"""AU06 of the smile, relative to AU12."""
RECT_PX = [320.0, 120.0, 960.0, 600.0]


def onsets_s(n_trials: int) -> list[float]:
    """Return when each stimulus comes on."""
    step = FIXATION_S + STIMULUS_S + PAUSE_S
    return [NEUTRAL_S + FIXATION_S + i * step for i in range(n_trials)]


def study_session(
    study: Path,
    participant: str,
    *,
    n_trials: int = 4,
    gaze_hz: float = 60.0,
    au_hz: float = 30.0,
    smile: float = SMILE,
    seed: int = 0,
    label: str | None = None,
    **changes: Any,
) -> Path:
    """Write one session into a study; stimuli of category HVHA make smiles of a known height.

    Parameters
    ----------
    study : Path
    participant : str
        Names the folder; also the label within the file unless `label` is given.
    n_trials : int
        Presentations, of the categories HVHA and neutral in turn.
    gaze_hz, au_hz : float
        Rates; 0 leaves the stream out.
    smile : float
        AU12 from 1 s to 3 s after the onset of stimuli of category HVHA; AU06 goes with it.
    changes
        Passed to ``write_session``.
    """
    rng = np.random.default_rng(seed)
    starts = onsets_s(n_trials)
    end = starts[-1] + STIMULUS_S + 1.0
    folder = study / "sourcedata" / f"sub-{participant}" / "ses-01"
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "markers": _markers(starts, end, label or participant),
        "participant": label or participant,
        "stimuli": _stimuli(n_trials),
        "streams": [_au_stream(starts, end, au_hz, smile, rng)] if au_hz else [],
        "gaze": _gaze(end, gaze_hz, rng) if gaze_hz else None,
        "gaze_rate_hz": gaze_hz,
    }
    name = f"sub-{participant}_ses-01_task-test_run-01_session.h5"
    return write_session(folder / name, **(content | changes))


def _stimuli(n: int) -> dict[str, list[Any]]:
    return {
        "id": [f"s{i:02d}" for i in range(n)],
        "file": [f"s{i:02d}.png" for i in range(n)],
        "kind": ["image"] * n,
        "category": [CATEGORIES[i % 2] for i in range(n)],
        "sha256": [f"{i:064d}" for i in range(n)],
    }


def _markers(
    starts: list[float], end: float, label: str
) -> list[tuple[float, str, dict[str, Any]]]:
    rows: list[tuple[float, str, dict[str, Any]]] = [
        (0.5, "neutral_onset", {}),
        (0.5 + NEUTRAL_S - 1.0, "neutral_offset", {}),
    ]
    for i, onset in enumerate(starts):
        fields = {
            "trial": i + 1,
            "block": "main",
            "stimulus": f"s{i:02d}",
            "presentation_id": f"{label}-01-01-{i + 1:03d}",
        }
        shown = {
            "kind": "image",
            "category": CATEGORIES[i % 2],
            "file": f"s{i:02d}.png",
            "rect_px": RECT_PX,
            "planned_duration_s": STIMULUS_S,
        }
        answer = {"scale": "valence", "value": 7 if i % 2 == 0 else 5, "rt_s": 0.2}
        rows += [
            (onset - FIXATION_S + 0.05, "fixation_onset", fields),
            (onset, "fixation_offset", fields),
            (onset, "stimulus_onset", fields | shown),
            (onset + STIMULUS_S, "stimulus_offset", fields),
            (onset + STIMULUS_S + 0.05, "rating_onset", fields | {"scale": "valence"}),
            (onset + STIMULUS_S + 0.25, "rating_response", fields | answer),
        ]
    rows.append((end - 0.1, "session_end", {}))
    return rows


def _au_stream(
    starts: list[float], end: float, rate_hz: float, smile: float, rng: np.random.Generator
) -> tuple[StreamInfo, Any, Any]:
    times = np.arange(round(end * rate_hz)) / rate_hz
    values = np.clip(0.1 + rng.normal(0, 0.05, (times.size, len(AUS))), 0, 5)
    for i, onset in enumerate(starts):
        if i % 2 == 0:
            on = (times >= onset + SMILE_AFTER_S) & (times < onset + SMILE_AFTER_S + SMILE_LASTS_S)
            values[on, AUS.index("AU12")] += smile
            values[on, AUS.index("AU06")] += CHEEK * smile
    channels = tuple(Channel(au, "Intensity", "0 to 5") for au in AUS)
    info = StreamInfo(
        "AU", "ActionUnits", "test-au", "u9", "host", "double64", 0.0, len(AUS), channels
    )
    return info, times, values


def _gaze(end: float, rate_hz: float, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
    times = np.arange(round(end * rate_hz)) / rate_hz
    jumps = rng.uniform(0.35, 0.65, (2, int(end / 0.4) + 2))
    which = (times / 0.4).astype(int)
    noise = rng.normal(0, 3e-4, (2, times.size))
    columns: dict[str, Any] = {}
    for eye in ("left", "right"):
        columns |= {f"{eye}_x": jumps[0][which] + noise[0], f"{eye}_y": jumps[1][which] + noise[1]}
        columns[f"{eye}_pupil"] = 3.0 + 0.1 * np.sin(times / 3) + noise[0]
        columns[f"{eye}_valid"] = np.ones(times.size)
    return times, columns
