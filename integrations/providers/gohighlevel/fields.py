"""What a buyer said last, in custom fields of a GoHighLevel contact.

UpdateContactDto of apps/contacts.json (2021-07-28, https://github.com/GoHighLevel/highlevel-api-docs): only what is
named changes. Tags, names and whatever else the contact holds are never part of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import Exchange, Found, InterestFacts, Lookup, NotFound, RefFacts, Understood, Wanted
from integrations.providers.feedback_words import words

from .answers import CONTACTS, check, id_of, not_understood, object_of, understood


class ContactFields:
    """The custom fields that the connection names; with none named there is nothing to do."""

    name = "contact.fields"
    resource = "contact_fields"
    settle_s = 5.0
    look_first = False
    has_lookup = True

    def wanted(
        self, facts: InterestFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """The part of UpdateContactDto that is ours; pure. What is not known is left out, never emptied."""
        interest = "" if facts.interest_level == "unknown" else words(facts.interest_level)
        rating = "" if facts.overall_rating is None else str(facts.overall_rating)
        told = ((config.get("interest_field_id", ""), interest), (config.get("rating_field_id", ""), rating))
        fields = [{"id": field.strip(), "field_value": value} for field, value in told if field.strip() and value]
        return Wanted(self.resource, {"contactId": needs["contact"], "customFields": fields}, absent=not fields)

    def lookup(
        self, exchange: Exchange, facts: InterestFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """Whether the contact shows the values already. Raises Gone when the contact was deleted."""
        if wanted.absent:
            return NotFound()
        contact, _ = self._fetch(exchange, wanted)
        held = contact.get("customFields")
        if not isinstance(held, list):
            return Found(wanted.body["contactId"], same=None)
        shown = {id_of(field): field.get("value") for field in held if isinstance(field, dict)}
        same = all(shown.get(field["id"]) == field["field_value"] for field in wanted.body["customFields"])
        return Found(wanted.body["contactId"], same)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """PUT of these fields alone. With none to tell any more the contact is confirmed and left as it is."""
        if wanted.absent:
            return self._fetch(exchange, wanted)[1]
        body = {"customFields": wanted.body["customFields"]}
        response = exchange.write("PUT", self._path(wanted), headers=CONTACTS, json=body)
        return self._ours(wanted, response)[1]

    def _fetch(self, exchange: Exchange, wanted: Wanted) -> tuple[Mapping[str, Any], Understood]:
        return self._ours(wanted, exchange.read("GET", self._path(wanted), headers=CONTACTS))

    def _ours(self, wanted: Wanted, response: httpx.Response) -> tuple[Mapping[str, Any], Understood]:
        check(response, linked=True)
        contact = object_of(response, "contact")
        done = understood(response, contact)
        if done.external_id != wanted.body["contactId"]:
            raise not_understood(response)
        return contact, done

    def _path(self, wanted: Wanted) -> str:
        return f"/contacts/{quote(wanted.body['contactId'], safe='')}"
