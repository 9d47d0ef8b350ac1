"""Putting buyers away who are not needed any more, and bringing them back. Tours: `tours.archive_tour`."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from integrations.models import Contact, Operation, TourStatus

from . import audit
from .audit import Changes, Who
from .refusals import NotPossible

_STANDING = (TourStatus.DRAFT, TourStatus.SCHEDULED, TourStatus.IN_PROGRESS)


def archive_contact(contact_id: int, who: Who) -> bool:
    """Nothing is sent. Raises NotPossible while a tour of theirs stands or something about them waits to be sent.

    Raises Contact.DoesNotExist.
    """
    with transaction.atomic():
        contact = Contact.objects.select_for_update().get(pk=contact_id)
        if contact.archived_at is not None:
            return False
        tour = contact.tours.filter(status__in=_STANDING, archived_at__isnull=True).order_by("pk").first()
        if tour is not None:
            raise NotPossible(f"Tour {tour.reference} of this buyer still stands: complete or cancel it first.")
        waiting = Operation.objects.of("contact", contact_id).open().count()
        if waiting:
            raise NotPossible(
                f"Operations about this buyer that are not at an end: {waiting}. Wait for them, or stop them, first."
            )
        return _store(contact, {"archived_at": (None, timezone.now())}, "contact.archive", who)


def unarchive_contact(contact_id: int, who: Who) -> bool:
    """As before. Raises NotPossible for one who was merged, Contact.DoesNotExist."""
    with transaction.atomic():
        contact = Contact.objects.select_for_update().get(pk=contact_id)
        if contact.merged_into is not None:
            raise NotPossible(f"This buyer was merged into “{contact.merged_into}”, who stands for both.")
        if contact.archived_at is None:
            return False
        return _store(contact, {"archived_at": (contact.archived_at, None)}, "contact.unarchive", who)


def bring_back(contacts: Iterable[Contact], who: Who) -> None:
    """Archived buyers who are named by a tour that is new or changed. In the transaction of that change."""
    away = {contact.pk for contact in contacts if contact.archived_at is not None}
    if away:
        for contact in (
            Contact.objects.select_for_update().filter(pk__in=away, archived_at__isnull=False).order_by("pk")
        ):
            _store(contact, {"archived_at": (contact.archived_at, None)}, "contact.unarchive", who)


def _store(contact: Contact, changes: Changes, verb: str, who: Who) -> bool:
    contact.archived_at = changes["archived_at"][1]
    contact.save(update_fields=["archived_at", "updated_at"])
    audit.record_all([audit.event(verb, contact, who, **audit.sides(changes))])
    return True
