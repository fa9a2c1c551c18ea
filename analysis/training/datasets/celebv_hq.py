"""CelebV-HQ: clips of well-known people with the emotion of each clip, or of its stretches.

``celebvhq_info.json`` has ``clips``: by name ``attributes.emotion`` with ``sep_flag`` and ``labels``: one
word, or a list of words with ``start_sec`` and ``end_sec`` within the clip. The clips as its own program
cuts them out are ``<name>.mp4`` anywhere below the folder. A person is known by the film (``ytb_id``) only,
so that one person may count as several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import frames_of, is_film, part, read_json
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell


@dataset(
    "celebv-hq",
    title="CelebV-HQ",
    kind="expression",
    layout="celebvhq_info.json and <clip>.mp4 anywhere below the folder",
    known_from="the page of the data set",
    licence="non-commercial research only; films belong to their makers",
    citation="Zhu et al. (2022), CelebV-HQ: a large-scale video facial attributes dataset",
)
def read_celebv_hq(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with an emotion that is a class of ours."""
    path = source if source.is_file() else part(source, "celebvhq_info.json")
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("clips"), dict):
        raise DuchenneError(f"{path} has no clips.")
    films = {p.stem: p for p in sorted(path.parent.rglob("*")) if is_film(p)}
    n_missing = 0
    for name, clip in content["clips"].items():
        if name not in films:
            n_missing += 1
            continue
        try:
            emotion = clip["attributes"]["emotion"]
            subject = str(clip.get("ytb_id") or name)
            for begin_s, end_s, word in _stretches(emotion):
                found = expression(word)
                if found is None:
                    continue
                for frame, time_s in _moments(films[name], begin_s, end_s, tell):
                    labels = {"expression": float(found)}
                    yield Picture(films[name], labels, subject, name, frame, time_s)
        except (KeyError, TypeError, AttributeError) as error:
            raise DuchenneError(f"{path}: clip {name} has no emotion.") from error
    if n_missing:
        tell(f"{n_missing} of {len(content['clips'])} clips have no film")


def _stretches(emotion: Any) -> list[tuple[float, float, str]]:
    if isinstance(emotion["labels"], str):
        return [(0.0, float("inf"), emotion["labels"])]
    parts = emotion["labels"]
    return [(float(p["start_sec"]), float(p["end_sec"]), str(p["emotion"])) for p in parts]


def _moments(
    film: Path, begin_s: float, end_s: float, tell: Tell
) -> Iterator[tuple[int, float | None]]:
    """Yield the frames of a whole film, or 25 moments a second of a stretch."""
    if end_s == float("inf"):
        yield from ((frame, None) for frame in frames_of(film, tell))
        return
    first, last = round(begin_s * 25), round(end_s * 25)
    yield from ((i, i / 25) for i in range(first, last))
