"""The reference of all tables and columns, written from the codebooks that the tables themselves carry.

``python -m duchenne.analysis.codebook_reference docs/reference/codebook.md``
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.analysis import codebooks
from duchenne.analysis.affect.columns import FRAME_COLUMNS, SUMMARY_COLUMNS, affect_columns
from duchenne.analysis.crossmodal import codebook as crossmodal
from duchenne.analysis.face import dynamics_codebook
from duchenne.analysis.face.dynamics_features import EVENT_AUS
from duchenne.analysis.face.geometry.reliability import reliability_note, shipped_card
from duchenne.analysis.gaze import aoi_codebook
from duchenne.analysis.gaze.codebook import FEATURES as GAZE_FEATURES
from duchenne.analysis.gaze.pupil_features import PUPIL_FEATURES
from duchenne.analysis.gaze.scanpath_study import SIMILARITY
from duchenne.analysis.gaze.synchrony_study import SYNCHRONY
from duchenne.analysis.statistics import codebook as statistics
from duchenne.analysis.study_summary import PARTICIPANTS
from duchenne.analysis.summary import summary_codebook
from duchenne.analysis.windows import windows_codebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from duchenne.analysis.tables import Codebook, Column

COMMAND = "python -m duchenne.analysis.codebook_reference docs/reference/codebook.md"
ONE_AU = "AU12"
"""Stands for all Action Units, whose columns are the same."""

_AU = re.compile(r"AU\d\d_(\w+)$")
_INTRODUCTION = f"""\
# Codebook

Every table that an analysis writes, and every column of it. This page is made from the codebooks in the code
(`{COMMAND}`); the `.json`
beside each table says the same and more: what was measured from what in that session, and why columns are
n/a in it. How to read the files: [tables](tables.md).

