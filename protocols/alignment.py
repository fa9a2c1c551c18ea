"""The alignment budget of a protocol: how badly a stream may have been transported and still be used.

Defaults are ours, for emotion experiments; docs/reference/alignment.md says why.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from duchenne.protocols.parts_base import Strict

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Limits(Strict):
    """Limits for one kind of stream; None leaves them as they are by default.

    Attributes
    ----------
    max_gap_s : float or None
        Longest stretch without samples, seconds. Beyond it the stream fails.
    max_lost_fraction : float or None
        Lost samples among all, 0 to 1. Beyond it the stream fails.
    max_uncertainty_ms : float or None
        Bound on the error of the clock offset (half of the median round trip), ms. Beyond it it fails.
    max_early_end_s : float or None
        From the last sample to the end of the recording, seconds. Beyond it the stream fails.
    max_late_start_s : float or None
        From the start of the recording to the first sample, seconds. Beyond it there is a warning.
    max_jitter_ms : float or None
        Median absolute deviation of the intervals between stamps, ms. Beyond it there is a warning.
    max_drift_ppm : float or None
        Drift of the sender's clock, parts per million. Beyond it there is a warning.
    max_rate_error : float or None
        Deviation of the rate from the declared one, as a part of it. Beyond it there is a warning.
    """

    max_gap_s: Positive | None = None
    max_lost_fraction: Share | None = None
    max_uncertainty_ms: Positive | None = None
    max_early_end_s: Positive | None = None
    max_late_start_s: Positive | None = None
    max_jitter_ms: Positive | None = None
    max_drift_ppm: NotNegative | None = None
    max_rate_error: Share | None = None


class Alignment(Limits):
    """The ``alignment`` section of a protocol: limits for all streams, and for some types of stream.

    Attributes
    ----------
    by_type : dict of str to Limits
        By LSL type, such as ``Gaze``; they come before the limits for all.
    """

    by_type: dict[str, Limits] = Field(default_factory=dict)

    def for_type(self, stream_type: str) -> Limits:
        """Return the limits that hold for a stream; none of them is None.

        What the protocol says for the type comes first, then what it says for all, then the default of
        the type, then the general default.
        """
        ranked = [
            DEFAULTS,
            TYPE_DEFAULTS.get(stream_type, Limits()),
            self,
            self.by_type.get(stream_type, Limits()),
        ]
        values: dict[str, float] = {}
        for limits in ranked:
            said = limits.model_dump(include=set(Limits.model_fields), exclude_none=True)
            values |= said
        return Limits(**values)


DEFAULTS = Limits(
    max_gap_s=0.5,
    max_lost_fraction=0.001,
    max_uncertainty_ms=5.0,
    max_early_end_s=2.0,
    max_late_start_s=2.0,
    max_jitter_ms=5.0,
    max_drift_ppm=200.0,
    max_rate_error=0.02,
)
"""For any stream. Crystal clocks of computers stay within 100 ppm; twice that is a faulty clock."""

TYPE_DEFAULTS = {
    "Gaze": Limits(max_gap_s=0.1, max_uncertainty_ms=2.0, max_jitter_ms=2.0),
    "VideoCompressed": Limits(max_gap_s=0.17, max_lost_fraction=0.02, max_jitter_ms=10.0),
}
"""Ours: a gap of 0.1 s may hide a whole short fixation, one of 0.17 s (five frames at 30 Hz) a whole brief
facial movement."""
