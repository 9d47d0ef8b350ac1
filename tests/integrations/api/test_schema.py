"""The schema is the one kept in docs/, its examples work, and its page loads nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from integrations.models import Connection, Tour
from tests.factories import ContactFactory, OperationFactory
from tests.integrations.api.asking import Asking, address
from tests.integrations.api.whatever import DOCS, KEPT


def test_the_schema_in_docs_is_the_apis(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(made), validate=True, fail_on_warn=True)
    assert made.read_text("utf-8") == (DOCS / "openapi.yaml").read_text("utf-8"), (
        "write it anew: manage.py spectacular --file docs/openapi.yaml"
    )


def test_the_docs_page_loads_nothing_from_elsewhere(client: Client, db: None) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    text = page.content.decode()
    assert [word for word in ("http://", "https://", "//cdn") if word in text.replace("http://testserver", "")] == []
    assert client.get("/api/schema").status_code == 200


def examples() -> list[tuple[str, str, Any]]:
    """(path, method, body) of every example of a body."""
    found = []
    for path, methods in KEPT["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            found += [(path, method, each["value"]) for each in content.get("examples", {}).values()]
    return found


@pytest.mark.parametrize(
    ("path", "method", "body"), examples(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_example_works(
    path: str,
    method: str,
    body: dict[str, Any],
    api: Asking,
    tour: Tour,
    connection: Connection,
    ids: dict[str, int],
    request: Any,
) -> None:
    if path.startswith("/api/connections"):
        there = request.getfixturevalue("there")
        there.account("ve9EPM428h8vShlRW1KT", token="pit-1111-2222", calendar="CVokAlI8fgw4WYWoCtQz")
    stop = tour.stops.get()
    needs = OperationFactory(connection=connection, entity_id=stop.pk, state="needs_person", reason="no_look_up")
    at = address(path, {**ids, "operations": needs.pk})
    real = {"stop_id": stop.pk, "connection_id": connection.pk, "entity_id": tour.pk, "into": ContactFactory().pk}
    body = {name: str(real[name]) if name in real else value for name, value in body.items()}
    answer = api.ask(method.upper(), at, body, If_Match="*")
    assert answer.status_code in (200, 201), answer.json()


def test_there_are_examples_for_whatever_is_made() -> None:
    posted = {path for path, method, _ in examples() if method == "post"}
    assert {"/api/tours", "/api/feedback", "/api/contacts", "/api/connections"} <= posted
