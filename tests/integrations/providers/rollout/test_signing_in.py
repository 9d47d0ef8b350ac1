"""Tokens that we mint ourselves, and the list of connected accounts, against the sandbox over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from integrations.gate import Gate, Outcome
from integrations.gateway import Asking, Link
from integrations.providers.accounts import ProviderAccount
from integrations.providers.auth import Credentials, MintedJwt
from integrations.providers.errors import AuthError
from integrations.providers.rollout.credentials import list_credentials
from integrations.providers.rollout.errors import (
    RolloutAuthError,
    RolloutCircuitOpenError,
    RolloutRateLimitError,
    RolloutServerError,
    RolloutUncertainError,
)
from integrations.providers.rollout.manifest import MANIFEST
from tests.integrations.providers.conftest import MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.integrations.providers.rollout.conftest import CONFIG, Kind
from tests.sandbox_server import ROLLOUT_CLIENT, ROLLOUT_CONSUMER, ROLLOUT_SECRET, SandboxServer

START = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


class Minting:
    """An auth with a clock of its own; `send` gives the token of one request, answered as told."""

    def __init__(self, store: MemoryStore, *, random: float = 0.0, **config: str) -> None:
        self.now = START
        self.auth = MintedJwt(
            "rollout",
            store,
            MANIFEST.sign_in,  # type: ignore[arg-type]
            {**CONFIG, **config},
            now=lambda: self.now,
            random=lambda: random,
        )

    def send(self, *statuses: int) -> list[str]:
        request = httpx.Request("GET", "http://crm.example/")
        flow = self.auth.sync_auth_flow(request)
        next(flow)
        tokens = [self._token(request)]
        for status in statuses:
            try:
                flow.send(httpx.Response(status))
            except StopIteration:
                break
            tokens.append(self._token(request))
        return tokens

    @staticmethod
    def _token(request: httpx.Request) -> str:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        assert scheme == "Bearer"
        return token


def claims(token: str) -> dict[str, object]:
    options = {"verify_exp": False, "verify_iat": False, "verify_sub": False}
    read: dict[str, object] = jwt.decode(token, ROLLOUT_SECRET, algorithms=["HS512"], options=options)  # type: ignore[arg-type]
    return read


@pytest.fixture(autouse=True)
def no_word_on_the_length_of_the_sandboxs_secret(recwarn: pytest.WarningsRecorder) -> None:
    """Our tests read tokens with the plain library, which warns; what we sign with does not."""


def test_a_token_says_who_for_whom_and_until_when(store: MemoryStore) -> None:
    minting = Minting(store)
    (token,) = minting.send()
    told = claims(token)
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "typ": "JWT"}
    assert len(str(told.pop("jti"))) == 32
    issued = int(START.timestamp())
    assert told == {"iss": ROLLOUT_CLIENT, "sub": ROLLOUT_CONSUMER, "iat": issued, "exp": issued + 900}
    assert minting.auth.expires_at == START + timedelta(seconds=900)


@pytest.mark.parametrize(("random", "until"), [(0.0, 840), (1.0, 780)])
def test_a_token_is_used_until_shortly_before_its_end(store: MemoryStore, random: float, until: int) -> None:
    minting = Minting(store, random=random)
    (first,) = minting.send()
    minting.now = START + timedelta(seconds=until - 1)
    assert minting.send() == [first]
    minting.now = START + timedelta(seconds=until)
    (second,) = minting.send()
    assert second != first


def test_a_401_mints_once_anew_and_no_second_time(store: MemoryStore) -> None:
    first, second = Minting(store).send(401, 401)
    assert claims(first)["jti"] != claims(second)["jti"]


def test_another_answer_mints_nothing(store: MemoryStore) -> None:
    assert len(Minting(store).send(403)) == 1


def test_a_401_reads_the_secret_anew(store: MemoryStore) -> None:
    store.credentials = Credentials({"client_secret": "the old one"}, 1)
    minting = Minting(store)
    minting.send()
    store.credentials = Credentials({"client_secret": ROLLOUT_SECRET}, 2)
    _, second = minting.send(401)
    assert claims(second)["iss"] == ROLLOUT_CLIENT


def test_threads_share_one_token(store: MemoryStore) -> None:
    minting = Minting(store)
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.extend(minting.send())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(seen), len(set(seen))) == (8, 1)


@pytest.mark.parametrize("missing", [{"client_id": ""}, {"consumer": ""}])
def test_without_what_it_takes_nothing_is_signed(store: MemoryStore, missing: dict[str, str]) -> None:
    with pytest.raises(AuthError, match="is missing"):
        Minting(store, **missing).send()


def test_a_secret_that_cannot_sign_is_named_and_not_quoted(store: MemoryStore) -> None:
    store.credentials = Credentials({"client_secret": "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"}, 3)
    with pytest.raises(AuthError, match="client_secret cannot sign") as caught:
        Minting(store).send()
    assert "abc" not in str(caught.value)
    assert caught.value.credentials_version == 3


def test_the_sandbox_takes_our_tokens(people: Kind, sandbox: SandboxServer) -> None:
    people.write(ANN)
    assert sandbox.journal("rollout")[-1]["status"] == 201


def test_a_secret_that_was_replaced_there_stops_after_two_tries_with_one_effect_none(
    people: Kind, sandbox: SandboxServer
) -> None:
    sandbox.rollout(client_secret="another")
    with pytest.raises(RolloutAuthError) as caught:
        people.write(ANN)
    assert [row["status"] for row in sandbox.journal("rollout")] == [401, 401]
    assert (people.commits, sandbox.effects(), caught.value.credentials_version) == (2, [], 1)


def test_the_base_address_keeps_its_path(people: Kind, sandbox: SandboxServer) -> None:
    people.write(ANN)
    assert sandbox.journal("rollout")[-1]["path"] == "/api/people"


def test_the_scope_is_the_consumer_and_not_the_credential(link: Link) -> None:
    assert link.scope.key == f"rollout:{ROLLOUT_CLIENT}/{ROLLOUT_CONSUMER}"
    assert MANIFEST.account_key(CONFIG) == "cred_demo"


# --- the list of credentials ---------------------------------------------------------------------------------------


@pytest.fixture
def listing(link: Link, sandbox: SandboxServer) -> Callable[[], list[ProviderAccount]]:
    return lambda: list_credentials(link.asking(), f"{sandbox.url}/rollout/universal/api")


def test_a_consumers_accounts_are_listed(listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer) -> None:
    sandbox.rollout("cred_second", app_key="lofty", label="West")
    sandbox.rollout("cred_other", consumer="another")
    found = listing()
    assert all(one.created.endswith("Z") for one in found)
    assert [replace(one, created="") for one in found] == [
        ProviderAccount("cred_demo", "followupboss", "cred_demo"),
        ProviderAccount("cred_second", "lofty", "West"),
    ]


def test_a_consumer_that_is_not_known_yet_has_none(
    listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer
) -> None:
    sandbox.faults("status", provider="rollout", status=404, body={"errorMessage": "Not found"})
    assert listing() == []


@pytest.mark.parametrize(
    ("status", "error"), [(401, RolloutAuthError), (429, RolloutRateLimitError), (500, RolloutServerError)]
)
def test_what_goes_wrong_has_rollouts_name(
    listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer, status: int, error: type[Exception]
) -> None:
    sandbox.faults("status", provider="rollout", status=status, times=2)
    with pytest.raises(error):
        listing()


@pytest.mark.parametrize("body", [{}, "none", [1], [{"id": 5}]])
def test_a_list_that_is_not_understood_is_not_an_empty_one(
    listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer, body: object
) -> None:
    sandbox.faults("status", provider="rollout", status=200, body=body)
    with pytest.raises(RolloutUncertainError):
        listing()


def test_an_open_circuit_is_told_and_nothing_is_sent(
    listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer, link: Link, gate: Gate
) -> None:
    for _ in range(3):
        gate.report(gate.admit(link.scope), Outcome.FAILURE)  # type: ignore[arg-type]
    with pytest.raises(RolloutCircuitOpenError) as caught:
        listing()
    assert caught.value.advice == "Nothing to do: it is asked again when it has had time to recover."
    assert sandbox.journal("rollout") == []


def test_no_answer_is_told_as_such(listing: Callable[[], list[ProviderAccount]], sandbox: SandboxServer) -> None:
    sandbox.faults("drop_before_effect", provider="rollout")
    with pytest.raises(RolloutServerError):
        listing()


def test_who_only_asks_cannot_write(link: Link) -> None:
    assert isinstance(link.asking(), Asking)
    assert not hasattr(link.asking(), "write")
