"""THE table of schemes: how each provider signs, where it puts its id of a delivery, and what it vouches for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import hubspot, lists, public_keys, recipes
from .recipes import Recipe, by
from .request import Request, Verify

_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of source signs.

    `id_header`/`id_field`: where the provider's id of a delivery stands, in a header or in the body. `id_signed`: the
    signature covers it; where it does not, whoever has one signed body could send it again under any id, so the body
    counts as well. `time_field`: a moment in the signed body. `options`: what a source of it may set, and its default.
    """

    label: str
    verify: Verify
    id_header: str = ""
    id_field: str = ""
    id_signed: bool = True
    time_field: str = ""
    signs_time: bool = False
    needs_secret: bool = True
    keeps: tuple[str, ...] = ()
    options: Mapping[str, Any] | None = None


_FUB = "FUB-Signature"
_ROLLOUT = "X-Rollout-Signature"
_OF_HUBSPOT = ("x-hubspot-signature-version", "x-hubspot-request-timestamp")
_GENERIC = {
    "header": "X-Signature", "encoding": "hex", "prefix": "", "signed": "{body}", "time_header": "", "time_unit": "s",
    "id_header": "", "id_field": "",
}  # fmt: skip

SCHEMES: Mapping[str, Scheme] = {
    "typeform": Scheme(
        "Typeform", by(Recipe("Typeform-Signature", "base64", "sha256=")), id_field="event_id"
    ),
    "shopify": Scheme(
        "Shopify",
        by(Recipe("X-Shopify-Hmac-Sha256", "base64")),
        id_header="x-shopify-webhook-id",
        id_signed=False,
        keeps=("x-shopify-topic", "x-shopify-shop-domain", "x-shopify-event-id", "x-shopify-triggered-at"),
    ),
    "chatwoot": Scheme(
        "Chatwoot",
        by(Recipe("X-Chatwoot-Signature", "hex", "sha256=", "{timestamp}.{body}", "X-Chatwoot-Timestamp")),
        id_header="x-chatwoot-delivery",
        id_signed=False,
        signs_time=True,
        keeps=("x-chatwoot-timestamp",),
    ),
    "gohighlevel": Scheme(
        "GoHighLevel",
        public_keys.gohighlevel,
        id_field="webhookId",
        time_field="timestamp",
        needs_secret=False,
        options={"legacy_rsa": False},
    ),
    "followupboss": Scheme(
        "Follow Up Boss",
        by(
            Recipe(_FUB, prefix="sha256=", signed="{base64_body}", optional_prefix=True),
            Recipe(_FUB, prefix="sha256=", optional_prefix=True),
        ),
        id_field="eventId",
        options={"body": "base64"},
    ),
    "rollout": Scheme(
        "Rollout",
        by(Recipe(_ROLLOUT, signed="{base64_body}"), Recipe(_ROLLOUT)),
        id_field="eventId",
        options={"body": "base64"},
    ),
    "hubspot-v1": Scheme("HubSpot v1", hubspot.v1, keeps=_OF_HUBSPOT),
    "hubspot-v2": Scheme("HubSpot v2", hubspot.v2, keeps=_OF_HUBSPOT),
    "hubspot-v3": Scheme(
        "HubSpot v3",
        by(
            Recipe(
                "X-HubSpot-Signature-v3",
                "base64",
                signed="{method}{uri}{body}{timestamp}",
                time_header="X-HubSpot-Request-Timestamp",
                time_unit="ms",
            )
        ),
        signs_time=True,
        keeps=_OF_HUBSPOT,
    ),
    "standard-webhooks": Scheme(
        "Standard Webhooks (Svix)",
        lists.standard,
        id_header="webhook-id|svix-id",
        signs_time=True,
        keeps=("webhook-timestamp", "svix-timestamp"),
    ),
    "stripe": Scheme("Stripe", lists.stripe, id_field="id", signs_time=True),
    "github": Scheme(
        "GitHub",
        by(Recipe("X-Hub-Signature-256", prefix="sha256=")),
        id_header="x-github-delivery",
        id_signed=False,
        keeps=("x-github-event",),
    ),
    "slack": Scheme(
        "Slack",
        by(Recipe("X-Slack-Signature", "hex", "v0=", "v0:{timestamp}:{body}", "X-Slack-Request-Timestamp")),
        id_field="event_id",
        signs_time=True,
        keeps=("x-slack-request-timestamp",),
    ),
    "generic": Scheme("HMAC-SHA256, as configured", recipes.generic, id_signed=False, options=_GENERIC),
    "lofty": Scheme("Lofty (not signed)", lists.unsigned, id_signed=False, needs_secret=False),
}  # fmt: skip

KEPT = ("content-type", "user-agent")
"""Headers of any request that are kept; a scheme names more."""


def checked_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A source's options with the defaults filled in. Raises ValueError, in words for people."""
    scheme = SCHEMES[name]
    known = scheme.options or {}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{scheme.label} has no option “{unknown[0][:40]}”.")
    wrong = next((key for key, value in options.items() if type(value) is not type(known[key])), None)
    if wrong:
        raise ValueError(f"“{wrong}” must be {'true or false' if isinstance(known[wrong], bool) else 'a text'}.")
    chosen = {**known, **options}
    if chosen.get("body") not in (None, "base64", "raw"):
        raise ValueError("“body” is base64 or raw.")
    if name == "generic":
        recipes.recipe_of(chosen)
    return chosen


def kept_headers(name: str, request: Request) -> dict[str, str]:
    """The headers we keep of a request: those of the allow-list, cut short, without signatures."""
    scheme = SCHEMES[name]
    names = (*KEPT, *scheme.keeps, *filter(None, scheme.id_header.split("|")))
    return {one: request.header(one)[:200].replace("\x00", "") for one in names if request.header(one)}


def delivery_id(name: str, options: Mapping[str, Any], request: Request) -> str:
    """The provider's id of this delivery; empty when it gives none that can be used. For verified requests only."""
    scheme = SCHEMES[name]
    headers = scheme.id_header or str(options.get("id_header", ""))
    for header in filter(None, headers.split("|")):
        if _ID.fullmatch(request.header(header)):
            return request.header(header)
    value = _of_body(scheme.id_field or str(options.get("id_field", "")), request)
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else ""


def body_time(name: str, request: Request) -> float | None:
    """The moment that stands in a signed body (Unix seconds), if this scheme has one and it is there."""
    value = _of_body(SCHEMES[name].time_field, request)
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _of_body(field: str, request: Request) -> Any:
    if not field:
        return None
    try:
        body = json.loads(request.body)
        return body.get(field) if isinstance(body, dict) else None
    except (ValueError, RecursionError):
        return None
