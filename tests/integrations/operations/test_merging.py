"""Merging two buyers: what comes together, what each CRM sees of it (mostly nothing), and what stands in the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import (
    AuditEvent,
    Connection,
    Contact,
    ImportItem,
    Operation,
    Tour,
)
from integrations.operations import archiving, merging, planning
from integrations.operations.audit import Who
from integrations.operations.merge_plan import plan_merge
from integrations.operations.people import save_contact
from integrations.operations.refusals import NotPossible, Stale
from integrations.operations.tour_saving import save_tour
from integrations.operations.validation import AgentInput, ContactInput, StopInput, TourInput
from tests.crm import make_connection, make_tour
from tests.factories import ContactFactory, ImportItemFactory, OperationFactory

OLGA = Who("olga", "admin")


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection()


def merge(merged: Contact, survivor: Contact, **more: Any) -> Contact:
    return merging.merge(merged.pk, survivor.pk, OLGA, **more).survivor


def other(number: int = 1) -> Contact:
    made: Contact = ContactFactory(
        first_name="Otto", last_name=f"Other{number}", email=f"otto{number}@mail.example", phone=f"+1916777{number:04d}"
    )
    return made


def states(**where: Any) -> list[tuple[str, str, str]]:
    return list(Operation.objects.filter(**where).order_by("pk").values_list("kind", "state", "reason"))


def tour_input(reference: str, buyer: ContactInput | int, start: datetime) -> TourInput:
    times = {"appointment_start": start, "appointment_end": start + timedelta(hours=1)}
    stop = StopInput(1, {"street": "1 Elm St", **times})
    values = {"time_zone": "America/Los_Angeles", "starts_at": start}
    return TourInput(reference, values, buyer, AgentInput("ann@brokerage.example", "Ann"), stops=(stop,))


# --- our own records ------------------------------------------------------------------------------------------------


def test_tours_come_to_the_survivor_and_both_are_audited(db: None, tomorrow: datetime) -> None:
    first, second = make_tour(tomorrow), make_tour(tomorrow)
    merged, survivor = first.buyer, second.buyer
    merge(merged, survivor)
    merged.refresh_from_db()
    assert set(survivor.tours.all()) == {first, second}
    assert (merged.merged_into, merged.archived_at is not None) == (survivor, True)
    told = AuditEvent.objects.filter(verb__contains="merge").order_by("pk").values_list("verb", "object_id", "actor")
    assert list(told) == [
        ("tour.buyer_merged", first.pk, "olga"),
        ("contact.merge", survivor.pk, "olga"),
        ("contact.merged", merged.pk, "olga"),
    ]
    of_tour = AuditEvent.objects.get(verb="tour.buyer_merged")
    assert (of_tour.before, of_tour.after) == ({"buyer": str(merged)}, {"buyer": str(survivor)})


def test_a_further_buyer_is_named_once(db: None, tomorrow: datetime) -> None:
    merged, survivor = other(1), other(2)
    of_survivor, of_both, of_merged = (make_tour(tomorrow, buyer=buyer) for buyer in (survivor, other(3), merged))
    of_survivor.further_buyers.add(merged)
    of_both.further_buyers.add(merged, survivor)
    of_merged.further_buyers.add(survivor)
    merge(merged, survivor)
    assert [list(tour.further_buyers.all()) for tour in (of_survivor, of_both, of_merged)] == [[], [survivor], []]


def test_a_field_that_differs_is_picked_and_a_gap_is_filled(db: None) -> None:
    survivor = ContactFactory(first_name="Bea", last_name="Buyer", email="bea@mail.example", phone="")
    merged = ContactFactory(first_name="Bea", last_name="Byer", email="b@work.example", phone="+19165550111")
    assert [field.name for field in plan_merge(merged.pk, survivor.pk).fields if field.asked] == ["last_name", "email"]
    merge(merged, survivor, picks={"email": "merged"})
    survivor.refresh_from_db()
    assert (survivor.last_name, survivor.email, survivor.phone) == ("Buyer", "b@work.example", "+19165550111")


@pytest.mark.parametrize("picks", [{"notes": "merged"}, {"email": "theirs"}])
def test_a_wrong_pick_names_its_field_and_nothing_is_merged(db: None, picks: dict[str, str]) -> None:
    merged, survivor = other(1), other(2)
    with pytest.raises(ValidationError) as refused:
        merge(merged, survivor, picks=picks)
    assert list(refused.value.message_dict) == list(picks)
    assert Contact.objects.filter(merged_into__isnull=False).count() == 0


def test_a_second_press_finds_it_done(db: None) -> None:
    merged, survivor = other(1), other(2)
    merge(merged, survivor)
    events = AuditEvent.objects.count()
    assert merging.merge(merged.pk, survivor.pk, OLGA).changed is False
    assert AuditEvent.objects.count() == events


def test_nobody_is_merged_into_themselves_or_twice(db: None) -> None:
    first, second, third = other(1), other(2), other(3)
    with pytest.raises(ValidationError):
        merge(first, first)
    merge(first, second)
    with pytest.raises(NotPossible, match="was merged into “Otto Other2” already"):
        merge(first, third)
    with pytest.raises(NotPossible, match="was merged into “Otto Other2” already"):
        merge(third, first)


def test_nobody_is_two_steps_away(db: None) -> None:
    first, second, third = other(1), other(2), other(3)
    merge(first, second)
    merge(second, third)
    first.refresh_from_db()
    assert first.merged_into == third


def test_a_plan_that_is_another_by_now_is_not_carried_out(db: None, tomorrow: datetime) -> None:
    merged, survivor = other(1), other(2)
    seen = plan_merge(merged.pk, survivor.pk).seen
    make_tour(tomorrow, buyer=merged)
    with pytest.raises(Stale):
        merge(merged, survivor, seen=seen)


def test_a_survivor_who_was_put_away_comes_back(db: None) -> None:
    merged, survivor = other(1), other(2)
    archiving.archive_contact(survivor.pk, OLGA)
    merge(merged, survivor)
    survivor.refresh_from_db()
    assert survivor.archived_at is None


def test_the_merged_one_is_neither_changed_nor_brought_back(db: None) -> None:
    merged, survivor = other(1), other(2)
    merge(merged, survivor)
    with pytest.raises(NotPossible, match="change that one"):
        save_contact(ContactInput("A", "B", "a@b.example", ""), actor="a", via="api", contact_id=merged.pk)
    with pytest.raises(NotPossible, match="stands for both"):
        archiving.unarchive_contact(merged.pk, OLGA)


@pytest.mark.parametrize("by_id", [True, False])
def test_a_new_tour_of_the_merged_one_is_the_survivors(db: None, tomorrow: datetime, by_id: bool) -> None:
    merged, survivor = other(1), other(2)
    merge(merged, survivor)
    written = ContactInput(merged.first_name, merged.last_name, merged.email, "")
    saved = save_tour(tour_input("T-NEW", merged.pk if by_id else written, tomorrow), actor="ann", via="api")
    assert saved.tour.buyer == survivor
    assert Contact.objects.count() == 2


def test_an_import_read_again_leaves_the_tour_with_the_survivor(db: None, tomorrow: datetime) -> None:
    merged, survivor = other(1), other(2)
    written = ContactInput(merged.first_name, merged.last_name, merged.email, merged.phone)
    save_tour(tour_input("T-FILE", written, tomorrow), actor="ann", via="command")
    merge(merged, survivor)
    assert save_tour(tour_input("T-FILE", written, tomorrow), actor="ann", via="command").changed is False
    assert Tour.objects.get(reference="T-FILE").buyer == survivor


def test_a_merge_in_the_very_moment_of_saving_is_followed(
    db: None, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.operations import tour_saving

    merged, survivor = other(1), other(2)
    write = tour_saving._write

    def merge_first(results: Any) -> None:
        Contact.objects.filter(pk=merged.pk).update(merged_into=survivor, archived_at=timezone.now())
        write(results)

    monkeypatch.setattr(tour_saving, "_write", merge_first)
    save_tour(tour_input("T-NOW", merged.pk, tomorrow), actor="ann", via="api")
    assert Tour.objects.get(reference="T-NOW").buyer == survivor


def test_what_an_import_made_is_shown_with_the_survivor(db: None) -> None:
    merged, survivor = other(1), other(2)
    alone = ImportItemFactory(entity_type="contact", entity_id=merged.pk)
    shared = ImportItemFactory(entity_type="contact", entity_id=merged.pk)
    ImportItemFactory(run=shared.run, entity_type="contact", entity_id=survivor.pk)
    assert plan_merge(merged.pk, survivor.pk).import_items == 1
    merge(merged, survivor)
    rows = ImportItem.objects.order_by("pk").values_list("run", "entity_id", "created")
    assert list(rows) == [
        (alone.run_id, survivor.pk, False),
        (shared.run_id, merged.pk, True),
        (shared.run_id, survivor.pk, True),
    ]


# --- operations -----------------------------------------------------------------------------------------------------


def test_what_waits_for_the_merged_ones_link_waits_for_the_survivors(
    connection: Connection, tomorrow: datetime
) -> None:
    tour, survivor = make_tour(tomorrow), other()
    planning.plan_tour(tour)
    merge(tour.buyer, survivor)
    assert states(entity_type="contact") == [
        ("contact.link", "superseded", "merged"),
        ("contact.link", "pending", ""),
    ]
    stop = Operation.objects.get(kind="appointment.sync")
    assert (stop.blockers, [edge.needs.entity_id for edge in stop.dependencies.all()]) == (1, [survivor.pk])


@pytest.mark.parametrize(
    ("kind", "whose"), [("contact.link", "merged"), ("contact.link", "survivor"), ("appointment.sync", "merged")]
)
def test_what_is_being_sent_refuses_the_merge(
    connection: Connection, tomorrow: datetime, kind: str, whose: str
) -> None:
    tour, survivor = make_tour(tomorrow), other()
    about = ("stop", tour.stops.get().pk) if kind == "appointment.sync" else ("contact", tour.buyer_id)
    about = ("contact", survivor.pk) if whose == "survivor" else about
    OperationFactory(
        connection=connection, kind=kind, entity_type=about[0], entity_id=about[1], state="leased", lease_until_ms=1
    )
    with pytest.raises(NotPossible, match="is being sent this very moment"):
        merge(tour.buyer, survivor)
    assert Tour.objects.get().buyer == tour.buyer


@pytest.mark.parametrize("whose", ["merged", "survivor"])
def test_a_doubted_link_refuses_the_merge(connection: Connection, whose: str) -> None:
    merged, survivor = other(1), other(2)
    about = merged if whose == "merged" else survivor
    OperationFactory(
        connection=connection, kind="contact.link", entity_type="contact", entity_id=about.pk, state="unknown",
        in_doubt=True,
    )  # fmt: skip
    assert len(plan_merge(merged.pk, survivor.pk).refusals) == 1
    with pytest.raises(NotPossible, match="may have reached the CRM"):
        merge(merged, survivor)
