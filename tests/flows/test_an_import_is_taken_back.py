"""An import that stands at two CRMs is taken back by its plan: each appointment ends once at each, no more happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations.models import Contact, ExternalRef, ImportRun, Operation, Tour, TourStop
from integrations.operations.imports.undo import undo_plan
from tests.crm import Crm, make_rollout_connection, make_tour
from tests.redis_server import RedisServer
from tests.tour_files import DATA

pytestmark = pytest.mark.django_db


@pytest.fixture
def crms(crm: Crm, redis_server: RedisServer) -> Iterator[list[Crm]]:
    other = Crm(crm.sandbox, redis_server, make_rollout_connection())
    yield [crm, other]
    other.close()


def drain(crms: list[Crm]) -> None:
    """Until both have nothing due; a list that is being read is waited for."""
    for _ in range(4):
        for crm in crms:
            crm.drain()
            crm.pass_time(2)


def appointments() -> dict[str, set[str]]:
    """Ids of what is linked, by CRM."""
    refs = ExternalRef.objects.filter(resource="appointment", external_id__isnull=False)
    found: dict[str, set[str]] = {"gohighlevel": set(), "rollout": set()}
    for provider, external_id in refs.values_list("connection__provider", "external_id"):
        found[provider].add(str(external_id))
    return found


def test_every_appointment_it_made_ends_once_at_each_crm_and_nothing_else_is_touched(
    crms: list[Crm], tomorrow: Any
) -> None:
    crms[0].sandbox.account(duplicates=True)  # a couple of the file shares a phone
    kept = make_tour(tomorrow, stops=2)
    crms[0].plan(kept)
    drain(crms)
    others = appointments()
    call_command("import_tours", DATA / "tours-small.csv", verbosity=0)
    drain(crms)
    assert list(Operation.objects.exclude(state="succeeded").values_list("kind", "state", "message")) == []
    made = {provider: ids - others[provider] for provider, ids in appointments().items()}
    live = TourStop.objects.live().exclude(tour=kept).count()
    assert {provider: len(ids) for provider, ids in made.items()} == {"gohighlevel": live, "rollout": live}
    assert live > 0
    seq = crms[0].requests()[-1]["seq"]
    run = ImportRun.objects.get()
    plan = undo_plan(run.pk)

    call_command("undo_import", run.pk, yes=True, verbosity=0)
    drain(crms)

    rows = [row for row in crms[0].sandbox.journal(since=seq) if row["effect"]]
    there = {p: [row for row in rows if row["provider"] == p] for p in ("gohighlevel", "rollout")}
    for provider, ended in there.items():
        assert Counter(row["effect"]["id"] for row in ended) == Counter(made[provider])
    assert {(row["method"], row["body"]["appointmentStatus"]) for row in there["gohighlevel"]} == {("PUT", "cancelled")}
    assert {(row["method"], row["effect"]["op"]) for row in there["rollout"]} == {("DELETE", "delete")}
    assert not any(row["effect"].get("notified") for row in rows)
    assert set(Operation.objects.values_list("state", flat=True)) <= {"succeeded", "superseded"}

    # Ours: as the plan said; the other tour as it was.
    assert Tour.objects.exclude(pk=kept.pk).filter(archived_at=None).count() == 0
    assert len(plan.cancel) == Tour.objects.exclude(pk=kept.pk).count()
    assert dict(plan.appointments) == {crm.connection.label: live for crm in crms}
    assert TourStop.objects.live().count() == 2
    people = Contact.objects.exclude(pk=kept.buyer_id)
    assert people.filter(archived_at=None).count() == 0
    assert people.count() == plan.contacts_archived
    assert ExternalRef.objects.filter(resource="contact", external_id__isnull=False).count() == 2 * (people.count() + 1)

    # Doing it again finds it done.
    before = len(crms[0].requests())
    with pytest.raises(CommandError, match="undone already"):
        call_command("undo_import", run.pk, yes=True, verbosity=0)
    drain(crms)
    assert len(crms[0].requests()) == before
