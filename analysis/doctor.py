"""What works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from duchenne import __version__
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State = Literal["ok", "missing", "absent"]
PROBE_TIMEOUT_S = 60
LSL_PROBE_S = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    area : str
        Which use it serves.
    what : str
    state : {"ok", "missing", "absent"}
        "missing" stops a use; "absent" is hardware that is not connected, which a simulated twin replaces.
    detail : str
        What was found, or how to get it.
    """

    area: str
    what: str
    state: State
    detail: str


def examine(on_check: Callable[[Check], None] | None = None) -> list[Check]:
    """Examine this machine.

    Parameters
    ----------
    on_check : callable, optional
        Called with each result as it comes; the whole takes some seconds.
    """
    found = []
    for check in _checks():
        found.append(check)
        if on_check is not None:
            on_check(check)
    return found


def _checks() -> Iterator[Check]:
    yield _python()
    for name in ("numpy", "pandas", "h5py", "pydantic"):
        yield _package("core", name, name, "pip install duchenne")
    yield _lsl()
    yield _disk()
    yield _package("session", "psychopy", "psychopy", 'pip install "duchenne[lab]"')
    yield _display()
    yield _opengl()
    yield _audio()
    yield _package("session", "opencv-python", "cv2", 'pip install "duchenne[camera]"')
    yield _package("session", "av", "av", 'pip install "duchenne[camera]"')
    yield _cameras()
    yield _eye_trackers()
    yield _package("analysis", "mediapipe", "mediapipe", 'pip install "duchenne[analysis]"')
    yield _face_model()
    yield _package("analysis", "scipy", "scipy", 'pip install "duchenne[analysis]"')
    yield _package("analysis", "matplotlib", "matplotlib", 'pip install "duchenne[analysis]"')
    yield _torch()


def _python() -> Check:
    here = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if (3, 10) <= sys.version_info[:2] < (3, 13):
        return Check("core", "Python", "ok", f"{here}, Duchenne {__version__}")
    return Check("core", "Python", "missing", f"{here}: use 3.10, 3.11 or 3.12")


def _package(area: str, distribution: str, module: str, how: str) -> Check:
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        return Check(area, distribution, "missing", how)
    if find_spec(module) is None:
        return Check(area, distribution, "missing", f"installed but not importable: {how}")
    return Check(area, distribution, "ok", installed)


def _lsl() -> Check:
    """Send a sample over LSL on this machine and receive it."""
    program = (
        "import pylsl, uuid\n"
        "name = 'doctor-' + uuid.uuid4().hex\n"
        "outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, 'Test', 1, 0, pylsl.cf_double64, name))\n"
        f"found = pylsl.resolve_byprop('name', name, timeout={LSL_PROBE_S})\n"
        "inlet = pylsl.StreamInlet(found[0])\n"
        "inlet.open_stream(2)\n"
        "outlet.push_sample([1.0])\n"
        "assert inlet.pull_sample(2)[0] == [1.0]\n"
        "print(pylsl.library_version())\n"
    )
    code, out = _probe(program)
    if code == 0:
        number = int(out.split()[-1])
        return Check(
            "core", "LSL", "ok", f"liblsl {number // 100}.{number % 100}, a sample went round"
        )
    return Check(
        "core",
        "LSL",
        "missing",
        "no sample came back: let the firewall pass multicast on this host",
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    detail = f"{free:.0f} GB free here; an hour of face video takes about 3 GB"
    return Check("core", "disk", "ok" if free > 5 else "missing", detail)


def _display() -> Check:
    if os.environ.get("DISPLAY") or sys.platform in {"win32", "darwin"}:
        return Check("session", "display", "ok", os.environ.get("DISPLAY", "native"))
    if shutil.which("Xvfb"):
        return Check(
            "session", "display", "ok", "none, but Xvfb gives a virtual one (simulated sessions)"
        )
    return Check("session", "display", "missing", "connect a screen, or: apt-get install xvfb")


def _opengl() -> Check:
    if find_spec("pyglet") is None:
        return Check("session", "OpenGL", "missing", 'pip install "duchenne[lab]"')
    program = (
        "from duchenne.protocols.displays.virtual import virtual_display\n"
        "with virtual_display():\n"
        "    import pyglet\n"
        "    pyglet.options['audio'] = ('silent',)\n"
        "    window = pyglet.window.Window(64, 64, visible=False)\n"
        "    from pyglet.gl import gl_info\n"
        "    print(gl_info.get_version(), gl_info.get_renderer())\n"
        "    window.close()\n"
    )
    code, out = _probe(program)
    if code == 0:
        return Check("session", "OpenGL", "ok", out.strip().splitlines()[-1])
    how = "apt-get install libgl1 libegl1 libgles2 libglu1-mesa xvfb"
    return Check("session", "OpenGL", "missing", how)


def _audio() -> Check:
    code, out = _probe("import sounddevice as s; print(s.query_devices(kind='output')['name'])")
    if code == 0:
        return Check("session", "audio", "ok", out.strip().splitlines()[-1])
    return Check(
        "session", "audio", "absent", "no sound card (or libportaudio2): films play silently"
    )


def _cameras() -> Check:
    from duchenne.recorder.sources.camera_grabber import summary_of  # noqa: PLC0415 -- with NumPy
    from duchenne.recorder.sources.v4l2 import attached_devices, list_cameras  # noqa: PLC0415

    found = [f"{c.device} {c.name} ({summary_of(c.modes, 2)})" for c in list_cameras()]
    if found:
        return Check("session", "cameras", "ok", "; ".join(found))
    if devices := attached_devices():
        why = "no camera, or no permission (group video)"
        return Check("session", "cameras", "absent", f"{', '.join(devices)}: {why}")
    if sys.platform in {"win32", "darwin"}:
        return Check("session", "cameras", "ok", "not listed on this system: try --camera 0")
    return Check(
        "session", "cameras", "absent", "none connected; --camera simulated, or a film's path"
    )


def _eye_trackers() -> Check:
    program = (
        "import pylsl\n"
        "found = pylsl.resolve_byprop('type', 'Gaze', timeout=2)\n"
        "print(', '.join(info.name() + ' on ' + info.hostname() for info in found))\n"
    )
    code, out = _probe(program)
    if code == 0 and out.strip():
        return Check("session", "eye trackers", "ok", out.strip().splitlines()[-1])
    return Check(
        "session", "eye trackers", "absent", "no stream of type Gaze on LSL; --eyetracker simulated"
    )


def _face_model() -> Check:
    from duchenne.analysis.face.model import face_model_path  # noqa: PLC0415 -- analysis extra

    try:
        return Check(
            "analysis", "face model", "ok", str(face_model_path().name) + ", hash verified"
        )
    except DuchenneError as error:
        return Check("analysis", "face model", "missing", str(error))


def _torch() -> Check:
    check = _package("analysis", "torch", "torch", 'pip install "duchenne[analysis]"')
    if check.state != "ok":
        return check
    code, out = _probe("import torch; print('GPU' if torch.cuda.is_available() else 'CPU only')")
    detail = out.strip().splitlines()[-1] if code == 0 else "does not import: reinstall it"
    return Check("analysis", "torch", "ok" if code == 0 else "missing", f"{check.detail}, {detail}")


def _probe(program: str) -> tuple[int, str]:
    """Run a program in a process of its own, so that a crash of a library is only an answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, ""
    return done.returncode, done.stdout
