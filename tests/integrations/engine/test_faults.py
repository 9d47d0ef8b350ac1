"""What the law says of each fault, one by one, at every provider and for everything we do there.

At the first two providers in full; at each further one every fault meets one act, and every act one of each table.

Each case: the fault meets the one write of an act; the operation's state, reason, doubt and attempts are the table's;
then the faults end, and the journal holds exactly one effect of ours and no message to a buyer.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from integrations.models import Attempt, Connection
from integrations.operations import operations as verbs
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from integrations.providers import registry
from tests.conftest import CRMS
from tests.crm import Crm
from tests.crm_acts import ACTS, KINDS, SAID_AT, STAFF, Act
from tests.sandbox_server import ACCOUNT, CALENDAR, HUBSPOT_PORTAL, SandboxServer

DEADLINE_S = 0.25
NOT_READY = {"errorMessage": "Data for this credential is not ready yet. Please try again."}


IN_FULL = ("gohighlevel", "rollout")


def searched(provider: str, act: str) -> bool:
    """Whether the provider can be asked for what this act makes."""
    return registry.manifest(provider).kinds[KINDS.get(act, "appointment.sync")].has_lookup


def cases(faults: Mapping[str, Any], *, everywhere: Collection[str] = (), lost: bool = False) -> list[Any]:
    """Provider and act, with a fault. `everywhere`: meets each act at each provider; `lost`: a look-up ends it."""
    return [
        pytest.param((provider, act), fault, id=f"{provider}-{act}-{name}")
        for provider in CRMS
        for act in ACTS
        for name, fault in faults.items()
        if provider in IN_FULL or act == "create" or name in everywhere
        if not lost or searched(provider, act)
    ]


@pytest.fixture
def act(request: pytest.FixtureRequest, world: SandboxServer, tomorrow: datetime) -> Act:
    """At the provider, and the act, that the test names."""
    provider, name = request.param
    return Act(request.getfixturevalue(CRMS[provider]), name, tomorrow)


def outcome(act: Act) -> tuple[str, str, bool, int]:
    found = act.operation
    return (found.state, found.reason, found.in_doubt, found.attempts)


# --- the answer is lost ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lost:
    """A write whose answer does not tell. `applied`: it was done all the same. `slow`: the deadline ends it."""

    kind: str
    applied: bool
    options: dict[str, Any] = field(default_factory=dict)
    slow: bool = False


LOST = {
    "timeout after it was done": Lost("delay", applied=True, options={"seconds": 20}, slow=True),
    "reset after it was done": Lost("drop_after_effect", applied=True),
    "answer is garbled": Lost("garbled", applied=True),
    "reset before it was done": Lost("drop_before_effect", applied=False),
    "2xx that says nothing": Lost("status", applied=False, options={"status": 200, "body": {}}),
    "500": Lost("status", applied=False, options={"status": 500}),
}
# The same for whatever is sent: for one act.
LOST_ON_THE_WIRE = {
    "answer drips past the deadline": Lost("drip", applied=True, options={"seconds": 20}, slow=True),
    "timeout before it was done": Lost("silence", applied=False, options={"seconds": 20}, slow=True),
    "502": Lost("status", applied=False, options={"status": 502}),
    "504": Lost("status", applied=False, options={"status": 504}),
}


@pytest.mark.parametrize(
    ("act", "lost"), cases(LOST, everywhere=["reset after it was done"], lost=True), indirect=["act"]
)
def test_a_lost_answer_is_doubt_that_a_look_ends(act: Act, lost: Lost, settings: Any) -> None:
    _lose(act, lost, settings)


@pytest.mark.parametrize("lost", LOST_ON_THE_WIRE.values(), ids=list(LOST_ON_THE_WIRE))
@pytest.mark.parametrize("act", [(provider, "create") for provider in IN_FULL], ids=IN_FULL, indirect=True)
def test_nothing_on_the_wire_says_more(act: Act, lost: Lost, settings: Any) -> None:
    _lose(act, lost, settings)


UNSEARCHED = [(provider, act) for provider in CRMS for act in (*ACTS, "summary") if not searched(provider, act)]


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("act", UNSEARCHED, ids="-".join, indirect=True)
def test_where_nothing_can_be_looked_up_a_person_says_whether_it_arrived(
    act: Act, arrived: bool, settings: Any
) -> None:
    act.fault("drop_after_effect" if arrived else "drop_before_effect")
    act.go()
    assert outcome(act) == ("unknown", "answer_lost", True, 1)
    act.crm.settle_doubt()
    act.go()
    assert outcome(act) == ("needs_person", "no_look_up", True, 2)
    if arrived:
        verbs.answer_arrived(act.operation_id, act.writes()[0]["effect"]["id"], STAFF)
    else:
        verbs.answer_not_arrived(act.operation_id, STAFF)
    act.go()
    assert act.operation.state == "succeeded"
    act.assert_done_once()
    assert len(act.writes()) == (1 if arrived else 2)


@pytest.mark.parametrize("applied", [True, False])
def test_an_edit_of_what_cannot_be_searched_is_read_by_its_id(
    followupboss_crm: Crm, applied: bool, tomorrow: datetime
) -> None:
    act = Act(followupboss_crm, "note", tomorrow)
    act.go()
    save_feedback(act.stop.pk, FeedbackInput("buyer", SAID_AT, {"interest_level": "unsure"}), actor="ann", via="api")
    act.find()
    kind = "drop_after_effect" if applied else "drop_before_effect"
    act.crm.sandbox.faults(kind, provider=act.vendor, match={"method": "PUT", "path": "/v1/notes/"})
    act.go()
    assert (act.operation.state, act.operation.in_doubt) == ("unknown", True)
    act.crm.settle_doubt()
    act.go()
    assert act.operation.state == "succeeded"
    assert act.effects() == [("create", act.ref.external_id), ("update", act.ref.external_id)]


def _lose(act: Act, lost: Lost, settings: Any) -> None:
    if lost.slow:
        # The look-ups before the first write have the same deadline, and are to be answered.
        settings.REANNA_TOTAL_DEADLINE_S = 3 * DEADLINE_S if act.act == "link" else DEADLINE_S
    act.fault(lost.kind, **lost.options)
    act.go()
    assert outcome(act) == ("unknown", "answer_lost", True, 1)
    assert act.ref.acked_digest is None
    act.settle(settings)
    act.assert_done_once()
    assert len(act.writes()) == (1 if lost.applied else 2)
    assert act.looked_between_writes()


# --- a definite no ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Definite:
    """An answer that says that nothing was done. `wait_ms`: how long the operation and its connection wait.

    `waits_ms`: at the providers whose answer says so itself.
    """

    state: str
    reason: str
    attempts: int
    options: dict[str, Any]
    wait_ms: int | None = None
    waits_ms: dict[str, int] = field(default_factory=dict)
    connection: str = "active"


DEFINITE = {
    "503": Definite("retryable", "not_processed", 1, {"kind": "status", "status": 503}),
    "429, Retry-After 30": Definite(
        "waiting", "rate_limited", 0, {"kind": "rate_limited", "retry_after": 30}, wait_ms=30_000
    ),
    "429": Definite(
        "waiting", "rate_limited", 0, {"kind": "rate_limited"}, wait_ms=1_000, waits_ms={"hubspot": 10_000}
    ),
    "400": Definite("dead", "rejected", 1, {"kind": "status", "status": 400}),
    "422": Definite("dead", "rejected", 1, {"kind": "status", "status": 422}),
    "401 for good": Definite(
        "pending", "auth_needed", 0, {"kind": "status", "status": 401, "times": None}, connection="auth_needed"
    ),
    "403": Definite("pending", "auth_needed", 0, {"kind": "status", "status": 403}, connection="auth_needed"),
}


@pytest.mark.parametrize(("act", "no"), cases(DEFINITE, everywhere=["503"]), indirect=["act"])
def test_a_definite_no_leaves_no_doubt(act: Act, no: Definite, settings: Any) -> None:
    act.fault(**no.options)
    act.go()
    assert outcome(act) == (no.state, no.reason, False, no.attempts)
    assert act.effects() == []
    connection = Connection.objects.get()
    assert connection.state == no.connection
    wait_ms = no.waits_ms.get(act.vendor, no.wait_ms)
    if wait_ms is not None:
        ended = Attempt.objects.get(operation=act.operation).ended_ms
        assert ended is not None
        assert act.operation.due_ms - ended == wait_ms
        assert (connection.hold_reason, connection.hold_until_ms) == ("rate_limited", act.operation.due_ms)
    sent = len(act.writes())
    act.settle(settings)
    act.assert_done_once()
    assert len(act.writes()) == sent + 1


@pytest.mark.parametrize("name", ACTS)
def test_not_ready_is_waited_for_outside_the_breaker(
    rollout_crm: Crm, name: str, tomorrow: datetime, settings: Any
) -> None:
    act = Act(rollout_crm, name, tomorrow)
    act.fault("status", status=409, body=NOT_READY)
    act.go()
    assert outcome(act) == ("waiting", "not_ready", False, 0)
    attempt = Attempt.objects.get(operation=act.operation)
    assert attempt.ended_ms is not None
    assert 30_000 <= act.operation.due_ms - attempt.ended_ms <= 60_000
    connection = Connection.objects.get()
    assert connection.hold_reason == ""
    assert connection.breaker.get("failures", 0) == 0
    act.settle(settings)
    act.assert_done_once()


# --- nothing left us -------------------------------------------------------------------------------------------------


NEVER_LEFT = {"nobody listens": ("connect_refused", 1), "name is not known": ("local_network", 0)}


@pytest.mark.parametrize(("act", "never"), cases(NEVER_LEFT), indirect=["act"])
def test_what_never_left_is_no_doubt(act: Act, never: tuple[str, int], settings: Any) -> None:
    reason, attempts = never
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        settings.REANNA_BASE_URLS = settings.REANNA_BASE_URLS | {
            act.vendor: nobody if reason == "connect_refused" else "http://crm.invalid"
        }
        act.go()
    assert outcome(act) == ("retryable", reason, False, attempts)
    assert act.writes() == []
    act.settle(settings)
    act.assert_done_once()
    assert len(act.writes()) == 1


# --- signing in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [(provider, act) for provider in IN_FULL for act in ACTS], ids="-".join, indirect=True)
def test_a_401_renews_the_sign_in_once_and_sends_again(act: Act) -> None:
    if act.vendor == "gohighlevel":
        oauth = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "first-access"}
        act.crm.sandbox.account(oauth={"client_id": "app-1", **oauth})
        config = {"location_id": ACCOUNT, "calendar_id": CALENDAR, "client_id": "app-1"}
        Connection.objects.update(secrets=oauth, config=config)
    if act.vendor == "hubspot":
        app = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "first-access"}
        act.crm.sandbox.hubspot(oauth={"client_id": "app-1", **app})
        Connection.objects.update(secrets=app, config={"portal_id": HUBSPOT_PORTAL, "client_id": "app-1"})
    act.fault("status", status=401)
    act.go()
    assert (act.operation.state, act.operation.attempts) == ("succeeded", 1)
    refused, done = act.writes()
    assert refused["status"] == 401
    assert refused["headers"]["authorization"] != done["headers"]["authorization"]
    assert Connection.objects.get().state == "active"
    act.assert_done_once()


# --- the record is gone ----------------------------------------------------------------------------------------------


def test_a_linked_record_that_is_gone_waits_for_a_person(each_crm: Crm, tomorrow: datetime) -> None:
    act = Act(each_crm, "move", tomorrow)
    act.fault("status", status=404)
    act.go()
    assert outcome(act) == ("dead", "gone_at_provider", False, 1)
    assert (act.ref.external_id, act.ref.acked_digest, act.effects()) == (None, None, [])
    assert act.ref.gone_at is not None
    act.crm.pass_time(3600)
    act.go()
    assert act.effects() == []
    verbs.retry(act.operation_id, STAFF)
    act.go()
    assert act.effects() == [("create", act.ref.external_id)]


# --- the look-up -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """A look-up of what is in doubt that is not answered."""

    state: str
    reason: str
    attempts: int
    options: dict[str, Any]


FAILED_LOOKS = {
    "500": Look("unknown", "look_up_failed", 2, {"kind": "status", "status": 500}),
    "503": Look("unknown", "not_processed", 2, {"kind": "status", "status": 503}),
    "reset": Look("unknown", "look_up_failed", 2, {"kind": "drop_before_effect"}),
    "garbled": Look("unknown", "look_up_failed", 2, {"kind": "garbled"}),
    "429": Look("waiting", "rate_limited", 1, {"kind": "rate_limited", "retry_after": 30}),
    "403": Look("unknown", "auth_needed", 1, {"kind": "status", "status": 403}),
    "400": Look("needs_person", "rejected", 2, {"kind": "status", "status": 400}),
}


@pytest.mark.parametrize("look", FAILED_LOOKS.values(), ids=list(FAILED_LOOKS))
def test_a_failed_look_keeps_the_doubt(each_crm: Crm, look: Look, tomorrow: datetime, settings: Any) -> None:
    _fail_the_look(Act(each_crm, "create", tomorrow), look, settings)


def test_a_look_that_is_not_ready_keeps_the_doubt(rollout_crm: Crm, tomorrow: datetime, settings: Any) -> None:
    look = Look("waiting", "not_ready", 1, {"kind": "status", "status": 409})
    _fail_the_look(Act(rollout_crm, "create", tomorrow), look, settings)


LOOKED_UP = [(provider, act) for provider in CRMS for act in ACTS if act != "create" and searched(provider, act)]


@pytest.mark.parametrize("act", LOOKED_UP, ids="-".join, indirect=True)
def test_a_failed_look_keeps_the_doubt_whatever_was_sent(act: Act, settings: Any) -> None:
    _fail_the_look(act, FAILED_LOOKS["500"], settings)


def _fail_the_look(act: Act, look: Look, settings: Any) -> None:
    act.fault("drop_after_effect")
    act.go()
    act.crm.settle_doubt()
    act.fault_of_reads(**look.options)
    act.go()
    assert outcome(act) == (look.state, look.reason, True, look.attempts)
    assert len(act.writes()) == 1
    act.settle(settings)
    act.assert_done_once()
    assert len(act.writes()) == 1


def test_a_first_look_that_fails_makes_no_doubt(each_crm: Crm, tomorrow: datetime, settings: Any) -> None:
    act = Act(each_crm, "link", tomorrow)
    act.fault_of_reads("status", status=500)
    act.crm.drain_once()
    assert outcome(act) == ("retryable", "look_up_failed", False, 1)
    assert act.writes() == []
    act.settle(settings)
    act.assert_done_once()


MARKED = [(provider, act) for provider in CRMS for act in ("create", "note", "task") if searched(provider, act)]


@pytest.mark.parametrize("act", MARKED, ids="-".join, indirect=True)
def test_two_matches_ask_a_person_who_says_which(act: Act) -> None:
    act.fault("drop_after_effect")
    act.go()
    (sent,) = act.writes()
    act.crm.call("POST", sent["path"], sent["body"])
    act.crm.settle_doubt()
    act.go()
    assert outcome(act) == ("needs_person", "two_matches", True, 2)
    verbs.answer_arrived(act.operation_id, sent["effect"]["id"], STAFF)
    act.go()
    act.assert_done_once()
    assert len(act.writes()) == 1
