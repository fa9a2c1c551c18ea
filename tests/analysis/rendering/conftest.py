"""Heads and renderers that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest
from support.tiny_head import tiny_head_arrays

from duchenne.analysis.rendering.head import head_from_arrays, read_head
from duchenne.stimuli.errors import DuchenneError


@pytest.fixture(scope="session")
def tiny_head():
    """Return a made-up head."""
    return head_from_arrays(tiny_head_arrays())


@pytest.fixture(scope="session")
def tiny_head_file(tmp_path_factory):
    """Return the file of the made-up head."""
    path = tmp_path_factory.mktemp("head") / "tiny.npz"
    np.savez(path, **tiny_head_arrays())
    return path


@pytest.fixture(scope="session")
def real_head_file(shared_folder):
    """Return the file of the ICT head; skip where it is not there."""
    path = shared_folder / "tools" / "ict_face.npz"
    if not path.is_file():
        pytest.skip("the head model (../shared/tools/ict_face.npz) is not here")
    return path


@pytest.fixture(scope="session")
def real_head(real_head_file):
    """Return the ICT head."""
    return read_head(real_head_file)


@pytest.fixture(scope="session")
def graphics():
    """Skip where nothing can be rendered."""
    pytest.importorskip("moderngl", reason="moderngl is not installed")
    from duchenne.analysis.rendering.graphics import open_context

    try:
        open_context().release()
    except DuchenneError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def renderer(graphics, real_head):
    """Return a renderer of small pictures of the ICT head."""
    from duchenne.analysis.rendering.renderer import Renderer

    return Renderer(real_head, 96, supersampling=1.0, texture_px=256)
