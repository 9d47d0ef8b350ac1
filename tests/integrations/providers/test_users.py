"""Reading who has a login at a provider, over real HTTP, through the gate, within its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from integrations import gateway
from integrations.gate import Gate, Outcome
from integrations.gateway import Link, UnknownKindError
from integrations.providers.auth import Credentials
from integrations.providers.base import ProviderUser
from integrations.providers.errors import AuthError, CircuitOpen, RateLimited, Uncertain
from integrations.providers.rollout.errors import RolloutUncertainError
from tests.integrations.providers.conftest import CONFIG, Figures, MemoryStore
from tests.integrations.providers.rollout.conftest import CONFIG as ROLLOUT_CONFIG
from tests.openapi import validate_request
from tests.sandbox_server import ROLLOUT_CREDENTIAL, ROLLOUT_SECRET, ROLLOUT_USERS, SandboxServer

PEOPLE = [{"id": f"user_{n}", "name": f"Agent Number{n}", "email": f"n{n}@brokerage.example"} for n in range(3)]
EXPECTED = [ProviderUser(one["id"], one["name"], one["email"]) for one in PEOPLE]
WITHIN_S = 5.0


@pytest.fixture
def location(open_link: Callable[..., Link], sandbox: SandboxServer) -> Link:
    """GoHighLevel, with three users."""
    sandbox.account(users=PEOPLE)
    return open_link()


@pytest.fixture
def rollout(facts: gateway.ConnectionFacts, gate: Gate, sandbox: SandboxServer) -> Iterator[Link]:
    sandbox.rollout()
    store = MemoryStore(Credentials({"client_secret": ROLLOUT_SECRET}, 1))
    base_url = f"{sandbox.url}/rollout/api"
    account = replace(
        facts, id=2, provider="rollout", account_key=ROLLOUT_CREDENTIAL, config=ROLLOUT_CONFIG, base_url=base_url
    )
    yield gateway.open_connection(account, store, gate, Figures())
    gateway.close_all()


def test_a_locations_users_are_read_with_the_documented_parameter_alone(location: Link, sandbox: SandboxServer) -> None:
    assert sorted(location.users(within_s=WITHIN_S), key=lambda user: user.id) == EXPECTED
    (row,) = sandbox.journal()
    assert (row["method"], row["path"], row["query"]) == ("GET", "/users/", {"locationId": CONFIG["location_id"]})
    assert row["headers"]["version"] == "2021-07-28"


def test_a_location_without_users_has_none(open_link: Callable[..., Link]) -> None:
    assert open_link().users(within_s=WITHIN_S) == []


def test_rollouts_users_are_read_page_by_page(rollout: Link, sandbox: SandboxServer) -> None:
    many = [{"id": f"u{n:03}", "name": f"Agent Number{n}", "email": f"n{n}@brokerage.example"} for n in range(150)]
    sandbox.rollout(users=many)
    found = rollout.users(within_s=WITHIN_S)
    assert {user.id for user in found} == {user["id"] for user in many}
    rows = sandbox.journal("rollout")
    assert [(row["path"], row["query"]["limit"], "next" in row["query"]) for row in rows] == [
        ("/api/users", "100", False), ("/api/users", "100", True),
    ]  # fmt: skip
    for row in rows:
        headers = {**row["headers"], "authorization": "Bearer x.y.z"}
        validate_request("GET", row["path"], headers, row["query"], row["body"], provider="rollout")


def test_rollouts_users_have_one_name(rollout: Link) -> None:
    assert sorted(rollout.users(within_s=WITHIN_S), key=lambda user: user.id) == [
        ProviderUser(one["id"], one["name"], one["email"]) for one in ROLLOUT_USERS
    ]


def test_it_counts_against_the_limit(location: Link, gate: Gate) -> None:
    location.users(within_s=WITHIN_S)
    assert gate.look(location.scope).used["burst"] == 1


@pytest.mark.parametrize("body", [{}, {"users": "none"}, {"users": [{"name": "no id"}]}, []])
def test_a_list_that_is_not_understood_is_not_an_empty_one(
    location: Link, sandbox: SandboxServer, body: object
) -> None:
    sandbox.faults("status", status=200, body=body)
    with pytest.raises(Uncertain):
        location.users(within_s=WITHIN_S)


def test_a_token_that_may_not_read_users_is_told(location: Link, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=403, body={"message": "The token is not authorized for this scope."})
    with pytest.raises(AuthError, match="not authorized for this scope"):
        location.users(within_s=WITHIN_S)


def test_an_open_circuit_is_told_and_nothing_is_asked(location: Link, sandbox: SandboxServer, gate: Gate) -> None:
    for _ in range(3):
        gate.report(gate.admit(location.scope), Outcome.FAILURE)  # type: ignore[arg-type]
    with pytest.raises(CircuitOpen):
        location.users(within_s=WITHIN_S)
    assert sandbox.journal() == []


def test_a_used_up_limit_is_told_and_nothing_is_asked(
    open_link: Callable[..., Link], sandbox: SandboxServer, gate: Gate
) -> None:
    link = open_link(limit_overrides={"burst": 1})
    gate.report(gate.admit(link.scope), Outcome.OK)  # type: ignore[arg-type]
    with pytest.raises(RateLimited):
        link.users(within_s=WITHIN_S)
    assert sandbox.journal() == []


def test_a_crm_that_does_not_answer_is_given_up_in_time(location: Link, sandbox: SandboxServer) -> None:
    sandbox.faults("delay", seconds=3)
    with pytest.raises(Uncertain):
        location.users(within_s=0.3)


def test_several_pages_share_the_time(rollout: Link, sandbox: SandboxServer) -> None:
    with pytest.raises(Uncertain):
        rollout.users(within_s=0.0)
    assert sandbox.journal("rollout") == []


def test_rollouts_garbled_list_has_rollouts_name(rollout: Link, sandbox: SandboxServer) -> None:
    sandbox.faults("status", provider="rollout", status=200, body={"users": []})
    with pytest.raises(RolloutUncertainError):
        rollout.users(within_s=WITHIN_S)


def test_a_provider_that_cannot_be_asked_says_so(location: Link, sandbox: SandboxServer) -> None:
    location.manifest = replace(location.manifest, users=None)
    with pytest.raises(UnknownKindError, match="GoHighLevel cannot be asked for its users"):
        location.users(within_s=WITHIN_S)
    assert sandbox.journal() == []
