"""Face videos in an export: none, with a hidden face, or as recorded; as the consent allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job

EXIF = b"Exif\x00\x00"


def write_videos(job: Job, place: Callable[[ExportSession, str], str]) -> None:
    """Write the face videos that were asked for and may leave; say which may not.

    Parameters
    ----------
    job : Job
    place : callable
        Given the session and ``original`` or the method, returns the path of the file in the export.
    """
    if job.options.video == "none":
        return
    for done, session in enumerate(job.sessions):
        job.tell(f"video of {session.paths.stem}", done, len(job.sessions))
        with Recording.open(session.file) as recording:
            videos = [s for s in recording.streams.values() if s.info.is_video and s.n]
        if not videos:
            continue
        kind = kind_of(session, job)
        if kind is None:
            continue
        target = job.out / place(session, kind)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(session, kind, target)
        except DuchenneError as error:
            for path in (target, target.with_suffix(".tsv")):
                path.unlink(missing_ok=True)
            told = job.private.clean(str(error))
            job.notes.append(f"{session.paths.stem}: no face video, {told}")


def kind_of(session: ExportSession, job: Job) -> str | None:
    """Return what video of a session may leave: ``original``, the method that hides the face, or None."""
    scopes, stem = session.scopes, session.paths.stem
    if job.options.video == "original" and scopes.share_video:
        return "original"
    if not scopes.share_deidentified:
        job.notes.append(
            f"{stem}: no face video, the participant was not asked for it or did not agree."
        )
        return None
    if job.options.video == "original":
        job.notes.append(
            f"{stem}: the face video with a hidden face alone, the participant did not agree to more."
        )
    return job.options.method


def _write(session: ExportSession, kind: str, target: Path) -> None:
    if kind == "original":
        from duchenne.recorder.video_export import choose_stream, export_video  # noqa: PLC0415 -- av

        with Recording.open(session.file) as recording:
            stream = choose_stream(recording, None)
            if EXIF in b"".join(packet[:4096] for packet in stream.packets()):
                raise DuchenneError("its frames hold EXIF: export it with a hidden face.")
            export_video(recording, target)
        return
    from duchenne.analysis.face.deidentify import deidentify  # noqa: PLC0415 -- mediapipe
    from duchenne.analysis.face.deidentify_video import VideoInput  # noqa: PLC0415

    result = deidentify(VideoInput(session.file), target, method=kind)
    if result.check is not None and not result.check.passed:
        raise DuchenneError(f"the face could be known again ({result.check.what}).")
