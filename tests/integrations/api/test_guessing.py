"""What nobody may set or learn by guessing: names that no body has, questions that no list answers, others' answers."""

from __future__ import annotations

import pytest

from integrations.models import Tour
from tests.integrations.api.asking import Asking, address, fields, person, token
from tests.integrations.api.whatever import KEPT
from tests.who_may import CALLS

FORBIDDEN = (
    "id", "pk", "state", "version", "secrets", "credentials", "is_staff", "is_superuser", "owner", "owner_id",
    "actor", "acked_digest", "created_at", "updated_at", "archived_at", "op_key", "due_ms", "import_run",
    "hold_until_ms", "digest", "scopes", "tour_id", "stop_id", "connection_id", "account_key", "last_verified_at",
    "state_reason", "password", "__proto__", "constructor", "_state",
)  # fmt: skip
QUESTIONS = (
    "id", "pk", "id__in", "ordering", "order_by", "sort", "fields", "include", "expand", "password__startswith",
    "secrets__startswith", "connection__secrets__startswith", "connection__credentials__startswith",
    "buyer__email__startswith", "config__contains", "agent__email__startswith",
    "stops__access_instructions__contains", "owner__password__startswith", "token__digest__startswith",
    "created_at__gt", "state__regex", "text__regex", "acked_digest__startswith", "_to_field", "format",
)  # fmt: skip
WRITES = sorted(request for request in CALLS if not request.startswith(("GET ", "DELETE ")))


def _lists() -> list[str]:
    found = []
    for path, methods in KEPT["paths"].items():
        told = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
        if told.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1].startswith("Paginated"):
            found.append(path)
    return sorted(found)


LISTS = _lists()


def known(request: str) -> set[str]:
    """The names that the schema's body of this request has."""
    method, path = request.split()
    body = KEPT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    return set(KEPT["components"]["schemas"][body["$ref"].rsplit("/", 1)[-1]]["properties"])


@pytest.mark.parametrize("request_", WRITES)
def test_every_name_that_is_not_to_be_set_is_refused(api: Asking, ids: dict[str, int], request_: str) -> None:
    method, path = request_.split()
    names = set(FORBIDDEN) - known(request_)
    answer = api.ask(method, address(path, ids), dict.fromkeys(names, "1"), If_Match="*")
    assert answer.status_code == 400
    assert {name for name, told in fields(answer).items() if told == "There is no such field here."} == names


def test_what_no_body_may_set_is_in_no_body() -> None:
    """`state` is the address's, `secrets` and `connection_id`... are a connection's own: nothing else has them."""
    allowed = {request: sorted(known(request) & set(FORBIDDEN)) for request in WRITES}
    assert {request: names for request, names in allowed.items() if names} == {
        "PATCH /api/connections/{id}": ["secrets"],
        "POST /api/connections": ["secrets"],
        "POST /api/connections/plan": ["secrets"],
        "POST /api/connections/test": ["secrets"],
        "POST /api/connections/{id}/plan": ["secrets"],
        "POST /api/feedback": ["stop_id"],
        "POST /api/left-out": ["connection_id"],
        "POST /api/left-out/plan": ["connection_id"],
    }


@pytest.mark.parametrize("path", LISTS)
def test_a_list_answers_no_question_but_its_filters(api: Asking, ids: dict[str, int], path: str) -> None:
    answer = api.get(address(path, ids) + "?" + "&".join(f"{name}=a" for name in QUESTIONS))
    assert answer.status_code == 400
    assert fields(answer) == dict.fromkeys(QUESTIONS, "There is no such filter here.")


@pytest.mark.parametrize(
    "cursor", ["x", "cD1h", "cD0n", "bz0tMQ%3D%3D", "cD0yMDI2LTA5LTE0KzIxJTNBMDAlM0EwMCUyQjAwJTNBMDA%3D%00"]
)
@pytest.mark.parametrize("path", LISTS)
def test_a_made_up_cursor_tells_nothing(api: Asking, ids: dict[str, int], path: str, cursor: str) -> None:
    """A place in the order is all a cursor can be: the answer is a page of the list, or a refusal that names it."""
    answer = api.get(f"{address(path, ids)}?cursor={cursor}")
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert list(fields(answer)) == ["cursor"]


def test_an_answer_kept_for_one_client_is_no_others(api: Asking, tour: Tour) -> None:
    body = {"reason": "mine alone"}
    first = api.post(f"/api/tours/{tour.pk}/cancel", body, Idempotency_Key="k-1")
    for other in (Asking(token()), Asking(user=person("operator"))):
        answer = other.post(f"/api/tours/{tour.pk}/cancel", body, Idempotency_Key="k-1")
        assert "Idempotent-Replayed" not in answer.headers
    assert first.status_code == 200


def test_an_answer_is_not_given_again_to_who_lost_the_right(tour: Tour) -> None:
    user = person("operator")
    asking = Asking(user=user)
    path = f"/api/tours/{tour.pk}/cancel"
    assert asking.post(path, {}, Idempotency_Key="k-1").status_code == 200
    user.groups.set(person("viewer").groups.all())
    assert asking.post(path, {}, Idempotency_Key="k-1").status_code == 403


def test_no_answer_of_the_api_holds_a_secret(api: Asking, ids: dict[str, int]) -> None:
    read = [request.removeprefix("GET ") for request in CALLS if request.startswith("GET ")]
    texts = [api.get(address(path, ids)).content.decode() for path in read]
    found = [secret for text in texts for secret in ("pit-0123456789-last", "digest") if secret in text]
    assert found == []
