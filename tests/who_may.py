"""Who may do what, page by page: the table the permission tests hold the product to.

A role has everything the roles before it have. A page or path that is not in here fails the tests by its name: whoever
adds one decides here who may use it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Role(IntEnum):
    """Who asks. NOBODY: not even a superuser."""

    ANYONE = 0
    STRANGER = 1  # signed in, but not staff
    STAFF = 2  # staff in no group
    VIEWER = 3
    OPERATOR = 4
    MANAGER = 5
    SUPERUSER = 6
    NOBODY = 7


ANYONE, STAFF, VIEWER, OPERATOR, MANAGER = Role.ANYONE, Role.STAFF, Role.VIEWER, Role.OPERATOR, Role.MANAGER
SUPERUSER, NOBODY = Role.SUPERUSER, Role.NOBODY


class Page(NamedTuple):
    """The least role that may look (GET) and that may do (POST). `shows`: a POST does no more than a GET."""

    look: Role
    do: Role
    shows: bool = False


def same(role: Role) -> Page:
    """Who may see the question may do it."""
    return Page(role, role)


def shown(role: Role) -> Page:
    """A page that only shows, whatever the method."""
    return Page(role, role, shows=True)


class Records(NamedTuple):
    """The least role for each page that every kind of record has in the admin."""

    view: Role
    add: Role
    change: Role
    delete: Role


RECORDS = {
    "integrations_agent": Records(VIEWER, MANAGER, MANAGER, MANAGER),
    "integrations_apitoken": Records(MANAGER, MANAGER, NOBODY, NOBODY),
    "integrations_auditevent": Records(VIEWER, NOBODY, NOBODY, NOBODY),
    "integrations_connection": Records(VIEWER, MANAGER, MANAGER, MANAGER),
    "integrations_contact": Records(VIEWER, OPERATOR, OPERATOR, MANAGER),
    "integrations_delivery": Records(VIEWER, NOBODY, NOBODY, NOBODY),
    "integrations_feedback": Records(VIEWER, OPERATOR, OPERATOR, NOBODY),
    "integrations_importrun": Records(VIEWER, NOBODY, NOBODY, NOBODY),
    "integrations_office": Records(VIEWER, MANAGER, MANAGER, MANAGER),
    "integrations_operation": Records(VIEWER, NOBODY, NOBODY, NOBODY),
    "integrations_refusedrequest": Records(VIEWER, NOBODY, NOBODY, NOBODY),
    "integrations_tour": Records(VIEWER, OPERATOR, NOBODY, MANAGER),  # changed on its edit page
    "integrations_webhooksource": Records(VIEWER, MANAGER, MANAGER, NOBODY),
    **dict.fromkeys(
        (
            "auth_user",
            "auth_group",
            "django_celery_beat_periodictask",
            "django_celery_beat_intervalschedule",
            "django_celery_beat_crontabschedule",
            "django_celery_beat_solarschedule",
            "django_celery_beat_clockedschedule",
        ),
        Records(SUPERUSER, SUPERUSER, SUPERUSER, SUPERUSER),
    ),
}

PAGES = {
    "login": shown(ANYONE),
    "logout": Page(NOBODY, STAFF),
    "index": shown(STAFF),
    "app_list": shown(VIEWER),
    "search": shown(STAFF),
    "jsi18n": Page(STAFF, NOBODY),
    "autocomplete": Page(VIEWER, NOBODY),
    "password_change": same(STAFF),
    "password_change_done": Page(STAFF, NOBODY),
    "view_on_site": shown(NOBODY),  # no record of ours has an address outside the admin
    "auth_user_password_change": same(SUPERUSER),
    "integrations_apitoken_change": shown(MANAGER),
    "integrations_apitoken_revoke": same(MANAGER),
    # A connection
    "integrations_connection_agents": Page(VIEWER, NOBODY),
    "integrations_connection_accounts": Page(MANAGER, NOBODY),
    "integrations_connection_signed_in": Page(MANAGER, NOBODY),
    **dict.fromkeys(
        (
            "integrations_connection_sign_in",
            "integrations_connection_test",
            "integrations_connection_account",
            "integrations_connection_go",
            "integrations_connection_pause",
            "integrations_connection_resume",
            "integrations_connection_disable",
            "integrations_connection_force_open",
            "integrations_connection_force_close",
            "integrations_connection_circuit_off",
            "integrations_connection_circuit_counts",
            "integrations_connection_circuit_automatic",
            "integrations_connection_take_back",
            "integrations_connection_map_suggested",
            "integrations_connection_map_agent",
            "integrations_connection_unmap_agent",
        ),
        same(MANAGER),
    ),
    # Imports
    "integrations_importrun_sample": shown(VIEWER),
    "integrations_importrun_import": same(MANAGER),
    "integrations_importrun_process_import": Page(NOBODY, MANAGER),
    "integrations_importrun_preview": shown(MANAGER),
    "integrations_importrun_bad_rows": shown(MANAGER),
    "integrations_importrun_cancel": Page(NOBODY, MANAGER),
    "integrations_importrun_undo": same(MANAGER),
    # One verb on many operations
    "integrations_operation_bulk_runs": Page(VIEWER, NOBODY),
    "integrations_operation_bulk": Page(VIEWER, NOBODY),
    "integrations_operation_bulk_confirm": Page(NOBODY, OPERATOR),
    "integrations_operation_bulk_stop": Page(NOBODY, OPERATOR),
    # What staff do all day
    **dict.fromkeys(
        (
            "integrations_delivery_replay",
            "integrations_operation_verb",
            "integrations_contact_leave_out",
            "integrations_contact_take_back",
            "integrations_contact_archive",
            "integrations_contact_merge",
            "integrations_contact_unarchive",
            "integrations_tour_edit",
            "integrations_tour_leave_out",
            "integrations_tour_take_back",
            "integrations_tour_press",
            "integrations_tour_press_stop",
            "integrations_tour_press_stops",
            "integrations_tour_shift_stop",
            "integrations_tour_cancel",
            "integrations_tour_undo",
            "integrations_tour_archive",
            "integrations_tour_unarchive",
            "integrations_tour_stop_status",
            "integrations_tour_stop_outcome",
        ),
        same(OPERATOR),
    ),
    "integrations_contact_merge_with": Page(OPERATOR, NOBODY),
    "integrations_tour_delete_stop": same(OPERATOR),
}
"""Name of a page → who may use it; besides the pages of `RECORDS`."""


def page_of(name: str) -> Page | None:
    """The decision for a page's name; None when nobody decided yet."""
    if name in PAGES:
        return PAGES[name]
    record, _, kind = name.rpartition("_")
    known = RECORDS.get(record)
    if known is None:
        return None
    return {
        "changelist": shown(known.view),
        "history": shown(known.view),
        "add": same(known.add),
        "change": Page(known.view, known.change),
        "delete": same(known.delete),
    }.get(kind)


