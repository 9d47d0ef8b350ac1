"""The page a person reads: what the "CRM" holds, what came in, and buttons that make things go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple
from urllib.parse import urlencode

from .holdings import Long, Status, Tab
from .limits import Usage
from .store import Account
from .style import STYLE
from .vendor import Vendor

PAGE_ROWS = 25
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Button(NamedTuple):
    """A fault that a person can order with one click."""

    label: str
    meaning: str
    script: Mapping[str, object]


BUTTONS: Mapping[str, Button] = {
    "answer_503": Button(
        "Answer 503 five times",
        "The next five requests are refused with “Service Unavailable”; nothing happens in the CRM.",
        {"times": 5, "fault": {"kind": "status", "status": 503}},
    ),
    "lose_answer": Button(
        "Lose the next answer",
        "The next request does its work, but the connection closes before the answer: the sender cannot know.",
        {"times": 1, "fault": {"kind": "drop_after_effect"}},
    ),
    "drop_request": Button(
        "Drop the next request",
        "The connection of the next request closes and nothing happens in the CRM.",
        {"times": 1, "fault": {"kind": "drop_before_effect"}},
    ),
    "delay": Button(
        "Delay the next answer 3 s",
        "The next request does its work at once; its answer comes three seconds later.",
        {"times": 1, "fault": {"kind": "delay", "seconds": 3}},
    ),
    "garble": Button(
        "Garble the next answer",
        "The next request does its work; the answer says 200 but breaks off in the middle of the JSON.",
        {"times": 1, "fault": {"kind": "garbled"}},
    ),
    "rate_limit": Button(
        "429 for 5 s",
        "For five seconds every request hears “Too Many Requests” with Retry-After 5; nothing happens in the CRM.",
        {"times": None, "for_seconds": 5, "fault": {"kind": "rate_limited", "retry_after": 5}},
    ),
    "outage": Button(
        "Outage for 30 s",
        "For thirty seconds every request of this vendor is answered 503.",
        {"fault": {"kind": "outage", "seconds": 30}},
    ),
}


MEANINGS: Mapping[str, str] = {
    "status": "Answer {status}, do nothing",
    "delay": "Do the work, answer {seconds:g} s late",
    "drip": "Do the work, spread the answer over {seconds:g} s",
    "silence": "Do nothing, say nothing for {seconds:g} s",
    "drop_after_effect": "Do the work, drop the answer",
    "drop_before_effect": "Do nothing, drop the connection",
    "garbled": "Do the work, break the answer off",
    "rate_limited": "Answer 429, do nothing",
    "outage": "Outage of {seconds:g} s",
}


@dataclass(frozen=True)
class View:
    """All that the page shows."""

    vendors: Sequence[Vendor]
    usages: Sequence[tuple[Account, Sequence[Usage]]]
    chosen: Account | None
    recent: Sequence[Mapping[str, object]]
    faults: Sequence[Mapping[str, object]]
    tabs: Sequence[Tab] = ()
    tab: Tab | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    page: int = 1
    pages: int = 1
    rows: Sequence[tuple[Sequence[str], str]] = ()


def page(view: View) -> str:
    """The whole page."""
    head = (
        "<header><h1>Provider sandbox</h1>"
        "<p>Stands in for the CRM vendors. Nothing here leaves this machine, and no message reaches a buyer.</p>"
        '<nav aria-label="On this page"><a href="/">Refresh</a><a href="#holds">What the CRM holds</a>'
        '<a href="#faults">Faults</a>'
        '<a href="#requests">Recent requests</a><a href="#reset">Start over</a>'
        '<a href="/_sandbox/journal">Journal (JSON lines)</a></nav></header>'
    )
    parts = [
        head,
        _accounts(view),
        _holdings(view),
        _faults(view),
        _recent(view),
        _reset(),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Provider sandbox</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )


def _accounts(view: View) -> str:
    if not view.usages:
        return (
            "<section><h2>Accounts</h2><p class=empty>There is no account yet. One appears when the router starts "
            "with its sandbox connection, or after a <code>POST /_sandbox/accounts</code> such as "
            '<code>{"provider": "gohighlevel", "account": "loc_demo", "token": "…", '
            '"calendar": "cal_demo"}</code>.</p></section>'
        )
    labels = {vendor.slug: vendor.label for vendor in view.vendors}
    rows = []
    for account, usages in view.usages:
        meters = "".join(
            f"<div>{_t(usage.limit.name.capitalize())}: "
            f"<meter min=0 max='{max(1, usage.limit.limit)}' value='{usage.used}'></meter> "
            f"{usage.used:,} of {usage.limit.limit:,} in {_span(usage.limit.seconds)}</div>"
            for usage in usages
        )
        rows.append((_link(account, "", 1, _t(account.account)), _t(labels[account.provider]), meters))
    table = _table(("Account", "Vendor", "Used of its limits"), rows)
    return f"<section><h2>Accounts and limits used now</h2>{table}</section>"


def _holdings(view: View) -> str:
    account, tab = view.chosen, view.tab
    if account is None or tab is None:
        return ""
    links = " ".join(
        _link(account, one.kind, 1, f"{one.label} ({view.counts[one.kind]:,})", current=one is tab) for one in view.tabs
    )
    head = f"<section id=holds><h2>What {_t(account.account)} holds</h2><nav aria-label='What to show'>{links}</nav>"
    if not view.rows:
        hint = " Import tours or save one, and they arrive here." if tab is view.tabs[0] else ""
        return f"{head}<p class=empty>This CRM holds no {_t(tab.label.lower())} yet.{hint}</p></section>"
    rows = [(*(_cell(cell) for cell in cells), _id(record_id)) for cells, record_id in view.rows]
    return f"{head}{_table((*tab.columns, 'Id'), rows)}{_pager(view, account, tab)}</section>"


def _cell(text: str) -> str:
    if isinstance(text, Status):
        return f"<span class='status {_t(text)}'>{_t(text)}</span>"
    if isinstance(text, Long) and text:
        return f"<div class=long>{_t(text)}</div>"
    return _t(text)


def _pager(view: View, account: Account, tab: Tab) -> str:
    newer = _link(account, tab.kind, view.page - 1, "Newer") if view.page > 1 else ""
    older = _link(account, tab.kind, view.page + 1, "Older") if view.page < view.pages else ""
    return f"<nav aria-label=Pages><span>Page {view.page} of {view.pages}, newest first</span> {newer} {older}</nav>"


def _faults(view: View) -> str:
    forms = []
    for vendor in view.vendors:
        cards = "".join(
            f"<form method=post action='/_sandbox/faults'><input type=hidden name=provider value='{_t(vendor.slug)}'>"
            f"<input type=hidden name=preset value='{_t(name)}'>"
            f"<button>{_t(button.label)}</button><p>{_t(button.meaning)}</p></form>"
            for name, button in BUTTONS.items()
        )
        clear = (
            "<form method=post action='/_sandbox/faults/clear'><button>Clear faults</button>"
            "<p>Every fault ordered so far is taken back.</p></form>"
        )
        forms.append(f"<h3>{_t(vendor.label)}</h3><div class=cards>{cards}{clear}</div>")
    if view.faults:
        labels = {vendor.slug: vendor.label for vendor in view.vendors}
        rows = [
            (_t(_what(fault)), _t(labels[str(fault["provider"])]), _t(_where(fault)), _t(_left(fault)))
            for fault in view.faults
        ]
        active = _table(("Fault", "Vendor", "Meets", "Left"), rows)
    else:
        active = "<p class=empty>No fault is active: every request is answered as the vendor would.</p>"
    return (
        f"<section id=faults><h2>Active faults</h2>{active}<h2>Make something go wrong</h2>{''.join(forms)}</section>"
    )


def _what(fault: Mapping[str, object]) -> str:
    details = fault["fault"]
    if not isinstance(details, dict):
        return ""
    sentence = MEANINGS[str(details["kind"])]
    return sentence.format(**{"status": "", "seconds": 0, **details})


def _where(fault: Mapping[str, object]) -> str:
    match = fault["match"]
    words = [str(match[name]) for name in ("method", "path") if name in match] if isinstance(match, dict) else []
    return f"{fault['account'] or 'every account'}: {' '.join(words) or 'every request'}"


def _left(fault: Mapping[str, object]) -> str:
    parts = []
    times, fired = fault["times"], fault["fired"]
    if isinstance(times, int) and isinstance(fired, int):
        parts.append(f"{times - fired} of {times} times")
    if isinstance(fault["seconds_left"], float):
        parts.append(f"{fault['seconds_left']:.0f} s")
    return ", ".join(parts) or "until cleared"


def _recent(view: View) -> str:
    if not view.recent:
        return "<section id=requests><h2>Recent requests</h2><p class=empty>Nothing has come in yet.</p></section>"
    rows = []
    for entry in view.recent:
        effect = entry["effect"]
        did = f"{effect.get('op')} {effect.get('kind')}" if isinstance(effect, dict) else ""
        if isinstance(effect, dict) and effect.get("notified"):
            did += " — the buyer got a message"
        status = "dropped" if entry["status"] is None else str(entry["status"])
        good = "ok" if status.startswith("2") else "bad"
        wall = entry["wall"]
        at = datetime.fromtimestamp(wall, UTC).strftime("%H:%M:%S UTC") if isinstance(wall, float) else ""
        rows.append(
            (
                _t(entry["seq"]),
                _t(at),
                _t(entry["account"] or "unknown"),
                f"{_t(entry['method'])} {_code(entry['path'])}",
                f"<span class='status {good}'>{_t(status)}</span>",
                _t(did),
                _t(str(entry["fault"] or "").replace("_", " ")),
            )
        )
    table = _table(("No.", "At", "Account", "Request", "Status", "Effect", "Fault"), rows)
    return f"<section id=requests><h2>Recent requests</h2>{table}</section>"


def _reset() -> str:
    return (
        "<section id=reset><h2>Start over</h2><form method=post action='/_sandbox/reset'>"
        "<p>Removes all that the CRMs hold, the faults and the journal. Accounts stay, with their tokens and users.</p>"
        "<p><label><input type=checkbox name=confirm value=yes required> Yes, remove them</label></p>"
        "<button class=danger>Reset the sandbox</button></form></section>"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML already; on a narrow screen each cell carries its column's name."""
    head = "".join(f"<th scope=col>{_t(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td data-label='{_t(column)}'>{cell}</td>" for column, cell in zip(columns, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _link(account: Account, kind: str, number: int, label: str, *, current: bool = False) -> str:
    query = urlencode({"account": f"{account.provider}:{account.account}", "kind": kind, "page": number})
    return f"<a href='/?{escape(query)}'{' aria-current=page' if current else ''}>{label}</a>"


def _span(seconds: float) -> str:
    return "a day" if seconds == 86_400 else f"{seconds:g} s"


def _id(value: str) -> str:
    return f"<code class=id>{_t(value)}</code>"


def _code(value: object) -> str:
    return f"<code>{_t(value)}</code>"


def _t(value: object) -> str:
    """Text, escaped for an element or a quoted attribute."""
    return "" if value is None else escape(str(value))
