"""The vendor's limits, and the five headers that tell of them."""

from __future__ import annotations

import httpx

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

HEADERS = (
    "X-RateLimit-Limit-Daily", "X-RateLimit-Daily-Remaining", "X-RateLimit-Interval-Milliseconds", "X-RateLimit-Max",
    "X-RateLimit-Remaining",
)  # fmt: skip


def told(answer: httpx.Response) -> tuple[int, ...]:
    return tuple(int(answer.headers[name]) for name in HEADERS)


def test_vendor_limits_are_100_in_10_s_and_200000_a_day(crm: Crm) -> None:
    assert told(crm.call("GET", "/locations/loc_demo")) == (200_000, 199_999, 10_000, 100, 99)
    assert told(crm.call("GET", "/contacts/nobody")) == (200_000, 199_998, 10_000, 100, 98)


def test_the_101st_is_refused_without_effect_and_journaled(crm: Crm, sandbox: SandboxServer) -> None:
    for _ in range(100):
        assert crm.call("GET", "/locations/loc_demo").status_code == 200
    answer = crm.call("POST", "/contacts/", {"locationId": "loc_demo", "email": "ana@mail.example"})
    assert (answer.status_code, told(answer)) == (429, (200_000, 199_900, 10_000, 100, 0))
    assert (answer.json()["statusCode"], answer.json()["message"]) == (429, "Too Many Requests")
    assert "Retry-After" not in answer.headers
    last = sandbox.journal()[-1]
    assert (last["status"], last["effect"], last["account"]) == (429, None, "loc_demo")


def test_the_window_slides(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": {"limit": 2, "seconds": 1}})
    while crm.call("GET", "/locations/loc_demo").status_code != 429:
        pass
    while crm.call("GET", "/locations/loc_demo").status_code == 429:
        pass
    rows = sandbox.journal()
    times = [row["t"] for row in rows if row["status"] == 200]
    assert len(times) >= 3
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))


def test_the_day_is_a_limit_of_its_own(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"daily": 3})
    statuses = [crm.call("GET", "/locations/loc_demo").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_accounts_do_not_share_a_limit(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": 1})
    sandbox.account("loc_other", token="other-token")
    crm.call("GET", "/locations/loc_demo")
    assert crm.call("GET", "/locations/loc_demo").status_code == 429
    assert Crm(sandbox.url, "other-token").call("GET", "/locations/loc_other").status_code == 200


def test_the_token_endpoint_counts_against_its_location(crm: Crm, sandbox: SandboxServer) -> None:
    app = {"client_id": "app-1", "client_secret": "s", "refresh_token": "r"}
    sandbox.account(limits={"burst": 1}, oauth=app)
    crm.call("GET", "/locations/loc_demo")
    answer = httpx.post(f"{sandbox.url}/oauth/token", data={**app, "grant_type": "refresh_token"})
    assert answer.status_code == 429


def test_a_restart_forgets_no_arrival(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": {"limit": 2, "seconds": 600}})
    assert [crm.call("GET", "/locations/loc_demo").status_code for _ in range(3)] == [200, 200, 429]
    sandbox.restart()
    assert crm.call("GET", "/locations/loc_demo").status_code == 429
