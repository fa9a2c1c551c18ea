"""Sound as arrays: levels in dBFS, and the descriptions of the two kinds of stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pylsl

if TYPE_CHECKING:
    import numpy.typing as npt

FLOOR_DBFS = -120.0
"""What digital silence reads as, instead of minus infinity."""
LEVEL_CHANNELS = (("rms", "Level"), ("peak", "Level"))


class LevelMeter:
    """Cuts sound into pieces of equal length and measures each.

    Parameters
    ----------
    piece : int
        Samples per piece.

    Attributes
    ----------
    n_left : int
        Samples that wait for the rest of their piece.
    """

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self._rest: npt.NDArray[np.float32] = np.zeros((0, 1), np.float32)

    @property
    def n_left(self) -> int:
        """Samples that wait for the rest of their piece."""
        return len(self._rest)

    def feed(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the levels of the pieces that `sound` completes.

        Parameters
        ----------
        sound : array of float, shape (n_samples, n_channels)
            Full scale is -1 to 1.

        Returns
        -------
        array of float, shape (n_pieces, 2)
            See :func:`levels_dbfs`.
        """
        sound = np.concatenate((self._rest, sound)) if len(self._rest) else sound
        n = len(sound) // self._piece
        self._rest = sound[n * self._piece :]
        return levels_dbfs(sound[: n * self._piece].reshape(n, self._piece, sound.shape[1]))

    def forget(self) -> None:
        """Drop an unfinished piece, because what follows does not join on to it."""
        self._rest = self._rest[:0]


def levels_dbfs(pieces: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the level of pieces of sound.

    Parameters
    ----------
    pieces : array of float, shape (n_pieces, n_samples, n_channels)
        Full scale is -1 to 1.

    Returns
    -------
    array of float, shape (n_pieces, 2)
        Root mean square over samples and channels, and highest absolute value, in decibels of full
        scale; not below -120. A sine of full scale has an RMS of -3.01 dBFS and a peak of 0 dBFS.
    """
    if not len(pieces):
        return np.empty((0, 2))
    loud = np.abs(pieces.astype(np.float64)).reshape(len(pieces), -1)
    amplitude = np.stack((np.sqrt(np.mean(loud**2, axis=1)), loud.max(axis=1)), axis=1)
    least = 10 ** (FLOOR_DBFS / 20)
    levels: npt.NDArray[np.float64] = 20 * np.log10(np.maximum(amplitude, least))
    return levels


def level_description(
    source_id: str, rate_hz: float, name: str, model: str = ""
) -> pylsl.StreamInfo:
    """Describe a stream of sound levels: float32 channels ``rms`` and ``peak`` in dBFS."""
    info = pylsl.StreamInfo(
        name, "AudioLevel", len(LEVEL_CHANNELS), rate_hz, pylsl.cf_float32, source_id
    )
    return _described(info, LEVEL_CHANNELS, "dBFS", model)


def audio_description(
    source_id: str, rate_hz: float, name: str, channels: int, *, int16: bool, model: str = ""
) -> pylsl.StreamInfo:
    """Describe a stream of sound: one channel per microphone channel, float32 (±1) or int16."""
    kind = pylsl.cf_int16 if int16 else pylsl.cf_float32
    info = pylsl.StreamInfo(name, "Audio", channels, rate_hz, kind, source_id)
    labels = tuple((f"audio_{i + 1}", "Audio") for i in range(channels))
    return _described(info, labels, "int16" if int16 else "full scale", model)


def _described(
    info: pylsl.StreamInfo, labels: tuple[tuple[str, str], ...], unit: str, model: str
) -> pylsl.StreamInfo:
    desc = info.desc()
    desc.append_child("acquisition").append_child_value("model", model)
    channels = desc.append_child("channels")
    for label, kind in labels:
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("type", kind)
        channel.append_child_value("unit", unit)
    desc.append_child("synchronization").append_child_value("can_drop_samples", "false")
    return info


def to_int16(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Return sound of -1 to 1 as 16-bit numbers; what is louder is clipped."""
    clipped: npt.NDArray[np.int16] = np.clip(np.rint(sound * 32768.0), -32768, 32767).astype(
        np.int16
    )
    return clipped
