"""What a protocol declares so that the timing of its display can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from duchenne.protocols.parts_base import Strict

if TYPE_CHECKING:
    from duchenne.protocols.displays.base import Rect
    from duchenne.protocols.parts import Screen


class Timing(Strict):
    """Aids for measuring when light and sound really come.

    Attributes
    ----------
    photodiode_patch : str or None
        Corner of the screen with a square that is white while a stimulus is shown and black otherwise:
        ``top_left``, ``top_right``, ``bottom_left`` or ``bottom_right``; none by default.
    size_cm : float
        Width and height of the square on the screen, in centimetres.
    audio_click : bool
        Play a click at the onset of each stimulus.
    audio_latency_s : float or None
        What is known of the time from the command to play to the sound, in seconds, measured on this
        machine; written into the markers of sounds. None: what the sound back end says, if anything.
    """

    photodiode_patch: Literal["top_left", "top_right", "bottom_left", "bottom_right"] | None = None
    size_cm: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 2.0
    audio_click: bool = False
    audio_latency_s: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None


def patch_rect(timing: Timing, screen: Screen) -> Rect | None:
    """Return where the photodiode patch is, in pixels; None where there is none.

    Examples
    --------
    >>> from duchenne.protocols.parts import Screen
    >>> screen = Screen(width_px=800, height_px=450, width_cm=40, height_cm=22.5, distance_cm=60)
    >>> patch_rect(Timing(photodiode_patch="bottom_right", size_cm=2), screen)
    (760.0, 410.0, 800.0, 450.0)
    """
    corner = timing.photodiode_patch
    if corner is None:
        return None
    width_px = timing.size_cm * screen.width_px / screen.width_cm
    height_px = timing.size_cm * screen.height_px / screen.height_cm
    x0 = 0.0 if corner.endswith("left") else screen.width_px - width_px
    y0 = 0.0 if corner.startswith("top") else screen.height_px - height_px
    return (x0, y0, x0 + width_px, y0 + height_px)
