"""The closed table of operation kinds: which record each is about and what must be settled before it."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.providers import registry


@dataclass(frozen=True, slots=True)
class KindRow:
    """`needs`: the kinds whose record must be linked first, where the provider has them.

    `once`: settled for good by its first success. `given`: its record is given to the user of the tour's agent.
    """

    name: str
    entity_type: str
    resource: str
    needs: tuple[str, ...] = ()
    once: bool = False
    given: bool = False


KINDS: dict[str, KindRow] = {
    row.name: row
    for row in (
        KindRow("contact.link", "contact", "contact", once=True),
        KindRow("appointment_type.link", "connection", "appointment_type", once=True),
        KindRow("appointment.sync", "stop", "appointment", needs=("contact.link", "appointment_type.link"), given=True),
        KindRow("feedback.note", "feedback", "note", needs=("contact.link",)),
        KindRow("feedback.task", "feedback", "task", needs=("contact.link",), given=True),
        KindRow("contact.fields", "contact", "contact_fields", needs=("contact.link",)),
        KindRow("tour.summary", "tour", "summary", needs=("contact.link",)),
    )
}


GIVEN = tuple(row.name for row in KINDS.values() if row.given)
"""Kinds whose record is given to a person in the CRM."""


def offered(kind: str, provider: str) -> bool:
    """Whether this provider has such a kind. What an unknown one has is not known: its operations ask for a person."""
    return provider not in registry.slugs() or kind in registry.manifest(provider).kinds


def account_needs(kind: str, provider: str) -> tuple[KindRow, ...]:
    """What must stand in the account itself before a record of `kind` can, at this provider."""
    if provider not in registry.slugs():
        return ()
    known = registry.manifest(provider).kinds
    rows = (KINDS[name] for name in KINDS[kind].needs if name in known)
    return tuple(row for row in rows if row.entity_type == "connection")
