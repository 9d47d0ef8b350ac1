"""What Follow Up Boss counts requests by: windows of 10 s, in contexts.

https://docs.followupboss.com/reference/rate-limiting: 250 with a registered system's key, 125 without. Notes and edits
of people have limits of their own that only others tell of (10 and 25, in two public clients); they are counted in
both, whatever the vendor does, so that neither is ever exceeded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from integrations.gate import Window

GLOBAL, NOTES, EDITS = "global", "notes", "people_edits"
LIMITS = (Window(GLOBAL, 250, 10), Window(NOTES, 10, 10), Window(EDITS, 25, 10))
SOURCE = "https://docs.followupboss.com/reference/rate-limiting"
UNREGISTERED = 125
_NOTES = re.compile(r"/v1/notes(/|\Z)")
_PERSON = re.compile(r"/v1/people/[^/]+\Z")


def limits_for(config: Mapping[str, str]) -> Mapping[str, int]:
    """Half of it for who names no system. A connection that names one has the system's key, too."""
    return {} if config.get("system", "").strip() else {GLOBAL: UNREGISTERED}


def counted_in(method: str, path: str) -> tuple[str, ...]:
    """The limits that a request takes from."""
    names = [GLOBAL]
    names += [NOTES] if _NOTES.search(path) else []
    names += [EDITS] if method == "PUT" and _PERSON.search(path) else []
    return tuple(names)
