"""The control channel of a running session: a private folder that its runner and its operators share.

``duchenne run`` makes the folder, says in it which session it runs and how far it is, and takes commands
from it. Whoever steers puts each command there as a file of its own, complete or not at all. Nothing waits
for anybody: either side may die and come back, and a session that nobody steers never notices. Only the user
who runs the session may look into the folder.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

RUNTIME_VARIABLE = "DUCHENNE_RUNTIME"
COMMANDS = ("pause", "resume", "skip", "recalibrate", "abort", "note")
WITH_TEXT = ("abort", "note")
MAX_TEXT = 500
MAX_COMMAND_BYTES = 4096
MAX_COMMANDS_AT_ONCE = 50
KEPT_S = 24 * 3600.0
"""Folders of sessions that are over are removed after a day."""
ID_PATTERN = re.compile(r"[0-9a-f]{12}")
_PREFIX = "run-"


def clean_text(text: str) -> str:
    r"""Return a text in one line, without control characters, at most 500 characters long.

    Examples
    --------
    >>> clean_text("  lamp on\nabort ")
    'lamp on abort'
    """
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:MAX_TEXT].strip()


def command_line(command: str, text: str = "") -> str:
    """Return a command as the line that the display takes.

    Raises
    ------
    UsageError
        There is no such command, or a note without text.

    Examples
    --------
    >>> command_line("abort", "fire alarm")
    'abort fire alarm'
    """
    if command not in COMMANDS:
        raise UsageError(f"no command {command!r}: use one of {', '.join(COMMANDS)}")
    text = clean_text(text) if command in WITH_TEXT else ""
    if command == "note" and not text:
        raise UsageError("a note needs a text")
    return f"{command} {text}".strip()


def runtime_folder() -> Path:
    """Return the user's private folder for what only running programs need, made where it is missing.

    Raises
    ------
    DuchenneError
        It cannot be made, or somebody else may look into it.
    """
    folder = _runtime_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise DuchenneError(f"cannot make {folder}: {error}. Set {RUNTIME_VARIABLE}.") from error
    if not stat.S_ISDIR(found.st_mode):
        raise DuchenneError(f"{folder} is no folder: set {RUNTIME_VARIABLE} to one of your own.")
    if sys.platform != "win32" and (found.st_uid != os.getuid() or found.st_mode & 0o077):
        raise DuchenneError(
            f"{folder} is open to other users: set {RUNTIME_VARIABLE} to a folder of your own (mode 0700)."
        )
    return folder


def _runtime_path() -> Path:
    told = os.environ.get(RUNTIME_VARIABLE)
    if told:
        return Path(told)
    home = os.environ.get("XDG_RUNTIME_DIR")
    if home and Path(home).is_dir():
        return Path(home) / "duchenne"
    user = str(os.getuid()) if sys.platform != "win32" else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"duchenne-{user}"


@dataclass(frozen=True)
class RunFacts:
    """Which session is run; does not change while it runs.

    Attributes
    ----------
    id : str
        Twelve hexadecimal digits.
    pid : int
    study, session_file, journal : str
        Absolute paths.
    participant, session, task, run, protocol : str
    started_s : float
        Unix time.
    planned_s : float
        Planned length of what is left of the schedule, seconds.
    pilot, blind, headless : bool
    override_reason : str or None
        Why the session was begun although a check before it was not green.
    """

    id: str
    pid: int
    study: str
    session_file: str
    journal: str
    participant: str
    session: str
    task: str
    run: str
    protocol: str
    started_s: float
    planned_s: float = 0.0
    pilot: bool = False
    blind: bool = False
    headless: bool = False
    override_reason: str | None = None


@dataclass(frozen=True)
class RunStatus:
    """How far a session is.

    Attributes
    ----------
    state : str
        ``starting``, ``running``, ``sealing``, ``finished``, ``aborted`` or ``failed``.
    step, of : int
        Number of the present step, from 1, and how many there are; 0 before the first.
    label : str
        Of the step, as the operator may see it.
    message : str
        Why it failed, or what it waits for.
    changed_s : float
        Unix time of the last change.
    """

    state: str = "starting"
    step: int = 0
    of: int = 0
    label: str = ""
    message: str = ""
    changed_s: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in {"finished", "aborted", "failed"}


def new_id() -> str:
    """Return an id for a run."""
    return secrets.token_hex(6)


@dataclass
class ControlPost:
    """The runner's side: says what is run and takes commands; never raises while the session runs.

    Parameters
    ----------
    facts : RunFacts
    """

    facts: RunFacts
    status: RunStatus = field(default_factory=RunStatus)
    _folder: Path | None = None
    _lock: IO[bytes] | None = None
    _told: IO[str] | None = None

    def __enter__(self) -> Self:
        root = runtime_folder()
        sweep(root)
        folder = root / f"{_PREFIX}{self.facts.id}"
        try:
            (folder / "commands").mkdir(mode=0o700, parents=True)
            self._lock = (folder / "lock").open("ab")
            _lock(self._lock)
            self._told = (folder / "told.jsonl").open("a", encoding="utf-8", buffering=1)
            _write(folder / "run.json", asdict(self.facts))
        except OSError as error:
            self._close()
            raise DuchenneError(f"cannot write {folder}: {error}") from error
        self._folder = folder
        self.say(state="starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.status.is_over:
            self.say(state="failed", message=str(error or "the runner ended"))
        self._close()

    def say(self, **changes: Any) -> None:
        """Change the status; the folder shows it at once."""
        self.status = RunStatus(**{**asdict(self.status), **changes, "changed_s": time.time()})
        if self._folder is not None:
            with contextlib.suppress(OSError):
                _write(self._folder / "status.json", asdict(self.status))

    def step(self, step: int, of: int, label: str) -> None:
        """Say which step is shown; step 0 of 0 is the sealing at the end."""
        if of:
            self.say(state="running", step=step, of=of, label=label)
        else:
            self.say(state="sealing", label=label)

    def tell(self, line: str) -> None:
        """Add a line to what the operator is told."""
        if self._told is not None:
            with contextlib.suppress(OSError, ValueError):
                self._told.write(json.dumps({"time_s": time.time(), "text": line}) + "\n")

    def poll(self) -> list[str]:
        """Return the commands that came since the last call, as lines for the display; never waits."""
        if self._folder is None:
            return []
        lines = []
        try:
            waiting = sorted((self._folder / "commands").iterdir())[:MAX_COMMANDS_AT_ONCE]
        except OSError:
            return []
        for path in waiting:
            if not path.name.startswith("."):
                line = _taken(path)
                lines += [] if line is None else [line]
        return lines

    def _close(self) -> None:
        for file in (self._told, self._lock):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()
        self._told = self._lock = None


def _taken(path: Path) -> str | None:
    """Return the command in a file, and remove it; None where it is no command."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_COMMAND_BYTES + 1)
        path.unlink()
        said = json.loads(content) if len(content) <= MAX_COMMAND_BYTES else {}
        return command_line(str(said["command"]), str(said.get("text", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError):
        with contextlib.suppress(OSError):
            path.unlink()
        return None


@dataclass
class RunHandle:
    """An operator's side of one run."""

    folder: Path
    facts: RunFacts
    _offset: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether its runner lives; the system frees the runner's lock when it dies."""
        try:
            with (self.folder / "lock").open("rb") as file:
                _lock(file)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def status(self) -> RunStatus:
        """Return how far it is."""
        try:
            return RunStatus(**json.loads((self.folder / "status.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return RunStatus()

    def send(self, command: str, text: str = "") -> None:
        """Give the runner a command; it takes it within a tenth of a second.

        Raises
        ------
        UsageError
            There is no such command.
        DuchenneError
            The session is over.
        """
        command_line(command, text)
        said = {"command": command, "text": clean_text(text), "sent_s": time.time()}
        name = f"{time.time_ns():020d}-{secrets.token_hex(3)}"
        folder = self.folder / "commands"
        try:
            _write(folder / name, said)
        except OSError as error:
            raise DuchenneError(f"the session cannot be reached: {error}") from error

    def told(self) -> list[tuple[float, str]]:
        """Return what the runner told since the last call: Unix times and lines."""
        found = []
        try:
            with (self.folder / "told.jsonl").open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        said = json.loads(line)
                        found.append((float(said["time_s"]), str(said["text"])))
        except OSError:
            return found
        return found


def find_runs(study: Path | None = None) -> list[RunHandle]:
    """Return the runs of this user on this machine, newest first, also those that are over.

    Parameters
    ----------
    study : Path, optional
        Only those of this study.
    """
    wanted = None if study is None else str(study.resolve())
    try:
        folders = list(runtime_folder().glob(f"{_PREFIX}*"))
    except OSError:
        return []
    found = [handle for folder in folders if (handle := open_run(folder)) is not None]
    kept = [h for h in found if wanted is None or h.facts.study == wanted]
    return sorted(kept, key=lambda handle: handle.facts.started_s, reverse=True)


def find_run(run_id: str) -> RunHandle | None:
    """Return a run by its id; None where there is none."""
    if ID_PATTERN.fullmatch(run_id) is None:
        return None
    return open_run(runtime_folder() / f"{_PREFIX}{run_id}")


def open_run(folder: Path) -> RunHandle | None:
    """Return the run of a folder; None where it is none (any more)."""
    try:
        facts = RunFacts(**json.loads((folder / "run.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return RunHandle(folder, facts)


def sweep(root: Path, kept_s: float = KEPT_S) -> None:
    """Remove folders of runs, and logs, that nobody has written to for `kept_s` seconds."""
    for log in root.glob("*.log"):
        with contextlib.suppress(OSError):
            if time.time() - log.stat().st_mtime > kept_s:
                log.unlink()
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            old = time.time() - folder.stat().st_mtime > kept_s
            handle = open_run(folder)
            if old and (handle is None or not handle.is_alive):
                shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a small file at once; a power cut ends what it is about, so that it is not forced to the disk."""
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(3)}")
    fresh.write_bytes(json.dumps(content).encode())
    fresh.replace(path)


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 -- this system only

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 -- these systems only

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
