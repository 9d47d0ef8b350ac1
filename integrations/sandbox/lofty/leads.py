"""Lofty's leads: created, looked for, changed. The same person posted twice is two leads.

https://developer.lofty.com/api-reference/leads/overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.sandbox.holdings import TAG, note_tags
from integrations.sandbox.settings import USER
from integrations.sandbox.store import Account, Data, Record
from integrations.sandbox.vendor import Reply

from .shapes import LEAD, SLUG, LoftyError, check, new_id, stamp

KIND = "contact"
PAGE, MAX_LIMIT = 25, 100
KNOWN_FILTERS = frozenset({"email", "phone", "preciseSearchFlag", "limit", "offset", "scrollId"})


@dataclass(frozen=True)
class Call:
    """One authorised call: whose account, what body, when (seconds since the epoch)."""

    data: Data
    account: Account
    body: Mapping[str, object]
    query: Mapping[str, str]
    now: float

    @property
    def user(self) -> str:
        """The account: the user whose credentials they are."""
        return self.account.account

    def check_user(self, user_id: object) -> None:
        """Refuse a member that the team does not have, if the settings say which it has."""
        users = self.account.config.get("users")
        if user_id and isinstance(users, list) and users and str(user_id) not in [user["id"] for user in users]:
            raise LoftyError(400, "INVALID_PARAMETER", f"assignedUserId {user_id} is no member of the team")


def create(call: Call) -> Reply:
    """POST /v1.0/leads — answers at once; reads show the lead ``lag_s`` later. Without ``welcomeEmail`` false the
    lead gets a message."""
    check(call.body, LEAD)
    call.check_user(call.body.get("assignedUserId"))
    record = Record(SLUG, call.user, KIND, new_id(), {"created": call.now, "createTime": stamp(call.now), "tags": []})
    record = _changed(call, record)
    call.data.put(record)
    effect: dict[str, object] = {"kind": KIND, "id": record.id, "op": "create"}
    return Reply(200, {"leadId": int(record.id)}, {**effect, "notified": call.body.get("welcomeEmail") is not False})


def search(call: Call) -> Reply:
    """GET /v1.0/leads — newest first, 25 at most; parameters it does not know are ignored."""
    limit = min(whole(call.query, "limit", 20), PAGE)
    offset = whole(call.query, "scrollId" if "scrollId" in call.query else "offset", 0)
    total = call.data.count(SLUG, call.user, KIND)
    found = [one for one in call.data.newest(SLUG, call.user, KIND, 0, total) if _shows(call, one)]
    for name, has in (("email", _has_email), ("phone", _has_phone)):
        if call.query.get(name):
            found = [one for one in found if has(one.doc, call.query[name], exact=_exact(call))]
    page = found[offset : offset + limit]
    more = offset + limit < len(found)
    metadata = {
        "collection": "leads", "limit": limit, "offset": offset, "total": len(found),
        **({"scrollId": str(offset + limit)} if more else {}),
    }  # fmt: skip
    return Reply(200, {"_metadata": metadata, "leads": [shown(one) for one in page]})


def fetch(call: Call, lead_id: str) -> Reply:
    """GET /v1.0/leads/{leadId}."""
    return Reply(200, {"lead": shown(find(call, lead_id))})


def update(call: Call, lead_id: str) -> Reply:
    """PUT /v1.0/leads/{leadId} — only what is named changes; ``tags`` are replaced, ``tagsAdd`` added. Takes a new
    lead that reads do not show yet."""
    record = find(call, lead_id, shown_yet=False)
    check(call.body, LEAD)
    call.check_user(call.body.get("assignedUserId"))
    changed = _changed(call, record)
    call.data.put(changed)
    added = [tag for tag in _list(changed.doc["tags"]) if tag not in _list(record.doc["tags"])]
    answer = {"leadId": int(record.id)}
    if call.body.keys() == {"tagsAdd"}:
        effect = {"kind": TAG, "id": record.id, "op": "create", "tags": added}
        return Reply(200, answer, effect if added else None)
    return Reply(200, answer, {"kind": KIND, "id": record.id, "op": "update", "notified": False})


def delete(call: Call, lead_id: str) -> Reply:
    """DELETE /v1.0/leads/{leadId}?reason= — to the trash, from where no call brings it back."""
    record = find(call, lead_id)
    if not call.query.get("reason"):
        raise LoftyError(400, "MISSING_PARAMETER", "reason is missing")
    call.data.remove(record)
    return Reply(200, {"message": "Lead deleted"}, {"kind": KIND, "id": record.id, "op": "delete"})


def find(call: Call, lead_id: object, *, shown_yet: bool = True) -> Record:
    """The lead with this id; 404 without, and for reads while it is not shown yet."""
    record = call.data.get(SLUG, KIND, str(lead_id))
    if record is None or record.account != call.user or (shown_yet and not _shows(call, record)):
        raise LoftyError(404, "LEAD_NOT_EXIST", "The lead does not exist or is not yours.")
    return record


def shown(record: Record) -> dict[str, object]:
    """A lead as the vendor shows it: -1 and empty lists for what is not known, tags as objects."""
    doc, lead = record.doc, int(record.id)
    tags = [{"leadId": lead, "tagId": at, "tagName": tag} for at, tag in enumerate(_list(doc["tags"]), start=1)]
    names = ("firstName", "lastName", "stage", "source", "assignedUserId", "streetAddress", "city", "state", "zipCode")
    return {
        "leadId": lead,
        **{name: doc[name] for name in names if name in doc},
        "emails": doc.get("emails", []),
        "phones": doc.get("phones", []),
        "leadTypes": doc.get("leadTypes", []),
        "leadSource": -1,
        "tags": tags,
        "createTime": doc["createTime"],
    }


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query."""
    value = query.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise LoftyError(400, "LIMIT_NOT_VALID" if name == "limit" else "INVALID_PARAMETER", f"{name} is no number")
    if name == "limit" and not 1 <= int(value) <= MAX_LIMIT:
        raise LoftyError(400, "LIMIT_NOT_VALID", f"limit must be from 1 to {MAX_LIMIT}")
    return int(value)


