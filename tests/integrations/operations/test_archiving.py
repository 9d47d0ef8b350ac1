"""Putting buyers away: only when nothing of theirs is under way."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import AuditEvent, Contact
from integrations.operations import archiving
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from tests import factories as make

pytestmark = pytest.mark.django_db

ANN = Who("ann", "admin")


def test_a_buyer_of_finished_tours_is_archived_once() -> None:
    buyer = make.TourFactory(status="completed").buyer
    make.TourFactory(status="scheduled", archived_at=make.START, buyer=buyer)

    assert archiving.archive_contact(buyer.pk, ANN)
    assert not archiving.archive_contact(buyer.pk, ANN)
    assert archiving.unarchive_contact(buyer.pk, ANN)
    assert not archiving.unarchive_contact(buyer.pk, ANN)

    assert list(AuditEvent.objects.order_by("id").values_list("verb", flat=True)) == [
        "contact.archive",
        "contact.unarchive",
    ]


@pytest.mark.parametrize("state", ["pending", "waiting", "unknown", "needs_person"])
def test_a_buyer_whom_something_waits_for_is_kept(state: str) -> None:
    buyer = make.ContactFactory()
    make.OperationFactory(kind="contact.link", entity_type="contact", entity_id=buyer.pk, state=state)

    with pytest.raises(NotPossible, match="not at an end: 1"):
        archiving.archive_contact(buyer.pk, ANN)
    assert Contact.objects.get().archived_at is None


@pytest.mark.parametrize("status", ["draft", "scheduled", "in_progress"])
def test_a_buyer_with_a_standing_tour_is_kept(status: str) -> None:
    tour = make.TourFactory(status=status, reference="T-7")

    with pytest.raises(NotPossible, match="Tour T-7 of this buyer still stands"):
        archiving.archive_contact(tour.buyer_id, ANN)


@pytest.mark.parametrize("verb", [archiving.archive_contact, archiving.unarchive_contact])
def test_a_buyer_who_is_none(verb: Any) -> None:
    with pytest.raises(Contact.DoesNotExist):
        verb(404, ANN)
