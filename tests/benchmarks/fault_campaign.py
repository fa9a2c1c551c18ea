"""Break things at random moments while the recorder runs; say what each fault cost.

``python tests/benchmarks/fault_campaign.py --runs 20``; ``--fault sigkill`` runs one kind alone. A source
counts its samples at 500 Hz, so that every one missing in the sealed file shows. About 10 s a run, 30 s where
it is a whole session. Some faults need root and Linux.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import faults_of_recorder as recorder
import faults_of_sessions as sessions
import faults_of_sources as sources
import numpy as np
from fault_runs import Cost

from duchenne.recorder.lsl_config import lsl_on_this_host
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAULTS: dict[str, Callable[[Path, random.Random], Cost]] = {
    "sigkill": recorder.sigkill,
    "sigterm": recorder.sigterm,
    "stopped": recorder.stopped,
    "hiccups": recorder.hiccups,
    "monitor-holds": recorder.monitor_holds,
    "stalled-consumer": recorder.stalled_consumer,
    "disk-full": recorder.disk_full,
    "disk-filled": recorder.disk_filled,
    "disk-full-for-a-while": recorder.disk_full_for_a_while,
    "disk-read-only": recorder.disk_read_only,
    "disk-read-only-fsync": recorder.disk_read_only_fsync,
    "disk-pulled": recorder.disk_pulled,
    "disk-pulled-fsync": recorder.disk_pulled_fsync,
    "disk-unmounted": recorder.disk_unmounted,
    "folder-moved": recorder.folder_moved,
    "byte-flips": recorder.byte_flips,
    "cut-short": recorder.cut_short,
    "outlet-restart": sources.outlet_restart,
    "outlet-new-identity": sources.outlet_new_identity,
    "stamps-step": sources.stamps_step,
    "machine-restart": sources.machine_restart,
    "display-killed": sessions.display_killed,
    "tracker-killed": sessions.tracker_killed,
}


def row(fault: str, costs: Sequence[Cost]) -> str:
    """Return what a fault cost as a row of the table."""
    ends = [cost.ends_s for cost in costs]
    what = (FAULTS[fault].__doc__ or fault).splitlines()[0].rstrip(".")
    remarks = sorted({cost.note for cost in costs if cost.note})
    also = sorted({key for cost in costs for key in cost.also})
    for key in also:
        values = [cost.also[key] for cost in costs if key in cost.also]
        spread = f"{min(values):.3g} to {max(values):.3g}"
        remarks.append(f"{key}: median {np.median(values):.3g}, {spread}")
    inside = sum(cost.inside for cost in costs)
    told = "; ".join(remarks) or "none"
    return f"| {what} | {len(costs)} | {inside} | {np.median(ends):.3f} s | {max(ends):.3f} s | {told} |"


def one_run(fault: str, chance: random.Random) -> Cost:
    """Break one thing; a run that cannot be judged is a remark, not the end of the campaign."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return FAULTS[fault](Path(folder), chance)
        except (OSError, LookupError, ValueError, AssertionError, DuchenneError) as error:
            problem: Exception = error
        except subprocess.SubprocessError as error:
            problem = error
    traceback.print_exception(problem, file=sys.stderr)
    return Cost(0, float("nan"), f"{type(problem).__name__}: {problem}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(
        "| fault | runs | samples missing inside | lost at the fault: median | at most | remarks |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    with lsl_on_this_host("faults"):
        for fault in arguments.fault or FAULTS:
            costs = [one_run(fault, chance) for _ in range(arguments.runs)]
            print(row(fault, costs), flush=True)


if __name__ == "__main__":
    main()
