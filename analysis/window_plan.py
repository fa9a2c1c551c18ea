"""Which windows of time are measured: declared in ``study.yaml``, before the data."""

from __future__ import annotations

import math
from pathlib import Path  # noqa: TC003 -- pydantic reads the annotations
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from duchenne.stimuli.errors import DuchenneError

RESERVED = ("sliding", "whole")
KEYS = ("windows", "sliding_windows")
LATE = 0.05
"""A sliding window may reach beyond the stimulus by this share of its width."""


class DeclaredWindow(BaseModel):
    """One window, placed by the onset or the offset of each stimulus.

    Parameters
    ----------
    name : str
        What the column ``window`` says.
    start_s, stop_s : float
        Seconds from the onset (or the offset), negative before it; the end is excluded. Without a
        ``stop_s`` the window ends with the stimulus.
    relative_to : {"onset", "offset"}
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w+$")
    start_s: float = 0.0
    stop_s: float | None = None
    relative_to: Literal["onset", "offset"] = "onset"

    @model_validator(mode="after")
    def _lasts(self) -> DeclaredWindow:
        last = self.stop_s if self.stop_s is not None else math.inf
        if self.relative_to == "offset" and self.stop_s is None:
            last = 0.0
        if not last > self.start_s:
            raise ValueError(f"the window {self.name} ends before it begins")
        if self.name in RESERVED:
            raise ValueError(f"the name {self.name} is taken: choose another")
        return self

    def span(self, onset_s: float, offset_s: float) -> tuple[float, float]:
        """Return start and end in the time of the arguments."""
        origin = onset_s if self.relative_to == "onset" else offset_s
        stop_s = offset_s if self.stop_s is None else origin + self.stop_s
        return origin + self.start_s, stop_s


class SlidingWindows(BaseModel):
    """Windows of one width, one after the other, from the onset to the offset of each stimulus.

    Parameters
    ----------
    width_s, step_s : float
        The last one may reach beyond the stimulus by a twentieth of its width.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width_s: float = Field(1.0, gt=0)
    step_s: float = Field(1.0, gt=0)


class WindowPlan(BaseModel):
    """All windows of a study.

    Parameters
    ----------
    windows : tuple of DeclaredWindow
    sliding_windows : SlidingWindows or None
        None: none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    windows: tuple[DeclaredWindow, ...] = (
        DeclaredWindow(name="first_second", start_s=0.0, stop_s=1.0),
    )
    sliding_windows: SlidingWindows | None = SlidingWindows()

    @field_validator("windows", mode="before")
    @classmethod
    def _with_names(cls, given: Any) -> Any:
        """Take a mapping of names to windows as well as a list of windows with names."""
        if not isinstance(given, dict):
            return given or ()
        return [
            {"name": name} | window if isinstance(window, dict) else window
            for name, window in given.items()
        ]

    @model_validator(mode="after")
    def _are_told_apart(self) -> WindowPlan:
        names = [window.name for window in self.windows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two windows are called {twice[0]}")
        return self

    def spans(self, onset_s: float, offset_s: float) -> list[tuple[str, int, float, float]]:
        """Return the windows of one presentation.

        Parameters
        ----------
        onset_s, offset_s : float
            When the stimulus was shown.

        Returns
        -------
        list of (name, number, start_s, stop_s)
            Sliding windows are numbered from 1, others have number 1; times as the arguments.
        """
        placed = [(w.name, 1, *w.span(onset_s, offset_s)) for w in self.windows]
        found = [window for window in placed if window[3] > window[2]]
        if self.sliding_windows is not None:
            width, step = self.sliding_windows.width_s, self.sliding_windows.step_s
            room = offset_s - onset_s - width * (1 - LATE)
            n = int(room / step + 1e-9) + 1 if room >= 0 else 0
            starts = (onset_s + i * step for i in range(n))
            found += [("sliding", i, start, start + width) for i, start in enumerate(starts, 1)]
        return found


DEFAULT_PLAN = WindowPlan()
FIRST_SECOND = DEFAULT_PLAN.windows[0]


def read_window_plan(study_yaml: Path | None) -> WindowPlan:
    """Return the windows of a study: the first second, those it declares, and sliding ones of 1 s.

    Parameters
    ----------
    study_yaml : Path or None
        ``study.yaml``; other keys than ``windows`` and ``sliding_windows`` are not looked at.
        ``sliding_windows: null`` wants none. The first second is always measured; a declared window
        named ``first_second`` takes its place.

    Raises
    ------
    DuchenneError
        If the file cannot be read, or a window is not declared as it should be.
    """
    if study_yaml is None or not study_yaml.is_file():
        return DEFAULT_PLAN
    try:
        content: Any = yaml.safe_load(study_yaml.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise DuchenneError(f"{study_yaml} cannot be read: {why}") from error
    if not isinstance(content, dict):
        return DEFAULT_PLAN
    given = {key: content[key] for key in KEYS if key in content}
    try:
        plan = WindowPlan.model_validate(given)
        own = tuple(w for w in plan.windows if w.name != FIRST_SECOND.name)
        first = next((w for w in plan.windows if w.name == FIRST_SECOND.name), FIRST_SECOND)
        return plan.model_copy(update={"windows": (first, *own)})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        why = problem["msg"].removeprefix("Value error, ")
        raise DuchenneError(f"{study_yaml}: {where or 'windows'}: {why}") from error
