"""Tokens of the API in the admin: shown once, revoked, never more than their maker may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from integrations.models import ApiToken, AuditEvent
from integrations.operations.access import token_of
from tests.integrations.admin.conftest import signed_in
from tests.integrations.api.asking import NOW, person, token

ADD = "/admin/integrations/apitoken/add/"
SHOWN = re.compile(r'value="(rr_live_[^"]+)"')


@pytest.fixture
def manager(db: None) -> Client:
    """The browser of a manager."""
    return signed_in(person("manager"))


def test_a_token_is_shown_once_and_works(manager: Client) -> None:
    answer = manager.post(ADD, {"name": "Website", "scopes": ["tours:read"]})
    shown = SHOWN.search(answer.content.decode())
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert shown is not None
    made = ApiToken.objects.get()
    assert token_of(shown[1], NOW) == made
    assert (made.owner.username, made.scopes, made.name) == ("a-manager", ["tours:read"], "Website")
    secret = shown[1].split("_", 3)[3]
    for name, args in (("changelist", []), ("change", [made.pk])):
        page = manager.get(reverse(f"admin:integrations_apitoken_{name}", args=args)).content.decode()
        assert [text for text in (secret, made.digest) if text in page] == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"scopes": ["tours:read"]}, "This must be given."),
        ({"name": "x"}, "Choose at least one."),
        ({"name": "x", "scopes": ["everything"]}, "everything is not one of the available choices."),
        ({"name": "x", "scopes": ["tours:read"], "last_day": "2001-01-01"}, "This lies in the past."),
        ({"name": "x", "scopes": ["tours:read"], "last_day": "9999-12-31"}, "The year must lie between 2000 and 2100."),
        ({"name": "\x00", "scopes": ["tours:read"]}, "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(manager: Client, data: dict[str, Any], words: str) -> None:
    answer = manager.post(ADD, data)
    assert (answer.status_code, ApiToken.objects.count()) == (200, 0)
    assert words in answer.content.decode()


def test_only_ones_own_scopes_are_offered(db: None) -> None:
    user = User.objects.create_user("tim", is_staff=True)
    rights = person("manager").groups.get().permissions
    user.user_permissions.set(rights.filter(codename__in=["add_apitoken", "view_tour"]))
    browser = signed_in(user)
    assert re.findall(r'name="scopes" value="([^"]+)"', browser.get(ADD).content.decode()) == ["tours:read"]
    browser.post(ADD, {"name": "x", "scopes": ["connections:write"]})
    assert ApiToken.objects.count() == 0


def test_revoking_asks_first_and_is_audited(manager: Client) -> None:
    shown = token("tours:read")
    at = reverse("admin:integrations_apitoken_revoke", args=[ApiToken.objects.get().pk])
    assert "cannot be brought back" in manager.get(at).content.decode()
    assert token_of(shown, NOW) is not None
    assert manager.post(at, {"reason": "leaked"}).status_code == 302
    assert token_of(shown, NOW) is None
    event = AuditEvent.objects.latest("id")
    assert (event.verb, event.actor, event.reason) == ("token.revoke", "a-manager", "leaked")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_others_see_and_make_none(db: None, role: str) -> None:
    token("tours:read")
    pk = ApiToken.objects.get().pk
    browser = signed_in(person(role))
    urls = [
        reverse("admin:integrations_apitoken_changelist"), ADD,
        reverse("admin:integrations_apitoken_change", args=[pk]),
        reverse("admin:integrations_apitoken_revoke", args=[pk]),
    ]  # fmt: skip
    assert [browser.get(url).status_code for url in urls] == [403] * 4
    assert browser.post(urls[3], {}).status_code == 403
    assert ApiToken.objects.get().revoked_at is None


def test_an_address_that_is_no_token_leads_back(manager: Client) -> None:
    assert manager.get("/admin/integrations/apitoken/99/revoke/").status_code == 302
    assert manager.post("/admin/integrations/apitoken/99/delete/").status_code in (302, 403)
