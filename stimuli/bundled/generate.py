"""Makes the demonstration set: ``python -m duchenne.stimuli.bundled.generate OUT``.

Every picture is painted and every film rendered by the modules beside this one, from fixed seeds.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image
from rich.progress import track

from duchenne.stimuli.bundled import (
    festive,
    films,
    gloomy,
    landscapes,
    neutral,
    rubbish,
    sound,
    threatening,
)
from duchenne.stimuli.checks import file_sha256
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.luminance import relative_luminance
from duchenne.stimuli.stimulus import COLUMNS, EXPRESSIONS, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LICENCE = "CC0-1.0"
NORM_MIN, NORM_MAX = 1, 9
JPEG_QUALITY = 88
FILM_CRF = 27


@dataclass(frozen=True)
class Design:
    """What one stimulus is meant to be; norms on the scale from `NORM_MIN` to `NORM_MAX`."""

    id: str
    category: str
    valence: float
    arousal: float
    target_expression: str
    description: str


IMAGES = (
    Design("fireworks", "HVHA", 7.6, 7.2, "surprise", "Fireworks over a town by the water"),
    Design("confetti", "HVHA", 7.8, 6.6, "happiness", "Confetti and streamers before a sunburst"),
    Design("sunset", "HVLA", 7.7, 3.2, "happiness", "A low sun over a calm sea"),
    Design("hills", "HVLA", 7.2, 2.9, "happiness", "Green hills with trees under a soft sky"),
    Design("spider", "LVHA", 2.6, 7.0, "fear", "A large spider in a web"),
    Design("spikes", "LVHA", 2.9, 6.8, "anger", "Dark spikes closing in on a red glow"),
    Design("mould", "LVHA", 2.2, 5.8, "disgust", "A mouldy slice of bread with flies on it"),
    Design("rain", "LVLA", 3.4, 3.0, "sadness", "Rain running down a window before a grey town"),
    Design("wilted", "LVLA", 3.0, 2.7, "sadness", "A wilted flower in a dim room"),
    Design("litter", "LVLA", 3.1, 3.9, "contempt", "An overturned bin and litter by a wall"),
    Design("mug", "neutral", 5.1, 2.9, "neutral", "A mug on a table"),
    Design("chair", "neutral", 5.0, 2.6, "neutral", "A wooden chair in an empty room"),
    Design("boxes", "neutral", 4.9, 2.8, "neutral", "Three cardboard boxes"),
)
FILMS = (
    Design("balloons", "HVHA", 7.7, 6.2, "happiness", "Balloons rising to a cheerful tune"),
    Design("corridor", "LVHA", 2.3, 7.5, "fear", "A figure coming closer in a dark corridor"),
)
PAINTERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    painter.__name__: painter
    for painter in (
        festive.fireworks,
        festive.confetti,
        landscapes.sunset,
        landscapes.hills,
        threatening.spider,
        threatening.spikes,
        threatening.mould,
        gloomy.rain,
        gloomy.wilted,
        rubbish.litter,
        neutral.mug,
        neutral.chair,
        neutral.boxes,
    )
}


def generate(folder: Path) -> Path:
    """Make the whole set.

    Parameters
    ----------
    folder : Path
        Where to write; made if it is not there. Files of the same name are replaced.

    Returns
    -------
    Path
        The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        image_row(design, folder) if design.id in PAINTERS else film_row(design, folder)
        for design in track(IMAGES + FILMS, description="Painting")
    ]
    (folder / "manifest.tsv").write_text(_table(rows), encoding="utf-8")
    codebook = json.dumps(_codebook(), indent=2, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(codebook, encoding="utf-8")
    return folder / "manifest.tsv"


def image_row(design: Design, folder: Path) -> dict[str, Any]:
    """Paint one picture into a folder and return its manifest row."""
    path = folder / f"{design.id}.jpg"
    picture = PAINTERS[design.id](_rng(design))
    picture.save(path, quality=JPEG_QUALITY, optimize=True, subsampling=0)
    with Image.open(path) as stored:
        luminance = relative_luminance(np.array(stored.convert("RGB"), dtype=np.uint8))
    facts = {"kind": "image", "media_type": "image/jpeg", "luminance": round(luminance, 4)}
    facts |= {"width_px": picture.width, "height_px": picture.height}
    return _row(design, path, facts)


def film_row(design: Design, folder: Path) -> dict[str, Any]:
    """Render one film into a folder and return its manifest row."""
    path = folder / f"{design.id}.mp4"
    frames: Iterator[Image.Image]
    if design.id == "balloons":
        frames, track_ = films.balloons(_rng(design)), sound.cheerful(films.DURATION_S)
    else:
        frames = films.corridor(_rng(design))
        track_ = sound.threatening(films.DURATION_S, _rng(design))
    films.write_film(path, frames, track_, crf=FILM_CRF)
    with av.open(str(path)) as container:
        shown = [
            relative_luminance(f.to_ndarray(format="rgb24").astype(np.uint8))
            for f in container.decode(video=0)
        ]
    facts = {
        "kind": "video",
        "media_type": "video/mp4",
        "luminance": round(float(np.mean(shown)), 4),
    }
    facts |= {"width_px": films.FILM_WIDTH_PX, "height_px": films.FILM_HEIGHT_PX}
    return _row(design, path, facts | {"duration_s": films.DURATION_S})


def _rng(design: Design) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(design.id.encode()))