def _changed(call: Call, record: Record) -> Record:
    changes = {name: value for name, value in call.body.items() if name not in ("tags", "tagsAdd", "welcomeEmail")}
    tags = _list(call.body["tags"]) if "tags" in call.body else _list(record.doc["tags"])
    tags = list(dict.fromkeys([*tags, *_list(call.body.get("tagsAdd"))]))
    note_tags(call.data, SLUG, call.user, tags, _iso(call.now))
    return replace(record, doc={**record.doc, **changes, "tags": tags, "updateTime": stamp(call.now)})


def _iso(now: float) -> str:
    return f"{stamp(now).replace(' ', 'T')}+00:00"


def _shows(call: Call, record: Record) -> bool:
    lag, created = call.account.config["lag_s"], record.doc["created"]
    if not isinstance(lag, int | float) or not isinstance(created, int | float):
        raise TypeError("times are numbers")
    return created + lag <= call.now


def _exact(call: Call) -> bool:
    return call.query.get("preciseSearchFlag") == "true"


def _has_email(doc: Mapping[str, object], wanted: str, *, exact: bool) -> bool:
    mails = [str(mail).strip().lower() for mail in _list(doc.get("emails"))]
    return wanted.lower() in mails if exact else any(wanted.lower() in mail for mail in mails)


def _has_phone(doc: Mapping[str, object], wanted: str, *, exact: bool) -> bool:
    """Numbers are kept without the country's code."""
    numbers = ["".join(filter(str.isdecimal, str(phone)))[-10:] for phone in _list(doc.get("phones"))]
    return wanted in numbers if exact else any(wanted in number for number in numbers)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def members(call: Call) -> Reply:
    """GET /v1.0/members — 25 at most, whatever is asked for."""
    limit = min(whole(call.query, "limit", PAGE), PAGE)
    offset = whole(call.query, "scrollId" if "scrollId" in call.query else "offset", 0)
    total = call.data.count(SLUG, call.user, USER)
    rows = call.data.listed(SLUG, call.user, USER, after=None, newest=False, offset=offset, limit=limit)
    more = offset + limit < total
    metadata = {"collection": "members", "limit": limit, "offset": offset, "total": total}
    metadata |= {"scrollId": str(offset + limit)} if more else {}  # type: ignore[dict-item]  # a text among numbers
    return Reply(200, {"_metadata": metadata, "members": [_member(n, one) for n, one in rows]})


def me(call: Call) -> Reply:
    """GET /v1.0/me — the user whose credentials they are. Its short id is not the one that records name."""
    return Reply(200, {"id": 11, "email": call.user, "firstName": "Api", "lastName": "User", "roleName": "Agent"})


def _member(n: int, record: Record) -> dict[str, object]:
    return {"id": n, "memberUserId": int(record.id), "roleName": "Agent", "status": 1,
            **{name: record.doc[name] for name in ("firstName", "lastName", "email")}}  # fmt: skip
