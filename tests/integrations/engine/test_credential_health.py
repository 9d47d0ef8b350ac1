"""Whether credentials still fit is known within two intervals, and costs nobody's work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations import conf
from integrations.engine import claims, outbound, probing
from integrations.engine.clock import db_now
from integrations.models import AuditEvent, Connection, GateMode, Operation
from integrations.operations import connections
from tests.crm import (
    Crm,
    make_connection,
    make_followupboss_connection,
    make_hubspot_connection,
    make_lofty_connection,
    make_rollout_connection,
    make_tour,
)
from tests.redis_server import RedisServer
from tests.sandbox_server import ACCOUNT, HUBSPOT_PORTAL, TOKEN, SandboxServer

EVERY = {
    "gohighlevel": make_connection,
    "hubspot": make_hubspot_connection,
    "lofty": make_lofty_connection,
    "followupboss": make_followupboss_connection,
    "rollout": make_rollout_connection,
}


@pytest.fixture
def all_five(world: SandboxServer, redis_server: RedisServer) -> Iterator[dict[str, Crm]]:
    crms = {slug: Crm(world, redis_server, make()) for slug, make in EVERY.items()}
    yield crms
    for crm in crms.values():
        crm.close()


def later(seconds: float) -> None:
    for pk, due_ms in Connection.objects.values_list("pk", "probe_due_ms"):
        Connection.objects.filter(pk=pk).update(probe_due_ms=due_ms - int(seconds * 1000))


def states() -> dict[str, str]:
    return dict(Connection.objects.values_list("provider", "state"))


def revoke(crm: Crm, provider: str) -> None:
    crm.sandbox.faults("status", status=401, body={"message": "revoked"}, provider=provider, times=None)


def test_each_is_asked_once_an_interval(all_five: dict[str, Crm]) -> None:
    sandbox = all_five["hubspot"].sandbox
    assert (probing.probe_due(), probing.probe_due()) == (5, 0)
    asked = Counter(row["provider"] for row in sandbox.journal())
    assert set(asked) == set(EVERY)
    assert Connection.objects.filter(last_verified_at=None).count() == 0
    seen = sandbox.last_seq()
    later(conf.current().probe_s * 0.79)
    assert (probing.probe_due(), sandbox.last_seq()) == (0, seen)
    later(conf.current().probe_s * 0.21)
    assert probing.probe_due() == 5


@pytest.mark.parametrize("provider", EVERY)
def test_one_that_is_revoked_is_known_within_two_intervals_and_the_others_go_on(
    all_five: dict[str, Crm], provider: str, tomorrow: datetime
) -> None:
    probing.probe_due()
    revoke(all_five[provider], provider)
    for _ in range(2):
        later(conf.current().probe_s)
        probing.probe_due()
    assert states() == {slug: "auth_needed" if slug == provider else "active" for slug in EVERY}
    assert AuditEvent.objects.filter(verb="auth_needed").count() == 1
    seen = len([row for row in all_five[provider].sandbox.journal() if row["provider"] == provider])
    all_five[provider].plan(make_tour(tomorrow))
    for crm in all_five.values():
        crm.drain()
    mine = Operation.objects.filter(connection=all_five[provider].connection)
    assert set(mine.values_list("state", "attempts")) == {("pending", 0)}
    assert set(Operation.objects.exclude(pk__in=mine).values_list("state", flat=True)) == {"succeeded"}
    later(conf.current().probe_s)
    probing.probe_due()
    assert len([row for row in all_five[provider].sandbox.journal() if row["provider"] == provider]) == seen


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "drop_before_effect"}])
def test_a_crm_that_is_ill_says_nothing_of_credentials(crm: Crm, fault: dict[str, Any]) -> None:
    options = {name: value for name, value in fault.items() if name != "kind"}
    crm.sandbox.faults(fault["kind"], times=None, **options)
    assert probing.probe_due() == 0
    assert states() == {"gohighlevel": "active"}


def test_a_refusal_that_echoes_the_key_is_told_without_it(crm: Crm, caplog: pytest.LogCaptureFixture) -> None:
    crm.sandbox.faults("status", status=401, body={"message": f"{TOKEN} is not valid"})
    probing.probe_due()
    told = Connection.objects.get().state_reason + str(AuditEvent.objects.values_list("reason")) + caplog.text
    assert ("is not valid" in told, TOKEN in told) == (True, False)


@pytest.mark.parametrize("state", ["paused", "disabled", "auth_needed"])
def test_one_that_may_not_send_is_not_asked(crm: Crm, state: str) -> None:
    Connection.objects.update(state=state)
    assert (probing.probe_due(), crm.sandbox.journal()) == (0, [])


def test_nobody_is_asked_after_a_backup_was_restored(crm: Crm) -> None:
    GateMode.objects.update_or_create(pk=1, defaults={"paused_ms": db_now()})
    assert (probing.probe_due(), crm.sandbox.journal()) == (0, [])


def test_a_run_that_took_long_leaves_the_rest_to_the_next(all_five: dict[str, Crm]) -> None:
    clock = iter([0.0, 1.0, 2.0, 46.0])
    assert probing.probe_due(monotonic=lambda: next(clock)) == 2
    assert probing.probe_due() == 3


def test_a_refusal_of_old_credentials_does_not_stop_new_ones(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    crm.sandbox.account(token="another")
    verify = probing.wiring.gateway.Link.verify

    def replaced_meanwhile(link: Any, *, within_s: float) -> None:
        try:
            verify(link, within_s=within_s)
        finally:
            row = Connection.objects.get()
            row.secrets, row.secrets_version = {"token": "another"}, row.secrets_version + 1
            row.save()

    monkeypatch.setattr(probing.wiring.gateway.Link, "verify", replaced_meanwhile)
    assert probing.probe_due() == 0
    assert states() == {"gohighlevel": "active"}


def test_one_banner_tells_of_all_that_must_sign_in_again(all_five: dict[str, Crm], admin_client: Client) -> None:
    text = admin_client.get(reverse("admin:index")).content.decode()
    assert "Sign-in needed:" not in text
    Connection.objects.exclude(provider="rollout").update(state="auth_needed")
    labels = sorted(Connection.objects.filter(state="auth_needed").values_list("label", flat=True))
    text = admin_client.get(reverse("admin:integrations_tour_changelist")).content.decode()
    assert text.count('rr-notice"') >= 1
    assert text.count("Sign-in needed:") == 1
    assert f"Sign-in needed: “{labels[0]}”, “{labels[1]}”, “{labels[2]}” and 1 more" in text
    GateMode.objects.update_or_create(pk=1, defaults={"mode": "trickle", "since_ms": db_now()})
    text = admin_client.get(reverse("admin:integrations_tour_changelist")).content.decode()
    assert ("Sign-in needed:" in text, text.count("only a trickle is sent")) == (False, 1)


def test_a_key_revoked_in_mid_run_and_given_again_loses_and_doubles_nothing(
    world: SandboxServer, redis_server: RedisServer, tomorrow: datetime
) -> None:
    crm, other = Crm(world, redis_server, make_connection()), Crm(world, redis_server, make_hubspot_connection())
    crm.plan(*[make_tour(tomorrow, stops=2) for _ in range(5)])
    written = 0

    def revoke_after_four(point: str) -> None:
        nonlocal written
        written += point == "after_answer"
        if point == "after_answer" and written == 4:
            world.account(token="pit-new-token-0001")

    crm.engine.observe = revoke_after_four
    crm.drain()
    mine = Operation.objects.filter(connection=crm.connection)
    assert Counter(mine.values_list("state", flat=True)) == {"succeeded": 4, "pending": 11}
    assert set(mine.filter(state="pending").values_list("attempts", flat=True)) == {0}
    assert states() == {"gohighlevel": "auth_needed", "hubspot": "active"}
    other.drain()
    assert set(Operation.objects.exclude(pk__in=mine).values_list("state", flat=True)) == {"succeeded"}
    seen = world.last_seq()
    assert (crm.drain(), world.last_seq()) == (0, seen)

    connections.update_connection(crm.connection.pk, {"token": "pit-new-token-0001"}, actor="ada", via="admin")
    crm.drain()

    assert Counter(mine.values_list("state", "attempts")) == {("succeeded", 1): 15}
    made = Counter(
        (row["effect"]["kind"], row["effect"]["op"]) for row in world.journal("gohighlevel") if row["effect"]
    )
    assert (made["contact", "create"], made["appointment", "create"]) == (5, 10)
    assert sum(made.values()) == 15
    assert {row["account"] for row in world.journal("gohighlevel")} == {ACCOUNT}
    assert {row["account"] for row in world.journal("hubspot")} == {HUBSPOT_PORTAL}
    assert TOKEN not in str(world.journal())
    crm.close()
    other.close()


def test_a_pause_stops_every_worker_within_two_seconds_and_resuming_keeps_the_limits(
    crm: Crm, tomorrow: datetime
) -> None:
    """Each drain looks at its clock before each operation: so long after the pause the last of them has ended."""
    now, at = [1_000.0], dict[int, float]()
    workers = [crm.engine, Crm(crm.sandbox, crm.redis, crm.connection).engine]
    paused = 0.0

    def a_tenth_an_answer(point: str) -> None:
        nonlocal paused
        if point == "after_answer":
            now[0] += 0.1
            at[crm.sandbox.last_seq()] = now[0]
            if not paused and len(at) == 5:
                paused = now[0]
                connections.pause(crm.connection.pk, actor="ada", via="admin")

    for worker in workers:
        worker.monotonic, worker.observe = lambda: now[0], a_tenth_an_answer
    crm.plan(*[make_tour(tomorrow, stops=2) for _ in range(9)])
    outbound.drain(workers[0], crm.connection.pk)
    assert max(at.values()) <= paused + outbound.QUANTUM_S
    stopped = crm.sandbox.last_seq()
    for worker in workers:
        for _ in range(3):
            assert outbound.drain(worker, crm.connection.pk).worked == 0
    assert (probing.probe_due(), crm.sandbox.last_seq()) == (0, stopped)
    assert not claims.sending(db_now()).exists()
    assert set(Operation.objects.exclude(state="succeeded").values_list("attempts", flat=True)) == {0}

    connections.resume(crm.connection.pk, actor="ada", via="admin")
    while crm.drain_once():
        pass
    assert 429 not in [row["status"] for row in crm.sandbox.journal()]
