"""Notes and tasks of a Follow Up Boss person: what became of a showing, and of a whole tour.

https://docs.followupboss.com/reference/notes-post, https://docs.followupboss.com/reference/tasks-post. Notes can be
read by their id alone: no documented list or search shows them. Tasks are listed by person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, ClassVar

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
from integrations.providers.errors import Rejected
from integrations.providers.phrasing import tag, untagged

from .answers import SLUG, Record, checked, get, id_of, listed, number, record_of, record_path, request_id, understood
from .outbound import SETTLE_S

TASK_TYPE = "Follow Up"


class _Activity:
    """What notes and tasks have in common. `owned`: what an edit sends."""

    settle_s = SETTLE_S
    look_first = False
    has_lookup = False
    path: ClassVar[str]
    owned: ClassVar[tuple[str, ...]]

    def lookup(
        self, exchange: Exchange, facts: Facts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else as `_marked`. Raises Gone."""
        if not ref.external_id:
            return self._marked(exchange, wanted, ref)
        record = self.current(exchange, wanted, ref)
        return Found(ref.external_id, feedback_words.same_text(self.owned, wanted, record))

    @property
    def compared(self) -> tuple[str, ...]:
        """What an edit sends, a read shows."""
        return self.owned

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Record:
        """The linked record. Raises Gone."""
        external_id = ref.external_id or ""
        return record_of(get(exchange, record_path(self.path, external_id), linked=True), external_id)

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return different(body, record, self.owned)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the fields we own. What is not wanted any more but stands is confirmed and left as it is."""
        if ref.external_id is None:
            return understood(exchange.write("POST", self.path, json=self._new(wanted.body)))
        path = record_path(self.path, ref.external_id)
        if wanted.absent:
            response = get(exchange, path, linked=True)
            record_of(response, ref.external_id)
            return Understood(ref.external_id, response.status_code, request_id(response))
        body = {name: wanted.body[name] for name in self.owned}
        return understood(checked(exchange.write("PUT", path, json=body), linked=True), ref.external_id)

    def _new(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a POST sends. Raises Rejected for ids that are none of theirs."""
        sent = {**body, "personId": number(body["personId"], "the buyer")}
        if "assignedUserId" in sent:
            sent["assignedUserId"] = number(sent["assignedUserId"], "the agent's user")
        return sent

    def _marked(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Lookup:
        raise Rejected(SLUG, "Follow Up Boss cannot be asked for a note but by its id")


class FeedbackNote(_Activity):
    """An answer after a showing, as a note of the buyer. A later version of the answer edits the note."""

    name = "feedback.note"
    resource = "note"
    path = "/notes"
    owned = ("subject", "body")

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """POST /notes; pure. A tour that no longer comes here gets no new note."""
        body = {
            "personId": needs["contact"],
            "subject": untagged(feedback_words.headline(facts)),
            "body": feedback_words.note_text(facts, ref.marker),
            "isHtml": False,
        }
        return Wanted(self.resource, body, absent=not facts.included)


class TourSummary(_Activity):
    """A tour that is over, as one note of its buyer. What is corrected afterwards edits the note."""

    name = "tour.summary"
    resource = "summary"
    path = "/notes"
    owned = ("subject", "body")

    def wanted(self, facts: SummaryFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """POST /notes; pure. A tour that is not over, or that nothing was said on, gets no new note."""
        body = {
            "personId": needs["contact"],
            "subject": untagged(summary_words.headline(facts)),
            "body": summary_words.summary_text(facts, ref.marker),
            "isHtml": False,
        }
        return Wanted(self.resource, body, absent=not facts.included)


class FeedbackTask(_Activity):
    """What an answer asks of the agent, as a task of the buyer.

    An edit sends the name alone: when it is due, whether it is done and who does it are the agent's once the task
    stands, who may have handed it to an assistant. A task that a later version of the answer no longer calls for is
    left to the agent too.
    """

    name = "feedback.task"
    resource = "task"
    path = "/tasks"
    owned = ("name",)
    has_lookup = True

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """POST /tasks; pure. An answer that calls for nothing needs no task."""
        body = {
            "personId": needs["contact"],
            "name": feedback_words.task_title(facts, ref.marker),
            "type": TASK_TYPE,
            "isCompleted": False,
            "dueDateTime": feedback_words.task_due(facts).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({"assignedUserId": facts.assignee} if facts.assignee else {}),
        }
        return Wanted(self.resource, body, absent=not (facts.included and facts.calls_for_action))

    def _marked(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Lookup:
        """The marker among the names of the person's tasks."""
        person = str(number(wanted.body["personId"], "the buyer"))
        rows = listed(exchange, self.path, {"personId": person})
        ours = [row for row in rows if tag(ref.marker) in str(row.get("name"))]
        if len(ours) > 1:
            return Ambiguous(sorted(map(id_of, ours)))
        return Found(id_of(ours[0]), feedback_words.same_text(self.owned, wanted, ours[0])) if ours else NotFound()
