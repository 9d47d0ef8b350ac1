"""The vendor's page of a record: an address for people, whatever its parts hold."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.operations import crm_links
from tests.factories import ConnectionFactory, ExternalRefFactory

BASE = "https://app.gohighlevel.com/v2/location"


@pytest.fixture(autouse=True)
def _vendors(settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = "http://127.0.0.1:8900"
    settings.REANNA_BASE_URLS = {"gohighlevel": "https://services.example", "rollout": "https://rollout.example"}


def test_a_contact_of_gohighlevel() -> None:
    connection = ConnectionFactory.build(config={"location_id": "loc1"})
    assert crm_links.url(connection, "contact", "c9") == f"{BASE}/loc1/contacts/detail/c9"


@pytest.mark.parametrize(
    ("config", "external_id", "expected"),
    [
        ({"location_id": "a/../b?x"}, 'c"><script>', f"{BASE}/a%2F..%2Fb%3Fx/contacts/detail/c%22%3E%3Cscript%3E"),
        ({"location_id": "loc"}, "{location_id}", f"{BASE}/loc/contacts/detail/%7Blocation_id%7D"),
        ({"location_id": "{id}"}, "c9", f"{BASE}/%7Bid%7D/contacts/detail/c9"),
        ({}, "c9", ""),
        ({"location_id": "loc"}, "", ""),
    ],
)
def test_hostile_parts_stay_one_piece_of_the_path(config: dict[str, str], external_id: str, expected: str) -> None:
    assert crm_links.url(ConnectionFactory.build(config=config), "contact", external_id) == expected


@pytest.mark.parametrize(
    ("provider", "resource"), [("gohighlevel", "appointment"), ("rollout", "contact"), ("nobody", "contact")]
)
def test_no_address_is_made_up(provider: str, resource: str) -> None:
    assert crm_links.url(ConnectionFactory.build(provider=provider), resource, "c9") == ""


def test_the_sandbox_shows_what_its_account_holds(settings: Any) -> None:
    settings.REANNA_BASE_URLS = {"gohighlevel": "http://127.0.0.1:8900"}
    connection = ConnectionFactory.build(account_key="loc demo")
    assert crm_links.url(connection, "contact", "c9") == "http://127.0.0.1:8900/?account=gohighlevel%3Aloc+demo#holds"


@pytest.mark.django_db
def test_a_record_in_every_crm_it_is_linked_in(django_assert_num_queries: Any) -> None:
    crms = [ConnectionFactory(label=label, config={"location_id": label}) for label in ("A", "B")]
    for connection in crms:
        ExternalRefFactory(
            connection=connection, entity_type="contact", entity_id=7, resource="contact", external_id="c"
        )
    ExternalRefFactory(entity_type="contact", entity_id=7, resource="contact", external_id=None)
    with django_assert_num_queries(1) as queries:
        found = crm_links.of("contact", 7, "contact")
    assert [(one.label, one.url) for one in found] == [
        ("A", f"{BASE}/A/contacts/detail/c"),
        ("B", f"{BASE}/B/contacts/detail/c"),
    ]
    assert "secrets" not in queries.captured_queries[0]["sql"]
