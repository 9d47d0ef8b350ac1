"""Tokens of the API: making, checking, revoking them. A secret is shown once and never stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from integrations.models import ApiToken

from . import audit
from .audit import Who
from .roles import SCOPES, permissions_of
from .values import clean_value

PREFIX = "rr_live"
_FORM = re.compile(r"rr_live_([0-9A-Z]{8})_([A-Za-z0-9_-]{32,64})", re.ASCII)
_ID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no look-alikes
_SECRET_BYTES = 32
_USED_EVERY = timedelta(minutes=1)
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Made:
    """A new token and the only sight of it: `shown` is what its user sends."""

    token: ApiToken
    shown: str


def create_token(
    *, name: Any, scopes: Iterable[str], owner: Any, expires_at: datetime | None, now: datetime, who: Who
) -> Made:
    """A token that acts for `owner` within `scopes`. Raises ValidationError naming each field."""
    wanted = sorted(set(scopes))
    errors: dict[str, list[str]] = {}
    cleaned = ""
    try:
        cleaned = clean_value(ApiToken._meta.get_field("name"), name, required=True)
    except ValidationError as error:
        errors["name"] = list(error.messages)
    problem = _wrong_scopes(wanted, owner)
    if problem:
        errors["scopes"] = [problem]
    if expires_at is not None and expires_at <= now:
        errors["expires_at"] = ["This lies in the past."]
    if errors:
        raise ValidationError(errors)
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with transaction.atomic():
        token = ApiToken.objects.create(
            key_id=key_id, digest=digest(secret), name=cleaned, owner=owner, scopes=wanted, expires_at=expires_at
        )
        after = {"name": cleaned, "owner": owner.get_username(), "scopes": wanted, "expires_at": expires_at}
        audit.record("token.create", token, actor=who.actor, via=who.via, reason=who.reason, after=after)
    return Made(token, f"{PREFIX}_{key_id}_{secret}")


def _wrong_scopes(wanted: list[str], owner: Any) -> str:
    if not wanted:
        return "Choose at least one."
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown:
        return f"There is no scope “{unknown[0][:40]}”."
    refused = [scope for scope in wanted if not owner.has_perms(permissions_of(scope))]
    return f"You do not have this right yourself: {', '.join(refused)}." if refused else ""


def revoke_token(token_id: int, *, now: datetime, who: Who) -> bool:
    """It opens nothing any more; whether it did before. Raises ApiToken.DoesNotExist."""
    with transaction.atomic():
        token = ApiToken.objects.select_for_update().get(pk=token_id)
        if token.revoked_at is not None:
            return False
        token.revoked_at = now
        token.save(update_fields=["revoked_at", "updated_at"])
        after = {"revoked_at": now}
        audit.record("token.revoke", token, actor=who.actor, via=who.via, reason=who.reason, after=after)
    return True


def token_of(shown: str, now: datetime) -> ApiToken | None:
    """The token whose secret this is, if it works and its owner may sign in; notes that it was used."""
    found = _FORM.fullmatch(shown)
    key_id, secret = found.groups() if found else ("", "")
    token = ApiToken.objects.select_related("owner").filter(key_id=key_id).first()
    right = hmac.compare_digest(token.digest if token else _NOBODY, digest(secret))
    if token is None or not right or not token.works_at(now) or not token.owner.is_active:
        return None
    if token.last_used_at is None or token.last_used_at <= now - _USED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - _USED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    return token


def digest(secret: str) -> str:
    """What is stored of a secret: it has 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
