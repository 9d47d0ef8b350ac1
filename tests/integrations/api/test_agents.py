"""Agents and offices over the API: managers keep them, and whose tours go where follows."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Agent, AuditEvent, Office, Operation, Tour
from tests.factories import AgentFactory, ConnectionFactory, OfficeFactory
from tests.integrations.api.asking import Asking, fields, person


def test_an_agent_is_made_and_changed(api: Asking) -> None:
    office = OfficeFactory(name="North")
    made = api.post("/api/agents", {"name": "Dana", "email": "Dana@X.example", "office_id": str(office.pk)})
    told = made.json()
    assert (made.status_code, told["email"], told["office"]["name"]) == (201, "dana@x.example", "North")
    assert (told["active"], told["mls_id"]) == (True, "")
    at = f"/api/agents/{told['id']}"
    assert api.patch(at, {"active": False}).status_code == 428
    away = api.patch(at, {"active": False, "office_id": None}, If_Match=made["ETag"])
    assert (away.status_code, away.json()["active"], away.json()["office"]) == (200, False, None)
    assert api.patch(at, {"active": True}, If_Match=made["ETag"]).status_code == 412
    assert list(AuditEvent.objects.filter(object_type="agent").order_by("id").values_list("verb", "after")) == [
        ("agent.create", {"name": "Dana", "email": "dana@x.example", "office": office.pk}),
        ("agent.update", {"active": False, "office": None}),
    ]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"name", "email"}), ({"name": "A", "email": "no"}, {"email"}),
        ({"name": "A", "email": "TAKEN@x.example"}, {"email"}),
        ({"name": "A", "email": "a@x.example", "office_id": "99"}, {"office_id"}),
        ({"name": "A", "email": "a@x.example", "active": "maybe"}, {"active"}),
        ({"name": "A" * 121, "email": "a@x.example"}, {"name"}),
        ({"name": "A", "email": "a@x.example", "id": "7"}, {"id"}),
        ({"name": "A", "email": "a@x.example", "office": {"name": "x"}}, {"office"}),
        ({"name": "A", "email": "a@x.example", "created_at": "2026-01-01T00:00Z"}, {"created_at"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_is_saved(api: Asking, body: dict[str, Any], named: set[str]) -> None:
    AgentFactory(email="taken@x.example")
    answer = api.post("/api/agents", body)
    assert (answer.status_code, set(fields(answer)), Agent.objects.count()) == (400, named, 1)


def test_an_agent_who_moves_takes_the_tours_along(
    api: Asking, tour: Tour, django_capture_on_commit_callbacks: Any
) -> None:
    office = OfficeFactory()
    connection = ConnectionFactory(scope="office", office=office)
    with django_capture_on_commit_callbacks(execute=True):
        answer = api.patch(f"/api/agents/{tour.agent_id}", {"office_id": str(office.pk)}, If_Match="*")
    assert answer.status_code == 200
    kinds = Operation.objects.filter(connection=connection).order_by("kind").values_list("kind", flat=True)
    assert list(kinds) == ["appointment.sync", "contact.link"]


def test_offices_are_made_renamed_and_deleted_while_empty(api: Asking) -> None:
    made = api.post("/api/offices", {"name": "North"})
    assert (made.status_code, made.json()["name"]) == (201, "North")
    assert fields(api.post("/api/offices", {"name": "North"})).keys() == {"name"}
    at = f"/api/offices/{made.json()['id']}"
    renamed = api.patch(at, {"name": "South"}, If_Match=made["ETag"])
    assert (renamed.json()["name"], api.get("/api/offices?text=sou").json()["results"][0]["name"]) == ("South", "South")
    AgentFactory(office=Office.objects.get())
    kept = api.ask("DELETE", at, If_Match="*")
    assert (kept.status_code, Office.objects.count()) == (409, 1)
    Agent.objects.all().delete()
    assert (api.ask("DELETE", at, If_Match="*").status_code, Office.objects.count()) == (204, 0)


def test_an_agent_with_tours_is_not_deleted(api: Asking, tour: Tour) -> None:
    answer = api.ask("DELETE", f"/api/agents/{tour.agent_id}", If_Match="*")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "This agent has tours or connections. Untick “active” instead.",
    )


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_managers_keep_them(role: str, db: None) -> None:
    asking, agent = Asking(user=person(role)), AgentFactory()
    assert asking.get(f"/api/agents/{agent.pk}").status_code == 200
    assert asking.post("/api/agents", {"name": "A", "email": "a@x.example"}).status_code == 403
    assert asking.patch(f"/api/agents/{agent.pk}", {"active": False}, If_Match="*").status_code == 403
    assert asking.ask("DELETE", f"/api/agents/{agent.pk}", If_Match="*").status_code == 403
    assert Agent.objects.get().active
