"""Who an agent is in a CRM, over the API: read, suggested, mapped, unmapped."""

from __future__ import annotations

from datetime import datetime

import pytest

from integrations.models import AgentUser, AuditEvent, Tour
from tests.crm import Crm, make_tour
from tests.factories import AgentFactory
from tests.integrations.api.asking import Asking, fields, person


@pytest.fixture
def tour(giving: Crm, tomorrow: datetime) -> Tour:
    """Two stops that wait for the user of Ann, who has the address of one."""
    made = make_tour(tomorrow, stops=2)
    giving.sync(made)
    return made


def test_an_agent_is_suggested_mapped_and_unmapped(api: Asking, giving: Crm, tour: Tour) -> None:
    rosa = AgentFactory(name="Rosa", email="rosa@elsewhere.example")
    at = f"/api/connections/{giving.connection.pk}"
    rows = api.get(f"{at}/agents").json()["results"]
    assert [(row["agent_id"], row["user"], row["waits"]) for row in rows] == [
        (str(rosa.pk), None, 0), (str(tour.agent_id), None, 2),
    ]  # fmt: skip
    asked = api.get(f"{at}/users").json()
    assert [user["external_id"] for user in asked["users"]] == ["user_ann", "user_bob"]
    assert asked["suggestions"] == [{"agent_id": str(tour.agent_id), "external_id": "user_ann"}]
    done = api.post(f"{at}/agents/{tour.agent_id}/map", {"external_id": "user_ann", "reason": "same address"})
    assert (done.status_code, done.json()) == (200, {
        "changed": True, "operations_released": 2, "showings_moved": 0,
        "user": {"external_id": "user_ann", "name": "Ann Agent", "email": "ann@brokerage.example"},
    })  # fmt: skip
    giving.drain()
    assert [row["body"]["assignedUserId"] for row in giving.requests("POST") if "assignedUserId" in row["body"]] == [
        "user_ann", "user_ann",
    ]  # fmt: skip
    assert api.post(f"{at}/agents/{tour.agent_id}/map", {"external_id": "user_ann"}).json()["changed"] is False
    assert [row["user"]["name"] for row in api.get(f"{at}/agents?mapped=true").json()["results"]] == ["Ann Agent"]
    assert [row["name"] for row in api.get(f"{at}/agents?mapped=false").json()["results"]] == ["Rosa"]
    assert api.get(f"{at}/users").json()["suggestions"] == []
    writes = len(giving.requests("PUT"))
    assert api.post(f"{at}/agents/{tour.agent_id}/unmap").json() == {"changed": True}
    assert api.post(f"{at}/agents/{tour.agent_id}/unmap").json() == {"changed": False}
    giving.drain()
    assert (AgentUser.objects.count(), len(giving.requests("PUT"))) == (0, writes)
    verbs = AuditEvent.objects.filter(verb__contains="map_agent").order_by("id").values_list("verb", "reason", "via")
    assert list(verbs) == [("connection.map_agent", "same address", "api"), ("connection.unmap_agent", "", "api")]


@pytest.mark.parametrize("wanted", ["user_gone", "", "x" * 121, None, 5])
def test_only_a_user_there_is_can_be_chosen(api: Asking, giving: Crm, tour: Tour, wanted: object) -> None:
    at = f"/api/connections/{giving.connection.pk}/agents/{tour.agent_id}/map"
    answer = api.post(at, {"external_id": wanted})
    assert (answer.status_code, list(fields(answer)), AgentUser.objects.count()) == (400, ["external_id"], 0)


def test_a_crm_that_cannot_be_asked_says_so(api: Asking, giving: Crm, tour: Tour) -> None:
    giving.sandbox.faults("status", status=503, times=2)
    at = f"/api/connections/{giving.connection.pk}"
    answers = [api.get(f"{at}/users"), api.post(f"{at}/agents/{tour.agent_id}/map", {"external_id": "user_ann"})]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert {answer.json()["detail"].split(":")[0] for answer in answers} == {"The CRM’s users could not be read"}
    assert AgentUser.objects.count() == 0


def test_an_agent_there_is_not_is_not_mapped(api: Asking, giving: Crm) -> None:
    at = f"/api/connections/{giving.connection.pk}/agents/999/map"
    assert api.post(at, {"external_id": "user_ann"}).status_code == 404


def test_who_may_not_map_does_not_ask_the_crm(giving: Crm, tour: Tour) -> None:
    before = len(giving.requests())
    asking, at = Asking(user=person("operator")), f"/api/connections/{giving.connection.pk}"
    assert (asking.get(f"{at}/agents").status_code, asking.get(f"{at}/users").status_code) == (200, 403)
    assert asking.post(f"{at}/agents/{tour.agent_id}/map", {"external_id": "user_ann"}).status_code == 403
    assert len(giving.requests()) == before
