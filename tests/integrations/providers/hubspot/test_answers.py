"""What HubSpot's adapter makes of its answers: limits, errors, tokens, the account, its owners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.providers.auth import Credentials
from integrations.providers.base import ProviderUser
from integrations.providers.errors import AuthError, NotReady, ProviderError, RateLimited, Rejected, Uncertain
from tests.integrations.providers.conftest import Figures, MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN, Kind
from tests.integrations.providers.hubspot.conftest import requests
from tests.sandbox_server import HUBSPOT_PORTAL, SandboxServer

WITHIN_S = 10.0


def limited(policy: str) -> dict[str, str]:
    """The body of a 429."""
    return {
        "status": "error", "message": f"You have reached your {policy.lower()} limit.", "errorType": "RATE_LIMIT",
        "correlationId": "c-1", "policyName": policy,
    }  # fmt: skip


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "wait"), [("SECONDLY", 1.0), ("TEN_SECONDLY_ROLLING", 10.0), ("DAILY", 3600.0), ("NEW", None)]
)
def test_a_limit_is_waited_for_by_its_policy(
    people: Kind, sandbox: SandboxServer, policy: str, wait: float | None
) -> None:
    sandbox.faults("status", provider="hubspot", status=429, body=limited(policy), match={"method": "POST"})
    with pytest.raises(RateLimited) as caught:
        people.write(ANN)
    assert (caught.value.retry_after_s, caught.value.request_id) == (wait, "c-1")
    assert sandbox.effects() == []


def test_a_retry_after_goes_before_the_policy(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults(
        "status", provider="hubspot", status=429, body=limited("DAILY"), headers={"Retry-After": "7"},
        match={"method": "POST"},
    )  # fmt: skip
    with pytest.raises(RateLimited) as caught:
        people.write(ANN)
    assert caught.value.retry_after_s == 7.0


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "wait"), [(423, 2.0), (477, 3600.0)])
def test_an_account_that_is_locked_or_being_moved_is_asked_again_and_blames_nobody(
    people: Kind, sandbox: SandboxServer, status: int, wait: float
) -> None:
    sandbox.faults("status", provider="hubspot", status=status, match={"method": "POST"})
    with pytest.raises(NotReady) as caught:
        people.write(ANN)
    assert (caught.value.retry_after_s, caught.value.status) == (wait, status)


@pytest.mark.parametrize(
    ("status", "category", "error"),
    [
        (400, "VALIDATION_ERROR", Rejected),
        (401, "EXPIRED_AUTHENTICATION", AuthError),
        (403, "MISSING_SCOPES", AuthError),
        (414, "URI_TOO_LONG", Rejected),
        (521, "DOWN", Uncertain),
    ],
)
def test_an_error_has_the_vendors_words_and_its_correlation_id(
    people: Kind, sandbox: SandboxServer, status: int, category: str, error: type[ProviderError]
) -> None:
    body = {"status": "error", "category": category, "message": "in the vendor's words", "correlationId": "c-2"}
    sandbox.faults("status", provider="hubspot", status=status, body=body, match={"method": "POST"}, times=2)
    with pytest.raises(error, match="in the vendor's words") as caught:
        people.write(ANN)
    assert (caught.value.status, caught.value.request_id) == (status, "c-2")


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": None}, {"id": True}, [], "id", None])
def test_a_2xx_without_an_id_is_doubt(people: Kind, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="hubspot", status=201, body=body, match={"method": "POST"})
    with pytest.raises(Uncertain):
        people.write(ANN)


def test_a_search_that_is_not_understood_never_means_nobody(people: Kind, sandbox: SandboxServer) -> None:
    for body in ({}, {"results": [{}]}, {"results": 5}):
        sandbox.faults("status", provider="hubspot", status=200, body=body, match={"method": "POST"})
        with pytest.raises(Uncertain):
            people.lookup(replace(ANN, email=""))


# --- the account and its owners ------------------------------------------------------------------------------------


def test_a_token_is_tried_with_one_read_of_the_account(link: gateway.Link, sandbox: SandboxServer) -> None:
    link.verify(within_s=WITHIN_S)
    assert requests(sandbox) == ["GET /account-info/v3/details"]


def test_a_token_of_another_account_does_not_pass(
    facts: gateway.ConnectionFacts, store: MemoryStore, gate: Gate
) -> None:
    other = replace(facts, config={**facts.config, "portal_id": "42"})
    with pytest.raises(Rejected, match=f"belongs to account {HUBSPOT_PORTAL}"):
        gateway.open_connection(other, store, gate, Figures()).verify(within_s=WITHIN_S)
    gateway.close_all()


def test_a_wrong_token_does_not_pass(facts: gateway.ConnectionFacts, gate: Gate) -> None:
    wrong = MemoryStore(Credentials({"token": "pat-wrong"}, 1))
    with pytest.raises(AuthError):
        gateway.open_connection(facts, wrong, gate, Figures()).verify(within_s=WITHIN_S)
    gateway.close_all()


def test_owners_are_read_page_by_page(link: gateway.Link, sandbox: SandboxServer) -> None:
    many = [{"id": str(n), "name": f"Agent Number{n}", "email": f"n{n}@brokerage.example"} for n in range(150)]
    sandbox.hubspot(users=many)
    found = link.users(within_s=WITHIN_S)
    assert [user.id for user in found] == [str(n) for n in range(150)]
    assert found[0] == ProviderUser("0", "Agent Number0", "n0@brokerage.example")
    assert [row["query"] for row in sandbox.journal()] == [{"limit": "100"}, {"limit": "100", "after": "100"}]


def test_a_queue_is_nobody(link: gateway.Link, sandbox: SandboxServer) -> None:
    rows = [{"id": "1", "type": "QUEUE"}, {"id": "2", "type": "PERSON", "firstName": "Ann", "email": None}]
    sandbox.faults("status", provider="hubspot", status=200, body={"results": rows})
    assert link.users(within_s=WITHIN_S) == [ProviderUser("2", "Ann", "")]


# --- an app's tokens -----------------------------------------------------------------------------------------------

APP = {"client_id": "app-1", "client_secret": "app-secret", "refresh_token": "refresh-1"}


@pytest.fixture
def app(facts: gateway.ConnectionFacts, gate: Gate, sandbox: SandboxServer) -> Callable[[MemoryStore], gateway.Link]:
    """A link with an app's credentials."""
    sandbox.hubspot(oauth=APP)
    return lambda store: gateway.open_connection(facts, store, gate, Figures())


