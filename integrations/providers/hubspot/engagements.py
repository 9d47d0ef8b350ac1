"""Meetings, notes and tasks: records of a contact that carry our marker.

The look-up after a doubt goes by the contact's associations and reads each record, never by the search, whose index
lags behind. Shapes: https://github.com/HubSpot/HubSpot-public-api-spec-collection (CRM, v3; associations 2026-03, whose
v4 ends in 2027).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from integrations.providers.base import (
    Ambiguous,
    Exchange,
    Facts,
    Found,
    Lookup,
    NotFound,
    RefFacts,
    Understood,
    Wanted,
)
from integrations.providers.comparing import different
from integrations.providers.errors import Rejected
from integrations.providers.phrasing import tag

from . import mapping
from .answers import (
    CONTACTS,
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
    text_id,
    understood,
)  # fmt: skip

PAGE = 500
BATCH = 100
"""Records of one batch read, at most."""


class Engagement:
    """What the kinds have in common. A desire's body is the contact and, beside it, the record's properties.

    `record`: the vendor's kind of records; `type_id`: of their association with a contact; `marked`: the property that
    carries the marker; `owned`: what an edit sends; `rich`: properties that are rich text, `times`: that are moments.
    `cancels`: what stands but is not wanted any more is edited to say so; else it is confirmed and left as it is.
    """

    record: ClassVar[str]
    type_id: ClassVar[int]
    marked: ClassVar[str]
    owned: ClassVar[tuple[str, ...]]
    compared: ClassVar[tuple[str, ...]]
    rich: ClassVar[tuple[str, ...]] = ()
    times: ClassVar[tuple[str, ...]] = ()
    cancels: ClassVar[bool] = False
    settle_s = 5.0
    look_first = False
    has_lookup = True

    def lookup(
        self, exchange: Exchange, facts: Facts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among the contact's own. Raises Gone."""
        if ref.external_id:
            return Found(ref.external_id, self.same(wanted, self.current(exchange, wanted, ref)))
        marker = tag(ref.marker)
        ours = {
            id_of(row): properties_of(row)
            for row in self._of_contact(exchange, wanted.body["contact"])
            if marker in str(properties_of(row).get(self.marked))
        }
        if len(ours) > 1:
            return Ambiguous(sorted(ours))
        return next((Found(found, self.same(wanted, record)) for found, record in ours.items()), NotFound())

    def same(self, wanted: Wanted, record: Mapping[str, Any]) -> bool | None:
        """Whether the record reads as wanted; None: it does not tell. What is not wanted any more is left: as good."""
        if wanted.absent:
            return True
        if self.differs(wanted.body, record):
            return False
        return True if all(name in record for name in self.compared if name in wanted.body) else None

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """The linked record. Raises Gone; Rejected when it is another contact's, for an update cannot move it."""
        record, response = self._fetch(exchange, ref.external_id or "")
        if not wanted.absent and wanted.body["contact"] not in _contacts(record, response):
            words = f"{self.record} {ref.external_id} belongs to another contact, and HubSpot's update cannot move it"
            raise Rejected(SLUG, words, response.status_code, request_id(response))
        return properties_of(record)

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return different(self._read(body), self._read(record), self.compared, self.times)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        """POST with its association, or PATCH of the properties we own, which is no way to another contact."""
        if ref.external_id is None:
            response = exchange.write("POST", objects(self.record), json=self._create(wanted))
            return understood(response, object_of(response))
        if wanted.absent and not self.cancels:
            _, read = self._fetch(exchange, ref.external_id)
            return Understood(ref.external_id, read.status_code, request_id(read))
        body = {"properties": {name: wanted.body[name] for name in self.owned if name in wanted.body}}
        response = exchange.write("PATCH", objects(self.record, ref.external_id), json=body)
        check(response, linked=True)
        done = understood(response, object_of(response))
        if done.external_id != ref.external_id:
            raise not_understood(response)
        return done

    def _create(self, wanted: Wanted) -> dict[str, Any]:
        """SimplePublicObjectInputForCreate."""
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": self.type_id}
        return {
            "properties": {name: value for name, value in wanted.body.items() if name != "contact"},
            "associations": [{"to": {"id": wanted.body["contact"]}, "types": [kind]}],
        }

    def _read(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """As people read it."""
        texts = {name: mapping.plain(str(body[name])) for name in self.rich if name in body}
        return {**body, **texts}

    def _fetch(self, exchange: Exchange, record_id: str) -> tuple[Mapping[str, Any], httpx.Response]:
        query = {"properties": ",".join(self.compared), "associations": CONTACTS}
        response = exchange.read("GET", objects(self.record, record_id), params=query)
        check(response, linked=True)
        record = object_of(response)
        if id_of(record) != record_id:
            raise not_understood(response)
        return record, response

    def _of_contact(self, exchange: Exchange, contact: str) -> Iterator[Mapping[str, Any]]:
        """Every record of this kind that the contact has."""
        path = f"/crm/objects/2026-03/contacts/{quote(contact, safe='')}/associations/{self.record}"
        after = ""
        while True:
            query = {"limit": str(PAGE), **({"after": after} if after else {})}
            response = exchange.read("GET", path, params=query)
            check(response)
            found = [text_id(row.get("toObjectId")) for row in rows_of(response)]
            if "" in found:
                raise not_understood(response)
            for at in range(0, len(found), BATCH):
                yield from self._batch(exchange, found[at : at + BATCH])
            after = next_page(response)
            if not after:
                return

    def _batch(self, exchange: Exchange, ids: list[str]) -> list[Mapping[str, Any]]:
        """BatchReadInputSimplePublicObjectId: a read, though by POST. Who was archived meanwhile is left out (207)."""
        body = {
            "inputs": [{"id": record_id} for record_id in ids],
            "properties": list(self.compared),
            "propertiesWithHistory": [],
        }
        response = exchange.read("POST", f"{objects(self.record)}/batch/read", json=body)
        check(response)
        rows = rows_of(response)
        if not all(id_of(row) for row in rows):
            raise not_understood(response)
        return rows


def _contacts(record: Mapping[str, Any], response: httpx.Response) -> set[str]:
    """The contacts a record is associated with, as a read with `associations` tells; nobody: the part is left out."""
    held = record.get("associations", {})
    of = held.get(CONTACTS, {"results": []}) if isinstance(held, dict) else {}
    rows = of.get("results") if isinstance(of, dict) else None
    if not isinstance(rows, list):
        raise not_understood(response)
    return {id_of(row) for row in rows}
