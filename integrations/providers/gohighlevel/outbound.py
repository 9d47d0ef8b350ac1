"""Talking to GoHighLevel. Each kind is idempotent by look-up: a record in doubt is found before anything is sent.

Endpoints and versions: apps/contacts.json (2021-07-28) and apps/calendars.json (2021-04-15) of
https://github.com/GoHighLevel/highlevel-api-docs. Errors: 400, 401 and 422 are documented and definite; a 429 is the
gateway's, before anything is done; other 5xx than 503 are doubt (`providers/errors.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import (
    Ambiguous,
    ContactFacts,
    Exchange,
    Found,
    Lookup,
    NotFound,
    RefFacts,
    ShowingFacts,
    Understood,
    Wanted,
)
from integrations.providers.errors import NotProcessed, ProviderError, Rejected, body_of
from integrations.providers.likeness import Likeness
from integrations.providers.phrasing import tag

from . import mapping
from .answers import (
    CALENDARS,
    CONTACTS,
    SLUG,
    check,
    id_of,
    not_understood,
    object_of,
    request_id,
    rows_of,
    understood,
)  # fmt: skip

NO_DUPLICATES = "does not allow duplicated contacts"


class ContactLink:
    """A buyer and the CRM's person. Found people are linked and left as they are; only unknown ones are created."""

    name = "contact.link"
    resource = "contact"
    settle_s = 5.0
    look_first = True
    has_lookup = True

    def wanted(
        self,
        facts: ContactFacts,
        needs: Mapping[str, str],
        ref: RefFacts,
        config: Mapping[str, str],
    ) -> Wanted:
        """CreateContactDto; pure."""
        return Wanted(self.resource, mapping.contact_body(facts, config["location_id"]))

    def lookup(
        self, exchange: Exchange, facts: ContactFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked person, else the one with our e-mail, else one with our phone who is the same person.

        Raises Gone when the linked one was deleted.
        """
        if ref.external_id:
            return self._confirm(exchange, ref.external_id)
        for field, key in (("email", facts.email), ("number", facts.phone)):
            person = self._search(exchange, wanted.body["locationId"], field, key) if key else None
            if person is None:
                continue
            alike = mapping.likeness(wanted.body, person)
            if alike is Likeness.SAME:
                return Found(person["id"], same=True)
            if alike is Likeness.UNSURE:
                return Ambiguous((person["id"],))
        return NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST /contacts/, which refuses what upsert would overwrite. A linked person is only confirmed, never written.

        When the location refuses a second contact with this e-mail or phone: NotProcessed if it is our buyer, so that
        the next look-up links the one that appeared meanwhile; Rejected if it is another person, for staff to settle.
        """
        if ref.external_id:
            found = self._confirm(exchange, ref.external_id)
            return Understood(found.external_id, httpx.codes.OK)
        response = exchange.write("POST", "/contacts/", headers=CONTACTS, json=dict(wanted.body))
        if response.status_code == httpx.codes.BAD_REQUEST and (twin := _twin(response)):
            raise self._refused(exchange, response, twin, wanted)
        return understood(response, object_of(response, "contact"))

    def _confirm(self, exchange: Exchange, contact_id: str) -> Found:
        response = exchange.read("GET", f"/contacts/{quote(contact_id, safe='')}", headers=CONTACTS)
        check(response, linked=True)
        if id_of(object_of(response, "contact")) != contact_id:
            raise not_understood(response)
        return Found(contact_id, same=True)

    def _search(self, exchange: Exchange, location: str, field: str, key: str) -> Mapping[str, Any] | None:
        """GET /contacts/search/duplicate; its answer has no schema, but `contact` is null or a person."""
        query = {"locationId": location, field: key}
        response = exchange.read("GET", "/contacts/search/duplicate", headers=CONTACTS, params=query)
        check(response)
        body = body_of(response)
        if not isinstance(body, dict):
            raise not_understood(response)
        person = body.get("contact")
        if person is None:
            return None
        if not id_of(person):
            raise not_understood(response)
        known: Mapping[str, Any] = person
        return known

    def _refused(self, exchange: Exchange, response: httpx.Response, twin: str, wanted: Wanted) -> ProviderError:
        """Who stands in the way: our buyer (created meanwhile), or someone who shares the number."""
        read = exchange.read("GET", f"/contacts/{quote(twin, safe='')}", headers=CONTACTS)
        person = object_of(read, "contact") if read.is_success else {}
        if id_of(person) == twin and mapping.likeness(wanted.body, person) is Likeness.OTHER:
            message = f"contact {twin} with the same phone is another person, and the location {NO_DUPLICATES}"
            return Rejected(SLUG, message, response.status_code, request_id(response))
        return NotProcessed(SLUG, f"contact {twin} was there already", response.status_code, request_id(response))


class AppointmentSync:
    """A tour stop and its appointment in the connection's calendar."""

    name = "appointment.sync"
    resource = "appointment"
    compared = mapping.APPOINTMENT_FIELDS
    settle_s = 5.0
    look_first = False
    has_lookup = True

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """AppointmentCreateSchema; pure. A cancelled one that was never there needs no request (`absent`)."""
        body = mapping.appointment_body(
            facts,
            marker=ref.marker,
            contact=needs["contact"],
            location=config["location_id"],
            calendar=config["calendar_id"],
        )
        return Wanted(self.resource, body, absent=body["appointmentStatus"] == "cancelled")

    def lookup(
        self,
        exchange: Exchange,
        facts: ShowingFacts,
        wanted: Wanted,
        ref: RefFacts,
        needs: Mapping[str, str],
    ) -> Lookup:
        """The stored id, else the marker among the titles of the person's appointments. Raises Gone."""
        if ref.external_id:
            return Found(ref.external_id, mapping.same_appointment(wanted.body, self.current(exchange, wanted, ref)))
        path = f"/contacts/{quote(needs['contact'], safe='')}/appointments"
        response = exchange.read("GET", path, headers=CONTACTS)
        check(response)
        ours = [event for event in rows_of(response, "events") if tag(ref.marker) in str(event.get("title"))]
        ids = sorted({id_of(event) for event in ours})
        if "" in ids:
            raise not_understood(response)
        if len(ids) > 1:
            return Ambiguous(ids)
        return Found(ids[0], mapping.same_appointment(wanted.body, ours[0])) if ids else NotFound()

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """GET of the linked appointment. Raises Gone."""
        path = f"/calendars/events/appointments/{quote(ref.external_id or '', safe='')}"
        response = exchange.read("GET", path, headers=CALENDARS)
        check(response, linked=True)
        event = object_of(response, "event")
        if id_of(event) != ref.external_id:
            raise not_understood(response)
        return event

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return mapping.appointment_differs(body, record)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, or PUT of the whole appointment under the stored id; cancelling is a PUT with that status.

        An edit cannot move an appointment to another person: Rejected when the answer shows someone else's.
        """
        path = "/calendars/events/appointments"
        if ref.external_id is None:
            response = exchange.write("POST", path, headers=CALENDARS, json=dict(wanted.body))
            return understood(response, object_of(response))
        path = f"{path}/{quote(ref.external_id, safe='')}"
        response = exchange.write("PUT", path, headers=CALENDARS, json=mapping.edit_body(wanted.body))
        check(response, linked=True)
        answer = object_of(response)
        done = understood(response, answer)
        if done.external_id != ref.external_id:
            raise not_understood(response)
        if answer.get("contactId", wanted.body["contactId"]) != wanted.body["contactId"] and not wanted.absent:
            message = "the appointment belongs to another contact, and GoHighLevel cannot move it: cancel it there"
            raise Rejected(SLUG, message, response.status_code, done.request_id)
        return done


def _twin(response: httpx.Response) -> str:
    """The contact that a refused create collided with; empty when that is not what the 400 says."""
    body = object_of(response)
    meta = body.get("meta")
    if NO_DUPLICATES not in str(body.get("message")) or not isinstance(meta, dict):
        return ""
    twin = meta.get("contactId")
    return twin if isinstance(twin, str) else ""
