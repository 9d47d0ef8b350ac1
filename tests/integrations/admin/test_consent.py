"""Signing in at a CRM on its own page, there and back, against the sandbox's consent page."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from integrations.models import AuditEvent, Connection, ConsentRequest, ExternalRef, Operation
from tests.crm import Crm, make_connection, make_hubspot_connection, make_tour
from tests.integrations.admin.browsing import messages_of
from tests.integrations.admin.conftest import START, signed_in
from tests.redis_server import RedisServer
from tests.sandbox_server import HUBSPOT_PORTAL, SandboxServer

CLIENT, SECRET = "app-7", "app-secret-0123456789"
APP = {"client_id": CLIENT, "client_secret": SECRET}
BACK = "http://testserver/admin/integrations/connection/signed-in/"
VENDORS = ("hubspot", "gohighlevel")


@pytest.fixture(params=VENDORS)
def asking(request: Any, world: SandboxServer, redis_server: RedisServer) -> Any:
    """A CRM whose connection has an app's client and nobody signed in yet."""
    if request.param == "hubspot":
        world.hubspot(oauth=APP)
        connection = make_hubspot_connection(client_id=CLIENT)
    else:
        world.account(oauth=APP)
        connection = make_connection()
        connection.config = {**connection.config, "client_id": CLIENT}
    connection.secrets, connection.state = {"client_secret": SECRET}, "auth_needed"
    connection.save()
    crm = Crm(world, redis_server, connection)
    yield crm
    crm.close()


def sign_in_page(crm: Crm) -> str:
    return f"/admin/integrations/connection/{crm.connection.pk}/sign-in/"


def sent_to(staff: Client, crm: Crm) -> str:
    """The vendor's address that a press sends the browser to."""
    answer = staff.post(sign_in_page(crm))
    assert answer.status_code == 302
    return str(answer["Location"])


def pressed(address: str, **choice: str) -> str:
    """Where the vendor's page sends the browser back to, after this choice."""
    shown = httpx.get(address)
    assert shown.status_code == 200, shown.text
    kept = dict(re.findall(r"<input type=hidden name='(\w+)' value='([^']*)'>", shown.text))
    gone = httpx.post(address.partition("?")[0], data={**kept, **choice})
    assert gone.status_code == 303, gone.text
    return gone.headers["Location"]


def came_back(staff: Client, address: str) -> str:
    """What the admin says to it."""
    assert address.startswith(BACK)
    answer = staff.get(address)
    assert answer.status_code == 302
    assert "code" not in answer["Location"]
    return messages_of(staff.get(answer["Location"]))[-1]


def account_of(crm: Crm) -> str:
    return str(crm.connection.account_key)


def token_calls(crm: Crm) -> list[int]:
    return [row["status"] for row in crm.sandbox.journal() if "/oauth/" in row["path"]]


def now_there(crm: Crm) -> Connection:
    return Connection.objects.get(pk=crm.connection.pk)


def test_an_approval_signs_in_and_what_waited_is_sent(staff: Client, asking: Crm) -> None:
    asking.plan(make_tour(START))
    assert asking.drain() == 0
    words = came_back(staff, pressed(sent_to(staff, asking), account=account_of(asking)))
    assert words.endswith("works, and what waited for it is sent.")
    row = now_there(asking)
    assert (row.state, row.state_reason) == ("active", "")
    assert row.last_verified_at is not None
    assert row.token_expires_at is not None
    assert sorted(row.secrets) == ["access_token", "client_secret", "refresh_token"]
    assert token_calls(asking) == [200]
    asking.drain()
    assert {one.state for one in Operation.objects.all()} == {"succeeded"}
    assert len(asking.appointments()) == 1
    event = AuditEvent.objects.get(verb="connection.sign_in")
    assert (event.actor, event.after["secrets given"]) == ("ada", ["access_token", "refresh_token"])


def test_no_secret_is_in_an_address_a_page_or_the_trail(staff: Client, asking: Crm) -> None:
    address = sent_to(staff, asking)
    came_back(staff, pressed(address, account=account_of(asking)))
    secrets = now_there(asking).secrets.values()
    shown = staff.get(sign_in_page(asking)).content.decode() + address
    shown += staff.get(f"/admin/integrations/connection/{asking.connection.pk}/change/").content.decode()
    shown += "".join(f"{event.before} {event.after} {event.reason}" for event in AuditEvent.objects.all())
    shown += str(asking.sandbox.journal()) + asking.sandbox.log()
    assert [secret for secret in secrets if secret in shown] == []


