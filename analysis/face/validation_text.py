"""What coders are told, and what the columns of the key mean."""

from __future__ import annotations

from duchenne.analysis.tables import Column

# fmt: off
CODED_AUS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU14", "AU15", "AU17",
    "AU18", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28", "AU43", "AU45",
)
# fmt: on
INSTRUCTIONS = """\
Coding the intensity of Action Units
====================================

Each clip (clip_….mp4) shows one face for a moment. Code it with one program, ELAN (open the .eaf file)
or Datavyu (open the .opf file, then add the clip of the same name as its video). The clips come in
random order and from different persons and situations; their names mean nothing.

1. Watch the clip as often as you like, also frame by frame.
2. For every Action Unit (tier or column AU01 ...) enter the strongest intensity in the clip, as in the
   Investigator's Guide of FACS:
     A trace   B slight   C marked or pronounced   D severe or extreme   E maximum
     0 absent  X cannot be scored (hidden, too dark, too blurred)
   What you leave empty counts as absent, once the clip is marked as coded.
3. When the clip is finished, enter yes in the tier or column 'coded', and save under the same name.
   Clips that are not marked as coded are left out.

Do not rename files. In ELAN, double-click the annotation that is already there and choose from the
list; in Datavyu, type into the cell. If an Action Unit changes during the clip, the strongest moment
counts; several annotations on one tier are allowed, the strongest of them counts.

Work by yourself. Do not talk about clips before all coders have finished.
"""

KEY_COLUMNS: dict[str, Column] = {
    "clip": Column("Name of the clip that coders see.", kind="string"),
    "source": Column("Video or session file that it was cut from.", kind="string"),
    "participant": Column("Whose face it is.", kind="string"),
    "condition": Column("What was shown, or the name of the video.", kind="string"),
    "start_s": Column("Beginning on the clock of the source's frames.", "s", kind="number"),
    "end_s": Column("End, excluded.", "s", kind="number"),
    "n_frames": Column("Frames in the clip.", kind="integer"),
} | {
    name: column
    for au in CODED_AUS
    for name, column in {
        f"{au}_peak": Column(
            f"95th percentile of {au} in the clip, as measured; 0 to 5.", kind="number"
        ),
        f"{au}_occurs": Column(
            f"{au} occurs in a tenth of the frames or more, as measured.", kind="boolean"
        ),
    }.items()
}
