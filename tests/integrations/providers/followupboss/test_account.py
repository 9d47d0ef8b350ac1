"""Signing in at Follow Up Boss, whose key it is, who has a login, and what counts in which limit."""

from __future__ import annotations

import pytest

from integrations.gateway import Link
from integrations.providers.base import ProviderUser
from integrations.providers.errors import AuthError, RateLimited, Rejected
from integrations.providers.followupboss.limits import counted_in
from tests.followupboss_client import FollowUpBossCrm
from tests.sandbox_server import FUB_KEY, FUB_SYSTEM, FUB_USERS, SandboxServer

from .conftest import Opening, sent

WITHIN_S = 5.0


def test_the_key_is_the_user_name_and_the_system_names_itself(opening: Opening, sandbox: SandboxServer) -> None:
    opening().verify(within_s=WITHIN_S)
    (row,) = sent(sandbox)
    assert (row["path"], row["status"], row["headers"]["x-system"]) == ("/v1/identity", 200, FUB_SYSTEM)
    assert row["headers"]["x-system-key"].startswith("sha256:")


def test_a_system_is_not_needed(opening: Opening, sandbox: SandboxServer) -> None:
    opening({"api_key": FUB_KEY}, system="").verify(within_s=WITHIN_S)
    assert not {"x-system", "x-system-key"} & sent(sandbox)[-1]["headers"].keys()


@pytest.mark.parametrize("key", ["fka_mistyped", "", "fka with blanks"])
def test_a_key_that_is_none_is_refused_and_not_told(opening: Opening, key: str) -> None:
    with pytest.raises(AuthError) as caught:
        opening({"api_key": key}).verify(within_s=WITHIN_S)
    assert not key or key not in str(caught.value)


def test_an_account_that_has_expired_needs_a_person(opening: Opening, sandbox: SandboxServer) -> None:
    link = opening()
    sandbox.followupboss(expired=True)
    with pytest.raises(AuthError, match="expired"):
        link.verify(within_s=WITHIN_S)


def test_the_key_of_another_account_is_named(opening: Opening) -> None:
    with pytest.raises(Rejected, match="this API key is of the account acme, not of other"):
        opening(subdomain="other").verify(within_s=WITHIN_S)


def test_a_custom_field_that_is_not_there_is_named(opening: Opening, sandbox: SandboxServer) -> None:
    sandbox.followupboss(custom_fields=["customShowingInterest"])
    opening(interest_field="customShowingInterest").verify(within_s=WITHIN_S)
    with pytest.raises(Rejected, match="Custom field for the rating: the account has no custom field named customMood"):
        opening(rating_field="customMood").verify(within_s=WITHIN_S)


def test_everybody_with_a_login_is_told(link: Link) -> None:
    found = link.users(within_s=WITHIN_S)
    expected = [ProviderUser(one["id"], one["name"], one["email"]) for one in FUB_USERS]
    assert sorted(found, key=lambda user: user.id) == expected


def test_more_users_than_a_page_holds(opening: Opening, sandbox: SandboxServer) -> None:
    users = [{"id": str(n), "name": f"Agent {n}", "email": f"n{n}@brokerage.example"} for n in range(1, 251)]
    sandbox.followupboss(users=users, user="1")
    assert {user.id for user in opening().users(within_s=WITHIN_S)} == {user["id"] for user in users}
    assert len(sent(sandbox)) == 3


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("GET", "/v1/people", ["global"]),
        ("POST", "/followupboss/v1/notes", ["global", "notes"]),
        ("GET", "/v1/notes/12", ["global", "notes"]),
        ("PUT", "/v1/people/12", ["global", "people_edits"]),
        ("GET", "/v1/people/12", ["global"]),
        ("POST", "/v1/people", ["global"]),
    ],
)
def test_what_counts_in_which_limit(method: str, path: str, names: list[str]) -> None:
    assert list(counted_in(method, path)) == names


@pytest.mark.parametrize(("system", "allowed"), [("REanna", 250), (" ", 125), ("", 125)])
def test_no_limit_is_above_what_is_documented(opening: Opening, system: str, allowed: int) -> None:
    windows = {window.name: (window.limit, window.seconds) for window in opening(system=system).scope.windows}
    assert windows == {"global": (allowed, 10), "notes": (10, 10), "people_edits": (25, 10)}


def test_notes_run_out_while_all_else_goes_on(opening: Opening, staff: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    """Ours is counted as the vendor counts, so that it never has to say 429."""
    note = staff.made("/notes", personId=staff.person(), body="hello")
    sandbox.reset()
    link = opening()
    asked = link.asking()
    for _ in range(10):
        asked.get(f"/notes/{note}")
    with pytest.raises(RateLimited, match="its limit is used up"):
        asked.get(f"/notes/{note}")
    link.verify(within_s=WITHIN_S)
    assert [row["status"] for row in sent(sandbox)].count(429) == 0
    assert [row["path"] for row in sent(sandbox)].count(f"/v1/notes/{note}") == 10
