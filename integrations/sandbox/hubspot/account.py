"""What a HubSpot account is, who can own its records, and the contacts' properties of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Data, Record
from integrations.sandbox.vendor import Reply

from .objects import PROPERTY, Call
from .shapes import SLUG, TYPES, VendorError, invalid, not_found

NAME = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")


def details(call: Call) -> Reply:
    """GET /account-info/v3/details, with any valid token."""
    zone = ZoneInfo(str(call.account.config["timezone"]))
    offset = datetime.fromtimestamp(call.now, UTC).astimezone(zone).utcoffset()
    seconds = int(offset.total_seconds()) if offset else 0
    sign, left = ("-" if seconds < 0 else "+"), abs(seconds)
    document = {
        "portalId": int(call.portal), "accountType": "STANDARD", "timeZone": zone.key, "companyCurrency": "USD",
        "additionalCurrencies": [], "utcOffset": f"{sign}{left // 3600:02}:{left % 3600 // 60:02}",
        "utcOffsetMilliseconds": seconds * 1000, "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
    }  # fmt: skip
    return Reply(200, document)


def list_owners(call: Call) -> Reply:
    """GET /crm/v3/owners."""
    after, limit = call.page(500, 100)
    found = call.data.listed(SLUG, call.portal, USER, after=None, newest=False, offset=0, limit=-1)
    page = found[after : after + limit]
    document: dict[str, object] = {"results": [_owner(number, record) for number, record in page]}
    if len(found) > after + limit:
        document["paging"] = {"next": {"after": str(after + limit)}}
    return Reply(200, document)


def list_properties(call: Call, of: str) -> Reply:
    """GET /crm/v3/properties/{of}."""
    known = TYPES.get(of)
    if known is None:
        raise invalid(f"Unable to infer object type from: {of}")
    names = sorted({*known.properties, *(call.custom if of == "contacts" else ())})
    return Reply(200, {"results": [_property(name, name not in known.properties) for name in names]})


def create_property(call: Call, of: str) -> Reply:
    """POST /crm/v3/properties/contacts: this stand-in has texts alone."""
    name = call.body.get("name")
    if of != "contacts" or not isinstance(name, str) or not NAME.match(name):
        raise invalid("the name of a contact's property is small letters, digits and underscores")
    if name in TYPES[of].properties or name in call.custom:
        raise VendorError(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
    put_property(call.data, call.portal, name)
    return Reply(201, _property(name, custom=True), {"kind": PROPERTY, "id": name, "op": "create"})


def fetch_property(call: Call, of: str, name: str) -> Reply:
    """GET /crm/v3/properties/{of}/{name}."""
    known = TYPES.get(of)
    if known is None or (name not in known.properties and not (of == "contacts" and name in call.custom)):
        raise not_found()
    return Reply(200, _property(name, name not in known.properties))


def put_property(data: Data, portal: str, name: str) -> None:
    """One more property of contacts."""
    data.put(Record(SLUG, portal, PROPERTY, f"{portal}:{name}", {"name": name}))


def _owner(number: int, record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": record.id, "email": doc["email"], "type": "PERSON", "firstName": doc["firstName"],
        "lastName": doc["lastName"], "userId": number, "userIdIncludingInactive": number, "createdAt": doc["created"],
        "updatedAt": doc["created"], "archived": False,
    }  # fmt: skip


def _property(name: str, custom: bool) -> dict[str, object]:
    label = name.replace("_", " ").capitalize()
    return {
        "name": name, "label": label, "type": "string", "fieldType": "text", "description": "",
        "groupName": "contactinformation", "options": [], "displayOrder": -1, "hubspotDefined": not custom,
        "formField": custom, "archived": False,
    }  # fmt: skip
