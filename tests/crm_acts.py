"""What we do at a CRM, each brought to just before its one write: what tables of faults and deaths are run over."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from integrations.engine import states
from integrations.models import Connection, ConnectionState, ExternalRef, Operation, Tour, TourStop
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.tours import set_tour_status
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, base_urls, make_tour, move

ACTS = ("link", "create", "move", "cancel", "note", "task")
ALL_ACTS = {
    "gohighlevel": (*ACTS, "fields", "summary"),
    "hubspot": (*ACTS, "fields", "summary"),
    "lofty": (*ACTS, "fields", "summary"),
    "rollout": (*ACTS, "fields", "summary", "type"),
}
KINDS = {
    "link": "contact.link", "note": "feedback.note", "task": "feedback.task", "fields": "contact.fields",
    "summary": "tour.summary", "type": "appointment_type.link",
}  # fmt: skip
RESOURCES = {
    "link": "contact", "note": "note", "task": "task", "fields": "contact_fields", "summary": "summary",
    "type": "appointment_type",
}  # fmt: skip
# As what the CRM knows a resource, where it has another name there.
SHOWN_AS = {
    ("gohighlevel", "contact_fields"): "contact", ("rollout", "contact_fields"): "tag",
    ("gohighlevel", "summary"): "note", ("rollout", "summary"): "note",
    ("followupboss", "contact_fields"): "contact", ("followupboss", "summary"): "note",
    ("hubspot", "contact_fields"): "contact", ("hubspot", "summary"): "note",
    ("lofty", "contact_fields"): "tag", ("lofty", "summary"): "note",
}  # fmt: skip
# Where a cancelled appointment does not stand any more.
DELETING = frozenset({"followupboss", "lofty", "rollout"})
STAFF = Who("olga", "admin")
SAID_AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
OURS = "REanna-Router"
HOUR_S = 3600.0
# The one write of each act.
WRITES = {
    ("gohighlevel", "link"): ("POST", "^/contacts/?$"),
    ("gohighlevel", "create"): ("POST", "^/calendars/events/appointments$"),
    ("gohighlevel", "move"): ("PUT", "^/calendars/events/appointments/"),
    ("gohighlevel", "cancel"): ("PUT", "^/calendars/events/appointments/"),
    ("gohighlevel", "note"): ("POST", "^/contacts/[^/]+/notes$"),
    ("gohighlevel", "task"): ("POST", "^/contacts/[^/]+/tasks$"),
    ("gohighlevel", "fields"): ("PUT", "^/contacts/[^/]+$"),
    ("gohighlevel", "summary"): ("POST", "^/contacts/[^/]+/notes$"),
    ("hubspot", "link"): ("POST", "^/crm/v3/objects/contacts$"),
    ("hubspot", "create"): ("POST", "^/crm/v3/objects/meetings$"),
    ("hubspot", "move"): ("PATCH", "^/crm/v3/objects/meetings/"),
    ("hubspot", "cancel"): ("PATCH", "^/crm/v3/objects/meetings/"),
    ("hubspot", "note"): ("POST", "^/crm/v3/objects/notes$"),
    ("hubspot", "task"): ("POST", "^/crm/v3/objects/tasks$"),
    ("hubspot", "fields"): ("PATCH", "^/crm/v3/objects/contacts/"),
    ("hubspot", "summary"): ("POST", "^/crm/v3/objects/notes$"),
    ("lofty", "link"): ("POST", "^/v1.0/leads$"),
    ("lofty", "create"): ("POST", "^/v2.0/calendar$"),
    ("lofty", "move"): ("PUT", "^/v2.0/calendar/"),
    ("lofty", "cancel"): ("DELETE", "^/v2.0/calendar/"),
    ("lofty", "note"): ("POST", "^/v1.0/notes$"),
    ("lofty", "task"): ("POST", "^/v2.0/tasks$"),
    ("lofty", "fields"): ("PUT", "^/v1.0/leads/[^/]+$"),
    ("lofty", "summary"): ("POST", "^/v1.0/notes$"),
    ("rollout", "fields"): ("POST", "^/api/people/[^/]+/tags/apply$"),
    ("rollout", "summary"): ("POST", "^/api/notes$"),
    ("rollout", "type"): ("POST", "^/api/appointment-types$"),
    ("rollout", "link"): ("POST", "^/api/people$"),
    ("rollout", "create"): ("POST", "^/api/appointments$"),
    ("rollout", "move"): ("PUT", "^/api/appointments/"),
    ("rollout", "cancel"): ("DELETE", "^/api/appointments/"),
    ("rollout", "note"): ("POST", "^/api/notes$"),
    ("rollout", "task"): ("POST", "^/api/tasks$"),
    ("followupboss", "link"): ("POST", "^/v1/people$"),
    ("followupboss", "create"): ("POST", "^/v1/appointments$"),
    ("followupboss", "move"): ("PUT", "^/v1/appointments/"),
    ("followupboss", "cancel"): ("DELETE", "^/v1/appointments/"),
    ("followupboss", "note"): ("POST", "^/v1/notes$"),
    ("followupboss", "task"): ("POST", "^/v1/tasks$"),
    ("followupboss", "fields"): ("PUT", "^/v1/people/[^/]+$"),
    ("followupboss", "summary"): ("POST", "^/v1/notes$"),
}
# The field of an appointment that says when it starts.
STARTS = ("start", "startTime", "startsAt", "startAt", "hs_meeting_start_time")


class Act:
    """One act at one CRM. Making it plans what is to be done, unless `begin` is False: then `begin()` does.

    `go` lets the engine at it.
    """

    def __init__(self, crm: Crm, act: str, tomorrow: datetime, *, begin: bool = True) -> None:
        self.crm, self.act, self._tomorrow = crm, act, tomorrow
        self.vendor = crm.connection.provider
        self.kind = KINDS.get(act, "appointment.sync")
        self.resource = RESOURCES.get(act, "appointment")
        self.tour: Tour = make_tour(tomorrow, **crm.touring)
        first = act in ("link", "type")
        if not first:
            crm.sync(self.tour)
        self.stop: TourStop = self.tour.stops.get()
        if act in ("task", "summary"):
            # What is told before it.
            self._say(interest_level="interested")
            crm.drain()
        if act == "cancel" and self.vendor in DELETING:
            self.removed = crm.ref(self.stop).external_id
        self.since = 0 if first else crm.requests()[-1]["seq"]
        if begin:
            self.begin()
            self.find()

    def begin(self) -> None:
        """What staff do: from here on something is to be sent."""
        getattr(self, f"_{self.act}")(self._tomorrow)

    def find(self) -> None:
        """The operation that came of it."""
        self.stop.refresh_from_db()
        self.operation_id = self._operations().filter(kind=self.kind).latest("version", "pk").pk

    def _operations(self) -> QuerySet[Operation]:
        return Operation.objects.filter(connection=self.crm.connection)

    def fault(self, kind: str, **options: Any) -> None:
        """Lets a fault wait for the write."""
        method, path = WRITES[self.vendor, self.act]
        self.crm.sandbox.faults(kind, provider=self.vendor, match={"method": method, "path": path}, **options)

    def fault_of_reads(self, kind: str, **options: Any) -> None:
        """Lets a fault wait for every look-up."""
        self.crm.sandbox.faults(kind, provider=self.vendor, match={"method": "GET"}, times=None, **options)

    def go(self) -> Operation:
        """Sends what is due; the operation as it is then."""
        self.crm.drain()
        self._rows = None
        return self.operation

    @property
    def operation(self) -> Operation:
        return Operation.objects.get(pk=self.operation_id)

    @property
    def ref(self) -> ExternalRef:
        of = self.operation
        return ExternalRef.objects.get(
            connection=of.connection_id, entity_type=of.entity_type, entity_id=of.entity_id, resource=self.resource
        )

    def writes(self) -> list[dict[str, Any]]:
        """Our sendings of the one write, as the CRM saw them."""
        method, path = WRITES[self.vendor, self.act]
        return [row for row in self._ours() if row["method"] == method and re.search(path, row["path"])]

    def effects(self) -> list[tuple[str, str]]:
        """(what was done, id) to records of this act's resource, by us."""
        found = [row["effect"] for row in self._ours() if row["effect"]]
        kind = SHOWN_AS.get((self.vendor, self.resource), self.resource)
        return [(effect["op"], effect["id"]) for effect in found if effect["kind"] == kind]

    def _ours(self) -> list[dict[str, Any]]:
        """What the CRM saw of us since the act began."""
        if self._rows is None:
            self._rows = self.crm.requests()
        return [row for row in self._rows if row["seq"] > self.since and row["headers"].get("user-agent") == OURS]

    def looked_between_writes(self) -> bool:
        """Whether each further write came after a look-up."""
        first, *more = [row["seq"] for row in self.writes()]
        reads = [row["seq"] for row in self._ours() if row["method"] == "GET"]
        previous = [first, *more]
        return all(any(a < read < b for read in reads) for a, b in zip(previous, more, strict=False))

    def settle(self, settings: Any) -> None:
        """The faults end, staff do what they are asked to (sign in, retry), time passes."""
        self.crm.sandbox.clear_faults()
        settings.REANNA_BASE_URLS = base_urls(self.crm.sandbox)
        settings.REANNA_TOTAL_DEADLINE_S = 20.0
        Connection.objects.update(state=ConnectionState.ACTIVE)
        for operation in self._operations().filter(state__in=("dead", "needs_person")):
            verbs.retry(operation.pk, STAFF)
        for _ in range(3):
            self.crm.redis.wipe_warm("reanna:gate")
            self.crm.pass_time(HOUR_S)
            self.go()
            if not self._operations().exclude(state__in=states.TERMINAL).exists():
                return

    def assert_done_once(self) -> None:
        """All operations ended well, and the CRM shows exactly one effect: ours, on the record we are linked to."""
        ends = self._operations().values_list("kind", "state", "reason", "in_doubt", "message")
        assert [end for end in ends if end[1] not in states.TERMINAL or end[3]] == []
        ((done, record),) = self.effects()
        assert done == self._wanted_effect()
        assert record == (self.removed or self.ref.external_id)
        assert not any(row["effect"] and row["effect"].get("notified") for row in self._ours())
        written = [row for row in self.writes() if row["effect"]]
        assert [self._as_wanted(row["body"]) for row in written] == [True]

    # --- each act ---------------------------------------------------------------------------------------------

    removed: str | None = None
    _rows: list[dict[str, Any]] | None = None

    def _link(self, tomorrow: datetime) -> None:
        self.crm.plan(self.tour)

    def _create(self, tomorrow: datetime) -> None:
        """For a buyer who is linked already."""
        self.tour = make_tour(tomorrow, buyer=self.tour.buyer, **self.crm.touring)
        self.stop = self.tour.stops.get()
        self.crm.plan(self.tour)

    def _move(self, tomorrow: datetime) -> None:
        move(self.stop, 30)
        self.crm.plan(self.tour)

    def _cancel(self, tomorrow: datetime) -> None:
        self.stop.appointment_status = "cancelled"
        self.stop.version += 1
        self.stop.save()
        self.crm.plan(self.tour)

    def _note(self, tomorrow: datetime) -> None:
        self._say(interest_level="interested")

    def _task(self, tomorrow: datetime) -> None:
        """Of an answer whose note stands already."""
        self._say(interest_level="interested", second_showing="yes")

    def _fields(self, tomorrow: datetime) -> None:
        self._say(interest_level="interested")

    def _summary(self, tomorrow: datetime) -> None:
        """Of a tour of which something was said, and that is over."""
        set_tour_status(self.tour.pk, "completed", actor="ann", via="api")

    def _type(self, tomorrow: datetime) -> None:
        """What the account itself needs before its first appointment."""
        self.crm.plan(self.tour)

    def _say(self, **values: Any) -> None:
        save_feedback(self.stop.pk, FeedbackInput("buyer", SAID_AT, values), actor="ann", via="api")

    def _wanted_effect(self) -> str:
        if self.act == "cancel":
            return "delete" if self.vendor in DELETING else "update"
        fields_of_a_record = self.act == "fields" and self.vendor in ("followupboss", "gohighlevel", "hubspot")
        return "update" if self.act == "move" or fields_of_a_record else "create"

    def _as_wanted(self, body: Any) -> bool:
        """The write that had the effect says what it should, and carries the record's own marker."""
        text = str(body)
        if self.act == "link":
            return str(self.tour.buyer.email) in text
        if self.removed or self.act in ("fields", "type"):
            return True
        told = body.get("properties", body)
        if self.act == "cancel":
            return "cancel" in (told.get("appointmentStatus") or told["hs_meeting_outcome"]).lower()
        if self.act == "move":
            starts = next(told[name] for name in STARTS if name in told)
            return datetime.fromisoformat(starts) == self.stop.appointment_start
        return f"[RR-{self.ref.marker}]" in text
