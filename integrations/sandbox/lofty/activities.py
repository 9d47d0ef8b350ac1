"""Lofty's tasks and appointments, which share one numbering, and notes; all belong to a lead.

https://developer.lofty.com/concepts/tasks-appointments. Neither makes the vendor write to the lead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from . import leads
from .leads import Call
from .shapes import (
    EVENT,
    EVENT_EDIT,
    NOTE,
    NOTE_EDIT,
    SLUG,
    TASK,
    TASK_EDIT,
    LoftyError,
    check,
    moment_ms,
    new_id,
    stamp,
)

APPOINTMENT, TASK_KIND, NOTE_KIND = "appointment", "task", "note"
KINDS = {"APPOINTMENT": APPOINTMENT, "TASK": TASK_KIND}
DONE = {"message": "Operation successful"}
CALENDAR_ID = re.compile(r"([0-9]{1,19})-(task|appointment)\Z")


# --- /v2.0/calendar --------------------------------------------------------------------------------------------------


def create_event(call: Call) -> Reply:
    """POST /v2.0/calendar — a task or an appointment, and its number with the kind behind it."""
    check(call.body, EVENT, ("type", "content", "leadId", "timeZoneCode"))
    kind = KINDS[str(call.body["type"])]
    record = _insert(call, kind, str(call.body.get("taskWay", "Other")) if kind == TASK_KIND else "Appointment")
    event_id = f"{record.id}-{kind}"
    data = {"id": event_id, "type": call.body["type"], "message": "Calendar created successfully"}
    return Reply(200, {"data": data}, _effect(record, "create", event_id))


def update_event(call: Call, event_id: str) -> Reply:
    """PUT /v2.0/calendar/{calendarId} — only what is named changes."""
    record = _event(call, event_id)
    check(call.body, EVENT_EDIT)
    record = _placed(call, record)
    call.data.put(record)
    return Reply(200, {"message": "Calendar updated successfully"}, _effect(record, "update", event_id))


def delete_event(call: Call, event_id: str) -> Reply:
    """DELETE /v2.0/calendar/{calendarId}."""
    record = _event(call, event_id)
    call.data.remove(record)
    return Reply(200, {"message": "Calendar deleted successfully"}, _effect(record, "delete", event_id))


def finish_event(call: Call, event_id: str) -> Reply:
    """POST /v2.0/calendar/{calendarId}/finish."""
    record = _event(call, event_id)
    call.data.put(replace(record, doc={**record.doc, "finishFlag": True}))
    return Reply(200, DONE, _effect(record, "update", event_id))


# --- /v2.0/tasks -----------------------------------------------------------------------------------------------------


def list_tasks(call: Call) -> Reply:
    """GET /v2.0/tasks?leadId= — a lead's tasks and appointments."""
    lead = leads.find(call, _lead_of_query(call))
    records = [one for kind in (APPOINTMENT, TASK_KIND) for one in call.data.of_parent(SLUG, kind, lead.id)]
    return Reply(200, {"tasks": [_shown(one) for one in records]})


def create_task(call: Call) -> Reply:
    """POST /v2.0/tasks — an appointment when its type says so."""
    check(call.body, TASK, ("type",))
    if "leadId" not in call.body:
        raise LoftyError(400, "MISSING_PARAMETER", "leadId is missing")
    kind = APPOINTMENT if call.body["type"] == "Appointment" else TASK_KIND
    record = _insert(call, kind, str(call.body["type"]))
    return Reply(200, {"taskId": int(record.id)}, _effect(record, "create", record.id))


def fetch_task(call: Call, number: str) -> Reply:
    """GET /v2.0/tasks/{taskId} — an appointment too."""
    return Reply(200, {"task": _shown(_find(call, number))})


def update_task(call: Call, number: str) -> Reply:
    """PUT /v2.0/tasks/{taskId} — only what is named changes."""
    record = _find(call, number)
    check(call.body, TASK_EDIT)
    record = _placed(call, record)
    call.data.put(record)
    return Reply(200, DONE, _effect(record, "update", record.id))


def delete_task(call: Call, number: str) -> Reply:
    """DELETE /v2.0/tasks/{taskId}."""
    record = _find(call, number)
    call.data.remove(record)
    return Reply(200, DONE, _effect(record, "delete", record.id))


def finish_task(call: Call, number: str) -> Reply:
    """POST /v2.0/tasks/{taskId}/finish."""
    record = _find(call, number)
    call.data.put(replace(record, doc={**record.doc, "finishFlag": True}))
    return Reply(200, DONE, _effect(record, "update", record.id))


# --- /v1.0/notes -----------------------------------------------------------------------------------------------------


def list_notes(call: Call) -> Reply:
    """GET /v1.0/notes?leadId=."""
    lead = leads.find(call, _lead_of_query(call))
    return Reply(200, {"notes": [_note(one) for one in call.data.of_parent(SLUG, NOTE_KIND, lead.id)]})


