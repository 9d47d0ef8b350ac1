"""GoHighLevel's calendars and the appointments in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from . import contacts
from .contacts import Call
from .shapes import APPOINTMENT_CREATE, APPOINTMENT_EDIT, SLUG, Shape, VendorError, iso, new_id, problems

KIND = "appointment"
SLOT = timedelta(minutes=30)
# What steers the call and is not kept.
NOT_STORED = (
    "toNotify", "ignoreDateRange", "ignoreFreeSlotValidation", "startTime", "endTime", "locationId", "contactId",
    "calendarId",
)  # fmt: skip


def create(call: Call) -> Reply:
    """POST /calendars/events/appointments. Without ``toNotify: false`` the buyer gets a message."""
    _check(call, APPOINTMENT_CREATE, ("calendarId", "locationId", "contactId", "startTime"))
    call.check_location(call.body["locationId"])
    try:
        contact = contacts.find(call, call.body["contactId"])
    except VendorError:
        raise VendorError(400, "The contact is not found in this location.") from None
    start = _moment(call, "startTime")
    end = _moment(call, "endTime") if "endTime" in call.body else start + SLOT
    doc: dict[str, object] = {
        "title": contacts.shown(contact).get("name") or "Appointment",
        "appointmentStatus": "confirmed",
        "assignedUserId": _user(call),
        "address": "",
        "dateAdded": iso(call.now),
    }
    record = Record(SLUG, call.location, KIND, new_id(), doc, parent=contact.id)
    record = _placed(call, record, str(call.body["calendarId"]), start, end)
    return Reply(200, _written(call, record), _effect(call, record, "create"))


def edit(call: Call, event_id: str) -> Reply:
    """PUT /calendars/events/appointments/{eventId} — only what is named changes; a moved start keeps the length."""
    _check(call, APPOINTMENT_EDIT, ())
    record = find(call, event_id)
    start, end = _times(call, record)
    length = end - start
    if "startTime" in call.body:
        start = _moment(call, "startTime")
        end = start + length
    if "endTime" in call.body:
        end = _moment(call, "endTime")
    record = _placed(call, record, str(call.body.get("calendarId", record.place)), start, end)
    return Reply(200, _written(call, record), _effect(call, record, "update"))


def fetch(call: Call, event_id: str) -> Reply:
    """GET /calendars/events/appointments/{eventId}."""
    record = find(call, event_id)
    start, end = _times(call, record)
    event: dict[str, object] = {
        **_named(record, ("title", "address", "appointmentStatus", "assignedUserId", "description", "rrule")),
        "id": record.id,
        "calendarId": record.place,
        "locationId": record.account,
        "contactId": record.parent,
        "groupId": "",
        "users": [],
        "notes": "",
        "isRecurring": "rrule" in record.doc,
        "startTime": start.isoformat(),
        "endTime": end.isoformat(),
        "dateAdded": record.doc["dateAdded"],
        "dateUpdated": record.doc["dateUpdated"],
        "assignedResources": [],
        "createdBy": {"source": "third_party"},
    }
    return Reply(200, {"event": event})


def of_contact(call: Call, contact_id: str) -> Reply:
    """GET /contacts/{contactId}/appointments — times in the location's zone without an offset; no description."""
    contact = contacts.find(call, contact_id)
    events: list[object] = []
    for record in call.data.of_parent(SLUG, KIND, contact.id):
        start, end = _times(call, record)
        events.append(
            {
                **_named(record, ("title", "address", "appointmentStatus", "assignedUserId")),
                "id": record.id,
                "calendarId": record.place,
                "status": "booked",
                "notes": "",
                "startTime": _local(start),
                "endTime": _local(end),
                "locationId": record.account,
                "contactId": record.parent,
                "groupId": "",
                "users": [],
                "dateAdded": _local(_from_iso(call, record.doc["dateAdded"])),
                "dateUpdated": _local(_from_iso(call, record.doc["dateUpdated"])),
                "assignedResources": [],
            }
        )
    return Reply(200, {"events": events})


def list_calendars(call: Call) -> Reply:
    """GET /calendars/?locationId=."""
    location = call.query.get("locationId")
    if not location:
        raise VendorError(400, "locationId should not be empty")
    call.check_location(location)
    return Reply(
        200, {"calendars": [_calendar(call, calendar_id) for calendar_id in calendar_ids(call.account.config)]}
    )


def fetch_calendar(call: Call, calendar_id: str) -> Reply:
    """GET /calendars/{calendarId}."""
    if calendar_id not in calendar_ids(call.account.config):
        raise VendorError(404, "Calendar not found")
    return Reply(200, {"calendar": _calendar(call, calendar_id)})


