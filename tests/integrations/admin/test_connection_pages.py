"""Connections: the form from the manifest, secrets that never come out, pausing and resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from integrations import gateway
from integrations.engine.clock import db_now
from integrations.models import AuditEvent, Connection, Operation, Tour
from tests.factories import AgentFactory, ConnectionFactory, OfficeFactory, OperationFactory
from tests.integrations.admin.browsing import and_the_clock, messages_of, page
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

SECRET = "pit-0123456789-last"
ADD = "/admin/integrations/connection/add/?provider=gohighlevel"


@pytest.fixture(autouse=True)
def _crm_answers(sandbox_server: SandboxServer, redis_server: RedisServer, settings: Any) -> Iterator[None]:
    """The CRM at the sandbox takes SECRET for the account loc_9, and what `knows` says."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.account("loc_9", token=SECRET)
    settings.REDIS_URL = redis_server.url
    settings.REANNA_BASE_URLS = {"gohighlevel": sandbox_server.url}
    redis_server.wipe_warm("reanna:gate")
    yield
    gateway.close_all()


@pytest.fixture
def knows(sandbox_server: SandboxServer, crm_row: Connection) -> Callable[[str], Any]:
    """The CRM takes this token for the stored connection."""
    return lambda token: sandbox_server.account(crm_row.account_key, token=token)


def url(name: str, connection: Connection) -> str:
    return reverse(f"admin:integrations_connection_{name}", args=[connection.pk])


def form_data(**values: Any) -> dict[str, Any]:
    return {
        "label": "GoHighLevel", "scope": "brokerage", "sync_from": "2026-01-01T00:00", "location_id": "loc_9",
        "calendar_id": "cal_9", "token": SECRET, **values,
    }  # fmt: skip


def unchanged(connection: Connection, **values: Any) -> dict[str, Any]:
    """What the browser sends back of a connection nobody changed."""
    return {**form_data(label=connection.label), **connection.config, "token": "", **values}


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200
    return {name: list(errors) for name, errors in answer.context["form"].errors.items()}


def break_secrets(connection: Connection) -> None:
    """As after FERNET_KEYS was lost."""
    with database.cursor() as cursor:
        cursor.execute("UPDATE integrations_connection SET secrets = %s WHERE id = %s", [b"gAAA-broken", connection.pk])


# --- making and changing --------------------------------------------------------------------------------------------


def test_a_connection_is_made_and_its_tours_are_planned(staff: Client, tour: Tour) -> None:
    staff.post(ADD, form_data())
    made = Connection.objects.get()
    assert (made.account_key, made.secrets, made.sync_from) == (
        "loc_9",
        {"token": SECRET},
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert Operation.objects.filter(connection=made).count() == 3


def test_counting_first_saves_nothing(staff: Client, tour: Tour) -> None:
    answer = staff.post(ADD, form_data(_count="1"))
    assert "Saving brings in 1 tour," in answer.content.decode()
    assert Connection.objects.count() == 0


def test_a_typed_secret_does_not_come_back_with_an_error(staff: Client, db: None) -> None:
    answer = staff.post(ADD, form_data(label=""))
    assert list(errors_of(answer)) == ["label"]
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label", ""), ("label", "x" * 81), ("label", "a\x00"), ("scope", "world"), ("sync_from", "soon"),
        ("location_id", ""), ("calendar_id", ""), ("location_id", "y" * 500), ("token", "t\x00"),
        ("limit_burst", "0"), ("limit_burst", "101"), ("limit_burst", "9" * 5000), ("limit_daily", "many"),
        ("office", "abc"), ("agent", "9" * 30),
    ],
)  # fmt: skip
def test_bad_input_names_its_field_and_stores_nothing(staff: Client, db: None, field: str, value: str) -> None:
    assert list(errors_of(staff.post(ADD, form_data(**{field: value})))) == [field]
    assert Connection.objects.count() == 0


def test_an_office_must_be_chosen_for_an_office_connection(staff: Client, db: None) -> None:
    answer = staff.post(ADD, form_data(scope="office"))
    assert errors_of(answer) == {"office": ["Choose the office that this connection serves."]}


def test_what_is_not_filled_in_cannot_be_counted(staff: Client, db: None) -> None:
    answer = staff.post(ADD, form_data(scope="agent", _count="1"))
    assert "Say first whom it serves and from when" in answer.content.decode()


