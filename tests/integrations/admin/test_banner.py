"""What stands above every page while sending is not as usual."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import GateMode
from integrations.models.clock import db_now

pytestmark = pytest.mark.django_db

PAGES = (
    "admin:index",
    "admin:integrations_tour_changelist",
    "admin:integrations_connection_add",
    "admin:auth_user_add",
)


def given(mode: str) -> None:
    GateMode.objects.update_or_create(pk=1, defaults={"mode": mode, "since_ms": db_now() - 90_000, "detail": ""})


@pytest.mark.parametrize("name", PAGES)
def test_a_trickle_is_told_on_every_page(admin_client: Client, name: str) -> None:
    given("trickle")
    text = admin_client.get(reverse(name)).content.decode()
    assert text.count("Redis cannot be reached: only a trickle is sent") == 1
    assert "(1 min 3" in text
    assert "at most a tenth of its limit" in text
    assert "Bring Redis back" in text


@pytest.mark.parametrize(
    ("mode", "title"),
    [
        ("away", "Redis cannot be reached</h2>"),
        ("back", "Redis is back, and the CRMs’ limits are counted anew</h2>"),
        ("cold", "Redis is back, and the CRMs’ limits are counted anew</h2>"),
    ],
)
def test_each_mode_has_its_words(admin_client: Client, mode: str, title: str) -> None:
    given(mode)
    assert title in admin_client.get(reverse("admin:index")).content.decode()


def test_it_is_gone_by_itself(admin_client: Client) -> None:
    given("normal")
    assert "rr-notice" not in admin_client.get(reverse("admin:index")).content.decode()


def test_who_has_not_signed_in_is_told_nothing(client: Client) -> None:
    given("trickle")
    assert "rr-notice" not in client.get(reverse("admin:login")).content.decode()