def find(call: Call, event_id: str) -> Record:
    """The appointment with this id in this location; 404 without."""
    record = call.data.get(SLUG, KIND, event_id)
    if record is None or record.account != call.location:
        raise VendorError(404, f"Appointment with id {event_id} not found")
    return record


def calendar_ids(config: Mapping[str, object]) -> list[str]:
    """The calendars of a location."""
    calendar = config.get("calendar")
    return [calendar] if isinstance(calendar, str) else []


def _check(call: Call, shape: Shape, required: tuple[str, ...]) -> None:
    found = problems(call.body, shape, required)
    if found:
        # The calendars' contract knows no 422 and has ``message`` as one string.
        raise VendorError(400, "; ".join(found))


def _placed(call: Call, record: Record, calendar: str, start: datetime, end: datetime) -> Record:
    """Check the slot, store the appointment, and return it."""
    if calendar not in calendar_ids(call.account.config):
        raise VendorError(400, "The calendar is not found in this location.")
    if end <= start:
        raise VendorError(400, "endTime must be after startTime")
    call.check_user(call.body.get("assignedUserId"))
    changes = {name: value for name, value in call.body.items() if name not in NOT_STORED}
    doc = record.doc | changes | {"dateUpdated": iso(call.now)}
    if "address" in changes and "meetingLocationType" not in changes:
        doc["meetingLocationType"] = "custom"
    start_ms, end_ms = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
    placed = replace(record, doc=doc, place=calendar, start_ms=start_ms, end_ms=end_ms)
    moved = (record.start_ms, record.end_ms, record.place) != (start_ms, end_ms, calendar)
    if moved and call.body.get("ignoreFreeSlotValidation") is not True and doc["appointmentStatus"] != "cancelled":
        _check_slot(call, placed)
    call.data.put(placed)
    return placed


def _check_slot(call: Call, placed: Record) -> None:
    start_ms, end_ms = placed.start_ms or 0, placed.end_ms or 0
    taken = any(
        other.id != placed.id and other.doc["appointmentStatus"] not in ("cancelled", "invalid")
        for other in call.data.overlapping(SLUG, placed.place or "", start_ms, end_ms)
    )
    past = start_ms < call.now * 1000 and call.body.get("ignoreDateRange") is not True
    if taken or past:
        raise VendorError(400, "The slot you have selected is no longer available.")


def _written(call: Call, record: Record) -> dict[str, object]:
    """The answer to a create or an edit (AppointmentSchemaResponse)."""
    start, end = _times(call, record)
    names = ("title", "meetingLocationType", "appointmentStatus", "assignedUserId", "address", "rrule")
    return {
        **_named(record, names),
        "id": record.id,
        "calendarId": record.place,
        "locationId": record.account,
        "contactId": record.parent,
        "startTime": start.isoformat(),
        "endTime": end.isoformat(),
        "isRecurring": "rrule" in record.doc,
    }


def _effect(call: Call, record: Record, op: str) -> dict[str, object]:
    return {"kind": KIND, "id": record.id, "op": op, "notified": call.body.get("toNotify") is not False}


def _calendar(call: Call, calendar_id: str) -> dict[str, object]:
    return {
        "id": calendar_id,
        "locationId": call.location,
        "name": "Showings",
        "description": "",
        "isActive": True,
        "calendarType": "event",
        "eventTitle": "{{contact.name}}",
        "slotDuration": 30,
        "slotDurationUnit": "mins",
        "teamMembers": [],
    }


def _user(call: Call) -> str:
    return f"user_{call.location}"


def _zone(call: Call) -> ZoneInfo:
    return ZoneInfo(str(call.account.config["timezone"]))


def _moment(call: Call, name: str) -> datetime:
    """A time of the body in the location's zone; one without an offset is taken to be local there already."""
    try:
        return _from_iso(call, call.body[name])
    except (ValueError, OverflowError):
        raise VendorError(400, f"{name} must be a valid ISO 8601 date string") from None


def _from_iso(call: Call, value: object) -> datetime:
    moment = datetime.fromisoformat(str(value))
    zone = _zone(call)
    moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    moment.timestamp()
    return moment


def _times(call: Call, record: Record) -> tuple[datetime, datetime]:
    zone = _zone(call)
    start, end = record.start_ms or 0, record.end_ms or 0
    return datetime.fromtimestamp(start / 1000, zone), datetime.fromtimestamp(end / 1000, zone)


def _local(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _named(record: Record, names: tuple[str, ...]) -> dict[str, object]:
    return {name: record.doc[name] for name in names if name in record.doc}
