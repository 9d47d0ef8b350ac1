"""What every provider's adapter must do, whatever its vendor: one suite, run over each against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.providers import registry
from integrations.providers.auth import Credentials
from integrations.providers.base import (
    AccountFacts,
    Found,
    NotFound,
    RefFacts,
    SecondWriteError,
    Understood,
)
from integrations.providers.errors import (
    AuthError,
    Gone,
    NotProcessed,
    ProviderError,
    RateLimited,
    Rejected,
    Uncertain,
)
from tests.crm import FUB_CONFIG, LOFTY_CONFIG
from tests.integrations.providers.conftest import CONFIG, Figures, MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER, SHOWING
from tests.integrations.providers.rollout import conftest as rollout
from tests.integrations.providers.test_summary_words import TOUR
from tests.openapi import validate_request
from tests.sandbox_server import (
    ACCOUNT,
    FUB_ACCOUNT,
    FUB_KEY,
    FUB_SYSTEM_KEY,
    HUBSPOT_PORTAL,
    HUBSPOT_TOKEN,
    LOFTY_ACCOUNT,
    LOFTY_KEY,
    ROLLOUT_CREDENTIAL,
    ROLLOUT_SECRET,
    TOKEN,
    SandboxServer,
)

NEW = RefFacts(None, MARKER)
LATER = replace(SHOWING, starts_at=SHOWING.starts_at + timedelta(hours=1), ends_at=SHOWING.ends_at + timedelta(hours=1))
OFF = replace(SHOWING, live=False)
# No OpenAPI file to hold requests to: the sandbox, which refuses what the pages do not list, is the only judge.
UNPUBLISHED = ("followupboss", "lofty")
CORRECTED = replace(TOUR, seen=TOUR.seen[:2])


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


@dataclass
class Adapter:
    """One provider's kinds over a link to the sandbox."""

    slug: str
    link: gateway.Link
    sandbox: SandboxServer
    commits: int = 0

    def needs(self) -> dict[str, str]:
        """What a stop hangs on, made there."""
        found = {"contact": self.write("contact.link", ANN)}
        if "appointment_type.link" in self.link.manifest.kinds:
            found["appointment_type"] = self.write("appointment_type.link", AccountFacts(1))
        return found

    def lookup(self, kind: str, facts: Any, ref: RefFacts = NEW, **needs: str) -> Any:
        asked = self.link.kind(kind)
        wanted = asked.wanted(facts, needs, ref, self.link.facts.config)
        return asked.lookup(self.link.exchange(self._before_write), facts, wanted, ref, needs)

    def written(self, kind: str, facts: Any, ref: RefFacts = NEW, **needs: str) -> Any:
        asked = self.link.kind(kind)
        wanted = asked.wanted(facts, needs, ref, self.link.facts.config)
        return asked.write(self.link.exchange(self._before_write), wanted, ref)

    def write(self, kind: str, facts: Any, ref: RefFacts = NEW, **needs: str) -> str:
        done = self.written(kind, facts, ref, **needs)
        assert isinstance(done, Understood)
        return done.external_id

    def fault(self, kind: str, method: str = "POST", **options: Any) -> None:
        self.sandbox.faults(kind, provider=self.slug, match={"method": method}, **options)

    def effects(self, kind: str) -> list[str]:
        return [effect["op"] for effect in self.sandbox.effects(kind)]

    def _before_write(self) -> None:
        self.commits += 1


