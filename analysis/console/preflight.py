"""The checks before a session: green, amber with a reason, or red; a session starts when all are green.

Every function here judges values that were measured elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from duchenne.analysis.console.alarms import FROZEN_S, MIN_SAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.console.alarms import Reading
    from duchenne.recorder.streams import StreamInfo

Level = Literal["green", "amber", "red", "wait"]
ORDER: tuple[Level, ...] = ("green", "amber", "wait", "red")
LOOK_S = 3.0
"""A stream is watched for so long before it is judged."""
CLOCK_LOOK_S = 2.0
STABLE_MS = 1.0
UNSTABLE_MS = 5.0
ABSENT_AFTER_S = 15.0
GAZE_NEEDS = ("x", "y")
REFRESH_TOLERANCE = 0.02
SEALING = 2.2
"""The session file is written beside its journal, and some room should be left."""


@dataclass(frozen=True)
class Part:
    """One aspect of a check."""

    id: str
    level: Level
    text: str

    def to_json(self) -> dict[str, str]:
        """Return it as pages get it."""
        return {"id": self.id, "level": self.level, "text": self.text}


@dataclass(frozen=True)
class Check:
    """One check; its level is the worst of its parts where it has some."""

    id: str
    title: str
    text: str
    own_level: Level = "green"
    parts: tuple[Part, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """Green, amber, red, or wait where it is not known yet."""
        return worst([self.own_level, *(part.level for part in self.parts)])

    def to_json(self) -> dict[str, Any]:
        """Return it as pages get it."""
        return {
            "id": self.id,
            "title": self.title,
            "level": self.level,
            "text": self.text,
            "details": list(self.details),
            "parts": [part.to_json() for part in self.parts],
        }


def worst(levels: Sequence[Level]) -> Level:
    """Return the worst of some levels; green of none.

    Examples
    --------
    >>> worst(["green", "amber", "green"])
    'amber'
    """
    return max(levels, key=ORDER.index, default="green")


@dataclass(frozen=True)
class Wanted:
    """A stream that a session needs.

    Attributes
    ----------
    label : str
        Of its device, for people.
    stream : str
        Name of the stream.
    waited_s : float
        For how long it has been waited for.
    options : mapping of str to str
        Of its source, such as ``rate_hz``.
    """

    label: str
    stream: str
    waited_s: float
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What was measured of a stream that is there; NaN where it is not known."""

    info: StreamInfo
    reading: Reading
    offset_ms: float = float("nan")
    offset_spread_ms: float = float("nan")
    n_offsets: int = 0


def stream_check(wanted: Wanted, measured: Measured | None) -> Check:
    """Judge a stream that a session needs."""
    title = f"{wanted.label[:1].upper()}{wanted.label[1:]} ({wanted.stream})"
    if measured is None:
        late = wanted.waited_s > ABSENT_AFTER_S
        text = "is not there: check the device and its cable" if late else "is being started"
        part = Part("present", "red" if late else "wait", text)
        return Check(f"stream:{wanted.stream}", title, text, parts=(part,))
    parts = (
        _present(measured.reading),
        _rate(measured.reading, wanted.options),
        _channels(measured.info),
        _changing(measured.reading, measured.info),
        _clock(measured),
    )
    telling = [part for part in parts if part.level != "green"] or parts[1:4]
    return Check(
        f"stream:{wanted.stream}", title, ", ".join(part.text for part in telling), parts=parts
    )


def _present(reading: Reading) -> Part:
    if reading.nominal_hz > 0 and reading.age_s > reading.silence_s:
        return Part("present", "red", f"sends nothing since {reading.age_s:.1f} s")
    return Part("present", "green", "delivers")


def _rate(reading: Reading, options: Mapping[str, str]) -> Part:
    if reading.nominal_hz <= 0:
        return Part("rate", "green", "irregular")
    if reading.observed_s < LOOK_S:
        return Part("rate", "wait", "the rate is being measured")
    text = f"{reading.rate_hz:.1f} of {reading.nominal_hz:g} Hz"
    asked = _number(options.get("rate_hz"))
    if asked is not None and abs(reading.nominal_hz / asked - 1) > 0.01:
        return Part("rate", "amber", f"{reading.nominal_hz:g} Hz, not {asked:g} Hz as asked for")
    error = abs(reading.rate_hz / reading.nominal_hz - 1)
    if not error <= 5 * max(reading.max_rate_error, 0.02):
        return Part("rate", "red", text)
    return Part("rate", "green" if error <= max(reading.max_rate_error, 0.02) else "amber", text)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number > 0 else None


