"""Notes and tasks of a Rollout person: what became of a showing, and of a whole tour.

POST and PUT of /notes and /tasks in the contract. Their lists can only be paged, so one in doubt is found by its marker
through the look-up index.
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
from integrations.providers.phrasing import untagged

from . import mapping
from .calls import Calls, Clocks, checked, record_of, record_path
from .errors import not_understood, request_id
from .index import Listing
from .outbound import SETTLE_S, kept, standing

NOTES = Listing("notes", "/notes", lambda note: mapping.marker_keys(note.get("body")))
TASKS = Listing("tasks", "/tasks", lambda task: mapping.marker_keys(task.get("name")))
TASK_TYPE = "Follow Up"


class _Activity:
    """What notes and tasks have in common. `owned`: what an edit sends."""

    settle_s = SETTLE_S
    look_first = False
    has_lookup = True
    listing: ClassVar[Listing]
    owned: ClassVar[tuple[str, ...]]

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def lookup(
        self, exchange: Exchange, facts: Facts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among all of them.

        Raises RolloutGoneError when the linked one is gone, RolloutNotReadyError while the index is being built.
        """
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            return Found(
                ref.external_id, feedback_words.same_text(self.owned, wanted, self._fetch(calls, ref.external_id)[0])
            )
        calls.index(self.listing).refresh()
        ours = standing(calls, self.listing, mapping.marker_key(ref.marker))
        if len(ours) > 1:
            return Ambiguous(sorted(record["id"] for record in ours))
        return Found(ours[0]["id"], feedback_words.same_text(self.owned, wanted, ours[0])) if ours else NotFound()

    @property
    def compared(self) -> tuple[str, ...]:
        """What an edit sends, a read shows."""
        return self.owned

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """The linked record. Raises Gone."""
        return self._fetch(Calls(exchange, self._clocks), ref.external_id or "")[0]

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return different(body, record, self.owned)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the fields we own. What is not wanted any more but stands is confirmed and left as it is."""
        calls = Calls(exchange, self._clocks)
        if ref.external_id is None:
            return kept(calls, self.listing, calls.write("POST", self.listing.path, wanted.body))
        if wanted.absent:
            return self._fetch(calls, ref.external_id)[1]
        body = {name: wanted.body[name] for name in self.owned}
        response = calls.write("PUT", record_path(self.listing.path, ref.external_id), body)
        done = kept(calls, self.listing, checked(response, linked=True))
        if done.external_id != ref.external_id:
            raise not_understood(response)
        return done

    def _fetch(self, calls: Calls, external_id: str) -> tuple[Mapping[str, Any], Understood]:
        response = calls.get(record_path(self.listing.path, external_id), linked=True)
        record = record_of(response)
        if record["id"] != external_id:
            raise not_understood(response)
        return record, Understood(external_id, response.status_code, request_id(response))


class FeedbackNote(_Activity):
    """An answer after a showing, as a note of the buyer. A later version of the answer edits the note."""

    name = "feedback.note"
    resource = "note"
    listing = NOTES
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
    listing = NOTES
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
    listing = TASKS
    owned = ("name",)

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