def create_note(call: Call) -> Reply:
    """POST /v1.0/notes."""
    check(call.body, NOTE, ("leadId", "content"))
    lead = leads.find(call, call.body["leadId"], shown_yet=call.account.config["late_writes"] is True)
    doc = {"content": call.body["content"], "isPin": call.body.get("isPin", False), "createTime": stamp(call.now)}
    record = Record(SLUG, call.user, NOTE_KIND, new_id(), doc, parent=lead.id)
    call.data.put(record)
    return Reply(200, {"noteId": int(record.id)}, _effect(record, "create", record.id))


def update_note(call: Call, note_id: str) -> Reply:
    """PUT /v1.0/notes/{noteId}."""
    record = _own(call, NOTE_KIND, note_id)
    check(call.body, NOTE_EDIT)
    call.data.put(replace(record, doc={**record.doc, **call.body, "lastUpdate": stamp(call.now)}))
    return Reply(200, DONE, _effect(record, "update", record.id))


def delete_note(call: Call, note_id: str) -> Reply:
    """DELETE /v1.0/notes/{noteId}."""
    record = _own(call, NOTE_KIND, note_id)
    call.data.remove(record)
    return Reply(200, DONE, _effect(record, "delete", record.id))


# --- what they have in common ----------------------------------------------------------------------------------------


def _insert(call: Call, kind: str, way: str) -> Record:
    lead = leads.find(call, call.body["leadId"], shown_yet=call.account.config["late_writes"] is True)
    doc: dict[str, object] = {"type": way, "finishFlag": False, "timeZoneCode": "UTC", "createTime": stamp(call.now)}
    record = _placed(call, Record(SLUG, call.user, kind, new_id(), doc, parent=lead.id))
    call.data.put(record)
    return record


def _placed(call: Call, record: Record) -> Record:
    """With the changes of the body. An address is an appointment's alone; a start after the end is refused."""
    doc, body = dict(record.doc), call.body
    doc |= {name: body[name] for name in ("content", "timeZoneCode", "assignedRole") if name in body}
    if record.kind == APPOINTMENT and "address" in body:
        doc["address"] = body["address"]
    start, end = _time(body, "startAt", record.start_ms), _time(body, "endAt", record.end_ms)
    if start is not None and end is not None and end < start:
        raise LoftyError(400, "INVALID_PARAMETER", "endAt is before startAt")
    parent = record.parent
    if "leadId" in body:
        parent = leads.find(call, body["leadId"], shown_yet=False).id
    return replace(record, doc=doc, start_ms=start, end_ms=end, parent=parent)


def _time(body: Mapping[str, object], name: str, held: int | None) -> int | None:
    """The time of ISO 8601 goes before the one in milliseconds."""
    if name in body:
        return moment_ms(body[name])
    given = body.get(f"{name}Ms")
    return given if isinstance(given, int) else held


def _shown(record: Record) -> dict[str, object]:
    """A task or an appointment, its times in its own zone."""
    doc = record.doc
    zone = ZoneInfo(str(doc["timeZoneCode"]))
    times = {
        name: None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).isoformat()
        for name, ms in (("startAt", record.start_ms), ("endAt", record.end_ms))
    }
    known = {name: doc[name] for name in ("address", "assignedRole") if name in doc}
    return {
        "id": int(record.id), "leadId": int(record.parent or 0), "content": doc.get("content", ""),
        "type": doc["type"], **times, "timeZoneCode": doc["timeZoneCode"], "finishFlag": doc["finishFlag"], **known,
        "createTime": doc["createTime"],
    }  # fmt: skip


def _note(record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": int(record.id) // 2, "noteId": int(record.id), "leadId": int(record.parent or 0),
        "content": doc["content"], "isPin": doc["isPin"], "createTime": doc["createTime"], "deleteFlag": False,
        "lastUpdate": doc.get("lastUpdate", doc["createTime"]), "systemNote": False,
    }  # fmt: skip


def _lead_of_query(call: Call) -> str:
    lead = call.query.get("leadId", "")
    if not lead:
        raise LoftyError(400, "MISSING_PARAMETER", "leadId is missing")
    return lead


def _event(call: Call, event_id: str) -> Record:
    """The record, by its number and the kind behind it."""
    found = CALENDAR_ID.match(event_id)
    record = call.data.get(SLUG, found[2], found[1]) if found else None
    return _checked(call, record)


def _find(call: Call, number: str) -> Record:
    return _checked(call, call.data.get(SLUG, APPOINTMENT, number) or call.data.get(SLUG, TASK_KIND, number))


def _own(call: Call, kind: str, record_id: str) -> Record:
    return _checked(call, call.data.get(SLUG, kind, record_id))


def _checked(call: Call, record: Record | None) -> Record:
    if record is None or record.account != call.user:
        raise LoftyError(404, "NOT_FOUND", "It does not exist or is not yours.")
    return record


def _effect(record: Record, op: str, called: str) -> dict[str, object]:
    return {"kind": record.kind, "id": called, "op": op, "notified": False}
