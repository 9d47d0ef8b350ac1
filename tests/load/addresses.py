"""Every list and page of the admin and every address of the API that reads, for a database that `seed_load` filled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from integrations.models import (
    OPEN,
    Agent,
    Connection,
    Contact,
    Feedback,
    ImportRun,
    Office,
    Operation,
    State,
    Tour,
)

PAGE_MS, API_LIST_MS = 500.0, 200.0
MOST_QUERIES = 15


@dataclass(frozen=True, slots=True)
class Address:
    """`most_ms`: the 95th percentile may not be above it."""

    name: str
    path: str
    most_ms: float = PAGE_MS


def addresses() -> list[Address]:
    """Pages first, then the API."""
    return [*_lists(), *_pages(), *_api()]


def _list(model: str) -> str:
    return reverse(f"admin:integrations_{model}_changelist")


def _lists() -> list[Address]:
    crm = Connection.objects.order_by("pk").values_list("pk", flat=True)[0]
    tour = _near_tour()
    street = tour.stops.order_by("sequence")[0].street
    contact = tour.buyer
    agent = tour.agent
    last = Operation.objects.order_by("-pk").values_list("pk", flat=True)[0]
    run = ImportRun.objects.order_by("-pk").values_list("pk", flat=True)[0]
    queries: dict[str, list[str]] = {
        "operation": [
            "", "p=2", "state=open", "state=dead", "state=succeeded", "state=needs_person", "state=waiting",
            "reason=rate_limited", "reason=rejected", "reason=newer_version", f"connection={crm}",
            f"connection={crm}&state=dead", f"connection={crm}&state=open", "kind=appointment.sync",
            "kind=tour.summary", "kind=feedback.note&state=dead", f"q={tour.reference}",
            f"q={street.replace(' ', '+')}", f"q={last}", "q=zzzz", f"import_run__id__exact={run}",
            "o=7", "o=-7", "o=9", "o=1", "p=99999",
        ],
        "tour": [
            "", "p=2", "when=day", "when=week", "when=last", "sync=risk", "sync=person", "sync=waiting", "sync=settled",
            "status__exact=completed", "status__exact=cancelled", f"agent__id__exact={agent.pk}",
            f"agent__office__id__exact={agent.office_id}", "archived=no", "archived=yes", f"import={run}",
            f"q={tour.reference}", f"q={contact.last_name}", "q=zzzz", f"starts_at__year={tour.starts_at.year}", "o=2",
        ],
        "contact": ["", "p=2", "archived=no", "archived=yes", f"q={contact.last_name}", f"q={contact.email}",
                    f"q={contact.phone.replace('+', '%2B')}", "q=zzzz"],
        "feedback": ["", "p=2", "interest_level__exact=interested", "author_role__exact=buyer", "channel__exact=sms",
                     f"q={tour.reference}", "q=zzzz"],
        "auditevent": ["", "p=2", "via__exact=admin", "record=tour", "q=dora", "q=tour.create", f"q={tour.reference}",
                       "q=zzzz", f"record=tour&object_id__exact={tour.pk}", f"at__gte={_days_ago(7)}"],
        "agent": ["", f"q={agent.name.split()[0]}"], "office": [""], "connection": ["", "q=load"],
        "importrun": ["", "p=2", "q=load"],
    }  # fmt: skip
    return [
        Address(f"{model} list ?{query}", f"{_list(model)}?{query}")
        for model, them in queries.items()
        for query in them
    ]


def _days_ago(days: int) -> str:
    return (timezone.now() - timedelta(days=days)).date().isoformat()


def _near_tour() -> Tour:
    """One of today or later, whose CRMs are still at work."""
    return Tour.objects.select_related("agent", "buyer").filter(starts_at__gt=timezone.now()).order_by("starts_at")[0]


def _operations() -> dict[str, int]:
    found = {}
    for state in (*OPEN, State.DEAD, State.SUCCEEDED):
        pk = Operation.objects.filter(state=state).order_by("-pk").values_list("pk", flat=True).first()
        if pk is not None:
            found[str(state)] = pk
    return found


def _pages() -> list[Address]:
    tour, old = _near_tour(), Tour.objects.filter(status="completed").order_by("pk")[0]
    found = [Address("overview", reverse("admin:index"))]
    for label, model, pk in (
        ("tour page, ahead", "tour", tour.pk), ("tour page, completed", "tour", old.pk),
        ("buyer page", "contact", tour.buyer_id), ("agent page", "agent", tour.agent_id),
        ("office page", "office", Office.objects.order_by("pk")[0].pk),
        ("feedback page", "feedback", Feedback.objects.order_by("-pk")[0].pk),
        ("import page", "importrun", ImportRun.objects.order_by("pk")[0].pk),
        *((f"connection page, {each.label}", "connection", each.pk) for each in Connection.objects.defer("secrets")),
        *((f"operation page, {state}", "operation", pk) for state, pk in _operations().items()),
    ):  # fmt: skip
        found.append(Address(label, reverse(f"admin:integrations_{model}_change", args=[pk])))
    found.append(Address("tour form", reverse("admin:integrations_tour_edit", args=[tour.pk])))
    return found


def _api() -> list[Address]:
    tour, said = _near_tour(), Feedback.objects.order_by("-pk")[0]
    crm = Connection.objects.order_by("pk").values_list("pk", flat=True)[0]
    stop = tour.stops.order_by("sequence")[0]
    day = tour.starts_at.date().isoformat()
    contact = tour.buyer
    lists = {
        "tours": ["", "limit=200", f"day={day}", f"from_day={day}", f"to_day={_days_ago(60)}", f"agent={tour.agent_id}",
                  f"office={tour.agent.office_id}", "status=scheduled", "archived=false", f"connection={crm}",
                  "sync=waiting", "sync=needs_person", "sync=failed", "sync=settled", f"text={tour.reference}",
                  "text=zzzz"],
        "feedback": ["", f"tour={tour.pk}", f"stop={said.stop_id}", "author_role=buyer", "interest_level=interested"],
        "contacts": ["", f"email={contact.email}", f"phone={contact.phone.replace('+', '%2B')}",
                     f"text={contact.last_name}", "text=zzzz", "archived=false"],
        "agents": ["", "text=load", f"office={tour.agent.office_id}"],
        "connections": [""],
        "operations": ["", "limit=200", "state=open", "state=dead", "state=needs_person", "state=succeeded",
                       "reason=rejected", "reason=rate_limited", "kind=tour.summary", f"connection={crm}",
                       f"connection={crm}&state=dead", f"entity_type=stop&entity_id={stop.pk}", "reason=zzzz"],
    }  # fmt: skip
    found = [
        Address(f"api {name} ?{query}", f"/api/{name}?{query}", API_LIST_MS)
        for name, them in lists.items()
        for query in them
    ]
    last = Operation.objects.order_by("-pk").values_list("pk", flat=True)[0]
    ones = {
        "tours": tour.pk, "feedback": said.pk, "contacts": contact.pk, "agents": Agent.objects.order_by("pk")[0].pk,
        "connections": crm, "operations": last, "sync-state": tour.pk,
    }  # fmt: skip
    return [*found, *(Address(f"api {name}, one", f"/api/{name}/{pk}", API_LIST_MS) for name, pk in ones.items())]


def contacts_there() -> bool:
    """Whether the database was filled."""
    return Contact.objects.exists()
