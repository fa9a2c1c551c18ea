from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.analysis.export.studies import write_study

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="package")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study; nobody changes it."""
    return write_study(tmp_path_factory.mktemp("export") / "study")
