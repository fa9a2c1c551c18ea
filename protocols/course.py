"""What every step of a running session works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.protocols.layout import Layout
from duchenne.protocols.media import MediaStore
from duchenne.protocols.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.protocols.calibrators import Calibrator
    from duchenne.protocols.displays.base import Display
    from duchenne.protocols.gaze_feed import GazeFeed
    from duchenne.protocols.markers import ShownFramesOutlet
    from duchenne.protocols.plan import Trial
    from duchenne.protocols.schedule import Schedule
    from duchenne.protocols.schema import Protocol
    from duchenne.protocols.stage import Stage
    from duchenne.stimuli.manifest import StimulusSet


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
    recalibrate : callable or None
        What the operator's ``recalibrate`` runs between two steps; by default the first calibration step of
        the schedule, if it has one.
    gaze : GazeFeed or None
        Live gaze, where there is an eye tracker and a step that needs it.
    calibrator : Calibrator or None
        The tracker's source, where it calibrates in answer to markers.
    n_calibrations : int
        How many were begun.
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
    recalibrate: Callable[[], object] | None = None
    gaze: GazeFeed | None = None
    calibrator: Calibrator | None = None
    n_calibrations: int = 0

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
