"""Markers: the event vocabulary, its JSON form, and the two LSL outlets of a presentation.

A marker says what happened at a flip of the screen or at a key press. Its LSL time stamp is taken by
whoever saw the event (in the flip callback, in the key handler) and handed to `MarkerOutlet.push`, so
that the time needed for encoding and sending never moves the stamp.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pylsl

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

EVENTS: tuple[str, ...] = (
    "session_start",
    "session_end",
    "block_start",
    "block_end",
    "break_start",
    "break_end",
    "instruction_onset",
    "instruction_offset",
    "drift_check",
    "note",
    "skip",
    "calibration_start",
    "calibration_end",
    "validation_point",
    "baseline_onset",
    "baseline_offset",
    "neutral_onset",
    "neutral_offset",
    "fixation_onset",
    "fixation_offset",
    "stimulus_onset",
    "stimulus_offset",
    "rating_onset",
    "rating_response",
    "pause",
    "resume",
    "abort",
)

CONTEXT_FIELDS: tuple[str, ...] = ("trial", "block", "stimulus", "presentation_id", "phase")
SHOWN_FRAME_CHANNELS: tuple[tuple[str, str], ...] = (
    ("trial", "count"),
    ("media_frame", "count"),
    ("media_time_s", "s"),
    ("flip_interval_s", "s"),
)


def encode(event: str, **fields: Any) -> str:
    """Return the JSON text of one marker.

    Parameters
    ----------
    event : str
        One of `EVENTS`.
    **fields
        Anything JSON can hold. The context fields ``trial block stimulus presentation_id phase`` are
        always present in the result: None where not given.

    Raises
    ------
    ValueError
        The event is not in the vocabulary, or a number is not finite (JSON has no NaN).

    Examples
    --------
    >>> decode(encode("fixation_onset", trial=3))["trial"]
    3
    """
    if event not in EVENTS:
        raise ValueError(f"unknown marker event {event!r}; the vocabulary is {', '.join(EVENTS)}")
    content = {"event": event, **dict.fromkeys(CONTEXT_FIELDS), **fields}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(text: str) -> dict[str, Any]:
    """Return the fields of one marker.

    Parameters
    ----------
    text : str
        What came over LSL.

    Returns
    -------
    dict
        The JSON object with at least the key ``event``. Text that is no such object, as other programs
        send it, is kept: ``{"event": None, "text": text}``.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("event"), str):
        return {"event": None, "text": text}
    return content


class _Outlet:
    """An LSL outlet that lives between ``__enter__`` and ``__exit__``."""

    def __init__(self, info: pylsl.StreamInfo) -> None:
        self._info = info
        self._outlet: pylsl.StreamOutlet | None = None

    def __enter__(self) -> Self:
        self._outlet = pylsl.StreamOutlet(self._info)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def description(self) -> pylsl.StreamInfo:
        """The description of the stream."""
        return self._info

    @property
    def outlet(self) -> pylsl.StreamOutlet:
        """The open outlet.

        Raises
        ------
        RuntimeError
            It is not open.
        """
        if self._outlet is None:
            raise RuntimeError("the outlet is not open: use it in a with statement")
        return self._outlet

    def send(self, sample: list[Any], lsl_time_s: float) -> None:
        """Send one sample with its time stamp."""
        self.outlet.push_sample(sample, lsl_time_s)

    def close(self) -> None:
        """Take the stream off the network; a second call does nothing."""
        self._outlet = None

    def wait_for_consumers(self, timeout_s: float) -> bool:
        """Wait until somebody listens; return False if nobody does within the time."""
        return bool(self.outlet.wait_for_consumers(timeout_s))


class MarkerOutlet(_Outlet):
    """The ``Markers`` stream: one string channel, each sample a JSON object.

    Parameters
    ----------
    name : str, default "Markers"
        Name of the LSL stream.
    source_id : str, default ""
        Identifies this presentation, so that a recorder takes these markers and no others.

    Examples
    --------
    >>> with MarkerOutlet(source_id="example-markers") as markers:
    ...     stamp = markers.push("note", text="hello")
    """

    def __init__(self, name: str = "Markers", source_id: str = "") -> None:
        info = pylsl.StreamInfo(
            name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source_id
        )
        channel = info.desc().append_child("channels").append_child("channel")
        channel.append_child_value("label", "marker")
        channel.append_child_value("type", "Markers")
        channel.append_child_value("format", "JSON object with the key event")
        super().__init__(info)

    def push(self, event: str, lsl_time_s: float | None = None, **fields: Any) -> float:
        """Send one marker.

        Parameters
        ----------
        event : str
            One of `EVENTS`.
        lsl_time_s : float, optional
            When it happened, in seconds on this machine's LSL clock; now where not given.
        **fields
            See `encode`.

        Returns
        -------
        float
            The time stamp it was sent with.
        """
        stamp = pylsl.local_clock() if lsl_time_s is None else lsl_time_s
        self.send([encode(event, **fields)], stamp)
        return stamp


class ShownFramesOutlet(_Outlet):
    """The ``ShownFrames`` stream: every flip of every stimulus, and which frame of a film it showed.

    Four float64 channels: trial (1-based), media frame index (0-based), media time (s) and the interval
    to the flip before (s). Frame and media time are NaN where the stimulus is no film.

    Parameters
    ----------
    name : str, default "ShownFrames"
        Name of the LSL stream.
    source_id : str, default ""
        Identifies this presentation.
    nominal_rate_hz : float, default 0
        Refresh rate of the display; only written into the description, the stream itself is irregular.
    """

    def __init__(
        self, name: str = "ShownFrames", source_id: str = "", nominal_rate_hz: float = 0.0
    ) -> None:
        info = pylsl.StreamInfo(
            name,
            "StimulusFrames",
            len(SHOWN_FRAME_CHANNELS),
            pylsl.IRREGULAR_RATE,
            pylsl.cf_double64,
            source_id,
        )
        description = info.desc()
        channels = description.append_child("channels")
        for label, unit in SHOWN_FRAME_CHANNELS:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", "StimulusFrames")
        if nominal_rate_hz > 0:
            description.append_child_value("refresh_hz", f"{nominal_rate_hz:g}")
        super().__init__(info)

    def push(
        self,
        trial: int,
        media_frame: float,
        media_time_s: float,
        flip_interval_s: float,
        lsl_time_s: float,
    ) -> None:
        """Send what one flip showed.

        Parameters
        ----------
        trial : int
            Number of the trial, from 1.
        media_frame : float
            Index of the film's frame, from 0; NaN without a film.
        media_time_s : float
            Presentation time of that frame in the film, seconds; NaN without a film.
        flip_interval_s : float
            Time since the flip before; NaN at the first flip of a display.
        lsl_time_s : float
            When the flip happened.
        """
        self.send([float(trial), float(media_frame), media_time_s, flip_interval_s], lsl_time_s)
