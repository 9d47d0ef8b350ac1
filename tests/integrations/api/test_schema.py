"""The schema is the one kept in docs/, its examples work, and the API keeps to it whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from integrations.models import Connection, Tour
from tests.factories import ContactFactory, OperationFactory
from tests.integrations.api.asking import Asking, address, person, token

DOCS = Path(__file__).resolve().parents[3] / "docs"
KEPT = yaml.safe_load((DOCS / "openapi.yaml").read_text("utf-8"))
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
EXAMPLES = 20


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


# --- whoever asks whatever ----------------------------------------------------------------------------------------


_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """The product in the test's own transaction: its connection stays open between requests, as in Django's client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        answer = _django(environ, start_response)
        body = list(answer)
        answer.close()
        return body
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


DESCRIBED = schemathesis.openapi.from_dict(KEPT)
DESCRIBED.app = application
OPERATIONS = {found.ok().label: found.ok() for found in DESCRIBED.get_all_operations()}


@pytest.fixture(params=["viewer", "operator", "manager", "token"])
def signed_in(request: pytest.FixtureRequest, db: None) -> dict[str, str]:
    """Headers of someone of that role."""
    return {"Authorization": f"Bearer {token()}"} if request.param == "token" else _session(request.param)


def _session(role: str) -> dict[str, str]:
    browser = Client()
    browser.force_login(person(role))
    session, csrf = browser.cookies["sessionid"].value, "a" * 32
    return {"Cookie": f"sessionid={session}; csrftoken={csrf}", "X-CSRFToken": csrf}


@pytest.mark.parametrize("label", OPERATIONS)
def test_whoever_asks_whatever_gets_what_is_documented(
    label: str, signed_in: dict[str, str], ids: dict[str, int]
) -> None:
    operation = OPERATIONS[label]
    resource = operation.path.split("/")[2]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))

    @seed(20261124)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known:
            real = {**ids, "id": ids.get(resource, "")}
            case.path_parameters = {name: str(real[name]) for name in case.path_parameters or {}}
        case.call_and_validate(headers=signed_in, checks=CHECKS, base_url="http://testserver")

    ask()
