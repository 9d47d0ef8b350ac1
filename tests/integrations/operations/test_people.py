"""Who is meant: buyers within their name by e-mail, else phone; agents by e-mail."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Agent, AuditEvent, Contact
from integrations.operations.audit import Who
from integrations.operations.people import People, save_contact
from integrations.operations.validation import AgentInput, ContactInput
from tests import factories as make

pytestmark = pytest.mark.django_db

BEA = ContactInput("Bea", "Buyer", "bea@mail.example", "+19165550001")


def _find(*wanted: ContactInput, current: Contact | None = None) -> list[Contact]:
    people = People([], list(wanted))
    found = [people.buyer(item, current) for item in wanted]
    people.create_missing()
    people.store_filled(Who("ann", "api"))
    return found


def _known(**values: Any) -> Contact:
    fields = {"first_name": "Bea", "last_name": "Buyer", "email": "bea@mail.example", "phone": "+19165550001"}
    contact: Contact = make.ContactFactory(**{**fields, **values})
    return contact


def test_an_unknown_buyer_is_created_once() -> None:
    first, second = _find(BEA, BEA)

    assert first == second == Contact.objects.get()


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"phone": ""},
        {"phone": "+19165559999"},
        {"email": "Bea@Mail.example"},
        {"first_name": "BEA", "last_name": " buyer"},
        {"email": "", "phone": "+19165550001"},
        {"email": "other@mail.example"},
    ],
)
def test_a_buyer_is_recognised(known: dict[str, str]) -> None:
    contact = _known(**known)

    assert _find(BEA) == [contact]
    assert Contact.objects.count() == 1


@pytest.mark.parametrize(
    "known",
    [
        {"first_name": "Bo"},
        {"last_name": ""},
        {"email": "other@mail.example", "phone": "+19165559999"},
        {"email": "", "phone": "+19165559999"},
    ],
)
def test_another_person_is_not_taken_for_the_buyer(known: dict[str, str]) -> None:
    contact = _known(**known)

    assert _find(BEA) != [contact]
    assert Contact.objects.count() == 2


def test_the_address_decides_before_the_phone() -> None:
    _known(email="other@mail.example")
    by_email = _known(phone="+19165559999")

    assert _find(BEA) == [by_email]


def test_one_in_use_is_preferred_to_an_archived_one() -> None:
    _known(archived_at=make.START)
    in_use = _known()

    assert _find(BEA) == [in_use]


def test_the_tours_buyer_stays_when_it_fits_at_all() -> None:
    _known()
    current = _known(email="")

    assert _find(BEA, current=current) == [current]


def test_gaps_are_filled_and_what_is_known_is_kept() -> None:
    contact = _known(phone="")

    _find(BEA, ContactInput("Bea", "Buyer", "bea@mail.example", "+19165559999"))

    contact.refresh_from_db()
    assert (contact.email, contact.phone, contact.version) == ("bea@mail.example", "+19165550001", 2)
    event = AuditEvent.objects.get()
    assert (event.verb, event.before, event.after) == ("contact.update", {"phone": ""}, {"phone": "+19165550001"})


def test_nothing_new_is_no_write() -> None:
    contact = _known()

    _find(ContactInput("bea", "buyer", "bea@mail.example", "+19165559999"))

    contact.refresh_from_db()
    assert (contact.first_name, contact.phone, contact.version) == ("Bea", "+19165550001", 1)
    assert AuditEvent.objects.count() == 0


def test_an_agent_is_known_by_address_and_keeps_the_name() -> None:
    ann = make.AgentFactory(email="Ann@brokerage.example", name="Ann")
    people = People([AgentInput("ann@brokerage.example", "Anna"), AgentInput("new@brokerage.example", "New")], [])

    known, new = people.agent(AgentInput("ann@brokerage.example", "Anna")), people.agent(
        AgentInput("new@brokerage.example", "New")
    )  # fmt: skip
    people.create_missing()

    assert (known.pk, known.name) == (ann.pk, "Ann")
    assert new.pk == Agent.objects.get(email="new@brokerage.example").pk


def test_a_buyer_is_saved_with_a_version_for_each_change() -> None:
    contact = save_contact(BEA, actor="ann", via="admin")
    save_contact(BEA, actor="ann", via="admin", contact_id=contact.pk)
    moved = ContactInput("Bea", "Buyer", "bea@mail.example", "+19165550002")

    changed = save_contact(moved, actor="ann", via="admin", contact_id=contact.pk)

    assert (contact.version, changed.version, changed.phone) == (1, 2, "+19165550002")
    assert list(AuditEvent.objects.order_by("id").values_list("verb", flat=True)) == [
        "contact.create",
        "contact.update",
    ]
