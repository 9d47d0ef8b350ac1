"""A provider as `docs/adding-a-provider.md` says to make one: the smallest that can be sent a tour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.gate import Window
from integrations.providers.base import (
    ConfigField,
    ContactFacts,
    Exchange,
    Found,
    Lookup,
    Manifest,
    NotFound,
    RefFacts,
    ShowingFacts,
    Understood,
    Wanted,
)
from integrations.providers.errors import error_for
from integrations.providers.sign_in import OAuthSignIn

SLUG = "toy"


def _ok(response: Any) -> Any:
    if not response.is_success:
        raise error_for(SLUG, response)
    return response


class _Recorded:
    """What is kept under `/<resource>` with our marker, by which it is looked up."""

    resource: str
    settle_s = 1.0
    look_first = False
    has_lookup = True

    def lookup(self, exchange: Exchange, facts: Any, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]) -> Lookup:
        found = _ok(exchange.read("GET", f"/{self.resource}", params={"marker": ref.marker})).json()
        return Found(found[0]["id"], same=None) if found else NotFound()

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Understood:
        path = f"/{self.resource}/{ref.external_id}" if ref.external_id else f"/{self.resource}"
        answer = _ok(exchange.write("PUT" if ref.external_id else "POST", path, json=dict(wanted.body)))
        return Understood(answer.json()["id"], answer.status_code)


class ContactLink(_Recorded):
    name, resource = "contact.link", "contact"

    def wanted(self, facts: ContactFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        return Wanted(self.resource, {"name": f"{facts.first_name} {facts.last_name}", "marker": ref.marker})


class AppointmentSync(_Recorded):
    name, resource = "appointment.sync", "appointment"

    def wanted(self, facts: ShowingFacts, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        body = {"contact": needs["contact"], "at": facts.starts_at.isoformat(), "on": facts.live, "marker": ref.marker}
        return Wanted(self.resource, body)


MANIFEST = Manifest(
    slug=SLUG,
    label="Toy CRM",
    sign_in=OAuthSignIn("/token"),
    limits=(Window("burst", 50, 1),),
    limits_source="https://toy.example/limits",
    fields=(
        ConfigField("account", "Account"),
        ConfigField("token", "API key", secret=True),
    ),
    kinds={kind.name: kind for kind in (ContactLink(), AppointmentSync())},
    account_key=lambda config: config["account"],
)
