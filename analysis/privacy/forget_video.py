"""Make the face video of one participant unreadable, in every copy: destroy its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.privacy.consent_table import withdraw
from duchenne.recorder.locked_file import PASSPHRASE_VARIABLE, is_locked
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.recorder.keyring import KeyRing


def destroy_key(study: Path, label: str, ring: KeyRing) -> int:
    """Destroy the key of a participant's encrypted face video; return how many videos that makes unreadable.

    Gaze, answers and measures stay. That no picture may be shown is noted in ``consent.tsv``.

    Raises
    ------
    DuchenneError
        A video of the participant is not encrypted, or the key file has no key of the participant.
    """
    import os  # noqa: PLC0415

    if label not in ring.keys:
        raise DuchenneError(f"{ring.path} holds no key of sub-{label}.")
    n_videos = 0
    for file in sorted((study / "sourcedata" / f"sub-{label}").glob("ses-*/*_session.h5")):
        with Recording.open(file) as recording:
            for stream in recording.streams.values():
                if not stream.info.is_video or not stream.n:
                    continue
                if not stream.is_encrypted:
                    raise DuchenneError(
                        f"{file}: the video {stream.key} is not encrypted; `duchenne encrypt` first, or "
                        "forget the participant as a whole."
                    )
                n_videos += 1
    withdraw(study, label, ("share_video", "share_stills"))
    told = os.environ.get(PASSPHRASE_VARIABLE) if is_locked(ring.path) else None
    ring.without(label).write(told)
    return n_videos
