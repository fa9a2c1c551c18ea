"""Shared fixtures: an LSL network of this test run alone, and no threads or processes left behind."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from duchenne.recorder.lsl_config import lsl_on_this_host

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Keep LSL on this host and apart from other runs, before anything imports pylsl."""
    os.environ.pop("LSLAPICFG", None)
    network = lsl_on_this_host("test")
    network.__enter__()
    config.add_cleanup(lambda: network.__exit__(None, None, None))
    cache = tempfile.TemporaryDirectory(prefix="duchenne-cache-")
    os.environ["DUCHENNE_CACHE"] = cache.name
    config.add_cleanup(cache.cleanup)


with suppress(ImportError):  # the environment of Tobii's SDK has no Hypothesis
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("busy machine")


def _children() -> set[int]:
    path = Path(f"/proc/{os.getpid()}/task")
    found: set[int] = set()
    for task in path.glob("*/children"):
        try:
            found.update(int(pid) for pid in task.read_text().split())
        except OSError:
            continue
    return found


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let torch compute on one thread, here and in the programs that a test starts.

    The two workers of the suite share two cores; threads that wait for each other take three times as long.
    """
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a Python thread or a child process behind."""
    threads_before = set(threading.enumerate())
    children_before = _children()
    yield
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        threads = {t for t in threading.enumerate() if t not in threads_before and t.is_alive()}
        children = _children() - children_before
        if not threads and not children:
            return
        time.sleep(0.05)
    pytest.fail(
        f"left behind: threads {sorted(t.name for t in threads)}, processes {sorted(children)}"
    )


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> str:
    """Return a stream name that no other test uses."""
    return f"{request.node.name[:30]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return the folder of test media beside the checkout; skip where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of test media (../shared) is not here")
    return folder