def test_a_new_connection_without_a_start_serves_from_now(staff: Client, tour: Tour) -> None:
    staff.post(ADD, form_data(sync_from=""))
    assert Operation.objects.filter(connection__account_key="loc_9").count() == 3


def test_a_connection_of_an_agent(staff: Client, db: None) -> None:
    agent = AgentFactory()
    staff.post(ADD, form_data(scope="agent", agent=agent.pk))
    assert Connection.objects.get().agent == agent


def test_an_account_is_connected_once(staff: Client, crm_row: Connection) -> None:
    answer = staff.post(ADD, form_data(location_id=crm_row.account_key))
    assert errors_of(answer) == {"location_id": ["This account is connected already, as “Main CRM”."]}


def test_the_page_shows_only_the_last_four_characters(staff: Client, crm_row: Connection) -> None:
    text = page(staff, "connection_change", crm_row.pk)
    assert "Set (ends in last); leave blank to keep." in text
    assert SECRET not in text


def test_a_short_secret_is_not_shown_at_all(staff: Client, crm_row: Connection) -> None:
    Connection.objects.filter(pk=crm_row.pk).update(secrets={"token": "abcd"})
    text = page(staff, "connection_change", crm_row.pk)
    assert "too short to show any of it" in text
    assert "abcd" not in text


def test_the_end_of_a_hostile_secret_is_shown_as_text(staff: Client, crm_row: Connection) -> None:
    Connection.objects.filter(pk=crm_row.pk).update(secrets={"token": "0123456789<b>x"})
    assert "Set (ends in &lt;b&gt;x)" in page(staff, "connection_change", crm_row.pk)


def test_a_blank_secret_keeps_what_is_stored(staff: Client, crm_row: Connection) -> None:
    staff.post(url("change", crm_row), unchanged(crm_row, label="Renamed"))
    after = Connection.objects.get()
    assert (after.label, after.secrets) == ("Renamed", {"token": SECRET})


def test_a_new_secret_replaces_the_old_and_ends_auth_needed(
    staff: Client, crm_row: Connection, knows: Callable[[str], Any]
) -> None:
    knows("pit-another-secret-9999")
    Connection.objects.update(state="auth_needed", state_reason="401")
    staff.post(url("change", crm_row), unchanged(crm_row, token="pit-another-secret-9999"))
    after = Connection.objects.get()
    assert (after.secrets, after.state) == ({"token": "pit-another-secret-9999"}, "active")


def test_a_secret_is_removed_when_that_is_ticked(staff: Client, crm_row: Connection) -> None:
    staff.post(url("change", crm_row), unchanged(crm_row, forget=["token"]))
    assert Connection.objects.get().secrets == {}


def test_neither_message_nor_audit_hold_a_secret(
    staff: Client, crm_row: Connection, knows: Callable[[str], Any]
) -> None:
    knows("pit-another-secret-9999")
    answer = staff.post(url("change", crm_row), unchanged(crm_row, token="pit-another-secret-9999"))
    told = " ".join(messages_of(answer))
    for event in AuditEvent.objects.all():
        told += f" {event.before} {event.after}"
    assert "pit-" not in told


def test_a_limit_is_lowered(staff: Client, crm_row: Connection) -> None:
    staff.post(url("change", crm_row), unchanged(crm_row, limit_burst="40"))
    assert Connection.objects.get().limit_overrides == {"burst": 40}


def test_another_start_shows_the_count_before_it_is_saved(staff: Client, tour: Tour, crm_row: Connection) -> None:
    data = unchanged(crm_row, sync_from="2028-01-01T00:00")
    answer = staff.post(url("change", crm_row), data)
    assert "leaves out 1," in answer.content.decode()
    assert Connection.objects.get().sync_from == datetime(2026, 1, 1, tzinfo=UTC)
    seen = answer.context["form"]["seen"].value()
    staff.post(url("change", crm_row), {**data, "seen": seen})
    assert Connection.objects.get().sync_from == datetime(2028, 1, 1, tzinfo=UTC)


def test_secrets_that_cannot_be_decrypted_are_said(staff: Client, crm_row: Connection) -> None:
    break_secrets(crm_row)
    assert "The stored credentials cannot be decrypted: check FERNET_KEYS, or give them again." in page(
        staff, "connection_change", crm_row.pk
    )


