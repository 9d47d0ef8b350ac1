"""The sandbox itself: a request goes in, an answer or a dropped connection comes out. No sockets here."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from . import consent, faults, journal
from .control import Control
from .faults import Fault
from .followupboss.front import FollowUpBoss
from .gohighlevel.front import GoHighLevel
from .hubspot.front import HubSpot
from .limits import Limit, Names, Usage, Windows
from .lofty.front import Lofty
from .messages import Drop, MalformedError, Request, Response, encode
from .rollout.front import Rollout
from .store import Account, Data, Store
from .vendor import Contextual, Reply, Vendor

log = logging.getLogger("sandbox")

DEFAULT_VENDOR = "gohighlevel"
NO_EFFECT_KINDS = frozenset({"status", "drop_before_effect", "silence", "rate_limited", "outage"})
Answer = Response | Drop


class Sandbox:
    """All vendors over one store. ``clock`` is CLOCK_MONOTONIC in seconds, ``wall`` seconds since the epoch."""

    def __init__(
        self,
        data_dir: Path,
        *,
        boot_id: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock, self.wall = clock, wall
        self.store = Store(data_dir / "sandbox.sqlite3", boot_id)
        if not self.store.clock_continues:
            with self.store.write() as data:
                faults.forget_timed(data)
        self.vendors: dict[str, Vendor] = {
            vendor.slug: vendor for vendor in (FollowUpBoss(), GoHighLevel(), HubSpot(), Lofty(), Rollout())
        }
        self._windows: dict[tuple[str, str], Windows] = {}
        self._first_seq = self._seq_of_this_boot()
        self._control = Control(self)

    def handle(self, request: Request) -> Answer:
        """Answer one request. Never raises for anything a client can send."""
        if request.path == "/" or request.path == "/favicon.ico" or request.path.startswith("/_sandbox"):
            return request.refused or self._control.handle(request)
        vendor = self.vendors[DEFAULT_VENDOR]
        first, _, rest = request.path[1:].partition("/")
        if first in self.vendors:
            vendor = self.vendors[first]
            request = replace(request, path=f"/{rest}")
        if isinstance(vendor, consent.Consenting) and request.path == vendor.consent_path:
            with self.store.write() as data:
                return consent.answer(data, vendor, request, self.wall())
        try:
            with self.store.write() as data:
                return self._vendor_request(data, vendor, request)
        except Exception as error:  # a fault of the sandbox's own must still be journaled, and shown as one
            log.exception("the sandbox failed on %s %s", request.method, ascii(request.path))
            with self.store.write() as data:
                self._windows.clear()  # the transaction was undone, so what it counted must be as well
                self._record(
                    data, vendor, request, None, 500, None, f"sandbox_error:{type(error).__name__}", counted=False
                )
            return self._send(vendor, 500, vendor.failure(500, "the sandbox itself failed"), [])

    def windows(self, data: Data, provider: str, account: str) -> Windows:
        """The rate-limit windows an account uses, alone or shared, filled from the journal the first time."""
        vendor = self.vendors[provider]
        sharing = vendor.sharing(data, account)
        key = (provider, sharing[0])
        if key not in self._windows:
            limits = self.limits(data.account(provider, account), vendor)
            after = self.clock() - max(limit.seconds for limit in limits)
            arrived = [row for one in sharing for row in journal.arrivals(data, provider, one, after, self._first_seq)]
            self._windows[key] = Windows(
                limits,
                [
                    (row.t, self._counted_in(data, vendor, account, row.method, row.path, json.loads(row.headers)))
                    for row in sorted(arrived)
                ],
            )
        return self._windows[key]

    def forget_windows(self) -> None:
        """Fill the windows from the journal again, after limits or the journal changed."""
        self._windows.clear()

    @staticmethod
    def limits(account: Account | None, vendor: Vendor) -> list[Limit]:
        """The vendor's limits with the account's own figures."""
        own = account.config.get("limits") if account else None
        return [
            replace(limit, **own[limit.name]) if isinstance(own, dict) and limit.name in own else limit
            for limit in vendor.limits
        ]

    def close(self) -> None:
        """Finish the transaction in hand and close the file."""
        self.store.close()

    def _seq_of_this_boot(self) -> int:
        """Rows up to here carry times of another boot's clock and say nothing about now."""
        with self.store.write() as data:
            if not self.store.clock_continues:
                data.set_meta("first_seq", str(journal.last_seq(data)))
            return int(data.meta("first_seq") or 0)

    def _vendor_request(self, data: Data, vendor: Vendor, request: Request) -> Answer:
        account = vendor.identify(data, request)
        windows = self.windows(data, vendor.slug, account) if account is not None else None
        headers = journal.veiled(request.headers)
        names = self._counted_in(data, vendor, account, request.method, request.path, headers) if account else None
        admitted = windows is None or windows.admit(request.t, names)
        usage = windows.usage(request.t, names) if windows else [Usage(limit, 0) for limit in vendor.limits]
        counted = windows is not None and admitted
        if not admitted:
            self._record(data, vendor, request, account, 429, None, None, counted=False)
            refusal = self._send(vendor, 429, vendor.failure(429, "Too Many Requests"), usage)
            if isinstance(vendor, Contextual) and windows is not None:
                refusal.headers.update(vendor.refused_headers(windows.frees_in(request.t, names)))
            return refusal
        fault = faults.strike(data, vendor.slug, account, request, request.path, self.clock())
        answer, status, effect = self._act(data, vendor, request, fault, usage)
        self._record(data, vendor, request, account, status, effect, fault.kind if fault else None, counted=counted)
        return answer

    @staticmethod
    def _counted_in(
        data: Data, vendor: Vendor, account: str, method: str, path: str, headers: Mapping[str, str]
    ) -> Names:
        """The limits that count a request; None: all the vendor's."""
        if not isinstance(vendor, Contextual):
            return None
        held = data.account(vendor.slug, account)
        return vendor.counted_in(method, path, headers, held.config if held else {})

    def _act(
        self, data: Data, vendor: Vendor, request: Request, fault: Fault | None, usage: Sequence[Usage]
    ) -> tuple[Answer, int | None, dict[str, object] | None]:
        """What is sent, the status to write down (None: nothing is sent), and the effect."""
        if fault is not None and fault.kind in NO_EFFECT_KINDS:
            answer = self._without_effect(vendor, fault, usage)
            return answer, answer.status if isinstance(answer, Response) else None, None
        if request.refused is not None:
            status = request.refused.status
            return self._send(vendor, status, vendor.failure(status, "the request cannot be read"), usage), status, None
        reply: Reply = vendor.answer(data, request, self.wall())
        response = self._send(vendor, reply.status, reply.document, usage)
        if fault is None:
            return response, reply.status, reply.effect
        if fault.kind == "drop_after_effect":
            return Drop(), None, reply.effect
        if fault.kind == "garbled":
            whole = encode(reply.document)
            response = replace(response, status=200, body=whole[: len(whole) // 2])
        elif fault.kind == "delay":
            response = replace(response, delay_s=fault.number("seconds"))
        elif fault.kind == "drip":
            response = replace(response, drip_s=fault.number("seconds"))
        return response, response.status, reply.effect

    def _without_effect(self, vendor: Vendor, fault: Fault, usage: Sequence[Usage]) -> Answer:
        if fault.kind == "drop_before_effect" or fault.details.get("mode") == "drop":
            return Drop()
        if fault.kind == "silence":
            return Drop(fault.number("seconds"))
        if fault.kind == "rate_limited":
            response = self._send(vendor, 429, vendor.failure(429, "Too Many Requests"), usage)
            if fault.details.get("retry_after") is not None:
                response.headers["Retry-After"] = f"{fault.number('retry_after'):g}"
            return response
        status = int(fault.number("status", 503))
        response = self._send(vendor, status, vendor.failure(status, "Service Unavailable"), usage)
        body = fault.details.get("body")
        if isinstance(body, str):
            response = replace(response, body=body.encode(), content_type="text/plain; charset=utf-8")
        elif body is not None:
            response = replace(response, body=encode(body))
        extra = fault.details.get("headers")
        if isinstance(extra, dict):
            response.headers.update(extra)
        return response

    @staticmethod
    def _send(vendor: Vendor, status: int, document: object, usage: Sequence[Usage]) -> Response:
        headers = vendor.rate_headers(usage) if usage else {}
        return Response(status, b"" if status == HTTPStatus.NO_CONTENT else encode(document), headers=headers)

    def _record(
        self,
        data: Data,
        vendor: Vendor,
        request: Request,
        account: str | None,
        status: int | None,
        effect: dict[str, object] | None,
        fault: str | None,
        *,
        counted: bool,
    ) -> None:
        try:
            query = journal.veiled_query(request.query)
        except MalformedError:
            query = {"": journal.digest(request.query_string)}
        entry = journal.Entry(
            request.t, self.wall(), vendor.slug, account, request.method, request.path, query,
            journal.veiled(request.headers), vendor.recorded_body(request), status, effect, fault, counted,
        )  # fmt: skip
        journal.write(data, entry)
