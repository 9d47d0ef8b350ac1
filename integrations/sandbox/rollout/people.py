"""Rollout's people and their tags. There is no search and no upsert: the same person posted twice is two people."""

from __future__ import annotations

from dataclasses import replace

from integrations.sandbox.holdings import TAG, full_name, note_tags
from integrations.sandbox.settings import USER
from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from .collection import Call, Collection, origin
from .shapes import ADDRESS_PARTS, PERSON_CREATE, PERSON_UPDATE, SLUG, TAGS, RolloutError

KIND = "contact"
STAGE = "Lead"


def create(call: Call) -> Reply:
    """POST /people."""
    call.check(PERSON_CREATE)
    call.check_references({"assignedUserId": USER})
    return PEOPLE.insert(call, _changed(call, PEOPLE.blank(call)))


def update(call: Call, person_id: str) -> Reply:
    """PUT /people/{id}?mergeTags= — only what is named changes; lists are replaced, tags added with mergeTags=true."""
    record = call.find(KIND, person_id)
    merge = call.query.get("mergeTags", "false")
    if merge not in ("true", "false"):
        raise RolloutError(400, "mergeTags must be true or false")
    call.check(PERSON_UPDATE)
    call.check_references({"assignedUserId": USER})
    changed = _changed(call, record)
    if merge == "true" and "tags" in call.body:
        changed.doc["tags"] = _joined(record.doc.get("tags"), call.body["tags"])
    return PEOPLE.replace(call, changed)


def apply_tags(call: Call, person_id: str) -> Reply:
    """POST /people/{id}/tags/apply — adds tags; those the person has already have no effect."""
    return _retag(call, person_id, adding=True)


def delete_tags(call: Call, person_id: str) -> Reply:
    """POST /people/{id}/tags/delete — takes tags away; those the person has not have no effect."""
    return _retag(call, person_id, adding=False)


def shown(call: Call, record: Record) -> dict[str, object]:
    """A person as the vendor shows it: what is not known is empty or null. ``rating`` is taken and never shown."""
    doc = record.doc
    stage = str(doc.get("stage", STAGE))
    return {
        "id": record.id,
        "name": full_name(doc),
        "firstName": doc["firstName"],
        "lastName": doc["lastName"],
        "stage": stage,
        "stageId": f"stage_{stage.lower().replace(' ', '_')}",
        "tags": doc.get("tags", []),
        **origin(call, record),
        "created": doc["created"],
        "updated": doc["updated"],
        "addresses": [dict.fromkeys(ADDRESS_PARTS, "") | item for item in _items(doc.get("addresses"))],
        **{name: [_reachable(item) for item in _items(doc.get(name))] for name in ("emails", "phones")},
        **{name: doc.get(name, "") for name in ("source", "lastActivityType", "jobTitle", "companyName")},
        **{name: doc.get(name) for name in ("assignedUserId", "officeId", "averageBeds", "averagePrice", "birthday",
                                            "lastActivity")},
        "contactTypes": doc.get("contactTypes", []),
        "communicationsConsent": doc.get("communicationsConsent", {}),
    }  # fmt: skip


PEOPLE = Collection(KIND, "people", shown)


def _changed(call: Call, record: Record) -> Record:
    note_tags(call.data, SLUG, call.credential, call.body.get("tags"), call.stamp)
    return replace(record, doc={**record.doc, **call.body, "updated": call.stamp})


def _retag(call: Call, person_id: str, *, adding: bool) -> Reply:
    record = call.find(KIND, person_id)
    call.check(TAGS)
    held, given = _joined(record.doc.get("tags"), []), _joined(call.body["tags"], [])
    touched = [tag for tag in given if (tag not in held) is adding]
    # The file says "array" and nothing more of this answer.
    if not touched:
        return Reply(200, [])
    kept = [*held, *touched] if adding else [tag for tag in held if tag not in touched]
    note_tags(call.data, SLUG, call.credential, touched, call.stamp)
    call.data.put(replace(record, doc=record.doc | {"tags": kept, "updated": call.stamp}))
    return Reply(200, [], {"kind": TAG, "id": record.id, "op": "create" if adding else "delete", "tags": touched})


def _joined(held: object, given: object) -> list[object]:
    first, second = (value if isinstance(value, list) else [] for value in (held, given))
    return list(dict.fromkeys([*first, *second]))


def _items(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _reachable(item: dict[str, object]) -> dict[str, object]:
    return {"type": "", "status": "", "isPrimary": None, **item}
