"""Talking to Follow Up Boss: buyers and showings.

Nothing goes through POST /events: for a person who is there already it may start action plans, which write to buyers
(https://docs.followupboss.com/reference/events-post). A key sees what its user sees, so what a list does not show may
be there all the same: such an answer never permits a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import (
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
from integrations.providers.errors import Rejected
from integrations.providers.likeness import Likeness, folded, likeness
from integrations.providers.phrasing import tag

from . import mapping
from .answers import (
    SLUG,
    Record,
    checked,
    get,
    id_of,
    listed,
    not_understood,
    number,
    object_of,
    record_of,
    record_path,
    request_id,
    understood,
)

# How soon its lists show a record whose answer was lost is not documented.
SETTLE_S = 10.0


class ContactLink:
    """A buyer and the CRM's person. Found people are linked and left as they are; only unknown ones are created."""

    name = "contact.link"
    resource = "contact"
    settle_s = SETTLE_S
    look_first = True
    has_lookup = True

    def wanted(self, facts: ContactFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """POST /people; pure."""
        return Wanted(self.resource, mapping.person_body(facts))

    def lookup(
        self, exchange: Exchange, facts: ContactFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked person, else the one with our e-mail, else one with our phone who is the same person.

        Raises Gone when the linked one was deleted, Rejected when the person is there but not for this key to see.
        """
        if ref.external_id:
            return self._confirmed(exchange, ref.external_id)
        for field, key, has in (
            ("email", facts.email, mapping.has_email),
            ("phone", facts.phone, mapping.has_phone),
        ):
            people = [one for one in listed(exchange, "/people", {field: key}) if has(one, key)] if key else []
            found = _chosen(wanted, people)
            if not isinstance(found, NotFound):
                return found
        if facts.email:
            self._refuse_hidden(exchange, facts.email)
        return NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST /people. A linked person is only confirmed, never written.

        With `deduplicate` the vendor joins what it takes for one person, which is wanted when someone else enters our
        buyer at this moment. It goes by phone too, and couples share one: not asked for where someone has the number.
        """
        if ref.external_id:
            return Understood(self._confirmed(exchange, ref.external_id).external_id, httpx.codes.OK)
        body = mapping.person_request(wanted.body)
        phones = [entry["value"] for entry in wanted.body.get("phones", ())]
        shared = any(_is_there(exchange, "phone", phone)[0] for phone in phones)
        query = {} if shared else {"deduplicate": "true"}
        return understood(exchange.write("POST", "/people", params=query, json=body))

    def _confirmed(self, exchange: Exchange, person_id: str) -> Found:
        record_of(get(exchange, record_path("/people", person_id), linked=True), person_id)
        return Found(person_id, same=True)

    def _refuse_hidden(self, exchange: Exchange, email: str) -> None:
        """The list shows only whom the key's user may see; the check for duplicates knows everybody of the account."""
        there, agent = _is_there(exchange, "email", email)
        if there:
            whose = f", assigned to {agent}" if agent else ""
            words = f"a person with this e-mail address is there already{whose}, but this API key may not see them"
            raise Rejected(SLUG, f"{words}: give a key that may, or share the person with its user")


class AppointmentSync:
    """A tour stop and its appointment. A cancelled one is deleted there."""

    name = "appointment.sync"
    resource = "appointment"
    compared = mapping.APPOINTMENT_FIELDS
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """What POST and PUT /appointments say; pure."""
        body = mapping.appointment_body(facts, marker=ref.marker, person_id=needs["contact"])
        return Wanted(self.resource, body, absent=not facts.live)

    def lookup(
        self, exchange: Exchange, facts: ShowingFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among the person's appointments.

        Raises Gone when the linked one is gone and should stand, Rejected when the list shows none of the key's own.
        """
        if ref.external_id:
            return self._linked(exchange, wanted, ref.external_id)
        person = str(number(needs["contact"], "the buyer"))
        rows = list(listed(exchange, "/appointments", {"personId": person}))
        ours = [row for row in rows if tag(ref.marker) in str(row.get("description"))]
        if len(ours) > 1:
            return Ambiguous(sorted(map(id_of, ours)))
        if ours:
            return Found(id_of(ours[0]), False if wanted.absent else mapping.same_appointment(wanted.body, ours[0]))
        if not rows:
            self._refuse_blind(exchange)
        return NotFound()

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Record:
        """The linked appointment, as `mapping.shown`. Raises Gone."""
        external_id = ref.external_id or ""
        response = get(exchange, record_path("/appointments", external_id), linked=True)
        return mapping.shown(wanted.body, record_of(response, external_id))

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return mapping.appointment_differs(body, record)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Written:
        """POST, PUT of what we own under the stored id, or DELETE of what should not stand."""
        if wanted.absent and ref.external_id:
            return self._delete(exchange, ref.external_id)
        outcome = self._outcome_id(exchange, wanted.body["outcome"])
        body = mapping.request_body(wanted.body, outcome, new=ref.external_id is None)
        if ref.external_id is None:
            return understood(exchange.write("POST", "/appointments", json=body))
        response = exchange.write("PUT", record_path("/appointments", ref.external_id), json=body)
        return understood(checked(response, linked=True), ref.external_id)

    def _linked(self, exchange: Exchange, wanted: Wanted, external_id: str) -> Lookup:
        response = exchange.read("GET", record_path("/appointments", external_id))
        if wanted.absent:
            return NotFound() if response.status_code == httpx.codes.NOT_FOUND else _standing(response, external_id)
        record = record_of(checked(response, linked=True), external_id)
        return Found(external_id, mapping.same_appointment(wanted.body, record))

    def _delete(self, exchange: Exchange, external_id: str) -> Removed:
        """A 404 is as good: it does not stand. What a 2xx says beside is not documented."""
        response = exchange.write("DELETE", record_path("/appointments", external_id))
        if response.status_code != httpx.codes.NOT_FOUND:
            checked(response)
        return Removed(response.status_code, request_id(response))

    def _outcome_id(self, exchange: Exchange, outcome: str) -> int | None:
        """The account's own outcome for what came of a showing, where it has one; none is ever created."""
        return mapping.outcome_id(outcome, listed(exchange, "/appointmentOutcomes", {})) if outcome else None

    def _refuse_blind(self, exchange: Exchange) -> None:
        """An empty list says nothing where the key's user does not share a calendar: then it is always empty.

        https://docs.followupboss.com/reference/appointments-get. One appointment in it shows that it is not.
        """
        response = get(exchange, "/appointments", {"limit": "1"})
        rows = object_of(response).get("appointments")
        if not isinstance(rows, list):
            raise not_understood(response)
        if not rows:
            words = "Follow Up Boss lists no appointment of this API key's user: it cannot be asked whether one arrived"
            raise Rejected(SLUG, f"{words}. Look at the buyer there, and see that the user shares their calendar")


def _standing(response: httpx.Response, external_id: str) -> Found:
    record_of(response, external_id)
    return Found(external_id, same=False)


def _chosen(wanted: Wanted, people: list[Record]) -> Lookup:
    """Who of the people with one e-mail or phone is our buyer; of several with our e-mail the one with our name."""
    ours = mapping.person_of(wanted.body)
    alike = [(one, likeness(ours, mapping.person_of(one))) for one in people]
    same = [one for one, how in alike if how is Likeness.SAME]
    named = [one for one in same if folded(mapping.person_of(one).name) == ours.name]
    if len(same) == 1 or len(named) == 1:
        return Found(id_of((same if len(same) == 1 else named)[0]), same=True)
    unsure = same or [one for one, how in alike if how is Likeness.UNSURE]
    return Ambiguous(sorted(map(id_of, unsure))) if unsure else NotFound()


def _is_there(exchange: Exchange, field: str, key: str) -> tuple[bool, str]:
    """Whether anybody of the account has it, and whose they are; also whom this key may not see.

    https://docs.followupboss.com/reference/people-checkduplicate; its answer has no schema there.
    """
    response = get(exchange, "/people/checkDuplicate", {field: key})
    answer = object_of(response)
    if not isinstance(answer.get("found"), bool):
        raise not_understood(response)
    agent = answer.get("assignedTo")
    return answer["found"], agent if isinstance(agent, str) else ""