Missing is `n/a`, truth values are `true` and `false`. The unit `1` is a share; no unit: the device's, a
rating scale's, or an intensity from 0 to 5. *Source* says what a column is made from. `AUxx` stands for each
Action Unit that was measured; their names and how far each can be relied on: [Action Units](#action-units).
"""
_PLACE_TITLE = "Columns of place"


@dataclass(frozen=True)
class TableEntry:
    """A table of the reference.

    Parameters
    ----------
    file : str
        As it is called; ``…`` stands for ``sub-…_ses-…_task-…_run-…``.
    row : str
        What a row is.
    source : str
        What its own columns are made from.
    book : Codebook
    sources : mapping of str to Codebook
        What some of its columns are made from instead, the first that has the column.
    """

    file: str
    row: str
    source: str
    book: Codebook
    sources: Mapping[str, Codebook] = field(default_factory=dict)

    @property
    def has_place(self) -> bool:
        """Whether it has the columns that say where in the session a row belongs."""
        return set(codebooks.PLACE) <= set(self.book)


def tables() -> list[tuple[str, list[TableEntry]]]:
    """Return all tables by part: of a session, of a study, of its statistics."""
    gaze, face, both = "gaze", "face video", "face video and gaze"
    summary = summary_codebook(aus=[ONE_AU], affect=SUMMARY_COLUMNS)
    session = [
        TableEntry(
            "…_summary.tsv", "stimulus presentation", "markers", summary, _summary_sources()
        ),
        TableEntry(
            "…_windows.parquet",
            "stimulus presentation and window of time",
            "markers",
            windows_codebook([ONE_AU], SUMMARY_COLUMNS),
            _summary_sources(),
        ),
        TableEntry("…_events.tsv", "phase or momentary marker", "markers", codebooks.EVENTS),
        TableEntry("…_fixations.tsv", "fixation", gaze, codebooks.FIXATIONS),
        TableEntry("…_saccades.tsv", "saccade", gaze, codebooks.SACCADES),
        TableEntry("…_blinks.tsv", "blink", "gaze, or face video", codebooks.BLINKS),
        TableEntry("…_gaze.parquet", "gaze sample", gaze, codebooks.GAZE),
        TableEntry("…_au.tsv", "video frame of the face", face, _frames()),
        TableEntry("…_au_events.tsv", "event of an Action Unit", face, codebooks.AU_EVENTS),
        TableEntry("…_microexpressions.tsv", "brief burst", face, codebooks.MICROEXPRESSIONS),
        TableEntry("…_aois.tsv", "presentation and area of interest", gaze, aoi_codebook.AOI_TABLE),
        TableEntry(
            "…_aoi_transitions.tsv",
            "presentation and ordered pair of areas",
            gaze,
            aoi_codebook.AOI_TRANSITIONS,
        ),
        TableEntry("…_aoi_visits.tsv", "stay in an area", gaze, aoi_codebook.AOI_VISITS),
        TableEntry("…_reactions.tsv", "presentation and Action Unit", both, crossmodal.REACTIONS),
        TableEntry(
            "…_reaction_aois.tsv", "reaction and area of interest", both, crossmodal.REACTION_AOIS
        ),
        TableEntry(
            "…_mimicry.tsv",
            "presentation of a film and Action Unit",
            "face video and the film itself",
            crossmodal.MIMICRY,
        ),
        TableEntry("…_quality.tsv", "recorded stream", "all streams", codebooks.QUALITY),
    ]
    study = [
        TableEntry("exclusions.tsv", "participant", "all summaries", PARTICIPANTS),
        TableEntry("synchrony.tsv", "participant and film", gaze, SYNCHRONY),
        TableEntry(
            "signal_synchrony.tsv",
            "participant, film and signal",
            both,
            crossmodal.SIGNAL_SYNCHRONY,
        ),
        TableEntry("scanpath_similarity.tsv", "participant and picture", gaze, SIMILARITY),
    ]
    tests = "summary and study.yaml"
    statistical = [
        TableEntry("contrasts.tsv", "contrast", tests, statistics.CONTRASTS),
        TableEntry(
            "contrast_participants.tsv", "contrast and participant", tests, statistics.PARTICIPANTS
        ),
        TableEntry(
            "curves.tsv", "curve and time", "session tables and study.yaml", statistics.CURVES
        ),
        TableEntry("curve_clusters.tsv", "cluster of a curve", "curves", statistics.CLUSTERS),
        TableEntry(
            "manipulation_check.tsv", "rating and category", "summary", statistics.MANIPULATION
        ),
        TableEntry(
            "manipulation_participants.tsv",
            "rating and participant",
            "summary",
            statistics.MANIPULATION_PARTICIPANTS,
        ),
        TableEntry("multiverse.tsv", "way to analyse a contrast", tests, statistics.MULTIVERSE),
        TableEntry("multiverse_summary.tsv", "contrast", tests, statistics.MULTIVERSE_SUMMARY),
    ]
    return [
        ("Tables of a session", session),
        ("Tables of a study", study),
        ("Statistics of a study", statistical),
    ]


def reference() -> str:
    """Return the reference as Markdown."""
    parts = [_INTRODUCTION, _contents(), _place()]
    for title, entries in tables():
        parts.append(f"## {title}\n")
        parts += [_section(entry) for entry in entries]
    parts += [_ratings(), _action_units()]
    return "\n".join(parts)


def _contents() -> str:
    rows = ["| | one row per |", "|---|---|"]
    for title, entries in tables():
        rows.append(f"| **{title}** | |")
        rows += [f"| [`{e.file}`](#{_anchor(e.file)}) | {e.row} |" for e in entries]
    note = (
        "`summary.parquet` and `windows.parquet` of a study are the summaries and windows of its sessions, "
        "one after the other, with the same columns."
    )
    return "\n".join([*rows, "", note, ""])


def _place() -> str:
    text = (
        f"## {_PLACE_TITLE}\n\nEvery table of events, frames and samples has these; its section lists "
        "the others.\n"
    )
    return "\n".join([text, *_rows(codebooks.PLACE, "markers", {}), ""])


def _section(entry: TableEntry) -> str:
    book = dict(entry.book)
    lines = [f"### {entry.file}", "", f"One row per {entry.row}.", ""]
    if entry.has_place:
        place = codebooks.PLACE
        book = {name: c for name, c in book.items() if name not in place or c != place[name]}
        lines[2] = f"{lines[2]} With the [columns of place](#{_anchor(_PLACE_TITLE)})."
    return "\n".join([*lines, *_rows(book, entry.source, entry.sources), ""])


def _rows(book: Codebook, source: str, sources: Mapping[str, Codebook]) -> list[str]:
    rows = ["| column | type | unit | meaning | source |", "|---|---|---|---|---|"]
    seen = set()
    for name, column in book.items():
        told, meaning = _of_every_au(name, column)
        if told in seen:
            continue
        seen.add(told)
        levels = "".join(f"<br>`{key}`: {text}" for key, text in (column.levels or {}).items())
        made_from = next((said for said, own in sources.items() if name in own), source)
        cells = (f"`{told}`", column.kind or "", column.unit or "", meaning + levels, made_from)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _of_every_au(name: str, column: Column) -> tuple[str, str]:
    """Return name and meaning of a column, for all Action Units together."""
    match = _AU.match(name)
    if match is None:
        return name, column.description
    au = name[:4]
    meaning = column.description.replace(reliability_note(au), "").strip()
    meaning = re.sub(rf"(^|: ){au}( [^.:]+)?[.:] ", r"\1", meaning)
    meaning = meaning.replace("Frames in which the part", "Of the mouth, frames in which the part")
    meaning = meaning[0].upper() + meaning[1:]
    if name in dynamics_codebook.FEATURES:
        meaning += f" Only {', '.join(EVENT_AUS)}."
    return f"AUxx_{match.group(1)}", meaning


def _ratings() -> str:
    return (
        "## Other ratings\n\nEvery further scale that a protocol asks about a stimulus has a column "
        "`rating_<scale>` at the end of the summary, or one for each value, `rating_<scale>_<value>`, and "
        "`rating_<scale>_rt_s` with its response time.\n"
    )


def _action_units() -> str:
    card = shipped_card()["reliability"]
    rows = ["| | name | with the default backend |", "|---|---|---|"]
    for number, name in codebooks.FACS_NAMES.items():
        au = f"AU{number:02d}"
        said = reliability_note(au) if au in card else "not measured"
        rows.append(f"| {au} | {name} | {said.removeprefix('With the backend geometry ')} |")
    text = (
        "One-sided columns (`AU14L_r`) are of the participant's own left or right. Other backends measure "
        "others and are as reliable as their cards say. The lower face while speaking, and what intensities "
        "are measured from: [Action Units](action-units.md).\n"
    )
    return "\n".join(["## Action Units\n", text, *rows, ""])


def _frames() -> dict[str, Column]:
    units = codebooks.au_columns([f"{ONE_AU}_r", f"{ONE_AU}_c"])
    return codebooks.AU_FRAME | units | affect_columns(FRAME_COLUMNS)


def _summary_sources() -> dict[str, Codebook]:
    """Return what the columns of the summary are made from."""
    book = summary_codebook(aus=[ONE_AU], affect=SUMMARY_COLUMNS) | windows_codebook([ONE_AU])

    def named(*begins: str) -> dict[str, Column]:
        return {name: column for name, column in book.items() if name.startswith(begins)}

    pupil = PUPIL_FEATURES | named("pupil_", "light_")
    face = dynamics_codebook.FEATURES | named(
        "AU", "expr_", "affect_", "speaking_", "n_microexpression"
    )
    eyes = GAZE_FEATURES | named("gaze_", "mean_fixation_")
    across = named("face_reaction_aoi")
    mimicry = named("mimicry_")
    return {
        "exclusions.yaml": named("excluded", "exclusion_"),
        "ratings": named("rating_"),
        "stimulus manifest": named("norm_", "category"),
        "face video and the film": mimicry,
        "face video and gaze": across,
        "pupil": pupil,
        "gaze": eyes,
        "face video": face | named("face_"),
    }


def _anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def main(arguments: Iterable[str]) -> int:
    """Write the reference to the file named."""
    targets = list(arguments)
    if len(targets) != 1:
        sys.stderr.write(f"Usage: {COMMAND}\n")
        return 2
    path = Path(targets[0])
    path.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
