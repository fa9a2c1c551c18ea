"""Linear algebra in one thread, so that sums are added in one order wherever a session is analysed."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries of linear algebra use one thread for as long as this lasts.

    Without threadpoolctl (it comes with scikit-learn) nothing is done; ``OMP_NUM_THREADS=1`` does the same.
    """
    try:
        limits = import_module("threadpoolctl").threadpool_limits
    except ImportError:
        yield
        return
    with limits(limits=1):
        yield
