"""What a browser shows when something is wrong: our words, and nothing of the inside."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


def shown(answer: Any, status: int, heading: str) -> str:
    assert answer.status_code == status
    text: str = answer.content.decode()
    assert f"<h1>{heading}</h1>" in text
    assert "integrations/error.css" in text
    return text


def test_an_address_that_is_none(admin_client: Client) -> None:
    text = shown(admin_client.get("/admin/nowhere/<b>/"), 404, "There is no such page")
    assert "nowhere" not in text


def test_a_page_for_others(client: Client) -> None:
    client.force_login(User.objects.create_user("tim", is_staff=True))
    shown(client.get(reverse("admin:integrations_tour_changelist")), 403, "This is not yours to see or do")


def test_a_form_without_its_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    shown(browser.post("/admin/login/", {}), 403, "The form was out of date; nothing was done")


def test_a_request_that_is_none(admin_client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    answer = admin_client.post(reverse("admin:integrations_office_add"), {"name": "a", "other": "b"})
    shown(answer, 400, "This request could not be understood")


def test_a_fault_of_ours(admin_user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault() -> None:
        raise RuntimeError("the secret of the inside")

    monkeypatch.setattr("integrations.admin.overview.load", fault)
    browser = Client(raise_request_exception=False)
    browser.force_login(admin_user)
    text = shown(browser.get("/admin/"), 500, "Something went wrong here")
    assert "secret" not in text
