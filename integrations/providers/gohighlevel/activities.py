"""Notes and tasks of a GoHighLevel contact: what became of a showing, and of a whole tour.

NotesDTO, UpdateNoteDTO, CreateTaskParams and UpdateTaskBody of apps/contacts.json (2021-07-28,
https://github.com/GoHighLevel/highlevel-api-docs). Both belong to a contact, whose id is part of every path.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, ClassVar
from urllib.parse import quote

from integrations.providers import feedback_words, summary_words
from integrations.providers.base import (
    Ambiguous,
    Exchange,
    Facts,
    FeedbackFacts,
    Found,
    Lookup,
    NotFound,
    RefFacts,
    SummaryFacts,
    Understood,
    Wanted,
)
from integrations.providers.comparing import different
from integrations.providers.phrasing import tag

from .answers import CONTACTS, check, id_of, not_understood, object_of, rows_of, understood


class _Activity:
    """What notes and tasks have in common.

    `record`: what the vendor calls it. `marked`: the field that carries the marker; `owned`: what an edit sends.
    """

    record: ClassVar[str]
    settle_s = 5.0
    look_first = False
    has_lookup = True
    marked: ClassVar[str]
    owned: ClassVar[tuple[str, ...]]

    def lookup(
        self, exchange: Exchange, facts: Facts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among the contact's own. Raises Gone."""
        if ref.external_id:
            record = self._fetch(exchange, wanted, ref.external_id)[0]
            return Found(ref.external_id, feedback_words.same_text(self.owned, wanted, record))
        response = exchange.read("GET", self._path(wanted), headers=CONTACTS)
        check(response)
        ours = [row for row in rows_of(response, f"{self.record}s") if tag(ref.marker) in str(row.get(self.marked))]
        ids = sorted({id_of(row) for row in ours})
        if "" in ids:
            raise not_understood(response)
        if len(ids) > 1:
            return Ambiguous(ids)
        return Found(ids[0], feedback_words.same_text(self.owned, wanted, ours[0])) if ids else NotFound()

    @property
    def compared(self) -> tuple[str, ...]:
        """What an edit sends, a read shows."""
        return self.owned

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """The linked record. Raises Gone."""
        return self._fetch(exchange, wanted, ref.external_id or "")[0]

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return different(body, record, self.owned)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the fields we own. What is not wanted any more but stands is confirmed and left as it is."""
        if ref.external_id is None:
            body = {name: value for name, value in wanted.body.items() if name != "contactId"}
            response = exchange.write("POST", self._path(wanted), headers=CONTACTS, json=body)
            return understood(response, object_of(response, self.record))
        if wanted.absent:
            return self._fetch(exchange, wanted, ref.external_id)[1]
        body = {name: wanted.body[name] for name in self.owned}
        path = self._path(wanted, ref.external_id)
        response = exchange.write("PUT", path, headers=CONTACTS, json=body)
        check(response, linked=True)
        done = understood(response, object_of(response, self.record))
        if done.external_id != ref.external_id:
            raise not_understood(response)
        return done

    def _fetch(self, exchange: Exchange, wanted: Wanted, external_id: str) -> tuple[Mapping[str, Any], Understood]:
        response = exchange.read("GET", self._path(wanted, external_id), headers=CONTACTS)
        check(response, linked=True)
        record = object_of(response, self.record)
        done = understood(response, record)
        if done.external_id != external_id:
            raise not_understood(response)
        return record, done

    def _path(self, wanted: Wanted, external_id: str = "") -> str:
        path = f"/contacts/{quote(wanted.body['contactId'], safe='')}/{self.record}s"
        return f"{path}/{quote(external_id, safe='')}" if external_id else path


class FeedbackNote(_Activity):
    """An answer after a showing, as a note of the buyer. A later version of the answer edits the note."""

    name = "feedback.note"
    resource = record = "note"
    marked = "body"
    owned = ("body",)

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """NotesDTO and whose it is; pure. A tour that no longer comes here gets no new note."""
        body = {"contactId": needs["contact"], "body": feedback_words.note_text(facts, ref.marker)}
        return Wanted(self.resource, body, absent=not facts.included)


class TourSummary(_Activity):
    """A tour that is over, as one note of its buyer. What is corrected afterwards edits the note."""

    name = "tour.summary"
    resource = "summary"
    record = "note"
    marked = "body"
    owned = ("body",)

    def wanted(self, facts: SummaryFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """NotesDTO and whose it is; pure. A tour that is not over, or that nothing was said on, gets no new note."""
        body = {"contactId": needs["contact"], "body": summary_words.summary_text(facts, ref.marker)}
        return Wanted(self.resource, body, absent=not facts.included)


class FeedbackTask(_Activity):
    """What an answer asks of the agent, as a task of the buyer.

    An edit leaves out when it is due, whether it is done and who does it: those are the agent's once the task stands,
    who may have handed it to an assistant. A task that a later version of the answer no longer calls for is left to the
    agent too.
    """

    name = "feedback.task"
    resource = record = "task"
    marked = "title"
    owned = ("title", "body")

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """CreateTaskParams and whose it is; pure. An answer that calls for nothing needs no task."""
        body = {
            "contactId": needs["contact"],
            "title": feedback_words.task_title(facts, ref.marker),
            "body": feedback_words.task_body(facts),
            "dueDate": feedback_words.task_due(facts).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "completed": False,
            **({"assignedTo": facts.assignee} if facts.assignee else {}),
        }
        return Wanted(self.resource, body, absent=not (facts.included and facts.calls_for_action))
