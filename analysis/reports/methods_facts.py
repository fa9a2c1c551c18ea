"""What was done with which settings, gathered over the sessions of a study."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.reports.data import backend_of
from duchenne.analysis.values import number, records, text
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.reports.study_data import StudyData, StudySession

    Floats = NDArray[np.float64]

NOT_RECORDED = "not recorded"
RECORDED = "recorded"
"""Backend of Action Units that came as a stream."""


@dataclass(frozen=True)
class Facts:
    """Settings and measures of a study; of values that differ between sessions, all of them.

    Parameters
    ----------
    configurations : tuple of dict
        The ``configuration`` of each counted session's provenance.
    provenances : tuple of dict
    quality : tuple of dict
        Rows of all counted sessions' quality tables.
    devices : dict of str to tuple of str
        Makers and models by stream type, as the streams describe themselves.
    pupil : tuple of str
        Units and measures of pupils.
    calibrations : int or None
        Sessions with a recorded calibration; None where the session files are not here.
    exclusions : dict
        The lock of ``exclusions.yaml``, and its rules.
    """

    configurations: tuple[dict[str, Any], ...]
    provenances: tuple[dict[str, Any], ...]
    quality: tuple[dict[str, Any], ...]
    devices: dict[str, tuple[str, ...]]
    pupil: tuple[str, ...]
    calibrations: int | None
    exclusions: dict[str, Any]

    def each(self, *path: str) -> list[Any]:
        """Return the different values of a setting over the sessions, in order; missing ones left out."""
        return distinct(_at(one, path) for one in self.configurations)

    def backends(self) -> list[str]:
        """Return what measured Action Units, over the sessions with a face."""
        return [str(one) for one in distinct(map(backend_of, self.configurations))]

    def leaves_out_speech(self) -> bool | None:
        """Return whether frames with speech are left out; None where speech was not judged everywhere."""
        judged = all(
            "speaking" not in (_at(one, ("face", "dynamics", "not_measured")) or {})
            for one in self.configurations
        )
        found = self.each("face", "dynamics", "leave_out_speech")
        return bool(found == [True]) if judged and found else None

    def numbers(self, *path: str) -> Floats:
        """Return the known numbers of a setting or measure, one per session."""
        values = np.array([number(_at(one, path)) for one in self.configurations])
        return np.asarray(values[np.isfinite(values)], dtype=np.float64)

    def told(self, *path: str) -> str:
        """Return a setting in words; empty where no session has it."""
        return ", ".join(as_said(value) for value in self.each(*path))

    def measured(self, kind: str, column: str) -> Floats:
        """Return a measure of quality of the streams of one type, known values only."""
        values = np.array(
            [number(row.get(column)) for row in self.quality if row.get("type") == kind]
        )
        return np.asarray(values[np.isfinite(values)], dtype=np.float64)

    def packages(self) -> str:
        """Return the packages with their versions, in words."""
        found: dict[str, set[str]] = {}
        for one in self.provenances:
            for name, version in (one.get("packages") or {}).items():
                if version:
                    found.setdefault(str(name), set()).add(str(version))
        return ", ".join(f"{name} {'/'.join(sorted(each))}" for name, each in found.items())


def facts_of(data: StudyData, study: Path) -> Facts:
    """Return the settings and measures of a study."""
    counted = data.counted
    devices, calibrations = _devices(counted)
    units = distinct(
        f"{text(row.get('pupil_measure')) or 'size'} in {text(row.get('pupil_unit'))}"
        for session in counted
        for row in records(session.quality)
        if text(row.get("pupil_unit"))
    )
    return Facts(
        configurations=tuple(dict(one.provenance.get("configuration") or {}) for one in counted),
        provenances=tuple(one.provenance for one in counted),
        quality=tuple(row for one in counted for row in records(one.quality)),
        devices=devices,
        pupil=tuple(units),
        calibrations=calibrations,
        exclusions=_exclusions(study),
    )


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return different values in their order; missing ones left out."""
    found: dict[str, Any] = {}
    for value in values:
        if value is not None and value != "":
            found.setdefault(json.dumps(value, sort_keys=True, default=str), value)
    return list(found.values())


def as_said(value: Any) -> str:
    """Return a setting as a sentence may hold it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {as_said(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(as_said(part) for part in value)
    return str(value)


def median_and_range(values: Any, unit: str, decimals: int = 2, *, scale: float = 1.0) -> str:
    """Return a measure over sessions as papers print it; empty where there is none."""
    if not len(values):
        return ""
    known = np.asarray(values) * scale
    middle, low, high = (f"{v:.{decimals}f}" for v in (np.median(known), known.min(), known.max()))
    space = "" if unit in {"°", ""} else " "
    return f"{middle}{space}{unit}" + ("" if low == high else f" ({low} to {high})")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _devices(sessions: list[StudySession]) -> tuple[dict[str, tuple[str, ...]], int | None]:
    found: dict[str, list[str]] = {}
    calibrated, opened = 0, 0
    for session in sessions:
        if session.file is None:
            continue
        try:
            with Recording.open(session.file) as recording:
                opened += 1
                calibrated += bool(recording.calibrations)
                for stream in recording.streams.values():
                    name = " ".join(
                        part
                        for part in (
                            stream.info.described("acquisition/manufacturer"),
                            stream.info.described("acquisition/model"),
                        )
                        if part
                    )
                    found.setdefault(stream.info.type, []).append(name)
        except DuchenneError:
            continue
    return {kind: tuple(distinct(names)) for kind, names in found.items()}, (
        calibrated if opened else None
    )


def _exclusions(study: Path) -> dict[str, Any]:
    path = study / "exclusions.lock.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
