"""Buyers and showings at HubSpot. Each kind is idempotent by look-up: what is in doubt is found before it is sent.

https://developers.hubspot.com/docs/api-reference/crm-meetings-v3/guide and, for contacts, the specifications at
https://github.com/HubSpot/HubSpot-public-api-spec-collection (CRM/Contacts, v3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    ShowingFacts,
    Understood,
    Wanted,
)
from integrations.providers.errors import Gone, NotProcessed, ProviderError, Rejected
from integrations.providers.likeness import Likeness

from . import mapping
from .answers import (
    CONTACTS,
    MEETINGS,
    SLUG,
    check,
    id_of,
    next_page,
    not_understood,
    object_of,
    objects,
    properties_of,
    request_id,
    rows_of,
    twin_of,
    understood,
)  # fmt: skip
from .engagements import Engagement

SEARCH_SETTLES_S = 30.0
"""Until a new contact shows in the search; HubSpot says "a few moments". A read by e-mail shows it at once."""
PAGE = 100


class ContactLink:
    """A buyer and the CRM's person. Found people are linked and left as they are; only unknown ones are created."""

    name = "contact.link"
    resource = "contact"
    settle_s = SEARCH_SETTLES_S
    look_first = True
    has_lookup = True

    def wanted(self, facts: ContactFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """The properties of the contact; pure."""
        return Wanted(self.resource, mapping.contact_body(facts))

    def lookup(
        self, exchange: Exchange, facts: ContactFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked person, else the one with our e-mail, else one with our phone who is the same person.

        Raises Gone when the linked one was deleted or merged.
        """
        if ref.external_id:
            return self._confirm(exchange, ref.external_id)
        found = self._by_email(exchange, facts.email) if facts.email else None
        people = [found] if found else list(self._search(exchange, mapping.search_groups(facts)))
        alike = {id_of(one): mapping.likeness(wanted.body, properties_of(one)) for one in people}
        same = sorted(one for one, how in alike.items() if how is Likeness.SAME)
        if len(same) == 1:
            return Found(same[0], same=True)
        unsure = sorted(one for one, how in alike.items() if how is Likeness.UNSURE)
        return Ambiguous(same or unsure) if same or unsure else NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST, which refuses a second contact with an e-mail. A linked person is only confirmed, never written.

        Refused: NotProcessed if it is our buyer, so that the next look-up links the one that appeared meanwhile.
        """
        if ref.external_id:
            return Understood(self._confirm(exchange, ref.external_id).external_id, httpx.codes.OK)
        body = {"properties": dict(wanted.body), "associations": []}
        response = exchange.write("POST", objects(CONTACTS), json=body)
        if twin := twin_of(response):
            raise self._refused(exchange, response, twin, wanted)
        return understood(response, object_of(response))

    def _confirm(self, exchange: Exchange, contact_id: str) -> Found:
        response = exchange.read("GET", objects(CONTACTS, contact_id), params={"properties": "email"})
        check(response, linked=True)
        found = id_of(object_of(response))
        if not found:
            raise not_understood(response)
        if found != contact_id:
            words = f"contact {contact_id} was merged into {found}"
            raise Gone(SLUG, words, response.status_code, request_id(response))
        return Found(contact_id, same=True)

    def _by_email(self, exchange: Exchange, email: str) -> Mapping[str, Any] | None:
        """A read of the record itself: it shows what the search's index does not have yet."""
        query = {"idProperty": "email", "properties": ",".join(mapping.CONTACT_PROPERTIES)}
        response = exchange.read("GET", objects(CONTACTS, email), params=query)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        check(response)
        contact = object_of(response)
        if not id_of(contact):
            raise not_understood(response)
        return contact

    def _search(self, exchange: Exchange, groups: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """PublicObjectSearchRequest, page by page: a read, though by POST."""
        after = "0" if groups else ""
        while after:
            body = {
                "filterGroups": groups,
                "properties": list(mapping.CONTACT_PROPERTIES),
                "sorts": [],
                "limit": PAGE,
                "after": after,
            }
            response = exchange.read("POST", f"{objects(CONTACTS)}/search", json=body)
            check(response)
            rows = rows_of(response)
            if not all(id_of(row) for row in rows):
                raise not_understood(response)
            yield from rows
            after = next_page(response)

    def _refused(self, exchange: Exchange, response: httpx.Response, twin: str, wanted: Wanted) -> ProviderError:
        """Who stands in the way: our buyer (created meanwhile), or someone who has the address beside their own."""
        query = {"properties": ",".join(mapping.CONTACT_PROPERTIES)}
        read = exchange.read("GET", objects(CONTACTS, twin), params=query)
        contact = object_of(read) if read.is_success else {}
        if id_of(contact) == twin and mapping.likeness(wanted.body, properties_of(contact)) is Likeness.OTHER:
            words = f"contact {twin} has the same e-mail address and is another person"
            return Rejected(SLUG, words, response.status_code, request_id(response))
        return NotProcessed(SLUG, f"contact {twin} was there already", response.status_code, request_id(response))


class AppointmentSync(Engagement):
    """A tour stop and its meeting on the buyer's record. Cancelled it stays there, with that outcome."""

    name = "appointment.sync"
    resource = "appointment"
    record = MEETINGS
    type_id = 200
    marked = "hs_meeting_title"
    cancels = True
    times = ("hs_meeting_start_time", "hs_meeting_end_time")
    compared = ("hs_meeting_title", "hs_meeting_location", *times, "hs_meeting_outcome", "hubspot_owner_id")
    owned = ("hs_timestamp", *compared)

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """Whose it is and its properties; pure. A cancelled one that was never there needs no request (`absent`)."""
        body = mapping.meeting_body(facts, marker=ref.marker, contact=needs["contact"])
        return Wanted(self.resource, body, absent=body["hs_meeting_outcome"] == mapping.CANCELED)

    def same(self, wanted: Wanted, record: Mapping[str, Any]) -> bool | None:
        """For one that should be cancelled only the outcome counts."""
        outcome = record.get("hs_meeting_outcome")
        if wanted.absent or outcome == mapping.CANCELED:
            return bool(outcome == wanted.body["hs_meeting_outcome"])
        return super().same(wanted, record)
