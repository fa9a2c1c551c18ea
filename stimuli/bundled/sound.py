"""Sound tracks, synthesized: stereo arrays (2, n) of float samples from -1 to 1 at `RATE_HZ`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

RATE_HZ = 44100


def _times(duration_s: float) -> Array:
    return np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def _note(frequency_hz: float, duration_s: float, decay_s: float) -> Array:
    """Return a struck bar: a decaying tone with a brighter, shorter overtone."""
    t = _times(duration_s)
    attack = np.clip(t / 0.004, 0, 1)
    tone = np.sin(2 * np.pi * frequency_hz * t) * np.exp(-t / decay_s)
    tone += 0.35 * np.sin(2 * np.pi * 4 * frequency_hz * t) * np.exp(-t / (0.22 * decay_s))
    tone += 0.12 * np.sin(2 * np.pi * 2 * frequency_hz * t) * np.exp(-t / (0.6 * decay_s))
    return np.asarray(attack * tone)


def _add(track: Array, sound: Array, at_s: float, gain: float, pan: float) -> None:
    """Mix a sound in; `pan` from -1 (left) to 1 (right). What runs over the end is cut."""
    start = round(at_s * RATE_HZ)
    part = sound[: max(0, track.shape[1] - start)]
    for channel, side in enumerate((-1, 1)):
        track[channel, start : start + len(part)] += gain * np.sqrt((1 + side * pan) / 2) * part


def _finished(track: Array, fade_s: float) -> Array:
    n = round(fade_s * RATE_HZ)
    track[:, -n:] *= np.linspace(1, 0, n)
    return np.asarray(np.tanh(track / np.abs(track).max() * 1.2) * 0.8)


def _pitch(semitones_from_a4: float) -> float:
    return 440.0 * float(2 ** (semitones_from_a4 / 12))


def cheerful(duration_s: float) -> Array:
    """Return a bright tune on struck bars over plucked chords, in C major."""
    track = np.zeros((2, round(duration_s * RATE_HZ)))
    beat_s = duration_s / 16
    chords = ([-21, -5, -2, 3], [-16, -4, 0, 3], [-14, -2, 2, 5], [-21, -5, -2, 3])
    melody = [3, 7, 10, 15, 12, 15, 12, 8, 10, 14, 17, 14, 15, 19, 22, 27]
    for i, semitone in enumerate(melody):
        pan = 0.5 * float(np.sin(i))
        _add(track, _note(_pitch(semitone), 1.6, 0.4), i * beat_s, 0.6, pan)
        _add(track, _note(_pitch(semitone + 12), 1.0, 0.2), (i + 0.5) * beat_s, 0.16, -pan)
    for bar, chord in enumerate(chords):
        for half in range(4):
            for semitone in chord[:1] if half % 2 == 0 else chord[1:]:
                _add(track, _note(_pitch(semitone), 0.9, 0.35), (4 * bar + half) * beat_s, 0.3, 0.0)
    return _finished(track, 0.15)


def threatening(duration_s: float, rng: np.random.Generator) -> Array:
    """Return a drone, a rising dissonant cluster and a quickening heartbeat."""
    t = _times(duration_s)
    growth = (t / duration_s) ** 1.5
    track = np.zeros((2, len(t)))
    for channel in range(2):
        drone = sum(
            np.sin(2 * np.pi * f * (1 + 0.002 * channel) * t) / k
            for k, f in enumerate((41.2, 43.7, 82.4, 87.3), 1)
        )
        cluster = np.zeros(len(t))
        for semitone in (3, 4, 9, 10, 15.5):
            rise = _pitch(semitone - 5) * 2 ** (growth * 7 / 12)
            phase = np.cumsum(rise) / RATE_HZ * 2 * np.pi + rng.random() * 6
            cluster += np.sin(phase + 3 * np.sin(2 * np.pi * 6.3 * t)) * (
                1 + 0.4 * np.sin(2 * np.pi * 11 * t)
            )
        wind = np.cumsum(rng.normal(0, 1, len(t)))
        wind -= np.convolve(wind, np.ones(800) / 800, mode="same")
        track[channel] += (
            0.35 * drone
            + 0.10 * cluster * growth
            + 0.25 * wind / np.abs(wind).max() * (0.4 + growth)
        )
    at_s, gap_s = 0.3, 0.85
    while at_s < duration_s - 0.2:
        for delay_s, gain in ((0.0, 1.1), (0.19, 0.75)):
            beat = _times(0.25)
            thump = np.sin(2 * np.pi * 52 * beat * np.exp(-beat * 2)) * np.exp(-beat / 0.06)
            _add(track, thump, at_s + delay_s, gain, 0.0)
        at_s, gap_s = at_s + gap_s, max(0.42, gap_s * 0.9)
    return _finished(track, 0.08)
