"""GoHighLevel's contacts: create, upsert, look up, change, tag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.sandbox.holdings import TAG, note_tags
from integrations.sandbox.store import Account, Data, Record
from integrations.sandbox.vendor import Reply

from .shapes import (
    CONTACT_CREATE,
    CONTACT_UPDATE,
    CONTACT_UPSERT,
    SLUG,
    TAGS,
    Shape,
    VendorError,
    iso,
    new_id,
    phone_key,
    problems,
)

KIND = "contact"
NOT_STORED = ("locationId", "createNewIfDuplicateAllowed", "name")


@dataclass(frozen=True)
class Call:
    """One authorised call: whose account, what body, when (seconds since the epoch)."""

    data: Data
    account: Account
    body: Mapping[str, object]
    query: Mapping[str, str]
    now: float

    @property
    def location(self) -> str:
        """The location's id."""
        return self.account.account

    def check_location(self, location: object) -> None:
        """Refuse a location that the token is not for."""
        if location != self.location:
            raise VendorError(403, "The token does not have access to this location.")

    def check_user(self, user_id: object) -> None:
        """Refuse a user that the location does not have, if its settings say which it has."""
        users = self.account.config.get("users")
        if user_id and isinstance(users, list) and users and user_id not in [user["id"] for user in users]:
            raise VendorError(400, f"The user with id {user_id} is not found in this location.")


def create(call: Call) -> Reply:
    """POST /contacts/ — a new contact, or 400 with the id of the one that is there."""
    _check(call, CONTACT_CREATE, ("locationId",))
    _refuse_duplicate(call, call.body, None)
    record = _insert(call)
    return Reply(201, {"contact": shown(record)}, _effect(record, "create"))


def upsert(call: Call) -> Reply:
    """POST /contacts/upsert — change the contact with this e-mail, else this phone, else create one."""
    _check(call, CONTACT_UPSERT, ("locationId",))
    wants_new = call.body.get("createNewIfDuplicateAllowed") is True and call.account.config.get("duplicates") is True
    found = None if wants_new else _duplicate(call, call.body)
    if found is None:
        record = _insert(call)
        return Reply(200, {"new": True, "contact": shown(record)}, _effect(record, "create"))
    record = _change(call, found[0])
    return Reply(200, {"new": False, "contact": shown(record)}, _effect(record, "update"))


def search_duplicate(call: Call) -> Reply:
    """GET /contacts/search/duplicate — by e-mail first, then by number; null when there is none."""
    location = call.query.get("locationId")
    if not location:
        raise VendorError(400, "locationId should not be empty")
    call.check_location(location)
    found = _duplicate(call, {"email": call.query.get("email"), "phone": call.query.get("number")})
    return Reply(200, {"contact": shown(found[0]) if found else None})


def fetch(call: Call, contact_id: str) -> Reply:
    """GET /contacts/{id}."""
    return Reply(200, {"contact": shown(find(call, contact_id))})


def update(call: Call, contact_id: str) -> Reply:
    """PUT /contacts/{id} — only what is named changes; tags and custom fields named are replaced."""
    _check(call, CONTACT_UPDATE, ())
    record = find(call, contact_id)
    _refuse_duplicate(call, call.body, record.id)
    record = _change(call, record)
    # The vendor's own spelling.
    return Reply(200, {"succeded": True, "contact": shown(record)}, _effect(record, "update"))


def add_tags(call: Call, contact_id: str) -> Reply:
    """POST /contacts/{id}/tags — adds, and answers with all the contact has."""
    _check(call, TAGS, ("tags",))
    return Reply(201, *_retag(call, contact_id, adding=True))


def remove_tags(call: Call, contact_id: str) -> Reply:
    """DELETE /contacts/{id}/tags — takes away, and answers with those the contact still has."""
    _check(call, TAGS, ("tags",))
    return Reply(200, *_retag(call, contact_id, adding=False))


def find(call: Call, contact_id: object) -> Record:
    """The contact with this id in this location; 404 without."""
    record = call.data.get(SLUG, KIND, str(contact_id))
    if record is None or record.account != call.location:
        raise VendorError(404, f"Contact with id {contact_id} not found")
    return record


