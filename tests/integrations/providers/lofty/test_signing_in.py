"""Two prefixes, renewal at another address, whose credentials they are, and what they are allowed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from integrations import gateway
from integrations.gate import Window
from integrations.gateway import Link
from integrations.providers import registry
from integrations.providers.auth import Credentials
from integrations.providers.base import ProviderUser
from integrations.providers.errors import AuthError, Rejected, Uncertain
from tests.crm import LOFTY_CONFIG
from tests.integrations.providers.conftest import MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.integrations.providers.lofty.conftest import Kind, requests
from tests.sandbox_server import LOFTY_ACCOUNT, LOFTY_KEY, LOFTY_USERS, SandboxServer

APP = {"client_secret": "app:secret", "refresh_token": "first-refresh", "access_token": "first-access"}
FAR = datetime(2100, 1, 1, tzinfo=UTC)
WITHIN_S = 5.0


@pytest.fixture
def app(open_link: Callable[..., Link], sandbox: SandboxServer, store: MemoryStore) -> Link:
    """Signed in as an app."""
    sandbox.lofty(oauth={"client_id": "app-1", **APP})
    store.credentials = Credentials(dict(APP), 1, FAR)
    return open_link(client_id="app-1")


# --- two prefixes --------------------------------------------------------------------------------------------------


def test_a_key_is_no_bearer_token(open_link: Callable[..., Link], sandbox: SandboxServer, store: MemoryStore) -> None:
    assert Kind(open_link(), "contact.link").write(ANN)
    assert sandbox.journal("lofty")[-1]["status"] == 200
    store.credentials = Credentials({**APP, "access_token": LOFTY_KEY}, 2, FAR)
    with pytest.raises(AuthError, match="User in token does not exist") as caught:
        Kind(open_link(client_id="app-1"), "contact.link").write(ANN)
    assert (caught.value.status, caught.value.credentials_version) == (400, 2)


def test_an_access_token_is_one(app: Link, sandbox: SandboxServer) -> None:
    assert Kind(app, "contact.link").write(ANN)
    assert requests(sandbox) == ["POST /v1.0/leads"]


def test_a_401_renews_with_the_client_in_the_header_and_sends_again(
    app: Link, sandbox: SandboxServer, store: MemoryStore
) -> None:
    sandbox.faults("status", provider="lofty", status=401, match={"path": "/v1.0/leads"})
    assert Kind(app, "contact.link").write(ANN)
    assert requests(sandbox) == ["POST /v1.0/leads", "POST /api/user-web/oauth/token", "POST /v1.0/leads"]
    row = sandbox.journal("lofty")[1]
    assert set(row["body"]) == {"grant_type", "refresh_token"}
    assert (row["headers"]["content-type"], row["status"]) == ("application/x-www-form-urlencoded", 200)
    assert store.credentials.secrets["refresh_token"] not in ("", "first-refresh")
    assert len(sandbox.effects("contact")) == 1


def test_a_client_secret_that_is_wrong_needs_a_person_and_is_told_nowhere(
    app: Link, sandbox: SandboxServer, store: MemoryStore
) -> None:
    store.credentials = Credentials({**APP, "client_secret": "other-secret", "access_token": "worthless"}, 1, FAR)
    with pytest.raises(AuthError) as caught:
        Kind(app, "contact.link").write(ANN)
    told = str(caught.value) + str(sandbox.journal("lofty"))
    assert "other-secret" not in told
    assert base64.b64encode(b"app-1:other-secret").decode() not in told


# --- whose they are ------------------------------------------------------------------------------------------------


def test_credentials_of_the_user_pass_with_one_read(link: Link, sandbox: SandboxServer) -> None:
    link.verify(within_s=WITHIN_S)
    assert requests(sandbox) == ["GET /v1.0/me"]


def test_an_address_is_the_same_in_any_case(open_link: Callable[..., Link]) -> None:
    open_link(account_email=f" {LOFTY_ACCOUNT.upper()} ").verify(within_s=WITHIN_S)


def test_credentials_of_another_user_are_named(open_link: Callable[..., Link]) -> None:
    with pytest.raises(Rejected, match=f"those of {LOFTY_ACCOUNT}"):
        open_link(account_email="bob@brokerage.example").verify(within_s=WITHIN_S)


def test_credentials_that_are_refused_do_not_pass(link: Link, sandbox: SandboxServer) -> None:
    sandbox.lofty(token="another-key")
    with pytest.raises(AuthError):
        link.verify(within_s=WITHIN_S)


@pytest.mark.parametrize("body", [{}, {"email": ""}, {"email": 5}, []])
def test_an_answer_that_names_nobody_does_not_pass(link: Link, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="lofty", status=200, body=body)
    with pytest.raises(Uncertain):
        link.verify(within_s=WITHIN_S)


# --- who there is --------------------------------------------------------------------------------------------------


def test_members_have_the_number_that_records_name(link: Link) -> None:
    assert link.users(within_s=WITHIN_S) == [ProviderUser(one["id"], one["name"], one["email"]) for one in LOFTY_USERS]


def test_members_are_read_page_by_page(link: Link, sandbox: SandboxServer) -> None:
    many = [{"id": str(10**14 + n), "name": f"Agent N{n}", "email": f"n{n}@mail.example"} for n in range(60)]
    sandbox.lofty(users=many)
    assert [user.id for user in link.users(within_s=WITHIN_S)] == [user["id"] for user in many]
    assert [row["query"].get("scrollId") for row in sandbox.journal("lofty")] == [None, "25", "50"]


def test_pages_that_bring_nothing_new_end_it(link: Link, sandbox: SandboxServer) -> None:
    row = {"memberUserId": 7, "firstName": "Ann", "lastName": None, "email": "a@mail.example"}
    sandbox.faults(
        "status", provider="lofty", status=200, body={"_metadata": {"total": 9}, "members": [row]}, times=None
    )
    assert link.users(within_s=WITHIN_S) == [ProviderUser("7", "Ann", "a@mail.example")]
    assert len(sandbox.journal("lofty")) == 2


def test_a_member_without_a_number_is_not_understood(link: Link, sandbox: SandboxServer) -> None:
    sandbox.faults("status", provider="lofty", status=200, body={"members": [{"id": 11, "email": "a@mail.example"}]})
    with pytest.raises(Uncertain):
        link.users(within_s=WITHIN_S)


# --- what they are allowed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "overrides", "limit"),
    [
        ("", {}, 10), ("key", {}, 10), ("development", {}, 100), ("production", {}, 500),
        ("production", {"minute": 50}, 50), ("development", {"minute": 300}, 100), ("nonsense", {}, 10),
    ],
)  # fmt: skip
def test_the_mode_of_the_app_is_the_limit_and_a_connection_may_lower_it(
    mode: str, overrides: dict[str, int], limit: int
) -> None:
    manifest = registry.manifest("lofty")
    assert gateway.limits_of(manifest, overrides, {"app_mode": mode}) == (Window("minute", limit, 60),)


def test_requests_are_counted_for_the_app_and_without_one_for_the_key() -> None:
    def scope(**config: str) -> str:
        given = {**LOFTY_CONFIG, **config}
        return gateway.scope_of("lofty", "x", given, {}, "https://api.lofty.com").key

    assert scope() == f"lofty:{LOFTY_ACCOUNT}"
    assert scope(account_email="Bob@Mail.example") == "lofty:bob@mail.example"
    assert scope(client_id="app-1") == scope(client_id=" app-1 ", account_email="bob@mail.example") == "lofty:app app-1"
