"""What happens with people at Rollout: notes, tasks, appointments."""

from __future__ import annotations

from dataclasses import replace

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from . import people
from .catalog import OUTCOME, TYPE
from .collection import Call, Collection, origin
from .shapes import (
    APPOINTMENT_CREATE,
    APPOINTMENT_UPDATE,
    NOTE_CREATE,
    NOTE_UPDATE,
    TASK_CREATE,
    TASK_UPDATE,
    Check,
    RolloutError,
    iso,
    moment_ms,
)

REFERENCES = {
    "personId": people.KIND, "assignedUserId": USER, "userId": USER, "appointmentTypeId": TYPE,
    "appointmentOutcomeId": OUTCOME,
}  # fmt: skip


def create_note(call: Call) -> Reply:
    """POST /notes."""
    return NOTES.insert(call, _changed(call, NOTES.blank(call), NOTE_CREATE))


def update_note(call: Call, note_id: str) -> Reply:
    """PUT /notes/{id}."""
    return NOTES.replace(call, _changed(call, call.find(NOTES.kind, note_id), NOTE_UPDATE))


def create_task(call: Call) -> Reply:
    """POST /tasks."""
    return TASKS.insert(call, _changed(call, TASKS.blank(call), TASK_CREATE))


def update_task(call: Call, task_id: str) -> Reply:
    """PUT /tasks/{id}."""
    return TASKS.replace(call, _changed(call, call.find(TASKS.kind, task_id), TASK_UPDATE))


def create_appointment(call: Call) -> Reply:
    """POST /appointments — the contract asks for the person, a type, a title and a location."""
    return APPOINTMENTS.insert(call, _placed(call, APPOINTMENTS.blank(call), APPOINTMENT_CREATE))


def update_appointment(call: Call, appointment_id: str) -> Reply:
    """PUT /appointments/{id}."""
    return APPOINTMENTS.replace(call, _placed(call, call.find(APPOINTMENTS.kind, appointment_id), APPOINTMENT_UPDATE))


def _changed(call: Call, record: Record, shape: Check) -> Record:
    """Only what is named changes."""
    call.check(shape)
    call.check_references(REFERENCES)
    doc = {**record.doc, **call.body, "updated": call.stamp}
    return replace(record, doc=doc, parent=str(doc["personId"]))


def _placed(call: Call, record: Record, shape: Check) -> Record:
    """The same with start and end as times."""
    changed = _changed(call, record, shape)
    start, end = (moment_ms(changed.doc[name]) if name in changed.doc else None for name in ("startsAt", "endsAt"))
    if start is not None and end is not None and end < start:
        raise RolloutError(400, "endsAt must not be before startsAt")
    return replace(changed, start_ms=start, end_ms=end)


def _note(call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": record.id, "personId": record.parent, "subject": doc.get("subject", ""), "body": doc.get("body", ""),
        "isHtml": doc.get("isHtml", False), "created": doc["created"], "updated": doc["updated"],
        **origin(call, record),
    }  # fmt: skip


def _task(call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    due = doc.get("dueDateTime")
    return {
        "id": record.id, "personId": record.parent, "name": doc.get("name", ""), "type": doc.get("type", ""),
        "assignedUserId": doc.get("assignedUserId"), "isCompleted": doc.get("isCompleted", False),
        "dueDateTime": None if due is None else iso(moment_ms(due) / 1000), "created": doc["created"],
        "updated": doc["updated"], **origin(call, record),
    }  # fmt: skip


def _appointment(call: Call, record: Record) -> dict[str, object]:
    """As the contract has it: the type by its name and not by its id, and nothing of the outcome."""
    doc = record.doc
    kind = call.data.get(record.provider, TYPE, str(doc["appointmentTypeId"]))
    start, end = record.start_ms, record.end_ms
    return {
        "id": record.id, "personId": record.parent, "userId": doc.get("userId"), "title": doc["title"],
        "description": doc.get("description", ""), "location": doc["location"], "isAllDay": doc.get("isAllDay", False),
        "type": "" if kind is None else kind.doc["name"], "startsAt": None if start is None else iso(start / 1000),
        "endsAt": None if end is None else iso(end / 1000), "created": doc["created"], "updated": doc["updated"],
        **origin(call, record),
    }  # fmt: skip


NOTES = Collection("note", "notes", _note, notifies=True)
TASKS = Collection("task", "tasks", _task, notifies=True)
APPOINTMENTS = Collection("appointment", "appointments", _appointment, notifies=True)
