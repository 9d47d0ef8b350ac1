"""CRMs over the API: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.fields import Unreadable
from integrations.models import AuditEvent, Connection, IdempotentRequest, Operation, Tour
from tests.factories import ConnectionFactory, OfficeFactory, OperationFactory
from tests.integrations.api.asking import Asking, fields
from tests.sandbox_server import SandboxServer

NEW: dict[str, Any] = {
    "provider": "gohighlevel",
    "label": "Head office",
    "config": {"location_id": "loc_api", "calendar_id": "cal_1"},
    "secrets": {"token": "pit-very-secret-0001"},
}


@pytest.fixture
def knows(world: SandboxServer) -> SandboxServer:
    """The sandbox has the account of NEW."""
    world.account("loc_api", token="pit-very-secret-0001", calendar="cal_1")
    return world


def test_a_connection_is_made_and_its_tours_are_planned(api: Asking, tour: Tour, knows: SandboxServer) -> None:
    answer = api.post("/api/connections", {**NEW, "sync_from": "2026-01-01T00:00Z"}, Idempotency_Key="k")
    told = answer.json()
    assert (answer.status_code, told["secrets_set"], told["config"]["location_id"]) == (201, ["token"], "loc_api")
    assert (told["state"], told["last_verified_at"] is not None) == ("active", True)
    assert Operation.objects.filter(connection_id=int(told["id"])).exists()
    assert [row["method"] for row in knows.journal()] == ["GET"]


def test_a_key_the_crm_refuses_is_named_and_nothing_is_saved(api: Asking, knows: SandboxServer) -> None:
    body = {**NEW, "secrets": {"token": "pit-wrong-secret-00"}}
    answer = api.post("/api/connections", body)
    told = fields(answer)
    assert (answer.status_code, list(told), Connection.objects.count()) == (400, ["secrets.token"], 0)
    assert told["secrets.token"].startswith("GoHighLevel refused these credentials (401): ")
    assert "pit-wrong" not in answer.content.decode()
    tried = api.post("/api/connections/test", body).json()
    assert (tried["works"], tried["field"], tried["message"]) == (False, "secrets.token", told["secrets.token"])
    assert api.post("/api/connections/test", NEW).json() == {"works": True, "field": None, "message": ""}
    assert Connection.objects.count() == 0


def test_one_that_cannot_be_asked_is_saved_paused_on_request(api: Asking, knows: SandboxServer) -> None:
    knows.faults("status", status=503)
    answer = api.post("/api/connections", NEW)
    assert (answer.status_code, answer.json()["type"], Connection.objects.count()) == (
        409, "urn:reanna-router:problem:not_tested", 0,
    )  # fmt: skip
    before = len(knows.journal())
    told = api.post("/api/connections", {**NEW, "untested": True}).json()
    assert (told["state"], told["state_reason"]) == ("paused", "Saved without a test that passed.")
    assert (told["last_verified_at"], len(knows.journal())) == (None, before)
    assert fields(api.post("/api/connections", {**NEW, "untested": "yes"})) == {
        "untested": "This must be true or false."
    }


def test_what_is_stored_is_tried_out(api: Asking, connection: Connection, there: SandboxServer) -> None:
    at = f"/api/connections/{connection.pk}"
    assert api.post(f"{at}/test", {"reason": "new key"}).json()["last_verified_at"] is not None
    assert AuditEvent.objects.get(verb="connection.verify").reason == "new key"
    there.account(connection.account_key, token="another")
    refused = api.post(f"{at}/test")
    assert (refused.status_code, refused.json()["detail"].startswith("GoHighLevel refused these")) == (409, True)
    changed = api.patch(at, {"secrets": {"token": "wrong"}}, If_Match="*")
    assert (changed.status_code, list(fields(changed))) == (400, ["secrets.token"])
    assert Connection.objects.get().secrets == {"token": "pit-0123456789-last"}
    assert api.patch(at, {"secrets": {"token": "another"}}, If_Match="*").status_code == 200
    assert Connection.objects.get().secrets == {"token": "another"}


def test_a_plan_counts_what_a_change_moves_and_moves_nothing(api: Asking, connection: Connection, tour: Tour) -> None:
    nothing = {
        "tours_joining": 0, "tours_leaving": 0, "showings_handed_over": 0, "showings_waiting_for_a_user": 0,
        "operations_sent_without_user": 0,
    }  # fmt: skip
    at = f"/api/connections/{connection.pk}/plan"
    office = OfficeFactory()
    assert api.post(at, {}).json() == nothing
    assert api.post(at, {"scope": "office", "office_id": str(office.pk)}).json() == {**nothing, "tours_leaving": 1}
    assert api.post(at, {"sync_from": "2030-01-01T00:00Z"}).json() == {**nothing, "tours_leaving": 1}
    assert api.post(at, {"assigns": True}).json() == nothing
    new = {**NEW, "sync_from": "2026-01-01T00:00Z", "config": {"location_id": "loc_new", "calendar_id": "cal_1"}}
    assert api.post("/api/connections/plan", new).json() == {**nothing, "tours_joining": 1}
    assert list(fields(api.post("/api/connections/plan", {**NEW, "label": connection.label}))) == ["label"]
    assert (Connection.objects.get().scope, Operation.objects.count()) == ("brokerage", 0)


def test_one_that_was_never_used_is_deleted(api: Asking, connection: Connection) -> None:
    at = f"/api/connections/{connection.pk}"
    used = OperationFactory(connection=connection)
    assert api.ask("DELETE", at).status_code == 428
    kept = api.ask("DELETE", at, If_Match="*")
    assert (kept.status_code, kept.json()["detail"]) == (
        409,
        "This connection has operations or links to CRM records. Disable it instead.",
    )
    used.delete()
    assert (api.ask("DELETE", at, If_Match="*").status_code, Connection.objects.count()) == (204, 0)


@pytest.mark.parametrize("verb", ["pause", "resume", "disable"])
def test_a_verb_is_done_only_on_what_the_caller_saw(api: Asking, connection: Connection, verb: str) -> None:
    at = f"/api/connections/{connection.pk}"
    seen = api.get(at)["ETag"]
    api.patch(at, {"label": "Renamed"}, If_Match="*")
    assert api.post(f"{at}/{verb}", If_Match=seen).status_code == 412
    assert Connection.objects.get().state == "active"
    assert api.post(f"{at}/{verb}", If_Match=api.get(at)["ETag"]).status_code == 200


def test_a_secret_never_comes_back(api: Asking, knows: SandboxServer) -> None:
    made = api.post("/api/connections", NEW, Idempotency_Key="k")
    at = f"/api/connections/{made.json()['id']}"
    answers = [made, api.get(at), api.get("/api/connections"), api.post(f"{at}/pause"), api.patch(at, {}, If_Match="*")]
    knows.account("loc_api", token="pit-very-secret-0002")
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


def test_pause_resume_and_disable(api: Asking, connection: Connection) -> None:
    at = f"/api/connections/{connection.pk}"
    assert api.post(f"{at}/pause", {"reason": "moving"}).json()["state"] == "paused"
    assert api.post(f"{at}/resume").json()["state"] == "active"
    assert api.post(f"{at}/disable", {"reason": "left"}).json()["state"] == "disabled"
    verbs = AuditEvent.objects.filter(object_type="connection").order_by("id").values_list("verb", "reason")
    assert list(verbs) == [
        ("connection.pause", "moving"), ("connection.resume", ""), ("connection.disable", "left"),
    ]  # fmt: skip


def test_secrets_that_cannot_be_read_break_nothing(
    api: Asking, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Connection._meta.get_field("secrets")
    monkeypatch.setattr(type(field), "from_db_value", _unreadable)
    assert api.get("/api/connections").status_code == 200
    answer = api.get(f"/api/connections/{connection.pk}")
    assert (answer.status_code, answer.json()["secrets_set"]) == (200, None)


def _unreadable(*_args: Any) -> None:
    raise Unreadable


@pytest.mark.parametrize("query", ["secrets=x", "secrets__contains=pit", "config__location_id=x", "account_key=x"])
def test_secrets_cannot_be_asked_for(api: Asking, connection: Connection, query: str) -> None:
    answer = api.get(f"/api/connections?{query}")
    assert (answer.status_code, list(fields(answer))) == (400, [query.split("=", maxsplit=1)[0]])


def test_the_list_asks_a_fixed_number_of_questions(api: Asking, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        ConnectionFactory()
    with django_assert_max_num_queries(6):
        assert len(api.get("/api/connections").json()["results"]) == 10
