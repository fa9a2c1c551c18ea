"""BASS, the Bicolor Affective Silhouettes and Shapes.

Source of the format: ``BASS_data.csv`` and ``images/`` as distributed with the paper (583 PNG
pictures, 300 × 300, black and white; columns ``file_name, val_mean_us, aro_mean_us, val_sd_us, …
black_px, white_px, keywords, source``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

SAMPLES = ("us", "ch")
BASS = Database(
    name="bass",
    title="Bicolor Affective Silhouettes and Shapes (BASS)",
    citation="Kawai, C., Lukács, G., & Ansorge, U. (2021). A new type of pictorial database: "
    "The Bicolor "
    "Affective Silhouettes and Shapes (BASS). Behavior Research Methods. doi "
    "10.3758/s13428-021-01569-7",
    licence="CC-BY-4.0",
    redistributable=True,
    terms="free to share and adapt with attribution",
    norm_min=1.0,
    norm_max=9.0,
    norm_files=("BASS_data.csv", "BASS*.csv"),
    norms="valence and arousal on scales from 1 to 9, of a US (us) and a Chinese (ch) sample",
)


@importer(BASS)
def read(source: Source) -> Sequence[Entry]:
    """Read the norms of one sample (the US one by default); those of both are kept as numbers."""
    sample = source.choose_sample(SAMPLES, "us")
    table = source.table("file_name")
    table.require("file", source.names("file", "file_name"))
    return [e for row in table.rows if (e := _entry(row, sample, source)) is not None]


def _entry(row: Row, sample: str, source: Source) -> Entry | None:
    file = row.text(*source.names("file", "file_name"))
    if file is None:
        return None
    found = numbers(
        row,
        {
            f"{long}_{what}_{s}": (f"{short}_{what}_{s}",)
            for short, long in (("val", "valence"), ("aro", "arousal"))
            for what in ("mean", "sd", "n")
            for s in SAMPLES
        },
    )
    black, white = row.number("black_px"), row.number("white_px")
    if black is not None and white is not None and black + white > 0:
        found |= {"black_px": black, "white_px": white}
        found["black_share"] = round(black / (black + white), 6)
    texts = {name: t for name in ("source",) if (t := row.text(name)) is not None}
    return Entry(
        keys=(file,),
        where=row.where,
        valence=row.number(*source.names("valence", f"val_mean_{sample}")),
        arousal=row.number(*source.names("arousal", f"aro_mean_{sample}")),
        description=row.text("keywords"),
        numbers=found,
        texts=texts,
    )
