"""A screen where there is none: starts Xvfb, points DISPLAY at it and stops it again."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0


def has_display() -> bool:
    """Say whether this process has a screen to draw on.

    On Linux this asks for ``DISPLAY``; on macOS and Windows a screen is taken for granted.
    """
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY"))
    return True


@contextmanager
def virtual_display(
    width_px: int = 1920, height_px: int = 1080, *, always: bool = False
) -> Iterator[str]:
    """Provide a display: the present one, or an Xvfb of our own for the time of the ``with``.

    Xvfb picks a free display number by itself, so several can start at once. It also ends by itself
    when its last client goes, so that a killed process leaves none behind.

    Parameters
    ----------
    width_px, height_px : int
        Size of the virtual screen.
    always : bool, default False
        Start a virtual screen although there is a real one.

    Yields
    ------
    str
        Value of ``DISPLAY`` inside the block; empty where the platform has no such thing.

    Raises
    ------
    DuchenneError
        Xvfb is not installed or does not start.
    """
    if has_display() and not always:
        yield os.environ.get("DISPLAY", "")
        return
    if not sys.platform.startswith("linux"):
        raise DuchenneError("a virtual screen needs Linux with Xvfb; run without --headless here")
    before = os.environ.get("DISPLAY")
    process, name = _start_xvfb(width_px, height_px)
    os.environ["DISPLAY"] = name
    try:
        yield name
    finally:
        if before is None:
            os.environ.pop("DISPLAY", None)
        else:
            os.environ["DISPLAY"] = before
        _stop(process)


def _start_xvfb(width_px: int, height_px: int) -> tuple[subprocess.Popen[bytes], str]:
    program = shutil.which("Xvfb")
    if program is None:
        raise DuchenneError(
            "there is no screen and Xvfb is not installed; install it (Debian, Ubuntu: "
            "apt-get install xvfb libgl1-mesa-dri libglu1-mesa) or run with a screen"
        )
    read_fd, write_fd = os.pipe()
    try:
        process = subprocess.Popen(
            [
                program,
                "-displayfd",
                str(write_fd),
                "-screen",
                "0",
                f"{width_px}x{height_px}x24",
                "-terminate",
                "-nolisten",
                "tcp",
                "-dpi",
                "96",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write_fd,),
            start_new_session=True,  # Ctrl-C in the terminal must reach us before the screen goes
        )
    finally:
        os.close(write_fd)
    try:
        number = _read_line(read_fd, time.monotonic() + START_TIMEOUT_S)
    finally:
        os.close(read_fd)
    if not number:
        _stop(process)
        raise DuchenneError(
            f"Xvfb did not start a {width_px}x{height_px} screen within {START_TIMEOUT_S:g} s; "
            "try `Xvfb -displayfd 1` by hand to see why"
        )
    return process, f":{number}"


def _read_line(fd: int, deadline: float) -> str:
    text = b""
    while not text.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not select.select([fd], [], [], remaining)[0]:
            return ""
        chunk = os.read(fd, 64)
        if not chunk:
            return ""
        text += chunk
    return text.decode("ascii").strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
