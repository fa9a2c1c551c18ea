"""AffectNet-HQ and other re-releases of AffectNet that know classes alone: folders, or Parquet.

Folders: ``train/happy/0001.jpg`` (any name of the part, or none), the folder being the name of a class or its
number in the order of AffectNet. Parquet: ``data/train-00000-of-00001.parquet`` with a column ``image``
(bytes of a picture) and ``label``: a name, or the number of one of the names that the file itself lists,
whose order differs from AffectNet's. What is no class of ours is left out. No subjects are known: each
picture counts as a person of its own.
"""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from duchenne.analysis.face.decode import decode_image
from duchenne.analysis.training.datasets.base import EXPRESSIONS, Picture, dataset, expression
from duchenne.analysis.training.datasets.files import images
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from duchenne.analysis.face.frames import Image
    from duchenne.analysis.training.datasets.base import Tell

ENDING = ".parquet"


@dataset(
    "affectnet-hq",
    title="AffectNet-HQ (classes)",
    kind="expression",
    layout="train/happy/….jpg (or train/1/….jpg), or data/train-00000-of-00001.parquet with image and label",
    known_from="general knowledge, not checked; the order of classes in Parquet is read from the file",
    licence="as AffectNet: agreement with the University of Denver; research only, no passing on",
    citation="Mollahosseini, Hasani & Mahoor (2019), AffectNet; re-released by others",
)
def read_affectnet_hq(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with its ``expression``; ``condition`` is the part."""
    tables = [source] if source.suffix == ENDING else sorted(source.rglob(f"*{ENDING}"))
    if tables:
        for path in tables:
            yield from _of_table(path, tell)
        return
    left_out: dict[str, int] = {}
    for image in images(source, below=True):
        word = image.parent.name
        found = int(word) if word in map(str, range(len(EXPRESSIONS))) else expression(word)
        if found is None or image.parent == source:
            left_out[word] = left_out.get(word, 0) + 1
            continue
        above = image.parent.parent
        part = "" if above == source else above.relative_to(source).as_posix()
        name = image.relative_to(source).as_posix()
        yield Picture(image, {"expression": float(found)}, name, part)
    for word, n in left_out.items():
        tell(f"'{word}' is no class of ours: {n} pictures are left out")


def _of_table(path: Path, tell: Tell) -> Iterator[Picture]:
    from pyarrow import ArrowException  # noqa: PLC0415 (heavy)
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    try:
        table = ParquetFile(path)
        names = _class_names(table.schema_arrow.metadata or {})
        labels = table.read(columns=["label"])["label"].to_pylist()
        sizes = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    except (OSError, ValueError, KeyError, ArrowException) as error:
        raise DuchenneError(f"{path} has no readable column label: {error}") from error
    part = path.stem.partition("-")[0]
    places = ((group, row) for group, n in enumerate(sizes) for row in range(n))
    n_left_out = 0
    for i, (label, (group, row)) in enumerate(zip(labels, places, strict=True)):
        found = expression(_word(label, names, path))
        if found is None:
            n_left_out += 1
            continue
        load = partial(_image, path, group, row)
        name = f"{path.stem}/{i:06d}"
        yield Picture(path / f"{i:06d}", {"expression": float(found)}, name, part, load=load)
    if n_left_out:
        tell(f"{path.name}: {n_left_out} pictures have no class of ours")


def _class_names(metadata: dict[bytes, bytes]) -> Sequence[str]:
    """Return the names of the classes that the file lists; none where it lists none."""
    try:
        about = json.loads(metadata[b"huggingface"])
        return [str(name) for name in about["info"]["features"]["label"]["names"]]
    except (KeyError, ValueError, TypeError):
        return []


def _word(label: Any, names: Sequence[str], path: Path) -> str:
    if isinstance(label, str):
        return label
    if isinstance(label, int) and 0 <= label < len(names):
        return names[label]
    listed = f"lists {len(names)} classes" if names else "does not say which class has which number"
    raise DuchenneError(f"{path}: label is {label}, and the file {listed}.")


@lru_cache(maxsize=1)
def _group(path: Path, group: int) -> list[Any]:
    """Return the pictures of a part of the file, the last of which is kept."""
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 (heavy)

    return list(ParquetFile(path).read_row_group(group, columns=["image"])["image"].to_pylist())


def _image(path: Path, group: int, row: int) -> Image:
    held = _group(path, group)[row]
    content = held.get("bytes") if isinstance(held, dict) else held
    picture = decode_image(content) if isinstance(content, bytes) else None
    if picture is None:
        raise DuchenneError(f"{path}, part {group}, row {row} holds no picture.")
    return picture
