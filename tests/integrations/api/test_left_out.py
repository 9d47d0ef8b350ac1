"""Keeping a record out of a CRM over the API: counted first, done once, taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from integrations.models import AuditEvent, Connection, LeftOut, Tour
from tests.crm import Crm, make_tour
from tests.factories import OperationFactory
from tests.integrations.api.asking import Asking, fields


def about(tour: Tour, connection: Connection, **more: Any) -> dict[str, Any]:
    return {"connection_id": str(connection.pk), "entity_type": "tour", "entity_id": str(tour.pk), **more}


def test_left_out_and_taken_back(api: Asking, crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    body = about(tour, crm.connection)
    assert api.post("/api/left-out/plan", body).json() == {
        "left_out": False, "reason": "", "appointments_cancelled": 2, "operations_ended": 0,
        "appointments_returning": 0,
    }  # fmt: skip
    assert crm.requests("PUT") == []
    done = api.post("/api/left-out", {**body, "reason": "Private sale"})
    told = done.json()
    assert (done.status_code, told["changed"], told["appointments_cancelled"]) == (201, True, 2)
    crm.drain()
    assert [row["body"]["appointmentStatus"] for row in crm.requests("PUT")] == ["cancelled", "cancelled"]
    again = api.post("/api/left-out", {**body, "reason": "Another"})
    assert (again.status_code, again.json()["changed"], again.json()["left_out"]["reason"]) == (
        200, False, "Private sale",
    )  # fmt: skip
    assert api.post("/api/left-out/plan", body).json()["appointments_returning"] == 2
    at = f"/api/left-out/{told['left_out']['id']}"
    assert api.post(f"{at}/take-back", If_Match='"x"').status_code == 412
    assert api.post(f"{at}/take-back", {"reason": "sold"}, If_Match=done["ETag"]).json() == {"changed": True}
    assert api.post(f"{at}/take-back").status_code == 404
    crm.drain()
    assert [row["body"]["appointmentStatus"] for row in crm.requests("PUT")][2:] == ["confirmed", "confirmed"]
    trail = AuditEvent.objects.filter(verb__in=["leave_out", "take_back"]).order_by("id")
    assert list(trail.values_list("verb", "reason", "via")) == [
        ("leave_out", "Private sale", "api"), ("take_back", "sold", "api"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"reason": " "}, ["reason"]), ({"reason": "x" * 301}, ["reason"]),
        ({"connection_id": "999"}, ["connection_id"]),
        ({"entity_type": "operation"}, ["entity_type"]), ({"entity_id": "999"}, ["entity_id"]),
        ({"entity_id": 1}, ["entity_id"]), ({"entity_type": None}, ["entity_type"]), ({"id": "1"}, ["id"]),
        ({"created_at": "2026-01-01T00:00Z"}, ["created_at"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    api: Asking, tour: Tour, connection: Connection, more: dict[str, Any], named: list[str]
) -> None:
    answer = api.post("/api/left-out", about(tour, connection, reason="why") | more)
    assert (answer.status_code, list(fields(answer)), LeftOut.objects.count()) == (400, named, 0)


def test_what_is_left_out_is_listed(api: Asking, tour: Tour, connection: Connection) -> None:
    for kind, pk in (("tour", tour.pk), ("contact", tour.buyer_id)):
        LeftOut.objects.create(connection=connection, entity_type=kind, entity_id=pk, reason=f"no {kind}")
    rows = api.get(f"/api/left-out?connection={connection.pk}").json()["results"]
    assert [(row["entity_type"], row["reason"]) for row in rows] == [("contact", "no contact"), ("tour", "no tour")]
    assert len(api.get("/api/left-out?entity_type=tour").json()["results"]) == 1
    assert api.get(f"/api/left-out?connection={connection.pk + 1}").json()["results"] == []


def test_an_operation_whose_record_is_gone_leaves_it_out(api: Asking, tour: Tour, connection: Connection) -> None:
    gone = OperationFactory(
        connection=connection, entity_id=tour.stops.get().pk, state="dead", reason="gone_at_provider"
    )
    at = f"/api/operations/{gone.pk}"
    told = api.get(at).json()
    assert (told["actions"], [one["label"] for one in told["choices"]]) == (
        ["recreate", "leave-out"], ["Recreate", "Leave out"],
    )  # fmt: skip
    assert fields(api.post(f"{at}/leave-out")) == {"reason": "Say why; whoever looks for it there later reads this."}
    answer = api.post(f"{at}/leave-out", {"reason": "sold"})
    assert (answer.json()["state"], answer.json()["reason"]) == ("cancelled", "left_out")
    assert LeftOut.objects.get().reason == "sold"
    assert api.post(f"{at}/leave-out", {"reason": "sold"}).status_code == 409
