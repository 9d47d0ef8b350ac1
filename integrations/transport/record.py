"""What passed on the wire, fit to be kept and shown: no header, no person, no text that is not on a list.

Values are kept by an allow-list of field names; everything else is a bullet, so that what a vendor adds tomorrow is
not kept by accident. Of a query only the names are kept: look-ups carry e-mail addresses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from integrations.texts import readable

HIDDEN = "•••"
MOST_ITEMS = 5
DEEPEST = 6
LONGEST_TEXT = 300
LONGEST = 4_000

SHOWN = frozenset({
    # what a record is and where it hangs
    "id", "contactId", "personId", "calendarId", "locationId", "userId", "assignedUserId", "assignedTo",
    "appointmentTypeId", "appointmentOutcomeId", "originalIds",
    # showings and tasks
    "title", "address", "location", "startTime", "endTime", "startsAt", "endsAt", "isAllDay", "dueDate", "dueDateTime",
    "appointmentStatus", "meetingLocationType", "toNotify", "ignoreDateRange", "ignoreFreeSlotValidation",
    "overrideLocationConfig", "completed", "isCompleted", "type", "tags", "orderWeight", "isHtml", "source",
    # how it went
    "status", "statusCode", "code", "message", "error", "errors", "msg", "detail", "traceId", "success", "succeeded",
    "succeded", "total", "offset", "limit", "collection", "created", "updated", "dateAdded", "dateUpdated", "deleted",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passed:
    """One request and what came of it. `status` None: no answer. `ms`: from asking the gate to the end of the body."""

    method: str
    path: str
    status: int | None
    ms: int
    request: Any
    response: Any


def passed(request: httpx.Request, response: httpx.Response | None, seconds: float) -> Passed:
    """What may be kept of a request. Bodies of token calls are not."""
    secret = request.extensions.get("reanna.phase") == "token"
    return Passed(
        method=request.method,
        path=path_of(request.url),
        status=None if response is None else response.status_code,
        ms=round(seconds * 1000),
        request=None if secret else body_of(request.content),
        response=None if secret or response is None else body_of(response.content),
    )


def path_of(url: httpx.URL) -> str:
    """The path and the names of the query."""
    names = list(dict.fromkeys(url.params.keys()))
    return f"{url.path}?{'&'.join(names)}" if names else url.path


def body_of(content: bytes) -> Any:
    """A JSON body with only the values whose field is on the list; None for no body; a sentence for any other."""
    if not content:
        return None
    try:
        shown = _shown(json.loads(content), "", 0)
    except (ValueError, RecursionError):
        return f"{len(content)} bytes that are no JSON"
    return shown if len(json.dumps(shown)) <= LONGEST else f"{len(content)} bytes, too long to keep"


def _shown(value: Any, name: str, depth: int) -> Any:
    if isinstance(value, (dict, list)) and depth == DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        return {readable(key): _shown(item, key, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        items = [_shown(item, name, depth + 1) for item in value[:MOST_ITEMS]]
        return items if len(value) <= MOST_ITEMS else [*items, f"and {len(value) - MOST_ITEMS} more"]
    if value is None or isinstance(value, bool):
        return value
    if name not in SHOWN:
        return HIDDEN
    if not isinstance(value, str):
        return value
    return readable(value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…")
