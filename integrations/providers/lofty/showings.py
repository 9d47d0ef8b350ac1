"""Tour stops in Lofty's calendar, as appointments or, where a connection says so, as tasks.

Created, changed and deleted through /v2.0/calendar, whose ids are a number and the kind (`12345-appointment`); read
through /v2.0/tasks, which knows appointments and tasks by that number and can list a lead's:
https://developer.lofty.com/concepts/tasks-appointments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import (
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
from integrations.providers.errors import Gone

from . import mapping
from .calls import checked, id_of, not_understood, object_of, request_id, says_done, write
from .tasks import SETTLE_S, fetch, marked

PATH = "/v2.0/calendar"


class AppointmentSync:
    """A tour stop and its appointment or task. A cancelled one is deleted there: it has no status."""

    name = "appointment.sync"
    resource = "appointment"
    compared = mapping.SHOWING_FIELDS
    settle_s = SETTLE_S
    look_first = False
    has_lookup = True

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """The body of POST /v2.0/calendar; pure."""
        kind = config.get("showing_as") or mapping.APPOINTMENT
        body = mapping.showing_body(facts, marker=ref.marker, lead=needs["contact"], kind=kind)
        return Wanted(self.resource, body, absent=not facts.live)

    def lookup(
        self, exchange: Exchange, facts: ShowingFacts, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]
    ) -> Lookup:
        """The stored id, else the marker among the lead's own. Raises Gone when the linked one should stand."""
        if ref.external_id:
            return self._linked(exchange, wanted, ref)
        return marked(
            exchange,
            wanted.body["leadId"],
            ref,
            called=lambda row: mapping.calendar_id(id_of(row, "id"), row),
            same=lambda row: not wanted.absent and mapping.same_showing(wanted.body, row),
        )

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Any]:
        """The linked record. Raises Gone."""
        return fetch(exchange, mapping.number_of(ref.external_id or ""))[0]

    def differs(self, body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
        """Pure."""
        return mapping.showing_differs(body, record)

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Written:
        """POST, PUT of all that can be changed under the stored id, or DELETE of what should not stand."""
        if ref.external_id is None:
            response = checked(write(exchange, "POST", PATH, wanted.body), new_lead=True)
            made = str(object_of(response, "data").get("id"))
            if not mapping.is_calendar_id(made):
                raise not_understood(response)
            return Understood(made, response.status_code, request_id(response))
        path = f"{PATH}/{quote(ref.external_id, safe='')}"
        if wanted.absent:
            return _removed(write(exchange, "DELETE", path))
        response = write(exchange, "PUT", path, mapping.edit_body(wanted.body))
        if not says_done(checked(response, linked=True)):
            raise not_understood(response)
        return Understood(ref.external_id, response.status_code, request_id(response))

    def _linked(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Lookup:
        external_id = ref.external_id or ""
        if not wanted.absent:
            return Found(external_id, mapping.same_showing(wanted.body, self.current(exchange, wanted, ref)))
        try:
            self.current(exchange, wanted, ref)
        except Gone:
            return NotFound()
        return Found(external_id, same=False)


def _removed(response: httpx.Response) -> Removed:
    """A 404 is as good: it does not stand."""
    if response.status_code != httpx.codes.NOT_FOUND and not says_done(checked(response)):
        raise not_understood(response)
    return Removed(response.status_code, request_id(response))
