"""Opening the way to a provider."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from integrations import gateway
from integrations.gate import BreakerState, Outcome, Permit, Refusal, Scope, Window
from integrations.providers import registry
from integrations.providers.auth import Credentials, LastingToken, OAuth2
from integrations.providers.registry import UnknownProviderError

FACTS = gateway.ConnectionFacts(
    id=1,
    provider="gohighlevel",
    account_key="loc_1",
    config={"location_id": "loc_1", "calendar_id": "cal_1"},
    limit_overrides={},
    secrets_version=1,
    base_url="http://127.0.0.1:9",
)


class OpenGate:
    """Admits everything."""

    def admit(self, scope: Scope, cost: int = 1) -> Permit | Refusal:
        return Permit(scope, "1", 0, 60_000, None, 9)

    def report(self, permit: Permit, outcome: Outcome, **_: object) -> BreakerState:
        return BreakerState("closed", 0, 0, None, None)


class Store:
    """Hands out one set of secrets."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets

    def load(self) -> Credentials:
        return Credentials(self.secrets, 1)

    def refresh_lease(self) -> Any:
        raise NotImplementedError

    def refresh_wait(self) -> float:
        raise NotImplementedError

    def refresh_begins(self, version: int) -> bool:
        raise NotImplementedError

    def refresh_failed(self, rest_s: float) -> None:
        raise NotImplementedError

    def save(self, *_: object, **__: object) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Figures:
    connect_timeout_s: float = 2.0
    total_deadline_s: float = 5.0
    worker_threads: int = 2


GATE = OpenGate()
STORE = Store(token="t")


def opened(facts: gateway.ConnectionFacts = FACTS, figures: Figures = Figures()) -> gateway.Link:
    return gateway.open_connection(facts, STORE, GATE, figures)


@pytest.fixture(autouse=True)
def closed_after() -> Iterator[None]:
    yield
    gateway.close_all()


def test_the_same_facts_give_the_same_link() -> None:
    assert opened() is opened(replace(FACTS, config=dict(FACTS.config)))


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"location_id": "loc_1", "calendar_id": "cal_2"}},
        {"limit_overrides": {"burst": 50}},
        {"secrets_version": 2},
        {"base_url": "http://127.0.0.1:10"},
        {"account_key": "loc_2"},
    ],
)
def test_facts_that_changed_give_a_new_link_and_keep_it(change: dict[str, Any]) -> None:
    first = opened()
    second = opened(replace(FACTS, **change))
    assert second is not first
    assert opened(replace(FACTS, **change)) is second


def test_a_row_read_before_a_renewal_gets_the_link_with_the_newer_secrets() -> None:
    newer = opened(replace(FACTS, secrets_version=2))
    assert opened(FACTS) is newer


def test_other_figures_give_a_new_link() -> None:
    assert opened() is not opened(figures=Figures(total_deadline_s=1.0))


def test_connections_do_not_share_links() -> None:
    assert opened() is not opened(replace(FACTS, id=2))


def test_the_scope_is_the_account_at_the_provider_not_the_connection() -> None:
    assert opened().scope == opened(replace(FACTS, id=2)).scope
    assert opened().scope.key == "gohighlevel:loc_1"
    assert opened().scope.windows == (Window("burst", 100, 10), Window("daily", 200_000, 86_400))


def test_a_limit_can_be_lowered() -> None:
    link = opened(replace(FACTS, limit_overrides={"burst": 50}))
    assert link.scope.windows == (Window("burst", 50, 10), Window("daily", 200_000, 86_400))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"burst": 101}, "'burst' must be a whole number from 1 to 100, not 101"),
        ({"burst": 0}, "from 1 to 100, not 0"),
        ({"burst": -1}, "from 1 to 100, not -1"),
        ({"burst": True}, "from 1 to 100, not True"),
        ({"burst": 1.5}, "from 1 to 100, not 1.5"),
        ({"burst": "50"}, "from 1 to 100, not '50'"),
        ({"hourly": 5}, "no limit 'hourly'; there are: burst, daily"),
    ],
)
def test_a_limit_that_is_none_is_refused_by_name(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gateway.limits_of(registry.manifest("gohighlevel"), overrides)


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(UnknownProviderError, match="'acme'"):
        opened(replace(FACTS, provider="acme"))


def test_a_refresh_token_means_oauth_and_none_a_token_that_stays() -> None:
    assert isinstance(opened().http.auth, LastingToken)
    oauth = gateway.open_connection(replace(FACTS, id=2), Store(refresh_token="r"), GATE, Figures())
    assert isinstance(oauth.http.auth, OAuth2)


def test_the_account_of_a_gohighlevel_connection_is_its_location() -> None:
    assert registry.manifest("gohighlevel").account_key({"location_id": " loc_1 "}) == "loc_1"


def test_redirects_are_not_followed_and_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    try:
        link = opened(replace(FACTS, base_url=f"http://127.0.0.1:{server.server_port}"))
        assert link.exchange(lambda: None).read("GET", "/contacts/a").status_code == 302
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen == ["/contacts/a"]


def test_a_link_that_was_replaced_still_works_for_who_holds_it() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Empty)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        facts = replace(FACTS, base_url=f"http://127.0.0.1:{server.server_port}")
        first = opened(facts)
        opened(replace(facts, secrets_version=2))
        assert first.exchange(lambda: None).read("GET", "/").status_code == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...
