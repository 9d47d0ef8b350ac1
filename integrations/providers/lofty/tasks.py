"""/v2.0/tasks: what Lofty tells of appointments and tasks, and follow-ups after a showing.

https://developer.lofty.com/api-reference/tasks/overview. A list is of one lead and has no pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx

from integrations.providers import feedback_words
from integrations.providers.base import (
    Ambiguous,
    Exchange,
    FeedbackFacts,
    Found,
    Lookup,
    NotFound,
    RefFacts,
    Understood,
    Wanted,
)
from integrations.providers.comparing import different
from integrations.providers.errors import Gone
from integrations.providers.phrasing import tag

from .calls import SLUG, checked, id_of, not_understood, object_of, read, request_id, rows_of, says_done, write

PATH = "/v2.0/tasks"
SETTLE_S = 10.0

Record = Mapping[str, Any]


def fetch(exchange: Exchange, number: str) -> tuple[Record, httpx.Response]:
    """An appointment or a task as it is now, ids as texts. Raises Gone."""
    response = read(exchange, task_path(number), linked=True)
    record = object_of(response, "task")
    if id_of(record, "id") != number:
        raise not_understood(response)
    if record.get("deleteFlag"):
        raise Gone(SLUG, "it was deleted", response.status_code, request_id(response))
    return _texts(record), response


def marked(
    exchange: Exchange, lead: str, ref: RefFacts, called: Callable[[Record], str], same: Callable[[Record], bool | None]
) -> Lookup:
    """The lead's record that carries our marker; `called`: its id, `same`: whether it is as wanted."""
    response = read(exchange, PATH, {"leadId": lead})
    rows = rows_of(response, "tasks")
    if not all(id_of(row, "id") for row in rows):
        raise not_understood(response)
    ours = [_texts(row) for row in rows if tag(ref.marker) in str(row.get("content"))]
    if len(ours) > 1:
        return Ambiguous(sorted(called(row) for row in ours))
    return Found(called(ours[0]), same(ours[0])) if ours else NotFound()


def task_path(number: str) -> str:
    """The path of one record, whatever its id is made of."""
    return f"{PATH}/{quote(number, safe='')}"


def _texts(record: Record) -> Record:
    return {**record, "id": id_of(record, "id"), "leadId": id_of(record, "leadId") or None}


class FeedbackTask:
    """What an answer asks of the agent, as a task of the buyer, for the lead's own agent.

    An edit sends the text alone: when it is due and whether it is done are the agent's once the task stands. A task
    that a later version of the answer no longer calls for is left to the agent too.
    """

    name = "feedback.task"
    resource = "task"
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True
    compared = ("content",)

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """The body of POST /v2.0/tasks, where `endAt` is the deadline; pure. What calls for nothing needs no task."""
        due = feedback_words.task_due(facts).astimezone(ZoneInfo(facts.time_zone))
        body = {
            "type": "Other",
            "content": feedback_words.task_title(facts, ref.marker),
            "leadId": needs["contact"],
            "assignedRole": "Agent",
            "endAt": due.isoformat(timespec="seconds"),
            "timeZoneCode": facts.time_zone,
        }
        return Wanted(self.resource, body, absent=not (facts.included and facts.calls_for_action))

    def lookup(
        self, exchange: Exchange, facts: FeedbackFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among the lead's own. Raises Gone."""
        if ref.external_id:
            return Found(ref.external_id, self._same(wanted, fetch(exchange, ref.external_id)[0]))
        lead = wanted.body["leadId"]
        return marked(exchange, lead, ref, lambda row: id_of(row, "id"), lambda row: self._same(wanted, row))

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Record:
        """The linked task. Raises Gone."""
        return fetch(exchange, ref.external_id or "")[0]

    def differs(self, body: Record, record: Record) -> tuple[str, ...]:
        """Pure."""
        return different(body, record, self.compared)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the text. What is not wanted any more but stands is confirmed and left as it is."""
        if ref.external_id is None:
            response = checked(write(exchange, "POST", PATH, wanted.body), new_lead=True)
            made = id_of(object_of(response), "taskId")
            if not made:
                raise not_understood(response)
            return Understood(made, response.status_code, request_id(response))
        if wanted.absent:
            response = fetch(exchange, ref.external_id)[1]
        else:
            body = {name: wanted.body[name] for name in self.compared}
            response = checked(write(exchange, "PUT", task_path(ref.external_id), body), linked=True)
            if not says_done(response):
                raise not_understood(response)
        return Understood(ref.external_id, response.status_code, request_id(response))

    def _same(self, wanted: Wanted, record: Record) -> bool | None:
        return feedback_words.same_text(self.compared, wanted, record)
