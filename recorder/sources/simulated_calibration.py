"""How the simulated tracker is calibrated: by what it sees on the targets, as a real one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.protocols.calibrators import DONE, FAILED
from duchenne.recorder.sources.calibration_commands import CalibrationTeller, command_of

if TYPE_CHECKING:
    from duchenne.recorder.sources.calibration_commands import Command
    from duchenne.recorder.sources.gaze_signal import Chunk, EyeTrackerSignal
    from duchenne.recorder.sources.listener import Cue
    from duchenne.recorder.sources.screen import Screen

LEAST_TARGETS = 3
LEAST_SAMPLES = 10


class SimulatedCalibration:
    """Takes the tracker's constant error away once the participant has looked at some targets.

    Parameters
    ----------
    source_id : str
        Of the gaze stream.
    """

    def __init__(self, source_id: str) -> None:
        self._teller = CalibrationTeller(source_id)
        self._targets: list[tuple[Command, list[float]]] = []
        self._name = ""
        self._n = 0

    def hear(self, cue: Cue, screen: Screen, signal: EyeTrackerSignal) -> None:
        """Do what a marker asks for."""
        command = command_of(cue, screen)
        if command is None:
            return
        if command.what == "begin":
            self._name, self._targets, self._n = command.calibration, [], 0
            self._teller.begin(command.calibration)
        elif command.calibration != self._name:
            return
        elif command.what == "collect":
            self._targets.append((command, []))
        elif command.what == "compute":
            self._compute(signal)
        else:
            self._teller.end()

    def see(self, chunk: Chunk, screen: Screen) -> None:
        """Take note of the samples that belong to a target, and tell the state again if it is time."""
        for target, found in self._targets[-2:]:
            inside = (chunk.times_s >= target.from_s) & (chunk.times_s <= target.to_s)
            if inside.any():
                above_cm = (
                    target.at[1] - chunk.samples[inside][:, [1, 3]].mean(axis=1)
                ) * screen.height_cm
                found.extend(above_cm[np.isfinite(above_cm)].tolist())
        n = sum(bool(chunk.times_s[-1] > target.to_s) for target, _ in self._targets)
        if n > self._n:
            self._n = n
            self._teller.tell(n=n)
        self._teller.repeat()

    def close(self) -> None:
        """Take the stream away."""
        self._teller.close()

    def _compute(self, signal: EyeTrackerSignal) -> None:
        seen = [(target, found) for target, found in self._targets if len(found) >= LEAST_SAMPLES]
        points = [
            {
                "position": [round(v, 4) for v in target.at],
                "above_cm": round(float(np.median(found)), 3),
                "n": len(found),
            }
            for target, found in seen
        ]
        if len(seen) < LEAST_TARGETS:
            self._teller.tell(state=FAILED, points=points, text=f"gaze on {len(seen)} targets only")
            return
        signal.error_deg = 0.0
        self._teller.tell(state=DONE, points=points)
