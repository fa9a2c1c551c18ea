"""What can be wrong with films and sounds: damage, another length than declared, uneven frames, no sound."""

from __future__ import annotations

import re
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from duchenne.stimuli.stimulus import Stimulus

WHOLE_FILM_S = 60.0
"""Films up to this length are decoded whole; of longer ones the key frames, of longer sounds the
beginning and the end."""
TAIL_S = 2.0
MICROSECONDS = 1_000_000
DURATION_TOLERANCE_S = 0.5
UNEVEN_SHARE, UNEVEN_BY = 0.005, 0.05
"""A film has a variable frame rate when more than 0.5 % of its frames last 5 % longer or
shorter than usual."""
STANDSTILL_S, STANDSTILL_FRAMES = 0.2, 3.0
"""One frame that lasts longer than both is a hole in the film."""
DAMAGE = re.compile(
    r"error while decoding|concealing|corrupt|damaged|slice_header|invalid data", re.IGNORECASE
)
COMMON_RATES = ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
COARSE_TICK_S = 5e-4


def played_fault(stimulus: Stimulus) -> str | None:
    """Decode a film or a sound and compare it with its manifest row.

    Parameters
    ----------
    stimulus : Stimulus
        Of kind video or audio; the file exists.

    Returns
    -------
    str or None
        What is wrong and what to do, in one line: it cannot be decoded, is damaged, has no picture or no
        sound, has or lacks sound against the manifest's ``has_sound``, or is of another length or size than
        declared.
    """
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(stimulus.path)) as container:
            wrong = _tracks_fault(stimulus, container)
            if wrong is not None:
                return wrong
            film = container.streams.video[0] if stimulus.kind == "video" else None
            with _messages() as messages:
                end_s = _decoded_end_s(container, film or container.streams.audio[0])
            size = (film.width, film.height) if film else None
    except (av.error.FFmpegError, ValueError) as error:
        return f"cannot be decoded as {stimulus.kind} ({_one_line(error)}); replace it"
    declared_s = stimulus.duration_s
    if declared_s is not None and abs(end_s - declared_s) > DURATION_TOLERANCE_S:
        return f"ends after {end_s:.2f} s but duration_s says {declared_s:g}; correct one of them"
    damage = [text for text in messages if DAMAGE.search(text)]
    if damage:
        places = "1 place" if len(damage) == 1 else f"{len(damage)} places"
        return f"is damaged in {places} ({damage[0]}); replace it by a good copy"
    return size_mismatch(stimulus, *size) if size else None


def _tracks_fault(stimulus: Stimulus, container: InputContainer) -> str | None:
    """Say that a picture or sound is missing, or that there is sound against the manifest's word."""
    has_sound = bool(container.streams.audio)
    if stimulus.kind == "audio":
        return None if has_sound else "has no sound; replace it"
    if not container.streams.video:
        return "has no picture; declare it as audio or replace it"
    declared = stimulus.measures.get("has_sound")
    if declared == 1 and not has_sound:
        return "has no sound although has_sound says 1; replace it or write 0"
    if declared == 0 and has_sound:
        return "has sound although has_sound says 0; replace it or write 1"
    return None


def film_notes(stimulus: Stimulus) -> Iterator[str]:
    """Yield what is rarely meant: a variable frame rate, and no sound where none was declared absent.

    Parameters
    ----------
    stimulus : Stimulus
        A film. A column ``has_sound`` with 0, and a column ``variable_frame_rate`` with 1, say that it is
        meant. A film that cannot be opened yields nothing.
    """
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(stimulus.path)) as container:
            has_sound = bool(container.streams.audio)
            times, tick_s = _frame_times(container)
    except (av.error.FFmpegError, ValueError):
        return
    if not has_sound and stimulus.measures.get("has_sound") != 0:
        yield "the film has no sound; if that is meant, write 0 in a column has_sound"
    if stimulus.measures.get("variable_frame_rate") == 1:
        return
    wrong = unevenness(np.diff(times), tick_s)
    if wrong is not None:
        rate = _common_rate(float(np.median(np.diff(times))), tick_s)
        name = stimulus.path.name
        new = f"{stimulus.path.stem}-constant.mp4"
        yield (
            f"the film has a variable frame rate ({wrong}); convert it: ffmpeg -i {name} -fps_mode cfr "
            f"-r {rate} {new} (or write 1 in a column variable_frame_rate)"
        )


