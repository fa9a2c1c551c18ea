"""Faces that are squares: their shades are the labels, so that learning has something to find."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.training.prepared import Faces

PX = 32


@pytest.fixture(autouse=True)
def on_one_thread(one_thread: None) -> None:
    """Let torch compute on one thread."""


def square_faces(n_subjects: int = 8, per_subject: int = 24, seed: int = 0) -> Faces:
    """Return pictures in which the brightness of two squares is the intensity of two Action Units."""
    rng = np.random.default_rng(seed)
    n = n_subjects * per_subject
    truth = rng.uniform(0, 5, (n, 2)).astype(np.float32)
    subject = np.repeat([f"S{i:02d}" for i in range(n_subjects)], per_subject)
    base = np.repeat(rng.uniform(60, 120, n_subjects), per_subject)
    images = np.repeat(base, PX * PX * 3).reshape(n, PX, PX, 3)
    images[:, 4:12, 8:24] += 22 * truth[:, 0, None, None, None]
    images[:, 20:28, 8:24] += 22 * truth[:, 1, None, None, None]
    images = (images + rng.normal(0, 4, images.shape)).clip(0, 255).astype(np.uint8)
    landmarks = rng.uniform(8, 24, (n, 68, 2)).astype(np.float32)
    landmarks[:, 36:42, 0], landmarks[:, 42:48, 0] = 10, 22
    return Faces(images, truth, ("AU01", "AU12"), subject, landmarks, {"name": "squares"})


@pytest.fixture(scope="session")
def faces() -> Faces:
    """Return eight subjects of 24 pictures each."""
    return square_faces()