def test_what_is_asked_for_is_what_the_manifest_says(staff: Client, asking: Crm) -> None:
    query = parse_qs(urlsplit(sent_to(staff, asking)).query)
    spec = now_there(asking)
    assert (query["response_type"], query["client_id"], query["redirect_uri"]) == (["code"], [CLIENT], [BACK])
    assert len(query["state"][0]) >= 43
    assert ("code_challenge" in query) == (spec.provider == "hubspot")
    assert query.get("code_challenge_method", ["S256"]) == ["S256"]
    stored = ConsentRequest.objects.get()
    assert query["state"][0] not in (stored.state_digest, stored.session_digest)


def test_a_denial_is_said_and_changes_nothing(staff: Client, asking: Crm) -> None:
    words = came_back(staff, pressed(sent_to(staff, asking), deny="yes"))
    assert "Access was denied on" in words
    assert (now_there(asking).state, token_calls(asking)) == ("auth_needed", [])


def test_an_answer_works_once(staff: Client, asking: Crm) -> None:
    address = pressed(sent_to(staff, asking), account=account_of(asking))
    came_back(staff, address)
    before = now_there(asking).secrets_version
    assert "was used already; it works once" in came_back(staff, address)
    assert (now_there(asking).secrets_version, token_calls(asking)) == (before, [200])


def test_an_answer_that_took_too_long_is_not_taken(staff: Client, asking: Crm) -> None:
    address = pressed(sent_to(staff, asking), account=account_of(asking))
    ConsentRequest.objects.update(made_ms=F("made_ms") - 600_001)
    assert "longer than 10 minutes" in came_back(staff, address)
    assert (now_there(asking).state, token_calls(asking)) == ("auth_needed", [])


@pytest.mark.parametrize("state", ["", "forged", "\x00"])
def test_an_answer_with_another_state_belongs_to_no_sign_in(staff: Client, asking: Crm, state: str) -> None:
    sent_to(staff, asking)
    forged = f"{BACK}?{urlencode({'code': 'good', 'state': state})}"
    assert "belongs to no sign-in that was begun in this browser" in came_back(staff, forged)
    assert (now_there(asking).state, token_calls(asking)) == ("auth_needed", [])


def test_an_answer_in_another_browser_is_not_taken_and_does_not_spoil_it(staff: Client, asking: Crm) -> None:
    address = pressed(sent_to(staff, asking), account=account_of(asking))
    other = signed_in(User.objects.create_superuser("eve"))
    assert "belongs to no sign-in that was begun in this browser" in came_back(other, address)
    assert token_calls(asking) == []
    assert "works" in came_back(staff, address)


def test_who_is_not_signed_in_here_is_sent_to_do_so_without_the_code(asking: Crm, staff: Client) -> None:
    address = pressed(sent_to(staff, asking), account=account_of(asking))
    answer = Client().get(address)
    assert answer["Location"] == "/admin/login/?next=/admin/integrations/connection/"
    assert (now_there(asking).state, token_calls(asking)) == ("auth_needed", [])


def test_another_account_is_refused_in_words(staff: Client, asking: Crm) -> None:
    if asking.connection.provider == "hubspot":
        asking.sandbox.hubspot("9999", oauth=APP)
        other = "9999"
    else:
        asking.sandbox.account("loc_other", oauth=APP)
        other = "loc_other"
    words = came_back(staff, pressed(sent_to(staff, asking), account=other))
    assert f"Access was given to another account, {other}. This connection is for {account_of(asking)}." in words
    row = now_there(asking)
    assert (row.state, row.secrets) == ("auth_needed", {"client_secret": SECRET})


def test_a_refused_code_is_said_without_it(staff: Client, asking: Crm) -> None:
    address = pressed(sent_to(staff, asking), account=account_of(asking))
    code = parse_qs(urlsplit(address).query)["code"][0]
    body = {"message": f"code {code} of {SECRET} is not good"}
    asking.sandbox.faults(
        "status", status=400, body=body, provider=asking.connection.provider, match={"method": "POST"}
    )
    words = came_back(staff, address)
    assert "gave no access: the code is not taken" in words
    assert (code in words, SECRET in words) == (False, False)
    assert now_there(asking).state == "auth_needed"


def test_a_vendor_that_cannot_be_tried_out_keeps_the_tokens_it_gave(staff: Client, asking: Crm) -> None:
    asking.sandbox.faults("status", status=503, provider=asking.connection.provider, match={"method": "GET"})
    came_back(staff, pressed(sent_to(staff, asking), account=account_of(asking)))
    row = now_there(asking)
    assert (row.state, row.last_verified_at, "refresh_token" in row.secrets) == ("active", None, True)


