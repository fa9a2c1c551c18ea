"""A session that the console has started and that has not said anything yet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duchenne.analysis.console.children import Started
    from duchenne.recorder.control import RunFacts


@dataclass
class Launched:
    """A session that was started and has not said anything yet."""

    facts: RunFacts
    started: Started
    began_s: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """Return it for pages, like a run."""
        facts = self.facts
        failed = self.started.exit_code is not None
        return {
            "id": facts.id, "participant": facts.participant, "session": facts.session, "run": facts.run,
            "task": facts.task, "protocol": facts.task, "protocol_title": facts.task, "pilot": facts.pilot,
            "blind": facts.blind,
            "stem": f"sub-{facts.participant}_ses-{facts.session}_task-{facts.task}_run-{facts.run}",
            "started_t_ms": self.began_s * 1e3, "state": "failed" if failed else "starting",
            "message": self.started.last_words() if failed else "the session is being started",
            "pause_asked": False, "recalibration_asked": False, "can": [], "step": None, "trial": None,
            "blocks": [], "elapsed_s": 0, "remaining_s": None, "planned_s": facts.planned_s, "screen": None,
            "override_reason": facts.override_reason, "abort_reason": None, "sealing": None, "review": None,
        }  # fmt: skip
