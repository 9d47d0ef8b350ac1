"""What a buyer said last, in custom properties of a HubSpot contact.

PATCH of SimplePublicObjectInput changes only the properties it names; names and addresses are never part of it.
https://github.com/HubSpot/HubSpot-public-api-spec-collection (CRM/Contacts, v3)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import Exchange, Found, InterestFacts, Lookup, NotFound, RefFacts, Understood, Wanted
from integrations.providers.feedback_words import words

from .answers import CONTACTS, check, not_understood, object_of, objects, properties_of, understood


class ContactFields:
    """The properties that the connection names; with none named there is nothing to do."""

    name = "contact.fields"
    resource = "contact_fields"
    settle_s = 5.0
    look_first = False
    has_lookup = True

    def wanted(
        self, facts: InterestFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose they are and their values; pure. What is not known is left out, never emptied."""
        interest = "" if facts.interest_level == "unknown" else words(facts.interest_level)
        rating = "" if facts.overall_rating is None else str(facts.overall_rating)
        told = ((config.get("interest_property", ""), interest), (config.get("rating_property", ""), rating))
        properties = {name.strip(): value for name, value in told if name.strip() and value}
        body = {"contact": needs["contact"], "properties": properties}
        return Wanted(self.resource, body, absent=not properties)

    def lookup(
        self, exchange: Exchange, facts: InterestFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """Whether the contact shows the values already. Raises Gone when the contact was deleted."""
        if wanted.absent:
            return NotFound()
        shown, _ = self._fetch(exchange, wanted)
        same = all(shown.get(name) == value for name, value in wanted.body["properties"].items())
        return Found(wanted.body["contact"], same)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """PATCH of these properties alone. With none to tell any more the contact is confirmed and left as it is."""
        if wanted.absent:
            return self._fetch(exchange, wanted)[1]
        path = objects(CONTACTS, wanted.body["contact"])
        response = exchange.write("PATCH", path, json={"properties": dict(wanted.body["properties"])})
        return self._ours(wanted, response)

    def _fetch(self, exchange: Exchange, wanted: Wanted) -> tuple[Mapping[str, Any], Understood]:
        query = {"properties": ",".join(wanted.body["properties"]) or "email"}
        response = exchange.read("GET", objects(CONTACTS, wanted.body["contact"]), params=query)
        done = self._ours(wanted, response)
        return properties_of(object_of(response)), done

    def _ours(self, wanted: Wanted, response: httpx.Response) -> Understood:
        check(response, linked=True)
        done = understood(response, object_of(response))
        if done.external_id != wanted.body["contact"]:
            raise not_understood(response)
        return done
