"""A worker process of a study on this machine: one task per line in, progress and outcomes out.

``python -m duchenne.analysis.study_worker``, started by :mod:`duchenne.analysis.study_pool`. It ends when
its input ends, so that no worker outlives the command that started it by more than one task.
"""

from __future__ import annotations

import json
import os
import sys
import time

from duchenne.analysis.study_task import SessionTask, run_task

TELL_EVERY_S = 0.5


def main() -> None:
    """Do the tasks that come on standard input."""
    # What libraries print must not get between the answers: they get standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    last = 0.0

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TELL_EVERY_S or done == 0:
            last = now
            answers.write(json.dumps({"stage": [stage, done, total]}) + "\n")

    for line in sys.stdin:
        outcome = run_task(SessionTask.from_json(line), tell)
        answers.write(json.dumps({"outcome": json.loads(outcome.to_json())}) + "\n")


if __name__ == "__main__":
    main()
