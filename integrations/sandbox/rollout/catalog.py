"""What Rollout's other records choose from: appointment types and outcomes, custom field definitions, users."""

from __future__ import annotations

from dataclasses import replace

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Data, Record
from integrations.sandbox.vendor import Reply

from .collection import Call, Collection, origin
from .shapes import CHOICE_CREATE, CHOICE_UPDATE, FIELD_TYPES, SLUG, RolloutError, iso, new_id, shape, text

TYPE, OUTCOME, FIELD = "appointment_type", "appointment_outcome", "custom_field"


def create_type(call: Call) -> Reply:
    """POST /appointment-types."""
    call.check(CHOICE_CREATE)
    return TYPES.insert(call, _changed(call, TYPES.blank(call)))


def update_type(call: Call, type_id: str) -> Reply:
    """PUT /appointment-types/{id}."""
    call.check(CHOICE_UPDATE)
    return TYPES.replace(call, _changed(call, call.find(TYPE, type_id)))


def create_outcome(call: Call) -> Reply:
    """POST /appointment-outcomes."""
    call.check(CHOICE_CREATE)
    return OUTCOMES.insert(call, _changed(call, OUTCOMES.blank(call)))


def update_outcome(call: Call, outcome_id: str) -> Reply:
    """PUT /appointment-outcomes/{id}."""
    call.check(CHOICE_UPDATE)
    return OUTCOMES.replace(call, _changed(call, call.find(OUTCOME, outcome_id)))


def create_field(call: Call) -> Reply:
    """POST /customFields — a definition; people have no values for it anywhere in this API."""
    kind = call.body.get("type")
    if not isinstance(kind, str) or kind not in FIELD_TYPES:
        raise RolloutError(400, f"type must be one of: {', '.join(FIELD_TYPES)}")
    own = FIELD_TYPES[kind]
    call.check(shape({"type": text, "label": text, "name": text, **own}, ("type", "label", "name", *own)))
    return FIELDS.insert(call, _changed(call, FIELDS.blank(call)))


def update_field(call: Call, field_id: str) -> Reply:
    """PUT /customFields/{id} — the type cannot be changed."""
    record = call.find(FIELD, field_id)
    own = FIELD_TYPES[str(record.doc["type"])]
    call.check(shape({"label": text, "name": text, **own}, ("label", "name", *own)))
    return FIELDS.replace(call, _changed(call, record))


def refill(data: Data, account: str, kind: str, names: object, now: float) -> None:
    """Make sure that an account has a type or an outcome of each name."""
    held = {
        record.doc["name"]
        for _, record in data.listed(SLUG, account, kind, after=None, newest=False, offset=0, limit=-1)
    }
    for weight, name in enumerate(names if isinstance(names, list) else []):
        if name not in held:
            doc: dict[str, object] = {"name": name, "orderWeight": weight, "created": iso(now), "updated": iso(now)}
            data.put(Record(SLUG, account, kind, new_id(), doc))


def _changed(call: Call, record: Record) -> Record:
    return replace(record, doc={**record.doc, **call.body, "updated": call.stamp})


def _choice(call: Call, record: Record) -> dict[str, object]:
    return {
        "id": record.id, "name": record.doc["name"], "orderWeight": record.doc["orderWeight"], **origin(call, record),
    }  # fmt: skip


def _field(call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    own = FIELD_TYPES[str(doc["type"])]
    return {"id": record.id, **{name: doc[name] for name in ("type", "label", "name", *own)}, **origin(call, record)}


def _user(call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": record.id, "firstName": doc["firstName"], "lastName": doc["lastName"], "email": doc["email"], "phone": "",
        "role": "Agent", "status": "Active", "timezone": call.account.config["timezone"], "created": doc["created"],
        "updated": doc["created"], **origin(call, record), "teamId": None, "address": None, "username": doc["email"],
        "type": "agent", "offices": [],
    }  # fmt: skip


TYPES = Collection(TYPE, "appointment-types", _choice)
OUTCOMES = Collection(OUTCOME, "appointment-outcomes", _choice)
FIELDS = Collection(FIELD, "customfields", _field)
USERS = Collection(USER, "users", _user)
