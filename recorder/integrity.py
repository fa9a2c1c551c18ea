"""Compare the datasets of a session file with the checksums that they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py

from duchenne.recorder.sample_writers import CRC_ATTRIBUTE, crc_of

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = ("streams", "events")


def changed_datasets(file: h5py.File, *, max_bytes: int | None = None) -> Iterator[str]:
    """Yield what does not fit its checksum, or cannot be read, in words.

    Parameters
    ----------
    file : h5py.File
    max_bytes : int, optional
        Leave out datasets that hold more.
    """
    for name in GROUPS:
        if isinstance(file.get(name), h5py.Group):
            yield from _changed_in(file[name], max_bytes)


def _changed_in(group: h5py.Group, max_bytes: int | None) -> Iterator[str]:
    for node in group.values():
        if isinstance(node, h5py.Group):
            yield from _changed_in(node, max_bytes)
        elif CRC_ATTRIBUTE in node.attrs and not (max_bytes and node.nbytes > max_bytes):
            try:
                same = crc_of(node) == int(node.attrs[CRC_ATTRIBUTE])
            except (OSError, RuntimeError, ValueError, TypeError) as error:
                yield f"{node.name} cannot be read: {error}"
            else:
                if not same:
                    yield f"{node.name} is not what was written: it does not fit its checksum"