def test_an_apps_token_is_renewed_by_form_and_the_refresh_token_stays(
    app: Callable[[MemoryStore], gateway.Link], sandbox: SandboxServer
) -> None:
    store = MemoryStore(Credentials({"client_secret": "app-secret", "refresh_token": "refresh-1"}, 1))
    app(store).verify(within_s=WITHIN_S)
    gateway.close_all()
    assert requests(sandbox) == ["POST /oauth/v3/token", "GET /account-info/v3/details"]
    row = sandbox.journal()[0]
    assert row["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert row["body"]["grant_type"] == "refresh_token"
    (saved,) = store.saved
    assert saved["refresh_token"] == "refresh-1"
    assert store.credentials.expires_at is not None
    left = store.credentials.expires_at - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)


def test_a_token_that_ran_out_is_renewed_once_and_the_request_repeated(
    app: Callable[[MemoryStore], gateway.Link], sandbox: SandboxServer
) -> None:
    held = {"client_secret": "app-secret", "refresh_token": "refresh-1", "access_token": "long-gone"}
    app(MemoryStore(Credentials(held, 1))).verify(within_s=WITHIN_S)
    gateway.close_all()
    details = "GET /account-info/v3/details"
    assert requests(sandbox) == [details, "POST /oauth/v3/token", details]


def test_a_refresh_token_that_is_refused_is_for_a_person(app: Callable[[MemoryStore], gateway.Link]) -> None:
    wrong = MemoryStore(Credentials({"client_secret": "app-secret", "refresh_token": "refresh-2"}, 1))
    with pytest.raises(AuthError, match="invalid refresh token"):
        app(wrong).verify(within_s=WITHIN_S)
    gateway.close_all()
