"""The closed table of operation kinds: which record each is about and what must be settled before it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindRow:
    """`needs`: the kinds whose record must be linked first. `once`: settled for good by its first success."""

    name: str
    entity_type: str
    resource: str
    needs: tuple[str, ...] = ()
    once: bool = False


KINDS: dict[str, KindRow] = {
    row.name: row
    for row in (
        KindRow("contact.link", "contact", "contact", once=True),
        KindRow("appointment.sync", "stop", "appointment", needs=("contact.link",)),
    )
}
