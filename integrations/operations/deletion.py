"""Deleting, and why it is mostly refused: what a CRM, an operation or feedback knows of must stay traceable."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models, transaction
from django.db.models import ProtectedError

from integrations.models import (
    Agent,
    AgentUser,
    Connection,
    Contact,
    ExternalRef,
    Feedback,
    Office,
    Operation,
    OperationDependency,
    Tour,
    TourStop,
)

from . import audit, planning
from .refusals import ARCHIVED, NotPossible
from .tour_saving import lock_tours

_TYPES: dict[type[models.Model], str] = {Contact: "contact", TourStop: "stop", Tour: "tour"}


def delete_tour(tour_id: int, *, actor: str, via: str) -> None:
    """Delete a tour no one outside knows of, with its stops. Raises NotPossible, Tour.DoesNotExist."""
    with transaction.atomic():
        tour = Tour.objects.select_for_update().get(pk=tour_id)
        stops = list(TourStop.objects.select_for_update().filter(tour=tour).order_by("pk"))
        ids = [stop.pk for stop in stops]
        _refuse(
            "This tour", "Cancel it, then archive it.", _traces(TourStop, ids) + _traces(Tour, [tour_id]), _said(ids)
        )
        audit.record("tour.delete", tour, actor=actor, via=via, before={"stops": [str(stop) for stop in stops]})
        TourStop.objects.filter(pk__in=ids).delete()
        tour.delete()


def delete_stop(stop_id: int, *, actor: str, via: str) -> None:
    """Delete a stop that no worker ever had in hand; what waits for it goes too. Audited at its tour.

    Raises NotPossible, TourStop.DoesNotExist.
    """
    with transaction.atomic():
        tours = lock_tours(stops=stop_id)
        stop = TourStop.objects.select_for_update().get(pk=stop_id)
        (tour,) = tours
        if tour.archived_at is not None:
            raise NotPossible(ARCHIVED)
        _refuse("This stop", "Cancel it instead.", 0 if _forget_stop(stop_id) else 1, _said([stop_id]))
        audit.record("stop.delete", tour, actor=actor, via=via, before={f"stop {stop.sequence}": str(stop)})
        stop.delete()
        planning.plan_summaries(planning.newly_told(tours))


def _forget_stop(stop_id: int) -> bool:
    """Takes the stop's operations away, if none was ever claimed (its token says so) and no CRM was asked about it."""
    mine = {"entity_type": "stop", "entity_id": stop_id}
    rows = list(Operation.objects.select_for_update(of=("self",)).filter(**mine).order_by("pk"))
    if any(row.token for row in rows) or ExternalRef.objects.filter(**mine).exists():
        return False
    OperationDependency.objects.filter(operation__in=rows).delete()
    Operation.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return True


def delete_contact(contact_id: int, *, actor: str, via: str) -> None:
    """Delete a buyer without tours whom no CRM knows from us. Raises NotPossible, Contact.DoesNotExist."""
    with transaction.atomic():
        contact = Contact.objects.select_for_update().get(pk=contact_id)
        _refuse("This buyer", "Archive the buyer instead.", _traces(Contact, [contact_id]))
        _delete("contact.delete", contact, "This buyer has tours. Archive the buyer instead.", actor, via)


def delete_agent(agent_id: int, *, actor: str, via: str) -> None:
    """Delete an agent without tours and connections. Raises NotPossible, Agent.DoesNotExist."""
    with transaction.atomic():
        agent = Agent.objects.select_for_update().get(pk=agent_id)
        AgentUser.objects.filter(agent=agent).delete()
        _delete("agent.delete", agent, "This agent has tours or connections. Untick “active” instead.", actor, via)


def delete_office(office_id: int, *, actor: str, via: str) -> None:
    """Delete an office without agents and connections. Raises NotPossible, Office.DoesNotExist."""
    with transaction.atomic():
        office = Office.objects.select_for_update().get(pk=office_id)
        _delete("office.delete", office, "This office has agents or connections. Move them first.", actor, via)


def delete_connection(connection_id: int, *, actor: str, via: str) -> None:
    """Delete a connection that was never used. Raises NotPossible, Connection.DoesNotExist."""
    with transaction.atomic():
        connection = Connection.objects.select_for_update().defer("secrets").get(pk=connection_id)
        AgentUser.objects.filter(connection=connection).delete()
        reason = "This connection has operations or links to CRM records. Disable it instead."
        _delete("connection.delete", connection, reason, actor, via)


def _delete(verb: str, record: models.Model, refusal: str, actor: str, via: str) -> None:
    audit.record(verb, record, actor=actor, via=via)
    try:
        record.delete()
    except ProtectedError:
        raise NotPossible(refusal) from None


def _traces(model: type[models.Model], ids: Iterable[int]) -> int:
    """How many operations and links to CRM records there are of these."""
    where = {"entity_type": _TYPES[model], "entity_id__in": list(ids)}
    return Operation.objects.filter(**where).count() + ExternalRef.objects.filter(**where).count()


def _said(stop_ids: Iterable[int]) -> int:
    return Feedback.objects.filter(stop__in=list(stop_ids)).count()


def _refuse(what: str, instead: str, traces: int, feedback: int = 0) -> None:
    if traces:
        raise NotPossible(f"{what} is known to a CRM or has operations, so it cannot be deleted. {instead}")
    if feedback:
        raise NotPossible(f"{what} has feedback, so it cannot be deleted. {instead}")
