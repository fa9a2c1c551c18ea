"""AFEW-VA: 600 clips of films, valence and arousal of every frame as whole numbers from -10 to 10.

``001/001.json`` has ``actor`` and ``frames``: by number ``00000`` the landmarks, ``valence`` and ``arousal``;
``001/00000.png`` is the picture. Values are divided by 10. The actor is the subject where named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import numbered, read_json
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

SCALE = 10.0


@dataset(
    "afew-va",
    title="AFEW-VA",
    kind="affect",
    layout="001/001.json and 001/00000.png",
    known_from="folders from public programs that read it; the keys from general knowledge, not checked",
    licence="agreement with Imperial College London; research only",
    citation="Kossaifi et al. (2017), AFEW-VA database for valence and arousal estimation in-the-wild",
)
def read_afew_va(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with ``valence`` and ``arousal`` (-1 to 1)."""
    notes = sorted(p for p in source.rglob("*.json") if p.stem == p.parent.name)
    for path in notes:
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("frames"), dict):
            raise DuchenneError(f"{path} has no frames.")
        stills = numbered(path.parent)
        subject = str(content.get("actor") or path.stem)
        n_missing = 0
        for name, row in sorted(content["frames"].items()):
            if int(name) not in stills:
                n_missing += 1
                continue
            try:
                labels = {k: float(row[k]) / SCALE for k in ("valence", "arousal")}
            except (KeyError, TypeError, ValueError) as error:
                raise DuchenneError(f"{path}: frame {name} has no valence and arousal.") from error
            yield Picture(stills[int(name)], labels, subject, path.stem, int(name))
        if n_missing:
            tell(f"{path.stem}: {n_missing} pictures are missing")
