"""Follow Up Boss's people: search, create, change, the check for duplicates, and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from integrations.sandbox.holdings import full_name, note_tags
from integrations.sandbox.settings import USER
from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from .collection import Call, Collection
from .shapes import EVENT, PERSON_CREATE, PERSON_UPDATE, SLUG, VendorError

KIND, EVENT_KIND = "contact", "event"
# "Only these may start action plans", which write to people by themselves.
STARTS_PLANS = ("Registration", "Seller Inquiry", "Property Inquiry", "General Inquiry", "Visited Open House")


def create(call: Call) -> Reply:
    """POST /people?deduplicate= — with it an existing person, by e-mail and then phone, is changed instead."""
    if call.query.get("deduplicate", "false") not in ("true", "false"):
        raise VendorError(400, "deduplicate must be true or false")
    call.check(PERSON_CREATE)
    _check_names(call, call.body)
    twin = _twin(call, call.body) if call.query.get("deduplicate") == "true" else None
    if twin is not None:
        return PEOPLE.replace(call, _changed(call, twin, call.body))
    return PEOPLE.insert(call, _changed(call, PEOPLE.blank(call), {"assignedUserId": call.user, **call.body}))


def update(call: Call, person_id: str) -> Reply:
    """PUT /people/{id}?mergeTags= — only what is named changes; lists are replaced, tags added with mergeTags=true."""
    record = PEOPLE.seen(call, person_id)
    merge = call.query.get("mergeTags", "false")
    if merge not in ("true", "false"):
        raise VendorError(400, "mergeTags must be true or false")
    call.check(PERSON_UPDATE)
    _check_names(call, call.body)
    body = dict(call.body)
    if merge == "true" and "tags" in body:
        body["tags"] = list(dict.fromkeys([*_items(record.doc.get("tags")), *_items(body["tags"])]))
    return PEOPLE.replace(call, _changed(call, record, body))


def check_duplicate(call: Call) -> Reply:
    """GET /people/checkDuplicate?email=&phone= — over the whole account, whomever the key may see."""
    email, phone = call.query.get("email", ""), call.query.get("phone", "")
    if not email and not phone:
        raise VendorError(400, "email or phone is required")
    asked = (("email", has_email, email), ("phone", has_phone, phone))
    for by, has, value in asked:
        found = next((one for one in call.all(KIND) if value and has(one, value)), None)
        if found is not None:
            return Reply(200, {"found": True, "matchedBy": by, "assignedTo": _agent(call, found)})
    return Reply(200, {"found": False, "matchedBy": None, "assignedTo": None})


def send_event(call: Call) -> Reply:
    """POST /events — finds or makes the person and answers with it. May start action plans, which write to them."""
    call.check(EVENT)
    person = call.body["person"]
    body = {name: value for name, value in person.items() if name != "id"} if isinstance(person, dict) else {}
    known = call.find(KIND, person["id"]) if isinstance(person, dict) and "id" in person else _twin(call, body)
    record = _changed(call, known or PEOPLE.blank(call), body)
    call.data.put(record)
    effect = {"kind": EVENT_KIND, "id": record.id, "op": "create", "notified": call.body.get("type") in STARTS_PLANS}
    return Reply(201 if known is None else 200, shown(call, record), effect)


def shown(call: Call, record: Record) -> dict[str, object]:
    """A person as the vendor shows it; custom fields only when ``fields`` asks for them."""
    doc = record.doc
    person: dict[str, object] = {
        "id": int(record.id), "created": doc["created"], "updated": doc["updated"], "createdVia": "API",
        "name": full_name(doc), "firstName": doc.get("firstName", ""), "lastName": doc.get("lastName", ""),
        "stage": doc.get("stage", "Lead"), "source": doc.get("source", ""), "contacted": doc.get("contacted", 0),
        "tags": doc.get("tags", []), "emails": doc.get("emails", []), "phones": doc.get("phones", []),
        "addresses": doc.get("addresses", []), "assignedUserId": doc.get("assignedUserId"),
        "assignedTo": _agent(call, record),
    }  # fmt: skip
    asked = call.query.get("fields", "").split(",")
    names = _field_names(call)
    return person | {name: doc.get(name) for name in names if "allFields" in asked or name in asked}


def may_see(call: Call, record: Record) -> bool:
    """An agent's key sees the agent's own people; an admin's everybody."""
    return call.account.config["sees"] == "everybody" or record.doc.get("assignedUserId") == call.user


def has_email(record: Record, email: str) -> bool:
    """Whether one of the addresses is this one."""
    return email.strip().lower() in [value.lower() for value in _values(record, "emails")]


def has_phone(record: Record, phone: str) -> bool:
    """Whether one of the numbers is this one; digits count."""
    return _digits(phone) in map(_digits, _values(record, "phones"))


PEOPLE = Collection(
    KIND,
    "people",
    shown,
    {
        "email": has_email,
        "phone": has_phone,
        "name": lambda record, name: name.lower() in full_name(record.doc).lower(),
        "assignedUserId": lambda record, user: str(record.doc.get("assignedUserId")) == user,
    },
    may_see,
)


def _changed(call: Call, record: Record, body: Mapping[str, object]) -> Record:
    call.check_user("assignedUserId")
    note_tags(call.data, SLUG, call.name, body.get("tags"), call.stamp)
    return replace(record, doc={**record.doc, **body, "updated": call.stamp})


def _check_names(call: Call, body: Mapping[str, object]) -> None:
    known = _field_names(call)
    for name in body:
        if name.startswith("custom") and name not in known:
            raise VendorError(400, f"{name} is not a custom field of this account")


def _field_names(call: Call) -> list[str]:
    names = call.account.config.get("custom_fields")
    return [str(name) for name in names] if isinstance(names, list) else []


def _twin(call: Call, body: Mapping[str, object]) -> Record | None:
    """Who has one of these addresses, else one of these numbers."""
    given = Record(SLUG, call.name, KIND, "", dict(body))
    for values, has in ((_values(given, "emails"), has_email), (_values(given, "phones"), has_phone)):
        for value in values:
            found = next((one for one in call.all(KIND) if has(one, value)), None)
            if found is not None:
                return found
    return None


def _agent(call: Call, record: Record) -> str | None:
    user = call.data.get(SLUG, USER, str(record.doc.get("assignedUserId")))
    return full_name(user.doc) if user is not None else None


def _values(record: Record, name: str) -> list[str]:
    return [str(item["value"]) for item in _items(record.doc.get(name)) if isinstance(item, dict)]


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _digits(phone: str) -> str:
    digits = "".join(filter(str.isdigit, phone))
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
