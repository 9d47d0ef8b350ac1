"""What a CRM sees of a merge of two buyers: nobody is made twice, nothing is moved, and mostly nothing is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from integrations.models import Contact, ExternalRef, LeftOut, Operation, Tour, TourStop
from integrations.operations import left_out, merging
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.merge_plan import Links, MergePlan, plan_merge
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move
from tests.factories import ContactFactory

OLGA = Who("olga", "admin")


def merge(merged: Contact, survivor: Contact) -> None:
    merging.merge(merged.pk, survivor.pk, OLGA)


def twin_of(buyer: Contact) -> Contact:
    made: Contact = ContactFactory(
        **{name: getattr(buyer, name) for name in ("first_name", "last_name", "email", "phone")}
    )
    return made


def other() -> Contact:
    made: Contact = ContactFactory(
        first_name="Otto", last_name="Other", email="otto@mail.example", phone="+19167770001"
    )
    return made


def place(plan: MergePlan) -> tuple[Links, int, int]:
    (there,) = plan.places
    return there.links, there.under, there.cancelled


def ref_of(contact: Contact, resource: str = "contact") -> ExternalRef:
    return ExternalRef.objects.get(entity_type="contact", entity_id=contact.pk, resource=resource)


def states(**where: Any) -> list[tuple[str, str, str]]:
    return list(Operation.objects.filter(**where).order_by("pk").values_list("kind", "state", "reason"))


def say(stop: TourStop, level: str = "interested") -> None:
    data = FeedbackInput("buyer", stop.appointment_end, {"interest_level": level})
    save_feedback(stop.pk, data, actor="ann", via="api")


def test_the_survivor_takes_the_only_link_and_nothing_is_sent(synced: Crm, tomorrow: datetime) -> None:
    merged, survivor = synced.tour.buyer, other()
    before = ref_of(merged)
    plan = plan_merge(merged.pk, survivor.pk)
    assert place(plan) == (Links.TAKEN, 0, 0)
    merge(merged, survivor)
    after = ref_of(survivor)
    assert (after.pk, after.external_id, after.marker) == (before.pk, before.external_id, before.marker)
    assert (after.acked_version, after.acked_digest) == (before.acked_version, before.acked_digest)
    seen = synced.writes()
    synced.sync(make_tour(tomorrow, buyer=survivor))
    assert [row["op"] for row in synced.sandbox.effects("contact")] == ["create"]
    assert synced.writes() == seen + 1  # the new tour's appointment


def test_what_stands_goes_on_under_the_link_that_was_taken(synced: Crm) -> None:
    merge(synced.tour.buyer, other())
    move(synced.stop, 30)
    synced.sync(synced.tour)
    ((_, made), (done, moved)) = synced.appointments()
    assert (done, moved) == ("update", made)
    assert ref_of(Tour.objects.get().buyer).external_id is not None


def test_two_of_ours_who_are_one_person_there_merge_and_it_settles(synced: Crm, tomorrow: datetime) -> None:
    twin = twin_of(synced.tour.buyer)
    synced.sync(make_tour(tomorrow, buyer=twin))
    assert states(entity_type="contact", entity_id=twin.pk) == [("contact.link", "needs_person", "mapped_elsewhere")]
    merge(twin, synced.tour.buyer)
    synced.drain()
    assert Operation.objects.open().count() == 0
    assert [row["op"] for row in synced.sandbox.effects("contact")] == ["create"]
    assert [done for done, _ in synced.appointments()] == ["create", "create"]
    assert not any(row["effect"] and row["effect"].get("notified") for row in synced.requests())


def test_the_one_who_asks_may_be_the_survivor(synced: Crm, tomorrow: datetime) -> None:
    twin = twin_of(synced.tour.buyer)
    synced.sync(make_tour(tomorrow, buyer=twin))
    merge(synced.tour.buyer, twin)
    synced.drain()
    assert states(entity_type="contact", entity_id=twin.pk) == [("contact.link", "succeeded", "no_change")]
    assert Operation.objects.open().count() == 0
    assert [row["op"] for row in synced.sandbox.effects("contact")] == ["create"]
    assert len({made for _, made in synced.appointments()}) == 2


@pytest.fixture
def apart(each_crm: Crm, tomorrow: datetime) -> Crm:
    """Two buyers, each linked to a person and with a tour in the CRM."""
    crm = each_crm
    crm.tour = make_tour(tomorrow)
    crm.stop = crm.tour.stops.get()
    crm.sync(crm.tour, make_tour(tomorrow, buyer=other()))
    return crm


def other_of(crm: Crm) -> Contact:
    return Contact.objects.get(first_name="Otto")


@pytest.mark.parametrize("each_crm", ["gohighlevel", "rollout"], indirect=True)
def test_what_stands_under_another_person_is_changed_there_and_never_doubled(apart: Crm, tomorrow: datetime) -> None:
    merged, survivor = apart.tour.buyer, other_of(apart)
    theirs, ours = ref_of(merged).external_id, ref_of(survivor).external_id
    assert place(plan_merge(merged.pk, survivor.pk)) == (Links.APART, 1, 0)
    merge(merged, survivor)
    assert (ref_of(merged).external_id, ref_of(survivor).external_id) == (theirs, ours)
    seen = apart.writes()
    apart.drain()
    assert apart.writes() == seen
    move(apart.stop, 30)
    apart.sync(apart.tour)
    (standing,) = [row["body"] for row in apart.requests("PUT") if "appointments" in row["path"]]
    assert standing.get("personId", theirs) == theirs
    assert [done for done, _ in apart.appointments()] == ["create", "create", "update"]
    new = make_tour(tomorrow, buyer=survivor)
    apart.sync(new)
    body = apart.requests("POST")[-1]["body"]
    assert body.get("personId", body.get("contactId")) == ours
    assert Operation.objects.exclude(state="succeeded").count() == 0


@pytest.mark.parametrize("each_crm", ["gohighlevel", "rollout"], indirect=True)
def test_what_stands_under_another_person_is_cancelled_there(apart: Crm) -> None:
    merge(apart.tour.buyer, other_of(apart))
    TourStop.objects.filter(pk=apart.stop.pk).update(appointment_status="cancelled", version=2)
    apart.sync(apart.tour)
    assert [done for done, _ in apart.appointments()][2:] in (["update"], ["delete"])
    assert Operation.objects.exclude(state="succeeded").count() == 0


def test_a_note_under_another_person_is_corrected_there_a_new_one_goes_to_the_survivors(
    crm: Crm, tomorrow: datetime
) -> None:
    tour, survivor = make_tour(tomorrow, stops=2), other()
    first, second = tour.stops.order_by("sequence")
    crm.sync(tour, make_tour(tomorrow, buyer=survivor))
    say(first)
    crm.drain()
    theirs, ours = ref_of(tour.buyer).external_id, ref_of(survivor).external_id
    merge(tour.buyer, survivor)
    say(first, "not_interested")
    say(second)
    crm.drain()
    notes = [(row["method"], row["path"].split("/")[2]) for row in crm.requests() if "/notes" in row["path"]]
    written = [(method, person) for method, person in notes if method != "GET"]
    assert written == [("POST", theirs), ("PUT", theirs), ("POST", ours)]


def test_a_lost_answer_is_looked_up_under_the_person_it_was_sent_to(crm: Crm, tomorrow: datetime) -> None:
    tour, survivor = make_tour(tomorrow), other()
    crm.sync(make_tour(tomorrow, buyer=survivor), make_tour(tomorrow, buyer=tour.buyer))
    crm.sandbox.faults("drop_after_effect", match={"method": "POST", "path": "^/calendars/events/appointments$"})
    crm.sync(tour)
    assert crm.operation().in_doubt
    merge(tour.buyer, survivor)
    crm.settle_doubt()
    crm.drain()
    assert [done for done, _ in crm.appointments()] == ["create", "create", "create"]
    assert Operation.objects.open().count() == 0
    move(tour.stops.get(), 30)
    crm.sync(tour)
    assert crm.operation().state == "succeeded"


def test_what_was_deleted_there_is_made_again_under_the_survivors(crm: Crm, tomorrow: datetime) -> None:
    tour, survivor = make_tour(tomorrow), other()
    crm.sync(tour, make_tour(tomorrow, buyer=survivor))
    merge(tour.buyer, survivor)
    stop = tour.stops.get()
    gone = {"method": "GET", "path": "^/calendars/events/appointments/"}
    crm.sandbox.faults("status", status=404, match=gone)
    move(stop, 30)
    crm.sync(tour)
    assert (crm.operation().state, crm.operation().reason) == ("dead", "gone_at_provider")
    verbs.recreate(crm.operation().pk, OLGA)
    crm.drain()
    assert crm.requests("POST")[-1]["body"]["contactId"] == ref_of(survivor).external_id
    assert crm.ref(stop).under_id is None


def test_what_the_buyer_said_last_is_told_of_the_survivor(crm: Crm, tomorrow: datetime) -> None:
    crm.connection.config["interest_field_id"] = "cf_interest"
    crm.connection.save()
    tour, survivor = make_tour(tomorrow), other()
    crm.sync(tour)
    say(tour.stops.get())
    crm.drain()
    merge(tour.buyer, survivor)
    crm.drain()
    assert ref_of(survivor, "contact_fields").external_id == ref_of(survivor).external_id
    assert Operation.objects.open().count() == 0
    assert not Operation.objects.filter(reason="mapped_elsewhere").exists()


# --- kept out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who_is_out", ["merged", "survivor"])
def test_whoever_is_kept_out_both_are(crm: Crm, tomorrow: datetime, who_is_out: str) -> None:
    tour, survivor = make_tour(tomorrow), other()
    standing = make_tour(tomorrow, buyer=survivor)
    crm.sync(tour, standing)
    out = tour.buyer if who_is_out == "merged" else survivor
    left_out.leave_out("contact", out.pk, crm.connection.pk, "asked for it", OLGA)
    crm.drain()
    assert place(plan_merge(tour.buyer_id, survivor.pk))[2] == 1
    merge(tour.buyer, survivor)
    crm.drain()
    assert LeftOut.objects.get(entity_type="contact").entity_id == survivor.pk
    cancelled = [row["body"]["appointmentStatus"] for row in crm.requests("PUT")]
    assert cancelled == ["cancelled", "cancelled"]
    assert [done for done, _ in crm.appointments()] == ["create", "create", "update", "update"]