def shown(record: Record) -> dict[str, object]:
    """A contact as the vendor shows it: what is null is left out."""
    first, last = record.doc.get("firstName"), record.doc.get("lastName")
    full = " ".join(part for part in (first, last) if isinstance(part, str) and part)
    derived: dict[str, object] = {
        "id": record.id,
        "locationId": record.account,
        "name": full or None,
        "fullNameLowerCase": full.lower() or None,
        "firstNameLowerCase": first.lower() if isinstance(first, str) else None,
        "lastNameLowerCase": last.lower() if isinstance(last, str) else None,
        "emailLowerCase": record.email,
        "type": "lead",
    }
    return {name: value for name, value in (derived | record.doc).items() if value is not None}


def _check(call: Call, shape: Shape, required: tuple[str, ...]) -> None:
    found = problems(call.body, shape, required)
    if found:
        raise VendorError(422, found)
    if "locationId" in shape:
        call.check_location(call.body["locationId"])


def _keys(document: Mapping[str, object]) -> tuple[str | None, str | None]:
    mail, number = document.get("email"), document.get("phone")
    return (
        mail.strip().lower() or None if isinstance(mail, str) else None,
        phone_key(number) if isinstance(number, str) else None,
    )


def _duplicate(call: Call, document: Mapping[str, object]) -> tuple[Record, str] | None:
    """The contact that has this e-mail, else this phone, and which of the two it was."""
    mail, number = _keys(document)
    if mail and (record := call.data.by_email(SLUG, call.location, mail)):
        return record, "email"
    if number and (record := call.data.by_phone(SLUG, call.location, number)):
        return record, "phone"
    return None


def _refuse_duplicate(call: Call, document: Mapping[str, object], own_id: str | None) -> None:
    if call.account.config.get("duplicates") is True:
        return
    found = _duplicate(call, document)
    if found is not None and found[0].id != own_id:
        record, field = found
        raise VendorError(
            400,
            "This location does not allow duplicated contacts.",
            meta={"contactId": record.id, "contactName": shown(record).get("name"), "matchingField": field},
        )


def _insert(call: Call) -> Record:
    blank: dict[str, object] = {"tags": [], "customFields": [], "dnd": False, "dateAdded": iso(call.now)}
    record = Record(SLUG, call.location, KIND, new_id(), blank)
    return _change(call, record)


def _change(call: Call, record: Record) -> Record:
    changes = {name: value for name, value in call.body.items() if name not in NOT_STORED}
    full = call.body.get("name")
    if isinstance(full, str) and not ({"firstName", "lastName"} & call.body.keys()):
        changes["firstName"], _, last = full.strip().partition(" ")
        changes["lastName"] = last or None
    if isinstance(changes.get("dateOfBirth"), dict):
        del changes["dateOfBirth"]
    if "customFields" in changes:
        changes["customFields"] = _merged_fields(record.doc.get("customFields"), changes["customFields"])
    call.check_user(changes.get("assignedTo"))
    note_tags(call.data, SLUG, call.location, changes.get("tags"), iso(call.now))
    doc = record.doc | changes | {"dateUpdated": iso(call.now)}
    mail, number = _keys(doc)
    if number is not None:
        doc["phone"] = number
    record = replace(record, doc=doc, email=mail, phone=number)
    call.data.put(record)
    return record


def _retag(call: Call, contact_id: str, *, adding: bool) -> tuple[dict[str, object], dict[str, object] | None]:
    """The contact's tags and the effect, which is none when there was nothing to do."""
    record = find(call, contact_id)
    held = _list(record.doc.get("tags"))
    touched = [tag for tag in dict.fromkeys(_list(call.body["tags"])) if (tag not in held) is adding]
    if not touched:
        return {"tags": held}, None
    kept = [*held, *touched] if adding else [tag for tag in held if tag not in touched]
    note_tags(call.data, SLUG, call.location, touched, iso(call.now))
    call.data.put(replace(record, doc={**record.doc, "tags": kept, "dateUpdated": iso(call.now)}))
    return {"tags": kept}, {"kind": TAG, "id": record.id, "op": "create" if adding else "delete", "tags": touched}


def _merged_fields(held: object, given: object) -> list[object]:
    """Custom fields as they are shown: ``{"id", "value"}``, the value a string as the contract has it."""
    fields: dict[object, object] = {item["id"]: item for item in _list(held) if isinstance(item, dict)}
    for item in _list(given):
        if isinstance(item, dict):
            value = item.get("field_value", "")
            fields[item["id"]] = {"id": item["id"], "value": value if isinstance(value, str) else json.dumps(value)}
    return list(fields.values())


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _effect(record: Record, op: str) -> dict[str, object]:
    return {"kind": KIND, "id": record.id, "op": op}
