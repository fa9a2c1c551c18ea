"""RaFD, the Radboud Faces Database: everything is in the file names.

Source of the format: the names of the distributed pictures, as in
``Rafd090_01_Caucasian_female_angry_frontal.jpg``: angle of the camera in degrees (0 right profile,
90 frontal, 180 left profile), number of the model, group (Caucasian, Moroccan, Kid), sex,
expression, gaze (frontal, left, right).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPRESSIONS = {
    "angry": "anger",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
}
RAFD = Database(
    name="rafd",
    title="Radboud Faces Database (RaFD)",
    citation="Langner, O., Dotsch, R., Bijlstra, G., Wigboldus, D. H. J., Hawk, S. T., & van "
    "Knippenberg, A. (2010). "
    "Presentation and validation of the Radboud Faces Database. Cognition and Emotion, 24, "
    "1377–1388. "
    "doi 10.1080/02699930903485076",
    licence="RaFD terms of use",
    redistributable=False,
    terms="for non-commercial research; pictures may be published in scientific journals alone",
    needs_norms=False,
    norms="none: the category is the expression that was posed",
    levels={name: f"posed {name}" for name in EXPRESSIONS.values()},
)
_NAME = re.compile(
    r"rafd(\d{3})_(\d{2})_([a-z]+)_(female|male)_([a-z]+)_(frontal|left|right)", re.IGNORECASE
)


@importer(RAFD)
def read(source: Source) -> Sequence[Entry]:
    """Read what the file names say; files of other names are left to the caller to list."""
    entries = []
    for path in source.files:
        match = _NAME.fullmatch(path.stem)
        posed = EXPRESSIONS.get(match[5].casefold()) if match else None
        if match and posed:
            angle, model, group, sex, _, gaze = (part.casefold() for part in match.groups())
            texts = {"expression": posed, "model": model, "group": group, "sex": sex, "gaze": gaze}
            entries.append(
                Entry(
                    keys=(path.relative_to(source.folder).as_posix(),),
                    where=str(path),
                    category=posed,
                    target_expression=posed,
                    description=f"{sex} face {model}, posed {posed}, gaze {gaze}",
                    numbers={"camera_deg": float(angle)},
                    texts=texts,
                )
            )
    return entries
