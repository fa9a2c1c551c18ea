"""The sound at each picture: a tone is heard in its band, and only while it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.analysis.training.prepared import Faces, read_faces, write_faces
from duchenne.analysis.training.sound import add_sound, bands, hertz, log_mel, mel
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 16_000


def test_the_scale_has_1000_mel_at_1000_hz() -> None:
    assert float(mel(np.array([1000.0]))[0]) == pytest.approx(1000.0, abs=0.1)
    some = np.array([0.0, 80.0, 7600.0])
    np.testing.assert_allclose(hertz(mel(some)), some, atol=1e-9)


def test_bands_meet_at_their_peaks() -> None:
    at = np.linspace(300, 3000, 2001)
    weights = bands(6, at, 100.0, 4000.0)
    inside = (at > 400) & (at < 2500)
    np.testing.assert_allclose(weights.sum(axis=0)[inside], 1.0, atol=1e-9)
    assert weights.max() <= 1


def test_a_tone_is_heard_in_its_band() -> None:
    """1000 Hz for the second half of two seconds."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = np.where(t >= 1, 0.5 * np.sin(2 * np.pi * 1000 * t), 0.0)
    found = log_mel(tone, RATE_HZ, np.array([0.5, 1.5, 2.5]), n_bands=40)
    assert found.shape == (3, 40)
    edges = hertz(np.linspace(*mel(np.array([50.0, 8000.0])), 42))
    loudest = int(found[1].argmax())
    assert edges[loudest] < 1000 < edges[loudest + 2]
    np.testing.assert_allclose(found[0], np.log(1e-10), rtol=1e-5)  # silence
    assert np.isnan(found[2]).all()  # after the end
    # the power of a tone of amplitude a under a Hann window of n samples: (a n / 4)² / n
    n = round(0.04 * RATE_HZ)
    whole = np.exp(found[1].astype(np.float64)).sum()
    assert whole == pytest.approx(1.5 * (0.5 * n / 4) ** 2 / n, rel=0.02)  # main lobe: 1 + 2 / 4


def test_sound_stands_beside_the_pictures(faces: Faces, tmp_path: Path) -> None:
    write_faces(tmp_path / "set", faces)
    with pytest.raises(DuchenneError, match="192 pictures"):
        add_sound(tmp_path / "set", np.zeros((3, 4)))
    add_sound(tmp_path / "set", np.arange(192.0)[:, None])
    back = read_faces(tmp_path / "set")
    assert back.sound is not None
    assert float(back.sound[7, 0]) == 7
    assert back.rows(np.array([3, 1])).sound.tolist() == [[3.0], [1.0]]
