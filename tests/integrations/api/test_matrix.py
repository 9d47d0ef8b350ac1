"""Role × endpoint × method, made from the router: nobody gets more than the table of roles says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import get_resolver

from integrations.api.base import WRITES, Endpoint, NoSuchAddress
from integrations.models import AuditEvent, Connection, Tour
from integrations.operations.roles import ROLES, SCOPES
from tests.factories import FeedbackFactory, OperationFactory
from tests.integrations.api.asking import Asking, person, token

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


def endpoints() -> Iterator[tuple[str, Any, dict[str, str]]]:
    """(pattern, view, method → action) of every address of the router."""
    api = next(one for one in get_resolver().url_patterns if getattr(one, "namespace", None) == "api")
    for pattern in api.url_patterns:
        view = getattr(pattern.callback, "cls", None)
        if view is not None and issubclass(view, Endpoint) and view is not NoSuchAddress:
            yield str(pattern.pattern), view, {name.upper(): act for name, act in pattern.callback.actions.items()}


CASES = [
    (pattern, method, view.scopes.get(actions.get(method, ""), ""))
    for pattern, view, actions in endpoints()
    for method in METHODS
]


def address(pattern: str, ids: dict[str, int]) -> str:
    """A real address of that pattern: every id is there."""
    resource = pattern.lstrip("^").split("/")[0].rstrip("$")
    path = re.sub(r"\(\?P<stop_id>[^)]*\)", str(ids["stop"]), pattern)
    path = re.sub(r"\(\?P<pk>[^)]*\)", str(ids[resource]), path)
    return "/api/" + path.lstrip("^").rstrip("$").replace("\\Z", "")


@pytest.fixture
def ids(tour: Tour, connection: Connection) -> dict[str, int]:
    stop = tour.stops.get()
    operation = OperationFactory(connection=connection, entity_id=stop.pk)
    return {
        "tours": tour.pk, "sync-state": tour.pk, "stop": stop.pk, "contacts": tour.buyer_id, "agents": tour.agent_id,
        "connections": connection.pk, "operations": operation.pk, "feedback": FeedbackFactory(stop=stop).pk,
    }  # fmt: skip


def test_every_action_names_a_scope_there_is() -> None:
    wanted = {
        (view.__name__, act): view.scopes.get(act) in SCOPES for _, view, acts in endpoints() for act in acts.values()
    }
    assert [name for name, known in wanted.items() if not known] == []
    assert len(CASES) > 100


@pytest.mark.parametrize("role", [*ROLES, "stranger"])
def test_each_role_gets_what_the_table_says(role: str, ids: dict[str, int]) -> None:
    user = person("viewer" if role == "stranger" else role)
    if role == "stranger":
        user.groups.clear()
    asking = Asking(user=user)
    rights = set(ROLES.get(role, ()))
    wrong = []
    for pattern, method, scope in CASES:
        before = AuditEvent.objects.count()
        answer = asking.ask(method, address(pattern, ids), {"no such field": 1} if method in WRITES else None)
        allowed = bool(scope) and rights.issuperset(SCOPES[scope])
        expected = {405} if not scope else {200, 400, 428} if allowed else {403}
        if answer.status_code not in expected or AuditEvent.objects.count() != before:
            wrong.append((method, pattern, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_of_one_scope_opens_that_scope_alone(scope: str, ids: dict[str, int]) -> None:
    asking = Asking(token(scope))
    opened = {
        needed
        for pattern, method, needed in CASES
        if asking.ask(method, address(pattern, ids), {"no such field": 1} if method in WRITES else None).status_code
        in (200, 400, 428)
    }
    assert opened == {scope}


def test_nobody_gets_anything(ids: dict[str, int]) -> None:
    answers = {Asking().ask(method, address(pattern, ids)).status_code for pattern, method, _ in CASES}
    assert answers == {401}