def _channels(info: StreamInfo) -> Part:
    n = info.channel_count
    text = "1 channel" if n == 1 else f"{n} channels"
    if info.is_video or info.type == "VideoCompressed":
        good = info.is_video
        codec = info.described("encoding/codec") or "MJPG"
        size = f"{info.described('encoding/width')} × {info.described('encoding/height')}"
        return Part("channels", "green" if good else "red", f"{codec}, {size} px" if good else text)
    if info.type == "Gaze":
        labels = " ".join(channel.label.lower() for channel in info.channels)
        missing = [
            axis for axis in GAZE_NEEDS if f"_{axis}" not in labels and axis not in labels.split()
        ]
        if missing:
            return Part("channels", "red", f"{text}, but none for {' and '.join(missing)}")
    if all(channel.label.startswith("channel_") for channel in info.channels) and n > 1:
        return Part("channels", "amber", f"{text} without names")
    return Part("channels", "green", text)


def _changing(reading: Reading, info: StreamInfo) -> Part:
    if reading.nominal_hz <= 0:
        return Part("changing", "green", "events")
    if info.is_string and not info.is_video:
        return Part("changing", "green", "texts")
    if reading.n_same == 0:
        eyes = " (no eyes?)" if info.type == "Gaze" else ""
        level: Level = "wait" if reading.observed_s < LOOK_S else "red"
        return Part("changing", level, f"no values{eyes}")
    if reading.same_s > FROZEN_S and reading.n_same >= MIN_SAME:
        return Part("changing", "red", f"the values have not changed for {reading.same_s:.1f} s")
    return Part("changing", "green", "values change")


def _clock(measured: Measured) -> Part:
    if measured.n_offsets < 2 and measured.reading.observed_s < ABSENT_AFTER_S:
        return Part("clock", "wait", "the clock is being measured")
    if measured.n_offsets < 2:
        return Part("clock", "amber", "the clock offset could not be measured")
    text = f"clock offset {measured.offset_ms:.2f} ms"
    spread = measured.offset_spread_ms
    if not spread <= UNSTABLE_MS:
        return Part("clock", "red", f"{text}, varies by ±{spread:.1f} ms")
    level: Level = "green" if spread <= STABLE_MS else "amber"
    return Part("clock", level, f"{text}, ±{spread:.2f} ms")


def disk_check(free_bytes: float, bytes_per_s: float, planned_s: float) -> Check:
    """Judge the room on the disk for a session of the planned length; twice that is asked for."""
    needed = SEALING * bytes_per_s * planned_s
    text = f"{size_text(free_bytes)} free; the session needs about {size_text(needed)}"
    level: Level = "red" if free_bytes < needed else "amber" if free_bytes < 2 * needed else "green"
    return Check("disk", "Disk", text, level)


def display_check(
    found: Mapping[str, Any], screen: Mapping[str, float], *, headless: bool
) -> Check:
    """Judge the display against what the protocol declares.

    Parameters
    ----------
    found : mapping
        What `duchenne.analysis.console.display_probe.probe` returns; empty while it is not known.
    screen : mapping
        As declared: ``width_px``, ``height_px``, ``refresh_hz``.
    headless : bool
        A virtual screen was asked for.
    """
    if headless:
        text = "a virtual screen, and the simulated participant answers: nobody will see anything"
    elif not found:
        return Check("display", "Display", "is being looked at", "wait")
    else:
        text = str(found.get("error", ""))
    if text:
        fatal = found.get("fatal") and not headless
        return Check("display", "Display", text, "red" if fatal else "amber")
    declared = f"{screen['width_px']:g} × {screen['height_px']:g} px, {screen['refresh_hz']:g} Hz"
    refresh = f"{found['refresh_hz']:.1f} Hz"
    if abs(found["refresh_hz"] / screen["refresh_hz"] - 1) > REFRESH_TOLERANCE:
        return Check(
            "display", "Display", f"{refresh}, but the protocol declares {declared}", "red"
        )
    if not found["fits"]:
        return Check("display", "Display", f"larger than declared ({declared}), {refresh}", "amber")
    return Check("display", "Display", f"{declared} as declared; measured {refresh}")


def gate(checks: Sequence[Check]) -> dict[str, Any]:
    """Return whether a session may start, for pages."""
    level = worst([check.level for check in checks])
    return {
        "ready": level in {"green", "amber"},
        "level": "red" if level == "red" else "amber" if level == "wait" else level,
        "running": any(check.level == "wait" for check in checks),
        "checks": [check.to_json() for check in checks],
    }


def size_text(n_bytes: float) -> str:
    """Return a size for people.

    Examples
    --------
    >>> size_text(1.23e9)
    '1.2 GB'
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
