"""Joins a session with its control channel, and starts the operator's console beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.control import ControlPost, RunFacts, new_id
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.recorder.session_request import SessionRequest


@contextmanager
def control_post(
    request: SessionRequest, run_id: str | None, tell: Callable[[str], None]
) -> Iterator[ControlPost]:
    """Hold the control channel of a session; where there can be none, the session does without.

    Parameters
    ----------
    request : SessionRequest
    run_id : str or None
        Of the channel; None makes a new one.
    tell : callable
        Receives why there is no channel.
    """
    post = ControlPost(facts_of(request, run_id or new_id()))
    try:
        post.__enter__()
    except DuchenneError as error:
        tell(f"no console can steer this session: {error}")
    try:
        yield post
    except BaseException as error:
        post.__exit__(type(error), error, error.__traceback__)
        raise
    post.__exit__(None, None, None)


def facts_of(request: SessionRequest, run_id: str) -> RunFacts:
    """Return what the control channel says of a session."""
    name, path = request.name, request.protocol.source_path
    file = name.session_file(request.study.resolve())
    steps = request.schedule.steps[request.first_step - 1 :]
    return RunFacts(
        id=run_id,
        pid=os.getpid(),
        study=str(request.study.resolve()),
        session_file=str(file),
        journal=str(journal_path_for(file)),
        participant=name.participant,
        session=name.session,
        task=name.task,
        run=name.run,
        protocol=str(path) if path else request.protocol.name,
        started_s=time.time(),
        planned_s=sum(step.planned_duration_s for step in steps),
        pilot=request.pilot,
        blind=request.blind,
        headless=request.headless,
        override_reason=request.override_reason,
    )


def start_console(study: Path, tell: Callable[[str], None]) -> None:
    """Start the console as a process of its own; tell its address, which comes a second later."""
    command = [sys.executable, "-m", "duchenne.cli", "console", "--study", str(study), "--linger"]
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
    except OSError as error:
        tell(f"the console could not be started: {error}")
        return

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                tell(line.rstrip())
                if "http://" in line:
                    return

    threading.Thread(target=read, name="console-address", daemon=True).start()
