"""Connections: making, changing, pausing and resuming them.

A connection's own fields come from its provider's manifest. Secrets go in and never come out: a blank one keeps what
is stored, and the audit trail says which were given, never what.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from integrations.fields import Unreadable
from integrations.models import Agent, Connection, ConnectionScope, ConnectionState, Office, Operation
from integrations.providers import registry
from integrations.providers.base import ConfigField, Manifest
from integrations.tasks import ring_after_commit

from . import audit, unmapped
from .audit import Changes, Who
from .people import changes_of
from .refusals import Stale
from .routes import Handover, Reach, RoutingFacts, follow, handover, reach, regive
from .values import clean_text, clean_value

Data = Mapping[str, Any]
_PLAIN = ("label", "scope", "sync_from", "assigns")
MAX_CONFIG, MAX_SECRET = 200, 8000


@dataclass(frozen=True, slots=True)
class Checked:
    """Input that passed: what a connection would be. `secrets`: those given; `values`: of its own columns."""

    config: dict[str, str]
    account_key: str
    secrets: dict[str, str] = dataclasses.field(repr=False)
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


def check_connection(provider: str, data: Data, connection: Connection | None) -> Checked:
    """What saving would store, without storing it. Raises ValidationError naming each field."""
    manifest = _manifest(provider)
    if connection is None:
        data, about = {"sync_from": timezone.now(), **data}, Connection(provider=provider)
    else:
        about = connection
    cleaned = _Cleaned(manifest, data, about, new=connection is None)
    if connection is not None:
        _refuse_another_account(connection, changes_of(connection, cleaned.values), manifest)
    return Checked(cleaned.values["config"], cleaned.values["account_key"], cleaned.secrets, cleaned.values)


def planned(provider: str, data: Data, connection: Connection | None) -> tuple[Reach, Handover | None]:
    """What saving would do to tours, and to whose the showings are there. Writes nothing. Raises ValidationError."""
    values = check_connection(provider, data, connection).values
    before = RoutingFacts.of(connection) if connection else None
    about = connection or Connection(provider=provider, sync_from=timezone.now())
    after = RoutingFacts(
        pk=about.pk or 0,
        scope=values.get("scope", about.scope),
        office_id=values.get("office_id", about.office_id),
        agent_id=values.get("agent_id", about.agent_id),
        sync_from=values.get("sync_from", about.sync_from),
        state=about.state,
    )
    turns = connection is not None and values.get("assigns", connection.assigns) != connection.assigns
    return reach(after, before), handover(about, assigns=values["assigns"]) if turns else None


def create_connection(
    provider: str,
    data: Data,
    *,
    now: datetime,
    actor: str,
    via: str,
    paused: str = "",
    unsigned: str = "",
    verified_at: datetime | None = None,
) -> Connection:
    """A new connection; the tours it reaches are planned at once. Active, unless `paused` says why it is not yet,
    or `unsigned` that nobody has signed in.

    `data`: label, scope, office_id, agent_id, sync_from (default: `now`), assigns, limit_overrides, and the manifest's
    fields by name. Raises ValidationError naming each field.
    """
    manifest = _manifest(provider)
    cleaned = _Cleaned(manifest, {"sync_from": now, **data}, Connection(provider=provider), new=True)
    connection = Connection(
        provider=provider,
        **cleaned.values,
        secrets=cleaned.secrets,
        mapping_version=manifest.mapping_version,
        state=_first_state(paused, unsigned),
        state_reason=(paused or unsigned)[:200],
        last_verified_at=verified_at,
    )
    with transaction.atomic():
        _save(connection)
        after = {name: getattr(connection, name) for name in (*cleaned.values, "state")}
        audit.record(
            "connection.create",
            connection,
            actor=actor,
            via=via,
            after={**after, "secrets": sorted(cleaned.secrets)},
        )
    follow(connection.pk, before=None)
    return connection


def update_connection(
    connection_id: int,
    data: Data,
    *,
    actor: str,
    via: str,
    reason: str = "",
    forget_secrets: Sequence[str] = (),
    seen_at: datetime | None = None,
) -> bool:
    """Change what is given; whether anything was. Secrets: blank keeps, `forget_secrets` names those to remove.

    New secrets end a state of `auth_needed`. Tours that the change brings in are planned, those it leaves out are
    cancelled at the CRM. `assigns`: on, the upcoming showings are given to their agents' users; off, what waits for a
    user is sent without one. Raises ValidationError naming each field, Connection.DoesNotExist; Stale
    when it last changed at another time than `seen_at`.
    """
    with transaction.atomic():
        connection = Connection.objects.select_for_update().defer("secrets").get(pk=connection_id)
        if seen_at is not None and connection.updated_at != seen_at:
            raise Stale
        before = RoutingFacts.of(connection)
        manifest = _manifest(connection.provider)
        cleaned = _Cleaned(manifest, data, connection, new=False)
        changes = changes_of(connection, cleaned.values)
        _refuse_another_account(connection, changes, manifest)
        stored = _readable(connection)
        secrets = {**stored, **cleaned.secrets}
        for name in forget_secrets:
            secrets.pop(name, None)
        new_secrets = sorted(name for name in secrets if secrets[name] != stored.get(name))
        gone = sorted(stored.keys() - secrets.keys())
        _apply(connection, changes)
        if new_secrets or gone:
            changes |= _new_secrets(connection, secrets)
        if not changes:
            return False
        _save(connection, [*changes, "updated_at"])
        _audit_update(connection, changes, new_secrets, gone, who=Who(actor, via, reason))
        if changes.get("assigns") == (True, False):
            unmapped.release(connection_id=connection.pk)
        ring_after_commit(connection.pk)
    if changes.get("assigns") == (False, True):
        regive(connection_id)
    follow(connection_id, before=before)
    return True


def pause(connection_id: int, *, actor: str, via: str, reason: str = "", seen_at: datetime | None = None) -> bool:
    """Nothing is sent until it is resumed; what happens meanwhile waits as operations. Raises as `resume`."""
    return _set_state(connection_id, ConnectionState.PAUSED, "connection.pause", Who(actor, via, reason), seen_at)


def resume(connection_id: int, *, actor: str, via: str, reason: str = "", seen_at: datetime | None = None) -> bool:
    """Send again, from whatever state; after `disabled`, what changed meanwhile is planned.

    Raises Connection.DoesNotExist; Stale when it last changed at another time than `seen_at`.
    """
    return _set_state(connection_id, ConnectionState.ACTIVE, "connection.resume", Who(actor, via, reason), seen_at)


def disable(connection_id: int, *, actor: str, via: str, reason: str = "", seen_at: datetime | None = None) -> bool:
    """Nothing is sent nor planned any more; what stands in the CRM stays there. Raises as `resume`."""
    return _set_state(connection_id, ConnectionState.DISABLED, "connection.disable", Who(actor, via, reason), seen_at)


def signed_in(
    connection_id: int,
    secrets: Mapping[str, str],
    expires_at: datetime | None,
    *,
    who: Who,
    account_key: str,
    verified_at: datetime | None,
) -> None:
    """Tokens that a person's sign-in at the CRM brought, for `account_key`, in place of the old ones: what waited goes
    on. Raises ValidationError when the connection is for another account by now."""
    with transaction.atomic():
        connection = Connection.objects.select_for_update().get(pk=connection_id)
        if connection.account_key != account_key:
            raise ValidationError("The connection was changed to another account meanwhile.")
        changes = _new_secrets(connection, {**_readable(connection), **secrets})
        changes["token_expires_at"] = (changes["token_expires_at"][0], expires_at)
        connection.token_expires_at = expires_at
        if verified_at is not None:
            connection.last_verified_at = verified_at
        _save(connection, [*changes, "last_verified_at", "updated_at"])
        _audit_update(connection, changes, sorted(secrets), [], who=who, verb="connection.sign_in")
        ring_after_commit(connection.pk)


def stored_secrets(connection: Connection) -> dict[str, str]:
    """For whoever signs in with them; never for a page. Empty when they cannot be decrypted."""
    return _readable(connection)


def _set_state(connection_id: int, state: ConnectionState, verb: str, who: Who, seen_at: datetime | None) -> bool:
    reason = who.reason
    with transaction.atomic():
        connection = Connection.objects.select_for_update().defer("secrets").get(pk=connection_id)
        if seen_at is not None and connection.updated_at != seen_at:
            raise Stale
        before = RoutingFacts.of(connection)
        if connection.state == state:
            return False
        changes: Changes = {"state": (connection.state, state)}
        connection.state, connection.state_reason = state, reason[:200]
        connection.save(update_fields=["state", "state_reason", "updated_at"])
        audit.record(verb, connection, actor=who.actor, via=who.via, reason=reason, **audit.sides(changes))
        if state == ConnectionState.ACTIVE:
            ring_after_commit(connection.pk)
    if before.state == ConnectionState.DISABLED:
        follow(connection_id, before=before)
    return True


def _first_state(paused: str, unsigned: str) -> ConnectionState:
    if paused:
        return ConnectionState.PAUSED
    return ConnectionState.AUTH_NEEDED if unsigned else ConnectionState.ACTIVE


def _readable(connection: Connection) -> dict[str, str]:
    """The stored secrets; none when they cannot be decrypted any more, so that new ones can be given."""
    try:
        stored: dict[str, str] = connection.secrets
    except Unreadable:
        return {}
    return stored


class _Cleaned:
    """Input as the model stores it: `values` for plain fields, config and account, `secrets` that were given."""

    def __init__(self, manifest: Manifest, data: Data, connection: Connection, *, new: bool) -> None:
        self.values: dict[str, Any] = {}
        self.secrets: dict[str, str] = {}
        self._errors: dict[str, list[str]] = {}
        self._data = data
        for name in _PLAIN:
            if name in data or (new and name == "label"):
                self._try(name, self._plain, name)
        self._scope(connection)
        config = {field.name: connection.config.get(field.name, "") for field in manifest.fields if not field.secret}
        for field in manifest.fields:
            self._try(field.name, self._field, field, config, new)
        if "limit_overrides" in data:
            self._try("limit_overrides", self._limits, manifest)
        if self._errors:
            raise ValidationError(self._errors)
        self.values["config"] = {name: value for name, value in config.items() if value}
        self.values["account_key"] = manifest.account_key(config)
        self._unique(manifest, connection)

    def _try(self, name: str, clean: Any, *args: Any) -> None:
        try:
            clean(*args)
        except ValidationError as error:
            self._errors.setdefault(name, []).extend(error.messages)

    def _plain(self, name: str) -> None:
        self.values[name] = clean_value(Connection._meta.get_field(name), self._data.get(name), required=True)
        if self.values[name] is None:
            raise ValidationError("Give the time's offset from UTC, for example 2026-01-01T00:00Z.")

    def _scope(self, connection: Connection) -> None:
        if not self._data.keys() & {"scope", "office_id", "agent_id"}:
            return
        scope = self.values.get("scope", connection.scope)
        for name, model, wanted in (
            ("office_id", Office, ConnectionScope.OFFICE),
            ("agent_id", Agent, ConnectionScope.AGENT),
        ):
            value = self._data.get(name, getattr(connection, name)) if scope == wanted else None
            if scope == wanted and not (isinstance(value, int) and model.objects.filter(pk=value).exists()):
                self._errors.setdefault(name, []).append(f"Choose the {scope} that this connection serves.")
            self.values[name] = value

    def _field(self, field: ConfigField, config: dict[str, str], new: bool) -> None:
        text = clean_text(self._data.get(field.name), MAX_SECRET if field.secret else MAX_CONFIG)
        if field.secret:
            if text:
                self.secrets[field.name] = text
            elif field.required and new:
                raise ValidationError("This must be given.")
            return
        if field.name in self._data:
            if text and field.choices and text not in field.choices:
                raise ValidationError(f"Choose one of: {', '.join(field.choices)}.")
            config[field.name] = text
        if field.required and not config[field.name]:
            raise ValidationError("This must be given.")

    def _limits(self, manifest: Manifest) -> None:
        given = self._data["limit_overrides"] or {}
        largest = {window.name: window.limit for window in manifest.limits}
        if not isinstance(given, dict) or not given.keys() <= largest.keys():
            raise ValidationError(f"Limits are given by name: {', '.join(largest)}.")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest[name]:
                raise ValidationError(f"“{name}” must be a whole number from 1 to {largest[name]}.")
        self.values["limit_overrides"] = given

    def _unique(self, manifest: Manifest, connection: Connection) -> None:
        others = Connection.objects.exclude(pk=connection.pk)
        if others.filter(label=self.values.get("label", connection.label)).exists():
            self._errors["label"] = ["Another connection has this label."]
        same = others.filter(provider=manifest.slug, account_key=self.values["account_key"]).first()
        if same is not None:
            self._errors[_account_field(manifest)] = [f"This account is connected already, as “{same.label}”."]
        if self._errors:
            raise ValidationError(self._errors)


def _manifest(provider: str) -> Manifest:
    try:
        return registry.manifest(provider)
    except registry.UnknownProviderError as error:
        raise ValidationError({"provider": [str(error)]}) from None


def _account_field(manifest: Manifest) -> str:
    """The field to name when something is wrong with the account."""
    return next(field.name for field in manifest.fields if field.required and not field.secret)


def _refuse_another_account(connection: Connection, changes: Changes, manifest: Manifest) -> None:
    if "account_key" in changes and Operation.objects.filter(connection=connection).exists():
        text = "This connection has records in its account already. Make a new connection for another account."
        raise ValidationError({_account_field(manifest): [text]})


def _apply(connection: Connection, changes: Changes) -> None:
    for name, (_, value) in changes.items():
        setattr(connection, name, value)


def _new_secrets(connection: Connection, secrets: dict[str, str]) -> Changes:
    """New credentials: what was known of the old ones ends, also that they were refused."""
    changes: Changes = {"secrets": (None, None)}
    changes["secrets_version"] = (connection.secrets_version, connection.secrets_version + 1)
    changes["token_expires_at"] = (connection.token_expires_at, None)
    if connection.state == ConnectionState.AUTH_NEEDED:
        changes["state"] = (connection.state, ConnectionState.ACTIVE)
        changes["state_reason"] = (connection.state_reason, "")
    _apply(connection, changes)
    connection.secrets = secrets
    return changes


def _save(connection: Connection, update_fields: list[str] | None = None) -> None:
    """Raises ValidationError when someone else took the label or the account in this very moment."""
    try:
        with transaction.atomic():
            connection.save(update_fields=update_fields)
    except IntegrityError:
        raise ValidationError({"label": ["Another connection has this label or this account."]}) from None


def _audit_update(
    connection: Connection,
    changes: Changes,
    given: list[str],
    gone: list[str],
    *,
    who: Who,
    verb: str = "connection.update",
) -> None:
    shown = {name: change for name, change in changes.items() if not name.startswith(("secrets", "token_"))}
    sides = audit.sides(shown)
    if given:
        sides["after"]["secrets given"] = given
    if gone:
        sides["after"]["secrets removed"] = gone
    audit.record(verb, connection, actor=who.actor, via=who.via, reason=who.reason, **sides)
