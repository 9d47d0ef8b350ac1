"""Who may do what: scopes of the API in Django's permissions, and the groups a new installation starts with.

The groups are made by a migration that wrote this table down as it was then; a test holds the two together. Staff may
change their groups afterwards; nothing here changes them back.
"""

from __future__ import annotations

from collections.abc import Mapping

APP = "integrations"

SCOPES: Mapping[str, tuple[str, ...]] = {
    "tours:read": ("view_tour",),
    "tours:write": ("add_tour", "change_tour"),
    "feedback:read": ("view_feedback",),
    "feedback:write": ("add_feedback", "change_feedback"),
    "contacts:read": ("view_contact",),
    "contacts:write": ("add_contact", "change_contact"),
    "contacts:merge": ("change_contact", "change_tour"),
    "agents:read": ("view_agent", "view_office"),
    "agents:write": ("add_agent", "change_agent", "add_office", "change_office"),
    "connections:read": ("view_connection",),
    "connections:write": ("add_connection", "change_connection"),
    "operations:read": ("view_operation",),
    "operations:act": ("change_operation",),
    "left-out:read": ("view_leftout",),
    "left-out:write": ("add_leftout", "change_leftout", "delete_leftout"),
    "records:delete": tuple(f"delete_{name}" for name in ("tour", "contact", "agent", "office", "connection")),
}
"""Scope → the permissions a person must have for it. A token has no more than its owner.

A merge of two buyers changes both and whose their tours are: it needs the rights for each.
"""

_VIEWED = (
    "agent", "agentuser", "attempt", "auditevent", "connection", "contact", "delivery", "externalref", "feedback",
    "importitem", "importrun", "leftout", "office", "operation", "operationdependency", "refusedrequest", "tour",
    "tourstop", "webhooksource",
)  # fmt: skip
_VIEWER = tuple(f"view_{name}" for name in _VIEWED)
_OPERATOR = (
    *_VIEWER,
    *(
        f"{verb}_{name}"
        for name in ("tour", "tourstop", "feedback", "contact", "leftout")
        for verb in ("add", "change")
    ),
    "delete_leftout",
    "change_operation",
    "change_delivery",
)
_MANAGER = (
    *_OPERATOR,
    *(
        f"{verb}_{name}"
        for name in ("connection", "agent", "office", "agentuser", "importrun", "webhooksource")
        for verb in ("add", "change")
    ),
    *(f"delete_{name}" for name in ("tour", "tourstop", "contact", "connection", "agent", "office", "agentuser")),
    *(f"{verb}_apitoken" for verb in ("view", "add", "change")),
)

ROLES: Mapping[str, tuple[str, ...]] = {"viewer": _VIEWER, "operator": _OPERATOR, "manager": _MANAGER}
"""Group → codenames of this app's permissions."""


def permissions_of(scope: str) -> tuple[str, ...]:
    """The permissions behind a scope, as `has_perm` takes them. Raises KeyError for a scope there is not."""
    return tuple(f"{APP}.{codename}" for codename in SCOPES[scope])
