"""Everything that is seen of a set of streams: their tables, their live values, what is wrong with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.console.alarms import Reading, stream_problem
from duchenne.analysis.console.camera import CameraView
from duchenne.analysis.console.faces import FaceWatch
from duchenne.analysis.console.signals import GazeView, LastRow, SoundView
from duchenne.analysis.console.stream_stats import (
    ChangeWatch,
    StreamStats,
    signature,
    telling_channels,
)
from duchenne.protocols.alignment import Alignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duchenne.analysis.console.journal_tail import Batch
    from duchenne.recorder.streams import StreamInfo

LIVE_WITHIN_S = 3.0
AU_TYPE, AFFECT_TYPE = "ActionUnits", "Affect"
RECENT_RATE_S = 3.0


@dataclass
class Seen:
    """One stream and what is known of it."""

    info: StreamInfo
    stats: StreamStats
    change: ChangeWatch = field(default_factory=ChangeWatch)
    channels: list[int] = field(default_factory=list)
    gaze: GazeView | None = None
    camera: CameraView | None = None
    sound: SoundView | None = None
    row: LastRow | None = None
    segments: int = 1
    is_gone: bool = False
    met_s: float = math.nan

    def age_s(self, now_s: float) -> float:
        """Return since when nothing has come, seconds: since the stream was met, where nothing ever has."""
        return self.stats.age_s(now_s) if self.stats.n else max(0.0, now_s - self.met_s)


@dataclass
class Observation:
    """Streams that are watched together.

    Parameters
    ----------
    is_recorded : bool
        They come from a recording, not only from the network.
    distance_mm : float
        At which the participant should sit.
    alignment : Alignment
        What is allowed.
    """

    is_recorded: bool
    distance_mm: float = math.nan
    alignment: Alignment = field(default_factory=Alignment)
    required: frozenset[str] = frozenset()
    seen: dict[str, Seen] = field(default_factory=dict)
    face: FaceWatch = field(default_factory=FaceWatch)

    def close(self) -> None:
        """End what looks at pictures."""
        self.face.close()

    def wants(self, info: StreamInfo, received_s: float, now_s: float) -> str:
        """Return how much of a chunk is worth reading; what is old is not shown any more."""
        if info.type == "Markers":
            return "all"
        if now_s - received_s > LIVE_WITHIN_S:
            return "none"
        if info.is_string and not info.is_video:
            return "none"
        shown = info.is_video or info.type in {"Gaze", AU_TYPE, AFFECT_TYPE, "StimulusFrames"}
        return "all" if shown or SoundView.fits(info) else "first"

    def meet(self, streams: Mapping[str, StreamInfo], now_s: float) -> None:
        """Take in which streams there are, whether they send anything or not."""
        for key, info in streams.items():
            if key not in self.seen:
                self.seen[key] = self._met(info)
                self.seen[key].met_s = now_s

    def take(self, batch: Batch) -> None:
        """Take in samples of one stream."""
        self.meet({batch.key: batch.info}, batch.received_s)
        seen = self.seen[batch.key]
        seen.stats.add(batch.stamps_s, batch.received_s)
        seen.is_gone = False
        samples = batch.samples
        if samples is None or not len(samples) or not len(batch.stamps_s):
            return
        if isinstance(samples, np.ndarray):
            self._values(seen, samples, batch)
        elif seen.camera is not None:
            seen.camera.see(samples, batch.stamps_s.tolist(), batch.received_s)
            self.face.offer(seen.camera.jpeg, seen.camera.stamp_s)

    def add_offset(self, key: str, time_s: float, offset_s: float) -> None:
        """Take in a measurement of a sender's clock."""
        if key in self.seen:
            self.seen[key].stats.add_offset(time_s, offset_s)

    def lost(self, name: str) -> None:
        """Note that the connection to a stream has broken."""
        for seen in self.seen.values():
            if seen.info.name == name:
                seen.is_gone = True

    def readings(self, now_s: float) -> dict[str, Reading]:
        """Return what is known of each stream."""
        return {key: self._reading(seen, now_s) for key, seen in self.seen.items()}

    def table(self, now_s: float) -> list[dict[str, Any]]:
        """Return the table of streams for pages."""
        return [
            self._row(key, seen, reading)
            for (key, seen), reading in zip(
                self.seen.items(), self.readings(now_s).values(), strict=True
            )
        ]

    def live(self, now_s: float) -> dict[str, Any]:
        """Return gaze, face, Action Units, affect and sound for pages."""
        found: dict[str, Any] = dict.fromkeys(("gaze", "face", "au", "affect", "audio"))
        for seen in self.seen.values():
            age_s = seen.stats.age_s(now_s)
            if seen.gaze is not None and found["gaze"] is None:
                found["gaze"] = seen.gaze.to_json(now_s)
            if seen.camera is not None and found["face"] is None:
                found["face"] = self._face(seen, now_s)
            if seen.sound is not None and found["audio"] is None and age_s < LIVE_WITHIN_S:
                found["audio"] = seen.sound.to_json(now_s)
            if seen.row is not None and age_s < LIVE_WITHIN_S:
                is_units = seen.info.type == AU_TYPE
                values = seen.row.units_json(now_s) if is_units else seen.row.affect_json(now_s)
                found["au" if is_units else "affect"] = values
        return found

    @property
    def camera(self) -> CameraView | None:
        """The first video stream that has pictures."""
        views = (seen.camera for seen in self.seen.values())
        return next((view for view in views if view is not None and view.jpeg), None)

    def face_away_s(self, now_s: float) -> float:
        """Return for how long no face was found, seconds; NaN where nobody looks, or there never was one."""
        newest = self.face.newest
        if newest is None or math.isnan(self.face.found_s) or newest.found:
            return math.nan
        return now_s - self.face.found_s

    def eyes_away_s(self, now_s: float) -> float:
        """Return for how long no eye was seen though samples arrive, seconds; NaN without gaze."""
        for seen in self.seen.values():
            if seen.gaze is not None and seen.stats.age_s(now_s) < LIVE_WITHIN_S / 3:
                return seen.gaze.away_s(now_s)
        return math.nan

    def _met(self, info: StreamInfo) -> Seen:
        seen = Seen(info, StreamStats(info.nominal_srate_hz))
        if info.is_video:
            seen.camera = CameraView(info)
        elif info.type == "Gaze" and not info.is_string:
            seen.gaze = GazeView(info, self.distance_mm)
        elif info.type in {AU_TYPE, AFFECT_TYPE} and not info.is_string:
            seen.row = LastRow(info)
        elif SoundView.fits(info) and not info.is_string:
            seen.sound = SoundView(info)
        seen.channels = [] if info.is_string else telling_channels(info)
        return seen

    def _values(self, seen: Seen, samples: np.ndarray[Any, Any], batch: Batch) -> None:
        if seen.channels:
            values = signature(samples, seen.channels)
            if values is None:
                seen.change = ChangeWatch()
            else:
                seen.change.see(values, batch.received_s)
        if seen.gaze is not None:
            seen.gaze.see(samples, batch.received_s)
        if seen.sound is not None:
            seen.sound.see(samples, batch.received_s)
        if seen.row is not None:
            seen.row.see(samples, float(batch.stamps_s[-1]))

    def _reading(self, seen: Seen, now_s: float) -> Reading:
        info, stats = seen.info, seen.stats
        limits = self.alignment.for_type(info.type)
        change = seen.change if seen.camera is None else seen.camera.change
        return Reading(
            info.name,
            info.type,
            info.nominal_srate_hz,
            stats.n,
            seen.age_s(now_s),
            stats.rate_hz(RECENT_RATE_S),
            stats.observed_s,
            change.same_s,
            change.n_same,
            stats.late_s,
            stats.drift_ppm,
            limits.max_drift_ppm or math.inf,
            limits.max_rate_error or math.inf,
            seen.is_gone,
        )

    def _row(self, key: str, seen: Seen, reading: Reading) -> dict[str, Any]:
        info, stats = seen.info, seen.stats
        problem = stream_problem(reading)
        row = {
            "key": key,
            "name": info.name,
            "type": info.type,
            "required": info.name in self.required,
            "state": "ok" if problem is None else problem.kind,
            "reason": "" if problem is None else problem.text,
            "nominal_hz": info.nominal_srate_hz,
            "rate_hz": stats.rate_hz(),
            "age_s": reading.age_s,
            "samples": stats.n,
            "lost": stats.lost,
            "gaps": stats.gaps,
            "longest_gap_s": stats.longest_gap_s,
            "offset_ms": stats.offset_s * 1e3 if stats.n_offsets else None,
            "drift_ppm": stats.drift_ppm,
            "jitter_ms": stats.jitter_ms,
            "channels": info.channel_count,
            "segments": seen.segments,
            "recorded": self.is_recorded,
        }
        if problem is None and not stats.n:
            row["state"] = "waiting"
        return row

    def _face(self, seen: Seen, now_s: float) -> dict[str, Any] | None:
        camera, look = seen.camera, self.face.newest
        if camera is None or not camera.jpeg:
            return None
        offset_s = seen.stats.offset_s
        ages = {"age_ms": (now_s - camera.stamp_s - offset_s) * 1e3, "stream": seen.info.name}
        if look is None:
            names = ("found", "box", "yaw_deg", "pitch_deg", "roll_deg", "brightness", "sharpness")
            unknown = dict.fromkeys((*names, "confidence", "ok", "checked_ms"))
            why = self.face.failed or FaceWatch.unavailable()
            return {
                **unknown,
                "advice": [f"the face is not looked for: {why}"] if why else [],
                **ages,
            }
        return {**look.to_json(), **ages, "checked_ms": (now_s - look.at_s - offset_s) * 1e3}
