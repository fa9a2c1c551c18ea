"""The stimuli in memory: one trial's at a time, loaded before it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Display, Loaded
    from duchenne.protocols.plan import Trial
    from duchenne.stimuli.manifest import StimulusSet


class MediaStore:
    """Holds the stimulus of the present or the next trial.

    Parameters
    ----------
    display : Display
        Open.
    stimuli : StimulusSet
        Holds every stimulus of the schedule.
    """

    def __init__(self, display: Display, stimuli: StimulusSet) -> None:
        self._display = display
        self._stimuli = stimuli
        self._loaded: Loaded | None = None
        self._loaded_for = 0

    def load(self, trial: Trial) -> Loaded:
        """Load the stimulus of a trial, in place of the one before, unless it has been loaded."""
        if self._loaded is None or self._loaded_for != trial.trial:
            self.close()
            self._loaded = self._display.load(self._stimuli[trial.stimulus_id])
            self._loaded_for = trial.trial
        return self._loaded

    def close(self) -> None:
        """Free what is loaded; a second call does nothing."""
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None
