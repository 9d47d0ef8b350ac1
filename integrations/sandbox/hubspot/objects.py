"""HubSpot's records: contacts, and the meetings, notes and tasks that are associated with one.

Nothing here makes the vendor write to a contact: meetings that are logged invite nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Account, Data, Record
from integrations.sandbox.vendor import Reply

from .shapes import SLUG, TYPES, Type, VendorError, checked, invalid, iso, moment, new_id, not_found

CONTACTS = TYPES["contacts"]
ALIAS, MERGED, PROPERTY = "alias", "merged", "property"
MAX_BATCH = 100
MAX_PAGE = 500


@dataclass(frozen=True)
class Call:
    """One authorised call: whose account, what body, when (seconds since the epoch)."""

    data: Data
    account: Account
    body: Mapping[str, object]
    query: Mapping[str, str]
    now: float

    @property
    def portal(self) -> str:
        """The account's id."""
        return self.account.account

    @property
    def custom(self) -> frozenset[str]:
        """The account's own properties of contacts."""
        found = self.data.listed(SLUG, self.portal, PROPERTY, after=None, newest=False, offset=0, limit=-1)
        return frozenset(str(record.doc["name"]) for _, record in found)

    def page(self, most: int, usual: int) -> tuple[int, int]:
        """``after`` and ``limit`` of a list."""
        after, limit = self.query.get("after", "0"), self.query.get("limit", str(usual))
        if not (after.isascii() and after.isdigit() and limit.isascii() and limit.isdigit() and 0 < int(limit) <= most):
            raise invalid(f"after and limit must be numbers, limit at most {most}")
        return int(after[:18]), int(limit)


def create(call: Call, of: str) -> Reply:
    """POST /crm/v3/objects/{of}: 201, or 409 with the id of the contact that has this e-mail."""
    known = _type(of)
    properties = _properties(call, known)
    if "hs_meeting_start_time" in properties and known.times:
        properties.setdefault("hs_timestamp", properties["hs_meeting_start_time"])
    missing = [name for name in known.required if not properties.get(name)]
    if missing:
        raise invalid(f"Some required properties were not set: {', '.join(missing)}")
    parent = _associated(call, known)
    record = Record(SLUG, call.portal, known.kind, new_id(), {"created": iso(call.now)}, parent=parent)
    record = _put(call, known, record, properties)
    return Reply(201, shown(known, record, tuple(properties)), _effect(record, "create"))


def fetch(call: Call, of: str, record_id: str) -> Reply:
    """GET /crm/v3/objects/{of}/{id}, a contact also by e-mail; the id of one that was merged leads on."""
    known = _type(of)
    record = find(call, known, record_id, call.query.get("idProperty"))
    document = shown(known, record, _asked(call.query.get("properties")))
    if call.query.get("associations") == "contacts" and known is not CONTACTS and record.parent:
        document["associations"] = {
            "contacts": {"results": [{"id": record.parent, "type": f"{known.kind}_to_contact"}]}
        }
    return Reply(200, document)


def update(call: Call, of: str, record_id: str) -> Reply:
    """PATCH /crm/v3/objects/{of}/{id}: only what is named changes; an empty text empties."""
    known = _type(of)
    record = find(call, known, record_id)
    properties = _properties(call, known, record.id)
    record = _put(call, known, record, properties)
    return Reply(200, shown(known, record, tuple(properties)), _effect(record, "update"))


def archive(call: Call, of: str, record_id: str) -> Reply:
    """DELETE /crm/v3/objects/{of}/{id}: into the recycling bin, which this stand-in does not show."""
    record = call.data.get(SLUG, _type(of).kind, record_id)
    if record is None or record.account != call.portal:
        return Reply(204, None)
    for alias in call.data.of_parent(SLUG, ALIAS, record.id):
        call.data.remove(alias)
    call.data.remove(record)
    return Reply(204, None, _effect(record, "delete"))


