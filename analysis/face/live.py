"""Action Units and affect in real time: a source that measures a camera's pictures as they come."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pylsl
from pydantic import Field

from duchenne.analysis.face.backends.registry import DEFAULT_BACKEND, load_backend
from duchenne.analysis.face.live_frames import SIMULATED, SourceFeed, StreamFeed, WaitingRoom
from duchenne.analysis.face.live_measure import LiveMeter
from duchenne.analysis.face.live_neutral import LiveNeutral, NeutralFrom
from duchenne.analysis.face.live_streams import affect_description, affect_row, au_description
from duchenne.recorder.sources.base import MAX_BUFFERED_S, SourceOptions, opened
from duchenne.recorder.sources.listener import MarkerListener
from duchenne.recorder.sources.notices import notice
from duchenne.recorder.video_packets import make_decoder
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from duchenne.analysis.face.live_frames import Feed, Taken
    from duchenne.recorder.sources.base import Outlet
    from duchenne.recorder.video_packets import PacketDecoder

TAKE_S = 0.1
WATCH_S = 10.0
TELL_DROPS = 0.05
"""Share of dropped frames, within ten seconds, from which the operator is told."""
KEPT_LATENCIES = 100_000


class LiveAuOptions(SourceOptions):
    """Settings of the live measurement; each is described in its field."""

    name: str = Field("AU", min_length=1, description="name of the stream of intensities")
    affect_name: str = Field("Affect", min_length=1, description="name of the affect stream")
    camera: str | None = Field(
        None, description="camera number, video file, folder of pictures, or simulated"
    )
    stream: str | None = Field(
        None, description="face video stream that is already published, instead of a camera"
    )
    backend: str = Field(DEFAULT_BACKEND, description="what measures Action Units")
    neutral: NeutralFrom = Field(
        "first", description="reference until a neutral phase is marked: first, markers or typical"
    )
    neutral_s: float = Field(
        5.0, gt=0, le=120, description="seconds of usable face that count as the first seconds"
    )
    markers_source_id: str | None = Field(None, description="listen to this Markers outlet only")
    video: bool = Field(False, description="publish the camera's pictures as well")
    video_name: str = Field("FaceVideo", min_length=1, description="name of the video stream")
    width_px: int | None = Field(None, ge=16, le=8192, description="width to ask of a camera")
    height_px: int | None = Field(None, ge=16, le=8192, description="height to ask of a camera")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="rate to ask of a camera")
    loop: bool = Field(True, description="begin a film or folder again at its end")


class LiveActionUnits:
    """Measures the face in a camera's pictures and publishes two streams at the camera's rate.

    The stream of intensities has one channel per Action Unit, the affect stream valence, prototype
    matches, quality and head pose. Every sample has the time at which its picture was captured; NaN
    stands for what could not be measured. Pictures that would make the measurement lag are dropped
    and counted.

    Parameters
    ----------
    options : LiveAuOptions

    Raises
    ------
    UsageError
        Where neither or both of camera and stream are given.
    """

    Options: ClassVar[type[SourceOptions]] = LiveAuOptions
    summary: ClassVar[str] = "Action Units and affect in real time, from a camera or a face video"

    def __init__(self, options: LiveAuOptions) -> None:
        if (options.camera is None) == (options.stream is None):
            raise UsageError(
                "Source 'au' needs one of --camera (0, a video file, or simulated) and --stream NAME."
            )
        self._options = options
        self._backend = load_backend(options.backend)
        self._neutral = LiveNeutral(self._backend, options.neutral, options.neutral_s)
        self._listener = MarkerListener(options.markers_source_id)
        self._room = WaitingRoom()
        self._feed: Feed | None = None
        self._meter: LiveMeter | None = None
        self._affect: pylsl.StreamOutlet | None = None
        self._info: pylsl.StreamInfo | None = None
        self._drops = _DropWatch(options.name)
        self._latencies_s: list[float] = []
        self._n = 0
        self._n_undecodable = 0
        self._n_usable = 0

    @classmethod
    def unavailable(cls) -> str | None:
        """Return what is missing on this machine."""
        missing = [name for name in ("av", "cv2", "mediapipe") if find_spec(name) is None]
        return "needs: pip install 'duchenne[analysis]'" if missing else None

    @property
    def info(self) -> pylsl.StreamInfo:
        """Description of the stream of intensities; known once the camera is open."""
        return opened(self._info)

    @property
    def result(self) -> str:
        """Number of frames measured and dropped, and the latency from capture to publication."""
        parts = [f"{self._n} frames measured, {self._n_usable} of them usable"]
        parts.append(f"{self._room.n_dropped} dropped, too slow")
        if self._n_undecodable + self._room.n_damaged:
            parts.append(f"{self._n_undecodable + self._room.n_damaged} damaged")
        if self._latencies_s:
            middle, high = np.percentile(self._latencies_s, [50, 95]) * 1e3
            parts.append(f"latency {middle:.0f} ms (median), {high:.0f} ms (95 %)")
        parts.append(f"reference: {self._neutral.calibration.source}")
        return "; ".join(parts)

    def __enter__(self) -> Self:
        reason = self.unavailable()
        if reason is not None:
            raise DuchenneError(f"The live measurement {reason}.")
        meter = LiveMeter(self._backend, self._neutral)
        meter.__enter__()
        self._meter = meter
        try:
            self._feed = self._open_feed()
        except BaseException:
            meter.__exit__(None, None, None)
            raise
        options, backend = self._options, self._backend
        self._info = au_description(
            name=options.name,
            source_id=options.source_id,
            rate_hz=self._feed.rate_hz,
            au_names=backend.au_names,
            backend=backend.name,
            reliability=backend.reliability,
            origin=self._feed.origin,
        )
        affect = affect_description(
            name=options.affect_name,
            source_id=f"{options.source_id}-affect",
            rate_hz=self._feed.rate_hz,
            backend=backend.name,
            origin=self._feed.origin,
        )
        self._affect = pylsl.StreamOutlet(affect, max_buffered=MAX_BUFFERED_S)
        self._listener.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        self._affect = None
        if self._feed is not None:
            self._feed.__exit__(exc_type, exc, traceback)
            self._feed = None
        if self._meter is not None:
            self._meter.__exit__(exc_type, exc, traceback)
            self._meter = None

    def run(self, outlet: Outlet, stop: threading.Event) -> None:
        """Push measurements until `stop` is set or the film is over.

        Raises
        ------
        DuchenneError
            Where the camera stops delivering.
        """
        feed = opened(self._feed)
        feeding = _Feeding(feed, self._room)
        decoder = make_decoder(feed.codec)
        feeding.start()
        try:
            while not stop.is_set():
                self._hear_markers()
                taken = self._room.take(TAKE_S)
                if taken is not None:
                    self._measure(taken, decoder, outlet)
                elif feeding.is_over:
                    break
        finally:
            feeding.end()
        feeding.complain()

    def _measure(self, taken: Taken, decoder: PacketDecoder, outlet: Outlet) -> None:
        assert self._feed is not None
        assert self._meter is not None
        if self._feed.codec != "MJPG":
            for packet in taken.skipped:  # a codec with memory has to see every packet
                decoder.decode(packet.data)
        time_s = taken.packet.time_s
        image = decoder.decode(taken.packet.data)
        frame = self._meter.measure(time_s, image)
        outlet.push_chunk(frame.intensities[None, :], [time_s])
        latency_s = pylsl.local_clock() - time_s
        if self._affect is not None:
            row = affect_row(frame, self._neutral.code, latency_s)
            self._affect.push_chunk(row, [time_s])
        self._n += 1
        self._n_usable += frame.is_usable
        self._n_undecodable += image is None
        if len(self._latencies_s) < KEPT_LATENCIES:
            self._latencies_s.append(latency_s)
        self._drops.see(time_s, self._n, self._room.n_dropped)

    def _hear_markers(self) -> None:
        for cue in self._listener.cues():
            if self._neutral.hear(cue.event, cue.time_s):
                n = self._neutral.calibration.n_frames
                notice(f"{self._options.name}: neutral face taken from {n} frames")

    def _open_feed(self) -> Feed:
        options = self._options
        if options.stream is not None:
            return StreamFeed(options.stream).__enter__()
        assert options.camera is not None
        settings: dict[str, str] = {}
        if options.camera == SIMULATED:
            if options.markers_source_id is not None:
                settings["markers_source_id"] = options.markers_source_id
        else:
            wanted = {key: getattr(options, key) for key in ("width_px", "height_px", "rate_hz")}
            settings = {key: str(value) for key, value in wanted.items() if value is not None}
            settings["loop"] = str(options.loop).lower()
        return SourceFeed(
            options.camera,
            name=options.video_name,
            source_id=f"{options.source_id}-video",
            settings=settings,
            publish=options.video,
        ).__enter__()


class _Feeding:
    """The thread in which a feed fills the waiting room."""

    def __init__(self, feed: Feed, room: WaitingRoom) -> None:
        self._feed, self._room = feed, room
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="face-feed")

    @property
    def is_over(self) -> bool:
        """Whether the feed has ended by itself."""
        return not self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop it and wait until it has stopped."""
        self._stop.set()
        self._thread.join()

    def complain(self) -> None:
        """Raise what the feed raised."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            self._feed.run(self._room, self._stop)
        except BaseException as error:  # noqa: BLE001 -- handed on to the thread that measures
            self._error = error


class _DropWatch:
    """Tells the operator, every ten seconds at most, that frames are being dropped."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since_s: float | None = None
        self._before = (0, 0)

    def see(self, time_s: float, n_measured: int, n_dropped: int) -> None:
        """Take the counts after a frame."""
        if self._since_s is None:
            self._since_s, self._before = time_s, (n_measured, n_dropped)
            return
        if time_s - self._since_s < WATCH_S:
            return
        measured, dropped = n_measured - self._before[0], n_dropped - self._before[1]
        share = dropped / max(measured + dropped, 1)
        if share > TELL_DROPS:
            notice(
                f"{self._name}: {share:.0%} of the frames of the last {WATCH_S:g} s were dropped, as this "
                "computer is too slow for them; a lower rate_hz or a smaller picture helps"
            )
        self._since_s, self._before = time_s, (n_measured, n_dropped)
