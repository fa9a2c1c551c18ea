"""What the codebooks say about how far an Action Unit can be relied on."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

_MODEL = "geometry_model.json"


@cache
def shipped_card() -> dict[str, Any]:
    """Return the card of the shipped model; it is a few kilobytes of the file."""
    folder = files("duchenne.analysis.face.backends")
    card: dict[str, Any] = json.loads(folder.joinpath(_MODEL).read_text("utf-8"))["card"]
    return card


def reliability_note(au: str) -> str:
    """Return one sentence for the codebook, such as for ``"AU12"`` or ``"AU12L"``; "" where unknown."""
    row = shipped_card()["reliability"].get(au, {})
    if "icc" not in row:
        return ""
    note = (
        f"With the backend geometry r = {row['pcc']:.2f} and ICC = {row['icc']:.2f} (own neutral face "
        f"known), r = {row['pcc_habitual']:.2f} (not known): reliability on rendered faces, not human "
        "FACS coding."
    )
    if "mae_present" in row:
        note += (
            f" Error of the model there (mean absolute): {row['mae_present']:.2f} where the Action Unit is "
            f"active, {row['mae_absent']:.2f} where it is not."
        )
    return note if row["reliable"] else f"{note} Not reliable: kept out of the prototypes."
