"""The provider sandbox as a process of its own, for any test that needs a vendor to talk to.

with SandboxServer(tmp_path) as sandbox:
    sandbox.account()
    ... point the code under test at sandbox.url ...
    assert [row["effect"] for row in sandbox.journal()] == [...]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
PROVIDER = "gohighlevel"
ACCOUNT, TOKEN, CALENDAR = "loc_demo", "pit-demo-token", "cal_demo"
HUBSPOT_PORTAL, HUBSPOT_TOKEN = "4711", "pat-na1-demo-token"
HUBSPOT_PROPERTIES = ("showing_interest", "showing_rating")
LOFTY_ACCOUNT, LOFTY_KEY = "ann@brokerage.example", "lofty-demo-key"
LOFTY_USERS = (
    {"id": "844510972070138", "name": "Ann Agent", "email": "ann@brokerage.example"},
    {"id": "844510972070139", "name": "Bob Broker", "email": "bob@brokerage.example"},
)
ROLLOUT_CREDENTIAL, ROLLOUT_CONSUMER = "cred_demo", "consumer_demo"
ROLLOUT_CLIENT, ROLLOUT_SECRET = "rollout-client", "rollout-demo-secret"
FUB_ACCOUNT, FUB_KEY, FUB_SYSTEM, FUB_SYSTEM_KEY = "acme", "fka_demo_key", "REanna", "fub-system-key"
FUB_USERS = (
    {"id": "9007199254740993", "name": "Olga Owner", "email": "olga@brokerage.example"},
    {"id": "9007199254740995", "name": "Dana Okafor", "email": "dana@brokerage.example"},
)
"""The first is the key's own; ids are above what 53 bits keep."""
ROLLOUT_USERS = (
    {"id": "user_dana", "name": "Dana Okafor", "email": "dana@brokerage.example"},
    {"id": "user_lee", "name": "Lee Park", "email": "lee@brokerage.example"},
)