@pytest.fixture(params=registry.slugs())
def adapter(request: pytest.FixtureRequest, sandbox: SandboxServer, gate: Gate) -> Iterator[Adapter]:
    slug = request.param
    if slug == "rollout":
        sandbox.rollout()
        account, config, secrets = ROLLOUT_CREDENTIAL, rollout.CONFIG, {"client_secret": ROLLOUT_SECRET}
        base_url = f"{sandbox.url}/rollout/api"
    elif slug == "followupboss":
        sandbox.followupboss()
        account, config, secrets = FUB_ACCOUNT, FUB_CONFIG, {"api_key": FUB_KEY, "system_key": FUB_SYSTEM_KEY}
        base_url = f"{sandbox.url}/followupboss/v1"
    elif slug == "hubspot":
        sandbox.hubspot()
        account, config, secrets = HUBSPOT_PORTAL, {"portal_id": HUBSPOT_PORTAL}, {"token": HUBSPOT_TOKEN}
        base_url = f"{sandbox.url}/hubspot"
    elif slug == "lofty":
        sandbox.lofty()
        account, config, secrets = LOFTY_ACCOUNT, LOFTY_CONFIG, {"token": LOFTY_KEY}
        base_url = f"{sandbox.url}/lofty"
    else:
        account, config, secrets, base_url = ACCOUNT, CONFIG, {"token": TOKEN}, sandbox.url
    facts = gateway.ConnectionFacts(
        id=1,
        provider=slug,
        account_key=account,
        config=config,
        limit_overrides={},
        secrets_version=1,
        base_url=base_url,
    )
    store = MemoryStore(Credentials(secrets, 1))
    yield Adapter(slug, gateway.open_connection(facts, store, gate, Figures(), rollout.MemoryLookups()), sandbox)
    gateway.close_all()


# --- desires -------------------------------------------------------------------------------------------------------


def test_equal_desires_are_equal_and_plain_json(adapter: Adapter) -> None:
    kind = adapter.link.kind("appointment.sync")
    needs = {"contact": "c", "appointment_type": "t"}
    first, second = (kind.wanted(SHOWING, needs, NEW, adapter.link.facts.config) for _ in range(2))
    assert first == second
    assert kind.wanted(LATER, needs, NEW, adapter.link.facts.config) != first
    assert kind.wanted(OFF, needs, NEW, adapter.link.facts.config).absent is True
    assert first.absent is False


def test_the_account_is_told_by_the_config(adapter: Adapter) -> None:
    manifest = adapter.link.manifest
    assert manifest.account_key(adapter.link.facts.config) == adapter.link.facts.account_key
    named = {field.name for field in manifest.fields}
    assert set(manifest.config_headers.values()) <= named


# --- buyers --------------------------------------------------------------------------------------------------------


def test_a_buyer_is_created_once_and_found_again(adapter: Adapter) -> None:
    assert adapter.lookup("contact.link", ANN) == NotFound()
    ann = adapter.write("contact.link", ANN)
    assert adapter.lookup("contact.link", ANN) == Found(ann, same=True)
    assert (adapter.effects("contact"), adapter.commits) == (["create"], 1)


def test_a_linked_person_is_left_as_it_is(adapter: Adapter) -> None:
    ann = adapter.write("contact.link", ANN)
    renamed = replace(ANN, first_name="Annabel", phone="+19165559999")
    assert adapter.write("contact.link", renamed, linked(ann)) == ann
    assert adapter.effects("contact") == ["create"]


def test_a_linked_person_who_was_deleted_is_gone(adapter: Adapter) -> None:
    with pytest.raises(Gone):
        adapter.lookup("contact.link", ANN, linked("deleted"))


# --- stops ---------------------------------------------------------------------------------------------------------


def test_a_stop_follows_every_move_in_one_appointment(adapter: Adapter) -> None:
    needs = adapter.needs()
    first = adapter.write("appointment.sync", SHOWING, **needs)
    assert adapter.write("appointment.sync", LATER, linked(first), **needs) == first
    assert adapter.effects("appointment") == ["create", "update"]
    assert not any(effect.get("notified") for effect in adapter.sandbox.effects())


def test_a_stop_that_was_cancelled_ends_there(adapter: Adapter) -> None:
    needs = adapter.needs()
    first = adapter.write("appointment.sync", SHOWING, **needs)
    adapter.written("appointment.sync", OFF, linked(first), **needs)
    assert len(adapter.effects("appointment")) == 2
    ended = adapter.lookup("appointment.sync", OFF, linked(first), **needs)
    assert ended == NotFound() or ended == Found(first, same=True)


