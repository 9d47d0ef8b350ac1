"""The whole story of one operation, as its page tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from integrations.engine.kinds import KINDS
from integrations.models import Agent, Attempt, ExternalRef, Operation, State
from integrations.operations import crm_links, moments, wording
from integrations.operations.expected import Forecast
from integrations.operations.operation_state import allowed, next_time
from integrations.operations.sync_state import Cell, Line, explain
from integrations.operations.tour_state import blockers_of, facts_of, gate_mode, holder_of, with_map
from integrations.texts import FORCED

from . import entities


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a try, as much of it as is kept; bodies as indented JSON, empty when there is none."""

    line: str
    status: str
    took: str
    sent: str
    answer: str


@dataclass(frozen=True, slots=True)
class Try:
    """One row of the attempts table."""

    number: int
    version: int
    started: str
    sent: str
    took: str
    outcome: str
    status: int | None
    calls: int
    request_id: str
    message: str
    requests: list[Request]


@dataclass(frozen=True, slots=True)
class Other:
    """An operation this one waits for, or that waits for this one."""

    id: int
    kind: str
    state: str
    words: str
    reason: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, in words; times in the entity's zone."""

    operation: Operation
    about: entities.About
    now: str
    state: str
    kind: str
    line: Line
    next_time: str
    created: str
    settled: str
    external_id: str
    crm_url: str
    marker: str
    tries: list[Try]
    waits_for: list[Other]
    waited_for_by: list[Other]
    verbs: list[wording.Verb]


def load(operation: Operation, now_ms: int) -> Story:
    """Nine queries at most; the operation's connection is loaded already."""
    about = entities.about([operation])[operation.entity_type, operation.entity_id]
    zone = about.zone
    waits_for = [_other(edge.needs, edge.settled) for edge in operation.dependencies.select_related("needs")]
    dependants = operation.dependants.select_related("operation").order_by("settled", "id")[:100]
    waited_for_by = [_other(edge.operation, edge.settled) for edge in dependants]
    ref = ExternalRef.objects.filter(
        connection_id=operation.connection_id,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        resource=KINDS[operation.kind].resource,
    ).first()
    external_id = (ref.external_id if ref else "") or ""
    mode = gate_mode()
    holder = holder_of(operation.connection, mode)
    expected = Forecast.of([operation], now_ms, mode).at(operation)
    cell = Cell(
        standing=operation.state == State.SUCCEEDED and operation.reason != "nothing_to_do",
        included=True,
        route="",
        operation=facts_of(operation),
        external_id=external_id,
        blocker=blockers_of([operation.pk]).get(operation.pk) if operation.blockers else None,
        expected=expected,
    )
    line = explain(cell, holder, now_ms=now_ms, zone=zone)
    if line.unmapped:
        line = with_map(line, operation.connection_id, _agent_of(operation))
    attempts = list(operation.tries.order_by("-id")[:100])
    return Story(
        operation=operation,
        about=about,
        now=moments.clock(moments.at_ms(now_ms), zone),
        state=wording.state(operation.state),
        kind=wording.kind(operation.kind),
        line=line,
        next_time=next_time(operation, holder, now_ms, zone, expected),
        created=moments.clock(operation.created_at, zone),
        settled=moments.clock(moments.at_ms(operation.settled_ms), zone) if operation.settled_ms else "",
        external_id=external_id,
        crm_url=crm_links.url(operation.connection, KINDS[operation.kind].resource, external_id),
        marker=ref.marker if ref else "",
        tries=_tries(attempts, zone),
        waits_for=waits_for,
        waited_for_by=waited_for_by,
        verbs=allowed(operation, [other.state for other in waits_for if not other.settled]),
    )


def _agent_of(operation: Operation) -> Agent:
    """Whose the record of an operation is that is given to a person."""
    where = "tours__stops__feedback" if operation.entity_type == "feedback" else "tours__stops"
    return Agent.objects.get(**{where: operation.entity_id})


def _tries(attempts: list[Attempt], zone: ZoneInfo) -> list[Try]:
    return [
        Try(
            number=attempt.token,
            version=attempt.version,
            started=moments.clock(moments.at_ms(attempt.started_ms), zone),
            sent=moments.clock(moments.at_ms(attempt.sent_ms), zone) if attempt.sent_ms else "not sent",
            took=_took(attempt),
            outcome=wording.outcome(attempt.outcome),
            status=attempt.status,
            calls=attempt.calls,
            request_id=attempt.request_id,
            message=attempt.message,
            requests=[_request(kept) for kept in attempt.requests],
        )
        for attempt in attempts
    ]


def _request(kept: dict[str, Any]) -> Request:
    return Request(
        line=f"{kept['method']} {kept['path']}",
        status="no answer" if kept["status"] is None else str(kept["status"]),
        took=f"{kept['ms']} ms",
        sent=_json(kept["request"]),
        answer=_json(kept["response"]),
    )


_SEEN = {code: f"\\u{code:04x}" for code in FORCED}
"""Characters that would turn the lines round, written out."""


def _json(body: Any) -> str:
    if body is None:
        return ""
    return json.dumps(body, indent=2, ensure_ascii=False).translate(_SEEN)


def _took(attempt: Attempt) -> str:
    if attempt.ended_ms is None:
        return "still open"
    return f"{max(0, attempt.ended_ms - attempt.started_ms) / 1000:.2f} s"


def _other(operation: Operation, settled: bool) -> Other:
    return Other(
        id=operation.pk,
        kind=wording.kind(operation.kind),
        state=operation.state,
        words=wording.state(operation.state),
        reason=wording.reason(operation.reason),
        settled=settled,
    )
