"""Records for tests, one factory a model. What a test is about it says itself; the rest is filled in here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from factory.django import DjangoModelFactory

from integrations import models

START = datetime(2026, 9, 14, 21, 0, tzinfo=UTC)
"""14:00 in Los Angeles."""


class OfficeFactory(DjangoModelFactory):
    class Meta:
        model = models.Office

    name = factory.Sequence("Office {}".format)


class AgentFactory(DjangoModelFactory):
    class Meta:
        model = models.Agent

    name = factory.Sequence("Agent {}".format)
    email = factory.Sequence("agent{}@brokerage.example".format)


class ContactFactory(DjangoModelFactory):
    class Meta:
        model = models.Contact

    first_name = "Bea"
    last_name = factory.Sequence("Buyer {}".format)
    email = factory.Sequence("buyer{}@mail.example".format)
    phone = factory.Sequence("+1916555{:04}".format)


class TourFactory(DjangoModelFactory):
    class Meta:
        model = models.Tour

    reference = factory.Sequence("F-{}".format)
    title = "An afternoon"
    time_zone = "America/Los_Angeles"
    starts_at = START
    agent = factory.SubFactory(AgentFactory)
    buyer = factory.SubFactory(ContactFactory)


class TourStopFactory(DjangoModelFactory):
    class Meta:
        model = models.TourStop

    tour = factory.SubFactory(TourFactory)
    sequence = 1
    street = factory.Sequence("{} High St".format)
    city = "Sacramento"
    state = "CA"
    postal_code = "95838"
    appointment_start = factory.LazyAttribute(lambda stop: stop.tour.starts_at)
    appointment_end = factory.LazyAttribute(lambda stop: stop.appointment_start + timedelta(minutes=30))
    appointment_status = "confirmed"


class FeedbackFactory(DjangoModelFactory):
    class Meta:
        model = models.Feedback

    stop = factory.SubFactory(TourStopFactory)
    author_role = "buyer"
    submitted_at = START + timedelta(hours=5)
    interest_level = "interested"


class ConnectionFactory(DjangoModelFactory):
    class Meta:
        model = models.Connection

    provider = "gohighlevel"
    label = factory.Sequence("A CRM {}".format)
    sync_from = datetime(2026, 1, 1, tzinfo=UTC)
    account_key = factory.Sequence("loc_{}".format)
    config: Any = factory.LazyAttribute(lambda made: {"location_id": made.account_key, "calendar_id": "cal"})
    secrets: Any = factory.LazyFunction(lambda: {"token": "pit-secret"})


class ImportRunFactory(DjangoModelFactory):
    class Meta:
        model = models.ImportRun

    kind = "tours"
    file_name = "tours.csv"
    file_hash = factory.Sequence("{:064}".format)


class ImportItemFactory(DjangoModelFactory):
    class Meta:
        model = models.ImportItem

    run = factory.SubFactory(ImportRunFactory)
    entity_type = "tour"
    entity_id = factory.Sequence(int)
    created = True


class OperationFactory(DjangoModelFactory):
    class Meta:
        model = models.Operation

    op_key = factory.Sequence("op {}".format)
    connection = factory.SubFactory(ConnectionFactory)
    kind = "appointment.sync"
    entity_type = "stop"
    entity_id = 1
    version = 1
    due_ms = 0


class OperationDependencyFactory(DjangoModelFactory):
    class Meta:
        model = models.OperationDependency

    operation = factory.SubFactory(OperationFactory)
    needs = factory.SubFactory(OperationFactory)


class AttemptFactory(DjangoModelFactory):
    class Meta:
        model = models.Attempt

    operation = factory.SubFactory(OperationFactory)
    connection = factory.SelfAttribute("operation.connection")
    token = factory.Sequence(int)
    version = 1
    started_ms = 0


class ExternalRefFactory(DjangoModelFactory):
    class Meta:
        model = models.ExternalRef

    connection = factory.SubFactory(ConnectionFactory)
    entity_type = "stop"
    entity_id = factory.Sequence(int)
    resource = "appointment"
    external_id = factory.Sequence("ext-{}".format)


class AuditEventFactory(DjangoModelFactory):
    class Meta:
        model = models.AuditEvent

    actor = "ann"
    via = "admin"
    verb = "tour.update"
    object_type = "tour"
    object_id = 1


class LeaseFactory(DjangoModelFactory):
    class Meta:
        model = models.Lease

    name = factory.Sequence("lease {}".format)


class WorkerProcessFactory(DjangoModelFactory):
    class Meta:
        model = models.WorkerProcess

    name = factory.Sequence("worker {}".format)
    started_ms = 0
    seen_ms = 0


class GateModeFactory(DjangoModelFactory):
    class Meta:
        model = models.GateMode
        django_get_or_create = ("id",)

    id = 1
