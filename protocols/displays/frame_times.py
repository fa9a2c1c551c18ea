"""When each frame of a film is due, by the file's own account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """The presentation times of a film's frames.

    Parameters
    ----------
    pts_s : ndarray, shape (n,)
        Ascending, seconds on the film's own clock; at least one.
    end_s : float
        When the last frame has had its time.
    has_sound : bool
        The file has a sound track.
    """

    pts_s: npt.NDArray[np.float64]
    end_s: float
    has_sound: bool = False

    @property
    def n(self) -> int:
        """Number of frames."""
        return len(self.pts_s)

    @property
    def step_s(self) -> float:
        """Median time from frame to frame; the whole film's where it has a single one."""
        steps = np.diff(self.pts_s)
        return float(np.median(steps)) if len(steps) else self.end_s - float(self.pts_s[0])

    @property
    def is_variable(self) -> bool:
        """Whether the frames are not evenly spaced (by more than a fifth of their interval)."""
        steps = np.diff(self.pts_s)
        return len(steps) > 1 and bool(np.ptp(steps) > 0.2 * np.median(steps))

    def index(self, pts_s: float) -> int:
        """Return the index, from 0, of the frame whose time is nearest to a time.

        Examples
        --------
        >>> FrameTimes(np.array([0.0, 0.04, 0.2]), 0.24).index(0.0401)
        1
        """
        after = int(np.searchsorted(self.pts_s, pts_s))
        if after == 0:
            return 0
        if after == self.n:
            return self.n - 1
        nearer_before = pts_s - self.pts_s[after - 1] <= self.pts_s[after] - pts_s
        return after - 1 if nearer_before else after


def frame_times(path: Path) -> FrameTimes:
    """Read the presentation times of a film's frames, without decoding a picture.

    The whole file is read once, so that it is in the system's file cache afterwards.

    Raises
    ------
    DuchenneError
        It cannot be read, or has no picture.
    """
    import av  # noqa: PLC0415 - not part of the core install

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DuchenneError(f"{path}: has no picture; declare it as audio or replace it")
            stream = container.streams.video[0]
            base = float(stream.time_base or 0)
            shown = [
                (packet.pts, packet.duration or 0)
                for packet in container.demux(stream)
                if packet.pts is not None and not packet.is_discard
            ]
            has_sound = bool(container.streams.audio)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DuchenneError(f"{path}: cannot be read as a film ({text}); replace it") from None
    if not shown:
        raise DuchenneError(f"{path}: has no frames; replace it")
    shown.sort()
    times = np.array([pts for pts, _ in shown], dtype=np.float64) * base
    last_s = shown[-1][1] * base or (float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
    return FrameTimes(times, float(times[-1]) + last_s, has_sound)
