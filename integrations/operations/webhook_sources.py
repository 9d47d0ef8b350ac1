"""Sources of webhooks: making and changing them. A secret goes in and never comes out again."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from integrations.models import WebhookSource
from integrations.signatures.schemes import SCHEMES, checked_options

from . import audit
from .audit import Who
from .typeform_answers import checked_mapping

MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}", re.ASCII)
LARGEST_BYTES = 10_485_760
OVERLAP_H = 24
"""Hours for which the secret before still counts: longer than any provider retries what it signed (Typeform, 10 h)."""


@dataclass(frozen=True, slots=True)
class SourceInput:
    """What a person sets of a source. `secret` empty: the stored one stays. `overlap_h`: for how long it counts."""

    label: str
    scheme: str
    options: Mapping[str, Any]
    purpose: str = WebhookSource.Purpose.STORE
    mapping: Mapping[str, Any] = field(default_factory=dict)
    secret: str = ""
    overlap_h: int = OVERLAP_H
    max_bytes: int = 262_144
    content_types: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    tolerance_s: int = 300
    per_minute: int = 600
    paused: bool = False


_PLAIN = (
    "label",
    "scheme",
    "purpose",
    "options",
    "max_bytes",
    "content_types",
    "allowed_ips",
    "tolerance_s",
    "per_minute",
)


def save_source(data: SourceInput, who: Who, *, now: datetime, source_id: int | None = None) -> WebhookSource:
    """Make a source or change it. Raises ValidationError naming fields, WebhookSource.DoesNotExist."""
    with transaction.atomic():
        source = WebhookSource() if source_id is None else WebhookSource.objects.select_for_update().get(pk=source_id)
        cleaned = _cleaned(data, source)
        before = {name: getattr(source, name) for name in cleaned if getattr(source, name) != cleaned[name]}
        for name, value in cleaned.items():
            setattr(source, name, value)
        replaced = bool(data.secret) and _set_secret(source, data, now)
        if source_id is not None and not before and not replaced:
            return source
        source.full_clean(exclude=["secrets"])
        source.save()
        after = {name: cleaned[name] for name in (cleaned if source_id is None else before)}
        if replaced:
            after |= {"secret": "replaced", "previous_until": source.previous_until}
        verb = "webhook_source.create" if source_id is None else "webhook_source.change"
        was = None if source_id is None else before
        audit.record(verb, source, actor=who.actor, via=who.via, reason=who.reason, before=was, after=after)
    return source


def _cleaned(data: SourceInput, source: WebhookSource) -> dict[str, Any]:
    errors: dict[str, list[str]] = {}
    if data.scheme not in SCHEMES:
        raise ValidationError({"scheme": ["Choose how it signs."]})
    options: dict[str, Any] = {}
    mapping: dict[str, Any] = {}
    feedback = data.purpose == WebhookSource.Purpose.FEEDBACK
    try:
        options = checked_options(data.scheme, data.options)
    except ValueError as error:
        errors["options"] = [str(error)]
    try:
        mapping = checked_mapping(data.mapping) if feedback else {}
    except ValueError as error:
        errors["mapping"] = [str(error)]
    if feedback and data.scheme != "typeform":
        errors["purpose"] = ["Only Typeform sends such answers."]
    if SCHEMES[data.scheme].needs_secret and not data.secret and not source.secrets.get("current"):
        errors["secret"] = ["This must be given: without it nothing can be verified."]
    errors |= _wrong_limits(data)
    if errors:
        raise ValidationError(errors)
    cleaned = {name: getattr(data, name) for name in _PLAIN} | {"options": options, "mapping": mapping}
    cleaned |= {"content_types": list(data.content_types), "allowed_ips": list(data.allowed_ips)}
    return cleaned | {"state": WebhookSource.State.PAUSED if data.paused else WebhookSource.State.ACTIVE}


def _wrong_limits(data: SourceInput) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    wrong = [kind for kind in data.content_types if not MEDIA_TYPE.fullmatch(kind)]
    if wrong:
        errors["content_types"] = [f"“{wrong[0][:40]}” is no content type."]
    unknown = [one for one in data.allowed_ips if not _network(one)]
    if unknown:
        errors["allowed_ips"] = [f"“{unknown[0][:40]}” is no address or network."]
    ranges = {
        "max_bytes": (1, LARGEST_BYTES),
        "per_minute": (1, 100_000),
        "tolerance_s": (0, 86_400),
        "overlap_h": (0, 720),
    }
    for name, (least, most) in ranges.items():
        if not least <= getattr(data, name) <= most:
            errors[name] = [f"Between {least} and {most:,}."]
    return errors


def _network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _set_secret(source: WebhookSource, data: SourceInput, now: datetime) -> bool:
    """The new one counts at once; the one before until its time is over, or no more when it leaked (0 hours)."""
    before = source.secrets.get("current", "")
    if before == data.secret:
        return False
    keeps = bool(before) and data.overlap_h > 0
    source.secrets = {"current": data.secret} | ({"previous": before} if keeps else {})
    source.previous_until = now + timedelta(hours=data.overlap_h) if keeps else None
    source.secret_set_at = now
    return True
