"""What belongs to a GoHighLevel location itself: its settings, its users, its contacts' custom fields, its tags."""

from __future__ import annotations

import re

from integrations.sandbox.holdings import TAG
from integrations.sandbox.settings import USER
from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from .contacts import Call
from .shapes import CUSTOM_FIELD, SLUG, VendorError, iso, new_id, problems

FIELD = "custom_field"
MODELS = ("contact", "opportunity")


def fetch(call: Call, location: str) -> Reply:
    """GET /locations/{locationId}."""
    call.check_location(location)
    config = call.account.config
    document = {
        "id": location,
        "companyId": f"company_{location}",
        "name": config["name"],
        "country": "US",
        "timezone": config["timezone"],
        "settings": {"allowDuplicateContact": config["duplicates"] is True},
    }
    return Reply(200, {"location": document})


def list_fields(call: Call, location: str) -> Reply:
    """GET /locations/{locationId}/customFields?model= — those of contacts unless the query says otherwise."""
    call.check_location(location)
    model = call.query.get("model", "contact")
    if model not in (*MODELS, "all"):
        raise VendorError(422, ["model must be one of the following values: contact, opportunity, all"])
    shown = [_shown(field) for field in _fields(call) if model in ("all", field.doc["model"])]
    return Reply(200, {"customFields": shown})


def create_field(call: Call, location: str) -> Reply:
    """POST /locations/{locationId}/customFields — the key is made of the name; a second of one key is refused."""
    call.check_location(location)
    found = problems(call.body, CUSTOM_FIELD, ("name", "dataType"))
    if found:
        raise VendorError(422, found)
    model = call.body.get("model", "contact")
    key = f"{model}.{re.sub(r'[^a-z0-9]+', '_', str(call.body['name']).lower()).strip('_')}"
    if any(field.doc["fieldKey"] == key for field in _fields(call)):
        raise VendorError(400, f"A custom field with the key {key} exists already.")
    doc = {"position": 0, **call.body, "model": model, "fieldKey": key, "dateAdded": iso(call.now)}
    field = Record(SLUG, call.location, FIELD, new_id(), doc)
    call.data.put(field)
    return Reply(201, {"customField": _shown(field)}, {"kind": FIELD, "id": field.id, "op": "create"})


def fetch_field(call: Call, location: str, field_id: str) -> Reply:
    """GET /locations/{locationId}/customFields/{id}."""
    call.check_location(location)
    field = call.data.get(SLUG, FIELD, field_id)
    if field is None or field.account != call.location:
        raise VendorError(404, f"Custom field with id {field_id} not found")
    return Reply(200, {"customField": _shown(field)})


def list_tags(call: Call, location: str) -> Reply:
    """GET /locations/{locationId}/tags — every tag that was ever used."""
    call.check_location(location)
    tags = call.data.listed(SLUG, call.location, TAG, after=None, newest=False, offset=0, limit=-1)
    return Reply(200, {
        "tags": [{"id": tag.id, "name": tag.doc["name"], "locationId": tag.account} for _, tag in tags]
    })  # fmt: skip


def list_users(call: Call) -> Reply:
    """GET /users/?locationId= — apps/users.json of the vendor's repository; one answer, no pages."""
    location = call.query.get("locationId")
    if not location:
        raise VendorError(400, "locationId should not be empty")
    call.check_location(location)
    users = call.data.listed(SLUG, call.location, USER, after=None, newest=False, offset=0, limit=-1)
    return Reply(200, {"users": [_user(user) for _, user in users]})


def _user(user: Record) -> dict[str, object]:
    doc = user.doc
    first, last = str(doc["firstName"]), str(doc["lastName"])
    return {
        "id": user.id,
        "name": f"{first} {last}".strip(),
        "firstName": first,
        "lastName": last,
        "email": doc["email"],
        "phone": "",
        "extension": "",
        "roles": {"type": "account", "role": "user", "locationIds": [user.account]},
    }


def _fields(call: Call) -> list[Record]:
    found = call.data.listed(SLUG, call.location, FIELD, after=None, newest=False, offset=0, limit=-1)
    return [field for _, field in found]


def _shown(field: Record) -> dict[str, object]:
    doc = field.doc
    shown: dict[str, object] = {
        "id": field.id,
        "locationId": field.account,
        **{name: doc[name] for name in ("name", "fieldKey", "dataType", "position", "model")},
    }
    if "placeholder" in doc:
        shown["placeholder"] = doc["placeholder"]
    options = doc.get("textBoxListOptions")
    if isinstance(options, list):
        shown["picklistOptions"] = [option.get("label", "") for option in options]
    return shown
