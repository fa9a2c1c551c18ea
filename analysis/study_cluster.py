"""Doing the tasks of a study on a cluster of dask.distributed."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from duchenne.analysis.study_task import SessionOutcome, SessionTask, run_task
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tell = Callable[[SessionTask, str, int, int], None]

CONNECT_S = 10.0


def run_on_cluster(
    tasks: Sequence[SessionTask], tell: Tell, address: str, *, connect_s: float = CONNECT_S
) -> Iterator[SessionOutcome]:
    """Do the tasks on the workers of a scheduler; see :func:`duchenne.analysis.study_pool.run_here`.

    The workers see the study under the same path, and have this package installed. A session whose worker
    dies is given to another one, as often as the scheduler allows (``allowed-failures``).

    Parameters
    ----------
    tasks : sequence of SessionTask
    tell : callable
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.
    connect_s : float
        How long to wait for the scheduler, and again for its first worker.

    Raises
    ------
    DuchenneError
        If the scheduler cannot be reached, has no worker, or is lost on the way.
    """
    from distributed import Client, as_completed  # noqa: PLC0415 (extra `study`)

    try:
        _knock(address, connect_s)
        client = Client(address, timeout=connect_s, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise DuchenneError(
            f"No scheduler at {address}: start one with `dask scheduler`, and workers with `dask worker "
            f"{address}`."
        ) from error
    quiet = logging.getLogger("distributed")
    level = quiet.level
    try:
        _wait_for_workers(client, address, connect_s)
        quiet.setLevel(logging.CRITICAL)  # what is wrong is told in one line
        futures = [
            client.submit(run_task, task, key=f"duchenne-{number}-{task.file}", pure=False)
            for number, task in enumerate(tasks)
        ]
        by_key = {future.key: task for future, task in zip(futures, tasks, strict=True)}
        left = set(by_key)
        for future in as_completed(futures, loop=client.loop, raise_errors=False):
            left.discard(future.key)
            task = by_key[future.key]
            tell(task, "done", 1, 1)
            if future.status == "finished":
                yield future.result()
            elif future.status in {"cancelled", "lost"}:
                raise DuchenneError(_lost(address, len(left) + 1))
            else:
                why = " ".join(str(future.exception()).split())
                yield SessionOutcome(task.file, f"{task.file}: on the cluster: {why}")
    except (OSError, TimeoutError) as error:
        raise DuchenneError(_lost(address, None)) from error
    finally:
        client.close(timeout=connect_s)
        quiet.setLevel(level)


def _knock(address: str, seconds: float) -> None:
    """Refuse an address where nobody listens; a client that fails to connect leaves a thread behind."""
    parts = urlsplit(address)
    if parts.scheme == "tcp" and parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=seconds).close()


def _wait_for_workers(client: Any, address: str, seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError as error:
        raise DuchenneError(
            f"The scheduler at {address} has no workers: start some with `dask worker {address}`."
        ) from error


def _lost(address: str, n: int | None) -> str:
    rest = "the sessions that are left" if n is None else f"{n} sessions"
    return (
        f"The scheduler at {address} was lost: {rest} are not analyzed. What is done stays; run the command "
        "again to go on."
    )