def test_secrets_that_cannot_be_decrypted_can_be_given_again(
    staff: Client, crm_row: Connection, knows: Callable[[str], Any]
) -> None:
    knows("pit-another-token")
    break_secrets(crm_row)
    staff.post(url("change", crm_row), unchanged(crm_row, token="pit-another-token"))
    assert Connection.objects.get().secrets == {"token": "pit-another-token"}


def test_a_connection_whose_secrets_cannot_be_decrypted_can_be_paused(staff: Client, crm_row: Connection) -> None:
    break_secrets(crm_row)
    staff.post(url("pause", crm_row))
    assert Connection.objects.defer("secrets").get().state == "paused"


# --- the list -------------------------------------------------------------------------------------------------------


def test_the_list_shows_state_hold_and_counts(staff: Client, crm_row: Connection) -> None:
    Connection.objects.update(hold_reason="day_used", hold_until_ms=db_now() + 3_600_000)
    for number in range(3):
        OperationFactory(connection=crm_row, entity_id=number)
    OperationFactory(connection=crm_row, entity_id=9, state="dead")
    text = page(staff, "connection_changelist")
    assert "limit for a day is used up; not before" in text
    assert f'?connection={crm_row.pk}&amp;state=open">3</a>' in text
    assert f'?connection={crm_row.pk}&amp;state=dead">1</a>' in text


def test_the_list_works_when_no_secret_can_be_decrypted(staff: Client, crm_row: Connection) -> None:
    break_secrets(crm_row)
    assert "Main CRM" in page(staff, "connection_changelist")


def test_the_lists_query_count_does_not_grow(
    staff: Client, crm_row: Connection, django_assert_max_num_queries: Any
) -> None:
    for _ in range(10):
        OperationFactory(connection=ConnectionFactory(scope="office", office=OfficeFactory()))
    with django_assert_max_num_queries(and_the_clock(6)):
        page(staff, "connection_changelist")


# --- verbs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [("pause", "active", "paused"), ("resume", "paused", "active"), ("disable", "active", "disabled"),
     ("resume", "disabled", "active")],
)  # fmt: skip
def test_verbs(staff: Client, crm_row: Connection, verb: str, before: str, after: str) -> None:
    Connection.objects.update(state=before)
    assert staff.get(url(verb, crm_row)).status_code == 200
    assert Connection.objects.get().state == before
    staff.post(url(verb, crm_row), {"reason": "because"})
    connection = Connection.objects.get()
    assert (connection.state, connection.state_reason) == (after, "because")


def test_pausing_twice_is_audited_once(staff: Client, crm_row: Connection) -> None:
    staff.post(url("pause", crm_row))
    answer = staff.post(url("pause", crm_row))
    assert messages_of(answer)[-1] == "Pause “Main CRM”: it was so already."
    assert AuditEvent.objects.count() == 1


def test_a_used_connection_is_not_deleted(staff: Client, operation_of: Callable[..., Operation]) -> None:
    connection = operation_of().connection
    answer = staff.post(url("delete", connection))
    assert "This connection has operations or links to CRM records. Disable it instead." in answer.content.decode()
    assert Connection.objects.count() == 1


def test_an_unused_connection_is_deleted(staff: Client, crm_row: Connection) -> None:
    staff.post(url("delete", crm_row))
    assert Connection.objects.count() == 0


def test_a_provider_that_does_not_exist_is_not_offered(staff: Client, db: None) -> None:
    assert staff.get(ADD, {"provider": "../etc"}).status_code == 200


# --- where it talks to ------------------------------------------------------------------------------------------------


