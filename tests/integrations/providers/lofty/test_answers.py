"""What Lofty's adapter makes of every answer: codes that are numbers or names, and three ways to say why."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.gateway import Link
from integrations.providers.errors import (
    AuthError,
    Gone,
    NotProcessed,
    ProviderError,
    RateLimited,
    Rejected,
    Uncertain,
)
from integrations.transport import Refused
from tests.integrations.providers.gohighlevel.conftest import ANN, SHOWING
from tests.integrations.providers.lofty.conftest import Kind, linked
from tests.sandbox_server import SandboxServer

CODES: list[tuple[int, Any, type[ProviderError]]] = [
    # A key that was sent as a bearer token, or that nobody has any more.
    (400, 200058, AuthError),
    (403, 200100, AuthError),
    (403, "200100", AuthError),
    (401, "BAD_CREDENTIALS", AuthError),
    (400, "BAD_CREDENTIALS", AuthError),
    (403, "VENDOR_HAS_NO_PERMISSION", AuthError),
    # About one record: the connection goes on.
    (403, "PERMISSION_DENIED", Rejected),
    (400, "INVALID_PARAMETER", Rejected),
    (400, "MISSING_PARAMETER", Rejected),
    (400, "PARAMETER_TOO_LONG", Rejected),
    (400, 20012, Rejected),
    (400, True, Rejected),
    (400, None, Rejected),
    # Whatever a failing server says.
    (500, "BAD_CREDENTIALS", Uncertain),
    (503, 200058, NotProcessed),
]


@pytest.mark.parametrize(("status", "code", "error"), CODES)
def test_a_code_says_more_than_its_status(
    people: Kind, sandbox: SandboxServer, status: int, code: Any, error: type[ProviderError]
) -> None:
    sandbox.faults("status", provider="lofty", status=status, body={"code": code, "message": "why"})
    with pytest.raises(error) as caught:
        people.write(ANN)
    assert type(caught.value) is error
    assert (caught.value.provider, caught.value.status, caught.value.message) == ("lofty", status, "why")
    assert caught.value.credentials_version == (1 if error is AuthError else None)
    assert len(sandbox.journal("lofty")) == 1


@pytest.mark.parametrize(
    "body", ["why", {"errorCode": 20001, "errorMsg": "why"}, {"message": "why"}, {"code": 1, "message": "why"}]
)
def test_the_reason_is_found_in_every_form(people: Kind, sandbox: SandboxServer, body: Any) -> None:
    sandbox.faults("status", provider="lofty", status=400, body=body if isinstance(body, dict) else f'"{body}"')
    with pytest.raises(Rejected, match="why"):
        people.write(ANN)


def test_a_429_is_nothing_done_and_its_body_is_told(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("rate_limited", provider="lofty")
    with pytest.raises(RateLimited, match="Too Many Requests"):
        people.write(ANN)
    (refused,) = sandbox.journal("lofty")
    assert (refused["status"], refused["effect"]) == (429, None)


def test_a_limit_that_answers_tell_as_used_up_is_kept_to(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.lofty(limits={"minute": 1})
    people.write(ANN)
    with pytest.raises(Refused, match="rate_limited"):
        people.write(ANN)
    assert [row["status"] for row in sandbox.journal("lofty")] == [200]


@pytest.mark.parametrize("code", ["LEAD_NOT_EXIST", "NOT_FOUND", None])
def test_a_404_is_gone_for_what_was_linked_and_not_yet_for_a_leads_new_record(
    stops: Kind, sandbox: SandboxServer, code: str | None
) -> None:
    sandbox.faults("status", provider="lofty", status=404, body={"code": code, "message": "why"}, times=2)
    with pytest.raises(Gone):
        stops.write(SHOWING, linked("7-task"), contact="1")
    with pytest.raises(ProviderError) as caught:
        stops.write(SHOWING, contact="1")
    assert type(caught.value) is (Rejected if code == "NOT_FOUND" else NotProcessed)


def test_an_id_that_is_no_path_segment_stays_one(people: Kind, sandbox: SandboxServer) -> None:
    with pytest.raises(Gone):
        people.lookup(ANN, linked("../notes"))
    assert sandbox.journal("lofty")[-1]["path"] == "/v1.0/leads/..%2Fnotes"


def test_a_garbled_2xx_is_doubt_and_counts_for_the_circuit(people: Kind, sandbox: SandboxServer, link: Link) -> None:
    sandbox.faults("garbled", provider="lofty")
    with link.use() as tally, pytest.raises(Uncertain):
        people.write(ANN)
    assert tally.breaker is not None
    assert tally.breaker.failures == 1
