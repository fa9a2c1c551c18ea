"""OMG-Emotion: utterances of one-minute films, rated as a whole.

``omg_TrainVideos.csv`` (and Validation, Test) has ``link,start,end,video,utterance,arousal,valence,
EmotionMaxVote``; the film of an utterance is ``<video>/<utterance>`` anywhere below the folder. Valence is
-1 to 1; arousal was rated from 0 (calm) to 1 and is brought to -1 to 1. Classes are 0 anger, 1 disgust,
2 fear, 3 happiness, 4 neutral, 5 sadness, 6 surprise. Every frame gets the labels of its utterance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import (
    frames_of,
    is_film,
    known,
    need_columns,
    read_table,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@dataset(
    "omg-emotion",
    title="OMG-Emotion",
    kind="affect",
    layout="omg_TrainVideos.csv and <video>/<utterance>.mp4 anywhere below the folder",
    known_from="public programs that read its tables; where the films lie is up to who downloads them",
    licence="as the challenge says (research); films belong to their makers",
    citation="Barros et al. (2018), The OMG-Emotion behavior dataset",
)
def read_omg_emotion(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with ``valence``, ``arousal`` and ``expression`` of its utterance."""
    films = {f"{p.parent.name}/{p.stem}": p for p in sorted(source.rglob("*")) if is_film(p)}
    tables = sorted(source.glob("omg_*Videos*.csv"))
    if not tables:
        raise DuchenneError(
            f"{source} has no omg_TrainVideos.csv: is this part of the data missing?"
        )
    for path in tables:
        if "withoutlabels" in path.stem.lower():
            tell(f"{path.name} has no labels")
            continue
        table = need_columns(
            read_table(path), path, "video", "utterance", "arousal", "valence", "emotionmaxvote"
        )
        n_missing = 0
        for row in table.to_dict("records"):
            utterance = str(row["utterance"]).removesuffix(".mp4")
            film = films.get(f"{row['video']}/{utterance}")
            if film is None:
                n_missing += 1
                continue
            number = row["emotionmaxvote"]
            if number not in range(len(EMOTIONS)):
                raise DuchenneError(f"{path}: EmotionMaxVote is {number}, and may be 0 to 6.")
            felt = expression(EMOTIONS[int(number)])
            assert felt is not None
            labels = known(
                {
                    "valence": float(row["valence"]),
                    "arousal": 2 * float(row["arousal"]) - 1,
                    "expression": float(felt),
                }
            )
            for frame in frames_of(film, tell):
                yield Picture(film, labels, str(row["video"]), path.stem, frame)
        if n_missing:
            tell(f"{path.name}: {n_missing} utterances have no film")
