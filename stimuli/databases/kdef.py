"""KDEF, the Karolinska Directed Emotional Faces: everything is in the file names.

Source of the format: the names of the distributed pictures, as in ``AF01ANS.JPG``: session (A, B),
sex (F, M), number of the model, expression (AF afraid, AN angry, DI disgusted, HA happy, NE
neutral, SA sad, SU surprised), view (S straight, HL and HR half, FL and FR full profile left and
right).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPRESSIONS = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
VIEWS = {
    "S": "straight",
    "HL": "half left",
    "HR": "half right",
    "FL": "full left profile",
    "FR": "full right profile",
}
KDEF = Database(
    name="kdef",
    title="Karolinska Directed Emotional Faces (KDEF)",
    citation="Lundqvist, D., Flykt, A., & Öhman, A. (1998). The Karolinska Directed "
    "Emotional Faces – KDEF. CD ROM, "
    "Karolinska Institutet. ISBN 91-630-7164-9",
    licence="KDEF terms of use",
    redistributable=False,
    terms="for non-commercial research; the terms name the few pictures that may be printed",
    needs_norms=False,
    norms="none: the category is the expression that was posed",
    levels={name: f"posed {name}" for name in EXPRESSIONS.values()},
)
_NAME = re.compile(r"([AB])([FM])(\d{2})(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)", re.IGNORECASE)


@importer(KDEF)
def read(source: Source) -> Sequence[Entry]:
    """Read what the file names say; files of other names are left to the caller to list."""
    entries = []
    for path in source.files:
        match = _NAME.fullmatch(path.stem)
        if match:
            session, sex, model, expression, view = (part.upper() for part in match.groups())
            posed, sex_name = EXPRESSIONS[expression], "female" if sex == "F" else "male"
            texts = {"expression": posed, "model": f"{sex}{model}", "sex": sex_name}
            texts |= {"view": VIEWS[view], "session": session}
            entries.append(
                Entry(
                    keys=(path.relative_to(source.folder).as_posix(),),
                    where=str(path),
                    category=posed,
                    target_expression=posed,
                    description=f"{sex_name} face {sex}{model}, posed {posed}, {VIEWS[view]}",
                    texts=texts,
                )
            )
    return entries