class Call(NamedTuple):
    """What a request of the API needs: the scope of a token, and the least role of a person."""

    scope: str
    role: Role


CALLS = {
    "GET /api/tours": Call("tours:read", VIEWER),
    "POST /api/tours": Call("tours:write", OPERATOR),
    "GET /api/tours/{id}": Call("tours:read", VIEWER),
    "PATCH /api/tours/{id}": Call("tours:write", OPERATOR),
    "DELETE /api/tours/{id}": Call("records:delete", MANAGER),
    "GET /api/tours/{id}/plan": Call("tours:read", VIEWER),
    "GET /api/tours/{id}/stops/{stop_id}/plan": Call("tours:read", VIEWER),
    **{
        f"POST /api/tours/{{id}}/{verb}": Call("tours:write", OPERATOR)
        for verb in ("archive", "cancel", "complete", "press", "unarchive", "undo")
    },
    **{
        f"POST /api/tours/{{id}}/stops/{{stop_id}}/{verb}": Call("tours:write", OPERATOR)
        for verb in ("move", "outcome", "press", "status")
    },
    "DELETE /api/tours/{id}/stops/{stop_id}": Call("tours:write", OPERATOR),
    "GET /api/sync-state/{id}": Call("tours:read", VIEWER),
    "GET /api/feedback": Call("feedback:read", VIEWER),
    "POST /api/feedback": Call("feedback:write", OPERATOR),
    "GET /api/feedback/{id}": Call("feedback:read", VIEWER),
    "PATCH /api/feedback/{id}": Call("feedback:write", OPERATOR),
    "GET /api/contacts": Call("contacts:read", VIEWER),
    "POST /api/contacts": Call("contacts:write", OPERATOR),
    "GET /api/contacts/{id}": Call("contacts:read", VIEWER),
    "PATCH /api/contacts/{id}": Call("contacts:write", OPERATOR),
    "POST /api/contacts/{id}/archive": Call("contacts:write", OPERATOR),
    "POST /api/contacts/{id}/unarchive": Call("contacts:write", OPERATOR),
    "DELETE /api/contacts/{id}": Call("records:delete", MANAGER),
    "GET /api/contacts/{id}/merge": Call("contacts:merge", OPERATOR),
    "POST /api/contacts/{id}/merge": Call("contacts:merge", OPERATOR),
    "GET /api/agents": Call("agents:read", VIEWER),
    "POST /api/agents": Call("agents:write", MANAGER),
    "GET /api/agents/{id}": Call("agents:read", VIEWER),
    "PATCH /api/agents/{id}": Call("agents:write", MANAGER),
    "DELETE /api/agents/{id}": Call("records:delete", MANAGER),
    "GET /api/offices": Call("agents:read", VIEWER),
    "POST /api/offices": Call("agents:write", MANAGER),
    "GET /api/offices/{id}": Call("agents:read", VIEWER),
    "PATCH /api/offices/{id}": Call("agents:write", MANAGER),
    "DELETE /api/offices/{id}": Call("records:delete", MANAGER),
    "GET /api/left-out": Call("left-out:read", VIEWER),
    "POST /api/left-out": Call("left-out:write", OPERATOR),
    "GET /api/left-out/{id}": Call("left-out:read", VIEWER),
    "POST /api/left-out/plan": Call("left-out:read", VIEWER),
    "POST /api/left-out/{id}/take-back": Call("left-out:write", OPERATOR),
    "GET /api/connections": Call("connections:read", VIEWER),
    "POST /api/connections": Call("connections:write", MANAGER),
    "GET /api/connections/{id}": Call("connections:read", VIEWER),
    "PATCH /api/connections/{id}": Call("connections:write", MANAGER),
    "DELETE /api/connections/{id}": Call("records:delete", MANAGER),
    "POST /api/connections/plan": Call("connections:read", VIEWER),
    "POST /api/connections/test": Call("connections:write", MANAGER),
    "POST /api/connections/{id}/plan": Call("connections:read", VIEWER),
    **{
        f"POST /api/connections/{{id}}/{verb}": Call("connections:write", MANAGER)
        for verb in ("disable", "pause", "resume", "test")
    },
    "GET /api/connections/{id}/agents": Call("connections:read", VIEWER),
    "GET /api/connections/{id}/users": Call("connections:write", MANAGER),
    "POST /api/connections/{id}/agents/{agent_id}/map": Call("connections:write", MANAGER),
    "POST /api/connections/{id}/agents/{agent_id}/unmap": Call("connections:write", MANAGER),
    "GET /api/operations": Call("operations:read", VIEWER),
    "GET /api/operations/{id}": Call("operations:read", VIEWER),
    **{
        f"POST /api/operations/{{id}}/{verb}": Call("operations:act", OPERATOR)
        for verb in (
            "arrived",
            "cancel",
            "keep-theirs",
            "leave-out",
            "not-arrived",
            "recreate",
            "retry",
            "send-ours",
            "skip",
        )
    },
}
"""Every request there is at the API; any other is answered with 405."""