def test_an_appointment_that_was_deleted_there_is_gone(adapter: Adapter) -> None:
    needs = adapter.needs()
    with pytest.raises(Gone):
        adapter.lookup("appointment.sync", SHOWING, linked("deleted"), **needs)
    with pytest.raises(Gone):
        adapter.write("appointment.sync", SHOWING, linked("deleted"), **needs)


def test_a_linked_appointment_tells_whether_it_is_the_same(adapter: Adapter) -> None:
    needs = adapter.needs()
    first = adapter.write("appointment.sync", SHOWING, **needs)
    assert adapter.lookup("appointment.sync", SHOWING, linked(first), **needs) == Found(first, same=True)
    assert adapter.lookup("appointment.sync", LATER, linked(first), **needs) == Found(first, same=False)


# --- a tour that is over -------------------------------------------------------------------------------------------


def test_a_summary_is_found_by_its_marker_where_notes_can_be_searched(adapter: Adapter) -> None:
    needs = {"contact": adapter.write("contact.link", ANN)}
    if not adapter.link.kind("tour.summary").has_lookup:
        adapter.write("tour.summary", TOUR, **needs)
        with pytest.raises(Rejected):
            adapter.lookup("tour.summary", TOUR, **needs)
        return
    assert adapter.lookup("tour.summary", TOUR, **needs) == NotFound()
    first = adapter.write("tour.summary", TOUR, **needs)
    assert adapter.lookup("tour.summary", TOUR, **needs) == Found(first, same=True)
    assert adapter.lookup("tour.summary", CORRECTED, **needs) == Found(first, same=False)


def test_a_summary_is_one_note_that_is_edited(adapter: Adapter) -> None:
    needs = {"contact": adapter.write("contact.link", ANN)}
    first = adapter.write("tour.summary", TOUR, **needs)
    assert adapter.lookup("tour.summary", CORRECTED, linked(first), **needs) == Found(first, same=False)
    assert adapter.write("tour.summary", CORRECTED, linked(first), **needs) == first
    assert adapter.lookup("tour.summary", CORRECTED, linked(first), **needs) == Found(first, same=True)
    assert adapter.effects("note") == ["create", "update"]


def test_a_summary_that_is_not_wanted_any_more_is_confirmed_and_left(adapter: Adapter) -> None:
    needs = {"contact": adapter.write("contact.link", ANN)}
    first = adapter.write("tour.summary", TOUR, **needs)
    off = replace(CORRECTED, included=False)
    assert adapter.link.kind("tour.summary").wanted(off, needs, NEW, adapter.link.facts.config).absent is True
    assert adapter.write("tour.summary", off, linked(first), **needs) == first
    assert adapter.effects("note") == ["create"]


def test_a_summary_that_was_deleted_there_is_gone(adapter: Adapter) -> None:
    needs = {"contact": adapter.write("contact.link", ANN)}
    with pytest.raises(Gone):
        adapter.write("tour.summary", TOUR, linked("deleted"), **needs)


# --- doubt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["contact.link", "appointment.sync"])
def test_a_lost_answer_is_found(adapter: Adapter, kind: str) -> None:
    needs = adapter.needs() if kind == "appointment.sync" else {}
    facts: Any = SHOWING if needs else ANN
    adapter.fault("drop_after_effect")
    with pytest.raises(httpx.TransportError):
        adapter.write(kind, facts, **needs)
    found = adapter.lookup(kind, facts, **needs)
    assert isinstance(found, Found)
    assert found.external_id == adapter.sandbox.effects()[-1]["id"]