def batch_read(call: Call, of: str) -> Reply:
    """POST /crm/v3/objects/{of}/batch/read: 207 when some are not there."""
    known = _type(of)
    inputs = call.body.get("inputs")
    ids = [one.get("id") for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
    if not ids or len(ids) > MAX_BATCH or not all(isinstance(one, str) for one in ids):
        raise invalid(f"inputs must be a list of 1 to {MAX_BATCH} ids")
    names = call.body.get("properties")
    asked = tuple(str(name) for name in names) if isinstance(names, list) else ()
    found = {one: call.data.get(SLUG, known.kind, str(one)) for one in dict.fromkeys(ids)}
    here = [record for record in found.values() if record is not None and record.account == call.portal]
    gone = [one for one in found if one not in {record.id for record in here}]
    document: dict[str, object] = {
        "status": "COMPLETE",
        "results": [shown(known, record, asked) for record in here],
        "startedAt": iso(call.now),
        "completedAt": iso(call.now),
    }
    if not gone:
        return Reply(200, document)
    message = f"Could not get some {of.upper()} objects, they may be deleted or not exist."
    context = {"ids": gone}
    error = {
        "status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": context, "errors": [],
        "links": {},
    }  # fmt: skip
    return Reply(207, {**document, "numErrors": len(gone), "errors": [error]})


def associated(call: Call, contact_id: str, of: str) -> Reply:
    """GET /crm/objects/2026-03/contacts/{id}/associations/{of}: what stands now, without any lag."""
    known = _type(of)
    contact = find(call, CONTACTS, contact_id)
    after, limit = call.page(MAX_PAGE, MAX_PAGE)
    found = call.data.of_parent(SLUG, known.kind, contact.id)
    kinds = [{"category": "HUBSPOT_DEFINED", "typeId": known.type_id - 1}]
    rows = [{"toObjectId": one.id, "associationTypes": kinds} for one in found[after : after + limit]]
    document: dict[str, object] = {"results": rows}
    if len(found) > after + limit:
        document["paging"] = {"next": {"after": str(after + limit)}}
    return Reply(200, document)


def merge(call: Call) -> Reply:
    """POST /crm/v3/objects/contacts/merge: the second becomes a part of the first; its id leads there from now on."""
    first = find(call, CONTACTS, str(call.body.get("primaryObjectId")))
    second = find(call, CONTACTS, str(call.body.get("objectIdToMerge")))
    for known in TYPES.values():
        for record in call.data.of_parent(SLUG, known.kind, second.id):
            call.data.put(replace(record, parent=first.id))
    call.data.remove(second)
    call.data.put(Record(SLUG, call.portal, MERGED, second.id, {}, parent=first.id))
    more = [first.doc.get("hs_additional_emails"), second.doc.get("email"), second.doc.get("hs_additional_emails")]
    merged = _put(call, CONTACTS, first, {"hs_additional_emails": ";".join(str(one) for one in more if one)})
    return Reply(200, shown(CONTACTS, merged, ()), _effect(merged, "update"))


def find(call: Call, known: Type, record_id: str, id_property: str | None = None) -> Record:
    """The record with this id in this account; 404 without."""
    record: Record | None
    if id_property == "email" and known is CONTACTS:
        record = call.data.by_email(SLUG, call.portal, record_id.strip().lower())
        record = None if record is not None and record.kind != known.kind else record
    elif id_property is not None and id_property != "hs_object_id":
        raise invalid(f"{id_property} is not a unique property")
    else:
        record = call.data.get(SLUG, known.kind, record_id)
        merged = call.data.get(SLUG, MERGED, record_id) if record is None and known is CONTACTS else None
        if merged is not None and merged.parent:
            return find(call, known, merged.parent)
    if record is None or record.account != call.portal:
        raise not_found()
    return record


def _type(of: str) -> Type:
    known = TYPES.get(of)
    if known is None:
        raise invalid(f"Unable to infer object type from: {of}")
    return known


def _properties(call: Call, known: Type, own_id: str = "") -> dict[str, str]:
    """The body's properties. Raises VendorError."""
    properties = checked(call.body.get("properties"), known, call.custom if known is CONTACTS else frozenset())
    owner = properties.get("hubspot_owner_id")
    users = call.account.config.get("users")
    if owner and users and call.data.get(SLUG, USER, owner) is None:
        raise invalid(f'Property values were not valid: owner "{owner}" does not exist')
    mail = properties.get("email") if known is CONTACTS else None
    held = call.data.by_email(SLUG, call.portal, mail) if mail else None
    if held is not None and (found := held.parent or held.id) != own_id:
        raise VendorError(409, "CONFLICT", f"Contact already exists. Existing ID: {found}")
    return properties


def _associated(call: Call, known: Type) -> str | None:
    """The contact that a new record is for. This stand-in keeps one."""
    given = call.body.get("associations", [])
    if not isinstance(given, list) or len(given) > 1:
        raise invalid("associations must be a list; this stand-in keeps one")
    if not given:
        return None
    one = given[0]
    to = one.get("to") if isinstance(one, dict) else None
    contact = to.get("id") if isinstance(to, dict) else None
    if known is CONTACTS or not isinstance(contact, str):
        raise invalid("Invalid input JSON: associations must name a contact by a text id")
    if one.get("types") != [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": known.type_id}]:
        raise invalid(f"the association type of {known.kind} to contact is HUBSPOT_DEFINED {known.type_id}")
    try:
        return find(call, CONTACTS, contact).id
    except VendorError:
        raise invalid(f"contact {contact} is not valid: it does not exist") from None


def _put(call: Call, known: Type, record: Record, properties: Mapping[str, str]) -> Record:
    """Store what changed. The index of the search follows after a while, and until then knows what was before."""
    lag = call.account.config["search_lag_s"]
    before = {name: value for name, value in record.doc.items() if name not in ("before", "indexed")}
    doc = {
        **before,
        **properties,
        "changed": iso(call.now),
        "before": before if "changed" in before else None,
        "indexed": call.now + (lag if isinstance(lag, int | float) else 0),
    }
    start, end = (moment(str(doc.get(f"hs_meeting_{name}_time", ""))) for name in ("start", "end"))
    if start is None and known.times:
        start = moment(str(doc.get("hs_timestamp", "")))
    record = replace(
        record,
        doc=doc,
        email=str(doc["email"]) if known is CONTACTS and doc.get("email") else None,
        start_ms=int(start.timestamp() * 1000) if start else None,
        end_ms=int(end.timestamp() * 1000) if end else None,
    )
    call.data.put(record)
    if known is CONTACTS:
        _put_aliases(call, record)
    return record


def _put_aliases(call: Call, contact: Record) -> None:
    """The addresses a contact has beside its own."""
    for alias in call.data.of_parent(SLUG, ALIAS, contact.id):
        call.data.remove(alias)
    more = contact.doc.get("hs_additional_emails")
    for mail in dict.fromkeys(one.strip().lower() for one in str(more or "").split(";")):
        if mail:
            call.data.put(Record(SLUG, call.portal, ALIAS, new_id(), {}, email=mail, parent=contact.id))


def _asked(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip()) if names else ()


def shown(known: Type, record: Record, asked: tuple[str, ...]) -> dict[str, object]:
    """A record as it is shown: what is asked for and has no value is null."""
    doc = record.doc
    made, changed = doc["created"], doc["changed"]
    derived = {
        "hs_object_id": record.id, "createdate": made, "lastmodifieddate": changed, "hs_createdate": made,
        "hs_lastmodifieddate": changed,
    }  # fmt: skip
    names = dict.fromkeys((*known.shown, *asked))
    properties = {name: derived.get(name) or doc.get(name) or None for name in names}
    return {"id": record.id, "properties": properties, "createdAt": made, "updatedAt": changed, "archived": False}


def _effect(record: Record, op: str) -> dict[str, object]:
    effect: dict[str, object] = {"kind": record.kind, "id": record.id, "op": op}
    return effect if record.kind == CONTACTS.kind else {**effect, "notified": False}
