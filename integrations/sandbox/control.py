"""The sandbox's own endpoints: the page a person reads, and ``/_sandbox/…`` for tests and for the page's buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

from . import faults, journal, pages
from .faults import FaultError
from .limits import Limit, Windows
from .messages import MalformedError, Request, Response, complaint, from_elsewhere, json_response
from .store import Account, Data, Store
from .vendor import SettingError, Vendor

FORM = "application/x-www-form-urlencoded"
MAX_SEQ = 2**62


class Host(Protocol):
    """The sandbox, as far as its own endpoints need it."""

    store: Store
    vendors: dict[str, Vendor]
    clock: Callable[[], float]
    wall: Callable[[], float]

    def windows(self, data: Data, provider: str, account: str) -> Windows:
        """The rate-limit windows of an account."""

    def forget_windows(self) -> None:
        """Fill the windows from the journal again."""


class Control:
    """Answers what is not meant for a vendor."""

    def __init__(self, sandbox: Host) -> None:
        self._sandbox = sandbox
        self._routes = {
            ("GET", "/"): self._page,
            ("GET", "/favicon.ico"): lambda _: Response(204),
            ("GET", "/_sandbox/health"): self._health,
            ("GET", "/_sandbox/journal"): self._journal,
            ("GET", "/_sandbox/faults"): self._list_faults,
            ("POST", "/_sandbox/faults"): self._add_fault,
            ("DELETE", "/_sandbox/faults"): self._clear_faults,
            ("POST", "/_sandbox/faults/clear"): self._clear_faults,
            ("GET", "/_sandbox/accounts"): self._list_accounts,
            ("POST", "/_sandbox/accounts"): self._put_account,
            ("POST", "/_sandbox/reset"): self._reset,
        }

    def handle(self, request: Request) -> Response:
        """Answer one request; whatever is wrong with it is a 4xx in JSON that names the field."""
        path = request.path.rstrip("/") or "/"
        route = self._routes.get((request.method, path))
        if route is None:
            known = any(path == known_path for _, known_path in self._routes)
            return complaint(405 if known else 404, f"there is no {request.method} {path[:200]} here")
        if request.method != "GET" and from_elsewhere(request):
            return complaint(403, "this comes from another site's page")
        try:
            return route(request)
        except MalformedError as error:
            return complaint(400, str(error))
        except (FaultError, SettingError) as error:
            return complaint(400, f"{error.field}: {error}", error.field)

    def _health(self, _: Request) -> Response:
        with self._sandbox.store.read() as data:
            return json_response(200, {"ok": True, "journal_seq": journal.last_seq(data), "t": self._sandbox.clock()})

    def _journal(self, request: Request) -> Response:
        since = request.query.get("since", "0")
        if not since.isascii() or not since.isdigit() or int(since[:20]) > MAX_SEQ:
            raise SettingError("since", "must be a whole number, 0 or above")
        provider = request.query.get("provider") or None
        if provider is not None and provider not in self._sandbox.vendors:
            raise SettingError("provider", f"must be one of: {', '.join(self._sandbox.vendors)}")
        lines = journal.lines(
            self._sandbox.store, provider=provider, account=request.query.get("account") or None, since=int(since)
        )
        return Response(200, lines, content_type="application/x-ndjson; charset=utf-8")

    def _list_faults(self, _: Request) -> Response:
        with self._sandbox.store.read() as data:
            return json_response(200, {"faults": faults.active(data, self._sandbox.clock())})

    def _add_fault(self, request: Request) -> Response:
        by_button = request.media_type == FORM
        document = self._preset(request.form) if by_button else request.json
        script = faults.checked(document, list(self._sandbox.vendors))
        with self._sandbox.store.write() as data:
            fault_id = faults.add(data, script, self._sandbox.clock())
        return _back() if by_button else json_response(201, {"id": fault_id, **script})

    def _preset(self, form: Mapping[str, str]) -> dict[str, object]:
        button = pages.BUTTONS.get(form.get("preset", ""))
        if button is None:
            raise FaultError("preset", f"must be one of: {', '.join(pages.BUTTONS)}")
        return {**button.script, "provider": form.get("provider")}

    def _clear_faults(self, request: Request) -> Response:
        with self._sandbox.store.write() as data:
            removed = faults.clear(data)
        return _back() if request.path.endswith("/clear") else json_response(200, {"removed": removed})

    def _list_accounts(self, _: Request) -> Response:
        with self._sandbox.store.read() as data:
            found = [
                {
                    "provider": account.provider,
                    "account": account.account,
                    **self._public(account.provider, account.config),
                }
                for account in data.accounts()
            ]
        return json_response(200, {"accounts": found})

    def _put_account(self, request: Request) -> Response:
        document = request.json
        if not isinstance(document, dict):
            raise SettingError("(body)", "must be an object")
        settings = dict(document)
        vendor = self._sandbox.vendors.get(str(settings.pop("provider", None)))
        if vendor is None:
            raise SettingError("provider", f"must be one of: {', '.join(self._sandbox.vendors)}")
        account = settings.pop("account", None)
        if not isinstance(account, str) or not 0 < len(account) <= 100 or not account.isprintable():
            raise SettingError("account", "must be a string of 1 to 100 printable characters")
        given = settings.pop("limits", None)
        limits = None if given is None else _checked_limits(given, vendor)
        with self._sandbox.store.write() as data:
            vendor.configure(data, account, settings, self._sandbox.wall())
            saved = data.account(vendor.slug, account)
            config = dict(saved.config) if saved else {}
            if limits is not None:
                config["limits"] = limits
                for one in vendor.sharing(data, account):
                    other = data.account(vendor.slug, one)
                    data.put_account(Account(vendor.slug, one, {**(other.config if other else {}), "limits": limits}))
            self._sandbox.forget_windows()
        return json_response(200, {"provider": vendor.slug, "account": account, **self._public(vendor.slug, config)})

    def _public(self, provider: str, config: Mapping[str, object]) -> dict[str, object]:
        secret = self._sandbox.vendors[provider].secret_settings
        shown = {name: value for name, value in config.items() if name not in secret}
        return shown | {name: name in config for name in secret}

    def _reset(self, request: Request) -> Response:
        by_button = request.media_type == FORM
        if by_button:
            if request.form.get("confirm") != "yes":
                raise SettingError("confirm", "tick the box to confirm")
            everything: object = False
        else:
            document = request.json if request.body else {}
            if not isinstance(document, dict):
                raise SettingError("(body)", "must be an object")
            everything = document.get("accounts", False)
            if not isinstance(everything, bool):
                raise SettingError("accounts", "must be true or false")
        with self._sandbox.store.write() as data:
            data.clear_records()
            journal.clear(data)
            faults.clear(data)
            if everything:
                data.clear_accounts()
            for account in data.accounts():
                self._sandbox.vendors[account.provider].refill(data, account.account, self._sandbox.wall())
            self._sandbox.forget_windows()
        return _back() if by_button else json_response(200, {"reset": True, "accounts": everything})

    def _page(self, request: Request) -> Response:
        # The write lock, because the windows belong to it; the page is a few indexed reads.
        with self._sandbox.store.write() as data:
            view = self._view(data, request)
        return Response(200, pages.page(view).encode("utf-8", "replace"), "text/html; charset=utf-8", pages.HEADERS)

    def _view(self, data: Data, request: Request) -> pages.View:
        now = self._sandbox.clock()
        accounts = data.accounts()
        wanted = request.query.get("account", "")
        chosen = next(
            (one for one in accounts if f"{one.provider}:{one.account}" == wanted), accounts[0] if accounts else None
        )
        number = request.query.get("page", "1")
        page = int(number) if number.isascii() and number.isdigit() and 0 < len(number) < 8 else 1
        usages = [
            (account, self._sandbox.windows(data, account.provider, account.account).usage(now)) for account in accounts
        ]
        view = pages.View(
            vendors=list(self._sandbox.vendors.values()), usages=usages, chosen=chosen,
            recent=journal.latest(data, 50), faults=faults.active(data, now),
        )  # fmt: skip
        return view if chosen is None else self._holdings(data, view, chosen, request.query.get("kind", ""), page)

    def _holdings(self, data: Data, view: pages.View, chosen: Account, kind: str, page: int) -> pages.View:
        """The view with one page of one kind of what the chosen account holds."""
        tabs = self._sandbox.vendors[chosen.provider].tabs
        tab = next((one for one in tabs if one.kind == kind), tabs[0])
        counts = {one.kind: one.count(data, chosen) for one in tabs}
        last = max(1, -(-counts[tab.kind] // pages.PAGE_ROWS))
        page = max(1, min(page, last))
        rows = tab.rows(data, chosen, (page - 1) * pages.PAGE_ROWS, pages.PAGE_ROWS)
        return replace(view, tabs=tabs, tab=tab, counts=counts, page=page, pages=last, rows=rows)


class Bounds(NamedTuple):
    """What a figure of a limit may be."""

    least: float
    most: float


BOUNDS = {"limit": Bounds(0, 100_000_000), "seconds": Bounds(0.001, 1_000_000)}


def _checked_limits(given: object, vendor: Vendor) -> dict[str, dict[str, float]]:
    """``{"burst": 5}`` or ``{"burst": {"limit": 5, "seconds": 2}}``; a figure left out is the vendor's own."""
    if not isinstance(given, dict):
        raise SettingError("limits", "must be an object")
    by_name: dict[str, Limit] = {limit.name: limit for limit in vendor.limits}
    checked: dict[str, dict[str, float]] = {}
    for name, value in given.items():
        if name not in by_name:
            raise SettingError(f"limits.{name}", f"is not known; known here: {', '.join(by_name)}")
        figures = value if isinstance(value, dict) else {"limit": value}
        for part, figure in figures.items():
            bounds = BOUNDS.get(part)
            if bounds is None:
                raise SettingError(f"limits.{name}.{part}", f"is not known; known here: {', '.join(BOUNDS)}")
            types = int if part == "limit" else int | float
            if isinstance(figure, bool) or not isinstance(figure, types) or not bounds.least <= figure <= bounds.most:
                raise SettingError(
                    f"limits.{name}.{part}", f"must be a number from {bounds.least:g} to {bounds.most:g}"
                )
        checked[name] = figures
    return checked


def _back() -> Response:
    return Response(303, headers={"Location": "/#faults"})
