"""What the columns of the tables of areas of interest mean."""

from __future__ import annotations

from duchenne.analysis.codebooks import IDENTITY
from duchenne.analysis.gaze.codebook import AOIS
from duchenne.analysis.tables import Column

_WHERE = IDENTITY | {
    "presentation_id": Column("Presentation: the key to the other tables.", kind="string"),
    "trial": Column("Number of the trial within the run, from 1.", kind="integer"),
    "stimulus_id": Column("Identifier of the stimulus in its manifest.", kind="string"),
    "category": Column("Category of the stimulus.", kind="string"),
}
_AREA = "Area of interest; none: beside all areas"
AOI_TABLE: dict[str, Column] = (
    _WHERE
    | AOIS
    | {
        "n_visits": Column(
            "Stays in the area: runs of fixations without leaving it, or, where areas move, runs of "
            "samples of 60 ms and more.",
            kind="integer",
        ),
        "margin_source": Column(
            "Where margin_deg is from.",
            levels={
                "asked": "the file of areas or the caller",
                "validated": "the accuracy of the recording's validation",
                "default": "1 degree, as the accuracy of the recording is not known",
            },
            kind="string",
        ),
        "aoi_source": Column(
            "Where the area is from.",
            levels={"file": "drawn, from a file of areas", "auto": "found in the stimulus itself"},
            kind="string",
        ),
        "reason": Column("Why measures are n/a; n/a where they are not.", kind="string"),
    }
)
AOI_TRANSITIONS: dict[str, Column] = _WHERE | {
    "from_aoi": Column("Area that was left.", kind="string"),
    "to_aoi": Column(
        "Area that was entered straight from it; gaze beside all areas breaks the chain.",
        kind="string",
    ),
    "n_transitions": Column("How often.", kind="integer"),
    "probability": Column(
        "n_transitions divided by all transitions from from_aoi; n/a without any.",
        "1",
        kind="number",
        derivative=True,
    ),
    "transition_entropy_bits": Column(
        "Entropy of the transitions of the presentation, the same in all of its rows; n/a for fewer "
        "than 3 transitions.",
        "bit",
        kind="number",
    ),
}
AOI_VISITS: dict[str, Column] = _WHERE | {
    "aoi": Column(f"{_AREA}.", kind="string"),
    "onset_s": Column("Beginning of the stay, from the onset of the stimulus.", "s", kind="number"),
    "duration_s": Column(
        "From its first to its last fixation or sample, saccades and loss within it included.",
        "s",
        kind="number",
    ),
}
