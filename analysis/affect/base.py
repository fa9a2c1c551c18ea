"""The seam behind which estimators of affect live: faces in, valence and arousal of every frame out.

An estimator works in two steps, as those of Action Units do. ``features`` reads the frames once, in batches,
while their pictures are at hand. ``start`` then gets what it measured in the neutral phase, and the run
that it returns turns the features of the film, part by part, into columns of the table of frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from duchenne.analysis.face.affect import NOT_ASSESSABLE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.affect.hearing import Heard
    from duchenne.analysis.face.frames import FaceFrames, FloatArray

QUADRANT = "expr_quadrant"
RULE = "rule"
"""Name of the default: expressive valence by the rule on Action Units, no arousal."""


class AffectRun(Protocol):
    """One film being turned into columns."""

    def columns(
        self, features: FloatArray, table: pd.DataFrame, first: int, last: int
    ) -> dict[str, NDArray[Any]]:
        """Return columns of a part of the film.

        Parameters
        ----------
        features : (n, n_features) float64
            Of the part with its margins.
        table : pandas.DataFrame
            Its rows, as :func:`duchenne.analysis.face.result.frame_result` gives them.
        first, last : int
            The part without its margins; parts come in the order of time.

        Returns
        -------
        dict of str to (n,) array
            Such as ``expr_valence``, ``expr_arousal``, ``expr_p_happiness``; NaN where not measured.
        """
        ...

    def report(self) -> dict[str, Any]:
        """Return what the columns rest on, for the provenance."""
        ...


@runtime_checkable
class HearingRun(AffectRun, Protocol):
    """One film whose sound counts; its backend has an attribute ``hears`` that is true."""

    def hear(self, heard: Heard) -> None:
        """Take the sound of the film, before its first part."""
        ...


@runtime_checkable
class AffectBackend(Protocol):
    """Estimates affect from tracked faces.

    Attributes
    ----------
    name : str
        The name it is registered under.
    needs_images : bool
        Whether ``features`` reads pixels.
    n_features : int
        Numbers per frame that it wants back in the second step.
    """

    name: str
    needs_images: bool
    n_features: int

    def features(self, faces: FaceFrames) -> FloatArray:
        """Return (n, n_features) float64, NaN where a frame cannot be measured."""
        ...

    def start(self, neutral: FloatArray, *, still: bool = False) -> AffectRun:
        """Begin a film.

        Parameters
        ----------
        neutral : (m, n_features) float64
            Features of usable frames of the neutral phase; none where there is no such phase.
        still : bool
            The frames are pictures that have nothing to do with each other.
        """
        ...


def with_affect(
    table: pd.DataFrame, run: AffectRun, features: FloatArray, first: int, last: int
) -> pd.DataFrame:
    """Return a table of frames with the columns of an estimator, without values where not usable."""
    found = run.columns(features, table, first, last)
    usable = table["usable"].to_numpy(np.bool_)
    masked = {}
    for name, values in found.items():
        nothing: Any = np.nan
        if values.dtype == object:
            nothing = NOT_ASSESSABLE if name == QUADRANT else None
        masked[name] = np.where(usable, values, nothing)
    return table.assign(**masked)
