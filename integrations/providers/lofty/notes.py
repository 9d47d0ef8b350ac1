"""Notes of a lead: what became of a showing, and of a whole tour.

GET /v1.0/notes lists a lead's, https://developer.lofty.com/api-reference/communication/list-notes; one cannot be read
by itself. What POST takes and what it and PUT answer is not in the public documentation: the bodies are those that
other programs send, and an answer that tells no id is doubt, which the list ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

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
from integrations.providers.errors import Gone
from integrations.providers.phrasing import tag

from .calls import SLUG, checked, id_of, not_understood, object_of, read, request_id, rows_of, says_done, write

PATH = "/v1.0/notes"
SETTLE_S = 10.0

Note = Mapping[str, Any]


class _Note:
    """What both have in common: a text of a lead that carries the marker."""

    settle_s = SETTLE_S
    look_first = False
    has_lookup = True
    compared = ("content",)

    def lookup(
        self, exchange: Exchange, facts: Facts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker, among the lead's own. Raises Gone."""
        if ref.external_id:
            return Found(ref.external_id, self._same(wanted, self._fetch(exchange, wanted, ref.external_id)[0]))
        ours = [note for note in _list(exchange, wanted)[0] if tag(ref.marker) in str(note.get("content"))]
        if len(ours) > 1:
            return Ambiguous(sorted(note_id(note) for note in ours))
        return Found(note_id(ours[0]), self._same(wanted, ours[0])) if ours else NotFound()

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Note:
        """The linked note. Raises Gone."""
        return self._fetch(exchange, wanted, ref.external_id or "")[0]

    def differs(self, body: Note, record: Note) -> tuple[str, ...]:
        """Pure."""
        return different(body, record, self.compared)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the text. What is not wanted any more but stands is confirmed and left as it is."""
        if ref.external_id is None:
            response = checked(write(exchange, "POST", PATH, wanted.body), new_lead=True)
            made = note_id(object_of(response)) or note_id(object_of(response, "note"))
            if not made:
                raise not_understood(response)
            return Understood(made, response.status_code, request_id(response))
        if wanted.absent:
            response = self._fetch(exchange, wanted, ref.external_id)[1]
        else:
            path = f"{PATH}/{quote(ref.external_id, safe='')}"
            body = {name: wanted.body[name] for name in self.compared}
            response = checked(write(exchange, "PUT", path, body), linked=True)
            if not (says_done(response) or note_id(object_of(response)) == ref.external_id):
                raise not_understood(response)
        return Understood(ref.external_id, response.status_code, request_id(response))

    def _fetch(self, exchange: Exchange, wanted: Wanted, external_id: str) -> tuple[Note, httpx.Response]:
        notes, response = _list(exchange, wanted)
        found = next((note for note in notes if note_id(note) == external_id), None)
        if found is None:
            raise Gone(SLUG, "the lead has no such note", response.status_code, request_id(response))
        return found, response

    def _same(self, wanted: Wanted, note: Note) -> bool | None:
        return feedback_words.same_text(self.compared, wanted, note)


class FeedbackNote(_Note):
    """An answer after a showing, as a note of the buyer. A later version of the answer edits the note."""

    name = "feedback.note"
    resource = "note"

    def wanted(
        self, facts: FeedbackFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """The body of POST /v1.0/notes; pure. A tour that no longer comes here gets no new note."""
        body = {"leadId": needs["contact"], "content": feedback_words.note_text(facts, ref.marker)}
        return Wanted(self.resource, body, absent=not facts.included)


class TourSummary(_Note):
    """A tour that is over, as one note of its buyer. What is corrected afterwards edits the note."""

    name = "tour.summary"
    resource = "summary"

    def wanted(self, facts: SummaryFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """The body of POST /v1.0/notes; pure. A tour that is not over, or that nothing was said on, gets none."""
        body = {"leadId": needs["contact"], "content": summary_words.summary_text(facts, ref.marker)}
        return Wanted(self.resource, body, absent=not facts.included)


def note_id(note: Note) -> str:
    """What the path of a note takes; a listed one has another number, `id`, beside it."""
    return id_of(note, "noteId", "id")


def _list(exchange: Exchange, wanted: Wanted) -> tuple[list[Note], httpx.Response]:
    response = read(exchange, PATH, {"leadId": wanted.body["leadId"]})
    notes = rows_of(response, "notes")
    if not all(note_id(note) for note in notes):
        raise not_understood(response)
    return notes, response
