"""What happens with people at Follow Up Boss: notes, tasks, appointments."""

from __future__ import annotations

from dataclasses import replace

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from . import people
from .catalog import OUTCOME, TYPE
from .collection import Call, Collection, is_of
from .shapes import (
    APPOINTMENT_CREATE,
    APPOINTMENT_UPDATE,
    NOTE_CREATE,
    NOTE_UPDATE,
    TASK_CREATE,
    TASK_UPDATE,
    Check,
    VendorError,
    iso,
    moment_ms,
)


def create_note(call: Call) -> Reply:
    """POST /notes."""
    return NOTES.insert(call, _changed(call, NOTES.blank(call), NOTE_CREATE))


def update_note(call: Call, note_id: str) -> Reply:
    """PUT /notes/{id}."""
    return NOTES.replace(call, _changed(call, NOTES.seen(call, note_id), NOTE_UPDATE))


def create_task(call: Call) -> Reply:
    """POST /tasks."""
    return TASKS.insert(call, _changed(call, TASKS.blank(call), TASK_CREATE))


def update_task(call: Call, task_id: str) -> Reply:
    """PUT /tasks/{id}."""
    return TASKS.replace(call, _changed(call, TASKS.seen(call, task_id), TASK_UPDATE))


def create_appointment(call: Call) -> Reply:
    """POST /appointments — who is invited gets an e-mail only when ``sendInvitation`` says so."""
    record = _placed(call, APPOINTMENTS.blank(call), APPOINTMENT_CREATE)
    return APPOINTMENTS.insert(call, record, notified=_invites(call, record))


def update_appointment(call: Call, appointment_id: str) -> Reply:
    """PUT /appointments/{id} — only what is named changes; invitees named are all there are then."""
    record = _placed(call, call.find(APPOINTMENTS.kind, appointment_id), APPOINTMENT_UPDATE)
    return APPOINTMENTS.replace(call, record, notified=_invites(call, record))


def _changed(call: Call, record: Record, shape: Check) -> Record:
    """Only what is named changes."""
    call.check(shape)
    call.check_user("assignedUserId")
    if "personId" in call.body:
        call.find(people.KIND, call.body["personId"], field="personId")
    doc = {**record.doc, **call.body, "updated": call.stamp}
    return replace(record, doc=doc, parent=str(doc["personId"]))


def _placed(call: Call, record: Record, shape: Check) -> Record:
    call.check(shape)
    for field, kind in (("typeId", TYPE), ("outcomeId", OUTCOME), ("createdById", USER)):
        if field in call.body:
            call.find(kind, call.body[field], field=field)
    doc = {name: value for name, value in {**record.doc, **call.body}.items() if name != "sendInvitation"}
    persons = []
    for invited in _invitees(doc):
        for field, kind in (("personId", people.KIND), ("userId", USER)):
            if field in invited:
                call.find(kind, invited[field], field=field)
        persons += [str(invited["personId"])] if "personId" in invited else []
    start, end = moment_ms(doc["start"]), moment_ms(doc["end"])
    if end < start:
        raise VendorError(400, "end must not be before start")
    return replace(
        record, doc={**doc, "updated": call.stamp}, parent=persons[0] if persons else None, start_ms=start, end_ms=end
    )


def _invites(call: Call, record: Record) -> bool:
    return call.body.get("sendInvitation") is True and record.parent is not None


def _invitees(doc: dict[str, object]) -> list[dict[str, object]]:
    held = doc.get("invitees")
    return [one for one in held if isinstance(one, dict)] if isinstance(held, list) else []


def _invites_one_of(record: Record, ids: str, field: str) -> bool:
    return any(str(one.get(field)) in ids.split(",") for one in _invitees(record.doc))


def _lists(call: Call, record: Record) -> bool:
    """Only what the key's own user created, and only while that user shares a calendar; by its id any is read."""
    return call.account.config["shares_calendar"] is True and record.doc.get("createdById") == call.user


def _note(_call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": int(record.id), "created": doc["created"], "updated": doc["updated"], "createdById": doc["createdById"],
        "personId": doc["personId"], "subject": doc.get("subject", ""), "body": doc.get("body", ""),
        "isHtml": doc.get("isHtml", False),
    }  # fmt: skip


def _task(_call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    due = doc.get("dueDateTime")
    return {
        "id": int(record.id), "created": doc["created"], "updated": doc["updated"], "personId": doc["personId"],
        "name": doc.get("name", ""), "type": doc.get("type", "Follow Up"), "assignedUserId": doc.get("assignedUserId"),
        "isCompleted": 1 if doc.get("isCompleted") is True else 0,
        "dueDate": doc.get("dueDate") or (str(due)[:10] if due else None),
        "dueDateTime": iso(moment_ms(due) / 1000) if due else None,
    }  # fmt: skip


def _appointment(call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    start, end = record.start_ms or 0, record.end_ms or 0
    return {
        "id": int(record.id), "created": doc["created"], "updated": doc["updated"], "createdById": doc["createdById"],
        "title": doc["title"], "description": doc.get("description", ""), "location": doc.get("location", ""),
        "start": iso(start / 1000), "end": iso(end / 1000), "allDay": doc.get("allDay", False),
        "typeId": doc.get("typeId"), "type": _name(call, TYPE, doc.get("typeId")),
        "outcomeId": doc.get("outcomeId"), "outcome": _name(call, OUTCOME, doc.get("outcomeId")),
        "invitees": [{"id": number, **one} for number, one in enumerate(_invitees(doc), start=1)],
    }  # fmt: skip


def _name(call: Call, kind: str, record_id: object) -> object:
    record = call.data.get(call.account.provider, kind, str(record_id)) if record_id else None
    return record.doc["name"] if record is not None else None


NOTES = Collection("note", "notes", _note, {}, notifies=True)
TASKS = Collection(
    "task",
    "tasks",
    _task,
    {
        "personId": is_of("personId"),
        "assignedUserId": is_of("assignedUserId"),
        "type": is_of("type"),
        "name": lambda record, name: name.lower() in str(record.doc.get("name")).lower(),
        "isCompleted": lambda record, done: (record.doc.get("isCompleted") is True) is (done in ("true", "1")),
    },
    notifies=True,
)
APPOINTMENTS = Collection(
    "appointment",
    "appointments",
    _appointment,
    {
        "personId": lambda record, ids: _invites_one_of(record, ids, "personId"),
        "userId": lambda record, ids: _invites_one_of(record, ids, "userId"),
    },
    notifies=True,
)
APPOINTMENT_LIST = replace(APPOINTMENTS, sees=_lists)
