"""Connections: fields from the manifest, secrets that never come out, states, and tours that follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection as database

from integrations.models import AuditEvent, Connection, Operation, TourStop
from integrations.operations import connections, planning
from integrations.operations.routes import Reach, RoutingFacts, follow, follow_agent, follow_agent_name, reach
from tests import factories as make

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "admin"}
NOW = datetime(2026, 9, 1, tzinfo=UTC)
DATA = {"label": "Main CRM", "scope": "brokerage", "location_id": "loc_1", "calendar_id": "cal_1", "token": "pit-1"}


def _create(**changes: Any) -> Connection:
    return connections.create_connection("gohighlevel", {**DATA, **changes}, now=NOW, **BY)


def _update(connection: Connection, data: dict[str, Any], **kwargs: Any) -> Connection:
    connections.update_connection(connection.pk, data, **BY, **kwargs)
    connection.refresh_from_db()
    return connection


def _errors(call: Any, *args: Any, **kwargs: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        call(*args, **kwargs)
    found: dict[str, list[str]] = caught.value.message_dict
    return found


def _planned(connection: Connection) -> list[tuple[int, int]]:
    rows = Operation.objects.filter(connection=connection, kind="appointment.sync").order_by("pk")
    return list(rows.values_list("entity_id", "version"))


def test_a_connection_is_made_from_the_manifests_fields() -> None:
    connection = _create()

    connection.refresh_from_db()
    assert connection.config == {"location_id": "loc_1", "calendar_id": "cal_1"}
    assert connection.secrets == {"token": "pit-1"}
    assert (connection.account_key, connection.state, connection.sync_from) == ("loc_1", "active", NOW)


def test_the_audit_trail_names_secrets_and_never_holds_them() -> None:
    connection = _create()
    _update(connection, {"token": "pit-2", "client_secret": "shh"}, forget_secrets=["token"])

    created, updated = AuditEvent.objects.order_by("id")
    assert created.after["secrets"] == ["token"]
    assert updated.after["secrets given"] == ["client_secret"]
    assert updated.after["secrets removed"] == ["token"]
    everything = f"{created.before}{created.after}{updated.before}{updated.after}"
    assert not [text for text in ("pit-1", "pit-2", "shh") if text in everything]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"label": ""}, "label", "This must be given."),
        ({"location_id": " "}, "location_id", "This must be given."),
        ({"calendar_id": None}, "calendar_id", "This must be given."),
        ({"token": 7}, "token", "This must be text."),
        ({"token": "a\0b"}, "token", "This contains the control character U+0000."),
        ({"calendar_id": "x" * 201}, "calendar_id", "This is 201 characters long; 200 fit."),
        ({"scope": "world"}, "scope", "“world” is not one of brokerage, office, agent."),
        ({"scope": "office"}, "office_id", "Choose the office that this connection serves."),
        ({"scope": "agent", "agent_id": 404}, "agent_id", "Choose the agent that this connection serves."),
        (
            {"sync_from": "2026-01-01T00:00"},
            "sync_from",
            "Give the time's offset from UTC, for example 2026-01-01T00:00Z.",
        ),
        ({"sync_from": ""}, "sync_from", "This must be given."),
        ({"limit_overrides": {"burst": 101}}, "limit_overrides", "“burst” must be a whole number from 1 to 100."),
        ({"limit_overrides": {"burst": True}}, "limit_overrides", "“burst” must be a whole number from 1 to 100."),
        ({"limit_overrides": {"hourly": 1}}, "limit_overrides", "Limits are given by name: burst, daily."),
        ({"limit_overrides": [1]}, "limit_overrides", "Limits are given by name: burst, daily."),
    ],
)
def test_an_error_names_its_field(changes: dict[str, Any], field: str, message: str) -> None:
    assert _errors(_create, **changes) == {field: [message]}
    assert Connection.objects.count() == 0


def test_an_unknown_provider_is_named() -> None:
    assert list(_errors(connections.create_connection, "crm9000", DATA, now=NOW, **BY)) == ["provider"]


def test_a_choice_that_is_none_is_refused_and_an_empty_one_is_none() -> None:
    lofty = {"label": "Lofty", "scope": "brokerage", "account_email": "Ann@Mail.example ", "token": "key-1"}
    errors = _errors(connections.create_connection, "lofty", {**lofty, "app_mode": "Production"}, now=NOW, **BY)
    assert errors == {"app_mode": ["Choose one of: key, development, production."]}
    made = connections.create_connection("lofty", {**lofty, "app_mode": "", "showing_as": "task"}, now=NOW, **BY)
    assert (made.config, made.account_key) == (
        {"account_email": "Ann@Mail.example", "showing_as": "task"}, "ann@mail.example",
    )  # fmt: skip


def test_an_account_and_a_label_are_taken_once() -> None:
    _create()

    assert _errors(_create) == {
        "label": ["Another connection has this label."],
        "location_id": ["This account is connected already, as “Main CRM”."],
    }


def test_blank_secrets_keep_what_is_stored() -> None:
    connection = _create()

    assert not connections.update_connection(connection.pk, {"token": "", "client_secret": None}, **BY)

    connection.refresh_from_db()
    assert (connection.secrets, connection.secrets_version) == ({"token": "pit-1"}, 1)
    assert AuditEvent.objects.count() == 1


def test_new_secrets_begin_anew_and_end_auth_needed() -> None:
    connection = _create()
    Connection.objects.update(state="auth_needed", state_reason="401", token_expires_at=NOW)

    _update(connection, {"token": "pit-2"})

    assert (connection.secrets, connection.secrets_version) == ({"token": "pit-2"}, 2)
    assert (connection.state, connection.state_reason, connection.token_expires_at) == ("active", "", None)


def test_new_secrets_do_not_end_a_pause() -> None:
    connection = _create()
    connections.pause(connection.pk, **BY)

    assert _update(connection, {"token": "pit-2"}).state == "paused"


def test_a_used_connection_keeps_its_account() -> None:
    connection = _create()
    assert _update(connection, {"location_id": "loc_2"}).account_key == "loc_2"
    make.OperationFactory(connection=connection)

    assert list(_errors(connections.update_connection, connection.pk, {"location_id": "loc_3"}, **BY)) == [
        "location_id"
    ]


def test_changing_nothing_is_no_write() -> None:
    connection = _create()

    assert not connections.update_connection(connection.pk, {**DATA, "sync_from": NOW}, **BY)

    assert AuditEvent.objects.count() == 1


def test_states_change_once_and_are_audited() -> None:
    connection = _create()

    assert connections.pause(connection.pk, reason="audit", **BY)
    assert not connections.pause(connection.pk, **BY)
    assert connections.resume(connection.pk, **BY)
    assert connections.disable(connection.pk, **BY)

    verbs = list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["connection.create", "connection.pause", "connection.resume", "connection.disable"]


def test_a_new_connection_plans_the_tours_it_reaches() -> None:
    stop = make.TourStopFactory()
    make.TourStopFactory(tour=make.TourFactory(starts_at=NOW - timedelta(days=1)))

    assert _planned(_create()) == [(stop.pk, 1)]


def test_an_earlier_sync_from_brings_tours_in_and_a_later_one_takes_them_back() -> None:
    stop = make.TourStopFactory()
    connection = _create(sync_from="2027-01-01T00:00Z")
    assert _planned(connection) == []

    _update(connection, {"sync_from": "2026-01-01T00:00Z"})
    assert _planned(connection) == [(stop.pk, 1)]

    _update(connection, {"sync_from": "2027-01-01T00:00Z"})
    assert _planned(connection) == [(stop.pk, 1), (stop.pk, 2)]

    _update(connection, {"sync_from": "2026-01-01T00:00Z"})
    assert _planned(connection) == [(stop.pk, 1), (stop.pk, 2), (stop.pk, 3)]


def test_another_scope_leaves_the_tours_of_other_agents() -> None:
    mine, other = make.TourStopFactory(), make.TourStopFactory()
    connection = _create()

    _update(connection, {"scope": "agent", "agent_id": mine.tour.agent_id})

    assert _planned(connection) == [(mine.pk, 1), (other.pk, 1), (other.pk, 2)]
    assert TourStop.objects.get(pk=mine.pk).version == 1


def test_after_disabled_what_changed_meanwhile_is_planned() -> None:
    connection = _create()
    connections.disable(connection.pk, **BY)
    stop = make.TourStopFactory()

    assert follow(connection.pk, before=None) == 0
    connections.resume(connection.pk, **BY)

    assert _planned(connection) == [(stop.pk, 1)]


def test_following_again_sends_nothing_twice() -> None:
    stop = make.TourStopFactory()
    connection = _create()

    follow(connection.pk, before=RoutingFacts.of(connection))

    assert _planned(connection) == [(stop.pk, 1)]


def test_the_reach_of_a_change_is_known_before_it_is_made() -> None:
    tour = make.TourFactory()
    make.TourFactory(archived_at=NOW)
    everything = RoutingFacts(1, "brokerage", None, None, NOW, "active")
    nothing = RoutingFacts(1, "brokerage", None, None, tour.starts_at + timedelta(days=1), "active")

    assert reach(everything) == Reach(joining=1, leaving=0)
    assert reach(nothing, everything) == Reach(joining=0, leaving=1)
    assert reach(everything, everything) == Reach(joining=0, leaving=0)


def test_an_agents_tours_follow_to_another_office() -> None:
    old, new = make.OfficeFactory(), make.OfficeFactory()
    stop = make.TourStopFactory(tour=make.TourFactory(agent=make.AgentFactory(office=old)))
    of_old = make.ConnectionFactory(scope="office", office=old)
    of_new = make.ConnectionFactory(scope="office", office=new)
    follow(of_old.pk, before=None)
    agent = stop.tour.agent
    agent.office = new
    agent.save()

    assert follow_agent(agent.pk, office_before=old.pk) == 1

    assert (_planned(of_old), _planned(of_new)) == ([(stop.pk, 1), (stop.pk, 2)], [(stop.pk, 2)])


def test_an_agent_who_stays_or_whose_offices_have_no_connection_concerns_no_tour() -> None:
    make.ConnectionFactory()
    agent = make.AgentFactory(office=make.OfficeFactory())
    make.TourStopFactory(tour=make.TourFactory(agent=agent))

    assert follow_agent(agent.pk, office_before=agent.office_id) == 0
    assert follow_agent(agent.pk, office_before=None) == 0


def test_a_connection_whose_secrets_cannot_be_read_can_be_paused_and_given_new_ones() -> None:
    connection = _create()
    with database.cursor() as cursor:
        cursor.execute("UPDATE integrations_connection SET secrets = %s", [b"not a token"])
    assert connections.pause(connection.pk, **BY)
    assert connections.update_connection(connection.pk, {"token": "pit-new-token"}, **BY)
    connection.refresh_from_db()
    assert connection.secrets == {"token": "pit-new-token"}


def test_a_new_name_of_an_agent_is_planned_for_tours_that_are_not_over() -> None:
    make.ConnectionFactory()
    agent = make.AgentFactory()
    tours = [make.TourFactory(agent=agent, status=status) for status in ("scheduled", "completed", "cancelled")]
    stops = [make.TourStopFactory(tour=tour) for tour in [*tours, make.TourFactory()]]
    planning.plan_tours([stop.tour for stop in stops])

    assert follow_agent_name(agent.pk) == 1

    syncs = Operation.objects.filter(kind="appointment.sync", version=2)
    assert list(syncs.values_list("entity_id", flat=True)) == [stops[0].pk]
