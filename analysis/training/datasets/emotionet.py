"""Lists of Action Units as those of EmotioNet: one row per picture, 1, 0 or 999 (not coded).

One CSV (or Excel file) in the folder has a column of addresses (``URL``) or file names and columns
``AU 1`` … ``AU 60``; the pictures lie anywhere below the folder under the last part of their address. No
subjects are known: each picture counts as a person of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import column, images, known, read_table, unit
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

MISSING = (999.0, 9.0, -1.0)


@dataset(
    "emotionet",
    title="EmotioNet or another list of Action Units",
    kind="occurrence",
    layout="a CSV with URL (or file) and AU 1 … AU 60, and the pictures below the folder",
    known_from="general knowledge, not checked; any spelling of AU in the headings is taken",
    licence="agreement with Ohio State University; research only; pictures belong to their owners",
    citation="Benitez-Quiroz, Srinivasan & Martinez (2016), EmotioNet",
)
def read_emotionet(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture that is there with its Action Units (0 or 1)."""
    places = {path.name: path for path in images(source, below=True)}
    tables = sorted(p for p in source.iterdir() if p.suffix.lower() in {".csv", ".xlsx", ".xls"})
    if not tables:
        raise DuchenneError(f"{source} has no list (.csv): is this part of the data missing?")
    for path in tables:
        table = read_table(path)
        where = column(table, "file", "filename", "image", "URL", "# URL", "url_original")
        units = {str(c): name for c in table.columns if (name := unit(str(c))) is not None}
        if where is None or not units:
            raise DuchenneError(f"{path} has no column URL or file, or none of Action Units.")
        n_missing = 0
        for row in table.to_dict("records"):
            name = unquote(urlsplit(str(row[where]).strip("' \"")).path).rpartition("/")[2]
            labels = known({label: float(row[c]) for c, label in units.items()}, MISSING)
            if name not in places:
                n_missing += 1
            elif labels:
                yield Picture(places[name], labels, name, path.stem)
        if n_missing:
            tell(f"{path.name}: {n_missing} of {len(table)} pictures are not there")
