"""The current rows as frozen facts, read at claim time: what is sent is what is true now, not what was planned.

Read together for a batch, once it is ours: whoever changes one of them later finds its operation in hand, and plans
it anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from django.db.models import Model

from integrations.models import (
    Agent,
    AgentUser,
    Connection,
    Contact,
    Feedback,
    LeftOut,
    Operation,
    Tour,
    TourStatus,
    TourStop,
)
from integrations.providers.base import (
    AccountFacts,
    ContactFacts,
    Facts,
    FeedbackFacts,
    InterestFacts,
    SeenFacts,
    ShowingFacts,
    SummaryFacts,
)
from integrations.routing import LeftOutReasons, connections_for, why_left_out

from .kinds import KINDS, account_needs

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Facts and, by resource, which of our records they hang on.

    `unmapped`: the agent whose user the record would be given to, when there is none at this connection yet.
    `stands`: as far as our own records tell, it should be in this CRM. `left_out`: people keep it out of it.
    """

    facts: Facts
    needs: dict[str, tuple[str, int]]
    unmapped: Agent | None = None
    stands: bool = True
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Whether a tour, or one record of it, comes to a connection; `left_out`: people decided that it does not."""

    included: bool
    left_out: bool


@dataclass(slots=True)
class Records:
    """The records that some operations of a connection are about, by id, and why any of them is left out there."""

    contacts: dict[int, Contact] = field(default_factory=dict)
    tours: dict[int, Tour] = field(default_factory=dict)
    stops: dict[int, TourStop] = field(default_factory=dict)
    answers: dict[int, Feedback] = field(default_factory=dict)
    left_out: LeftOutReasons = field(default_factory=dict)


def read(operations: Iterable[Operation], connection: Connection) -> Records:
    """One query for each type of record among them, and one for what is left out."""
    ids: dict[str, set[int]] = {"contact": set(), "tour": set(), "stop": set(), "feedback": set()}
    for operation in operations:
        ids.setdefault(operation.entity_type, set()).add(operation.entity_id)
    found = Records()
    if ids["contact"]:
        found.contacts = Contact.objects.in_bulk(ids["contact"])
    if ids["tour"]:
        found.tours = Tour.objects.select_related("agent").in_bulk(ids["tour"])
    if ids["stop"]:
        found.stops = TourStop.objects.select_related("tour__agent").in_bulk(ids["stop"])
    if ids["feedback"]:
        found.answers = Feedback.objects.select_related("stop__tour__agent").in_bulk(ids["feedback"])
    tours = [*found.tours.values(), *(stop.tour for stop in found.stops.values())]
    tours += [said.stop.tour for said in found.answers.values()]
    which = {name: ids[name] for name in ("stop", "feedback") if ids[name]}
    which["contact"] = ids["contact"] | {tour.buyer_id for tour in tours}
    which["tour"] = {tour.pk for tour in tours}
    if which["contact"]:
        found.left_out = LeftOut.objects.filter(connection=connection).reasons(**which)
    return found


def take(kind: str, entity_id: int, connection: Connection, records: Records) -> Snapshot:
    """The entity as it stands. Raises its model's DoesNotExist (records with operations are never hard-deleted)."""
    entity_type = KINDS[kind].entity_type
    if entity_type == "contact":
        contact = _of(records.contacts, Contact, entity_id)
        out = (connection.pk, "contact", entity_id) in records.left_out
        if kind == "contact.fields":
            needs = {"contact": ("contact", entity_id)}
            return Snapshot(_interest(contact, connection), needs, stands=not out, left_out=out)
        buyer = _contact(contact, assignee=_shown_by(entity_id, connection))
        return Snapshot(buyer, {}, stands=not out, left_out=out)
    if entity_type == "connection":
        return Snapshot(AccountFacts(entity_id), {})
    if entity_type == "feedback":
        said = _of(records.answers, Feedback, entity_id)
        user, unmapped = _given_to(kind, said.stop.tour.agent, connection)
        place = _place(said.stop.tour, connection, "feedback", entity_id, records)
        needs = {"contact": ("contact", said.stop.tour.buyer_id)}
        return Snapshot(_said(said, place, assignee=user), needs, unmapped, place.included, place.left_out)
    if entity_type == "tour":
        tour = _of(records.tours, Tour, entity_id)
        place = _place(tour, connection, "tour", entity_id, records)
        summed_up = _summary(tour, place, connection)
        needs = {"contact": ("contact", tour.buyer_id)}
        return Snapshot(summed_up, needs, stands=summed_up.included, left_out=place.left_out)
    stop = _of(records.stops, TourStop, entity_id)
    needs = {"contact": ("contact", stop.tour.buyer_id)}
    for row in account_needs("appointment.sync", connection.provider):
        needs[row.resource] = (row.entity_type, connection.pk)
    user, unmapped = _given_to(kind, stop.tour.agent, connection)
    place = _place(stop.tour, connection, "stop", entity_id, records)
    facts = _showing(stop, place, assignee=user)
    return Snapshot(facts, needs, unmapped, facts.live, place.left_out)


def _of(rows: Mapping[int, M], model: type[M], entity_id: int) -> M:
    """The record read. Raises its model's DoesNotExist."""
    try:
        return rows[entity_id]
    except KeyError:
        raise model.DoesNotExist(f"no {model.__name__} {entity_id}") from None  # type: ignore[attr-defined]  # every model has it


def _given_to(kind: str, agent: Agent, connection: Connection) -> tuple[str, Agent | None]:
    """The CRM's user the record is given to, or the agent who has none there; one query, and none where it is nobody's.

    Read after the record, for the very agent the record names: never someone else's user.
    """
    if not (connection.assigns and KINDS[kind].given):
        return "", None
    users = AgentUser.objects.filter(connection=connection, agent=agent)
    user = users.values_list("external_id", flat=True).first()
    return (user, None) if user else ("", agent)


