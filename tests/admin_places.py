"""Every page of the admin with its addresses, made from its URLs: a new one is looked at without being named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from integrations.operations.one_click import BULK_VERBS, STOP_VERBS, TOUR_VERBS
from integrations.operations.wording import VERBS

VERBS_OF = {
    "integrations_operation_verb": tuple(VERBS),
    "integrations_tour_press": tuple(TOUR_VERBS),
    "integrations_tour_press_stop": tuple(STOP_VERBS),
    "integrations_tour_press_stops": tuple(BULK_VERBS),
}
OF_ACCOUNTS = ("integrations_connection_accounts", "integrations_connection_account")
"""Pages of a CRM whose accounts can be listed."""


def names() -> Iterator[tuple[str, list[str]]]:
    """Every page of the admin with the names of its arguments. Unnamed ones only redirect to a named one."""

    def walk(patterns: list[Any]) -> Iterator[URLPattern]:
        for pattern in patterns:
            yield from walk(pattern.url_patterns) if isinstance(pattern, URLResolver) else (pattern,)

    (admin,) = (one for one in get_resolver().url_patterns if getattr(one, "namespace", None) == "admin")
    for pattern in walk(admin.url_patterns):
        if pattern.name:
            found = pattern.pattern.regex.groupindex if hasattr(pattern.pattern, "regex") else {}
            yield pattern.name, sorted({*found, *getattr(pattern.pattern, "converters", {})})


def addresses(
    records: Mapping[str, Any],
    arguments: Mapping[str, Any],
    account: str,
    key_of: Callable[[str, str], Any] = lambda _name, _verb: None,
) -> Iterator[tuple[str, str]]:
    """(page, address), one for each verb of a page that has verbs.

    `records`: "app_model" → the id of the record a page is about; `arguments`: what else a page names; `account`: an
    account of the CRM whose accounts can be listed; `key_of`: another record for that page and verb, or None.
    """
    for name, wanted in names():
        record = next((key for key in sorted(records, key=len, reverse=True) if name.startswith(key)), "")
        for verb in VERBS_OF.get(name, ("",)):
            key = key_of(name, verb) or records.get(record, records["integrations_tour"])
            values = {**arguments, "object_id": quote(key), "id": key, "verb": verb}
            yield name, reverse(f"admin:{name}", kwargs={key: values[key] for key in wanted}) + _query(name, account)


def _query(name: str, account: str) -> str:
    """What a page needs to be asked."""
    return {
        "autocomplete": "?app_label=integrations&model_name=tour&field_name=agent",
        "integrations_connection_account": f"?id={account}",
        "integrations_connection_add": "?provider=gohighlevel",
    }.get(name, "")
