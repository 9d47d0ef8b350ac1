"""Reading the settings of an account that several vendors have."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from .store import Data, Record
from .vendor import SettingError

USER = "user"
USER_PARTS = frozenset({"id", "name", "email"})
MAX_ITEMS = 1000
MAX_NAME = 10_000
"""Longer than any page should have to bear; somebody will try."""


def known(settings: Mapping[str, object], names: frozenset[str], prefix: str = "") -> None:
    """Refuse a setting that is not among ``names``."""
    for name in settings:
        if name not in names:
            raise SettingError(f"{prefix}{name}", f"is not known; known here: {', '.join(sorted(names))}")


def text(value: object, field: str, most: int = 500) -> str:
    """A string of 1 to `most` printable characters."""
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise SettingError(field, f"must be a string of 1 to {most} printable characters")
    return value


def number(value: object, field: str, least: float, most: float) -> float:
    """A number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SettingError(field, f"must be a number from {least:g} to {most:g}")
    return value


def zone(value: object) -> str:
    """A time zone's name."""
    name = text(value, "timezone")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise SettingError("timezone", "is not a time zone of the IANA database") from None
    return name


def names(value: object, field: str) -> list[str]:
    """A list of names."""
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise SettingError(field, f"must be a list of up to {MAX_ITEMS} names")
    return [text(item, f"{field}[{index}]") for index, item in enumerate(value)]


def users(value: object) -> list[dict[str, str]]:
    """The people of the brokerage who have a login at the vendor: ``[{"id", "name", "email"}]``."""
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise SettingError("users", f"must be a list of up to {MAX_ITEMS} objects")
    found: list[dict[str, str]] = []
    for index, item in enumerate(value):
        if not isinstance(item, dict) or item.keys() != USER_PARTS:
            raise SettingError(f"users[{index}]", f"must be an object with {', '.join(sorted(USER_PARTS))}")
        most = {"name": MAX_NAME}
        found.append(
            {part: text(item[part], f"users[{index}].{part}", most.get(part, 500)) for part in sorted(USER_PARTS)}
        )
    if len({user["id"] for user in found}) != len(found):
        raise SettingError("users", "must not have an id twice")
    return found


def put_users(data: Data, provider: str, account: str, listed: object, created: str) -> None:
    """Make the account's users those that are listed. Raises SettingError for an id that another account has."""
    wanted = {str(user["id"]): user for user in listed if isinstance(user, dict)} if isinstance(listed, list) else {}
    for _, record in data.listed(provider, account, USER, after=None, newest=False, offset=0, limit=-1):
        if record.id not in wanted:
            data.remove(record)
    for user_id, user in wanted.items():
        held = data.get(provider, USER, user_id)
        if held is not None and held.account != account:
            raise SettingError("users", f"the id {user_id} is in use in the account {held.account}")
        first, _, last = str(user["name"]).partition(" ")
        doc: dict[str, object] = {
            "firstName": first, "lastName": last, "email": user["email"],
            "created": held.doc["created"] if held else created,
        }  # fmt: skip
        data.put(Record(provider, account, USER, user_id, doc))
