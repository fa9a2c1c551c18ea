"""The seam behind which Action Unit estimators live: pixels or landmarks in, intensities out.

An estimator works in two steps, because the neutral face that it is compared with may come late in
a recording. ``features`` reads the frames once, in batches; ``intensities`` turns the features of a
whole recording into Action Units, given the features of that person's neutral face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

MIN_RELIABILITY = 0.5
"""Action Units that correlate less than this with the truth are reported, but nothing is concluded from
them: not the prototypes, not micro-expressions, not the first reaction of the face."""


@runtime_checkable
class AUBackend(Protocol):
    """Estimates Action Unit intensities from tracked faces.

    Attributes
    ----------
    name : str
        The name it is registered under.
    au_names : tuple of str
        What it measures, such as ``"AU01"`` or, for one side of the face, ``"AU12L"`` (the
        participant's own left).
    feature_names : tuple of str
        The columns of ``features``.
    needs_images : bool
        Whether ``features`` reads pixels (``frames.crops``) or landmarks and blendshapes only.
    typical_neutral : (n_features,) float64
        Features of a typical neutral face, used where the person's own is not known.
    personal : (n_features,) bool
        Features that differ between persons at rest (heights, widths) and are compared with the
        person's habitual face rather than with ``typical_neutral``.
    reliability : mapping of str to float
        Correlation with the truth, 0 to 1, for each Action Unit, as its documentation says.
    """

    name: str
    au_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    needs_images: bool
    typical_neutral: FloatArray
    personal: BoolArray
    reliability: dict[str, float]

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return the features of a batch of frames.

        Returns
        -------
        (n, n_features) float64
            NaN where a frame cannot be measured.
        """
        ...

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:
        """Return Action Unit intensities.

        Parameters
        ----------
        features : (n, n_features) float64
        neutral : (n_features,) float64
            Features of the neutral face.

        Returns
        -------
        (n, n_aus) float64
            0 (absent) to 5 (maximum), in the order of ``au_names``; NaN = not measured.
        """
        ...
