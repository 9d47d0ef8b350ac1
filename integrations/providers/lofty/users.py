"""The people who have a login at Lofty, and whether a key or an app speaks for one of them.

https://developer.lofty.com/api-reference/team/members and …/team/get-the-current-users-profile. A member has two
numbers; leads, tasks and everything else name `memberUserId`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from integrations.providers.base import Exchange, ProviderUser
from integrations.providers.errors import Rejected
from integrations.providers.likeness import folded
from integrations.providers.plain import told

from .calls import SLUG, id_of, not_understood, object_of, read, request_id, rows_of
from .leads import PAGE, more_than, onward

MOST_PAGES = 40


def list_users(exchange: Exchange, config: Mapping[str, str]) -> Sequence[ProviderUser]:
    """All members that the key may see, at most 1,000. Raises ProviderError."""
    query = {"limit": str(PAGE)}
    found: dict[str, ProviderUser] = {}
    for _ in range(MOST_PAGES):
        response = read(exchange, "/v1.0/members", query)
        rows = rows_of(response, "members")
        users = [_user(row) for row in rows]
        if not all(user.id for user in users):
            raise not_understood(response)
        before = len(found)
        found |= {user.id: user for user in users}
        if len(found) == before or not more_than(response, len(found), len(rows)):
            break
        query |= onward(response, len(found))
    return list(found.values())


def verify(exchange: Exchange, config: Mapping[str, str]) -> None:
    """GET /v1.0/me: whose the key or the authorization is. Raises ProviderError; Rejected when it is another user's."""
    response = read(exchange, "/v1.0/me")
    email = told(object_of(response), "email")
    if not email:
        raise not_understood(response)
    if folded(email) != folded(config["account_email"]):
        message = f"these credentials are those of {email}"
        raise Rejected(SLUG, message, response.status_code, request_id(response))


def _user(row: Mapping[str, object]) -> ProviderUser:
    name = " ".join(part for part in (told(row, "firstName"), told(row, "lastName")) if part)
    return ProviderUser(id_of(row, "memberUserId"), name, told(row, "email"))
