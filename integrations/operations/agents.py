"""Agents and offices: making and changing them. What hangs on it (whose tours go where, a name CRMs show) follows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction

from integrations.models import Agent, Office

from . import audit
from .audit import Changes, Who
from .people import changes_of
from .refusals import Stale
from .routes import follow_agent, follow_agent_name
from .values import clean_value

AGENT_FIELDS = ("name", "email", "mls_id", "office", "active")
OFFICE_FIELDS = ("name",)
_Made = TypeVar("_Made", Agent, Office)


def save_agent(
    data: Mapping[str, Any], who: Who, *, agent_id: int | None = None, seen_at: datetime | None = None
) -> Agent:
    """Create an agent (name and email must be given), or change what `data` holds. `office`: an Office or None.

    Tours of an agent who moved are planned anew once this is committed, and those of one who has another name.
    Raises ValidationError naming each field, Agent.DoesNotExist; Stale when it last changed at another time than
    `seen_at`.
    """
    with transaction.atomic():
        agent, changes = _saved(Agent, "agent", AGENT_FIELDS, data, who, agent_id, seen_at)
        pk = agent.pk
        if agent_id is not None and "office" in changes:
            before = changes["office"][0]
            # Tours are replanned in short transactions of their own, once the move is stored.
            transaction.on_commit(lambda: _follow(pk, before.pk if before else None))
        if agent_id is not None and "name" in changes:
            transaction.on_commit(lambda: _follow_name(pk))
    return agent


def save_office(
    data: Mapping[str, Any], who: Who, *, office_id: int | None = None, seen_at: datetime | None = None
) -> Office:
    """Create an office, or change its name. Raises as `save_agent`."""
    with transaction.atomic():
        return _saved(Office, "office", OFFICE_FIELDS, data, who, office_id, seen_at)[0]


def _saved(
    model: type[_Made],
    noun: str,
    names: tuple[str, ...],
    data: Mapping[str, Any],
    who: Who,
    pk: int | None,
    seen_at: datetime | None,
) -> tuple[_Made, Changes]:
    rows = model._default_manager
    record = model() if pk is None else rows.select_for_update().get(pk=pk)
    if pk is not None and seen_at is not None and record.updated_at != seen_at:
        raise Stale
    values = _cleaned(model, {name: data.get(name) for name in names if name in data or _needed(model, name, pk)})
    changes = changes_of(record, values)
    if pk is not None and not changes:
        return record, {}
    for name, value in values.items():
        setattr(record, name, value)
    _check(record)
    try:
        with transaction.atomic():
            record.save()
    except IntegrityError:  # someone took it in this very moment
        raise ValidationError({_unique(model): ["This is taken already."]}) from None
    if pk is None:
        audit.record(f"{noun}.create", record, actor=who.actor, via=who.via, reason=who.reason, after=values)
    else:
        told = audit.sides(changes)
        audit.record(f"{noun}.update", record, actor=who.actor, via=who.via, reason=who.reason, **told)
    return record, changes


def _needed(model: type[models.Model], name: str, pk: int | None) -> bool:
    field: Any = model._meta.get_field(name)
    return pk is None and not field.blank and not field.has_default()


def _cleaned(model: type[models.Model], wanted: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, value in wanted.items():
        field: Any = model._meta.get_field(name)
        if field.is_relation:
            values[name] = value
            continue
        try:
            values[name] = clean_value(field, value, required=not field.blank and not field.has_default())
        except ValidationError as error:
            errors[name] = list(error.messages)
    if errors:
        raise ValidationError(errors)
    return values


def _check(record: models.Model) -> None:
    try:
        record.full_clean()
    except ValidationError as error:
        told = dict(error.message_dict)
        if NON_FIELD_ERRORS in told:  # the rule over an address without case belongs to the address
            told.setdefault(_unique(type(record)), []).extend(told.pop(NON_FIELD_ERRORS))
        raise ValidationError(told) from None


def _unique(model: type[models.Model]) -> str:
    return "email" if model is Agent else "name"


def _follow(agent_id: int, office_before: int | None) -> None:
    follow_agent(agent_id, office_before=office_before)


def _follow_name(agent_id: int) -> None:
    follow_agent_name(agent_id)
