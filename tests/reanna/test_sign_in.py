"""Signing in to the admin, and what a browser may do there."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
PASSWORD = "a-long-pass-phrase-of-tests"


@pytest.fixture
def someone() -> User:
    return User.objects.create_user("someone", password=PASSWORD, is_staff=True)


def guess(client: Client, password: str, username: str = "someone", address: str = "192.0.2.1") -> int:
    values = {"username": username, "password": password}
    return client.post(LOGIN, values, REMOTE_ADDR=address).status_code


def test_after_ten_wrong_passwords_the_right_one_is_refused_too(client: Client, someone: User) -> None:
    assert [guess(client, "wrong") for _ in range(9)] == [200] * 9
    assert guess(client, "wrong") == 429

    answer = client.post(LOGIN, {"username": "someone", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1")

    assert answer.status_code == 429
    assert "closed for 900 s" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_who_opens_the_sign_in_page_itself_comes_to_the_overview(client: Client, someone: User) -> None:
    answer = client.post(LOGIN, {"username": "someone", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_another_address_and_another_name_are_not_locked_out_with_it(client: Client, someone: User) -> None:
    User.objects.create_user("other", password=PASSWORD, is_staff=True)
    for _ in range(10):
        guess(client, "wrong")

    assert guess(client, PASSWORD, address="192.0.2.2") == 302
    assert guess(Client(), PASSWORD, username="other") == 302


def test_the_right_password_forgets_the_wrong_ones(client: Client, someone: User) -> None:
    for _ in range(9):
        guess(client, "wrong")
    assert guess(client, PASSWORD) == 302
    client.logout()

    assert guess(client, "wrong") == 200


def test_a_session_ends_after_a_working_day(client: Client, someone: User) -> None:
    guess(client, PASSWORD)

    assert client.session.get_expiry_age() == settings.SESSION_COOKIE_AGE == 12 * 3600


@pytest.mark.parametrize("path", [LOGIN, "/admin/"])
def test_pages_of_the_admin_may_evaluate_but_not_load_from_elsewhere(client: Client, someone: User, path: str) -> None:
    client.force_login(someone, backend="django.contrib.auth.backends.ModelBackend")

    policy = client.get(path, follow=True)["Content-Security-Policy"]

    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy


def test_other_pages_may_not_evaluate(client: Client) -> None:
    policy = client.get("/healthz")["Content-Security-Policy"]

    assert "unsafe-eval" not in policy
    assert "script-src" not in policy
    assert "default-src 'self'" in policy
