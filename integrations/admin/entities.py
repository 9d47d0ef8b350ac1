"""What an operation is about, as a label and a link, for a page of operations at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q, QuerySet, Value
from django.urls import reverse

from integrations.admin.choosing import is_id
from integrations.models import Connection, Contact, Feedback, LeftOut, Operation, Tour, TourStop

UTC = ZoneInfo("UTC")
SOUGHT = 500


@dataclass(frozen=True, slots=True)
class About:
    """`zone` is the tour's, or UTC for a buyer; `url` is empty when the record is gone."""

    label: str
    url: str
    zone: ZoneInfo = UTC


def about(rows: Iterable[Operation | LeftOut]) -> dict[tuple[str, int], About]:
    """(entity type, id) → what it is. One query, whatever types there are; none without rows."""
    wanted = {(row.entity_type, row.entity_id) for row in rows}
    found = {pair: About(f"{pair[0]} {pair[1]}", "") for pair in wanted}
    parts = []
    for kind, columns in _COLUMNS.items():
        ids = [pk for its, pk in wanted if its == kind]
        if ids:
            parts.append(_part(kind, ids, columns))
    for kind, pk, page_id, number, *texts in parts[0].union(*parts[1:], all=True) if parts else ():
        found[kind, pk] = _ABOUT[kind](page_id, number, *texts)
    return found


# Of each type of entity: its page's id, a number and four texts, so that one query reads them all.
_NONE, _NO_TEXT = Value(0, models.IntegerField()), Value("", models.TextField())
_COLUMNS: dict[str, tuple[Any, ...]] = {
    "tour": (Tour, "pk", _NONE, "reference", "title", _NO_TEXT, "time_zone"),
    "stop": (TourStop, "tour_id", "sequence", "tour__reference", "street", _NO_TEXT, "tour__time_zone"),
    "contact": (Contact, "pk", _NONE, "first_name", "last_name", "email", "phone"),
    "feedback": (
        Feedback, "pk", _NONE, "stop__tour__reference", "stop__street", "author_role", "stop__tour__time_zone",
    ),
    "connection": (Connection, "pk", _NONE, "label", _NO_TEXT, _NO_TEXT, _NO_TEXT),
}  # fmt: skip


def _part(kind: str, ids: list[int], columns: tuple[Any, ...]) -> QuerySet[Any, Any]:
    model, *read = columns
    told = {f"told_{place}": F(one) if isinstance(one, str) else one for place, one in enumerate(read)}
    rows = model._default_manager.filter(pk__in=ids).order_by()
    found: QuerySet[Any, Any] = rows.annotate(told_kind=Value(kind, models.TextField()), **told)
    return found.values_list("told_kind", "pk", *told)


def _page(model: str, pk: int) -> str:
    return reverse(f"admin:integrations_{model}_change", args=[pk])


def _tour(pk: int, _number: int, reference: str, title: str, _: str, zone: str) -> About:
    return About(str(Tour(reference=reference, title=title)), _page("tour", pk), ZoneInfo(zone))


def _stop(tour_id: int, sequence: int, reference: str, street: str, _: str, zone: str) -> About:
    return About(f"{reference}, stop {sequence}: {street}", _page("tour", tour_id), ZoneInfo(zone))


def _contact(pk: int, _number: int, first: str, last: str, email: str, phone: str) -> About:
    buyer = Contact(first_name=first, last_name=last, email=email, phone=phone)
    return About(str(buyer), _page("contact", pk))


def _feedback(pk: int, _number: int, reference: str, street: str, role: str, zone: str) -> About:
    label = f"{reference}, feedback on {street} ({role.replace('_', ' ')})"
    return About(label, _page("feedback", pk), ZoneInfo(zone))


def _connection(pk: int, _number: int, label: str, *_: str) -> About:
    return About(label, _page("connection", pk))


_ABOUT: dict[str, Callable[..., About]] = {
    "tour": _tour, "stop": _stop, "contact": _contact, "feedback": _feedback, "connection": _connection,
}  # fmt: skip


def matching(queryset: QuerySet[Operation], text: str) -> QuerySet[Operation]:
    """Operations with that id, or about a tour whose reference begins so, a street that contains it, or its buyer.

    Of the first `SOUGHT` tours and stops that fit: the operations are then found by their index. Three queries.
    """
    tours = dict(Tour.objects.filter(reference__istartswith=text).order_by().values_list("pk", "buyer_id")[:SOUGHT])
    fit = TourStop.objects.filter(Q(tour__in=tours) | Q(street__icontains=text)).order_by()
    stops = dict(fit.values_list("pk", "tour_id")[:SOUGHT])
    answers = Feedback.objects.filter(stop__in=stops).order_by().values_list("pk", flat=True)[:SOUGHT]
    hits = Q(entity_type="stop", entity_id__in=stops)
    hits |= Q(entity_type="feedback", entity_id__in=list(answers))
    hits |= Q(entity_type="tour", entity_id__in={*tours, *stops.values()})
    hits |= Q(entity_type="contact", entity_id__in=set(tours.values()))
    if is_id(text):
        hits |= Q(pk=int(text))
    return queryset.filter(hits)
