"""Records that pages are about, made inside a running product: `manage.py shell` runs this, and it prints their ids."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from django_celery_beat import models as beat

from integrations.models import (
    Agent,
    ApiToken,
    AuditEvent,
    BulkRun,
    Connection,
    Contact,
    Feedback,
    ImportRun,
    LeftOut,
    Office,
    Operation,
    PlannedUndo,
    State,
    Tour,
)
from integrations.operations import bulk, left_out
from integrations.operations.access import create_token
from integrations.operations.audit import Who
from tests.factories import FeedbackFactory, OperationDependencyFactory, OperationFactory
from tests.webhooks import webhook_records

BY = Who("ada", "admin")


def tell() -> None:
    """Make what is missing and print the ids as one line of JSON."""
    print(json.dumps(_made()))


def _made() -> dict[str, Any]:
    tour = Tour.objects.order_by("pk")[0]
    stop = tour.stops.order_by("sequence")[0]
    link, listed = (Connection.objects.filter(provider=name).earliest("pk") for name in ("gohighlevel", "rollout"))
    answer = Feedback.objects.first() or FeedbackFactory(stop=stop, comments="Light all day.")
    operations = _operations(link, tour)
    left_out.leave_out("tour", Tour.objects.latest("pk").pk, link.pk, "They keep their own calendar", BY)
    create_token(
        name="Website", scopes=("tours:read",), owner=User.objects.earliest("pk"), expires_at=None,
        now=timezone.now(), who=BY,
    )  # fmt: skip
    imports = _imports()
    return {
        "records": {
            "integrations_agent": tour.agent_id,
            "integrations_apitoken": ApiToken.objects.latest("pk").pk,
            "integrations_auditevent": AuditEvent.objects.filter(object_type="tour").earliest("pk").pk,
            "integrations_connection": link.pk,
            "integrations_contact": tour.buyer_id,
            "integrations_feedback": answer.pk,
            "integrations_importrun": ImportRun.objects.filter(rows__lt=9_000).latest("pk").pk,
            **webhook_records(),
            "integrations_office": Office.objects.get_or_create(name="Midtown")[0].pk,
            "integrations_operation": operations["retry"],
            "integrations_tour": tour.pk,
            "auth_user": User.objects.earliest("pk").pk,
            "auth_group": Group.objects.get(name="manager").pk,
            **_jobs(),
        },
        "arguments": {
            "stop_id": stop.pk,
            "connection_id": link.pk,
            "agent_id": Agent.objects.latest("pk").pk,
            "into_id": Contact.objects.exclude(pk=tour.buyer_id).latest("pk").pk,
            "left_out_id": LeftOut.objects.filter(entity_type="tour").latest("pk").pk,
            "event_id": AuditEvent.objects.filter(object_type="tour", object_id=tour.pk).latest("pk").pk,
            "kind": "tours",
            "way": "down",
            "content_type_id": ContentType.objects.get_for_model(Tour).pk,
            "app_label": "integrations",
        },
        "listed": {"id": listed.pk, "account": listed.account_key},
        "operations": operations,
        "bulk_runs": _bulk_runs(operations["retry"]),
        "imports": imports,
        "viewer": _viewer(),
    }


def _operations(link: Connection, tour: Tour) -> dict[str, int]:
    """One for each verb, that it applies to: verb → id."""
    stop, buyer = tour.stops.order_by("sequence")[0], ("contact.link", "contact", tour.buyer_id)

    def one(state: str, reason: str, about: tuple[str, str, int] | None = None, **more: Any) -> int:
        kind, entity, pk = about or ("appointment.sync", "stop", stop.pk)
        made = OperationFactory(
            connection=link, kind=kind, entity_type=entity, entity_id=pk, state=state, reason=reason,
            op_key=f"browsed {state} {reason} {entity}", attempts=3, version=1,
            settled_ms=1_790_000_000_000 if state == State.DEAD else None, **more,
        )  # fmt: skip
        return int(made.pk)

    failed = one(State.DEAD, "rejected", message="422: startTime is in the past")
    in_doubt = one(State.NEEDS_PERSON, "attempts_used_up", in_doubt=True, sent_ms=1_790_000_000_000)
    changed, gone = one(State.NEEDS_PERSON, "changed_at_provider"), one(State.DEAD, "gone_at_provider")
    blocked = OperationFactory(
        connection=link, kind="appointment.sync", entity_type="stop", entity_id=stop.pk, op_key="browsed blocked",
        blockers=1,
    )  # fmt: skip
    OperationDependencyFactory(operation=blocked, needs=Operation.objects.get(pk=failed))
    return {
        "retry": failed,
        "cancel": int(blocked.pk),
        "skip": int(blocked.pk),
        "arrived": in_doubt,
        "not-arrived": in_doubt,
        "send-ours": changed,
        "keep-theirs": changed,
        "recreate": gone,
        "leave-out": gone,
        "merge": one(State.NEEDS_PERSON, "mapped_elsewhere", buyer),
    }


def _bulk_runs(operation_id: int) -> dict[str, int]:
    """One in each state: state → id."""
    made = {}
    for state in BulkRun.State:
        run = bulk.make(Operation.objects.filter(pk=operation_id), "retry", BY, chosen="State: Failed.")
        made[state.value] = run.pk
        if state != BulkRun.State.PLANNED:
            values: dict[str, Any] = {"actor": "ada", "reason": "The calendar is open again", "owner": "a worker"}
            values |= {"until_ms": 4_000_000_000_000, "started_at": timezone.now()}
            BulkRun.objects.filter(pk=run.pk).update(state=state, **values)
    return made


def _imports() -> dict[str, int]:
    """Large ones: one under way, one whose undo is being worked out, one whose undo is planned: what → id."""

    def run(state: str, **more: Any) -> ImportRun:
        return ImportRun.objects.create(
            kind="tours",
            file_name=f"large {state}.csv",
            file_hash="0" * 64,
            state=state,
            actor="ada",
            rows=9_000,
            **more,
        )

    under_way = run("running", began_at=timezone.now(), began_row=2, next_row=3_600)
    working, planned = run("done", next_row=9_002), run("done", next_row=9_002)
    far = {"owner": "a worker", "until_ms": 4_000_000_000_000, "total": 3_000, "asked_by": "ada"}
    PlannedUndo.objects.create(run=working, done=1_200, **far)
    says, names = ["2,999 tours are cancelled and archived.", "1 tour is left as it is."], ["A-1: changed since"]
    PlannedUndo.objects.create(run=planned, done=3_000, made_at=timezone.now(), says=says, names=names, **far)
    return {"running": under_way.pk, "working": working.pk, "planned": planned.pk}


def _viewer() -> tuple[str, str]:
    """Someone who may look and no more: name, password."""
    name, password = "vera", "she-only-looks"
    if not User.objects.filter(username=name).exists():
        made = User.objects.create_user(name, password=password, is_staff=True)
        made.groups.add(Group.objects.get(name="viewer"))
    return name, password


def _jobs() -> dict[str, int]:
    interval, _ = beat.IntervalSchedule.objects.get_or_create(every=5, period="seconds")
    sunset, _ = beat.SolarSchedule.objects.get_or_create(event="sunset", latitude=1, longitude=1)
    once, _ = beat.ClockedSchedule.objects.get_or_create(clocked_time=timezone.now())
    crontab, _ = beat.CrontabSchedule.objects.get_or_create(minute="0")
    job = beat.PeriodicTask.objects.earliest("pk")
    rows = {"periodictask": job, "intervalschedule": interval, "crontabschedule": crontab}
    rows |= {"solarschedule": sunset, "clockedschedule": once}
    return {f"django_celery_beat_{name}": row.pk for name, row in rows.items()}
