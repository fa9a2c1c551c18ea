"""How far a session is and what its participant sees, from its schedule and its markers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duchenne.protocols.schedule import Schedule
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.protocols.plan import Step

NAN = float("nan")
BLANK = "blank"
ONSETS = {
    "fixation_onset": "fixation",
    "baseline_onset": "fixation",
    "neutral_onset": "instruction",
    "instruction_onset": "instruction",
    "break_start": "instruction",
    "rating_onset": "rating",
    "pause": "pause",
    "calibration_start": "calibration",
    "validation_point": "calibration",
    "drift_check": "calibration",
}
OFFSETS = frozenset(
    {"stimulus_offset", "fixation_offset", "baseline_offset", "neutral_offset", "instruction_offset",
     "break_end", "rating_response", "resume", "calibration_end", "session_end"}
)  # fmt: skip
TOLD = {
    "session_start": "the session has begun",
    "session_end": "the session is over",
    "block_start": "block {block} begins",
    "block_end": "block {block} is over",
    "stimulus_onset": "trial {trial}: {stimulus} is shown",
    "rating_response": "trial {trial}: {scale} rated {value}",
    "pause": "pause",
    "resume": "the session goes on",
    "skip": "a step was skipped",
    "abort": "aborted: {reason}",
    "note": "note: {text}",
    "calibration_start": "calibration begins",
    "calibration_end": "calibration is over",
    "break_start": "break",
    "break_end": "the break is over",
    "instruction_onset": "instruction is shown",
    "neutral_onset": "neutral phase begins",
}
"""What the log says of markers; others are not told."""


@dataclass
class Course:
    """The course of one session.

    Parameters
    ----------
    blind : bool
        Nothing may tell a stimulus, category or block.

    Attributes
    ----------
    schedule : Schedule or None
    began_s, ended_s : float
        LSL times of the session's markers; NaN before.
    paused : bool
    abort_reason : str or None
    display : dict
        What the display said of itself.
    """

    blind: bool = False
    schedule: Schedule | None = None
    began_s: float = NAN
    ended_s: float = NAN
    paused: bool = False
    abort_reason: str | None = None
    display: dict[str, Any] = field(default_factory=dict)
    screen: dict[str, float] = field(default_factory=dict)
    _stage: dict[str, Any] = field(default_factory=lambda: {"kind": BLANK})
    _since_s: float = NAN
    _context: dict[str, Any] = field(default_factory=dict)
    _phase: str = "none"
    _media_s: float = NAN
    _categories: dict[str, str] = field(default_factory=dict)

    def learn(self, meta: Mapping[str, Any]) -> None:
        """Take in the facts of the session from its journal."""
        try:
            self.schedule = Schedule.from_json(str(meta.get("schedule_json", "")))
        except DuchenneError:
            self.schedule = None
        self.screen = dict(meta.get("screen") or {})
        stimuli = meta.get("stimuli") or {}
        if "id" in stimuli and "category" in stimuli:
            pairs = zip(stimuli["id"], stimuli["category"], strict=False)
            self._categories = {str(key): str(value) for key, value in pairs}

    def hear(self, marker: Mapping[str, Any], at_s: float) -> str | None:
        """Take in a marker; return what the log says of it, None where nothing."""
        event = marker.get("event")
        self._context = {key: marker.get(key) for key in ("trial", "block", "stimulus", "phase")}
        if event == "session_start":
            self.began_s, self.display = at_s, dict(marker.get("display") or {})
        elif event == "session_end":
            self.ended_s = at_s
        elif event == "abort":
            self.abort_reason = str(marker.get("reason") or "")
        elif event in {"pause", "resume"}:
            self.paused = event == "pause"
        self._see(str(event), marker, at_s)
        return self._told(str(event), marker)

    def shown(self, media_time_s: float) -> None:
        """Take in which time of a film was on the screen last; NaN without a film."""
        self._media_s = media_time_s

    def stage(self, now_s: float) -> dict[str, Any]:
        """Return what the participant sees, as pages get it."""
        found = {
            "kind": BLANK, "stimulus": None, "media_time_s": None, "rect": None, "text": None, **self._stage,
        }  # fmt: skip
        if found["kind"] == "video":
            found["media_time_s"] = self._media_s
        found["since_s"] = now_s - self._since_s
        if self.blind:
            found |= {"stimulus": None, "text": None}
        return found

    def trial(self) -> dict[str, Any] | None:
        """Return the present trial, as pages get it."""
        number = self._context.get("trial")
        stimulus = self._context.get("stimulus")
        of = 0 if self.schedule is None else len(self.schedule.trials)
        hidden = self.blind or stimulus is None
        return {
            "number": number,
            "of": of,
            "stimulus": None if hidden else stimulus,
            "category": None if hidden else self._categories.get(str(stimulus)),
            "phase": "pause" if self.paused else self._phase,
        }

    def step(self, number: int) -> dict[str, Any] | None:
        """Return a step of the schedule by its number, as pages get it."""
        found = self._step(number)
        if found is None or self.schedule is None:
            return None
        label, block = found.label, found.block
        if self.blind:
            label = found.kind if found.trial is None else f"trial {found.trial.trial}"
            block = ""
        of = len(self.schedule.steps)
        return {"number": number, "of": of, "label": label, "kind": found.kind, "block": block}

    def blocks(self, number: int) -> list[dict[str, Any]]:
        """Return how many steps of each block there are and are over, at a step."""
        found: dict[str, dict[str, Any]] = {}
        steps = () if self.schedule is None or self.blind else self.schedule.steps
        for i, step in enumerate(steps, start=1):
            if step.kind not in {"block_start", "block_end"}:
                row = found.setdefault(step.block, {"name": step.block, "steps": 0, "done": 0})
                row["steps"] += 1
                row["done"] += i < number or math.isfinite(self.ended_s)
        return list(found.values())

    def elapsed_s(self, now_s: float) -> float:
        """Return how long the session has run, seconds; NaN before it has begun."""
        return (self.ended_s if math.isfinite(self.ended_s) else now_s) - self.began_s

    def remaining_s(self, number: int, in_step_s: float) -> float:
        """Return how long it is planned to go on, at a step and so long into it, seconds; NaN if unknown."""
        present = self._step(number)
        if self.schedule is None or present is None:
            return NAN
        if math.isfinite(self.ended_s):
            return 0.0
        rest = sum(step.planned_duration_s for step in self.schedule.steps[number:])
        return rest + max(present.planned_duration_s - in_step_s, 0.0)

    def _step(self, number: int) -> Step | None:
        steps = () if self.schedule is None else self.schedule.steps
        return steps[number - 1] if 1 <= number <= len(steps) else None

    def _see(self, event: str, marker: Mapping[str, Any], at_s: float) -> None:
        """Note what the screen shows from a marker on."""
        if event == "stimulus_onset":
            self._media_s = NAN
            rect = self._share(marker.get("rect_px"))
            kind = str(marker.get("kind") or "image")
            self._show(kind, "stimulus", at_s, stimulus=marker.get("stimulus"), rect=rect)
        elif event in ONSETS:
            text = marker.get("scale") or marker.get("text") or marker.get("kind")
            phase = event.removesuffix("_onset").removesuffix("_start")
            self._show(ONSETS[event], phase, at_s, text=None if text is None else str(text))
        elif event in OFFSETS:
            self._show(BLANK, str(self._context.get("phase") or "none"), at_s)

    def _show(self, kind: str, phase: str, at_s: float, **more: Any) -> None:
        self._stage, self._phase, self._since_s = {"kind": kind, **more}, phase, at_s

    def _share(self, rect_px: Any) -> list[float] | None:
        width, height = self.screen.get("width_px", 0), self.screen.get("height_px", 0)
        try:
            x0, y0, x1, y1 = (float(edge) for edge in rect_px)
        except (TypeError, ValueError):
            return None
        if not width or not height:
            return None
        return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]

    def _told(self, event: str, marker: Mapping[str, Any]) -> str | None:
        text = TOLD.get(event)
        if text is None:
            return None
        values = {key: marker.get(key) for key in ("block", "trial", "stimulus", "scale", "value")}
        if self.blind:
            values |= {"block": "", "stimulus": "a stimulus", "value": ""}
        return text.format(**values, reason=marker.get("reason"), text=marker.get("text"))