def test_signing_in_again_keeps_id_links_and_history(staff: Client, asking: Crm) -> None:
    came_back(staff, pressed(sent_to(staff, asking), account=account_of(asking)))
    asking.sync(make_tour(START))
    before = list(ExternalRef.objects.order_by("pk").values_list("pk", "external_id"))
    Connection.objects.update(state="auth_needed", state_reason="401")
    asking.plan(make_tour(START))
    assert asking.drain() == 0
    came_back(staff, pressed(sent_to(staff, asking), account=account_of(asking)))
    asking.drain()
    assert list(Operation.objects.exclude(state="succeeded")) == []
    assert set(Operation.objects.values_list("attempts", flat=True)) <= {0, 1}
    assert len(asking.appointments()) == 2
    assert Connection.objects.count() == 1
    assert list(ExternalRef.objects.order_by("pk").values_list("pk", "external_id"))[: len(before)] == before
    assert now_there(asking).pk == asking.connection.pk


def test_a_paused_connection_stays_paused(staff: Client, asking: Crm) -> None:
    Connection.objects.update(state="paused")
    came_back(staff, pressed(sent_to(staff, asking), account=account_of(asking)))
    assert now_there(asking).state == "paused"


def test_an_app_without_its_secret_is_not_sent_anywhere(staff: Client, asking: Crm) -> None:
    row = now_there(asking)
    row.secrets = {}
    row.save()
    answer = staff.post(sign_in_page(asking))
    assert answer.status_code == 200
    assert "Fill in the OAuth client ID and the OAuth client secret" in answer.content.decode()


def test_the_page_shows_the_address_to_copy_and_may_send_there(staff: Client, asking: Crm) -> None:
    answer = staff.get(sign_in_page(asking))
    assert f'readonly value="{BACK}"' in answer.content.decode()
    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    assert policy["form-action"] == f"'self' {asking.sandbox.url}"


def test_who_may_not_change_connections_may_not_sign_in(viewer: Client, staff: Client, asking: Crm) -> None:
    assert viewer.get(sign_in_page(asking)).status_code == 403
    assert viewer.post(sign_in_page(asking)).status_code == 403
    assert viewer.get(BACK).status_code == 403


def test_a_new_connection_is_saved_unsigned_and_goes_on_to_sign_in(
    staff: Client, world: SandboxServer, redis_server: RedisServer
) -> None:
    world.hubspot(oauth=APP)
    data = {
        "label": "HubSpot", "scope": "brokerage", "sync_from": "2026-01-01T00:00", "portal_id": HUBSPOT_PORTAL,
        "client_id": CLIENT, "client_secret": SECRET, "_sign_in": "1",
    }  # fmt: skip
    answer = staff.post("/admin/integrations/connection/add/?provider=hubspot", data)
    row = Connection.objects.get()
    assert answer["Location"] == f"/admin/integrations/connection/{row.pk}/sign-in/"
    assert (row.state, row.state_reason) == ("auth_needed", "Nobody has signed in at HubSpot yet.")
    crm = Crm(world, redis_server, row)
    assert "works" in came_back(staff, pressed(sent_to(staff, crm), account=HUBSPOT_PORTAL))
    assert now_there(crm).state == "active"
    crm.close()


def test_one_that_cannot_sign_in_has_no_such_page(staff: Client, crm_row: Connection) -> None:
    Connection.objects.filter(pk=crm_row.pk).update(provider="followupboss")
    answer = staff.get(f"/admin/integrations/connection/{crm_row.pk}/sign-in/")
    assert answer["Location"] == "/admin/"


def test_an_app_cannot_use_a_code_of_another_page(staff: Client, world: SandboxServer) -> None:
    """The sandbox holds the code against address, client and challenge, as RFC 6749 and 7636 ask."""
    world.hubspot(oauth=APP)
    page = {"response_type": "code", "client_id": CLIENT, "redirect_uri": BACK, "state": "s"}
    page |= {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    good = {"grant_type": "authorization_code", "redirect_uri": BACK, **APP}
    good["code_verifier"] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    for change, status in (
        ({"code_verifier": "wrong"}, 400), ({"redirect_uri": f"{BACK}x"}, 400), ({"client_secret": "x"}, 400),
        ({}, 200),
    ):  # fmt: skip
        address = pressed(f"{world.url}/hubspot/oauth/authorize?{urlencode(page)}", account=HUBSPOT_PORTAL)
        code = parse_qs(urlsplit(address).query)["code"][0]
        answer = httpx.post(f"{world.url}/hubspot/oauth/v3/token", data={**good, "code": code, **change})
        assert (change, answer.status_code) == (change, status)
        assert httpx.post(f"{world.url}/hubspot/oauth/v3/token", data={**good, "code": code}).status_code == (
            200 if "client_secret" in change else 400
        )
