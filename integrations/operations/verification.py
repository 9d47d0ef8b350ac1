"""Trying a connection out: one read at the provider, before new credentials are stored and whenever a person asks.

Through the gate like every request, within a deadline, never inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from integrations import conf, wiring
from integrations.engine.trying import scrub
from integrations.fields import Unreadable
from integrations.models import Connection
from integrations.providers import registry
from integrations.providers.accounts import ProviderAccount
from integrations.providers.base import Manifest
from integrations.providers.errors import AuthError, ProviderError, Rejected
from integrations.wiring import DatabaseCredentialStore, TrialStore

from . import audit
from .audit import Who
from .connections import check_connection
from .refusals import NotPossible

WITHIN_S = 10.0
"""A person waits for the page so long at most."""
UNTESTED = "Saved without a test that passed."
"""Why a connection is paused that was saved with credentials nobody tried."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`error` empty: it passed. `correct`: the form's field to correct; empty: none is to blame.

    `renewed`: secrets that the provider replaced meanwhile and that must be kept, whatever came of the rest.
    """

    error: str = ""
    correct: str = ""
    verified_at: datetime | None = None
    renewed: Mapping[str, str] = field(default_factory=dict, repr=False)


def try_out(
    provider: str, data: Mapping[str, Any], connection: Connection | None, *, forget: Sequence[str] = ()
) -> Tried | None:
    """Whether what is about to be saved works. None: nothing that the provider sees is new. Raises ValidationError."""
    checked = check_connection(provider, data, connection)
    manifest = registry.manifest(provider)
    if connection is not None and not checked.secrets and checked.config == connection.config:
        return None
    limits = data.get("limit_overrides") or {}
    typed = TrialStore(_merged(connection, checked.secrets, forget))
    # Stored credentials that are renewed meanwhile are renewed in their place.
    store = DatabaseCredentialStore(connection.pk) if connection and not checked.secrets else typed
    try:
        with wiring.trial(provider, checked.config, checked.account_key, store, limits=limits) as link:
            link.verify(within_s=WITHIN_S)
    except (ProviderError, Unreadable, LookupError, ValueError) as error:
        name, text = _told(manifest, error, typed.secrets)
        return Tried(text, name, renewed=typed.secrets if typed.renewed else {})
    return Tried(verified_at=timezone.now(), renewed=typed.secrets if typed.renewed else {})


def verify_now(connection_id: int, who: Who) -> None:
    """Asks with what is stored, and notes when it passed. Raises NotPossible saying why it did not."""
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    try:
        wiring.link(connection).verify(within_s=WITHIN_S)
    except (ProviderError, Unreadable, LookupError, ValueError) as error:
        raise NotPossible(_told_of(connection, error)) from None
    note_verified(connection_id, timezone.now())
    audit.record("connection.verify", connection, actor=who.actor, via=who.via, reason=who.reason)


def note_verified(connection_id: int, at: datetime) -> None:
    """When the provider last said that credentials and account fit."""
    Connection.objects.filter(pk=connection_id).update(last_verified_at=at)


def accounts(connection: Connection) -> Sequence[ProviderAccount]:
    """The accounts that the connection's credentials may be used for. Raises NotPossible saying why it is not known."""
    try:
        link = wiring.link(connection)
        return link.accounts(_accounts_url(link.manifest), within_s=WITHIN_S)
    except (ProviderError, Unreadable, LookupError, ValueError) as error:
        raise NotPossible(_told_of(connection, error)) from None


def accounts_for(provider: str, config: Mapping[str, str], secrets: Mapping[str, str]) -> Sequence[ProviderAccount]:
    """The same for credentials that are not stored yet. Raises NotPossible."""
    manifest = registry.manifest(provider)
    needs = manifest.accounts.needs if manifest.accounts else ()
    missing = [one.label for one in manifest.fields if one.name in needs and not config.get(one.name)]
    missing += [one.label for one in manifest.fields if one.secret and one.required and not secrets.get(one.name)]
    if missing:
        raise NotPossible(f"Fill in first: {', '.join(missing)}.")
    try:
        with wiring.trial(provider, config, "", TrialStore(secrets), limits={}) as link:
            return link.accounts(_accounts_url(manifest), within_s=WITHIN_S)
    except (ProviderError, LookupError, ValueError) as error:
        raise NotPossible(_told(manifest, error, secrets)[1]) from None


def _accounts_url(manifest: Manifest) -> str:
    return conf.current().base_urls[manifest.accounts.base_url] if manifest.accounts else ""


def _merged(connection: Connection | None, given: Mapping[str, str], forget: Sequence[str]) -> dict[str, str]:
    stored: Mapping[str, str] = {}
    if connection is not None:
        with suppress(Unreadable):
            stored = connection.secrets or {}
    return {name: value for name, value in {**stored, **given}.items() if name not in forget or name in given}


def _told_of(connection: Connection, error: Exception) -> str:
    secrets: Mapping[str, str] = {}
    with suppress(Unreadable):
        secrets = connection.secrets or {}
    return _told(registry.manifest(connection.provider), error, secrets)[1]


def _told(manifest: Manifest, error: Exception, secrets: Mapping[str, str]) -> tuple[str, str]:
    """(field to correct, sentence)."""
    if isinstance(error, Unreadable):
        return "", str(error)
    if not isinstance(error, ProviderError):
        return "", f"{manifest.label} could not be asked: {scrub(str(error), secrets)}."
    words = scrub(error.message, secrets).rstrip(".")
    status = f" ({error.status})" if error.status else ""
    if isinstance(error, AuthError):
        return _first(manifest, secret=True), f"{manifest.label} refused these credentials{status}: {words}."
    if isinstance(error, Rejected):
        return _first(manifest, secret=False), f"{manifest.label} does not know this account{status}: {words}."
    return "", f"{manifest.label} could not be asked{status}: {words}. Try again in a moment."


def _first(manifest: Manifest, *, secret: bool) -> str:
    return next((one.name for one in manifest.fields if one.secret is secret), "")
