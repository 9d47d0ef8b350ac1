"""/api/contacts and /api/agents."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Agent, Contact, Office
from integrations.operations.people import save_contact
from integrations.operations.validation import clean_contact

from .base import Endpoint
from .examples import NEW_CONTACT
from .fields import Given, Instant, Shown
from .lists import Filters, IdFilter, Pages, TextFilter
from .problems import invalid, renamed

CONTACT_FIELDS = ("first_name", "last_name", "email", "phone")


class ContactShown(Shown):
    """A buyer."""

    archived_at = Instant(allow_null=True)
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Contact
        fields = ("id", *CONTACT_FIELDS, "archived_at", "created_at", "updated_at")


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

    class Meta:
        model = Contact
        fields: ClassVar[list[str]] = []

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
    }
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

    def _saved(self, data: dict[str, Any], contact_id: int | None) -> Contact:
        by = self.who()
        try:
            cleaned = clean_contact(data)
        except ValidationError as error:
            raise invalid(renamed(error, {})) from None
        return save_contact(cleaned, actor=by.actor, via=by.via, contact_id=contact_id)


class OfficeShown(Shown):
    """An office of the brokerage."""

    class Meta:
        model = Office
        fields = ("id", "name")


class AgentShown(Shown):
    """A person who shows homes."""

    office = OfficeShown(allow_null=True)

    class Meta:
        model = Agent
        fields = ("id", "name", "email", "mls_id", "office", "active")


class AgentFilters(django_filters.FilterSet):
    """Filters of the list."""

    email = django_filters.CharFilter(field_name="email", lookup_expr="iexact", max_length=254)
    office = IdFilter(field_name="office_id")
    active = django_filters.BooleanFilter(field_name="active")
    text = TextFilter(field_name="name", lookup_expr="icontains", help_text="A part of the name.")

    class Meta:
        model = Agent
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(description="Agents, newest first."), retrieve=extend_schema(description="One agent.")
)
class Agents(ListModelMixin, Endpoint):
    """Agents; they are kept in the admin, and made by tours that name them."""

    scopes = {"list": "agents:read", "retrieve": "agents:read"}
    queryset = Agent.objects.select_related("office")
    serializer_class = AgentShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = AgentFilters
