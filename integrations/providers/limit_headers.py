"""What an answer's headers say of the vendor's windows: what they allow, what is left, when they begin anew.

Nothing here raises, whatever a header holds: what is malformed, negative, absurd or given twice says nothing. Which
headers a vendor sends is a word of its manifest (`Manifest.limit_headers`); what the words mean is `DIALECTS`. What
comes of it is the gate's: downwards at once, never above our own limits, forgotten again (`gate.Gate.report`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from integrations.gate import Learned, Window

from .retry_after import answered_at

LONGEST_HEADER = 1_000
MOST_DIGITS = 9
MOST_DIGITS_OF_A_MOMENT = 13
EPOCH_S = 10**9
"""A reset from here on is a moment (the smallest: in 2001), below it time left."""
EPOCH_MS = EPOCH_S * 1000

Dialect = Literal["gohighlevel", "hubspot", "followupboss", "lofty", "ietf"]


@dataclass(frozen=True, slots=True)
class Told:
    """One window as an answer tells of it. None: not said.

    `seconds`: its length. `name`: what the vendor calls it; `exactly`: the window we call so is meant, or none.
    """

    limit: int | None
    remaining: int | None
    reset_ms: int | None = None
    seconds: float | None = None
    name: str = ""
    exactly: bool = False


Read = Callable[[Mapping[str, str], datetime], Iterator[Told]]


def learned(
    dialect: Dialect | None, windows: Sequence[Window], headers: Mapping[str, str], now: datetime | None = None
) -> list[Learned]:
    """What these headers say of these windows; one they cannot be about, or are about twice, is left out.

    A told window is ours of the same name, else the only one of the same length, else the only one there is.
    """
    if dialect is None:
        return []
    found: dict[str, list[Learned]] = {}
    for told in DIALECTS[dialect](headers, now or datetime.now(UTC)):
        window = _meant(told, windows)
        if window is None or (told.limit, told.remaining) == (None, None):
            continue
        found.setdefault(window.name, []).append(Learned(window.name, told.limit, told.remaining, told.reset_ms))
    return [known[0] for known in found.values() if len(known) == 1]


def _meant(told: Told, windows: Sequence[Window]) -> Window | None:
    same = [window for window in windows if window.name == told.name] if told.name else []
    if not same and not told.exactly:
        same = [window for window in windows if told.seconds is None or window.seconds == told.seconds]
    return same[0] if len(same) == 1 and told.seconds in (None, same[0].seconds) else None


# --- numbers ---------------------------------------------------------------------------------------------------------


def _text(headers: Mapping[str, str], name: str) -> str:
    text = headers.get(name, "").strip() if name else ""
    return text if len(text) <= LONGEST_HEADER else ""


def _number(text: str, digits: int = MOST_DIGITS) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def _told(limit: str, remaining: str, reset_ms: int | None, seconds: float | None, name: str, *, exactly: bool) -> Told:
    """A limit of nothing, and more left than is allowed, are absurd."""
    allows, left = _number(limit) or None, _number(remaining)
    if allows is not None and left is not None and left > allows:
        left = None
    return Told(allows, left, reset_ms, seconds, name, exactly)


def _seconds(text: str, _headers: Mapping[str, str], _now: datetime) -> int | None:
    left = _number(text)
    return None if left is None else left * 1000


def _moment_or_left(text: str, headers: Mapping[str, str], now: datetime) -> int | None:
    """A moment in seconds or milliseconds, or what is left: milliseconds from 1,000 on, seconds below."""
    value = _number(text, MOST_DIGITS_OF_A_MOMENT)
    if value is None or value < EPOCH_S:
        return value if value is None or value >= 1000 else value * 1000
    at_ms = value if value >= EPOCH_MS else value * 1000
    left_ms = at_ms - int(answered_at(headers, now).timestamp() * 1000)
    return left_ms if left_ms >= 0 else None


# --- headers of a number each ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plain:
    """The headers of one window; empty: the vendor has none for it.

    `length`: tells how long it is, `per_s` of its units being a second; without it, it is `seconds` long (None: not
    known). `context`: tells which window is meant. `resets`: tells when it begins anew, as `reset` reads it.
    """

    limit: str
    remaining: str
    length: str = ""
    per_s: int = 1
    seconds: float | None = None
    context: str = ""
    resets: str = ""
    reset: Callable[[str, Mapping[str, str], datetime], int | None] = _seconds

    def told(self, headers: Mapping[str, str], now: datetime) -> Told:
        """What they say."""
        length, context = _text(headers, self.length), _text(headers, self.context)
        seconds = (_number(length) or 0) / self.per_s if length else self.seconds
        return _told(
            _text(headers, self.limit),
            _text(headers, self.remaining),
            self.reset(_text(headers, self.resets), headers, now),
            seconds,
            context,
            exactly=bool(context),
        )


def _plain(*windows: Plain) -> Read:
    return lambda headers, now: (window.told(headers, now) for window in windows)


def _burst_and_day(prefix: str, daily: str) -> Read:
    """Five headers: how long the short window is, what it and the day allow and have left."""
    return _plain(
        Plain(f"{prefix}-Max", f"{prefix}-Remaining", f"{prefix}-Interval-Milliseconds", 1000, seconds=10),
        Plain(f"{prefix}-{daily}", f"{prefix}-Daily-Remaining", seconds=86_400),
    )


# --- structured fields, https://www.rfc-editor.org/rfc/rfc9651 -------------------------------------------------------

_VALUE = r'"(?:[^"\\]|\\["\\])*"|-?\d{1,15}(?:\.\d{1,3})?|\?[01]|:[\w+/=]*:|[a-zA-Z*][^\s",;=()]*'
_MEMBER = re.compile(rf"[ \t]*({_VALUE})((?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:{_VALUE}))?)*)[ \t]*(?:,|$)")
_PARAMETER = re.compile(rf";[ ]*([a-z*][a-z0-9_.*-]*)(?:=({_VALUE}))?")


def _members(text: str) -> dict[str, dict[str, str]]:
    """The items of a list with their parameters; empty when it is malformed. An item that stands in it twice is out."""
    found: dict[str, dict[str, str]] = {}
    twice: set[str] = set()
    at = 0
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return {}
        name, at = member[1].strip('"'), member.end()
        if name in found:
            twice.add(name)
        found[name] = dict(_PARAMETER.findall(member[2]))
    return {name: parameters for name, parameters in found.items() if name not in twice}


def _ietf(headers: Mapping[str, str], now: datetime) -> Iterator[Told]:
    """Both forms of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.

    Today's is `RateLimit: "name";r=…;t=…` beside `RateLimit-Policy: "name";q=…;w=…`; a quota of something else than
    requests says nothing. Up to draft 06 it was three headers, and policies (`100;w=60`) beside or behind the limit.
    """
    policies = _members(_text(headers, "RateLimit-Policy"))
    lefts = _members(_text(headers, "RateLimit"))
    for name, left in lefts.items():
        policy = policies.get(name, {})
        if policy.get("qu", '"requests"') == '"requests"':
            reset, seconds = _seconds(left.get("t", ""), headers, now), _number(policy.get("w", ""))
            yield _told(policy.get("q", ""), left.get("r", ""), reset, seconds, name, exactly=False)
    if lefts:
        return
    limit, _, behind = _text(headers, "RateLimit-Limit").partition(",")
    policy = (policies or _members(behind)).get(limit, {})
    if not behind or "w" in policy:
        reset = _seconds(_text(headers, "RateLimit-Reset"), headers, now)
        remaining = _text(headers, "RateLimit-Remaining")
        yield _told(limit, remaining, reset, _number(policy.get("w", "")), "", exactly=False)


DIALECTS: Mapping[Dialect, Read] = {
    # https://marketplace.gohighlevel.com/docs/other/rate-limits
    "gohighlevel": _burst_and_day("X-RateLimit", "Limit-Daily"),
    # Without the pair of the day where an app is signed in: https://developers.hubspot.com/apisbytier
    "hubspot": _burst_and_day("X-HubSpot-RateLimit", "Daily"),
    # https://docs.followupboss.com/reference/rate-limiting
    "followupboss": _plain(
        Plain("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window", context="X-RateLimit-Context")
    ),
    # The reset is said to be seconds since 1970, and shown as 21000: https://developer.lofty.com
    "lofty": _plain(
        Plain("X-RateLimit-Limit", "X-RateLimit-Remaining", resets="X-RateLimit-Reset", reset=_moment_or_left)
    ),
    "ietf": _ietf,
}
