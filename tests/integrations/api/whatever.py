"""Whoever asks whatever: requests made from the kept schema, sent by each role, held to what the schema says.

The requests of an address are made once and sent by all roles: making them costs more than answering them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
import yaml
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
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

from tests.integrations.api.asking import person, token

DOCS = Path(__file__).resolve().parents[3] / "docs"
KEPT = yaml.safe_load((DOCS / "openapi.yaml").read_text("utf-8"))
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
WHO = ("viewer", "operator", "manager", "token")
EXAMPLES = 20
"""The requests are the same on both databases and made from the same seed: there, a few see to what only PostgreSQL
refuses (a NUL, a number too large, a lock in the wrong place)."""

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """The product in the test's own transaction: its connection stays open between requests, as in Django's client."""
    # The client below schemathesis throws a Cookie header away that it did not make itself; and a made-up token would
    # speak for whoever has a session.
    if (cookies := environ.pop("HTTP_X_COOKIE", None)) is not None:
        environ["HTTP_COOKIE"] = cookies
        environ.pop("HTTP_AUTHORIZATION", None)
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


def made(label: str, ids: dict[str, int]) -> list[Any]:
    """The requests of one address; half of them are about records that are there."""
    operation = OPERATIONS[label]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
    real = {**ids, "id": ids.get(operation.path.split("/")[2], "")}
    found: list[Any] = []

    @seed(20261124)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.booleans())
    def make(case: Any, known: bool) -> None:
        if known:
            case.path_parameters = {name: str(real[name]) for name in case.path_parameters or {}}
        # Whom it is for is the server's matter, before the API is reached.
        for name in [name for name in case.headers or {} if name.lower() == "host"]:
            del case.headers[name]
        found.append(case)

    make()
    return found


def headers_of(who: str) -> dict[str, str]:
    """Of someone of that role, or of a token with every scope."""
    if who == "token":
        return {"Authorization": f"Bearer {token()}"}
    browser = Client()
    browser.force_login(person(who))
    csrf = "a" * 32
    return {"X-Cookie": f"sessionid={browser.cookies['sessionid'].value}; csrftoken={csrf}", "X-CSRFToken": csrf}


def ask_whatever(label: str, ids: dict[str, int]) -> dict[str, set[int]]:
    """Everyone sends the requests of one address; what each did is taken back before the next.

    The statuses each got. Raises what is not as the schema says.
    """
    cases = made(label, ids)
    got: dict[str, set[int]] = {}
    for who in WHO:
        with transaction.atomic():
            headers = headers_of(who)
            answers = [
                case.call_and_validate(headers=headers, checks=CHECKS, base_url="http://testserver") for case in cases
            ]
            got[who] = {answer.status_code for answer in answers}
            transaction.set_rollback(True)
    return got


def labels(*methods: str) -> list[str]:
    """The addresses with one of these methods."""
    return [label for label in OPERATIONS if label.split()[0] in methods]
