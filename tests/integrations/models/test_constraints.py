"""What the database itself refuses, whoever writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from integrations.models import AuditEvent, Operation
from tests import factories as make

pytestmark = pytest.mark.django_db


def _refused(write: Callable[[], Any]) -> str:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    return str(caught.value)


def test_a_tour_needs_a_reference_of_its_own() -> None:
    make.TourFactory(reference="A")

    _refused(lambda: make.TourFactory(reference="A"))
    assert "tour_reference_given" in _refused(lambda: make.TourFactory(reference=""))


def test_a_tour_has_a_known_status() -> None:
    assert "tour_status_known" in _refused(lambda: make.TourFactory(status="postponed"))


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("stop_ends_after_start", {"appointment_end": make.START}),
        ("stop_ends_after_start", {"appointment_end": make.START - timedelta(hours=1)}),
        ("stop_sequence_positive", {"sequence": 0}),
        ("stop_street_given", {"street": ""}),
        ("stop_status_known", {"appointment_status": "maybe"}),
        ("stop_outcome_known", {"outcome": "left"}),
        ("stop_price_not_negative", {"list_price": Decimal(-5)}),
        ("stop_latitude_range", {"latitude": Decimal("90.5")}),
        ("stop_longitude_range", {"longitude": Decimal("-180.5")}),
    ],
)
def test_a_stop_is_sound(constraint: str, values: dict[str, Any]) -> None:
    assert constraint in _refused(lambda: make.TourStopFactory(**values))


def test_a_place_in_a_tour_is_taken_once() -> None:
    stop = make.TourStopFactory(sequence=2)

    _refused(lambda: make.TourStopFactory(tour=stop.tour, sequence=2))


def test_a_contact_can_be_reached() -> None:
    assert "contact_reachable" in _refused(lambda: make.ContactFactory(email="", phone=""))


def test_couples_may_share_address_and_phone() -> None:
    first = make.ContactFactory()

    make.ContactFactory(email=first.email, phone=first.phone)


def test_an_agent_is_known_by_one_address_whatever_its_case() -> None:
    make.AgentFactory(email="ann@brokerage.example")

    _refused(lambda: make.AgentFactory(email="Ann@Brokerage.example"))


def test_feedback_is_given_once_per_role_and_time() -> None:
    said = make.FeedbackFactory()

    _refused(lambda: make.FeedbackFactory(stop=said.stop))
    make.FeedbackFactory(stop=said.stop, author_role="buyer_agent")


@pytest.mark.parametrize(
    ("constraint", "values"),
    [("feedback_rating_range", {"overall_rating": 6}), ("feedback_interest_known", {"interest_level": "some"})],
)
def test_feedback_is_sound(constraint: str, values: dict[str, Any]) -> None:
    assert constraint in _refused(lambda: make.FeedbackFactory(**values))


def test_an_account_is_connected_once() -> None:
    make.ConnectionFactory(account_key="loc_1")

    _refused(lambda: make.ConnectionFactory(account_key="loc_1"))


def test_a_connection_names_whom_it_serves() -> None:
    office, agent = make.OfficeFactory(), make.AgentFactory()
    make.ConnectionFactory(scope="office", office=office)
    make.ConnectionFactory(scope="agent", agent=agent)

    for values in (
        {"scope": "office"},
        {"scope": "agent", "office": office},
        {"scope": "brokerage", "agent": agent},
        {"scope": "agent", "office": office, "agent": agent},
    ):
        assert "connection_scope_target" in _refused(lambda values=values: make.ConnectionFactory(**values))  # type: ignore[misc]


def test_a_connection_has_a_known_state() -> None:
    assert "connection_state_known" in _refused(lambda: make.ConnectionFactory(state="broken"))


def test_one_record_has_one_holder_at_a_connection() -> None:
    held = make.OperationFactory(state="leased", lease_until_ms=1)

    _refused(lambda: make.OperationFactory(connection=held.connection, state="leased", lease_until_ms=1, version=2))
    make.OperationFactory(connection=held.connection, state="pending", version=3)


def test_a_lease_has_an_end_and_nothing_else_has() -> None:
    assert "operation_lease_has_end" in _refused(lambda: make.OperationFactory(state="leased"))
    assert "operation_lease_has_end" in _refused(lambda: make.OperationFactory(state="pending", lease_until_ms=1))


def test_an_operation_has_a_known_state_and_a_key_of_its_own() -> None:
    first = make.OperationFactory()

    assert "operation_state_known" in _refused(lambda: make.OperationFactory(state="gone"))
    _refused(lambda: make.OperationFactory(op_key=first.op_key))


def test_an_operation_does_not_wait_for_itself() -> None:
    operation = make.OperationFactory()

    assert "dependency_not_self" in _refused(
        lambda: make.OperationDependencyFactory(operation=operation, needs=operation)
    )


def test_a_crm_record_is_linked_to_one_of_ours() -> None:
    ref = make.ExternalRefFactory(external_id="apt-1")

    _refused(lambda: make.ExternalRefFactory(connection=ref.connection, external_id="apt-1"))
    _refused(lambda: make.ExternalRefFactory(connection=ref.connection, entity_id=ref.entity_id))
    _refused(lambda: make.ExternalRefFactory(marker=ref.marker))


def test_many_records_may_be_unlinked() -> None:
    ref = make.ExternalRefFactory(external_id=None)

    make.ExternalRefFactory(connection=ref.connection, external_id=None)


def test_there_is_one_gate_mode() -> None:
    make.GateModeFactory()

    assert "gate_mode_single" in _refused(lambda: make.GateModeFactory(id=2))


@pytest.mark.parametrize("factory", [make.TourStopFactory, make.FeedbackFactory, make.AttemptFactory])
def test_what_others_hang_on_is_not_deleted(factory: Any) -> None:
    made = factory()
    parent = getattr(made, "tour", None) or getattr(made, "stop", None) or made.connection

    with pytest.raises(ProtectedError):
        parent.delete()


def test_the_audit_trail_only_grows() -> None:
    event = make.AuditEventFactory()

    for change in (
        event.save,
        event.delete,
        lambda: AuditEvent.objects.update(verb="x"),
        lambda: AuditEvent.objects.all().delete(),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()
    assert AuditEvent.objects.get().verb == "tour.update"


def test_a_new_provider_or_kind_needs_no_migration() -> None:
    make.OperationFactory(kind="tour.summary", connection=make.ConnectionFactory(provider="lofty"))

    assert Operation.objects.get().kind == "tour.summary"
