"""After a backup was restored: what is put in doubt, that nothing is sent before go, and that nothing is doubled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from integrations import wiring
from integrations.engine import claims, gatemode, sweep
from integrations.engine.clock import db_now
from integrations.models import AuditEvent, ExternalRef, GateMode, Lease, Operation, Tour
from integrations.operations import restoring
from integrations.operations.audit import Who
from tests.crm import Crm, make_connection, make_tour, move
from tests.factories import ExternalRefFactory, OperationFactory

WHO = Who("ada", "command")
NOW = datetime.now(UTC)
# NOW is when this file was read, which in a long run is minutes before its tests.
SINCE, UNTIL = NOW - timedelta(hours=6), NOW + timedelta(hours=6)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("restore_mode", *arguments, stdout=out)
    return out.getvalue()


# --- what it changes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["pending", "waiting", "retryable", "unknown", "leased"])
def test_whatever_is_open_is_in_doubt_and_in_nobodys_hand(db: None, state: str) -> None:
    lease = {"lease_until_ms": db_now() + 60_000, "lease_owner": "gone"} if state == "leased" else {}
    made = OperationFactory(state=state, token=3, attempts=4, **lease)
    before = db_now()
    restoring.restore(SINCE, UNTIL, WHO)
    made.refresh_from_db()
    assert (made.state, made.reason, made.in_doubt, made.token, made.attempts) == (
        "unknown",
        "restored",
        True,
        1_003,
        0,
    )
    assert (made.lease_owner, made.lease_until_ms, made.sent_ms >= before) == ("", None, True)


def test_a_question_stays_one_but_who_answers_looks_first(db: None) -> None:
    asked = OperationFactory(state="needs_person", reason="two_matches", token=3)
    changed = OperationFactory(state="needs_person", reason="changed_at_provider", entity_id=2)
    restoring.restore(SINCE, UNTIL, WHO)
    asked.refresh_from_db()
    changed.refresh_from_db()
    assert (asked.state, asked.reason, asked.in_doubt, asked.token) == ("needs_person", "two_matches", True, 1_003)
    assert (changed.state, changed.in_doubt) == ("unknown", True)


@pytest.mark.parametrize("state", ["succeeded", "dead", "ignored", "superseded", "cancelled"])
def test_what_is_at_an_end_stays_there(db: None, state: str) -> None:
    made = OperationFactory(state=state, token=3, settled_ms=1)
    restoring.restore(SINCE, UNTIL, WHO)
    made.refresh_from_db()
    assert (made.state, made.in_doubt, made.token) == (state, False, 3)


def test_a_link_that_was_touched_is_looked_up_again_and_an_old_one_is_not(db: None) -> None:
    crm = make_connection()
    long_ago = NOW - timedelta(days=30)
    refs = {}
    for entity_id in (1, 2):
        refs[entity_id] = ExternalRefFactory(connection=crm, entity_id=entity_id, acked_digest="d")
        OperationFactory(connection=crm, entity_id=entity_id, state="succeeded", version=4, settled_ms=1)
    ExternalRef.objects.filter(pk=refs[2].pk).update(created_at=long_ago, updated_at=long_ago)
    Operation.objects.update(created_at=long_ago)
    plan = restoring.restore(SINCE, UNTIL, WHO)
    assert plan.refs == {crm.label: 1}
    look = Operation.objects.get(reason="restored")
    assert (look.entity_id, look.version, look.in_doubt, look.state) == (1, 4, True, "unknown")
    assert dict(ExternalRef.objects.values_list("entity_id", "acked_digest")) == {1: None, 2: "d"}


def test_run_again_it_goes_on_and_doubles_nothing(db: None) -> None:
    crm = make_connection()
    ExternalRefFactory(connection=crm, entity_id=1)
    OperationFactory(connection=crm, entity_id=1, state="succeeded", settled_ms=1)
    restoring.restore(SINCE, UNTIL, WHO)
    restoring.restore(SINCE, UNTIL, WHO)
    assert Operation.objects.filter(reason="restored").count() == 1


def test_the_gate_counts_anew_and_leases_of_before_are_free(db: None) -> None:
    Lease.objects.create(name="sweeper", owner="gone", until_ms=2**50)
    connection = make_connection(hold_until_ms=2**50, refresh_until_ms=2**50)
    restoring.restore(SINCE, UNTIL, WHO)
    connection.refresh_from_db()
    assert (GateMode.objects.get().mode, Lease.objects.get().until_ms) == ("back", 0)
    assert (connection.hold_until_ms, connection.refresh_until_ms) == (0, 0)


# --- nothing before go -----------------------------------------------------------------------------------------------


def test_nothing_is_claimed_before_a_person_says_go(db: None) -> None:
    operation = OperationFactory()
    restoring.restore(SINCE, UNTIL, WHO)
    pk = operation.connection_id
    assert (claims.claim(pk, "me", 10, 60_000, 0.0), sweep.schedule()) == ([], {})
    assert restoring.go(WHO) is True
    assert [one.operation.pk for one in claims.claim(pk, "me", 10, 60_000, 0.0)] == [operation.pk]
    assert restoring.go(WHO) is False
    assert list(AuditEvent.objects.order_by("pk").values_list("verb", "actor")) == [
        ("restore", "ada"),
        ("restore.go", "ada"),
    ]


def test_staff_read_it_on_every_page_and_say_go_there(
    db: None, admin_client: Client, settings: Any, tmp_path: Any
) -> None:
    settings.STATIC_ROOT = tmp_path
    restoring.restore(SINCE, UNTIL, WHO)
    url = reverse("admin:integrations_connection_go")
    text = admin_client.get(reverse("admin:integrations_tour_changelist")).content.decode()
    assert "A backup was restored: nothing is sent until a person says go" in text
    assert f'href="{url}"' in text
    assert "Send again after the backup was restored?" in admin_client.get(url).content.decode()
    assert restoring.paused_since() > 0
    admin_client.post(url, {"reason": "checked"})
    assert restoring.paused_since() == 0


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_shows_its_plan_and_changes_nothing_unasked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    OperationFactory()
    monkeypatch.setattr("builtins.input", lambda _question: "no")
    said = command("--window", "6h")
    assert "open operations put in doubt: 1 pending" in said
    assert "Nothing was changed." in said
    assert (Operation.objects.get().state, restoring.paused_since()) == ("pending", 0)


def test_the_command_does_it_and_says_go(db: None) -> None:
    OperationFactory()
    assert "Nothing is sent until" in command("--since", "2026-01-01T02:00", "--yes")
    assert Operation.objects.get().in_doubt is True
    assert "Sending goes on." in command("--go", "--yes")
    assert "Sending was not stopped." in command("--go", "--yes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "either --since"),
        (("--since", "2026-01-01", "--window", "1h"), "either --since"),
        (("--window", "soon"), "--window is a number"),
        (("--since", "yesterday"), "--since is no time"),
        (("--since", "2026-01-02T00:00", "--until", "2026-01-01T00:00"), "must end after it begins"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(db: None, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        command(*arguments, "--yes")
    assert restoring.paused_since() == 0


# --- the whole way, against the CRM's journal ------------------------------------------------------------------------


@contextmanager
def backup() -> Iterator[Any]:
    """A copy of the database as it is now; what is yielded puts it back."""
    database.ensure_connection()
    with sqlite3.connect(":memory:") as copy:
        database.connection.backup(copy)
        yield lambda: copy.backup(database.connection)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(database.vendor != "sqlite", reason="the copy is SQLite's own")
def test_what_was_sent_after_the_backup_is_not_sent_again(crm: Crm, tomorrow: datetime) -> None:
    settled, waiting, moved = (make_tour(tomorrow) for _ in range(3))
    crm.sync(settled, moved)
    crm.plan(waiting)
    with backup() as put_back:
        crm.drain()  # sends what was waiting
        stop = moved.stops.get()
        move(stop, 30)
        crm.sync(moved)
        made = crm.appointments()
        assert sorted(op for op, _ in made) == ["create", "create", "create", "update"]
        people = crm.sandbox.effects("contact")
        put_back()
    wiring.forget_saved()
    restoring.restore(NOW - timedelta(hours=1), datetime.now(UTC) + timedelta(minutes=1), WHO)
    crm.pass_time(3600)
    assert crm.drain() == 0
    restoring.go(WHO)
    assert gatemode.tend() == "cold"
    crm.redis.wipe_warm("reanna:gate")
    crm.drain()
    assert crm.appointments() == made
    assert crm.sandbox.effects("contact") == people
    states = set(Operation.objects.values_list("state", "reason"))
    # What was moved in the lost time is there in neither form ours: a person sees both and decides.
    assert ("needs_person", "changed_at_provider") in states
    assert {state for state, _ in states} <= {"succeeded", "needs_person"}
    # Those whom the backup knew are told of later changes, once.
    again = settled.stops.get()
    move(again, 30)
    crm.sync(Tour.objects.get(pk=settled.pk))
    assert crm.appointments() == [*made, ("update", crm.ref(again).external_id)]
