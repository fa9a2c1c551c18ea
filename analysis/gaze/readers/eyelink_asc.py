"""EyeLink recordings as text (``edf2asc FILE.edf``), parsed by pymovements.

Resolution comes from ``DISPLAY_COORDS`` (or ``GAZE_COORDS``), the recorded eye from the data
specification, the kind of pupil size from ``PUPIL``. Missing samples are dots, with pupil size 0.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.readers.base import (
    GazeRecording,
    Head,
    Reader,
    ReadOptions,
    presentations_from_messages,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TRIAL_START = r"^TRIALID\s+(.+)"
TRIAL_END = r"^TRIAL_RESULT"
"""The messages that SR Research's Data Viewer splits trials at."""
_COORDS = re.compile(
    r"^(?:DISPLAY|GAZE)_COORDS\s*=?\s*([-\d.]+)\s+([-\d.]+)\s+([-\d.]+)\s+([-\d.]+)"
)
_PAIRED_STAMPS = 0.3


def recognise(head: Head) -> str | None:
    """Tell an ASC file by its lines."""
    if re.search(r"^SAMPLES\s+(GAZE|HREF|PUPIL)\b", head.text, re.MULTILINE):
        return "lines SAMPLES …"
    if re.search(r"^\*\* .*EYELINK", head.text, re.MULTILINE):
        return "header EYELINK"
    return None


def read(path: Path, options: ReadOptions) -> list[GazeRecording]:
    """Read an ASC file; recording blocks follow each other with gaps between them.

    Raises
    ------
    DuchenneError
        When it holds no gaze samples on the screen (``edf2asc -e``, or HREF and raw pupil data).
    """
    kind, pupil_measure, eyes_said = _specification(path)
    if kind is not None and kind != "GAZE":
        raise DuchenneError(
            f"{path} holds {kind} samples, not gaze on the screen; convert again with edf2asc -sg."
        )
    parsed = _parse(path)
    samples = parsed.samples
    if samples.height < 2 or "pixel" not in samples.columns:
        raise DuchenneError(f"{path} has no gaze samples; convert again without edf2asc -e (-ns).")
    times_s = _times(samples["time"].to_numpy())
    messages = parsed.messages
    message_times = [] if messages is None else [t / 1e3 for t in messages["time"].to_list()]
    texts = (
        [] if messages is None else [str(text).strip() for text in messages["content"].to_list()]
    )
    corners = next((match for text in texts if (match := _COORDS.match(text))), None)
    left, top, right, bottom = (0.0, 0.0, np.nan, np.nan)
    if corners is not None:
        left, top, right, bottom = (float(part) for part in corners.groups())
    screen = {}
    if np.isfinite(right) and right > left and bottom > top:
        screen = {"width_px": _pixels(right - left), "height_px": _pixels(bottom - top)}
    start, end = options.stimulus_start or TRIAL_START, options.stimulus_end
    if options.stimulus_start is None:
        end = TRIAL_END
    shown = presentations_from_messages(message_times, texts, float(times_s[-1]), start, end)
    notes = []
    if shown and options.stimulus_start is None:
        notes.append(
            "Stimuli are trials from TRIALID to TRIAL_RESULT; use --stimulus-start and --stimulus-end for "
            "the messages that show when a stimulus came and went."
        )
    return [
        GazeRecording(
            times_s,
            _columns(samples, eyes_said, left, top),
            "px",
            screen=screen,
            recording=path.stem,
            presentations=shown,
            pupil_unit="arbitrary",
            pupil_measure=pupil_measure,
            notes=tuple(notes),
        )
    ]


READER = Reader("eyelink-asc", "an EyeLink ASC file", recognise, read)


def _parse(path: Path) -> Any:
    try:
        import pymovements  # noqa: PLC0415 -- slow to import, and wanted by this reader alone
    except ModuleNotFoundError:
        raise DuchenneError(
            "EyeLink files need pymovements: pip install 'duchenne[analysis]'"
        ) from None
    try:
        with warnings.catch_warnings(), path.open(encoding="utf-8", errors="replace") as file:
            warnings.simplefilter("ignore")  # absent metadata, which are not needed
            return pymovements.gaze.from_asc(file, messages=True)
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DuchenneError(f"{path} cannot be read as an EyeLink ASC file ({reason}).") from error


def _pixels(span: float) -> float:
    """Return how many pixels lie from the first to the last coordinate.

    The tracker's software writes the last pixel (1919), some programs the number of pixels (1920);
    screens have even numbers of them.
    """
    return span + 1 if round(span) % 2 else span


def _specification(path: Path) -> tuple[str | None, str | None, str | None]:
    """Return the kind of samples, what the pupil size is, and the eyes, as the first block says."""
    kind = measure = eyes = None
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("PUPIL"):
                words = line.split()
                measure = words[1].lower() if len(words) > 1 else None
            elif line.startswith("SAMPLES"):
                words = line.split()
                kind = words[1] if len(words) > 1 else None
                eyes = "".join(eye[0] for eye in ("LEFT", "RIGHT") if eye in words)
            if kind is not None and measure is not None:
                break
    return kind, measure, eyes or None


def _times(stamps_ms: NDArray[Any]) -> Floats:
    """Return seconds; at 2000 Hz two samples share a stamp, of which the second is 0.5 ms later."""
    times = np.asarray(stamps_ms, dtype=np.float64) / 1e3
    again = np.concatenate(([False], np.diff(times) == 0))
    if np.mean(again) > _PAIRED_STAMPS:
        times[again] += 0.5e-3
    return times


def _columns(samples: Any, eyes: str | None, left: float, top: float) -> dict[str, Floats]:
    width = samples["pixel"].list.len().max()
    names = (
        ("left_", "right_") if width >= 4 else ({"L": "left_", "R": "right_"}.get(eyes or "", ""),)
    )
    found: dict[str, Floats] = {}
    for index, prefix in enumerate(names):
        for axis, offset, origin in (("x", 0, left), ("y", 1, top)):
            values = samples["pixel"].list.get(2 * index + offset).to_numpy()
            found[f"{prefix}{axis}"] = np.asarray(values, dtype=np.float64) - origin
        if "pupil" in samples.columns:
            pupil = samples["pupil"] if len(names) == 1 else samples["pupil"].list.get(index)
            found[f"{prefix}pupil"] = np.asarray(pupil.to_numpy(), dtype=np.float64)
    return found