def _shown_by(contact_id: int, connection: Connection) -> str:
    """The CRM's user of the agent of the buyer's newest tour; empty: it gives to nobody, or no such agent has one."""
    if not connection.assigns:
        return ""
    users = AgentUser.objects.filter(connection=connection, agent__tours__buyer=contact_id)
    newest = users.order_by("-agent__tours__starts_at", "-agent__tours__pk").values_list("external_id", flat=True)
    return newest.first() or ""


def _place(tour: Tour, connection: Connection, entity_type: str, entity_id: int, records: Records) -> _Place:
    """Where the tour, or a stop or an answer of it, stands with this connection."""
    about = (("tour", tour.pk), ("contact", tour.buyer_id), (entity_type, entity_id))
    left_out = any((connection.pk, *record) in records.left_out for record in about)
    included = connections_for(tour, [connection], records.left_out)[0].included
    alone = why_left_out(records.left_out, connection.pk, (entity_type, entity_id))
    return _Place(included and not alone, left_out)


def _contact(contact: Contact, *, assignee: str) -> ContactFacts:
    return ContactFacts(
        id=contact.pk,
        version=contact.version,
        first_name=contact.first_name,
        last_name=contact.last_name,
        email=contact.email,
        phone=contact.phone,
        assignee=assignee,
    )


def _showing(stop: TourStop, place: _Place, *, assignee: str) -> ShowingFacts:
    tour = stop.tour
    return ShowingFacts(
        id=stop.pk,
        version=stop.version,
        live=stop.live and place.included,
        tour_reference=tour.reference,
        tour_title=tour.title,
        sequence=stop.sequence,
        street=stop.street,
        city=stop.city,
        state=stop.state,
        postal_code=stop.postal_code,
        list_price=stop.list_price,
        starts_at=stop.appointment_start,
        ends_at=stop.appointment_end,
        time_zone=tour.time_zone,
        appointment_status=stop.appointment_status,
        outcome=stop.outcome,
        method=stop.showing_method,
        agent_name=tour.agent.name,
        contact_id=tour.buyer_id,
        assignee=assignee,
    )


def _said(said: Feedback, place: _Place, *, assignee: str) -> FeedbackFacts:
    tour = said.stop.tour
    return FeedbackFacts(
        id=said.pk,
        version=said.version,
        included=place.included,
        calls_for_action=said.calls_for_action,
        street=said.stop.street,
        shown_at=said.stop.appointment_start,
        time_zone=tour.time_zone,
        author_role=said.author_role,
        submitted_at=said.submitted_at,
        interest_level=said.interest_level,
        overall_rating=said.overall_rating,
        price_opinion=said.price_opinion,
        second_showing=said.second_showing,
        offer_likelihood=said.offer_likelihood,
        likes=tuple(said.likes),
        dislikes=tuple(said.dislikes),
        comments=said.comments,
        contact_id=tour.buyer_id,
        assignee=assignee,
    )


def _summary(tour: Tour, place: _Place, connection: Connection) -> SummaryFacts:
    """The stops in order, each with the newest answer to it. Told of only when it is over and something was said.

    What is left out of this CRM by itself, a stop or an answer, is not told.
    """
    answers = list(Feedback.objects.filter(stop__tour=tour).order_by("submitted_at", "id"))
    stops = list(tour.stops.order_by("sequence"))
    left_out = LeftOut.objects.filter(connection=connection).reasons(
        stop=[stop.pk for stop in stops], feedback=[said.pk for said in answers]
    )
    # Ordered by when they were given: the newest of a stop is the one that stays.
    heard = {said.stop_id: said for said in answers if (connection.pk, "feedback", said.pk) not in left_out}
    shown = [stop for stop in stops if (connection.pk, "stop", stop.pk) not in left_out]
    return SummaryFacts(
        id=tour.pk,
        version=tour.version,
        included=tour.status == TourStatus.COMPLETED and bool(answers) and place.included,
        tour_reference=tour.reference,
        tour_title=tour.title,
        starts_at=tour.starts_at,
        time_zone=tour.time_zone,
        agent_name=tour.agent.name,
        seen=tuple(_seen(stop, heard.get(stop.pk)) for stop in shown),
        contact_id=tour.buyer_id,
    )


def _seen(stop: TourStop, said: Feedback | None) -> SeenFacts:
    return SeenFacts(
        street=stop.street,
        city=stop.city,
        appointment_status=stop.appointment_status,
        outcome=stop.outcome,
        interest_level=said.interest_level if said else "",
        overall_rating=said.overall_rating if said else None,
        second_showing=said.second_showing if said else "",
    )


def _interest(contact: Contact, connection: Connection) -> InterestFacts:
    heard = Feedback.objects.filter(stop__tour__buyer=contact).select_related("stop__tour__agent")
    mine = LeftOut.objects.filter(connection=connection)
    left_out = mine.reasons(
        contact=[contact.pk],
        tour=Tour.objects.filter(buyer=contact).values_list("pk", flat=True),
        feedback=Feedback.objects.filter(stop__tour__buyer=contact).values_list("pk", flat=True),
    )
    for said in heard.order_by("-submitted_at", "-id").iterator(chunk_size=20):
        kept_out = why_left_out(left_out, connection.pk, ("feedback", said.pk))
        if not kept_out and connections_for(said.stop.tour, [connection], left_out)[0].included:
            told = (said.interest_level, said.overall_rating, said.offer_likelihood)
            return InterestFacts(contact.pk, contact.version, *told)
    return InterestFacts(contact.pk, contact.version)
