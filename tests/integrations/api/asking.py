"""A program that asks the API with a token, and people who ask with a session."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from integrations.operations.access import create_token
from integrations.operations.audit import Who
from integrations.operations.roles import APP, ROLES, SCOPES

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Asking:
    """Requests of one client; answers are parsed JSON."""

    def __init__(self, token: str = "", user: User | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        if user is not None:
            self.client.force_login(user)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, (str, bytes)) else ("" if body is None else json.dumps(body))
        kind = sent.pop("Content-Type", "application/json")
        return self.client.generic(method, path, raw, content_type=kind, headers={**self.headers, **sent})

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.ask("PATCH", path, body, **headers)


def person(role: str) -> User:
    """Someone in the group of that role, as the migration makes it."""
    group, _ = Group.objects.get_or_create(name=role)  # a test that empties the database takes the groups along
    group.permissions.set(Permission.objects.filter(content_type__app_label=APP, codename__in=ROLES[role]))
    user, made = User.objects.get_or_create(username=f"a-{role}", defaults={"is_staff": True})
    if made:
        user.groups.add(group)
    return user


def token(*scopes: str, owner: User | None = None) -> str:
    """A token of a manager with these scopes, or with all."""
    owner = owner or person("manager")
    made = create_token(
        name="Website", scopes=scopes or SCOPES, owner=owner, expires_at=None, now=NOW, who=Who("ann", "admin")
    )
    return made.shown


def fields(answer: Any) -> dict[str, str]:
    """Field → message of a problem."""
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def address(path: str, ids: Mapping[str, Any]) -> str:
    """A real address of a path of the schema: every id is there."""
    named = {**ids, "id": ids.get(path.split("/")[2], "")}
    return re.sub(r"{(\w+)}", lambda found: str(named[found[1]]), path)
