"""The tables that a session's report is drawn from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.tables import read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.paths import AnalysisPaths


@dataclass(frozen=True)
class ReportData:
    """The tables of one session as they lie on the disk.

    Attributes
    ----------
    events, summary, quality : pandas.DataFrame
    gaze, fixations, saccades, blinks : pandas.DataFrame or None
        None where no gaze was analysed.
    au : pandas.DataFrame or None
        None where no face was analysed.
    aois, aoi_visits : pandas.DataFrame or None
        None where there are no areas of interest.
    provenance : dict
        Versions and configuration.
    """

    events: pd.DataFrame
    summary: pd.DataFrame
    quality: pd.DataFrame
    gaze: pd.DataFrame | None
    fixations: pd.DataFrame | None
    saccades: pd.DataFrame | None
    blinks: pd.DataFrame | None
    au: pd.DataFrame | None
    aois: pd.DataFrame | None
    aoi_visits: pd.DataFrame | None
    provenance: dict[str, Any]

    @property
    def au_backend(self) -> str:
        """What measured the Action Units; empty where unknown."""
        configuration = self.provenance.get("configuration", {})
        return backend_of(configuration)

    @classmethod
    def read(cls, paths: AnalysisPaths) -> ReportData:
        """Read the tables of a session.

        Raises
        ------
        DuchenneError
            If a table is missing or cannot be read.
        """
        return cls(
            events=read_table(paths.events),
            summary=read_table(paths.summary),
            quality=read_table(paths.quality),
            gaze=_parquet(paths.gaze),
            fixations=_table(paths.fixations),
            saccades=_table(paths.saccades),
            blinks=_table(paths.blinks),
            au=_table(paths.au),
            aois=_table(paths.table("aois")),
            aoi_visits=_table(paths.table("aoi_visits")),
            provenance=_json(paths.provenance),
        )


def backend_of(configuration: Mapping[str, Any]) -> str:
    """Return what measured Action Units: the recorded stream or the backend; empty where none did."""
    face = configuration.get("face")
    used = face.get("backend") if isinstance(face, dict) else None
    return str(used or configuration.get("au_backend") or "")


def _table(path: Path) -> pd.DataFrame | None:
    return read_table(path) if path.is_file() else None


def _parquet(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DuchenneError(
            f"{path} cannot be read: {error}. Run `duchenne analyze` again."
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DuchenneError(
            f"{path} cannot be read: {error}. Run `duchenne analyze` again."
        ) from error
