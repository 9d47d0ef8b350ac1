"""Role × path × method, made from the kept schema and held to the table in `tests/who_may.py`."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from integrations.api.base import Endpoint, NoSuchAddress
from integrations.operations.roles import SCOPES
from tests.integrations.api.asking import Asking, address, person, token
from tests.integrations.api.whatever import KEPT
from tests.who_may import CALLS, Role

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
PATHS = sorted(KEPT["paths"])
WRITE = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO) "?(?!django_session)(\w+)', re.IGNORECASE)
DONE = {200, 201, 400, 409, 428}
"""It was let in. Its body is not one that would do anything."""


def asked(asking: Asking, method: str, path: str) -> tuple[int, list[str]]:
    """The status, and the tables that were written to."""
    body = {"no such field": 1} if method in ("POST", "PATCH", "PUT") else None
    with transaction.atomic():
        with CaptureQueriesContext(database) as queries:
            status = asking.ask(method, path, body).status_code
        transaction.set_rollback(True)
    # A token's own "last used" is the only thing that a request may write before it is let in.
    return status, [
        found[1] for query in queries if (found := WRITE.match(query["sql"])) and "last_used_at" not in query["sql"]
    ]


def expected(role: Role, method: str, path: str) -> set[int]:
    call = CALLS.get(f"{method} {path}")
    if role < Role.STRANGER:
        return {401}
    if call is None:
        return {405}
    return DONE if role >= call.role else {403}


def test_somebody_decided_about_every_request() -> None:
    told = {f"{method.upper()} {path}" for path, methods in KEPT["paths"].items() for method in methods}
    assert told ^ CALLS.keys() == set()


def test_the_schema_tells_every_address() -> None:
    """No view stands beside it."""
    (api,) = (one for one in get_resolver().url_patterns if getattr(one, "namespace", None) == "api")
    views = [(str(one.pattern), getattr(one.callback, "cls", None)) for one in api.url_patterns]
    named = re.compile(r"\(\?P<(\w+)>[^)]*\)")
    there = {
        "/api/" + named.sub(lambda found: f"{{{found[1]}}}", pattern).strip("^$").replace("{pk}", "{id}")
        for pattern, view in views
        if view is not None and issubclass(view, Endpoint) and view is not NoSuchAddress
    }
    assert there == set(PATHS)
    assert [pattern for pattern, view in views if view is None or not issubclass(view, Endpoint)] == ["schema", "docs/"]


def asker(role: Role) -> Asking:
    match role:
        case Role.ANYONE:
            return Asking()
        case Role.STRANGER:
            return Asking(user=User.objects.create_user("sam"))
        case Role.STAFF:
            return Asking(user=User.objects.create_user("tim", is_staff=True))
        case Role.SUPERUSER:
            return Asking(user=User.objects.create_superuser("ada"))
        case _:
            return Asking(user=person(role.name.lower()))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.NOBODY], ids=lambda role: role.name.lower())
def test_each_role_gets_what_the_table_says(role: Role, ids: dict[str, int]) -> None:
    asking, wrong = asker(role), []
    for path in PATHS:
        for method in METHODS:
            status, written = asked(asking, method, address(path, ids))
            if status not in expected(role, method, path):
                wrong.append(f"{role.name} {method} {path}: {status}")
            if written:
                wrong.append(f"{role.name} {method} {path}: wrote {written}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_of_one_scope_opens_that_scope_alone(scope: str, ids: dict[str, int]) -> None:
    asking = Asking(token(scope))
    opened = {
        request for request in CALLS if asked(asking, request.split()[0], address(request.split()[1], ids))[0] in DONE
    }
    assert opened == {request for request, call in CALLS.items() if call.scope == scope}


def test_a_token_has_no_more_than_its_owner(ids: dict[str, int]) -> None:
    owner = person("manager")
    asking = Asking(token(owner=owner))
    owner.groups.set(person("viewer").groups.all())
    opened = {
        request for request in CALLS if asked(asking, request.split()[0], address(request.split()[1], ids))[0] in DONE
    }
    assert opened == {request for request, call in CALLS.items() if call.role <= Role.VIEWER}
