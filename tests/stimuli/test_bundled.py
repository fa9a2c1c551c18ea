"""The bundled pictures and films are what their code makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from duchenne.stimuli.bundled import generate, sound
from duchenne.stimuli.manifest import StimulusSet

if TYPE_CHECKING:
    from pathlib import Path

BUNDLED = StimulusSet.bundled()


@pytest.mark.parametrize("name", ["sunset", "mug"])
def test_painting_again_gives_the_same_picture(tmp_path: Path, name: str) -> None:
    design = next(d for d in generate.IMAGES if d.id == name)
    row = generate.image_row(design, tmp_path)
    with Image.open(tmp_path / row["file"]) as again, Image.open(BUNDLED[name].path) as stored:
        difference = np.abs(np.asarray(again, dtype=int) - np.asarray(stored, dtype=int))
    assert difference.mean() < 0.5
    assert row["luminance"] == pytest.approx(BUNDLED[name].luminance, abs=0.002)


def test_every_design_is_in_the_set() -> None:
    assert {d.id for d in generate.IMAGES + generate.FILMS} == {s.id for s in BUNDLED}


@pytest.mark.parametrize("name", ["balloons", "corridor"])
def test_films_have_steady_frames_and_sound(name: str) -> None:
    with av.open(str(BUNDLED[name].path)) as film:
        times = [frame.time for frame in film.decode(video=0)]
    assert len(times) == 150
    assert np.diff(times) == pytest.approx(1 / 30, abs=1e-4)
    with av.open(str(BUNDLED[name].path)) as film:
        samples = np.concatenate([frame.to_ndarray() for frame in film.decode(audio=0)], axis=1)
    assert samples.shape[1] / sound.RATE_HZ == pytest.approx(5.0, abs=0.05)
    assert 0.05 < float(np.sqrt(np.mean(samples**2))) < 0.6
    assert float(np.abs(samples).max()) <= 1.05
