"""The error that users see: one sentence saying what, where and what to do."""

from __future__ import annotations


class DuchenneError(Exception):
    """A problem to be told in one line, without a traceback.

    Parameters
    ----------
    message : str
        What went wrong, where, and what to do about it, in one line.
    exit_code : int, default 1
        1 for a failure, 2 for wrong usage.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(DuchenneError):
    """Wrong usage: the command ends with exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
