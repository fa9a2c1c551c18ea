"""Tell the restart of a stream that is still held open from another stream of the same name.

A connection to a machine that lost its power or its cable looks alive for many seconds. The new outlet is
open and buffers from the first moment; whether it continues the group is decided by asking the old outlet.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duchenne.recorder.inlets import Inlet
    from duchenne.recorder.streams import StreamInfo

STILL_DELIVERS_AFTER_S = 0.5


def identity_of(info: StreamInfo) -> tuple[str, ...]:
    """Return what a stream is known by when it returns: its source id and shape, else its very outlet."""
    if not info.source_id:
        return (info.uid,)
    shape = (info.channel_format, str(info.channel_count))
    return (info.name, info.type, info.source_id, *shape)


@dataclass
class Arrival:
    """An inlet that was opened while another of the same identity may be recorded.

    Parameters
    ----------
    inlet : Inlet
    opened_s : float
        On the recorder's LSL clock.
    """

    inlet: Inlet
    opened_s: float
    _answered: dict[str, bool] = field(default_factory=dict)
    _askers: dict[str, threading.Thread] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """See :func:`identity_of`."""
        return identity_of(self.inlet.info)

    def rival_that_died(
        self, rivals: Sequence[tuple[str, float]], answers: Callable[[str], bool], *, wait: bool
    ) -> str | None:
        """Return the uid of a recorded stream that this one continues.

        Parameters
        ----------
        rivals : sequence of (uid, last_sample_s)
            Recorded streams of the same identity, and when each delivered last.
        answers : callable
            Asks an outlet by its uid whether it lives; may take long.
        wait : bool
            Wait for the answers.

        Returns
        -------
        str or None
            Empty where all of them live, so that this is another stream; None while that is not known.
        """
        for uid, _ in rivals:
            if uid not in self._askers:
                self._askers[uid] = threading.Thread(
                    target=self._ask, args=(uid, answers), name="ask-outlet"
                )
                self._askers[uid].start()
        for uid, last_sample_s in rivals:
            if wait:
                self._askers[uid].join()
            if uid not in self._answered:
                return None
            delivers = last_sample_s > self.opened_s + STILL_DELIVERS_AFTER_S
            if not self._answered[uid] and not delivers:
                return uid
        return ""

    def _ask(self, uid: str, answers: Callable[[str], bool]) -> None:
        lives = True  # where nobody can tell, the two are kept apart
        try:
            lives = answers(uid)
        finally:
            self._answered[uid] = lives