class SandboxServer:
    """Starts, asks, scripts and stops one sandbox. ``url`` is its base, the GoHighLevel API at its root."""

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        self.data_dir = data_dir
        self.port = port
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start the process and wait until it listens. The port stays the same over restarts."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "integrations.sandbox", "--port", str(self.port), "--data", str(self.data_dir)]
        with (self.data_dir / "sandbox.log").open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("sandbox http://"):
            self.process.wait(10)
            raise RuntimeError(f"the sandbox did not start: {self.log()[-500:]}")
        self.url = line.split()[1]
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def stop(self) -> int:
        """Ask the process to end (SIGTERM) and return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Kill the process as a crash would (SIGKILL)."""
        return self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop and start again on the same port and data."""
        self.stop()
        return self.start()

    def journal(self, provider: str | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Every request written down with a ``seq`` above ``since``."""
        chosen = f"&provider={provider}" if provider else ""
        text = self._call("GET", f"/_sandbox/journal?since={since}{chosen}")
        return [json.loads(line) for line in text.splitlines()]

    def last_seq(self) -> int:
        """The number of the newest journal entry."""
        found: int = json.loads(self._call("GET", "/_sandbox/health"))["journal_seq"]
        return found

    def effects(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What happened in the CRM, in order, of one kind or all."""
        found = [row["effect"] for row in self.journal() if row["effect"]]
        return [effect for effect in found if kind is None or effect["kind"] == kind]

    def faults(self, kind: str, *, provider: str = PROVIDER, **options: Any) -> int:
        """Script a fault: ``faults("status", status=503, times=5, match={"method": "POST"})``. Returns its id.

        ``account``, ``match``, ``times`` (default 1; None = until cleared), ``after`` and ``for_seconds`` say whom it
        meets; the rest describes the fault.
        """
        script: dict[str, Any] = {
            name: options.pop(name) for name in ("account", "match", "times", "after", "for_seconds") if name in options
        }
        script |= {"provider": provider, "fault": {"kind": kind, **options}}
        return int(json.loads(self._call("POST", "/_sandbox/faults", script))["id"])

    def active_faults(self) -> list[dict[str, Any]]:
        """The scripts that can still strike."""
        found: list[dict[str, Any]] = json.loads(self._call("GET", "/_sandbox/faults"))["faults"]
        return found

    def clear_faults(self) -> None:
        """Take every fault back."""
        self._call("DELETE", "/_sandbox/faults")

    def account(self, account: str = ACCOUNT, *, provider: str = PROVIDER, **settings: Any) -> dict[str, Any]:
        """Create or change an account; without settings, one with TOKEN and CALENDAR."""
        if account == ACCOUNT:
            settings = {"token": TOKEN, "calendar": CALENDAR, **settings}
        document = {"provider": provider, "account": account, **settings}
        saved: dict[str, Any] = json.loads(self._call("POST", "/_sandbox/accounts", document))
        return saved

    def hubspot(self, portal: str = HUBSPOT_PORTAL, **settings: Any) -> dict[str, Any]:
        """Create or change a HubSpot account; the demo one has HUBSPOT_TOKEN, and a search that is in no hurry.

        Its API is at ``url`` + ``/hubspot``.
        """
        document: dict[str, Any] = {}
        if portal == HUBSPOT_PORTAL:
            document = {"token": HUBSPOT_TOKEN, "properties": HUBSPOT_PROPERTIES, "search_per_s": 1000}
        return self.account(portal, provider="hubspot", **(document | settings))

    def lofty(self, account: str = LOFTY_ACCOUNT, **settings: Any) -> dict[str, Any]:
        """Create or change a Lofty user; the demo one has LOFTY_KEY and LOFTY_USERS, and shows new leads at once.

        Its API is at ``url`` + ``/lofty``, its token endpoint below that at ``/api/user-web``.
        """
        demo: dict[str, Any] = {"token": LOFTY_KEY, "users": LOFTY_USERS, "lag_s": 0}
        return self.account(account, provider="lofty", **((demo if account == LOFTY_ACCOUNT else {}) | settings))

    def rollout(self, credential: str = ROLLOUT_CREDENTIAL, **settings: Any) -> dict[str, Any]:
        """Create or change a Rollout credential: ROLLOUT_CLIENT's, of ROLLOUT_CONSUMER; the demo one has users.

        Its API is at ``url`` + ``/rollout/api``.
        """
        document: dict[str, Any] = {
            "client_id": ROLLOUT_CLIENT, "client_secret": ROLLOUT_SECRET, "consumer": ROLLOUT_CONSUMER,
        }  # fmt: skip
        if credential == ROLLOUT_CREDENTIAL:
            document["users"] = ROLLOUT_USERS
        return self.account(credential, provider="rollout", **(document | settings))

    def followupboss(self, account: str = FUB_ACCOUNT, **settings: Any) -> dict[str, Any]:
        """Create or change a Follow Up Boss account; the demo one has FUB_KEY, FUB_SYSTEM_KEY and FUB_USERS.

        Its API is at ``url`` + ``/followupboss/v1``.
        """
        demo: dict[str, Any] = {
            "api_key": FUB_KEY, "system_key": FUB_SYSTEM_KEY, "users": FUB_USERS, "user": FUB_USERS[0]["id"],
        }  # fmt: skip
        return self.account(account, provider="followupboss", **((demo if account == FUB_ACCOUNT else {}) | settings))

    def reset(self, *, accounts: bool = False) -> None:
        """Empty every CRM, the journal and the faults; with ``accounts`` the accounts too."""
        self._call("POST", "/_sandbox/reset", {"accounts": accounts})

    def log(self) -> str:
        """What the process wrote to its log so far."""
        return (self.data_dir / "sandbox.log").read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        os.kill(process.pid, how)
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return code

    def _call(self, method: str, path: str, document: object = None) -> str:
        body = None if document is None else json.dumps(document).encode()
        # self.url is our own http:// line, never input.
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            text: str = answer.read().decode()
        return text
