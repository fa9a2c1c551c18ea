"""Live values for the eyes of an operator: gaze, sound level, Action Units, affect."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from duchenne.recorder.streams import StreamInfo

GAZE_WINDOW_S = 2.0
TRAIL_S, TRAIL_POINTS = 0.5, 24
DISTANCE_TOLERANCE = 0.15
QUIETEST_DBFS = -60.0
CLIPPING_DBFS = -0.5
NAN = float("nan")


@dataclass
class GazeView:
    """Where somebody looks, from the newest samples of a gaze stream.

    Parameters
    ----------
    info : StreamInfo
    distance_mm : float
        At which the participant should sit; NaN where nobody said.

    Attributes
    ----------
    seen_s : float
        When the eyes were last seen, on the recorder's LSL clock; NaN before.
    """

    info: StreamInfo
    distance_mm: float = NAN
    seen_s: float = NAN
    _first_s: float = NAN
    _rows: deque[tuple[float, npt.NDArray[np.float64]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._column = {c.label.lower(): i for i, c in enumerate(self.info.channels)}

    def see(self, samples: npt.NDArray[Any], received_s: float) -> None:
        """Take in samples, shape (n, channels), that arrived at `received_s`."""
        table = self._table(np.asarray(samples, np.float64))
        self._first_s = received_s if np.isnan(self._first_s) else self._first_s
        self._rows.append((received_s, table))
        while self._rows[0][0] < received_s - GAZE_WINDOW_S:
            self._rows.popleft()
        if self._valid(table).any():
            self.seen_s = received_s

    def away_s(self, now_s: float) -> float:
        """Return for how long the eyes have not been seen, seconds; NaN before the first sample."""
        return now_s - (self._first_s if np.isnan(self.seen_s) else self.seen_s)

    def to_json(self, now_s: float) -> dict[str, Any] | None:
        """Return the newest values; None before the first sample."""
        if not self._rows:
            return None
        received_s, newest = self._rows[-1]
        rows = np.concatenate([table for _, table in self._rows])
        recent = np.concatenate([t for at_s, t in self._rows if at_s >= received_s - TRAIL_S])
        eyes = {eye: self._eye(newest[-1], eye) for eye in ("left", "right")}
        both = self._both(newest[-1:])[0]
        distance_mm = _median(rows[:, 8:10])
        return {
            "x": both[0],
            "y": both[1],
            "valid": bool(self._valid(newest[-1:])[0]),
            **eyes,
            "distance_mm": distance_mm,
            "distance_range_mm": self._range(),
            "pupil_left": newest[-1, 4],
            "pupil_right": newest[-1, 5],
            "pupil_unit": self._unit("left_pupil"),
            "valid_share": float(np.mean(self._valid(rows))),
            "age_ms": (now_s - received_s) * 1e3,
            "trail": self._trail(recent),
            "stream": self.info.name,
            "advice": self._advice(distance_mm, float(np.mean(self._valid(rows)))),
        }

    def _table(self, samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return x, y of both eyes, pupils, validity, distances: shape (n, 10), NaN where not there."""
        labels = [
            *(f"{eye}_{axis}" for eye in ("left", "right") for axis in "xy"),
            *("left_pupil", "right_pupil", "left_valid", "right_valid"),
            *("left_distance", "right_distance"),
        ]
        table = np.full((len(samples), len(labels)), np.nan)
        for place, label in enumerate(labels):
            column = self._column.get(label)
            if column is None and place < 2:
                column = self._column.get("xy"[place])
            if column is not None:
                table[:, place] = samples[:, column]
        return table

    def _valid(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        seen = np.stack([self._eye_valid(table, eye) for eye in (0, 1)])
        return np.asarray(seen.any(axis=0), np.bool_)

    @staticmethod
    def _eye_valid(table: npt.NDArray[np.float64], eye: int) -> npt.NDArray[np.bool_]:
        flags = table[:, 6 + eye]
        said = np.isnan(flags) | (flags > 0)
        return np.asarray(
            said & np.isfinite(table[:, 2 * eye]) & np.isfinite(table[:, 2 * eye + 1])
        )

    def _both(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the mean of the valid eyes: shape (n, 2)."""
        eyes = table[:, :4].reshape(-1, 2, 2).copy()
        for eye in (0, 1):
            eyes[~self._eye_valid(table, eye), eye] = np.nan
        n = np.isfinite(eyes).sum(axis=1)
        return np.where(n > 0, np.nansum(eyes, axis=1) / np.maximum(n, 1), np.nan)

    def _eye(self, row: npt.NDArray[np.float64], eye: str) -> dict[str, Any]:
        place = 0 if eye == "left" else 1
        valid = bool(self._eye_valid(row[None], place)[0])
        return {"x": row[2 * place], "y": row[2 * place + 1], "valid": valid}

    def _trail(self, table: npt.NDArray[np.float64]) -> list[list[float]]:
        points = self._both(table)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) > TRAIL_POINTS:
            points = points[np.linspace(0, len(points) - 1, TRAIL_POINTS).round().astype(int)]
        return [[round(float(x), 4), round(float(y), 4)] for x, y in points]

    def _unit(self, label: str) -> str:
        column = self._column.get(label)
        return "" if column is None else self.info.channels[column].unit

    def _range(self) -> list[float] | None:
        if np.isnan(self.distance_mm):
            return None
        return [
            self.distance_mm * (1 - DISTANCE_TOLERANCE),
            self.distance_mm * (1 + DISTANCE_TOLERANCE),
        ]

    def _advice(self, distance_mm: float, valid_share: float) -> list[str]:
        found = []
        if valid_share < 0.5:
            found.append("the eyes are not seen: turn the eye tracker towards the face")
        off_mm = distance_mm - self.distance_mm
        if abs(off_mm) > DISTANCE_TOLERANCE * self.distance_mm:
            way = "closer" if off_mm > 0 else "back"
            found.append(f"move {abs(off_mm) / 10:.0f} cm {way}")
        return found


def _median(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else NAN


@dataclass
class SoundView:
    """How loud it is, from a stream of sound or of its level."""

    info: StreamInfo
    _levels: deque[tuple[float, float, float]] = field(default_factory=deque)

    @classmethod
    def fits(cls, info: StreamInfo) -> bool:
        """Whether a stream is one of sound or of its level."""
        return info.type.lower() in {"audio", "audiolevel", "soundlevel"} or {
            c.label for c in info.channels
        } >= {"rms", "peak"}

    def see(self, samples: npt.NDArray[Any], received_s: float) -> None:
        """Take in samples, shape (n, channels), that arrived at `received_s`."""
        labels = [channel.label for channel in self.info.channels]
        values = np.asarray(samples, np.float64)
        if "rms" in labels and "peak" in labels:
            rms = float(np.nanmax(values[:, labels.index("rms")]))
            peak = float(np.nanmax(values[:, labels.index("peak")]))
        else:
            full = 32768.0 if samples.dtype.kind == "i" else 1.0
            loud = np.abs(values) / full
            rms = _decibels(float(np.sqrt(np.mean(loud**2))))
            peak = _decibels(float(np.max(loud)))
        self._levels.append((received_s, rms, peak))
        while self._levels[0][0] < received_s - 0.3:
            self._levels.popleft()

    def to_json(self, _now_s: float) -> dict[str, Any] | None:
        """Return the level of the last third of a second; None before the first sample."""
        if not self._levels:
            return None
        rms, peak = max(row[1] for row in self._levels), max(row[2] for row in self._levels)
        return {
            "level_db": round(rms, 1),
            "peak_db": round(peak, 1),
            "level": min(max(1 - rms / QUIETEST_DBFS, 0.0), 1.0),
            "clipping": peak > CLIPPING_DBFS,
            "stream": self.info.name,
        }


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-6)))


@dataclass
class LastRow:
    """The newest sample of a stream, by the labels of its channels."""

    info: StreamInfo
    _row: npt.NDArray[np.float64] | None = None
    _stamp_s: float = NAN

    def see(self, samples: npt.NDArray[Any], stamp_s: float) -> None:
        """Take in samples, shape (n, channels); `stamp_s` is the time of the last one."""
        self._row, self._stamp_s = np.asarray(samples[-1], np.float64), stamp_s

    def values(self) -> dict[str, float]:
        """Return the values by label; empty before the first sample."""
        if self._row is None:
            return {}
        return {c.label: float(v) for c, v in zip(self.info.channels, self._row, strict=False)}

    def units_json(self, now_s: float) -> dict[str, Any] | None:
        """Return Action Units as pages get them."""
        if self._row is None:
            return None
        return {"values": self.values(), "age_ms": (now_s - self._stamp_s) * 1e3}

    def affect_json(self, now_s: float) -> dict[str, Any] | None:
        """Return valence, arousal and prototype as pages get them."""
        found = self.values()
        if not found:
            return None
        return {
            "valence": found.get("expr_valence"),
            "arousal": found.get("expr_arousal"),
            "prototype": _prototype(found.get("expr_prototype", NAN)),
            "usable": found.get("usable", 1.0) > 0,
            "age_ms": (now_s - self._stamp_s) * 1e3,
        }


def _prototype(code: float) -> str | None:
    from duchenne.analysis.face.emotion import LABELS  # noqa: PLC0415 -- only where it is measured

    return LABELS[int(code)] if 0 <= code < len(LABELS) else None
