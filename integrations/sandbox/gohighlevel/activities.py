"""GoHighLevel's notes and tasks, which belong to a contact. Neither makes the vendor write to the buyer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from . import contacts
from .contacts import Call
from .shapes import (
    NOTE,
    SLUG,
    TASK,
    TASK_COMPLETED,
    Shape,
    VendorError,
    iso,
    new_id,
    problems,
)

NOTE_KIND, TASK_KIND = "note", "task"
SHOWN: Mapping[str, tuple[str, ...]] = {
    NOTE_KIND: ("body", "userId", "dateAdded", "title", "color", "pinned"),
    TASK_KIND: ("title", "body", "assignedTo", "dueDate", "completed"),
}
USERS: Mapping[str, str] = {NOTE_KIND: "userId", TASK_KIND: "assignedTo"}


def list_notes(call: Call, contact_id: str) -> Reply:
    """GET /contacts/{contactId}/notes."""
    return Reply(200, {"notes": _all(call, NOTE_KIND, contact_id)})


def create_note(call: Call, contact_id: str) -> Reply:
    """POST /contacts/{contactId}/notes."""
    return _created(call, NOTE_KIND, contact_id, NOTE, ("body",))


def fetch_note(call: Call, contact_id: str, note_id: str) -> Reply:
    """GET /contacts/{contactId}/notes/{id}."""
    return Reply(200, {"note": _shown(_find(call, NOTE_KIND, contact_id, note_id))})


def update_note(call: Call, contact_id: str, note_id: str) -> Reply:
    """PUT /contacts/{contactId}/notes/{id}."""
    return _updated(call, NOTE_KIND, contact_id, note_id, NOTE)


def delete_note(call: Call, contact_id: str, note_id: str) -> Reply:
    """DELETE /contacts/{contactId}/notes/{id}."""
    return _deleted(call, NOTE_KIND, contact_id, note_id)


def list_tasks(call: Call, contact_id: str) -> Reply:
    """GET /contacts/{contactId}/tasks."""
    return Reply(200, {"tasks": _all(call, TASK_KIND, contact_id)})


def create_task(call: Call, contact_id: str) -> Reply:
    """POST /contacts/{contactId}/tasks."""
    return _created(call, TASK_KIND, contact_id, TASK, ("title", "dueDate", "completed"))


def fetch_task(call: Call, contact_id: str, task_id: str) -> Reply:
    """GET /contacts/{contactId}/tasks/{taskId}."""
    return Reply(200, {"task": _shown(_find(call, TASK_KIND, contact_id, task_id))})


def update_task(call: Call, contact_id: str, task_id: str) -> Reply:
    """PUT /contacts/{contactId}/tasks/{taskId}."""
    return _updated(call, TASK_KIND, contact_id, task_id, TASK)


def complete_task(call: Call, contact_id: str, task_id: str) -> Reply:
    """PUT /contacts/{contactId}/tasks/{taskId}/completed."""
    return _updated(call, TASK_KIND, contact_id, task_id, TASK_COMPLETED, ("completed",))


def delete_task(call: Call, contact_id: str, task_id: str) -> Reply:
    """DELETE /contacts/{contactId}/tasks/{taskId}."""
    return _deleted(call, TASK_KIND, contact_id, task_id)


def _all(call: Call, kind: str, contact_id: str) -> list[dict[str, object]]:
    contact = contacts.find(call, contact_id)
    return [_shown(record) for record in call.data.of_parent(SLUG, kind, contact.id)]


def _created(call: Call, kind: str, contact_id: str, shape: Shape, required: tuple[str, ...]) -> Reply:
    contact = contacts.find(call, contact_id)
    _check(call, kind, shape, required)
    doc = {"dateAdded": iso(call.now), **call.body}
    record = Record(SLUG, call.location, kind, new_id(), doc, parent=contact.id)
    call.data.put(record)
    return Reply(201, {kind: _shown(record)}, _effect(record, "create"))


def _updated(
    call: Call, kind: str, contact_id: str, record_id: str, shape: Shape, required: tuple[str, ...] = ()
) -> Reply:
    record = _find(call, kind, contact_id, record_id)
    _check(call, kind, shape, required)
    record = replace(record, doc={**record.doc, **call.body})
    call.data.put(record)
    return Reply(200, {kind: _shown(record)}, _effect(record, "update"))


def _deleted(call: Call, kind: str, contact_id: str, record_id: str) -> Reply:
    record = _find(call, kind, contact_id, record_id)
    call.data.remove(record)
    # The vendor's own spelling.
    return Reply(200, {"succeded": True}, _effect(record, "delete"))


def _check(call: Call, kind: str, shape: Shape, required: tuple[str, ...]) -> None:
    found = problems(call.body, shape, required)
    if found:
        raise VendorError(422, found)
    call.check_user(call.body.get(USERS[kind]))


def _find(call: Call, kind: str, contact_id: str, record_id: str) -> Record:
    contact = contacts.find(call, contact_id)
    record = call.data.get(SLUG, kind, record_id)
    if record is None or record.parent != contact.id:
        raise VendorError(404, f"{kind.capitalize()} with id {record_id} not found")
    return record


def _shown(record: Record) -> dict[str, object]:
    named = {name: record.doc[name] for name in SHOWN[record.kind] if name in record.doc}
    return {"id": record.id, **named, "contactId": record.parent}


def _effect(record: Record, op: str) -> dict[str, object]:
    return {"kind": record.kind, "id": record.id, "op": op, "notified": False}
