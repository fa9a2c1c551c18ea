"""The simulated participant's camera: a FaceVideo stream with known Action Units in every frame."""

from __future__ import annotations

import base64
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pylsl
from pydantic import Field

from duchenne.recorder.sources.base import opened
from duchenne.recorder.sources.clips import (
    FRAME_RATE_HZ,
    VALUE_NAMES,
    ClipValues,
    clip_names,
    encode_clip,
    read_values,
)
from duchenne.recorder.sources.face_script import FaceScript
from duchenne.recorder.sources.listener import MarkerListener, tell_connected
from duchenne.recorder.sources.participant import NEUTRAL, Participant
from duchenne.recorder.sources.simulated import SimulatedOptions
from duchenne.recorder.sources.truth import FaceTruth, free_path
from duchenne.recorder.streams import declare_latency, video_description
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.recorder.sources.base import Outlet, SourceOptions

WIDTH_PX, HEIGHT_PX = 640, 480


class FaceCameraOptions(SimulatedOptions):
    """Settings of the simulated participant's camera.

    Attributes
    ----------
    name : str
        Name of the stream.
    """

    name: str = Field("FaceVideo", min_length=1, description="name of the stream")


class SimulatedFaceCamera:
    """The simulated participant's camera: 30 frames per second, each a JPEG picture as base64 text.

    The time stamp of a frame is when it was due on an exact clock. All frames are encoded before
    the stream appears, in about three seconds for all clips.

    Parameters
    ----------
    options : FaceCameraOptions
    """

    Options: ClassVar[type[SourceOptions]] = FaceCameraOptions
    summary: ClassVar[str] = "simulated participant's camera that reacts to the markers (FaceVideo)"

    def __init__(self, options: FaceCameraOptions) -> None:
        self._options = options
        self._listener = MarkerListener(options.markers_source_id, tell_connected)
        self._participant: Participant | None = None
        self._values: dict[str, ClipValues] = {}
        self._pictures: dict[str, tuple[bytes, ...]] = {}
        self._truth: FaceTruth | None = None
        self._n = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing: PyAV and OpenCV decode and encode the clips."""
        missing = [name for name in ("av", "cv2") if find_spec(name) is None]
        return "needs: pip install 'duchenne[camera]'" if missing else None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the FaceVideo stream."""
        info = video_description(
            source_id=self._options.source_id,
            frame_rate_hz=FRAME_RATE_HZ,
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            name=self._options.name,
            model="simulated participant",
        )
        declare_latency(info, 0.0)
        return info

    @property
    def result(self) -> str:
        """Number of frames and the truth file, if any."""
        text = f"{self._n} frames of {self._options.name}"
        return text if self._truth is None else f"{text}; truth: {self._truth.path}"

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The simulated face camera {reason}.")
        options = self._options
        self._participant = Participant.for_protocol(options.protocol, options.seed)
        names = _clips_needed(self._participant)
        begun_s = time.perf_counter()
        self._values = {name: read_values(name) for name in names}
        self._pictures = {name: encode_clip(name) for name in names}
        frames = sum(len(pictures) for pictures in self._pictures.values())
        print(f"encoded {frames} frames in {time.perf_counter() - begun_s:.1f} s", flush=True)
        if options.truth is not None:
            self._truth = FaceTruth(free_path(Path(options.truth), "face.tsv"), VALUE_NAMES)
        self._listener.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        self._pictures = {}
        if self._truth is not None:
            self._truth.close()

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push frames until `stop` is set."""
        script = FaceScript(opened(self._participant), self._values)
        start_s = pylsl.local_clock()
        while not stop.is_set():
            due_s = start_s + self._n / FRAME_RATE_HZ
            if stop.wait(max(due_s - pylsl.local_clock(), 0.0)):
                break
            for cue in self._listener.cues():
                script.hear(cue)
            shown = script.next(due_s)
            picture = base64.b64encode(self._pictures[shown.clip][shown.frame])
            outlet.push_chunk([picture], [due_s])
            self._n += 1
            if self._truth is not None:
                self._truth.add(due_s, shown, self._values[shown.clip].rows[shown.frame])


def _clips_needed(participant: Participant) -> list[str]:
    """Return the clips a participant may show; all of them where it does not know the stimuli."""
    available = clip_names()
    if not participant.traits:
        return available
    wanted = {NEUTRAL, *(t.expression for t in participant.traits.values())}
    return [name for name in available if name in wanted]
