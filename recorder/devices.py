"""The devices of a session: which stream each one is, and the source process that feeds it."""

from __future__ import annotations

from dataclasses import dataclass

import pylsl

from duchenne.stimuli.errors import DuchenneError, UsageError

FIND_TRACKER_S = 3.0


@dataclass(frozen=True)
class Device:
    """A stream to record and the source process that feeds it, if we start one.

    Attributes
    ----------
    stream : str
        Name of the stream.
    predicate : str
        XPath 1.0 condition that only this stream meets.
    label : str
        For messages.
    arguments : tuple of str
        Command line of the source; empty where the stream is there already.
    """

    stream: str
    predicate: str
    label: str
    arguments: tuple[str, ...] = ()

    @property
    def is_simulated(self) -> bool:
        """Whether it reacts to the markers of the display."""
        return any(argument.startswith("markers_source_id=") for argument in self.arguments)


def tracker_on_network() -> Device:
    """Return the one eye tracker that streams already.

    Raises
    ------
    DuchenneError
        If there is none, or more than one.
    """
    found = pylsl.resolve_byprop("type", "Gaze", minimum=1, timeout=FIND_TRACKER_S)
    if not found:
        others = ", ".join(sorted({info.name() for info in pylsl.resolve_streams(wait_time=1.0)}))
        raise DuchenneError(
            f"No stream of type Gaze; found {others or 'no stream at all'}. "
            "Start the tracker, or pass --eyetracker simulated or --eyetracker none."
        )
    if len(found) > 1:
        names = ", ".join(f"{info.name()} on {info.hostname()}" for info in found)
        raise DuchenneError(f"{len(found)} streams of type Gaze ({names}): leave only one running.")
    info = found[0]
    return Device(info.name(), predicate_for(info), f"eye tracker {info.name()}")


def predicate_for(info: pylsl.StreamInfo) -> str:
    """Return the condition that only this stream meets; XPath 1.0 knows no escapes in strings.

    Examples
    --------
    >>> predicate_for(pylsl.StreamInfo("Gaze", "Gaze", source_id="tracker-1"))
    "source_id='tracker-1'"
    """
    source_id = info.source_id()
    quotes = [quote for quote in "'\"" if quote not in source_id]
    if not source_id or not quotes:
        return f"uid='{info.uid()}'"
    return f"source_id={quotes[0]}{source_id}{quotes[0]}"


def check_predicate(predicate: str) -> None:
    """Refuse a condition that liblsl cannot read.

    Raises
    ------
    UsageError
        If it is no XPath 1.0 condition.
    """
    try:
        pylsl.ContinuousResolver(pred=predicate)
    except RuntimeError as error:
        raise UsageError(
            f"--stream {predicate}: not a condition that LSL understands. Write it like name='Gaze', and "
            "put a text that holds an apostrophe in double quotes."
        ) from error
