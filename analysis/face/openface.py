"""The same table in the column style of OpenFace 2, for programs that read its CSV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from duchenne.analysis.tables import Column

_INTENSITIES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
_OCCURRENCES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)


def openface_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame face_id timestamp confidence success pose_Rx pose_Ry pose_Rz AUxx_r AUxx_c``.

    Frames count from 1 as OpenFace's do. The pose is in radians in OpenFace's axes (x to the
    image's right, y down, z away from the camera), so that looking up and turning to the
    participant's left are negative. Action Units that the backend does not measure, and frames that
    cannot be measured, are missing; OpenFace would write 0.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of :func:`duchenne.analysis.face.process.analyse_face`, with or without the first
        column ``input``.
    """
    columns: dict[str, object] = {"input": table["input"]} if "input" in table else {}
    columns |= {
        "frame": table["frame"] + 1,
        "face_id": np.zeros(len(table), np.int64),
        "timestamp": table["time"],
        "confidence": table["confidence"],
        "success": table["usable"].astype(np.int64),
        "pose_Rx": -np.radians(table["pose_pitch_deg"]),
        "pose_Ry": -np.radians(table["pose_yaw_deg"]),
        "pose_Rz": -np.radians(table["pose_roll_deg"]),
    }
    missing = pd.Series(np.full(len(table), np.nan), index=table.index)
    for suffix, units in (("r", _INTENSITIES), ("c", _OCCURRENCES)):
        for unit in units:
            name = f"AU{unit:02d}_{suffix}"
            columns[name] = table.get(name, missing)
    return pd.DataFrame(columns)


OPENFACE_COLUMNS = {
    "frame": Column("Number of the video frame, from 1.", kind="integer"),
    "face_id": Column("Number of the face; always 0.", kind="integer"),
    "timestamp": Column("Time of the frame from the start of the video.", "s", kind="number"),
    "success": Column("1 where the face could be measured, else 0.", kind="integer"),
    "pose_Rx": Column("Head pitch; positive: looking down.", "rad", kind="number"),
    "pose_Ry": Column(
        "Head yaw; positive: turned to the participant's right.", "rad", kind="number"
    ),
    "pose_Rz": Column(
        "Head roll; positive: tilted to the participant's left.", "rad", kind="number"
    ),
}