def _row(design: Design, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": design.id,
        "file": path.name,
        "category": design.category,
        "valence": design.valence,
        "arousal": design.arousal,
        "norm_min": NORM_MIN,
        "norm_max": NORM_MAX,
        "target_expression": design.target_expression,
        "licence": LICENCE,
        "redistributable": "true",
        "description": design.description,
        "sha256": file_sha256(path),
        **facts,
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([row.get(name, "n/a") for name in COLUMNS])
    return text.getvalue()


def _codebook() -> dict[str, Any]:
    norm = "; a nominal design value, not a human rating"
    columns: dict[str, Any] = {
        "id": {"Description": "Unique name of the stimulus"},
        "file": {"Description": "Path of the file, relative to this folder"},
        "kind": {"Description": "How it is presented", "Levels": list(KINDS)},
        "category": {
            "Description": "Cell of the design",
            "Levels": {
                "HVHA": "high valence, high arousal",
                "HVLA": "high valence, low arousal",
                "LVHA": "low valence, high arousal",
                "LVLA": "low valence, low arousal",
                "neutral": "everyday objects",
            },
        },
        "sha256": {"Description": "SHA-256 of the file, hexadecimal"},
        "valence": {"Description": f"Unpleasant (1) to pleasant (9){norm}"},
        "arousal": {"Description": f"Calm (1) to excited (9){norm}"},
        "dominance": {"Description": "Not given for this set"},
        "norm_min": {"Description": "Lower end of the scale of the norms"},
        "norm_max": {"Description": "Upper end of the scale of the norms"},
        "duration_s": {"Description": "Length of a film", "Units": "s"},
        "width_px": {"Description": "Width", "Units": "pixels"},
        "height_px": {"Description": "Height", "Units": "pixels"},
        "luminance": {
            "Description": "Mean relative luminance of linearised sRGB pixels, 0 to 1; "
            "of a film, over its frames"
        },
        "target_expression": {
            "Description": "What the simulated participant shows in response; no claim about people",
            "Levels": list(EXPRESSIONS),
        },
        "media_type": {"Description": "MIME type of the file"},
        "licence": {"Description": "SPDX identifier of the licence"},
        "redistributable": {"Description": "Whether copies may be passed on"},
        "description": {"Description": "What is to be seen"},
    }
    about = {
        "Name": "duchenne-demo",
        "Description": "Pictures and films painted by program for demonstrations and tests",
        "Norms": "nominal design values, not human ratings; do not use them in research",
        "License": LICENCE,
        "Generator": "python -m duchenne.stimuli.bundled.generate",
    }
    return {"StimulusSet": about, **columns}


def main(arguments: Sequence[str]) -> None:
    """Make the set in the folder that the one argument names."""
    if len(arguments) != 1:
        raise UsageError("usage: python -m duchenne.stimuli.bundled.generate OUT")
    sys.stdout.write(f"{generate(Path(arguments[0]))}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DuchenneError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