def unevenness(steps_s: np.ndarray[tuple[int], np.dtype[np.float64]], tick_s: float) -> str | None:
    """Say how the intervals between frames differ; None where they are even.

    Parameters
    ----------
    steps_s : ndarray, shape (n,)
        Intervals, seconds.
    tick_s : float
        Resolution of the film's clock, seconds: a difference of one tick is rounding.

    Examples
    --------
    >>> unevenness(np.array([0.04] * 100), 0.001) is None
    True
    >>> unevenness(np.array([0.04] * 99 + [0.5]), 0.001)
    'one frame stands for 0.50 s'
    """
    if len(steps_s) < 2:
        return None
    usual_s, longest_s = float(np.median(steps_s)), float(np.max(steps_s))
    uneven = int(np.sum(np.abs(steps_s - usual_s) > UNEVEN_BY * usual_s + 1.01 * tick_s))
    if longest_s > max(STANDSTILL_S, STANDSTILL_FRAMES * usual_s):
        others = f", {uneven} of {len(steps_s)} intervals are uneven" if uneven > 1 else ""
        return f"one frame stands for {longest_s:.2f} s{others}"
    if uneven > UNEVEN_SHARE * len(steps_s):
        return f"{uneven} of {len(steps_s)} intervals differ from {1000 * usual_s:.1f} ms"
    return None


def size_mismatch(stimulus: Stimulus, width_px: int, height_px: int) -> str | None:
    """Say that a picture or film has another size than declared; None where it has not."""
    declared = (stimulus.width_px or width_px, stimulus.height_px or height_px)
    if declared == (width_px, height_px):
        return None
    return (
        f"is {width_px} × {height_px} pixels but the manifest says {declared[0]} × {declared[1]}; "
        "correct one of them"
    )


def _common_rate(step_s: float, tick_s: float) -> str:
    """Return the customary frame rate nearest to an interval, as FFmpeg takes it."""
    rates = {text: float(Fraction(text)) for text in COMMON_RATES}
    if tick_s >= COARSE_TICK_S:  # whole milliseconds do not tell 29.97 from 30
        rates = {text: rate for text, rate in rates.items() if rate == int(rate)}
    nearest = min(rates, key=lambda text: abs(1 / rates[text] - step_s))
    is_near = abs(1 / rates[nearest] - step_s) <= max(tick_s, 0.03 * step_s)
    return nearest if is_near or step_s <= 0 else f"{1 / step_s:.3g}"


def _frame_times(
    container: InputContainer,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Return when the frames of a film are due (s), in order, and the tick of its clock (s)."""
    if not container.streams.video:
        return np.empty(0), 0.0
    stream = container.streams.video[0]
    packets = container.demux(stream)
    ticks = sorted(p.pts for p in packets if p.pts is not None and not p.is_discard)
    tick_s = float(stream.time_base or 0)
    return np.array(ticks, dtype=np.float64) * tick_s, tick_s


@contextmanager
def _messages() -> Iterator[list[str]]:
    """Collect what the decoder complains of; damage is concealed and otherwise not told."""
    import av.logging  # noqa: PLC0415 - not part of the core install

    before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    found: list[str] = []
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # two films may be damaged alike
    try:
        with av.logging.Capture(local=False) as logs:
            yield found
            found += [" ".join(text.split()) for _, _, text in logs]
    finally:
        av.logging.set_level(before)
        av.logging.set_skip_repeated(skips)


def _decoded_end_s(container: InputContainer, stream: VideoStream | AudioStream) -> float:
    """Decode a film, or parts of a long one; return when it ends (s); 0 where nothing can be decoded."""
    length_s = float(container.duration or 0) / MICROSECONDS
    stream.codec_context.thread_count = 1  # its messages come from this thread alone
    if length_s > WHOLE_FILM_S and stream.type == "video":
        stream.codec_context.skip_frame = "NONKEY"
    elif length_s > WHOLE_FILM_S:
        next(container.decode(stream))
        container.seek(int((length_s - TAIL_S) * MICROSECONDS))
    n_frames, end_s = 0, 0.0
    for packet in container.demux(stream):
        n_frames += len(packet.decode())
        if packet.pts is not None and packet.time_base is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end_s if n_frames else 0.0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def notes_of(stimuli: Iterable[Stimulus]) -> Iterator[tuple[Stimulus, str]]:
    """Yield each film of a set that is there, with what is noted of it."""
    for stimulus in stimuli:
        if stimulus.kind == "video" and stimulus.path.is_file():
            for what in film_notes(stimulus):
                yield stimulus, what
