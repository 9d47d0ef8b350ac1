"""What came by webhook, in one form for every provider. Pure; a body that cannot be read raises ValueError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event. `subject`: the provider's id of what it is about; `data`: what it said of it."""

    type: str
    occurred_at: str
    subject: str
    actor: str
    data: Mapping[str, Any]
    provider: str
    delivery: str


_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "hubspot": (("subscriptionType",), ("occurredAt",), ("objectId",), ("sourceId",)),
    "followupboss": (("event",), ("eventCreated",), ("uri",), ()),
    "rollout": (("event",), ("eventCreated",), ("uri",), ()),
    "gohighlevel": (("type",), ("timestamp", "dateUpdated", "dateAdded"), ("id", "contactId"), ("userId",)),
    "chatwoot": (("event",), ("created_at",), ("id",), ()),
    "stripe": (("type",), ("created",), ("id",), ()),
}
_ANY = (("type", "event", "event_type", "topic"), ("occurred_at", "timestamp", "created_at"), ("id",), ("actor",))


def envelopes(scheme: str, headers: Mapping[str, str], body: bytes, delivery: str) -> list[Envelope]:
    """The events of one delivery, in the order they stand in."""
    told = strict(body)
    provider = scheme.partition("-v")[0]
    items = told if isinstance(told, list) else [told]
    if len(items) > MAX_EVENTS:
        raise ValueError(f"{len(items)} events in one delivery; {MAX_EVENTS} are taken")
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("an event is no JSON object")
    return [_envelope(provider, headers, item, delivery) for item in items]


def _envelope(provider: str, headers: Mapping[str, str], item: dict[str, Any], delivery: str) -> Envelope:
    if provider == "typeform":
        answer = item.get("form_response")
        answer = answer if isinstance(answer, dict) else {}
        at, token = _text(answer.get("submitted_at")), _text(answer.get("token"))
        return Envelope(_text(item.get("event_type")), at, token, "", answer, provider, delivery)
    kind, at, subject, actor = (_first(item, names) for names in _FIELDS.get(provider, _ANY))
    kind = headers.get("x-shopify-topic") or headers.get("x-github-event") or kind
    at = headers.get("x-shopify-triggered-at") or at
    return Envelope(kind, at, subject, actor, item, provider, delivery)


def _first(item: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((_text(item[name]) for name in names if item.get(name) not in (None, "")), "")


def _text(value: Any) -> str:
    return str(value)[:200].replace("\x00", "") if isinstance(value, (str, int, float)) else ""


def strict(body: bytes) -> Any:
    """The JSON as it was meant: no NaN, no name twice, no half characters, not too deep, no number too long."""
    try:
        told = json.loads(body.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_once)
        json.dumps(told, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeError:
        raise ValueError("it holds half a character") from None
    return told


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return made
