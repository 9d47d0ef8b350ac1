"""Agents and the users they are in a CRM: reading who there is, suggesting, mapping.

Mapping lets what waited for it go on at once. A changed mapping hands the agent's upcoming showings to the new user;
what is over stays with whom it was given to, and so does a task that stands. Every verb is audited, and doing it twice
is doing it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from integrations import wiring
from integrations.engine.trying import scrub
from integrations.fields import Unreadable
from integrations.models import Agent, AgentUser, Connection, ConnectionScope, ConnectionState, Tour
from integrations.providers.base import ProviderUser
from integrations.providers.errors import AuthError, ProviderError

from . import audit, unmapped
from .audit import Who
from .refusals import NotPossible
from .routes import regive

WITHIN_S = 8.0
"""Reading the users takes so long at most: a person waits for the page."""
MAX_ID, MAX_NAME, MAX_EMAIL = 120, 160, 254
AGAIN = "Try again in a moment."


@dataclass(frozen=True, slots=True)
class Mapped:
    """What mapping did: `released` operations go on at once, `moved` showings are handed to the new user."""

    changed: bool = False
    released: int = 0
    moved: int = 0


def read_users(connection: Connection) -> list[ProviderUser]:
    """Who has a login there now, by name. Asks the provider, so never inside a transaction.

    Raises NotPossible, saying why and what to do.
    """
    if connection.state == ConnectionState.DISABLED:
        raise NotPossible("This connection is disabled, so its CRM is not asked for its users. Resume it first.")
    try:
        found = wiring.link(connection).users(within_s=WITHIN_S)
    except ProviderError as error:
        advice = error.advice if isinstance(error, AuthError) else AGAIN
        raise NotPossible(f"{_unread(connection, error.message)} {advice}") from None
    except Unreadable:
        raise NotPossible(_unread(connection, "the stored credentials cannot be decrypted")) from None
    except (LookupError, ValueError) as error:
        raise NotPossible(_unread(connection, str(error))) from None
    usable = [user for user in found if 0 < len(user.id) <= MAX_ID]
    return sorted(usable, key=lambda user: ((user.name or user.email).casefold(), user.id))


def _unread(connection: Connection, why: str) -> str:
    # Credentials that cannot be read were not sent, so nothing of them can have been echoed.
    with suppress(Unreadable):
        why = scrub(why, connection.secrets or {})
    return f"The CRM’s users could not be read: {why.rstrip('.')}."


def suggestions(agents: Iterable[Agent], users: Sequence[ProviderUser]) -> dict[int, ProviderUser]:
    """Agent id → the one user with the same e-mail address, compared without case. Pure; applies nothing."""
    by_email: dict[str, list[ProviderUser]] = {}
    for user in users:
        by_email.setdefault(user.email.strip().casefold(), []).append(user)
    found = {}
    for agent in agents:
        same = by_email.get(agent.email.strip().casefold(), [])
        if len(same) == 1 and agent.email.strip():
            found[agent.pk] = same[0]
    return found


def served(connection: Connection, always: Iterable[int] = ()) -> QuerySet[Agent]:
    """Agents this connection serves, active or with tours since it syncs; and `always` these."""
    found = Q(active=True) | Q(pk__in=Tour.objects.filter(starts_at__gte=connection.sync_from).values("agent"))
    if connection.scope == ConnectionScope.OFFICE:
        found &= Q(office_id=connection.office_id)
    elif connection.scope == ConnectionScope.AGENT:
        found &= Q(pk=connection.agent_id)
    return Agent.objects.filter(found | Q(pk__in=list(always)))


def held_up_at(connection: Connection) -> dict[int, int]:
    """Agent id → how many operations wait for a user of this agent, who has none there. One query."""
    return dict(unmapped.held_up(connection.pk, unmapped_only=True))


def map_agent(connection_id: int, agent_id: int, user: ProviderUser, who: Who) -> Mapped:
    """`user` is the agent in this CRM from now on. Raises Agent.DoesNotExist, Connection.DoesNotExist."""
    with transaction.atomic():
        # Whoever maps the same agent in the same moment waits here.
        agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
        connection = Connection.objects.defer("secrets").get(pk=connection_id)
        known = AgentUser.objects.filter(connection=connection, agent=agent).first()
        if known is not None and known.external_id == user.id:
            return Mapped()
        before = _said(agent, known)
        if known is None:
            known = AgentUser(connection=connection, agent=agent)
        known.external_id, known.name, known.email = user.id, user.name[:MAX_NAME], user.email[:MAX_EMAIL]
        known.save()
        audit.record_all(
            [audit.event("connection.map_agent", connection, who, before=before, after=_said(agent, known))]
        )
        released = unmapped.release(Tour.objects.filter(agent=agent), connection_id=connection_id)
    return Mapped(changed=True, released=released, moved=regive(connection_id, agent_id=agent_id))


def map_agents(connection_id: int, chosen: Mapping[int, ProviderUser], who: Who) -> Mapped:
    """Several agents who have no user there yet; one that was mapped meanwhile is left as it is. What it did in all."""
    taken = set(AgentUser.objects.filter(connection_id=connection_id).values_list("agent_id", flat=True))
    done = [map_agent(connection_id, pk, chosen[pk], who) for pk in sorted(chosen.keys() - taken)]
    return Mapped(
        changed=any(one.changed for one in done),
        released=sum(one.released for one in done),
        moved=sum(one.moved for one in done),
    )


def unmap_agent(connection_id: int, agent_id: int, who: Who) -> bool:
    """The agent is nobody there; whether that is new. Nothing is sent: what stands keeps its user, what comes waits."""
    with transaction.atomic():
        known = AgentUser.objects.select_for_update().filter(connection_id=connection_id, agent_id=agent_id).first()
        if known is None:
            return False
        connection = Connection.objects.defer("secrets").get(pk=connection_id)
        before = _said(Agent.objects.get(pk=agent_id), known)
        known.delete()
        audit.record_all([audit.event("connection.unmap_agent", connection, who, before=before)])
    return True


def _said(agent: Agent, user: AgentUser | None) -> dict[str, str | None]:
    shown = None if user is None else f"{user} ({user.external_id})"
    return {"agent": f"{agent.name} ({agent.email})", "user": shown}
