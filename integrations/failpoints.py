"""Named places where a process can be made to die, stand still or fail: how it is proved that none of that matters.

Nothing is armed unless the variable REANNA_FAILPOINT says so under `reanna.settings.chaos` (or a test calls `arm`);
everywhere else a place costs one look at a name, and a system check refuses to start with the variable set.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

POINTS = (
    "after_claim",
    "after_sent_commit",
    "after_bytes_out",
    "after_answer",
    "before_success_commit",
    "after_success_commit",
    "mid_heartbeat",
    "on_commit_publish",
    "in_sweep",
    "in_token_refresh",
)
"""In the order in which a send comes past them; the last four stand where threads beside it are."""

ACTIONS = ("kill", "stop", "raise")
"""SIGKILL; SIGSTOP, until someone sends SIGCONT; an exception that nobody expects."""

VARIABLE = "REANNA_FAILPOINT"


class InjectedError(Exception):
    """What the action `raise` raises."""


_armed: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Says that this thread is at `point`."""
    if _armed is not None:
        _armed(point)


def arm(point: str, action: str | Callable[[], None], nth: int = 1) -> None:
    """The `nth` time this process comes to `point`, `action` happens, once; a callable is called.

    Raises ValueError for an unknown one.
    """
    if point not in POINTS or nth < 1 or not (callable(action) or action in ACTIONS):
        raise ValueError(f"a failpoint is POINT:ACTION[:N], of {', '.join(POINTS)} and {', '.join(ACTIONS)}")
    left, lock = [nth], threading.Lock()

    def strike(reached: str) -> None:
        if reached != point:
            return
        with lock:
            left[0] -= 1
            now = left[0] == 0
        if now and callable(action):
            action()
        elif now:
            _strike(point, str(action))

    global _armed  # noqa: PLW0603  one per process is what it is
    _armed = strike


def arm_as_told(text: str) -> None:
    """Arms what REANNA_FAILPOINT says: `after_claim:kill`, `in_sweep:stop:2`. Raises ValueError."""
    point, _, rest = text.partition(":")
    action, _, nth = rest.partition(":")
    arm(point, action, int(nth or 1))


def disarm() -> None:
    """No place does anything any more."""
    global _armed  # noqa: PLW0603  one per process is what it is
    _armed = None


def _strike(point: str, action: str) -> None:
    if action == "raise":
        raise InjectedError(point)
    os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
