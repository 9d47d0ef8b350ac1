"""Leads: a buyer and Lofty's person, found before one is created, and what a buyer said last.

GET, POST and PUT of /v1.0/leads: https://developer.lofty.com/api-reference/leads/overview. A lead is kept some time
after its id was told, and reads do not show it before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import (
    Ambiguous,
    ContactFacts,
    Exchange,
    Found,
    InterestFacts,
    Lookup,
    NotFound,
    RefFacts,
    Understood,
    Wanted,
)
from integrations.providers.likeness import Likeness, folded, likeness

from . import mapping
from .calls import checked, id_of, not_understood, object_of, read, request_id, rows_of, write

PATH = "/v1.0/leads"
# "briefly", in the vendor's words, until a read shows a new lead.
SETTLE_S = 30.0
# Whatever is asked for, a page has no more.
PAGE, MOST_PAGES = 25, 4

Lead = Mapping[str, Any]


class ContactLink:
    """A buyer and the CRM's lead. Found leads are linked and left as they are; only unknown ones are created."""

    name = "contact.link"
    resource = "contact"
    settle_s = SETTLE_S
    look_first = True
    has_lookup = True

    def wanted(self, facts: ContactFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """POST /v1.0/leads; pure."""
        return Wanted(self.resource, mapping.lead_body(facts, config.get("assigned_user_id", "")))

    def lookup(
        self, exchange: Exchange, facts: ContactFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The linked lead, else one with our e-mail, else one with our phone who is the same person. Raises Gone."""
        if ref.external_id:
            fetch(exchange, ref.external_id)
            return Found(ref.external_id, same=True)
        asked: list[tuple[str, str, Callable[[Lead], bool]]] = [
            ("email", facts.email, lambda lead: mapping.has_email(lead, facts.email)),
            ("phone", mapping.digits(facts.phone), lambda lead: mapping.has_phone(lead, facts.phone)),
        ]
        for name, value, is_theirs in asked:
            found = _judged(wanted, _search(exchange, name, value, is_theirs)) if value else NotFound()
            if not isinstance(found, NotFound):
                return found
        return NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST /v1.0/leads. A linked lead is only confirmed, never written."""
        if ref.external_id:
            response = fetch(exchange, ref.external_id)[1]
            return Understood(ref.external_id, response.status_code, request_id(response))
        response = checked(write(exchange, "POST", PATH, wanted.body))
        lead = id_of(object_of(response), "leadId")
        if not lead:
            raise not_understood(response)
        return Understood(lead, response.status_code, request_id(response))


class ContactFields:
    """What a buyer said last, as tags such as `showing:interested`; with nothing known there is nothing to do.

    `tagsAdd` only adds: tags that people keep, or that an earlier answer brought, stay.
    """

    name = "contact.fields"
    resource = "contact_fields"
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True

    def wanted(
        self, facts: InterestFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]
    ) -> Wanted:
        """Whose, and the part of PUT /v1.0/leads/{leadId} that is ours; pure. What is not known has no tag."""
        tags = [f"showing:{facts.interest_level}"] if facts.interest_level not in ("", "unknown") else []
        tags += [] if facts.overall_rating is None else [f"rating:{facts.overall_rating}"]
        tags += [f"offer:{facts.offer_likelihood}"] if facts.offer_likelihood else []
        return Wanted(self.resource, {"lead": needs["contact"], "tagsAdd": tags}, absent=not tags)

    def lookup(
        self, exchange: Exchange, facts: InterestFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """Whether the lead has the tags already. Raises Gone when it was deleted."""
        if wanted.absent:
            return NotFound()
        held = mapping.tags_of(fetch(exchange, wanted.body["lead"])[0])
        same = None if held is None else set(wanted.body["tagsAdd"]) <= held
        return Found(wanted.body["lead"], same)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """Adds them. With none to tell any more the lead is confirmed and left as it is."""
        lead = wanted.body["lead"]
        if wanted.absent:
            response = fetch(exchange, lead)[1]
            return Understood(lead, response.status_code, request_id(response))
        response = write(exchange, "PUT", lead_path(lead), {"tagsAdd": wanted.body["tagsAdd"]})
        if id_of(_lead_in(checked(response, linked=True)), "leadId") != lead:
            raise not_understood(response)
        return Understood(lead, response.status_code, request_id(response))


def fetch(exchange: Exchange, lead: str) -> tuple[Lead, httpx.Response]:
    """The lead as it is now. Raises Gone."""
    response = read(exchange, lead_path(lead), linked=True)
    found = _lead_in(response)
    if id_of(found, "leadId") != lead:
        raise not_understood(response)
    return found, response


def lead_path(lead: str) -> str:
    """The path of one lead, whatever its id is made of."""
    return f"{PATH}/{quote(lead, safe='')}"


def _lead_in(response: httpx.Response) -> Lead:
    """The documentation shows it under `lead` in words and bare in its example."""
    return object_of(response, "lead") or object_of(response)


def _search(exchange: Exchange, name: str, value: str, is_theirs: Callable[[Lead], bool]) -> list[Lead]:
    """All leads with this e-mail or phone. Raises Uncertain when it may have more than 100, so that none is sure.

    The exact search is asked for, and what comes is looked at all the same: parameters Lofty does not know it ignores.
    """
    query = {name: value, "preciseSearchFlag": "true", "limit": str(PAGE)}
    seen: dict[str, Lead] = {}
    for _ in range(MOST_PAGES):
        response = read(exchange, PATH, query)
        rows = rows_of(response, "leads")
        if not all(id_of(row, "leadId") for row in rows):
            raise not_understood(response)
        before = len(seen)
        seen |= {id_of(row, "leadId"): row for row in rows}
        if not more_than(response, len(seen), len(rows)):
            return [lead for lead in seen.values() if is_theirs(lead)]
        if len(seen) == before:
            break
        query |= onward(response, len(seen))
    raise not_understood(response)


def more_than(response: httpx.Response, seen: int, of_page: int) -> bool:
    """Whether a list has more than was seen: by its total, else by whether the page was full."""
    total = _metadata(response).get("total")
    return total > seen if isinstance(total, int) and not isinstance(total, bool) else of_page >= PAGE


def onward(response: httpx.Response, seen: int) -> dict[str, str]:
    """What asks for the next page: the cursor an answer names, else where it begins."""
    cursor = _metadata(response).get("scrollId")
    return {"scrollId": cursor} if isinstance(cursor, str) and cursor else {"offset": str(seen)}


def _metadata(response: httpx.Response) -> Mapping[str, Any]:
    return object_of(response, "_metadata") or object_of(response, "get_metadata")


def _judged(wanted: Wanted, leads: list[Lead]) -> Lookup:
    """Which of them is our buyer."""
    ours = mapping.person_of(wanted.body)
    alike = [(lead, likeness(ours, mapping.person_of(lead))) for lead in leads]
    same = [lead for lead, how in alike if how is Likeness.SAME]
    # Of several with our e-mail the one with our name.
    named = [lead for lead in same if folded(mapping.person_of(lead).name) == ours.name]
    if len(same) == 1 or len(named) == 1:
        return Found(id_of((same if len(same) == 1 else named)[0], "leadId"), same=True)
    unsure = same or [lead for lead, how in alike if how is Likeness.UNSURE]
    return Ambiguous(sorted(id_of(lead, "leadId") for lead in unsure)) if unsure else NotFound()
