"""Coding sheets for a lab's own FACS coders, and what their codings say about the measured intensities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.face.deidentify_video import Mp4Writer, VideoInput
from duchenne.analysis.face.validation_agreement import (
    AGREEMENT_COLUMNS,
    CODERS_MEAN,
    MEASURED,
    agreement_rows,
)
from duchenne.analysis.face.validation_codes import intensities_of
from duchenne.analysis.face.validation_datavyu import read_datavyu, write_datavyu
from duchenne.analysis.face.validation_draw import Clip, blind_names, candidates, draw
from duchenne.analysis.face.validation_elan import read_elan, write_elan
from duchenne.analysis.face.validation_text import INSTRUCTIONS, KEY_COLUMNS
from duchenne.analysis.tables import read_table, write_table
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CODERS, KEY = "coders", "key"
KEY_TABLE, RESULT_TABLE = "key.tsv", "agreement.tsv"
READERS = {".eaf": read_elan, ".opf": read_datavyu}
GROUP_COLUMNS = ("skin_tone", "glasses", "beard")
LATE_S = 1e-6
SAME_TIME_S = 946_684_800.0


@dataclass(frozen=True)
class Measured:
    """A recording with its Action Units.

    Attributes
    ----------
    video : VideoInput
    table : pandas.DataFrame
        One row per frame: ``time usable AUxx_r AUxx_c``; times as `video` gives them.
    participant : str
    conditions : sequence of str
        Of each frame.
    """

    video: VideoInput
    table: pd.DataFrame
    participant: str
    conditions: Sequence[str]


@dataclass(frozen=True)
class Drawn:
    """What was written for coders: their folder, the folder with the key, and how many clips."""

    coders: Path
    key: Path
    n_clips: int


def prepare(
    recordings: Sequence[Measured],
    out: Path,
    *,
    n_clips: int,
    clip_s: float,
    au_names: Sequence[str],
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Drawn:
    """Draw clips, write them under names that say nothing, and a coding sheet of each kind for each.

    Parameters
    ----------
    recordings : sequence of Measured
    out : Path
        A folder that does not exist; gets ``coders`` (for the coders) and ``key`` (to be kept aside).
    n_clips : int
    clip_s : float
    au_names : sequence of str
        Action Units to be coded.
    seed : int
        Same seed, same clips under the same names.
    progress : callable, optional
        Told how many clips are written.

    Raises
    ------
    DuchenneError
        Where no clip can be drawn, or the folder exists.
    """
    if out.exists():
        raise DuchenneError(f"{out} exists and is never overwritten: choose another name.")
    found = [
        clip
        for recording in recordings
        for clip in candidates(
            recording.table,
            recording.video.path,
            recording.conditions,
            participant=recording.participant,
            au_names=au_names,
            clip_s=clip_s,
        )
    ]
    if not found:
        raise DuchenneError(
            f"No stretch of {clip_s:g} s in which the face could be measured: nothing was written."
        )
    clips = draw(found, n_clips, au_names, seed)
    names = blind_names(len(clips), seed)
    coders, key = out / CODERS, out / KEY
    coders.mkdir(parents=True)
    key.mkdir()
    videos = {recording.video.path: recording.video for recording in recordings}
    frames = _write_clips(clips, names, videos, coders, progress or (lambda _n: None))
    for clip, name in zip(clips, names, strict=True):
        duration_s = clip.end_s - clip.start_s
        write_elan(coders / f"{name}.eaf", f"{name}.mp4", duration_s, au_names)
        write_datavyu(coders / f"{name}.opf", duration_s, au_names)
    (coders / "INSTRUCTIONS.txt").write_text(INSTRUCTIONS, encoding="utf-8")
    for path in coders.iterdir():  # file times would tell in which order clips were cut
        os.utime(path, (SAME_TIME_S, SAME_TIME_S))
    write_table(_key_table(clips, names, frames, au_names), key / KEY_TABLE, KEY_COLUMNS)
    return Drawn(coders, key, len(clips))


def evaluate(
    out: Path,
    coded: Sequence[Path],
    participants: pd.DataFrame | None = None,
    tell: Callable[[str], object] | None = None,
) -> tuple[Path, pd.DataFrame, dict[str, int]]:
    """Compare what coders entered with what was measured.

    Parameters
    ----------
    out : Path
        The folder that :func:`prepare` wrote.
    coded : sequence of Path
        One folder for each coder, with ``.eaf`` or ``.opf`` files. A coder is called by the name of
        the folder; a folder ``coders`` or ``measured`` counts as ``coders (1)`` or ``measured (1)``.
    participants : pandas.DataFrame, optional
        With ``participant_id`` and any of ``skin_tone glasses beard``, as text.
    tell : callable, optional
        Told, in one line, that the clips are of none of the participants.

    Returns
    -------
    (Path, pandas.DataFrame, dict)
        The table that was written, its rows, and how many clips each coder has coded.

    Raises
    ------
    DuchenneError
        Where there is no key, a folder holds no coding of these clips, or an entry cannot be read.
    """
    path = out / KEY / KEY_TABLE
    if not path.is_file():
        raise DuchenneError(f"{out} holds no {KEY}/{KEY_TABLE}: name the folder that was drawn.")
    key = read_table(path).set_index("clip", drop=False)
    au_names = [str(c)[: -len("_peak")] for c in key.columns if str(c).endswith("_peak")]
    codings = {
        name: read_codings(folder, key["clip"].tolist(), au_names) for name, folder in _named(coded)
    }
    groups = _groups(key, participants, tell or (lambda _line: None))
    rows = agreement_rows(key, codings, au_names, groups)
    table = pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))
    written = write_table(table, out / KEY / RESULT_TABLE, AGREEMENT_COLUMNS)
    return written, table, {name: len(coding) for name, coding in codings.items()}


def read_codings(folder: Path, clips: Sequence[str], au_names: Sequence[str]) -> pd.DataFrame:
    """Return one coder's intensities: one row per coded clip, one column per Action Unit.

    Raises
    ------
    DuchenneError
        Where the folder holds no coding of these clips, or two files code one clip differently.
    """
    if not folder.is_dir():
        raise DuchenneError(f"There is no folder {folder}: name the folder of one coder's files.")
    known = set(clips)
    found: dict[str, dict[str, float]] = {}
    for path in sorted(folder.rglob("*")):
        reader = READERS.get(path.suffix.lower())
        if reader is None or path.stem not in known:
            continue
        values = intensities_of(reader(path), au_names, str(path))
        if values is None:
            continue
        if path.stem in found and not _same(found[path.stem], values):
            raise DuchenneError(
                f"{path} codes a clip otherwise than another file: keep one of them."
            )
        found[path.stem] = values
    if not found:
        raise DuchenneError(
            f"{folder} holds no coded clip: coders enter yes under 'coded' in each file they finish."
        )
    return pd.DataFrame.from_dict(found, orient="index", columns=list(au_names))


def _same(first: dict[str, float], second: dict[str, float]) -> bool:
    return all(np.array_equal(first[au], second[au], equal_nan=True) for au in first)


def _named(coded: Sequence[Path]) -> list[tuple[str, Path]]:
    names = [folder.resolve().name for folder in coded]
    if len(set(names)) < len(names):
        names = [f"{name}-{i}" for i, name in enumerate(names, start=1)]
    names = [_free(name, names) if name in {MEASURED, CODERS_MEAN} else name for name in names]
    return list(zip(names, coded, strict=True))


def _free(name: str, taken: Sequence[str]) -> str:
    return next(free for i in count(1) if (free := f"{name} ({i})") not in taken)


def _groups(
    key: pd.DataFrame, participants: pd.DataFrame | None, tell: Callable[[str], object]
) -> dict[str, pd.Series[str]]:
    """Return, for each column that tells groups apart, the group of each clip."""
    if participants is None:
        return {}
    if "participant_id" not in participants:
        raise UsageError("The table of participants needs a column participant_id.")
    labels = participants["participant_id"].astype(str).str.removeprefix("sub-")
    wanted = key["participant"].astype(str).str.removeprefix("sub-")
    groups = {}
    for column in GROUP_COLUMNS:
        if column in participants:
            known = dict(zip(labels, participants[column].astype("string"), strict=True))
            groups[column] = wanted.map(known).fillna("n/a")
    if groups and not wanted.isin(labels).any():
        tell(
            f"The clips are of none of the participants in the table (clips: {_some(wanted)}; table: "
            f"{_some(labels)}): every group is n/a."
        )
    return groups


def _some(labels: pd.Series[str]) -> str:
    """Return the first labels, for a message."""
    names = list(dict.fromkeys(labels.dropna()))
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "") or "nobody"


def _write_clips(
    clips: Sequence[Clip],
    names: Sequence[str],
    videos: dict[Path, VideoInput],
    folder: Path,
    progress: Callable[[int], object],
) -> list[int]:
    """Write the pictures of each clip; read every source once. Return the number of frames of each."""
    counts = [0] * len(clips)
    done = 0
    for path, video in videos.items():
        waiting = sorted(
            (i for i, clip in enumerate(clips) if clip.source == path),
            key=lambda i: clips[i].start_s,
        )
        writer: Mp4Writer | None = None
        for _, time_s, image in video.frames() if waiting else ():
            while waiting and time_s >= clips[waiting[0]].end_s - LATE_S:
                if writer is not None:
                    writer.__exit__(None, None, None)
                    writer, done = None, done + 1
                    progress(done)
                waiting.pop(0)
            if not waiting:
                break
            if image is None or time_s < clips[waiting[0]].start_s - LATE_S:
                continue
            if writer is None:
                writer = Mp4Writer(folder / f"{names[waiting[0]]}.mp4")
                writer.__enter__()
            writer.add(time_s, image)
            counts[waiting[0]] += 1
        if writer is not None:
            writer.__exit__(None, None, None)
    return counts


def _key_table(
    clips: Sequence[Clip], names: Sequence[str], frames: Sequence[int], au_names: Sequence[str]
) -> pd.DataFrame:
    rows = []
    for clip, name, n in zip(clips, names, frames, strict=True):
        row: dict[str, object] = {
            "clip": name,
            "source": str(clip.source),
            "participant": clip.participant,
            "condition": clip.condition,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "n_frames": n,
        }
        row |= {f"{au}_peak": clip.peaks[au] for au in au_names}
        row |= {f"{au}_occurs": clip.occurs[au] for au in au_names}
        rows.append(row)
    return pd.DataFrame(rows)
