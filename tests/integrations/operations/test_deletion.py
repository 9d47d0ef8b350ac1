"""What may be deleted, and what is refused with what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Agent, AuditEvent, Connection, Contact, Office, Operation, Tour, TourStop
from integrations.operations import deletion, planning, tours
from integrations.operations.refusals import NotPossible
from tests import factories as make

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "admin"}


def _refused(verb: Any, pk: int) -> str:
    with pytest.raises(NotPossible) as caught:
        verb(pk, **BY)
    assert AuditEvent.objects.count() == 0
    return str(caught.value)


def test_a_tour_nobody_knows_of_is_deleted_with_its_stops() -> None:
    stop = make.TourStopFactory()

    deletion.delete_tour(stop.tour_id, **BY)

    assert (Tour.objects.count(), TourStop.objects.count()) == (0, 0)
    event = AuditEvent.objects.get()
    assert (event.verb, event.object_id, event.before) == ("tour.delete", stop.tour_id, {"stops": [str(stop)]})


@pytest.mark.parametrize("trace", [make.OperationFactory, make.ExternalRefFactory])
def test_what_a_crm_may_know_is_cancelled_not_deleted(trace: Any) -> None:
    stop = make.TourStopFactory()
    trace(entity_type="stop", entity_id=stop.pk, **({"token": 1} if trace is make.OperationFactory else {}))

    assert _refused(deletion.delete_tour, stop.tour_id) == (
        "This tour is known to a CRM or has operations, so it cannot be deleted. Cancel it, then archive it."
    )
    assert _refused(deletion.delete_stop, stop.pk) == (
        "This stop is known to a CRM or has operations, so it cannot be deleted. Cancel it instead."
    )


def test_what_has_feedback_is_kept() -> None:
    stop = make.FeedbackFactory().stop

    assert "has feedback" in _refused(deletion.delete_tour, stop.tour_id)
    assert "has feedback" in _refused(deletion.delete_stop, stop.pk)


def test_a_stop_nobody_knows_of_is_deleted() -> None:
    stop = make.TourStopFactory()

    deletion.delete_stop(stop.pk, **BY)

    assert (TourStop.objects.count(), Tour.objects.count()) == (0, 1)


def test_a_stop_that_no_worker_had_in_hand_is_deleted_with_what_waits() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()
    planning.plan_tour(stop.tour)
    tours.set_stop_status(stop.pk, "pending", **BY)

    deletion.delete_stop(stop.pk, **BY)

    assert TourStop.objects.count() == 0
    assert list(Operation.objects.values_list("kind", "state")) == [("contact.link", "pending")]
    event = AuditEvent.objects.latest("id")
    assert (event.verb, event.object_id, event.before) == ("stop.delete", stop.tour_id, {"stop 1": str(stop)})


def test_a_stop_of_an_archived_tour_is_kept() -> None:
    stop = make.TourStopFactory(tour=make.TourFactory(archived_at=make.START))

    assert "archived" in _refused(deletion.delete_stop, stop.pk)


def test_people_in_use_are_kept() -> None:
    tour = make.TourFactory(agent=make.AgentFactory(office=make.OfficeFactory()))

    assert "Archive the buyer instead" in _refused(deletion.delete_contact, tour.buyer_id)
    assert "Untick “active” instead" in _refused(deletion.delete_agent, tour.agent_id)
    assert "Move them first" in _refused(deletion.delete_office, tour.agent.office_id)


def test_a_buyer_known_to_a_crm_is_kept() -> None:
    contact = make.ContactFactory()
    make.ExternalRefFactory(entity_type="contact", entity_id=contact.pk, resource="contact")

    assert "known to a CRM" in _refused(deletion.delete_contact, contact.pk)


def test_people_and_connections_not_in_use_are_deleted() -> None:
    deletion.delete_contact(make.ContactFactory().pk, **BY)
    deletion.delete_agent(make.AgentFactory().pk, **BY)
    deletion.delete_office(make.OfficeFactory().pk, **BY)
    deletion.delete_connection(make.ConnectionFactory().pk, **BY)

    assert not [model for model in (Contact, Agent, Office, Connection) if model.objects.exists()]
    assert AuditEvent.objects.count() == 4


def test_a_used_connection_is_disabled_not_deleted() -> None:
    operation = make.OperationFactory()

    assert "Disable it instead" in _refused(deletion.delete_connection, operation.connection_id)