@pytest.mark.parametrize("kind", ["contact.link", "appointment.sync"])
def test_a_request_that_never_arrived_is_not_found(adapter: Adapter, kind: str) -> None:
    needs = adapter.needs() if kind == "appointment.sync" else {}
    facts: Any = SHOWING if needs else ANN
    if needs:
        # A list that shows nothing at all says less at some vendors.
        adapter.write(kind, facts, RefFacts(None, "ZZZZZZZZZZZZ"), **needs)
    adapter.fault("drop_before_effect")
    with pytest.raises(httpx.TransportError):
        adapter.write(kind, facts, **needs)
    assert adapter.lookup(kind, facts, **needs) == NotFound()


def test_the_marker_is_no_other_records(adapter: Adapter) -> None:
    needs = adapter.needs()
    adapter.write("appointment.sync", SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), **needs)
    assert adapter.lookup("appointment.sync", SHOWING, **needs) == NotFound()


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (403, AuthError),
        (422, Rejected),
        (429, RateLimited),
        (500, Uncertain),
        (502, Uncertain),
        (503, NotProcessed),
        (504, Uncertain),
        (302, Uncertain),
    ],
)
def test_an_answer_means_what_http_says_and_nothing_is_sent_twice(
    adapter: Adapter, status: int, error: type[ProviderError]
) -> None:
    adapter.fault("status", status=status)
    with pytest.raises(error) as caught:
        adapter.write("contact.link", ANN)
    assert (caught.value.provider, caught.value.status) == (adapter.slug, status)
    assert [row["status"] for row in adapter.sandbox.journal(adapter.slug) if row["method"] == "POST"] == [status]


def test_a_refused_sign_in_is_for_a_person(adapter: Adapter) -> None:
    adapter.fault("status", status=401, times=2)
    with pytest.raises(AuthError) as caught:
        adapter.write("contact.link", ANN)
    assert caught.value.credentials_version == 1


@pytest.mark.parametrize("fault", [{"kind": "garbled"}, {"kind": "status", "status": 201, "body": {}}])
def test_a_2xx_that_is_not_understood_is_doubt(adapter: Adapter, fault: dict[str, Any]) -> None:
    adapter.fault(**fault)
    with pytest.raises(Uncertain):
        adapter.write("contact.link", ANN)


def test_a_second_write_in_one_operation_is_refused(adapter: Adapter) -> None:
    kind = adapter.link.kind("contact.link")
    exchange = adapter.link.exchange(lambda: None)
    wanted = kind.wanted(ANN, {}, NEW, adapter.link.facts.config)
    kind.write(exchange, wanted, NEW)
    with pytest.raises(SecondWriteError):
        kind.write(exchange, wanted, NEW)


# --- the vendor's own contract -------------------------------------------------------------------------------------


def test_every_request_is_one_the_vendor_documents(adapter: Adapter) -> None:
    adapter.lookup("contact.link", ANN)
    needs = adapter.needs()
    adapter.lookup("contact.link", ANN, linked(needs["contact"]))
    first = linked(adapter.write("appointment.sync", SHOWING, **needs))
    adapter.lookup("appointment.sync", SHOWING, **needs)
    adapter.lookup("appointment.sync", SHOWING, first, **needs)
    adapter.written("appointment.sync", replace(SHOWING, outcome="showed"), first, **needs)
    adapter.written("appointment.sync", OFF, first, **needs)
    told = linked(adapter.write("tour.summary", TOUR, **needs))
    if adapter.link.kind("tour.summary").has_lookup:
        adapter.lookup("tour.summary", TOUR, **needs)
    adapter.lookup("tour.summary", TOUR, told, **needs)
    adapter.written("tour.summary", CORRECTED, told, **needs)
    for row in adapter.sandbox.journal(adapter.slug):
        nobody = row["status"] == httpx.codes.NOT_FOUND and row["query"].get("idProperty") == "email"
        assert nobody or row["status"] < httpx.codes.BAD_REQUEST
        if adapter.slug in UNPUBLISHED:
            continue
        headers = {**row["headers"], "authorization": "Bearer t"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider=adapter.slug)
