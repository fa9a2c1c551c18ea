"""A recorded session or XDF file, played onto LSL again: one of its streams, or all of them."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import h5py
import numpy as np
import pylsl
from pydantic import Field

from duchenne.recorder.convert import XDF_ENDINGS, convert
from duchenne.recorder.recording import Recording
from duchenne.recorder.sources.base import MAX_BUFFERED_S, SourceOptions, opened
from duchenne.recorder.sources.replay_plan import (
    Due,
    Part,
    describe_replay,
    dues,
    part_of,
    span_s,
)
from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet

SLICE_S = 0.01
"""Samples are sent in groups of so many seconds, each when its last sample is due."""
LINGER_S = 0.5
"""Outlets stay open for so long after the last sample, so that it arrives."""
ALL = "all"


class ReplayOptions(SourceOptions):
    """Settings of a replay.

    Attributes
    ----------
    file : str
        Session file or XDF file.
    stream : str
        Group or name of the stream; ``all`` for every stream of the file.
    name : str
        Name of the outlet; empty keeps the recorded one.
    speed : float
        Recorded seconds per second.
    loop : bool
        Whether it begins again at the end.
    start_s, end_s : float, optional
        From where to where, in seconds from ``session_start``.
    delay_s : float
        From the opening of the outlets to the first sample, for listeners to connect.
    """

    file: str = Field(min_length=1, description="session file (.h5) or XDF file")
    stream: str = Field("Gaze", min_length=1, description="stream to replay, or all")
    name: str = Field("", description="name of the new stream, if not the recorded one")
    speed: float = Field(1.0, gt=0, le=1000, description="recorded seconds per second")
    loop: bool = Field(False, description="begin again at the end")
    start_s: float | None = Field(None, description="where to begin, seconds from session_start")
    end_s: float | None = Field(None, description="where to end, seconds from session_start")
    delay_s: float = Field(0.5, ge=0, le=3600, description="wait before the first sample")


class Replay:
    """Plays recorded streams with their true sample spacing.

    Parameters
    ----------
    options : ReplayOptions
    """

    Options: ClassVar[type[SourceOptions]] = ReplayOptions
    summary: ClassVar[str] = "a recorded session or XDF file, played again (file=FILE)"

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._parts: list[Part] = []
        self._infos: list[pylsl.StreamInfo] = []
        self._others: list[pylsl.StreamOutlet] = []
        self._start_lsl_s = 0.0
        self._n = 0
        self._passes = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None: it needs no more than a file."""

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream, or of the first of all; known once the file is open."""
        return opened(next(iter(self._infos), None))

    @property
    def result(self) -> str:
        """Number of samples and passes."""
        text = f"{self._n} samples of {self._options.stream} from {self._options.file}"
        return f"{text}, {self._passes} times over" if self._passes > 1 else text

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            session = self._session_file(stack)
            recording = stack.enter_context(Recording.open(session))
            file = stack.enter_context(h5py.File(session, "r"))
            self._parts = self._chosen(recording, file)
            begin, length_s = span_s(self._parts)
            if math.isnan(begin):
                raise DuchenneError(
                    f"{self._options.file}: no samples of {self._options.stream} in that range."
                )
            self._start_lsl_s = pylsl.local_clock() + self._options.delay_s
            self._infos = [self._describe(part, begin, length_s) for part in self._parts]
            self._others = [
                pylsl.StreamOutlet(info, max_buffered=MAX_BUFFERED_S) for info in self._infos[1:]
            ]
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._others = []
        self._stack.close()

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push samples until `stop` is set, or the recording is over and not looped."""
        outlets = [outlet, *self._others]
        begin, length_s = span_s(self._parts)
        speed = self._options.speed
        while not stop.is_set():
            base_s = self._start_lsl_s + self._passes * length_s / speed
            for due in dues(self._parts, SLICE_S * max(1.0, speed)):
                stamps = base_s + (due.times_s - begin) / speed
                finite = stamps[np.isfinite(stamps)]
                last_s = float(np.max(finite, initial=base_s + (due.due_s - begin) / speed))
                if stop.wait(max(last_s - pylsl.local_clock(), 0.0)):
                    return
                self._push(outlets[due.number], due, stamps)
            self._passes += 1
            if not self._options.loop:
                stop.wait(LINGER_S)
                return

    def _push(self, outlet: Outlet | pylsl.StreamOutlet, due: Due, stamps: Any) -> None:
        values = due.block.values
        if isinstance(values, np.ndarray):
            outlet.push_chunk(np.ascontiguousarray(values), stamps.tolist())
        else:
            outlet.push_chunk([text for row in values for text in row], stamps.tolist())
        self._n += len(stamps)

    def _session_file(self, stack: ExitStack) -> Path:
        """Return the file, an XDF file converted first."""
        path = Path(self._options.file)
        if not path.is_file():
            raise DuchenneError(f"{path} does not exist: give a session file or an XDF file.")
        if not path.name.lower().endswith(XDF_ENDINGS):
            return path
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="duchenne-replay-"))
        return convert(path, Path(folder) / "session.h5").path

    def _chosen(self, recording: Recording, file: h5py.File) -> list[Part]:
        options = self._options
        streams = recording.streams
        wanted = [
            key
            for key, stream in streams.items()
            if options.stream in {ALL, key, stream.info.name} and stream.n
        ]
        if options.stream != ALL:
            wanted = [options.stream] if options.stream in wanted else wanted[:1]
        if not wanted:
            known = ", ".join(key for key, stream in streams.items() if stream.n) or "none"
            raise DuchenneError(
                f"{options.file} has no samples of a stream {options.stream}"
                f"{did_you_mean(options.stream, list(streams))}; it has {known}."
            )
        parts = [
            part_of(streams[key], file["streams"][key], options.start_s, options.end_s)
            for key in wanted
        ]
        kept = [part for part in parts if part.stop > part.first]
        return sorted(kept, key=lambda part: part.info.type != "Gaze")

    def _describe(self, part: Part, begin: float, length_s: float) -> pylsl.StreamInfo:
        options = self._options
        first = part is self._parts[0]
        single = options.stream != ALL
        facts = {
            "file": Path(options.file).name,
            "stream": part.key,
            "speed": repr(options.speed),
            "loop": str(options.loop).lower(),
            "recorded_first_lsl_s": repr(begin),
            "recorded_length_s": repr(length_s),
            "replayed_first_lsl_s": repr(self._start_lsl_s),
            "recorded_srate_hz": repr(part.info.nominal_srate_hz),
            "recorded_source_id": part.info.source_id,
            "recorded_uid": part.info.uid,
        }
        return describe_replay(
            part.info,
            name=(options.name if single else "") or part.info.name or part.key,  # LSL wants a name
            source_id=options.source_id if first else f"{options.source_id}-{part.key}",
            speed=options.speed,
            facts=facts,
        )
