"""Every list and page of the admin and every address of the API that reads, for a database that `seed_load` filled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from integrations.models import (
    OPEN,
    Agent,
    AuditEvent,
    BulkRun,
    Connection,
    Contact,
    Feedback,
    ImportRun,
    Office,
    Operation,
    State,
    Tour,
)
from tests.admin_places import VERBS_OF, names
from tests.webhooks import webhook_records
from tests.who_may import NOBODY, page_of

PAGE_MS, API_LIST_MS = 500.0, 200.0
MOST_QUERIES = 15


@dataclass(frozen=True, slots=True)
class Address:
    """`most_ms`: the 95th percentile may not be above it. `leads`: it may lead elsewhere, where it does not apply."""

    name: str
    path: str
    most_ms: float = PAGE_MS
    leads: bool = False


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
    agent, day = tour.agent, tour.starts_at
    last = Operation.objects.order_by("-pk").values_list("pk", flat=True)[0]
    run = ImportRun.objects.order_by("-pk").values_list("pk", flat=True)[0]
    queries: dict[str, list[str]] = {
        "operation": [
            "", "p=2", "state=open", "state=dead", "state=succeeded", "state=needs_person", "state=waiting",
            "reason=rate_limited", "reason=rejected", "reason=newer_version", f"connection={crm}",
            f"connection={crm}&state=dead", f"connection={crm}&state=open", "kind=appointment.sync",
            "kind=tour.summary", "kind=feedback.note&state=dead", f"q={tour.reference}",
            f"q={street.replace(' ', '+')}", f"q={last}", "q=zzzz", f"import_run__id__exact={run}",
            "o=7", "o=-7", "o=9", "o=1", "p=99999", "due=15m", "due=7d", f"due=1h&connection={crm}", "planned=1h",
            "planned=7d", f"tour={tour.reference}", "tour=zzzz", "kind=contact.fields", "kind=appointment_type.link",
            "kind=tour.summary&state=waiting", f"connection={crm}&reason=rejected", f"connection={crm}&state=leased",
        ],
        "tour": [
            "", "p=2", "when=day", "when=week", "when=last", "sync=risk", "sync=person", "sync=waiting", "sync=settled",
            "status__exact=completed", "status__exact=cancelled", f"agent__id__exact={agent.pk}",
            f"agent__office__id__exact={agent.office_id}", "archived=no", "archived=yes", f"import={run}",
            f"q={tour.reference}", f"q={contact.last_name}", "q=zzzz", f"starts_at__year={day.year}", "o=2",
            f"starts_at__year={day.year}&starts_at__month={day.month}",
            f"starts_at__year={day.year}&starts_at__month={day.month}&starts_at__day={day.day}", "o=1", "o=-4", "o=6",
            f"sync=person&agent__id__exact={agent.pk}", "sync=waiting&status__exact=cancelled", "when=day&sync=person",
        ],
        "contact": ["", "p=2", "o=1", "o=2", "archived=no", "archived=yes", f"q={contact.last_name}",
                    f"q={contact.email}", f"q={contact.phone.replace('+', '%2B')}", "q=zzzz"],
        "feedback": ["", "p=2", "interest_level__exact=interested", "author_role__exact=buyer", "channel__exact=sms",
                     f"q={tour.reference}", "q=zzzz", "o=1", "o=-3"],
        "auditevent": ["", "p=2", "via__exact=admin", "record=tour", "q=dora", "q=tour.create", f"q={tour.reference}",
                       "q=zzzz", f"record=tour&object_id__exact={tour.pk}", f"at__gte={_days_ago(7)}", "o=1", "o=2",
                       "record=operation", "via__exact=mcp"],
        "agent": ["", f"q={agent.name.split()[0]}"], "office": [""], "connection": ["", "q=load"],
        "importrun": ["", "p=2", "q=load", "q=zzzz", "state__exact=done"], "apitoken": [""],
    }  # fmt: skip
    ours = [
        Address(f"{model} list ?{query}", f"{_list(model)}?{query}", leads=query == "p=99999")
        for model, them in queries.items()
        for query in them
    ]
    looked_for = [
        Address(f"search {words}", f"{reverse('admin:search')}?s={words.replace(' ', '+')}")
        for words in (tour.reference, contact.last_name, "zzzz")
    ]
    offered = [
        Address(f"choose {model}.{field} {term}", f"{reverse('admin:autocomplete')}?{urlencode(asked)}")
        for model, field, term in (
            ("tour", "agent", "load"),
            ("tour", "buyer", contact.last_name),
            ("tour", "buyer", "zz"),
        )
        for asked in [{"app_label": "integrations", "model_name": model, "field_name": field, "term": term}]
    ]
    return [*ours, *looked_for, *offered]


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
    return [*found, *_questions(tour)]


NOT_ASKED = {
    "login", "logout", "jsi18n", "password_change", "password_change_done", "view_on_site", "index", "search",
    "autocomplete", "auth_user_password_change",  # Django's own, or asked above
    "integrations_importrun_preview", "integrations_importrun_bad_rows", "integrations_importrun_cancel",
    "integrations_importrun_sample",  # of a file, not of the database
    "integrations_connection_accounts", "integrations_connection_account",  # the CRM is asked
}  # fmt: skip
"""Pages that do not hang on how much there is, and those of `_lists`."""


def _questions(tour: Tour) -> list[Address]:
    """Every further page that is looked at, of the same records: forms, what asks before it acts, deleting."""
    crm = Connection.objects.order_by("pk").values_list("pk", flat=True)[0]
    dead = Operation.objects.filter(state=State.DEAD).order_by("-pk").values_list("pk", flat=True)[0]
    records = {
        "agent": tour.agent_id, "connection": crm, "contact": tour.buyer_id, "office": tour.agent.office_id,
        "feedback": Feedback.objects.order_by("-pk").values_list("pk", flat=True)[0], "operation": dead,
        "importrun": ImportRun.objects.order_by("pk").values_list("pk", flat=True)[0], "tour": tour.pk,
        "auditevent": AuditEvent.objects.order_by("-pk").values_list("pk", flat=True)[0],
        **{name.removeprefix("integrations_"): pk for name, pk in webhook_records().items()},
    }  # fmt: skip
    other = Contact.objects.exclude(pk=tour.buyer_id).order_by("-pk").values_list("pk", flat=True)[0]
    event = AuditEvent.objects.filter(object_type="tour", object_id=tour.pk).order_by("-pk")
    bulk = BulkRun.objects.order_by("-total").values_list("pk", flat=True).first()
    arguments = {
        "stop_id": tour.stops.order_by("sequence")[0].pk, "connection_id": crm, "agent_id": tour.agent_id,
        "into_id": other, "event_id": event[0].pk, "run_id": bulk, "left_out_id": 0, "way": "down",
        "app_label": "integrations",
    }  # fmt: skip
    found = []
    for name, wanted in names():
        page, model = page_of(name), name.removeprefix("integrations_").split("_")[0]
        ours = name.startswith("integrations_") or name == "app_list"
        if name in NOT_ASKED or not ours or page is None or page.look is NOBODY:
            continue
        if name.endswith(("_changelist", "_history")) or (model == "apitoken" and wanted):
            continue  # among the lists; leads to one; nobody has a token here
        values = {**arguments, "object_id": records.get(model)}
        if any(values.get(each) is None for each in wanted if each != "verb"):
            continue  # nothing of the kind is there
        for verb in VERBS_OF.get(name, ("",)):
            given = {each: values[each] for each in wanted if each != "verb"} | ({"verb": verb} if verb else {})
            query = "?provider=gohighlevel" if name == "integrations_connection_add" else ""
            label = f"{name.removeprefix('integrations_')} {verb}".strip()
            found.append(Address(label, reverse(f"admin:{name}", kwargs=given) + query, leads=True))
    return found


def _api() -> list[Address]:
    tour, said = _near_tour(), Feedback.objects.order_by("-pk")[0]
    crms = list(Connection.objects.order_by("pk").values_list("pk", flat=True))
    crm = crms[0]
    stop = tour.stops.order_by("sequence")[0]
    day = tour.starts_at.date().isoformat()
    contact = tour.buyer
    lists = {
        "tours": ["", "limit=200", f"day={day}", f"from_day={day}", f"to_day={_days_ago(60)}", f"agent={tour.agent_id}",
                  f"office={tour.agent.office_id}", "status=scheduled", "archived=false", f"connection={crm}",
                  "sync=waiting", "sync=needs_person", "sync=failed", "sync=settled", "sync=person", "sync=risk",
                  f"text={tour.reference}", f"text={tour.buyer.last_name}", "text=zzzz", "reason=rejected",
                  "reason=zzzz",
                  f"buyer={tour.buyer_id}", f"reference={tour.reference}", f"updated_since={_ago(1)}",
                  f"updated_since={_ago(3000)}", f"connection={crms[-1]}"],
        "feedback": ["", f"tour={tour.pk}", f"stop={said.stop_id}", "author_role=buyer", "interest_level=interested",
                     f"agent={tour.agent_id}", f"office={tour.agent.office_id}", "interest_level=unknown",
                     f"updated_since={_ago(1)}"],
        "contacts": ["", f"email={contact.email}", f"phone={contact.phone.replace('+', '%2B')}",
                     f"text={contact.last_name}", "text=zzzz", "archived=false", f"tour={tour.pk}",
                     f"agent={tour.agent_id}", f"updated_since={_ago(1)}", f"updated_since={_ago(3000)}"],
        "agents": ["", "text=load", f"office={tour.agent.office_id}"],
        "connections": [""],
        "operations": ["", "limit=200", "state=open", "state=dead", "state=needs_person", "state=succeeded",
                       "reason=rejected", "reason=rate_limited", "kind=tour.summary", f"connection={crm}",
                       f"connection={crm}&state=dead", f"entity_type=stop&entity_id={stop.pk}", "reason=zzzz",
                       f"connection={crm}&state=open", "kind=contact.fields", "entity_type=stop",
                       "entity_type=connection",
                       f"tour={tour.pk}", "tour=0", f"due_after={_ago(0)}", f"due_before={_ago(0)}",
                       f"due_before={_ago(2000)}", f"due_before={_ago(0)}&state=open", f"updated_since={_ago(-1)}",
                       f"updated_since={_ago(1)}", f"updated_since={_ago(100)}", f"updated_since={_ago(3000)}",
                       f"updated_since={_ago(3000)}&state=dead", "kind=feedback.task&state=waiting",
                       f"connection={crms[-1]}"],
        "offices": [""], "left-out": ["", f"connection={crm}"], f"connections/{crm}/agents": ["", "mapped=false"],
    }  # fmt: skip
    found = [
        Address(f"api {name} ?{query}", f"/api/{name}?{query}", API_LIST_MS)
        for name, them in lists.items()
        for query in them
    ]
    last = Operation.objects.order_by("-pk").values_list("pk", flat=True)[0]
    ones = {
        "tours": tour.pk, "feedback": said.pk, "contacts": contact.pk, "agents": Agent.objects.order_by("pk")[0].pk,
        "connections": crm, "operations": last, "sync-state": tour.pk, "offices": tour.agent.office_id,
    }  # fmt: skip
    below = [f"tours/{tour.pk}/plan?verb=cancel", f"contacts/{contact.pk}/merge?into={_another(contact).pk}"]
    found += [Address(f"api {path}", f"/api/{path}", API_LIST_MS, leads=True) for path in below]
    return [*found, *(Address(f"api {name}, one", f"/api/{name}/{pk}", API_LIST_MS) for name, pk in ones.items())]


def _another(contact: Contact) -> Contact:
    return Contact.objects.exclude(pk=contact.pk).order_by("-pk")[0]


def _ago(hours: float) -> str:
    return f"{timezone.now() - timedelta(hours=hours):%Y-%m-%dT%H:%MZ}"


def contacts_there() -> bool:
    """Whether the database was filled."""
    return Contact.objects.exists()
