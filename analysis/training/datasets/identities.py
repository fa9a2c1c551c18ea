"""Faces without labels of expression: for pre-training, and for encoders of identity.

``faces-by-person``: a folder per person with pictures in it (CASIA-WebFace, VGGFace2; IMDB-WIKI too, where a
folder is not one person, so that only its pictures are of use). ``celeba``: ``img_align_celeba/000001.jpg``
and ``identity_CelebA.txt`` with lines ``000001.jpg 2880``. ``faces``: any folder of pictures (FFHQ), each a
person of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import folders, images, part
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell


@dataset(
    "faces-by-person",
    title="a folder per person (CASIA-WebFace, VGGFace2)",
    kind="none",
    layout="<person>/….jpg",
    known_from="common to many data sets",
    licence="CASIA-WebFace and VGGFace2: research only",
    citation="Yi et al. (2014), CASIA-WebFace; Cao et al. (2018), VGGFace2",
)
def read_faces_by_person(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with the name of its folder as the subject."""
    for person in folders(source):
        found = images(person, below=True)
        if not found:
            tell(f"{person.name} holds no pictures")
        for image in found:
            yield Picture(image, {}, person.name)


@dataset(
    "celeba",
    title="CelebA",
    kind="none",
    layout="img_align_celeba/000001.jpg and identity_CelebA.txt",
    known_from="general knowledge, not checked",
    licence="non-commercial research only",
    citation="Liu et al. (2015), Deep learning face attributes in the wild",
)
def read_celeba(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with its identity."""
    pictures = part(source, "img_align_celeba", "Img/img_align_celeba", "img_celeba")
    path = part(source, "identity_CelebA.txt", "Anno/identity_CelebA.txt")
    n_missing = 0
    for i, line in enumerate(path.read_text("utf-8").splitlines()):
        words = line.split()
        if not words:
            continue
        if len(words) != 2:
            raise DuchenneError(f"{path}, line {i + 1}: '{line}' is no picture and its identity.")
        if (pictures / words[0]).is_file():
            yield Picture(pictures / words[0], {}, words[1])
        else:
            n_missing += 1
    if n_missing:
        tell(f"{n_missing} pictures are missing")


@dataset(
    "faces",
    title="any folder of faces (FFHQ)",
    kind="none",
    layout="….jpg or .png, also below",
    known_from="our own",
    licence="FFHQ: non-commercial; else as whoever made it says",
    citation="Karras et al. (2019), A style-based generator architecture (FFHQ)",
)
def read_faces_folder(source: Path, tell: Tell) -> Iterator[Picture]:  # noqa: ARG001  (of the seam)
    """Yield every picture, each a person of its own."""
    for image in images(source, below=True):
        yield Picture(image, {}, image.relative_to(source).as_posix())
