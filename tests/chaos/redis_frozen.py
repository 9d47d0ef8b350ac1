"""Redis stands still while tours are saved in the admin and over the API: nobody waits, and everything arrives.

    python -m tests.chaos.redis_frozen [--seconds 60]

Starts the product in a temporary folder, stops Redis with SIGSTOP for so long, saves a tour in the admin and one over
the API and opens pages, again and again, wakes Redis, waits until nothing is under way, judges by `tests.oracle` and
prints how long the requests took. Code 1 when one in a hundred took more than 1.5 s or anything is wrong.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.oracle import Findings
from tests.stack import Stack

LONGEST_S = 1.5
PAUSE_S = 0.05
ZONE = "America/Los_Angeles"
TOKEN = (
    "from django.contrib.auth.models import User; from django.utils import timezone; "
    "from integrations.operations.access import create_token; from integrations.operations.audit import Who; "
    "from integrations.operations.roles import SCOPES; "
    "print(create_token(name='Chaos', scopes=SCOPES, owner=User.objects.get(username='admin'), expires_at=None, "
    "now=timezone.now(), who=Who('chaos', 'command')).shown)"
)


@dataclass
class Outcome:
    """`took`: seconds of each request by what it was; `saved`: tours that were answered as saved."""

    took: dict[str, list[float]] = field(default_factory=dict)
    saved: int = 0
    found: int = 0
    findings: Findings | None = None

    def p99(self, what: str = "") -> float:
        """The 99th percentile of one kind of request, or of all."""
        all_of = sorted(itertools.chain.from_iterable(self.took.values()) if not what else self.took[what])
        return all_of[math.ceil(0.99 * len(all_of)) - 1]

    @property
    def good(self) -> bool:
        """Nobody waited long, every tour is there, and the CRMs show what they should."""
        right = self.findings is not None and not self.findings.wrong
        return self.p99() <= LONGEST_S and self.saved == self.found and right


class Staff:
    """One signed-in browser and one program with a token, on a running stack."""

    def __init__(self, stack: Stack) -> None:
        self.outcome = Outcome()
        self._numbers = itertools.count(1)
        found = re.search(r"user (\S+), password (\S+)", stack.said())
        assert found is not None, stack.said()
        self.web = httpx.Client(base_url=stack.url, timeout=30)
        self.api = httpx.Client(
            base_url=stack.url, timeout=30, headers={"Authorization": f"Bearer {stack.shell(TOKEN).splitlines()[-1]}"}
        )
        self.web.get("/admin/login/")
        name, password = found.groups()
        self.post("/admin/login/?next=/admin/", {"username": name, "password": password})
        first = self.save_in_api()
        self.agent, self.buyer = first["agent"]["id"], first["buyer"]["id"]
        self.look()  # what a page costs the first time is not Redis's doing
        self.outcome.took.clear()

    def close(self) -> None:
        self.web.close()
        self.api.close()

    def post(self, path: str, data: dict[str, Any]) -> httpx.Response:
        """A form of the admin."""
        headers = {"X-CSRFToken": self.web.cookies["csrftoken"], "Referer": str(self.web.base_url)}
        return self.web.post(path, data=data, headers=headers)

    def save_in_api(self) -> dict[str, Any]:
        """A tour with a stop."""
        number = next(self._numbers)
        stop = {
            "street": f"{number} Elm St",
            "state": "CA",
            "appointment_start": "2031-09-15T14:00",
            "appointment_end": "2031-09-15T14:30",
            "appointment_status": "confirmed",
        }
        body = {
            "reference": f"API-{number}",
            "time_zone": ZONE,
            "starts_at": "2031-09-15T14:00",
            "agent": {"email": "dana.reyes@brokerage.example", "name": "Dana Reyes"},
            "buyer": {"first_name": "Bea", "last_name": "Lopez", "email": "bea.lopez@mail.example"},
            "stops": [stop],
        }
        answer = self._timed("saved over the API", lambda: self.api.post("/api/tours", json=body))
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self.outcome.saved += 1
        found: dict[str, Any] = answer.json()
        return found

    def save_in_admin(self) -> None:
        """The same in the form."""
        number = next(self._numbers)
        stop = {
            "stop_id": "", "sequence": "1", "street": f"{number} Oak Ave", "state": "CA", "postal_code": "95838",
            "appointment_start": "2031-09-16T14:00", "appointment_end": "2031-09-16T14:30",
            "appointment_status": "confirmed", "outcome": "none", "showing_method": "in_person",
            "request_type": "first",
        }  # fmt: skip
        data = {
            "reference": f"WEB-{number}", "title": "", "status": "scheduled", "time_zone": ZONE, "notes": "",
            "starts_at": "2031-09-16T14:00", "agent": self.agent, "buyer": self.buyer,
            "stops-TOTAL_FORMS": "1", "stops-INITIAL_FORMS": "0", "stops-MIN_NUM_FORMS": "0",
            "stops-MAX_NUM_FORMS": "99",
            **{f"stops-0-{name}": value for name, value in stop.items()},
        }  # fmt: skip
        answer = self._timed("saved in the admin", lambda: self.post("/admin/integrations/tour/add/", data))
        assert answer.status_code == httpx.codes.FOUND, re.findall(
            r'class="errorlist[^>]*>(.*?)</ul>', answer.text, re.DOTALL
        )
        self.outcome.saved += 1

    def look(self) -> None:
        """Pages that would ask Redis."""
        for path in ("/admin/", "/admin/integrations/connection/1/change/", "/admin/integrations/operation/"):
            answer = self._timed("page of the admin", lambda path=path: self.web.get(path))  # type: ignore[misc]
            assert answer.status_code == httpx.codes.OK, path

    def _timed(self, what: str, ask: Any) -> httpx.Response:
        began = time.monotonic()
        answer: httpx.Response = ask()
        self.outcome.took.setdefault(what, []).append(time.monotonic() - began)
        return answer


def run(stack: Stack, *, frozen_s: float, settle_limit_s: float) -> Outcome:
    """Freeze, save, wake, wait for the end, judge."""
    staff = Staff(stack)
    try:
        stack.freeze_redis()
        end = time.monotonic() + frozen_s
        while time.monotonic() < end:
            staff.save_in_api()
            staff.save_in_admin()
            staff.look()
            time.sleep(PAUSE_S)
    finally:
        stack.thaw_redis()
        staff.close()
    stack.await_settled(settle_limit_s)
    outcome = staff.outcome
    like = "reference LIKE 'API-%' OR reference LIKE 'WEB-%'"
    outcome.found = stack.database.rows(f"SELECT COUNT(*) AS n FROM integrations_tour WHERE {like}")[0]["n"]  # noqa: S608
    outcome.findings = stack.findings()
    return outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it in full and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.redis_frozen")
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="frozen-") as folder, Stack(Path(folder) / "data") as stack:
        outcome = run(stack, frozen_s=options.seconds, settle_limit_s=600)
    for what, took in outcome.took.items():
        print(f"{what}: {len(took)}, p99 {outcome.p99(what):.3f} s, longest {max(took):.3f} s")
    assert outcome.findings is not None
    print(f"all of them: p99 {outcome.p99():.3f} s")
    print(f"tours saved {outcome.saved}, there {outcome.found}\n{outcome.findings.text()}")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
