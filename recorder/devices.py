"""The devices of a session: which stream each one is, and the source process that feeds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pylsl

from duchenne.recorder.sources.registry import create_source, load_source
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIND_TRACKER_S = 3.0
DISPLAY_STREAMS = ("Markers", "ShownFrames", "Display")
"""Names that no device may take: the last one would make the display's source id its own."""
OF_SESSION = ("source_id", "markers_source_id")
"""Options of sources that a session sets, because it depends on them."""


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
    required : bool
        The session waits for it; false where the name of its stream is not known beforehand.
    arguments : tuple of str
        Command line of the source; empty where the stream is there already.
    """

    stream: str
    predicate: str
    label: str
    arguments: tuple[str, ...] = ()
    required: bool = True

    @property
    def is_simulated(self) -> bool:
        """Whether it reacts to the markers of the display."""
        return any(argument.startswith("markers_source_id=") for argument in self.arguments)


@dataclass(frozen=True)
class ExtraSource:
    """A source that a session records besides eye tracker and camera.

    Attributes
    ----------
    name : str
        As in ``duchenne sources list``.
    settings : mapping of str to str
        Its options.
    """

    name: str
    settings: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> ExtraSource:
        """Read ``NAME`` or ``NAME:key=value,key=value``.

        Raises
        ------
        UsageError
            It is not written so, or there is no such source or option, or a value does not fit.

        Examples
        --------
        >>> ExtraSource.parse("simulated-photodiode:delay_s=0.05").settings
        {'delay_s': '0.05'}
        """
        name, _, rest = text.partition(":")
        try:
            settings = parse_settings(list(filter(None, rest.split(","))), "--source")
        except UsageError:
            raise UsageError(
                f"--source {text}: write it as NAME or NAME:key=value,key=value, for example "
                "--source microphone:mode=audio"
            ) from None
        check_settings(name, settings, "--source")
        return cls(name, settings)

    @property
    def stream(self) -> str | None:
        """Name of its stream; None where it is not known beforehand."""
        return stream_of(self.name, self.settings)


def parse_settings(texts: Sequence[str], option: str) -> dict[str, str]:
    """Read options of a source, each written ``key=value``; of a key that is given twice the last counts.

    Parameters
    ----------
    texts : sequence of str
    option : str
        Of the command line, for the message.

    Raises
    ------
    UsageError
        One is not written so.

    Examples
    --------
    >>> parse_settings(["rate-hz=600", "address=tobii-prp://a=b"], "--set")
    {'rate_hz': '600', 'address': 'tobii-prp://a=b'}
    """
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {text}: write it as key=value, e.g. {option} seed=1.")
        settings[key.strip().replace("-", "_")] = value.strip()
    return settings


def check_settings(
    source: str, settings: Mapping[str, str], option: str, own: Mapping[str, str] | None = None
) -> None:
    """Refuse options that a source does not have, or that the session itself sets; opens nothing.

    Parameters
    ----------
    source : str
    settings : mapping of str to str
        As given.
    option : str
        Of the command line, for the message.
    own : mapping of str to str, optional
        What the session adds so that the source has all it needs.

    Raises
    ------
    UsageError
        Unknown source or option, a value that does not fit, or an option of the session.
    """
    for key in OF_SESSION:
        if key in settings:
            raise UsageError(f"{option} {key}: the session itself sets it; leave it out.")
    create_source(source, "check", {**(own or {}), **settings})


def stream_of(source: str, settings: Mapping[str, str]) -> str | None:
    """Return the name of a source's stream; None where it is not known beforehand."""
    field = load_source(source).Options.model_fields.get("name")
    name = None if field is None else settings.get("name", field.default)
    return str(name) if name else None


def check_streams_differ(devices: Sequence[Device]) -> None:
    """Refuse two devices whose streams have the same name: a recording tells them apart by it.

    Raises
    ------
    UsageError
        If two have the same.
    """
    seen = {words_of(stream): "the display" for stream in DISPLAY_STREAMS}
    for device in devices:
        words = words_of(device.stream)
        if words in seen:
            raise UsageError(
                f"{seen[words]} and {device.label} both make a stream named {device.stream}: "
                "give one of them another name, for example --source microphone:name=Room"
            )
        seen[words] = device.label


def words_of(stream: str) -> str:
    """Return a stream's name in small letters and digits, to be part of a source id."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in stream.lower())


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
