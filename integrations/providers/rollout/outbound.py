"""Talking to Rollout. A record in doubt is found through the look-up index before anything is sent.

Endpoints: "Universal CRM API Documentation" 1.0, https://rollout.com/docs/api-reference/crm/overview. Lists can only be
paged, nothing can be searched for, there is no upsert, and an appointment has no status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from integrations.providers.base import (
    AccountFacts,
    Ambiguous,
    ContactFacts,
    Exchange,
    Found,
    Lookup,
    NotFound,
    RefFacts,
    Removed,
    ShowingFacts,
    Understood,
    Wanted,
    Written,
)
from integrations.providers.errors import body_of
from integrations.providers.likeness import Likeness, folded, likeness

from . import mapping
from .calls import Calls, Clocks, checked, record_of, record_path
from .errors import SLUG, RolloutRequestError, not_understood, request_id
from .index import Listing

PEOPLE = Listing("people", "/people", mapping.person_keys)
APPOINTMENTS = Listing("appointments", "/appointments", mapping.appointment_keys)
TYPES = Listing("appointment-types", "/appointment-types", lambda _record: ())
OUTCOMES = Listing("appointment-outcomes", "/appointment-outcomes", lambda _record: ())
# Rollout keeps a copy of the CRM and passes writes on; how soon its reads show one whose answer was lost is not said.
SETTLE_S = 10.0
# A number that more people share than this is nobody's own.
MOST_CANDIDATES = 20


class ContactLink:
    """A buyer and the CRM's person. Found people are linked and left as they are; only unknown ones are created."""

    name = "contact.link"
    resource = "contact"
    settle_s = SETTLE_S
    look_first = True
    has_lookup = True

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def wanted(self, facts: ContactFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """POST /people; pure."""
        return Wanted(self.resource, mapping.person_body(facts))

    def lookup(
        self, exchange: Exchange, facts: ContactFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked person, else the one with our e-mail, else one with our phone who is the same person.

        Raises RolloutGoneError when the linked one was deleted, RolloutNotReadyError while the index is being built.
        """
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            return _confirmed(calls, ref.external_id)
        index = calls.index(PEOPLE)
        index.build()
        found = self._search(calls, facts, wanted)
        if isinstance(found, NotFound):
            index.refresh()
            found = self._search(calls, facts, wanted)
        return found

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST /people. A linked person is only confirmed, never written."""
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            return Understood(_confirmed(calls, ref.external_id).external_id, httpx.codes.OK)
        response = calls.write("POST", PEOPLE.path, wanted.body)
        return kept(calls, PEOPLE, response)

    def _search(self, calls: Calls, facts: ContactFacts, wanted: Wanted) -> Lookup:
        """By what the index knows now."""
        keys = [mapping.email_key(facts.email)] if facts.email else []
        keys += [mapping.phone_key(facts.phone)] if facts.phone else []
        for key in keys:
            people = standing(calls, PEOPLE, key)
            ours = mapping.person_of(wanted.body)
            alike = [(person, likeness(ours, mapping.person_of(person))) for person in people]
            same = [person for person, how in alike if how is Likeness.SAME]
            # Of several with our e-mail the one with our name.
            named = [person for person in same if folded(mapping.person_of(person).name) == ours.name]
            if len(same) == 1 or len(named) == 1:
                return Found((same if len(same) == 1 else named)[0]["id"], same=True)
            unsure = same or [person for person, how in alike if how is Likeness.UNSURE]
            if unsure:
                return Ambiguous(sorted(person["id"] for person in unsure))
        return NotFound()


class AppointmentTypeLink:
    """The account's appointment type for showings: found by its name, created once when there is none."""

    name = "appointment_type.link"
    resource = "appointment_type"
    settle_s = SETTLE_S
    look_first = True
    has_lookup = True

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def wanted(self, facts: AccountFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """POST /appointment-types; pure."""
        return Wanted(self.resource, {"name": mapping.TYPE_NAME, "orderWeight": mapping.TYPE_WEIGHT})

    def lookup(
        self, exchange: Exchange, facts: AccountFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked type, else the one of that name; of several the first by id, for they are alike."""
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            record_of(calls.get(record_path(TYPES.path, ref.external_id), linked=True))
            return Found(ref.external_id, same=True)
        named = [kind for kind in calls.short_list(TYPES) if folded(kind.get("name")) == folded(wanted.body["name"])]
        return Found(min(kind["id"] for kind in named), same=True) if named else NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST /appointment-types."""
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            record_of(calls.get(record_path(TYPES.path, ref.external_id), linked=True))
            return Understood(ref.external_id, httpx.codes.OK)
        response = calls.write("POST", TYPES.path, wanted.body)
        return Understood(record_of(response)["id"], response.status_code, request_id(response))


class AppointmentSync:
    """A tour stop and its appointment. A cancelled one is deleted there."""

    name = "appointment.sync"
    resource = "appointment"
    compared = mapping.APPOINTMENT_FIELDS
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """The body of POST and PUT /appointments; pure."""
        body = mapping.appointment_body(
            facts, marker=ref.marker, person_id=needs["contact"], type_id=needs["appointment_type"]
        )
        return Wanted(self.resource, body, absent=not facts.live)

    def lookup(
        self, exchange: Exchange, facts: ShowingFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among all appointments.

        Raises RolloutGoneError when the linked one is gone and should stand, RolloutNotReadyError while the index is
        being built.
        """
        calls = Calls(exchange, self._clocks)
        if ref.external_id:
            return self._linked(calls, wanted, ref.external_id)
        calls.index(APPOINTMENTS).refresh()
        ours = standing(calls, APPOINTMENTS, mapping.marker_key(ref.marker))
        if len(ours) > 1:
            return Ambiguous(sorted(record["id"] for record in ours))
        return Found(ours[0]["id"], self._same(wanted, ours[0])) if ours else NotFound()

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """The linked appointment. Raises RolloutGoneError."""
        path = record_path(APPOINTMENTS.path, ref.external_id or "")
        return record_of(Calls(exchange, self._clocks).get(path, linked=True))

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return mapping.appointment_differs(body, record)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Written:
        """POST, PUT of the whole appointment under the stored id, or DELETE of what should not stand."""
        calls = Calls(exchange, self._clocks)
        if wanted.absent and ref.external_id:
            return self._delete(calls, ref.external_id)
        body = mapping.request_body(wanted.body, self._outcome_id(calls, wanted.body["outcome"]))
        if ref.external_id is None:
            response = calls.write("POST", APPOINTMENTS.path, body)
            self._blame_the_type(calls, response, body)
            return kept(calls, APPOINTMENTS, response)
        response = calls.write("PUT", record_path(APPOINTMENTS.path, ref.external_id), body)
        self._blame_the_type(calls, response, body)
        done = kept(calls, APPOINTMENTS, checked(response, linked=True))
        if done.external_id != ref.external_id:
            raise not_understood(response)
        return done

    def _blame_the_type(self, calls: Calls, response: httpx.Response, body: Mapping[str, Any]) -> None:
        """A 400 because the appointment type was deleted there is told as such: it concerns every stop."""
        if response.status_code != httpx.codes.BAD_REQUEST:
            return
        if calls.find(TYPES.path, body["appointmentTypeId"]) is None:
            message = f"the appointment type “{mapping.TYPE_NAME}” was deleted in the CRM"
            raise RolloutRequestError(SLUG, message, response.status_code, request_id(response))

    def _linked(self, calls: Calls, wanted: Wanted, external_id: str) -> Lookup:
        if wanted.absent and calls.find(APPOINTMENTS.path, external_id) is None:
            calls.index(APPOINTMENTS).forget(external_id)
            return NotFound()
        if wanted.absent:
            return Found(external_id, same=False)
        record = record_of(calls.get(record_path(APPOINTMENTS.path, external_id), linked=True))
        return Found(external_id, self._same(wanted, record))

    def _same(self, wanted: Wanted, record: Mapping[str, Any]) -> bool | None:
        return False if wanted.absent else mapping.same_appointment(wanted.body, record)

    def _delete(self, calls: Calls, external_id: str) -> Removed:
        """A 404 is as good: it does not stand. The documented answer is an empty list."""
        response = calls.write("DELETE", record_path(APPOINTMENTS.path, external_id))
        if response.status_code != httpx.codes.NOT_FOUND and not isinstance(body_of(checked(response)), list):
            raise not_understood(response)
        calls.index(APPOINTMENTS).forget(external_id)
        return Removed(response.status_code, request_id(response))

    def _outcome_id(self, calls: Calls, outcome: str) -> str:
        """The account's own outcome for what came of a showing, where it has one; none is ever created."""
        return mapping.outcome_id(outcome, calls.short_list(OUTCOMES)) if outcome else ""


def _confirmed(calls: Calls, person_id: str) -> Found:
    response = calls.get(record_path(PEOPLE.path, person_id), linked=True)
    if record_of(response)["id"] != person_id:
        raise not_understood(response)
    return Found(person_id, same=True)


def standing(calls: Calls, listing: Listing, key: str) -> Sequence[Mapping[str, Any]]:
    """The records filed under a key, as they are now; those that went or lost the key since are left out."""
    index = calls.index(listing)
    found = []
    for external_id in index.find(key)[:MOST_CANDIDATES]:
        record = calls.find(listing.path, external_id)
        if record is None:
            index.forget(external_id)
        elif key in listing.keys(record):
            found.append(record)
    return found


def kept(calls: Calls, listing: Listing, response: httpx.Response) -> Understood:
    """What a write's answer shows, filed."""
    record = record_of(response)
    calls.index(listing).keep(record)
    return Understood(record["id"], response.status_code, request_id(response))
