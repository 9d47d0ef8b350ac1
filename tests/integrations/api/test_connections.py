"""CRMs over the API: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.fields import InvalidToken
from integrations.models import AuditEvent, Connection, IdempotentRequest, Operation, Tour
from tests.factories import ConnectionFactory
from tests.integrations.api.asking import Asking, fields

NEW: dict[str, Any] = {
    "provider": "gohighlevel",
    "label": "Head office",
    "config": {"location_id": "loc_1", "calendar_id": "cal_1"},
    "secrets": {"token": "pit-very-secret-0001"},
}


def test_a_connection_is_made_and_its_tours_are_planned(api: Asking, tour: Tour) -> None:
    answer = api.post("/api/connections", {**NEW, "sync_from": "2026-01-01T00:00Z"}, Idempotency_Key="k")
    told = answer.json()
    assert (answer.status_code, told["secrets_set"], told["config"]["location_id"]) == (201, ["token"], "loc_1")
    assert Operation.objects.filter(connection_id=int(told["id"])).exists()


def test_a_secret_never_comes_back(api: Asking) -> None:
    made = api.post("/api/connections", NEW, Idempotency_Key="k")
    at = f"/api/connections/{made.json()['id']}"
    answers = [made, api.get(at), api.get("/api/connections"), api.post(f"{at}/pause"), api.patch(at, {}, If_Match="*")]
    answers.append(api.patch(at, {"secrets": {"token": "pit-very-secret-0002"}}, If_Match="*"))
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 200]
    kept = str([list(model.objects.values()) for model in (AuditEvent, IdempotentRequest)])
    assert [text for text in (*(answer.content.decode() for answer in answers), kept) if "very-secret" in text] == []
    assert Connection.objects.get().secrets == {"token": "pit-very-secret-0002"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"provider": "nobody"}, "provider"), ({"label": ""}, "label"), ({"config": {}}, "config.location_id"),
        ({"config": {**NEW["config"], "token": "x"}}, "config.token"),
        ({"secrets": {"location_id": "x"}}, "secrets.location_id"),
        ({"scope": "office"}, "office_id"), ({"scope": "agent", "agent_id": "99"}, "agent_id"),
        ({"state": "active"}, "state"),
        ({"account_key": "x"}, "account_key"), ({"limit_overrides": {"burst": 10_000}}, "limit_overrides"),
        ({"secrets": "x"}, "secrets"), ({"sync_from": "2026-01-01T00:00"}, "sync_from"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(api: Asking, more: dict[str, Any], field: str) -> None:
    answer = api.post("/api/connections", {**NEW, **more})
    assert (answer.status_code, Connection.objects.count()) == (400, 0)
    assert field in fields(answer)


def test_a_change_needs_the_tag_and_loses_nobodys(api: Asking, connection: Connection) -> None:
    at = f"/api/connections/{connection.pk}"
    assert api.patch(at, {"label": "New"}).status_code == 428
    tag = api.get(at)["ETag"]
    assert api.patch(at, {"label": "New"}, If_Match=tag).json()["label"] == "New"
    assert api.patch(at, {"label": "Newer"}, If_Match=tag).status_code == 412
    assert Connection.objects.get().label == "New"


def test_pause_and_resume(api: Asking, connection: Connection) -> None:
    at = f"/api/connections/{connection.pk}"
    assert api.post(f"{at}/pause", {"reason": "moving"}).json()["state"] == "paused"
    assert api.post(f"{at}/resume").json()["state"] == "active"
    verbs = AuditEvent.objects.filter(object_type="connection").order_by("id").values_list("verb", "reason")
    assert list(verbs) == [("connection.pause", "moving"), ("connection.resume", "")]


def test_secrets_that_cannot_be_read_break_nothing(
    api: Asking, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Connection._meta.get_field("secrets")
    monkeypatch.setattr(type(field), "from_db_value", _unreadable)
    assert api.get("/api/connections").status_code == 200
    answer = api.get(f"/api/connections/{connection.pk}")
    assert (answer.status_code, answer.json()["secrets_set"]) == (200, None)


def _unreadable(*_args: Any) -> None:
    raise InvalidToken


@pytest.mark.parametrize("query", ["secrets=x", "secrets__contains=pit", "config__location_id=x", "account_key=x"])
def test_secrets_cannot_be_asked_for(api: Asking, connection: Connection, query: str) -> None:
    answer = api.get(f"/api/connections?{query}")
    assert (answer.status_code, list(fields(answer))) == (400, [query.split("=", maxsplit=1)[0]])


def test_the_list_asks_a_fixed_number_of_questions(api: Asking, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        ConnectionFactory()
    with django_assert_max_num_queries(6):
        assert len(api.get("/api/connections").json()["results"]) == 10
