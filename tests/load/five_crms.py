"""One brokerage, five CRMs: `python -m tests.load.five_crms TOURS.csv FEEDBACK.csv [--json FILE] [--not-alone]`.

First each CRM alone, in a product of its own, then all five at once: the journal and the database are judged by
`tests.oracle`, and how long each CRM took stands side by side. Ends with 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.oracle import Findings
from tests.stack import Stack

CRMS: dict[str, dict[str, Any]] = {
    "followupboss": {
        "account": "acme",
        "config": {"subdomain": "acme", "system": "REanna"},
        "secrets": {"api_key": "fka_five_crms_key", "system_key": "five-crms-system-key"},
        "sandbox": {"users": [{"id": "9007199254740993", "name": "Olga Owner", "email": "olga@brokerage.example"}],
                    "user": "9007199254740993"},
    },
    "gohighlevel": {
        "account": "loc_five",
        "config": {"location_id": "loc_five", "calendar_id": "cal_five"},
        "secrets": {"token": "pit-five-crms-token"},
        "sandbox": {"calendar": "cal_five"},
    },
    "hubspot": {
        "account": "4711",
        "config": {"portal_id": "4711"},
        "secrets": {"token": "pat-na1-five-crms-token"},
        "sandbox": {},
    },
    "lofty": {
        "account": "ann@brokerage.example",
        "config": {"account_email": "ann@brokerage.example", "app_mode": "production"},
        "secrets": {"token": "lofty-five-crms-key"},
        "sandbox": {},
    },
    "rollout": {
        "account": "cred_five",
        "config": {"client_id": "client_five", "consumer": "consumer_five", "credential_id": "cred_five"},
        "secrets": {"client_secret": "rsk-five-crms-secret"},
        "sandbox": {"client_id": "client_five", "consumer": "consumer_five"},
    },
}  # fmt: skip
"""Each vendor's account: what the connection says, and what more the sandbox is told."""

CONNECT = """
import json
from datetime import UTC, datetime
from integrations.models import Connection
Connection.objects.all().delete()  # the ones that a first start brings
for provider, crm in json.loads({crms!r}).items():
    Connection.objects.create(provider=provider, label=provider, account_key=crm["account"], config=crm["config"],
        secrets=crm["secrets"], sync_from=datetime(2026, 1, 1, tzinfo=UTC))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.five_crms", description=__doc__)
    parser.add_argument("tours", type=Path)
    parser.add_argument("feedback", type=Path)
    parser.add_argument("--json", type=Path, help="write every finding there")
    parser.add_argument("--not-alone", action="store_true", help="only all five at once")
    parser.add_argument("--within", type=float, default=900, metavar="S", help="give up after so many seconds (900)")
    options = parser.parse_args(arguments)
    runs = [] if options.not_alone else [(name,) for name in CRMS]
    found = {names: _run(names, options) for names in (*runs, tuple(CRMS))}
    _tell(found)
    if options.json:
        told = {" ".join(names): asdict(findings) for names, findings in found.items()}
        options.json.write_text(json.dumps({"load": os.getloadavg(), "runs": told}, indent=1))
    return 1 if any(findings.wrong for findings in found.values()) else 0


def _run(names: tuple[str, ...], options: argparse.Namespace) -> Findings:
    with tempfile.TemporaryDirectory(prefix="five-") as made, Stack(Path(made) / "data") as stack:
        for name in names:
            crm = CRMS[name]
            account = {"provider": name, "account": crm["account"], **crm["secrets"], **crm["sandbox"]}
            stack.sandbox("POST", "/_sandbox/accounts", account)
        stack.shell(CONNECT.format(crms=json.dumps({name: CRMS[name] for name in names})))
        began = time.monotonic()
        stack.manage("import_tours", str(options.tours))
        stack.manage("import_feedback", str(options.feedback))
        states = stack.await_settled(within_s=options.within)
        print(f"{', '.join(names)}: {states} in {time.monotonic() - began:.0f} s", flush=True)
        return stack.findings()


def _tell(found: dict[tuple[str, ...], Findings]) -> None:
    """How long from a CRM's first request to its last, alone and with the others; whatever is wrong."""
    took = {(names, each.provider): each for names, one in found.items() for each in one.connections}
    print(f"{'CRM':<14}{'alone':>9}{'with all':>10}{'requests':>10}{'busiest':>9} of limit")
    for name in CRMS:
        alone, there = took.get(((name,), name)), took[tuple(CRMS), name]
        words = f"{alone.span_s:.0f} s" if alone else "-"
        print(f"{name:<14}{words:>9}{there.span_s:>8.0f} s{there.requests:>10}{there.busiest:>9} of {there.limit}")
    for names, findings in found.items():
        for words in findings.wrong:
            print(f"WRONG ({', '.join(names)}): {words}")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    sys.exit(main())
