"""Notes and tasks of a HubSpot contact: what became of a showing, and of a whole tour.

https://developers.hubspot.com/docs/api-reference/legacy/crm/activities/tasks/guide and the guide of notes beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers import feedback_words, summary_words
from integrations.providers.base import FeedbackFacts, RefFacts, SummaryFacts, Wanted

from .answers import NOTES, TASKS
from .engagements import Engagement
from .mapping import rich, utc


class _Note(Engagement):
    """A note: one rich text, and the moment it stands at on the contact's timeline, which an edit leaves."""

    record = NOTES
    type_id = 202
    marked = "hs_note_body"
    owned = compared = rich = ("hs_note_body",)


class FeedbackNote(_Note):
    """An answer after a showing, as a note of the buyer. A later version of the answer edits the note."""

    name = "feedback.note"
    resource = "note"

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose it is and its properties; pure. A tour that no longer comes here gets no new note."""
        body = {
            "contact": needs["contact"],
            "hs_timestamp": utc(facts.submitted_at),
            "hs_note_body": rich(feedback_words.note_text(facts, ref.marker)),
        }
        return Wanted(self.resource, body, absent=not facts.included)


class TourSummary(_Note):
    """A tour that is over, as one note of its buyer. What is corrected afterwards edits the note."""

    name = "tour.summary"
    resource = "summary"

    def wanted(self, facts: SummaryFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """Whose it is and its properties; pure. A tour that is not over, or nothing was said on, gets no new note."""
        body = {
            "contact": needs["contact"],
            "hs_timestamp": utc(facts.starts_at),
            "hs_note_body": rich(summary_words.summary_text(facts, ref.marker)),
        }
        return Wanted(self.resource, body, absent=not facts.included)


class FeedbackTask(Engagement):
    """What an answer asks of the agent, as a task of the buyer.

    An edit leaves out when it is due, whether it is done and who does it: those are the agent's once the task stands,
    who may have handed it to an assistant. A task that a later version of the answer no longer calls for is left to the
    agent too.
    """

    name = "feedback.task"
    resource = "task"
    record = TASKS
    type_id = 204
    marked = "hs_task_subject"
    owned = compared = ("hs_task_subject", "hs_task_body")
    rich = ("hs_task_body",)

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose it is and its properties; pure. An answer that calls for nothing needs no task."""
        body = {
            "contact": needs["contact"],
            # "the task's due date"
            "hs_timestamp": utc(feedback_words.task_due(facts)),
            "hs_task_subject": feedback_words.task_title(facts, ref.marker),
            "hs_task_body": rich(feedback_words.task_body(facts)),
            "hs_task_status": "NOT_STARTED",
            "hs_task_type": "TODO",
            **({"hubspot_owner_id": facts.assignee} if facts.assignee else {}),
        }
        return Wanted(self.resource, body, absent=not (facts.included and facts.calls_for_action))
