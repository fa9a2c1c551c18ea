"""Action Units beside a session: heard from the network, and measured here where the operator wants it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pylsl

from duchenne.analysis.console.network_tap import NetworkTap
from duchenne.analysis.console.observation import AFFECT_TYPE, AU_TYPE, Observation
from duchenne.recorder.sources.registry import load_source
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

    from duchenne.analysis.console.children import Launcher, Started

PREDICATE = f"type='{AU_TYPE}' or type='{AFFECT_TYPE}'"
UNHEARD_S = 20


@dataclass
class AuSource:
    """Hears Action Units and affect, and can start measuring them.

    Parameters
    ----------
    launcher : Launcher
    runtime : Path
        Private folder for log files.
    """

    launcher: Launcher
    runtime: Path
    _tap: NetworkTap | None = None
    _heard: Observation = field(default_factory=lambda: Observation(is_recorded=False))
    _started: Started | None = None

    def start(self, stream: str) -> None:
        """Measure the pictures of a face video stream.

        Raises
        ------
        DuchenneError
            It cannot be done here, or is being done already.
        """
        if self._started is not None and self._started.exit_code is None:
            raise DuchenneError("the Action Units are being measured already")
        reason = self._reason()
        if reason is not None:
            raise DuchenneError(f"the Action Units cannot be measured here: {reason}")
        log = self.runtime / f"au-{time.time_ns()}.log"
        arguments = ["sources", "start", "au", "--source-id=duchenne-console-au"]
        arguments += [f"--set=stream={stream}", f"--stop-unheard={UNHEARD_S}"]
        self._started = self.launcher.start(arguments, log)

    def stop(self) -> None:
        """End what was started here."""
        if self._started is not None:
            self._started.end()
            self._started = None

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.pause()
        self._heard.close()

    def pause(self) -> None:
        """Stop listening."""
        if self._tap is not None:
            self._tap.close()
            self._tap = None
            self._heard = Observation(is_recorded=False)

    def look(self) -> None:
        """Take in what has come since the last look."""
        if self._tap is None:
            self._tap = NetworkTap(PREDICATE, measures_clocks=False)
        news, gone = self._tap.look()
        self._heard.meet(news.streams, pylsl.local_clock())
        for batch in news.batches:
            self._heard.take(batch)
        for name in gone:
            self._heard.lost(name)

    def live(self) -> dict[str, Any]:
        """Return Action Units and affect for pages; None where there are none."""
        found = self._heard.live(pylsl.local_clock())
        return {"au": found["au"], "affect": found["affect"]}

    def table(self) -> list[dict[str, Any]]:
        """Return the table of these streams for pages."""
        return self._heard.table(pylsl.local_clock())

    def to_json(self) -> dict[str, Any]:
        """Return the state for pages."""
        mine, started = self._started is not None, self._started
        state, text = "off", ""
        if self.live()["au"] is not None:
            state = "on"
        elif started is not None and started.exit_code is None:
            state = "starting"
        elif started is not None:
            state, text = "failed", started.last_words()
        reason = self._reason()
        return {
            "available": reason is None,
            "reason": reason,
            "state": state,
            "mine": mine,
            "text": text,
        }

    @staticmethod
    def _reason() -> str | None:
        try:
            return load_source("au").unavailable()
        except (DuchenneError, ImportError) as error:
            return str(error)
