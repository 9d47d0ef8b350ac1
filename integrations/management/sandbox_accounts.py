"""The accounts that the sandbox plays for an installation, one at each vendor, and how the sandbox is told of them."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError

from .demo import demo_users

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """One account. `secret`: the field of the connection that holds what `prefix` begins; `settings`: the sandbox's."""

    provider: str
    label: str
    account: str
    config: Mapping[str, str]
    secret: str
    prefix: str
    settings: Mapping[str, Any]

    def new_secret(self) -> str:
        """A secret of this installation alone."""
        return self.prefix + secrets.token_urlsafe(48)

    def tell(self, sandbox_url: str, secret: str) -> None:
        """Make or change the account in the sandbox. Raises CommandError."""
        given = {"provider": self.provider, "account": self.account, self.secret: secret}
        account = {**given, "users": demo_users(), **self.settings}
        request = urllib.request.Request(  # noqa: S310  the address is our own process's
            f"{sandbox_url.rstrip('/')}/_sandbox/accounts",
            data=json.dumps(account).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            words = f"The sandbox refused its account {self.account}: {error.code} {error.read(300)!r}"
            raise CommandError(words) from None
        except OSError as error:
            raise CommandError(f"The sandbox at {sandbox_url} does not answer: {error}") from None


ACCOUNTS = (
    SandboxAccount(
        provider="gohighlevel",
        label="GoHighLevel (sandbox)",
        account="loc_demo",
        config={"location_id": "loc_demo", "calendar_id": "cal_demo"},
        secret="token",  # noqa: S106  a field's name
        prefix="pit-",
        settings={"calendar": "cal_demo", "duplicates": False},
    ),
    SandboxAccount(
        provider="rollout",
        label="Rollout (sandbox)",
        account="cred_demo",
        config={"credential_id": "cred_demo", "client_id": "client_demo", "consumer": "brokerage_demo"},
        secret="client_secret",  # noqa: S106  a field's name
        prefix="rsk-",
        # No type for showings: making it is a part of what there is to see.
        settings={
            "client_id": "client_demo",
            "consumer": "brokerage_demo",
            "label": "Demo CRM",
            "appointment_types": ["Buyer consultation", "Listing appointment"],
            "appointment_outcomes": ["Showed", "No show"],
        },
    ),
)
