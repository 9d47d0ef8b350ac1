"""What a buyer said last, as tags and custom fields of a Follow Up Boss person.

PUT /people/{id} changes what is named; with `mergeTags` tags are only added
(https://docs.followupboss.com/reference/people-id-put). Nothing else of the person is ever part of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import Exchange, Found, InterestFacts, Lookup, NotFound, RefFacts, Understood, Wanted
from integrations.providers.errors import Rejected
from integrations.providers.feedback_words import words

from .answers import SLUG, Record, checked, get, record_of, record_path, request_id, understood

INTEREST, RATING = "Custom field for the interest", "Custom field for the rating"
PREFIX = "custom"


def named_fields(config: Mapping[str, str]) -> dict[str, str]:
    """The custom fields that the connection names, by the label of its own field."""
    named = {INTEREST: config.get("interest_field", ""), RATING: config.get("rating_field", "")}
    return {label: name.strip() for label, name in named.items() if name.strip()}


class ContactFields:
    """Tags (`showing:interested`, `rating:4`, `offer:likely`) and the custom fields that the connection names."""

    name = "contact.fields"
    resource = "contact_fields"
    settle_s = 10.0
    look_first = False
    has_lookup = True

    def wanted(
        self, facts: InterestFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose, tags and fields; pure. What is not known is left out, never emptied.

        Raises Rejected for the name of what is no custom field: it would be something that people keep.
        """
        interest = "" if facts.interest_level in ("", "unknown") else facts.interest_level
        rating = "" if facts.overall_rating is None else str(facts.overall_rating)
        tags = [f"showing:{interest}"] if interest else []
        tags += [f"rating:{rating}"] if rating else []
        tags += [f"offer:{facts.offer_likelihood}"] if facts.offer_likelihood else []
        told = {INTEREST: words(interest) if interest else "", RATING: rating}
        fields = {name: told[label] for label, name in named_fields(config).items() if told[label]}
        for name in fields:
            if not name.startswith(PREFIX):
                raise Rejected(SLUG, f"the name of a custom field begins with “{PREFIX}”, and {name} does not")
        return Wanted(self.resource, {"personId": needs["contact"], "tags": tags, "fields": fields}, absent=not tags)

    def lookup(
        self, exchange: Exchange, facts: InterestFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """Whether the person shows tags and values already. Raises Gone when the person was deleted."""
        if wanted.absent:
            return NotFound()
        return Found(wanted.body["personId"], _same(wanted.body, self._fetch(exchange, wanted)[0]))

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """Adds the tags, sets the fields. With nothing to tell any more the person is confirmed and left as it is."""
        person_id = wanted.body["personId"]
        if wanted.absent:
            response = self._fetch(exchange, wanted)[1]
            return Understood(person_id, response.status_code, request_id(response))
        body = {"tags": wanted.body["tags"], **wanted.body["fields"]}
        path, query = record_path("/people", person_id), {"mergeTags": "true"}
        return understood(checked(exchange.write("PUT", path, params=query, json=body), linked=True), person_id)

    def _fetch(self, exchange: Exchange, wanted: Wanted) -> tuple[Record, httpx.Response]:
        person_id = wanted.body["personId"]
        response = get(exchange, record_path("/people", person_id), {"fields": "allFields"}, linked=True)
        return record_of(response, person_id), response


def _same(body: Mapping[str, Any], record: Record) -> bool | None:
    held = record.get("tags")
    if not isinstance(held, list) or not body["fields"].keys() <= record.keys():
        return None
    fields = all(str(record[name]) == value for name, value in body["fields"].items())
    return fields and {tag.casefold() for tag in body["tags"]} <= {str(tag).casefold() for tag in held}
