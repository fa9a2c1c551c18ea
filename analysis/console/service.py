"""The console's work: finds or starts the session of a study, watches it, and does what pages ask for."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING, Any

from duchenne.analysis.console.backend import NotThereError, Picture
from duchenne.analysis.console.children import Launcher
from duchenne.analysis.console.choices import protocol_path, run_arguments, session_of
from duchenne.analysis.console.current import Current
from duchenne.analysis.console.job_orders import order_of
from duchenne.analysis.console.jobs import Jobs
from duchenne.analysis.console.launched import Launched
from duchenne.analysis.console.log_book import LogBook
from duchenne.analysis.console.preview import Preview
from duchenne.analysis.console.reviews import Reviews, session_path
from duchenne.analysis.console.setup_page import check_labels, setup_page
from duchenne.analysis.console.stage_view import StageView
from duchenne.analysis.console.study_page import StudyPage
from duchenne.analysis.paths import analysis_paths
from duchenne.recorder.control import new_id, runtime_folder
from duchenne.recorder.session_control import facts_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from duchenne.analysis.console.forms import (
        AlarmForm,
        CheckQuery,
        CommandForm,
        JobForm,
        SetupForm,
        StartForm,
    )
    from duchenne.analysis.console.session_watch import SessionWatch

NO_SESSION = "no session runs"


class Service:
    """Everything behind the console's pages; see `duchenne.analysis.console.backend.Backend`.

    Parameters
    ----------
    study : Path
        Existing folder.
    """

    def __init__(self, study: Path) -> None:
        self.study = study.resolve()
        self._runtime = runtime_folder()
        self._launcher = Launcher()
        self._log = LogBook()
        self._current = Current(self.study, self._launcher, self._runtime, self._log)
        self._jobs = Jobs(self._runtime, lambda: not self._current.is_recording)
        self._reviews = Reviews(self.study, self._launcher, self._runtime)
        self._study_page = StudyPage(self.study)

    def __enter__(self) -> Self:
        self._log.add("info", "console", f"the console watches {self.study}")
        self._current.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._current.close()
        self._jobs.close()
        self._reviews.close()
        self._launcher.close()

    @property
    def is_busy(self) -> bool:
        """Whether there is a session, a preview or a job."""
        working = any(job["state"] in {"queued", "running"} for job in self._jobs.to_json())
        return self._current.is_recording or self._current.preview is not None or working

    # What pages see

    def state(self) -> dict[str, Any]:
        """Return the state of everything."""
        watch, preview = self._current.watch, self._current.preview
        phase, run = self._phase_and_run()
        return {
            "phase": phase,
            "run": run,
            "preview": None if preview is None else preview.to_json(),
            "preflight": None if preview is None else preview.preflight(),
            "alarms": [] if watch is None else [a.to_json() for a in list(watch.book.alarms)],
            "jobs": self._jobs.to_json(),
            "au_source": self._current.au.to_json(),
            "disk": self._disk(),
            "server": {
                "cpu_percent": round(self._current.cpu_percent),
                "journal_lag_ms": None if watch is None else watch.lag_ms,
            },
        }

    def live(self) -> dict[str, Any] | None:
        """Return the live values."""
        watch, preview = self._current.watch, self._current.preview
        found: dict[str, Any] | None = None
        if watch is not None and watch.phase in {"starting", "running"}:
            found = watch.live()
        elif preview is not None and (seen := preview.live()) is not None:
            found = {**seen, "stage": None, "progress": None}
        if found is None:
            return None
        for name, value in self._current.au.live().items():
            found[name] = found.get(name) or value
        return {"t_ms": time.time() * 1e3, **found}

    def streams(self) -> list[dict[str, Any]]:
        """Return the table of streams."""
        watch, preview = self._current.watch, self._current.preview
        if watch is not None and not watch.is_over:
            return [*watch.table(), *self._current.au.table()]
        return [] if preview is None else [*preview.table(), *self._current.au.table()]

    def log(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """Return what the log has got."""
        return self._log.after(after)

    def picture(self, view: str) -> Picture | None:
        """Return the newest picture of a view."""
        if view == "stage":
            return None if self._current.stage is None else self._current.stage.picture
        camera = self._current.camera
        if camera is None or not camera.jpeg:
            return None
        jpeg, width, height = camera.to_send()
        age_ms = max(0.0, (_clock() - camera.stamp_s) * 1e3)
        header = {"view": "face", "t_ms": time.time() * 1e3 - age_ms, "age_ms": round(age_ms),
                  "width": width, "height": height, "stimulus": None, "media_time_s": None}  # fmt: skip
        return Picture(camera.number, header, jpeg)

    def watched(self, views: set[str]) -> None:
        """Note which pictures are looked at."""
        self._current.watched(views)

    def setup(self) -> dict[str, Any]:
        """Return what can be chosen."""
        return setup_page(self.study)

    def check(self, query: CheckQuery) -> dict[str, Any]:
        """Return whether labels will do."""
        return check_labels(self.study, query)

    def study_page(self) -> dict[str, Any]:
        """Return the study."""
        running = [] if self._current.watch is None else [self._current.watch.to_json()["stem"]]
        return self._study_page.to_json(running if self._current.is_recording else [])

    def review(self, stem: str) -> dict[str, Any]:
        """Return the audit of a session."""
        return self._reviews.of(stem)

    def thumbnail(self, stimulus: str, run: str | None, protocol: str | None) -> bytes:
        """Return a picture of a stimulus."""
        watch, stage = self._current.watch, self._current.stage
        if watch is not None and stage is not None and run == watch.handle.facts.id:
            if watch.handle.facts.blind:
                raise NotThereError("the operator is blind to the stimuli")
            return stage.thumbnail(stimulus)
        if protocol is None:
            raise NotThereError("no such run")
        path = protocol_path(self.study, protocol)
        view = StageView(str(path), lambda: None)
        try:
            return view.thumbnail(stimulus)
        finally:
            view.close()

    def report(self, stem: str) -> bytes:
        """Return a session's report."""
        path = analysis_paths(session_path(self.study, stem)).report
        try:
            return path.read_bytes()
        except OSError:
            raise NotThereError(f"there is no report of {stem} yet") from None

    # What pages do

    def preview_start(self, form: SetupForm) -> None:
        """Start the chosen devices."""
        with self._current.acting:
            self._current.refuse_while_recording()
            session_of(form, self.study)
            self._current.end_preview()
            self._current.leave()
            preview = Preview(form, self.study, self._launcher, self._runtime)
            preview.open()
            self._current.preview = preview

    def preview_stop(self) -> None:
        """End the devices of the preview."""
        with self._current.acting:
            self._current.end_preview()

    def preflight_refresh(self) -> None:
        """Check files and display anew."""
        if self._current.preview is None:
            raise DuchenneError("the devices are not being looked at")
        self._current.preview.refresh()

    def start(self, form: StartForm) -> str:
        """Start a session."""
        with self._current.acting:
            self._current.refuse_while_recording()
            request = session_of(form, self.study)
            reason = self._gate(form)
            run_id = new_id()
            arguments = run_arguments(form, self.study, run_id, reason)
            self._current.end_preview()  # the devices are the session's from here on
            self._current.leave()
            log = self._runtime / f"launch-{run_id}.log"
            started = self._launcher.start(arguments, log)
            self._current.launched = Launched(facts_of(request, run_id), started)
            text = f"participant {form.participant}: the session is started"
            self._log.add("info", "console", f"{text}, though: {reason}" if reason else text)
            return run_id

    def command(self, form: CommandForm, by: str) -> None:
        """Give the session a command."""
        watch = self._of_run(form.run_id)
        if form.command not in watch.to_json()["can"]:
            raise DuchenneError(f"{form.command}: not possible now")
        watch.handle.send(form.command, form.reason)
        watch.sent(form.command)
        self._log.add("notice", "operator", f"{by}: {form.command} {form.reason}".strip())

    def note(self, run_id: str, text: str, by: str) -> None:
        """Put a note into the session."""
        watch = self._of_run(run_id)
        if "note" not in watch.to_json()["can"]:
            raise DuchenneError("a note is not possible now")
        watch.handle.send("note", text if by.startswith("Operator ") else f"{by}: {text}")

    def close(self) -> None:
        """Leave a session that is over."""
        with self._current.acting:
            if self._current.is_recording:
                raise DuchenneError("the session is not over")
            self._current.leave()

    def acknowledge(self, form: AlarmForm, by: str) -> None:
        """Note that alarms have been seen."""
        if self._current.watch is not None:
            self._current.watch.book.acknowledge(form.ids, by)

    def au_start(self) -> None:
        """Start measuring Action Units."""
        watch, preview = self._current.watch, self._current.preview
        seen = None if watch is None else watch.observation
        seen = seen if seen is not None or preview is None else preview.observation
        camera = None if seen is None else seen.camera
        if camera is None:
            raise DuchenneError("there is no face video to measure")
        self._current.au.start(camera.info.name)

    def au_stop(self) -> None:
        """End measuring Action Units."""
        self._current.au.stop()

    def job(self, form: JobForm) -> str:
        """Start work on recorded sessions."""
        return self._jobs.add(*order_of(form, self.study))

    def cancel(self, job_id: str) -> None:
        """End a job."""
        self._jobs.cancel(job_id)

    # Help

    def _phase_and_run(self) -> tuple[str, dict[str, Any] | None]:
        watch, launched = self._current.watch, self._current.launched
        if watch is not None:
            phase = watch.phase
            review = self._review_of(watch) if phase == "ended" else None
            return phase, {**watch.to_json(), "review": review}
        if launched is not None:
            run = launched.to_json()
            return "ended" if run["state"] == "failed" else "starting", run
        return "setup", None

    def _gate(self, form: StartForm) -> str | None:
        """Return why the session starts although not all is green; None where it is.

        Raises
        ------
        DuchenneError
            Not all is green, and no reason is given.
        """
        preview = self._current.preview
        if preview is not None and _asks_for_the_same(preview.form, form):
            doubtful = [check.title for check in preview.checks() if check.level != "green"]
        else:
            doubtful = ["nothing was checked"]
        if not doubtful:
            return None
        if form.override_reason is None:
            raise DuchenneError(
                f"not every check is green ({', '.join(doubtful)}): give a reason to start all the same"
            )
        return f"{form.override_reason} (not green: {', '.join(doubtful)})"

    def _of_run(self, run_id: str) -> SessionWatch:
        watch = self._current.watch
        if watch is None or watch.is_over or watch.handle.facts.id != run_id:
            raise DuchenneError(NO_SESSION)
        return watch

    def _review_of(self, watch: SessionWatch) -> dict[str, Any] | None:
        with contextlib.suppress(NotThereError):
            return self._reviews.of(watch.to_json()["stem"], blind=watch.handle.facts.blind)
        return None

    def _disk(self) -> dict[str, Any]:
        if self._current.watch is not None and not self._current.watch.is_over:
            return self._current.watch.disk()
        free = float("nan")
        with contextlib.suppress(OSError):
            free = round(shutil.disk_usage(self.study).free, -7)
        level = "alarm" if free < 50e6 else "warn" if free < 1e9 else "ok"
        return {"free_bytes": free, "needed_bytes": None, "lasts_s": None, "level": level}


def _asks_for_the_same(first: SetupForm, second: SetupForm) -> bool:
    """Whether two forms choose the same protocol and devices: the checks of one hold for the other."""
    names = (
        "protocol",
        "eyetracker",
        "eyetracker_options",
        "camera",
        "camera_options",
        "sources",
        "headless",
    )
    return all(getattr(first, name) == getattr(second, name) for name in names)


def _clock() -> float:
    import pylsl  # noqa: PLC0415

    return float(pylsl.local_clock())