def test_a_sandbox_is_named_as_one_before_anyone_types_a_key(staff: Client, settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = "http://127.0.0.1:8900"
    settings.REANNA_BASE_URLS = {"gohighlevel": "http://127.0.0.1:8900"}
    said = staff.get(reverse("admin:integrations_connection_add"), {"provider": "gohighlevel"}).content.decode()
    assert "It talks to http://127.0.0.1:8900 (the sandbox on this machine, not the vendor)." in said


def test_the_vendors_address_is_shown(staff: Client, crm_row: Connection, settings: Any) -> None:
    settings.REANNA_BASE_URLS = {"gohighlevel": "https://crm.example"}
    assert "<dt>Talks to</dt><dd>https://crm.example</dd>" in page(staff, "connection_change", crm_row.pk)


# --- trying it out ----------------------------------------------------------------------------------------------------


def test_what_passed_the_test_is_noted_and_active(staff: Client, db: None, sandbox_server: SandboxServer) -> None:
    staff.post(ADD, form_data())
    made = Connection.objects.get()
    assert (made.state, made.last_verified_at is not None) == ("active", True)
    assert [(row["method"], row["path"]) for row in sandbox_server.journal()] == [("GET", "/contacts/search/duplicate")]


def test_credentials_the_crm_refuses_are_told_at_their_field(staff: Client, db: None) -> None:
    answer = staff.post(ADD, form_data(token="pit-wrong-secret-00"))
    [(field, [text])] = errors_of(answer).items()
    assert field == "token"
    assert text.startswith("GoHighLevel refused these credentials (401): ")
    assert "pit-wrong" not in answer.content.decode()
    assert 'name="_anyway" value="Save anyway (paused)"' in answer.content.decode()
    assert Connection.objects.count() == 0


def test_saved_anyway_it_is_paused_and_nothing_was_asked(
    staff: Client, tour: Tour, sandbox_server: SandboxServer
) -> None:
    staff.post(ADD, form_data(token="pit-wrong-secret-00", _anyway="1"))
    made = Connection.objects.get()
    assert (made.state, made.state_reason) == ("paused", "Saved without a test that passed.")
    assert made.last_verified_at is None
    assert Operation.objects.filter(connection=made).count() == 3
    assert sandbox_server.journal() == []


def test_a_change_that_the_crm_refuses_is_not_stored(staff: Client, crm_row: Connection) -> None:
    answer = staff.post(url("change", crm_row), unchanged(crm_row, token="pit-wrong-secret-00", label="Renamed"))
    assert list(errors_of(answer)) == ["token"]
    after = Connection.objects.get()
    assert (after.label, after.secrets, after.state) == ("Main CRM", {"token": SECRET}, "active")


def test_a_change_saved_anyway_pauses_first(staff: Client, crm_row: Connection) -> None:
    staff.post(url("change", crm_row), unchanged(crm_row, token="pit-wrong-secret-00", _anyway="1"))
    after = Connection.objects.get()
    assert (after.state, after.secrets) == ("paused", {"token": "pit-wrong-secret-00"})
    verbs = AuditEvent.objects.order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["connection.pause", "connection.update"]


def test_a_new_label_asks_the_crm_nothing(staff: Client, crm_row: Connection, sandbox_server: SandboxServer) -> None:
    staff.post(url("change", crm_row), unchanged(crm_row, label="Renamed"))
    assert Connection.objects.get().label == "Renamed"
    assert sandbox_server.journal() == []


def test_a_crm_that_cannot_be_asked_is_nobodys_fault(staff: Client, db: None, sandbox_server: SandboxServer) -> None:
    sandbox_server.faults("status", status=500, times=None)
    answer = staff.post(ADD, form_data())
    assert list(errors_of(answer)) == ["__all__"]
    assert "GoHighLevel could not be asked (500)" in answer.content.decode()


def test_tested_now(staff: Client, crm_row: Connection, knows: Callable[[str], Any]) -> None:
    knows("pit-stored-token-1")
    Connection.objects.update(secrets={"token": "pit-stored-token-1"})
    assert staff.get(url("test", crm_row)).status_code == 200
    assert Connection.objects.get().last_verified_at is None
    assert "<dt>Last tested</dt><dd>Never</dd>" in page(staff, "connection_change", crm_row.pk)
    answer = staff.post(url("test", crm_row))
    assert messages_of(answer) == ["“Main CRM” works: the CRM accepts its credentials."]
    assert Connection.objects.get().last_verified_at is not None
    assert AuditEvent.objects.get().verb == "connection.verify"


def test_a_test_that_fails_says_why_and_changes_nothing(staff: Client, crm_row: Connection) -> None:
    answer = staff.post(url("test", crm_row))
    [text] = messages_of(answer)
    assert text == "GoHighLevel refused these credentials (403): The token does not have access to this location."
    assert SECRET not in text
    after = Connection.objects.get()
    assert (after.state, after.last_verified_at, AuditEvent.objects.count()) == ("active", None, 0)


def test_unreadable_secrets_are_told_by_the_test(staff: Client, crm_row: Connection) -> None:
    break_secrets(crm_row)
    assert messages_of(staff.post(url("test", crm_row))) == [
        "The stored credentials cannot be decrypted: check FERNET_KEYS, or give them again."
    ]
