"""A connection's page of agents and users: who is whom in that CRM, who holds work up, who is suggested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from integrations.models import Agent, AgentUser, Connection
from integrations.operations import agent_users, routes, unmapped
from integrations.operations.agent_users import Mapped
from integrations.operations.refusals import NotPossible
from integrations.providers.base import ProviderUser

from .pages import Page, Question, ReasonForm, ask, view_path, who

PER_PAGE = 50
SHOWN = 100
MAX_ID = 2**63


@dataclass(frozen=True, slots=True)
class Row:
    """One agent at this connection. `gone`: the CRM does not list that user any more."""

    agent: Agent
    user: AgentUser | None
    suggestion: ProviderUser | None
    waits: int
    gone: bool = False


def rows_of(connection: Connection, users: Sequence[ProviderUser] | None) -> list[Row]:
    """Everyone whose tours may come here, those who hold work up first. `users`: None when they are not known now."""
    known = {row.agent_id: row for row in AgentUser.objects.filter(connection=connection)}
    held = unmapped.held_up(connection.pk)
    agents = list(agent_users.served(connection, {*known, *held}))
    suggested = agent_users.suggestions((agent for agent in agents if agent.pk not in known), users or ())
    listed = {user.id for user in users or ()}
    rows = [
        Row(
            agent,
            known.get(agent.pk),
            suggested.get(agent.pk),
            0 if agent.pk in known else held[agent.pk],
            gone=users is not None and agent.pk in known and known[agent.pk].external_id not in listed,
        )
        for agent in agents
    ]
    return sorted(rows, key=lambda row: (-row.waits, row.agent.name.casefold(), row.agent.pk))


def held_words(held: Mapping[int, int]) -> str:
    """Who holds work up for want of a user; empty when nobody does."""
    if not held:
        return ""
    number = sum(held.values())
    agents = "1 agent" if len(held) == 1 else f"{len(held)} agents"
    waits = "1 operation waits" if number == 1 else f"{number} operations wait"
    return f"{agents} not mapped: {waits}"


def label_of(user: ProviderUser) -> str:
    """A user as staff tell them apart."""
    return ", ".join(part for part in (user.name, user.email) if part) or user.id


class AgentUserPages(Page):
    """The pages under a connection where its agents are mapped. The CRM is only asked for those who may map."""

    def get_urls(self) -> list[Any]:
        own = [
            view_path(self, "agents", self.agents_view, "agents"),
            view_path(self, "agents/suggested", self.suggested_view, "map_suggested"),
            view_path(self, "agents/<int:agent_id>", self.map_view, "map_agent"),
            view_path(self, "agents/<int:agent_id>/unmap", self.unmap_view, "unmap_agent"),
        ]
        return [*own, *super().get_urls()]

    def agents_url(self, connection: Connection) -> str:
        return reverse(f"admin:{self.url_name('agents')}", args=[connection.pk])

    def agents_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The table."""
        connection = self.found(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, connection):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        may_map = self.has_change_permission(request, connection)
        users, problem = self._users(connection) if may_map else (None, "")
        rows = rows_of(connection, users)
        suggested = [row for row in rows if row.suggestion]
        only = request.GET.get("unmapped") == "1"
        page = Paginator([row for row in rows if not (only and row.user)], PER_PAGE).get_page(request.GET.get("p"))
        context = self.frame(
            request,
            connection,
            f"Agents and users of “{connection}”",
            may_map=may_map,
            users=users,
            problem=problem,
            page=page,
            only=only,
            all_count=len(rows),
            unmapped_count=sum(row.user is None for row in rows),
            suggested_count=len(suggested),
            held=held_words({row.agent.pk: row.waits for row in rows if row.waits}),
            waiting_url=waiting_url(connection),
        )
        return TemplateResponse(request, "admin/integrations/connection/agents.html", context)

    def map_view(self, request: HttpRequest, object_id: str, agent_id: int) -> HttpResponse:
        """Say which user an agent is."""
        connection, agent, answer = self._agent(request, object_id, agent_id)
        if answer is not None:
            return answer
        users, problem = self._users(connection)
        if not users:
            told = problem or "This CRM has no users: add them there first."
            self.message_user(request, f"{told} Nothing was changed.", messages.ERROR)
            return HttpResponseRedirect(self.agents_url(connection))
        known = AgentUser.objects.filter(connection=connection, agent=agent).first()
        suggestion = agent_users.suggestions([agent], users).get(agent.pk)
        first = known.external_id if known else suggestion.id if suggestion else ""
        by_id = {user.id: user for user in users}

        def act(form: forms.Form) -> str:
            user = by_id[form.cleaned_data["user"]]
            done = agent_users.map_agent(connection.pk, agent.pk, user, who(request, form.cleaned_data["reason"]))
            return f"{agent} is {label_of(user)}{_consequences(done)}"

        question = Question(
            title=f"Who is {agent} in “{connection}”?",
            button=f"Map {agent}",
            says=_says(connection, agent, known, suggestion),
            act=act,
            form=_map_form(users, connection, agent),
            initial={"user": first},
        )
        return ask(self, request, connection, question, self.agents_url(connection))

    def unmap_view(self, request: HttpRequest, object_id: str, agent_id: int) -> HttpResponse:
        """The agent is nobody there any more."""
        connection, agent, answer = self._agent(request, object_id, agent_id)
        if answer is not None:
            return answer

        def act(form: forms.Form) -> str:
            by = who(request, form.cleaned_data["reason"])
            done = agent_users.unmap_agent(connection.pk, agent.pk, by)
            return f"{agent} has no user in “{connection}” now." if done else f"{agent} had none: nothing was changed."

        known = AgentUser.objects.filter(connection=connection, agent=agent).first()
        question = Question(
            title=f"Unmap {agent} in “{connection}”?",
            button="Unmap",
            says=(
                f"{agent} is {known} there now." if known else f"{agent} has no user there.",
                "Nothing is sent: what stands in the CRM keeps its user.",
                "New and changed showings of this agent, and follow-up tasks, wait until the agent is mapped again."
                if connection.assigns
                else "This connection gives showings to nobody, so nothing waits.",
            ),
            act=act,
            danger=True,
            form=ReasonForm,
        )
        return ask(self, request, connection, question, self.agents_url(connection))

    def suggested_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Apply all suggestions that are listed, and no other."""
        connection = self.found(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied
        users, problem = self._users(connection)
        rows = [row for row in rows_of(connection, users or ()) if row.suggestion]
        if not rows and request.method != "POST":
            told = problem or "There is nothing to suggest: no unmapped agent has the e-mail address of a user."
            self.message_user(request, told, messages.ERROR if problem else messages.WARNING)
            return HttpResponseRedirect(self.agents_url(connection))
        found = {f"{row.agent.pk}={row.suggestion.id}": row for row in rows if row.suggestion}

        def act(form: forms.Form) -> str:
            if problem:
                raise NotPossible(f"{problem} Nothing was changed.")
            listed = form.cleaned_data["seen"]
            seen = {str(key) for key in listed} if isinstance(listed, list) else set()
            chosen = {row.agent.pk: row.suggestion for key, row in found.items() if key in seen and row.suggestion}
            done = agent_users.map_agents(connection.pk, chosen, who(request, form.cleaned_data["reason"]))
            names = "1 agent was mapped" if len(chosen) == 1 else f"{len(chosen)} agents were mapped"
            return f"{names}{_consequences(done)}"

        waits = sum(row.waits for row in rows)
        question = Question(
            title=f"Apply {len(rows)} suggestion{'' if len(rows) == 1 else 's'} to “{connection}”?",
            button="Apply all of these",
            says=(
                "Each of these agents has the same e-mail address as one user of the CRM.",
                f"{waits} operation{' waits' if waits == 1 else 's wait'} for them and go on at once."
                if waits
                else "Nothing waits for them now.",
            ),
            items=[
                f"{row.agent} is {label_of(row.suggestion)} ({row.suggestion.id})"
                for row in rows[:SHOWN]
                if row.suggestion
            ]
            + ([f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []),
            act=act,
            form=_SeenForm,
            initial={"seen": list(found)},
        )
        return ask(self, request, connection, question, self.agents_url(connection))

    def _users(self, connection: Connection) -> tuple[list[ProviderUser] | None, str]:
        """The users, or None and why not. Takes 8 s at most, and no transaction is open."""
        try:
            return agent_users.read_users(connection), ""
        except NotPossible as error:
            return None, str(error)

    def _agent(
        self, request: HttpRequest, object_id: str, agent_id: int
    ) -> tuple[Connection, Agent, None] | tuple[Any, Any, HttpResponse]:
        """The connection and the agent, for who may map them; else the answer that says why not."""
        connection = self.found(request, object_id)
        if connection is None:
            return None, None, self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied
        agent = Agent.objects.filter(pk=agent_id).first() if agent_id < MAX_ID else None
        if agent is None:
            self.message_user(request, "There is no such agent. Perhaps it was deleted.", messages.WARNING)
            return None, None, HttpResponseRedirect(self.agents_url(connection))
        return connection, agent, None


class _SeenForm(ReasonForm):
    """What was listed when the button was shown."""

    # JSON: a browser would send other line ends than it was given.
    seen = forms.JSONField(widget=forms.HiddenInput, required=False)


def _map_form(users: Sequence[ProviderUser], connection: Connection, agent: Agent) -> type[ReasonForm]:
    others = AgentUser.objects.filter(connection=connection).exclude(agent=agent).select_related("agent")
    taken: dict[str, list[str]] = {}
    for other in others:
        taken.setdefault(other.external_id, []).append(other.agent.name)
    choices = [
        (user.id, label_of(user) + (f" (now {', '.join(taken[user.id])})" if user.id in taken else ""))
        for user in users
    ]

    class MapForm(ReasonForm):
        user = forms.ChoiceField(
            label="User in the CRM", choices=[("", "—"), *choices], error_messages={"required": "Choose a user."}
        )
        field_order = ("user", "reason")

    return MapForm


def _says(
    connection: Connection, agent: Agent, known: AgentUser | None, suggestion: ProviderUser | None
) -> tuple[str, ...]:
    said = []
    if known:
        said.append(f"{agent} is {known} there now.")
    elif suggestion:
        said.append(f"Suggested: {label_of(suggestion)}, who has the same e-mail address.")
    else:
        said.append(f"No user there has the address {agent.email}.")
    if not connection.assigns:
        return (*said, "This connection gives showings to nobody; the mapping counts once it does.")
    waits = 0 if known else unmapped.held_up(connection.pk)[agent.pk]
    moves = len(routes.upcoming(connection, agent_id=agent.pk))
    if waits:
        said.append(
            f"{waits} operation{' waits and is' if waits == 1 else 's wait and are'} sent to this user at once."
        )
    if moves:
        said.append(f"{moves} upcoming showing{' is' if moves == 1 else 's are'} handed to this user in the CRM.")
    return (*said, "Showings that are over and tasks that stand keep whom they were given to.")


def _consequences(done: Mapped) -> str:
    if not done.changed:
        return " already: nothing was changed."
    parts = []
    if done.released:
        parts.append(f"{done.released} waiting operation{' goes' if done.released == 1 else 's go'} on")
    if done.moved:
        parts.append(f"{done.moved} upcoming showing{' is' if done.moved == 1 else 's are'} handed over")
    return f" now; {', '.join(parts)}." if parts else " now."


def waiting_url(connection: Connection) -> str:
    """The operations that wait for a user there."""
    query = urlencode({"connection": connection.pk, "reason": unmapped.REASON, "state": "waiting"})
    return f"{reverse('admin:integrations_operation_changelist')}?{query}"
