"""``duchenne protocol timing``: reads session files, so it lives here and is mounted by the umbrella."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer

from duchenne.stimuli.errors import UsageError


def timing(  # noqa: PLR0917 -- typer passes them by name
    session: Annotated[Path, typer.Argument(help="Session file recorded with the patch or click.")],
    photodiode: Annotated[
        str | None,
        typer.Option(help="Name of the photodiode stream; the one there is if not given."),
    ] = None,
    audio: Annotated[
        str | None, typer.Option(help="Name of the sound stream; the one there is if not given.")
    ] = None,
    camera: Annotated[
        bool, typer.Option("--camera", help="Measure the face camera, which sees the patch.")
    ] = False,
    region: Annotated[
        str | None,
        typer.Option(help="Where the camera sees the patch, as x0,y0,x1,y1 from 0 to 1."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write; beside the session if not given.")
    ] = None,
) -> None:
    """Measure how late light, sound and camera are behind the markers of a session."""
    from duchenne.recorder import timing as measure  # noqa: PLC0415 -- heavy, only for this command
    from duchenne.recorder.recording import Recording  # noqa: PLC0415 -- h5py and pandas

    where = _region(region)
    delays = []
    with Recording.open(session) as recording:
        types = {stream.info.type for stream in recording.streams.values() if stream.n}
        if photodiode or "Photodiode" in types:
            stream = measure.stream_of(recording, photodiode, "Photodiode")
            delays.append(measure.photodiode_delays(recording, stream))
        if audio or types & {"Audio", "AudioLevel"}:
            stream = measure.stream_of(recording, audio, "Audio", "AudioLevel")
            delays.append(measure.audio_delays(recording, stream))
        if camera:
            stream = measure.stream_of(recording, None, "VideoCompressed")
            delays.append(measure.camera_delays(recording, stream, where))
    if not delays:
        raise UsageError(
            f"{session}: holds no photodiode and no sound; record one with --source photodiode or "
            "microphone, or measure the camera with --camera"
        )
    for delay in delays:
        typer.echo(delay.line())
    target = out or session.with_name(f"{session.stem.removesuffix('_session')}_timing.json")
    typer.echo(f"Wrote {measure.write_timing(target, session, delays)}")


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--region {text}: write it as x0,y0,x1,y1, such as 0.8,0.8,1,1") from None
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise UsageError(f"--region {text}: all from 0 to 1, the smaller ones first")
    return x0, y0, x1, y1
