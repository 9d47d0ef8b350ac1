"""What an operation is about, as a label and a link, for a page of operations at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
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
    """(entity type, id) → what it is. At most a query for each type of entity."""
    wanted = {(row.entity_type, row.entity_id) for row in rows}
    found = {pair: About(f"{pair[0]} {pair[1]}", "") for pair in wanted}
    tour_ids = [pk for kind, pk in wanted if kind == "tour"]
    if tour_ids:
        for tour in Tour.objects.filter(pk__in=tour_ids):
            url = reverse("admin:integrations_tour_change", args=[tour.pk])
            found["tour", tour.pk] = About(str(tour), url, ZoneInfo(tour.time_zone))
    stop_ids = [pk for kind, pk in wanted if kind == "stop"]
    contact_ids = [pk for kind, pk in wanted if kind == "contact"]
    if stop_ids:
        stops = TourStop.objects.filter(pk__in=stop_ids)
        rows = stops.values_list("pk", "tour_id", "tour__reference", "sequence", "street", "tour__time_zone")
        for pk, tour_id, reference, sequence, street, zone in rows:
            url = reverse("admin:integrations_tour_change", args=[tour_id])
            found["stop", pk] = About(f"{reference}, stop {sequence}: {street}", url, ZoneInfo(zone))
    if contact_ids:
        for contact in Contact.objects.filter(pk__in=contact_ids):
            url = reverse("admin:integrations_contact_change", args=[contact.pk])
            found["contact", contact.pk] = About(str(contact), url)
    feedback_ids = [pk for kind, pk in wanted if kind == "feedback"]
    if feedback_ids:
        answers = Feedback.objects.filter(pk__in=feedback_ids)
        heard = answers.values_list(
            "pk", "stop__tour__reference", "stop__street", "author_role", "stop__tour__time_zone"
        )
        for pk, reference, street, role, zone in heard:
            url = reverse("admin:integrations_feedback_change", args=[pk])
            label = f"{reference}, feedback on {street} ({role.replace('_', ' ')})"
            found["feedback", pk] = About(label, url, ZoneInfo(zone))
    account_ids = [pk for kind, pk in wanted if kind == "connection"]
    if account_ids:
        for pk, label in Connection.objects.filter(pk__in=account_ids).values_list("pk", "label"):
            found["connection", pk] = About(label, reverse("admin:integrations_connection_change", args=[pk]))
    return found


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
