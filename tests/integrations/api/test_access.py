"""Who gets in with what, and what they are told otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from integrations.models import ApiToken, AuditEvent, Tour
from integrations.operations.access import create_token, digest, revoke_token, token_of
from integrations.operations.audit import Who
from integrations.operations.roles import APP, ROLES
from tests.integrations.api.asking import NOW, Asking, person, token

WHO = Who("ann", "admin")


def test_a_token_has_its_form_and_only_its_digest_is_kept(db: None) -> None:
    shown = token("tours:read")
    prefix, live, key_id, secret = shown.split("_", 3)
    stored = ApiToken.objects.get()
    assert (prefix, live, key_id, len(secret)) == ("rr", "live", stored.key_id, 43)
    assert stored.digest == digest(secret)
    assert secret not in str(ApiToken.objects.values().get()) + str(list(AuditEvent.objects.values()))


def test_making_a_token_is_audited(db: None) -> None:
    token("tours:read")
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.after["scopes"]) == ("token.create", "ann", ["tours:read"])


def test_a_token_opens_what_its_scopes_say(tour: Tour) -> None:
    assert Asking(token("tours:read")).get("/api/tours").status_code == 200


def test_a_scope_that_is_missing_is_a_403_and_changes_nothing(tour: Tour) -> None:
    answer = Asking(token("tours:read")).post(f"/api/tours/{tour.pk}/cancel")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert Tour.objects.get().status == "scheduled"


def test_a_token_has_no_more_than_its_owner(tour: Tour) -> None:
    owner = person("operator")
    shown = token("tours:write", owner=owner)
    owner.groups.clear()
    assert Asking(shown).post(f"/api/tours/{tour.pk}/cancel").status_code == 403


@pytest.mark.parametrize("shown", ["", "rr_live_AAAAAAAA_" + "x" * 43, "nonsense", "rr_live_", "\xe9"])
def test_a_wrong_token_is_a_401_that_says_how(db: None, shown: str) -> None:
    answer = Asking().ask("GET", "/api/tours", Authorization=f"Bearer {shown}")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


def test_nobody_is_a_401(db: None) -> None:
    assert Asking().get("/api/tours").status_code == 401


def test_the_right_id_with_another_secret_is_wrong(db: None) -> None:
    shown = token("tours:read")
    assert Asking(shown[:-1] + ("a" if shown[-1] != "a" else "b")).get("/api/tours").status_code == 401


def test_a_revoked_token_is_wrong_at_once(db: None) -> None:
    shown = token("tours:read")
    assert revoke_token(ApiToken.objects.get().pk, now=timezone.now(), who=WHO)
    assert not revoke_token(ApiToken.objects.get().pk, now=timezone.now(), who=WHO)
    assert Asking(shown).get("/api/tours").status_code == 401
    assert list(AuditEvent.objects.order_by("id").values_list("verb", flat=True)) == ["token.create", "token.revoke"]


def test_a_token_ends_when_it_expires(db: None) -> None:
    made = create_token(
        name="x", scopes=["tours:read"], owner=person("viewer"), expires_at=NOW + timedelta(1), now=NOW, who=WHO
    )
    assert token_of(made.shown, NOW + timedelta(hours=23)) == made.token
    assert token_of(made.shown, NOW + timedelta(1)) is None


def test_a_token_ends_with_its_owners_account(db: None) -> None:
    shown = token("tours:read")
    User.objects.update(is_active=False)
    assert token_of(shown, NOW) is None


def test_its_use_is_written_once_a_minute(db: None) -> None:
    shown = token("tours:read")
    used = []
    for after_s in (0, 59, 60):
        token_of(shown, NOW + timedelta(seconds=after_s))
        used.append(ApiToken.objects.get().last_used_at)
    assert used == [NOW, NOW, NOW + timedelta(seconds=60)]


def test_nobody_gives_a_right_they_do_not_have(db: None) -> None:
    with pytest.raises(Exception, match="You do not have this right yourself: connections:write"):
        token("connections:write", owner=person("viewer"))


def test_a_session_has_the_scopes_of_its_rights(tour: Tour) -> None:
    viewer = Asking(user=person("viewer"))
    assert viewer.get("/api/tours").status_code == 200
    assert viewer.post(f"/api/tours/{tour.pk}/cancel").status_code == 403


def test_a_session_needs_its_csrf_token(tour: Tour) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("operator"))
    answer = browser.post(f"/api/tours/{tour.pk}/cancel", "{}", content_type="application/json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
    assert Tour.objects.get().status == "scheduled"


def test_a_token_needs_no_csrf_token(tour: Tour) -> None:
    asking = Asking(token("tours:write"))
    asking.client = Client(enforce_csrf_checks=True)
    assert asking.post(f"/api/tours/{tour.pk}/cancel").status_code == 200


def test_the_audit_trail_names_the_token(tour: Tour) -> None:
    Asking(token("tours:write")).post(f"/api/tours/{tour.pk}/cancel", {"reason": "rain"})
    event = AuditEvent.objects.latest("id")
    key_id = ApiToken.objects.get().key_id
    assert (event.via, event.actor, event.reason) == ("api", f"a-manager, token Website ({key_id})", "rain")


@pytest.mark.parametrize("role", ROLES)
def test_the_groups_of_a_new_installation_are_the_table(db: None, role: str) -> None:
    held = (
        Group.objects.get(name=role).permissions.filter(content_type__app_label=APP).values_list("codename", flat=True)
    )
    assert sorted(held) == sorted(ROLES[role])


def test_each_role_has_what_the_one_before_has() -> None:
    assert set(ROLES["viewer"]) < set(ROLES["operator"]) < set(ROLES["manager"])
    assert [codename for codename in ROLES["viewer"] if not codename.startswith("view_")] == []
