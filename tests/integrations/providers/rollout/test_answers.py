"""What Rollout's adapter makes of every answer, by the names its callers know, and what the contract says of its
requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.gateway import Link, UnknownKindError
from integrations.providers import errors
from integrations.providers.base import AccountFacts, SecondWriteError
from integrations.providers.rollout.errors import (
    RolloutAuthError,
    RolloutCircuitOpenError,
    RolloutError,
    RolloutNotReadyError,
    RolloutRateLimitError,
    RolloutRequestError,
    RolloutServerError,
    RolloutUnavailableError,
    RolloutUncertainError,
    error_of,
    named,
)
from tests.integrations.providers.gohighlevel.conftest import ANN, SHOWING
from tests.integrations.providers.rollout.conftest import NEW, Kind, linked
from tests.openapi import validate_request
from tests.sandbox_server import SandboxServer

STATUSES = [
    (400, RolloutRequestError, errors.Rejected),
    (401, RolloutAuthError, errors.AuthError),
    (403, RolloutAuthError, errors.AuthError),
    (409, RolloutNotReadyError, errors.NotReady),
    (422, RolloutRequestError, errors.Rejected),
    (429, RolloutRateLimitError, errors.RateLimited),
    (500, RolloutUncertainError, errors.Uncertain),
    (502, RolloutUncertainError, errors.Uncertain),
    (503, RolloutUnavailableError, errors.NotProcessed),
    (504, RolloutUncertainError, errors.Uncertain),
    (302, RolloutUncertainError, errors.Uncertain),
]


@pytest.mark.parametrize(("status", "error", "common"), STATUSES)
def test_every_answer_has_rollouts_name_and_the_common_meaning(
    people: Kind, sandbox: SandboxServer, status: int, error: type[RolloutError], common: type[Exception]
) -> None:
    sandbox.faults("status", provider="rollout", status=status, body={"errorMessage": "no"}, times=2)
    with pytest.raises(error) as caught:
        people.write(ANN)
    assert isinstance(caught.value, common)
    assert (caught.value.provider, caught.value.status, caught.value.message) == ("rollout", status, "no")
    assert caught.value.advice == common.advice  # type: ignore[attr-defined]
    # A 401 is tried once with a token minted anew, nothing else is sent twice.
    assert len(sandbox.journal("rollout")) == (2 if status == 401 else 1)


@pytest.mark.parametrize("body", [{"errorMessage": "why"}, {"error": "why"}, {"message": "why"}])
def test_the_reason_is_found_under_any_of_its_names(people: Kind, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="rollout", status=400, body=body)
    with pytest.raises(RolloutRequestError, match="why"):
        people.write(ANN)


def test_data_that_is_not_ready_is_asked_for_again_in_30_to_60_s(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.rollout(not_ready=1)
    with pytest.raises(RolloutNotReadyError, match="not ready yet") as caught:
        people.write(ANN)
    assert caught.value.retry_after_s is not None
    assert 30.0 <= caught.value.retry_after_s <= 60.0


def test_not_ready_leaves_the_circuit_alone(people: Kind, sandbox: SandboxServer, link: Link) -> None:
    sandbox.rollout(not_ready=5)
    with link.use() as tally:
        for _ in range(5):
            with pytest.raises(RolloutNotReadyError):
                people.write(ANN)
    assert tally.breaker is not None
    assert (tally.breaker.state, tally.breaker.failures) == ("closed", 0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_wait_is_spread_over_half_a_minute(people: Kind, sandbox: SandboxServer, link: Link, share: float) -> None:
    sandbox.rollout(not_ready=1)
    answer = link.exchange(lambda: None).read("GET", "/people")
    error = error_of(answer, uniform=lambda low, high: low + share * (high - low))
    assert error.retry_after_s == 30.0 + 30.0 * share


def test_a_garbled_2xx_is_doubt_and_counts_for_the_circuit(people: Kind, sandbox: SandboxServer, link: Link) -> None:
    sandbox.faults("garbled", provider="rollout")
    with link.use() as tally, pytest.raises(RolloutUncertainError):
        people.write(ANN)
    assert tally.breaker is not None
    assert tally.breaker.failures == 1


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 5}, {"id": None}, [], ["id"], "id", None])
def test_a_2xx_without_an_id_is_doubt(people: Kind, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="rollout", status=201, body=body)
    with pytest.raises(RolloutUncertainError):
        people.write(ANN)


def test_a_record_that_answers_under_another_id_is_not_understood(
    people: Kind, stops: Kind, sandbox: SandboxServer
) -> None:
    sandbox.faults("status", provider="rollout", status=200, body={"id": "other"}, times=2)
    with pytest.raises(RolloutUncertainError):
        people.lookup(ANN, linked("ann"))
    with pytest.raises(RolloutUncertainError):
        stops.write(SHOWING, linked("a"), contact="p", appointment_type="t")


def test_an_id_that_is_no_path_segment_stays_one(people: Kind, sandbox: SandboxServer) -> None:
    with pytest.raises(RolloutError):
        people.lookup(ANN, linked("../appointments"))
    assert sandbox.journal("rollout")[-1]["path"] != "/api/appointments"


def test_an_adapter_cannot_write_twice_in_one_operation(people: Kind) -> None:
    exchange = people.exchange()
    people.kind.write(exchange, people.wanted(ANN), NEW)
    with pytest.raises(SecondWriteError):
        people.kind.write(exchange, people.wanted(ANN), NEW)


def test_a_kind_that_does_not_exist_is_named(link: Link) -> None:
    with pytest.raises(UnknownKindError, match=r"Rollout has no 'message\.send'"):
        link.kind("message.send")


# --- one tree ------------------------------------------------------------------------------------------------------


def test_what_the_engine_knows_by_a_common_name_has_one_of_rollouts() -> None:
    answered = set(errors.ProviderError.__subclasses__()) | {errors.Gone}
    common = {kind for kind in answered if kind.__module__ == errors.__name__}
    # Only we renew no token here.
    without_name = {
        kind for kind in common if type(named(kind("rollout", "why"))) is kind and kind is not errors.RefreshBusy
    }
    assert without_name == set()


def test_a_name_given_keeps_all_that_is_known() -> None:
    error = named(errors.CircuitOpen("rollout", "why", 503, "r1", 5.0, 7))
    assert isinstance(error, RolloutCircuitOpenError)
    assert (error.provider, error.message, error.status, error.request_id) == ("rollout", "why", 503, "r1")
    assert (error.retry_after_s, error.credentials_version) == (5.0, 7)
    assert named(error) is error


def test_both_ways_of_failing_at_the_server_are_server_errors() -> None:
    assert issubclass(RolloutUncertainError, RolloutServerError)
    assert issubclass(RolloutUnavailableError, RolloutServerError)


# --- the vendor's own contract -------------------------------------------------------------------------------------


def test_every_request_is_one_the_vendor_documents(
    people: Kind, types: Kind, stops: Kind, sandbox: SandboxServer
) -> None:
    sandbox.rollout(appointment_outcomes=["Showed", "No Show"])
    account = AccountFacts(1)
    people.lookup(ANN)
    ann = people.write(ANN)
    people.lookup(ANN)
    people.lookup(ANN, linked(ann))
    people.write(replace(ANN, first_name="", last_name="", email="", phone="+19165550777"))
    types.lookup(account)
    kind = types.write(account)
    types.lookup(account, linked(kind))
    needs = {"contact": ann, "appointment_type": kind}
    stops.lookup(SHOWING, **needs)
    first = linked(stops.write(SHOWING, **needs))
    stops.lookup(SHOWING, first, **needs)
    stops.write(replace(SHOWING, outcome="no_show"), first, **needs)
    stops.written(replace(SHOWING, live=False), first, **needs)
    rows = sandbox.journal("rollout")
    assert {(row["method"], row["path"].split("/")[2]) for row in rows} == {
        ("GET", "people"), ("POST", "people"), ("GET", "appointment-types"), ("POST", "appointment-types"),
        ("GET", "appointments"), ("POST", "appointments"), ("PUT", "appointments"), ("DELETE", "appointments"),
        ("GET", "appointment-outcomes"),
    }  # fmt: skip
    for row in rows:
        headers = {**row["headers"], "authorization": "Bearer t"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider="rollout")
