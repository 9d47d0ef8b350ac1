"""Signing in, against the sandbox's own token endpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.auth import Credentials, renew_at
from integrations.providers.errors import AuthError, RateLimited, RefreshBusy
from integrations.transport import NotSent, Refused
from tests.integrations.providers.conftest import MemoryStore
from tests.sandbox_server import ACCOUNT, SandboxServer

SECRETS = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "first-access"}
APP = {"client_id": "app-1", **SECRETS}
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Credentials(dict(SECRETS), 1, FAR))


@pytest.fixture
def app(sandbox: SandboxServer) -> SandboxServer:
    sandbox.account(oauth=APP)
    return sandbox


@pytest.fixture
def oauth(app: SandboxServer, open_link: Callable[..., Link]) -> Link:
    """A link that signs in with an app's credentials."""
    return open_link()


def ask(link: Link) -> httpx.Response:
    headers = {"Version": "2021-07-28"}
    return link.exchange(lambda: None).read("GET", f"/locations/{ACCOUNT}", headers=headers)


def expire(store: MemoryStore) -> None:
    """Someone made the access token worthless."""
    secrets = {**store.credentials.secrets, "access_token": "worthless"}
    store.credentials = Credentials(secrets, store.credentials.version, FAR)


def token_requests(sandbox: SandboxServer) -> list[int]:
    return [row["status"] for row in sandbox.journal() if row["path"] == "/oauth/token"]


# --- a token that stays --------------------------------------------------------------------------------------------


def test_a_private_token_is_sent_as_it_is(
    sandbox: SandboxServer, open_link: Callable[..., Link], store: MemoryStore
) -> None:
    store.credentials = Credentials({"token": "pit-demo-token"}, 1)
    assert ask(open_link()).status_code == 200


def test_a_dead_private_token_is_answered_401_and_nothing_is_renewed(
    sandbox: SandboxServer, open_link: Callable[..., Link], store: MemoryStore
) -> None:
    store.credentials = Credentials({"token": "dead"}, 1)
    assert ask(open_link()).status_code == 401
    assert [row["path"] for row in sandbox.journal()] == [f"/locations/{ACCOUNT}"]


@pytest.mark.parametrize("token", ["", "se cret", "secret\n", "secrét"])
def test_a_token_that_cannot_be_one_needs_a_person_and_is_not_quoted(
    sandbox: SandboxServer, open_link: Callable[..., Link], store: MemoryStore, token: str
) -> None:
    store.credentials = Credentials({"token": token}, 1)
    with pytest.raises(AuthError) as caught:
        ask(open_link())
    assert "cr" not in str(caught.value).replace("characters", "")
    assert sandbox.journal() == []


# --- a token that is renewed ---------------------------------------------------------------------------------------


def test_a_good_access_token_is_used_without_renewing(oauth: Link, app: SandboxServer) -> None:
    assert ask(oauth).status_code == 200
    assert token_requests(app) == []


