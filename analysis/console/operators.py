"""Who holds the controls: one operator steers, others watch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

GONE_AFTER_S = 10.0
"""A holder without an open page for so long has lost the controls to whoever asks."""


@dataclass
class Operators:
    """The operators of a console and the one who holds its controls.

    The first to come gets the controls. Another one who asks gets them when the holder agrees, has let go,
    or has had no page open for ten seconds.

    Parameters
    ----------
    clock : callable
        Returns seconds; monotonic.
    """

    clock: Callable[[], float] = time.monotonic
    holder: str | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _pages: dict[str, int] = field(default_factory=dict)
    _left_s: dict[str, float] = field(default_factory=dict)
    _request: tuple[str, float] | None = None

    def came(self, operator: str) -> None:
        """Note that an operator has opened a page; the first one takes the controls."""
        self._pages[operator] = self._pages.get(operator, 0) + 1
        self._left_s.pop(operator, None)
        if self.holder is None and self._request is None:
            self.holder = operator

    def went(self, operator: str) -> None:
        """Note that an operator has closed a page."""
        self._pages[operator] = max(0, self._pages.get(operator, 0) - 1)
        if not self._pages[operator]:
            self._left_s[operator] = self.clock()
            if self._request is not None and self._request[0] == operator:
                self._request = None

    def holds(self, operator: str) -> bool:
        """Whether an operator may steer; where nobody does, whoever begins to may."""
        if self.holder is None:
            self.holder = operator
        return self.holder == operator

    def take(self, operator: str) -> bool:
        """Ask for the controls; return whether they were given at once."""
        if self.holder in (None, operator) or self._holder_is_gone():
            self.holder, self._request = operator, None
            return True
        if self._request is None or self._request[0] != operator:
            self._request = (operator, time.time() * 1e3)
        return False

    def answer(self, *, accept: bool) -> None:
        """Answer, for the holder, whoever asked for the controls."""
        if self._request is not None and accept:
            self.holder = self._request[0]
        self._request = None

    def release(self) -> None:
        """Let go of the controls; they go to whoever has asked."""
        self.holder = None if self._request is None else self._request[0]
        self._request = None

    def dismissed(self, operator: str) -> None:
        """Note that an operator has signed out."""
        self._pages.pop(operator, None)
        if self.holder == operator:
            self.release()

    def rename(self, operator: str, name: str) -> None:
        """Give an operator a name for the others."""
        self._names[operator] = name

    def name(self, operator: str) -> str:
        """Return what the others call an operator."""
        return self._names.get(operator) or f"Operator {operator.partition('-')[2]}"

    @property
    def n_pages(self) -> int:
        """How many pages are open."""
        return sum(self._pages.values())

    def me(self, operator: str) -> dict[str, Any]:
        """Return what an operator's page should know of its operator."""
        return {
            "id": operator,
            "name": self.name(operator),
            "holds_controls": self.holder == operator,
        }

    def to_json(self) -> dict[str, Any]:
        """Return who holds the controls, who asks for them and who watches."""
        holder, request = self.holder, self._request
        connected = [who for who, n in self._pages.items() if n]
        return {
            "holder": None if holder is None else self._person(holder),
            "request": None
            if request is None
            else {"id": request[0], "name": self.name(request[0]), "since_t_ms": request[1]},
            "watchers": [self._person(who) for who in connected if who != holder],
            "free_in_s": self._free_in_s(),
        }

    def _person(self, operator: str) -> dict[str, Any]:
        connected = bool(self._pages.get(operator))
        return {"id": operator, "name": self.name(operator), "connected": connected}

    def _free_in_s(self) -> float | None:
        left_s = self._left_s.get(self.holder or "")
        return None if left_s is None else max(0.0, left_s + GONE_AFTER_S - self.clock())

    def _holder_is_gone(self) -> bool:
        return self._free_in_s() == 0.0
