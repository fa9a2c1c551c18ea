"""What the process must look like before PsychoPy is imported."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def has_audio_output() -> bool:
    """Say whether sound can be played.

    On Linux: an ALSA card, or a PulseAudio or PipeWire server. Elsewhere it is taken for granted.
    """
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("PULSE_SERVER"):
        return True
    if any(Path("/dev/snd").glob("pcm*p")):
        return True
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    return (runtime / "pulse" / "native").exists() or (runtime / "pipewire-0").exists()


@contextmanager
def psychopy_environment() -> Iterator[None]:
    """Prepare the environment for PsychoPy and put it back afterwards.

    Without a sound device, films are played against SDL's silent clock. Where the home folder cannot be
    written, PsychoPy keeps its preferences in a temporary folder. It is kept from adding its own package
    folders to the search paths.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="duchenne-psychopy-") as folder:
        os.environ["PSYCHOPYNOPACKAGES"] = "1"
        if not has_audio_output():
            os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
        if not _home_is_writable():
            os.environ["HOME"] = folder
        try:
            yield
        finally:
            for name in ("PSYCHOPYNOPACKAGES", "SDL_AUDIODRIVER", "HOME"):
                if name in before:
                    os.environ[name] = before[name]
                else:
                    os.environ.pop(name, None)


def _home_is_writable() -> bool:
    home = os.environ.get("HOME")
    if sys.platform == "win32":
        return True
    if not home:
        return False
    settings = Path(home) / ".psychopy3"
    return os.access(settings if settings.exists() else home, os.W_OK | os.X_OK)