def test_a_401_renews_once_stores_the_pair_together_and_sends_again(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    expire(store)
    with oauth.use() as tally:
        assert ask(oauth).status_code == 200
    assert [row["status"] for row in app.journal()] == [401, 200, 200]
    assert len(store.saved) == 1
    assert store.saved[0]["refresh_token"] not in ("", "first-refresh")
    assert store.saved[0]["client_secret"] == "app-secret"
    assert tally.calls == 3
    left = store.credentials.expires_at
    assert left is not None
    assert timedelta(hours=23) < left - datetime.now(UTC) < timedelta(hours=24)


def test_a_write_sent_again_after_a_401_has_one_effect(oauth: Link, app: SandboxServer, store: MemoryStore) -> None:
    expire(store)
    committed: list[str] = []
    exchange = oauth.exchange(lambda: committed.append("commit"))
    body = {"locationId": ACCOUNT, "email": "ann@mail.example"}
    assert exchange.write("POST", "/contacts/", headers={"Version": "2021-07-28"}, json=body).status_code == 201
    assert len(app.effects("contact")) == 1
    assert committed == ["commit", "commit"]


def test_a_second_401_is_handed_to_the_adapter(oauth: Link, app: SandboxServer, store: MemoryStore) -> None:
    app.faults("status", status=401, body={"message": "no"}, match={"path": f"/locations/{ACCOUNT}"}, times=2)
    assert ask(oauth).status_code == 401
    assert token_requests(app) == [200]
    assert len(app.journal()) == 3


def test_a_token_known_to_be_over_is_renewed_before_it_is_used(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    store.credentials = Credentials(dict(SECRETS), 1, datetime.now(UTC) + timedelta(seconds=10))
    assert ask(oauth).status_code == 200
    assert [row["path"] for row in app.journal()] == ["/oauth/token", f"/locations/{ACCOUNT}"]


def test_many_threads_with_a_dead_token_make_one_token_request(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    expire(store)
    start = threading.Barrier(8)

    def work() -> int:
        start.wait()
        for _ in range(200):
            try:
                return ask(oauth).status_code
            except RefreshBusy:
                continue
        return 0

    with ThreadPoolExecutor(8) as pool:
        statuses = [future.result() for future in [pool.submit(work) for _ in range(8)]]
    assert statuses == [200] * 8
    assert token_requests(app) == [200]


def test_one_who_finds_another_renewing_is_told_to_come_back(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    expire(store)
    with store.lease, pytest.raises(RefreshBusy) as caught:
        ask(oauth)
    assert caught.value.retry_after_s == 1
    assert token_requests(app) == []


def test_a_token_that_another_renewed_meanwhile_is_used(oauth: Link, app: SandboxServer, store: MemoryStore) -> None:
    ask(oauth)
    app.account(oauth={**APP, "access_token": "second-access"})
    store.credentials = Credentials({**SECRETS, "access_token": "second-access"}, 2, FAR)
    assert ask(oauth).status_code == 200
    assert [row["status"] for row in app.journal()] == [200, 401, 200]
    assert token_requests(app) == []


def test_a_refused_refresh_token_needs_a_person_and_no_secret_is_told(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    store.credentials = Credentials({**SECRETS, "access_token": "", "refresh_token": "used-up"}, 1, None)
    app.faults(
        "status", status=400, body={"message": "refresh token used-up is invalid"}, match={"path": "/oauth/token"}
    )
    with pytest.raises(AuthError) as caught:
        ask(oauth)
    assert caught.value.status == 400
    assert "used-up" not in str(caught.value)
    assert store.saved == []


def test_a_refusal_is_not_believed_when_the_credentials_changed_meanwhile(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    good = Credentials({**SECRETS, "access_token": "first-access"}, 2, FAR)
    store.credentials = Credentials({**SECRETS, "access_token": "", "refresh_token": "used-up"}, 1, None)
    loads = iter([store.credentials, store.credentials])
    store.load = lambda: next(loads, good)  # type: ignore[method-assign]
    assert ask(oauth).status_code == 200
    assert token_requests(app) == [400]


def test_missing_credentials_need_a_person(oauth: Link, store: MemoryStore) -> None:
    store.credentials = Credentials({"refresh_token": "r", "access_token": ""}, 1, None)
    with pytest.raises(AuthError, match="client secret or refresh token is missing"):
        ask(oauth)


def test_a_lost_token_answer_is_not_yet_a_refusal_but_the_next_one_is(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    expire(store)
    app.faults("drop_after_effect", match={"path": "/oauth/token"})
    with pytest.raises(RefreshBusy) as caught:
        ask(oauth)
    assert caught.value.retry_after_s == 5
    with pytest.raises(AuthError):
        ask(oauth)
    assert store.saved == []


@pytest.mark.parametrize(
    ("fault", "error", "wait"),
    [
        ({"kind": "status", "status": 500}, RefreshBusy, 5.0),
        ({"kind": "status", "status": 503, "headers": {"Retry-After": "9"}}, RefreshBusy, 9.0),
        ({"kind": "status", "status": 422}, AuthError, None),
        ({"kind": "status", "status": 200, "body": {"access_token": 5}}, RefreshBusy, 5.0),
        ({"kind": "garbled"}, RefreshBusy, 5.0),
        ({"kind": "rate_limited", "retry_after": 7}, RateLimited, 7.0),
    ],
)
def test_a_token_answer_is_a_refusal_only_when_it_is_definite(
    oauth: Link,
    app: SandboxServer,
    store: MemoryStore,
    fault: dict[str, object],
    error: type[Exception],
    wait: float | None,
) -> None:
    expire(store)
    options = {name: value for name, value in fault.items() if name != "kind"}
    app.faults(str(fault["kind"]), match={"path": "/oauth/token"}, **options)
    with pytest.raises(error) as caught:
        ask(oauth)
    assert caught.value.retry_after_s == wait  # type: ignore[attr-defined]


def test_new_credentials_given_while_renewing_are_not_overwritten(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    expire(store)
    given = Credentials({"access_token": "by-a-person", "refresh_token": "x", "client_secret": "y"}, 7, FAR)

    def replace_credentials() -> None:
        store.credentials = given

    store.on_save = replace_credentials
    assert ask(oauth).status_code == 401
    assert store.credentials == given


def test_a_gate_that_refuses_the_token_request_stops_the_work(
    oauth: Link, app: SandboxServer, store: MemoryStore
) -> None:
    app.faults("rate_limited", retry_after=60)
    assert ask(oauth).status_code == 429
    expire(store)
    with pytest.raises(Refused):
        oauth.renew_token()
    assert token_requests(app) == []


def test_a_provider_that_is_away_is_not_a_refusal(
    app: SandboxServer, open_link: Callable[..., Link], store: MemoryStore
) -> None:
    store.credentials = Credentials({**SECRETS, "access_token": ""}, 1, None)
    with pytest.raises(NotSent):
        ask(open_link(base_url="http://127.0.0.1:9"))


def test_renewing_early_makes_one_request_and_a_private_token_needs_none(
    oauth: Link, app: SandboxServer, store: MemoryStore, open_link: Callable[..., Link]
) -> None:
    assert oauth.renew_token() is True
    assert token_requests(app) == [200]
    store.credentials = Credentials({"token": "pit-demo-token"}, 2)
    assert open_link(secrets_version=2).renew_token() is False


def test_secrets_are_not_in_a_repr() -> None:
    assert "app-secret" not in repr(Credentials(SECRETS, 1, FAR))


def test_early_renewals_are_spread_over_the_second_half_of_the_margin() -> None:
    margin = timedelta(minutes=30)
    assert renew_at(FAR, margin=margin, random=lambda: 1.0) == FAR - timedelta(minutes=30)
    assert renew_at(FAR, margin=margin, random=lambda: 0.0) == FAR - timedelta(minutes=15)
