"""/api/contacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Contact, Tour
from integrations.operations import archiving, deletion
from integrations.operations.audit import Who
from integrations.operations.merge_plan import MergePlan
from integrations.operations.people import save_contact
from integrations.operations.validation import clean_contact

from .base import Endpoint
from .examples import NEW_CONTACT
from .fields import ID_SCHEMA, Given, whole_id
from .lists import Filters, IdFilter, TextFilter, since
from .merging import CONTACT_FIELDS, ContactShown, MergeGiven, MergePlanShown, merged, planned
from .paging import Pages
from .problems import invalid, refused, renamed
from .tour_parts import WhyGiven


@extend_schema_serializer(examples=[NEW_CONTACT])
class ContactGiven(Given):
    """A buyer: an e-mail address or a phone number must be known, for a CRM recognises people by them."""

    class Meta:
        model = Contact
        fields = CONTACT_FIELDS


class ContactFilters(django_filters.FilterSet):
    """Filters of the list."""

    email = django_filters.CharFilter(field_name="email", lookup_expr="iexact", max_length=254)
    phone = TextFilter(field_name="phone")
    text = TextFilter(method="with_text", help_text="How a name, the e-mail address or the phone number begins.")
    archived = django_filters.BooleanFilter(field_name="archived_at", lookup_expr="isnull", exclude=True)
    tour = IdFilter(method="of_tour", help_text="The buyers of this tour, the primary one and the further ones.")
    agent = IdFilter(method="of_agent", help_text="Primary buyers of this agent's tours.")
    updated_since = since()

    class Meta:
        model = Contact
        fields: ClassVar[list[str]] = []

    def of_tour(self, rows: QuerySet[Contact], _name: str, value: int) -> QuerySet[Contact]:
        further = Tour.further_buyers.through.objects.filter(tour=value).values("contact_id")
        return rows.filter(Q(pk__in=Tour.objects.filter(pk=value).values("buyer_id")) | Q(pk__in=further))

    def of_agent(self, rows: QuerySet[Contact], _name: str, value: int) -> QuerySet[Contact]:
        return rows.filter(pk__in=Tour.objects.filter(agent=value).values("buyer_id"))

    def with_text(self, rows: QuerySet[Contact], _name: str, value: str) -> QuerySet[Contact]:
        found = Q()
        for name in CONTACT_FIELDS:
            found |= Q(**{f"{name}__istartswith": value})
        return rows.filter(found)


@extend_schema_view(
    list=extend_schema(description="Buyers, newest first."), retrieve=extend_schema(description="One buyer.")
)
class Contacts(ListModelMixin, Endpoint):
    """Buyers."""

    scopes = {
        "list": "contacts:read",
        "retrieve": "contacts:read",
        "create": "contacts:write",
        "partial_update": "contacts:write",
        "archive": "contacts:write",
        "unarchive": "contacts:write",
        "destroy": "records:delete",
        "merge_plan": "contacts:merge",
        "merge": "contacts:merge",
    }
    matched = ("merge",)
    refusing = ("merge_plan",)
    queryset = Contact.objects.all()
    serializer_class = ContactShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = ContactFilters

    @extend_schema(request=ContactGiven, responses={201: ContactShown}, description="A new buyer.")
    def create(self, request: Request) -> Response:
        return self.shown(self._saved(self.body(ContactGiven), None), 201)

    @extend_schema(
        request=ContactGiven,
        responses=ContactShown,
        description="Change what is given; the CRMs follow. Needs If-Match.",
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(ContactGiven)
        with transaction.atomic():
            contact = Contact.objects.select_for_update().get(pk=int(pk))
            self.must_match(contact)
            known = {name: getattr(contact, name) for name in CONTACT_FIELDS}
            return self.shown(self._saved({**known, **data}, contact.pk))

    @extend_schema(
        request=WhyGiven,
        responses=ContactShown,
        description="Put a buyer away of whom no tour stands and nothing waits. Nothing is sent.",
    )
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str) -> Response:
        return self._press(archiving.archive_contact, pk)

    @extend_schema(request=WhyGiven, responses=ContactShown, description="Bring the buyer back. Nothing is sent.")
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, pk: str) -> Response:
        return self._press(archiving.unarchive_contact, pk)

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete a buyer without tours whom no CRM knows from us. Needs If-Match.",
    )
    def destroy(self, request: Request, pk: str) -> Response:
        by = self.who()
        with transaction.atomic():
            self.must_match(Contact.objects.select_for_update().get(pk=int(pk)))
            deletion.delete_contact(int(pk), actor=by.actor, via=by.via)
        return Response(status=204)

    def _press(self, verb: Callable[[int, Who], bool], pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        with transaction.atomic():
            self.may_match(Contact.objects.select_for_update().get(pk=int(pk)))
            verb(int(pk), by)
        return self.shown(Contact.objects.get(pk=int(pk)))

    @extend_schema(
        parameters=[OpenApiParameter("into", dict(ID_SCHEMA), required=True, description="The buyer who would stay.")],
        responses=MergePlanShown,
        description="What merging this buyer into another would do, for confirming it. Nothing is done.",
    )
    @action(detail=True, methods=["get"], url_path="merge")
    def merge_plan(self, request: Request, pk: str) -> Response:
        given = request.query_params.get("into")
        into = None if given is None else whole_id(given)
        if given is not None and into is None:
            raise refused("into", "This is no id: a text of digits.")
        plan = planned(int(pk), into)
        return Response(MergePlanShown(plan).data, headers={"ETag": self.etag(plan)})

    @extend_schema(
        request=MergeGiven,
        responses=ContactShown,
        description="Merge this buyer into another, who is answered; for good. Needs If-Match: the ETag of the plan.",
    )
    @merge_plan.mapping.post
    def merge(self, request: Request, pk: str) -> Response:
        data = self.body(MergeGiven)
        by = self.who(self.reason(data))
        plan = planned(int(pk), data.get("into"))
        self.must_match(plan)
        seen = None if self.request.headers["If-Match"].strip() == "*" else plan.seen
        return self.shown(merged(plan, data.get("fields", {}), seen, by))

    def etag(self, record: Any) -> str:
        """A plan's is what it tells."""
        return f'"{record.seen}"' if isinstance(record, MergePlan) else super().etag(record)

    def _saved(self, data: dict[str, Any], contact_id: int | None) -> Contact:
        by = self.who()
        try:
            cleaned = clean_contact(data)
        except ValidationError as error:
            raise invalid(renamed(error, {})) from None
        return save_contact(cleaned, actor=by.actor, via=by.via, contact_id=contact_id)
