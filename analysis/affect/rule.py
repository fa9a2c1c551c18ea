"""The ``rule`` backend: valence of the expression by a rule on Action Units; arousal stays n/a."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.affect.base import RULE

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FaceFrames, FloatArray

VALENCE_BY_RULE = "valence: rule on Action Units"
NO_AROUSAL = "arousal: n/a, no model trained on human ratings was given"


class RuleBackend:
    """What needs no model: see :func:`duchenne.analysis.face.affect.expressive_valence`.

    Examples
    --------
    >>> RuleBackend().n_features
    0
    """

    name = RULE
    needs_images = False
    n_features = 0

    def features(self, faces: FaceFrames) -> FloatArray:
        """Return nothing: the rule reads Action Units."""
        return np.zeros((len(faces), 0))

    def start(self, neutral: FloatArray, *, still: bool = False) -> RuleRun:
        """Return the rule itself."""
        del neutral, still
        return RuleRun()


class RuleRun:
    """The table of frames has the rule's valence already, and no arousal."""

    def columns(
        self, features: FloatArray, table: pd.DataFrame, first: int, last: int
    ) -> dict[str, NDArray[Any]]:
        """Return no further columns."""
        del features, table, first, last
        return {}

    def report(self) -> dict[str, Any]:
        """Return what the columns rest on."""
        return {"backend": RULE, "rests_on": [VALENCE_BY_RULE, NO_AROUSAL]}
