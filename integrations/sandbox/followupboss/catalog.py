"""What Follow Up Boss's other records choose from: users, types, outcomes, custom fields; and whose key it is."""

from __future__ import annotations

from hashlib import sha256

from integrations.sandbox.holdings import full_name
from integrations.sandbox.settings import USER
from integrations.sandbox.store import Data, Record
from integrations.sandbox.vendor import Reply

from .collection import Call, Collection
from .shapes import LEAST_ID, MOST_ID, SLUG, iso

TYPE, OUTCOME, FIELD = "appointment_type", "appointment_outcome", "custom_field"


def identity(call: Call) -> Reply:
    """GET /identity — the key's user and the account."""
    user = call.data.get(SLUG, USER, str(call.user))
    name, email = (full_name(user.doc), user.doc["email"]) if user else ("", "")
    me = {"id": call.user, "name": name, "email": email}
    owner = {"name": name, "email": email}
    return Reply(200, {"scope": "Account", "user": me, "account": {"id": 1, "domain": call.name, "owner": owner}})


def refill(data: Data, account: str, kind: str, names: object, now: float) -> None:
    """Make the account's records of a kind those of these names, each with an id that stays."""
    wanted = [str(name) for name in names] if isinstance(names, list) else []
    for _, record in data.listed(SLUG, account, kind, after=None, newest=False, offset=0, limit=-1):
        if record.doc["name"] not in wanted:
            data.remove(record)
    for weight, name in enumerate(wanted, start=1):
        number = int(sha256(f"{account}\0{kind}\0{name}".encode()).hexdigest()[:15], 16)
        doc: dict[str, object] = {"name": name, "orderWeight": weight * 1000, "created": iso(now)}
        data.put(Record(SLUG, account, kind, str(LEAST_ID + number % (MOST_ID - LEAST_ID)), doc))


def _choice(_call: Call, record: Record) -> dict[str, object]:
    return {"id": int(record.id), "name": record.doc["name"], "orderWeight": record.doc["orderWeight"]}


def _field(_call: Call, record: Record) -> dict[str, object]:
    name = str(record.doc["name"])
    return {"id": int(record.id), "label": name.removeprefix("custom"), "name": name, "type": "text"}


def _user(_call: Call, record: Record) -> dict[str, object]:
    doc = record.doc
    return {
        "id": int(record.id), "created": doc["created"], "updated": doc["created"], "name": full_name(doc),
        "firstName": doc["firstName"], "lastName": doc["lastName"], "email": doc["email"], "role": "Agent",
        "status": "Active", "isOwner": False,
    }  # fmt: skip


def _named(record: Record, name: str) -> bool:
    return str(record.doc["name"]) == name


# As the vendor writes them: in small letters, whatever the path.
TYPES = Collection(TYPE, "appointmenttypes", _choice, {})
OUTCOMES = Collection(OUTCOME, "appointmentoutcomes", _choice, {})
FIELDS = Collection(FIELD, "customfields", _field, {"name": _named})
USERS = Collection(
    USER, "users", _user, {"name": lambda record, name: full_name(record.doc) == name,
                           "email": lambda record, email: record.doc["email"] == email},
)  # fmt: skip
