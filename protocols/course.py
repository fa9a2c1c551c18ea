"""What every step of a running session works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.protocols.layout import Layout
from duchenne.protocols.media import MediaStore

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.markers import ShownFramesOutlet
    from duchenne.protocols.plan import Trial
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Stage
    from duchenne.stimuli.manifest import StimulusSet


@dataclass
class Tally:
    """What has been shown so far.

    Attributes
    ----------
    n_trials : int
        Stimuli shown to their end.
    n_stimulus_flips, n_late_flips : int
        Flips while stimuli were shown, and those of them that came late.
    """

    n_trials: int = 0
    n_stimulus_flips: int = 0
    n_late_flips: int = 0


@dataclass
class Course:
    """A session while it runs.

    Parameters
    ----------
    schedule : Schedule
    protocol : Protocol
    stimuli : StimulusSet
    stage : Stage
        The display, its markers, and who is heard.
    shown_frames : ShownFramesOutlet
    run : str
        Label of this run.

    Attributes
    ----------
    layout : Layout
        Of the screen that is open.
    media : MediaStore
        Stimuli in memory.
    tally : Tally
    next_trial : Trial or None
        The first trial after the present step, to be loaded in a quiet moment.
    """

    schedule: Schedule
    protocol: Protocol
    stimuli: StimulusSet
    stage: Stage
    shown_frames: ShownFramesOutlet
    run: str = "01"
    layout: Layout = field(init=False)
    media: MediaStore = field(init=False)
    tally: Tally = field(default_factory=Tally)
    next_trial: Trial | None = None

    def __post_init__(self) -> None:
        self.layout = Layout.of(self.protocol.screen)
        self.media = MediaStore(self.display, self.stimuli)

    @property
    def display(self) -> Display:
        """The open display."""
        return self.stage.display

    def presentation_id(self, trial: Trial) -> str:
        """Return the identity of a presentation over all tables."""
        schedule = self.schedule
        return f"{schedule.participant}-{schedule.session}-{self.run}-{trial.trial:03d}"
