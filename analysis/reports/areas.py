"""The areas of interest of a session as a table to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.reports.words import NOTHING, amount, percent
from duchenne.analysis.values import integer, number, records, text

if TYPE_CHECKING:
    from duchenne.analysis.reports.data import ReportData


def area_rows(data: ReportData) -> list[dict[str, str]]:
    """Return one row per presentation and area, in words; empty without areas."""
    if data.aois is None:
        return []
    rows = []
    for row in records(data.aois):
        trial = integer(row["trial"])
        small = text(row["smaller_than_margin"]) == "True"
        margin = amount(number(row["margin_deg"]), "°", 1)
        rows.append(
            {
                "number": NOTHING if trial is None else str(trial),
                "stimulus": text(row["stimulus_id"]) or NOTHING,
                "area": text(row["aoi"]) or NOTHING,
                "dwell": amount(number(row["dwell_s"]), "s", 2),
                "share": percent(number(row["dwell_fraction"])),
                "chance": percent(number(row["area_fraction"])),
                "ratio": amount(number(row["dwell_over_chance"]), "", 1),
                "first": amount(number(row["first_fixation_latency_s"]), "s", 2),
                "visits": amount(number(row["n_visits"]), "", 0),
                "revisits": amount(number(row["n_revisits"]), "", 0),
                "note": text(row["reason"]) or (f"smaller than the margin of {margin}" * small),
            }
        )
    return rows


def margin_said(data: ReportData) -> str:
    """Return which margin was taken and why, in a sentence; empty without areas."""
    if data.aois is None or not len(data.aois):
        return ""
    first = records(data.aois)[0]
    margin = amount(number(first["margin_deg"]), "°", 2)
    why = {
        "asked": "as asked for",
        "validated": "the validated accuracy",
        "default": "as the accuracy of the recording is not known",
    }.get(str(first["margin_source"]), "")
    return f"Areas are widened by {margin}, {why}."
