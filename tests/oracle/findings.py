"""What was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

SHOWN = 10


@dataclass
class Judged:
    """One connection.

    `busiest`: the most requests in any window of the vendor's limit. `used`: the mean fill of those windows while there
    was work. An operation counts as work from its creation to its end, also while it waits for a lost answer to settle
    or for the lease of a dead worker to end: after kills this is a lower bound. `unleased`: writes that no attempt of
    ours answers for. `doubled`: records beyond the first with one marker.
    """

    provider: str
    operations: dict[str, int]
    requests: int
    statuses: dict[str, int]
    effects: dict[str, int]
    busiest: int = 0
    limit: int = 0
    used: float | None = None
    span_s: float = 0.0
    live_stops: int = 0
    right_stops: int = 0
    appointments: int = 0
    buyers: int = 0
    right_buyers: int = 0
    contacts: int = 0
    answers: int = 0
    right_answers: int = 0
    calls_for_action: int = 0
    notes: int = 0
    summaries: int = 0
    tasks: int = 0
    tags_added: int = 0
    unreferenced: int = 0
    doubled: int = 0
    refused: int = 0
    notified: int = 0
    unleased: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """The whole run; `wrong` says each thing that must not be, in words, of every connection."""

    operations: dict[str, int]
    reasons: dict[str, int]
    requests: int
    connections: list[Judged]
    secrets_seen: list[str]
    wrong: list[str] = field(default_factory=list)

    def of(self, provider: str) -> Judged:
        """The one connection to this provider."""
        (found,) = [each for each in self.connections if each.provider == provider]
        return found

    def text(self) -> str:
        """A line a figure."""
        lines = [f"{name:<17} {getattr(self, name)}" for name in ("operations", "reasons", "requests", "secrets_seen")]
        for each in self.connections:
            lines.append(f"--- {each.provider}")
            figures = asdict(each)
            lines += [f"{name:<17} {value}" for name, value in figures.items() if name not in ("provider", "wrong")]
        return "\n".join([*lines, *(f"WRONG             {each}" for each in self.wrong)])


def cut(wrong: Sequence[str]) -> list[str]:
    """Enough of a long list to see what it is about."""
    more = len(wrong) - 5 * SHOWN
    return [*wrong[: 5 * SHOWN], f"and {more} more"] if more > 0 else list(wrong)


def tally(words: Sequence[str]) -> dict[str, int]:
    """How often each stands."""
    return dict(Counter(words))
