"""What an import did, counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integrations.operations.tour_saving import Saved


@dataclass(frozen=True, slots=True)
class Tally:
    """`created`, `updated`, `unchanged` count tours (or answers); the stops are counted besides."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stops_created: int = 0
    stops_changed: int = 0

    @classmethod
    def of(cls, results: Iterable[Saved]) -> Tally:
        total = cls()
        for saved in results:
            total += cls(
                created=int(saved.created),
                updated=int(saved.changed and not saved.created),
                unchanged=int(not saved.changed),
                stops_created=len(saved.new_stops),
                stops_changed=len(saved.changed_stops),
            )
        return total

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.stops_created + other.stops_created,
            self.stops_changed + other.stops_changed,
        )
