"""What a buyer said last, as tags of a Rollout person.

POST /people/{id}/tags/apply of the contract only adds: there are no custom-field values, and tags that people keep, or
that an earlier answer brought, stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import Exchange, Found, InterestFacts, Lookup, NotFound, RefFacts, Understood, Wanted
from integrations.providers.errors import body_of

from .calls import Calls, Clocks, checked, record_of, record_path
from .errors import not_understood, request_id
from .outbound import PEOPLE, SETTLE_S


class ContactFields:
    """Tags such as `showing:interested`, `rating:4`, `offer:likely`; with nothing known there is nothing to do."""

    name = "contact.fields"
    resource = "contact_fields"
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()

    def wanted(
        self, facts: InterestFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose, and the body of POST /people/{id}/tags/apply; pure. What is not known has no tag."""
        tags = [f"showing:{facts.interest_level}"] if facts.interest_level not in ("", "unknown") else []
        tags += [] if facts.overall_rating is None else [f"rating:{facts.overall_rating}"]
        tags += [f"offer:{facts.offer_likelihood}"] if facts.offer_likelihood else []
        return Wanted(self.resource, {"personId": needs["contact"], "tags": tags}, absent=not tags)

    def lookup(
        self, exchange: Exchange, facts: InterestFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """Whether the person has the tags already. Raises RolloutGoneError when the person was deleted."""
        if wanted.absent:
            return NotFound()
        record, _ = self._fetch(exchange, wanted)
        held = record.get("tags")
        same = set(wanted.body["tags"]) <= set(map(str, held)) if isinstance(held, list) else None
        return Found(wanted.body["personId"], same)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """Adds them. With none to tell any more the person is confirmed and left as it is. The answer is a list."""
        person_id = wanted.body["personId"]
        if wanted.absent:
            response = self._fetch(exchange, wanted)[1]
            return Understood(person_id, response.status_code, request_id(response))
        path = f"{record_path(PEOPLE.path, person_id)}/tags/apply"
        response = Calls(exchange, self._clocks).write("POST", path, {"tags": wanted.body["tags"]})
        if not isinstance(body_of(checked(response, linked=True)), list):
            raise not_understood(response)
        return Understood(person_id, response.status_code, request_id(response))

    def _fetch(self, exchange: Exchange, wanted: Wanted) -> tuple[Mapping[str, Any], httpx.Response]:
        person_id = wanted.body["personId"]
        response = Calls(exchange, self._clocks).get(record_path(PEOPLE.path, person_id), linked=True)
        record = record_of(response)
        if record["id"] != person_id:
            raise not_understood(response)
        return record, response
