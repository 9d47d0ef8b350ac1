"""The door: what is taken in, once; what is refused, with which status; and what never happens."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from integrations.models import AuditEvent, Delivery, RefusedRequest
from integrations.operations import receiving
from integrations.operations.audit import Who
from integrations.operations.webhook_sources import SourceInput, save_source
from tests.at_once import at_once
from tests.webhooks import SECRET, body_of, make_source, post

pytestmark = pytest.mark.django_db
BODY = body_of({"event_id": "LtWXD3crgy", "event_type": "form_response"})


def reasons() -> list[tuple[str, int]]:
    return list(RefusedRequest.objects.order_by("pk").values_list("reason", "status"))


def test_a_signed_request_is_one_row_and_a_second_of_it_tells_the_first_ones_id() -> None:
    source = make_source()
    first, second = post(source, BODY), post(source, BODY)
    row = Delivery.objects.get()
    assert (first.status_code, first.json()) == (202, {"result": "taken", "id": str(row.public_id)})
    assert (second.status_code, second.json()) == (200, {"result": "known", "id": str(row.public_id)})
    assert (bytes(row.body), row.delivery_key, row.state) == (BODY, "LtWXD3crgy", "received")
    assert row.body_sha256 == hashlib.sha256(BODY).hexdigest()
    assert row.headers == {"content-type": "application/json"}
    assert reasons() == []


def test_the_same_id_with_another_body_is_kept_and_flagged() -> None:
    source = make_source()
    other = BODY.replace(b"form_response", b"form_response_partial")
    post(source, BODY)
    assert (post(source, other).status_code, post(source, other).status_code) == (202, 200)
    first, second = Delivery.objects.order_by("pk")
    assert (second.conflict_of, second.state, bytes(second.body)) == (first, "conflict", other)
    assert post(source, BODY).json() == {"result": "known", "id": str(first.public_id)}


def test_a_captured_body_under_another_unsigned_id_counts_once() -> None:
    """GitHub does not sign its id: whoever has one request could vary it."""
    source = make_source(scheme="github", secret="It's a Secret to Everybody")
    sign = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    sent = {"HTTP_X_HUB_SIGNATURE_256": sign}
    first = post(source, b"Hello, World!", HTTP_X_GITHUB_DELIVERY="a", **sent)
    second = post(source, b"Hello, World!", HTTP_X_GITHUB_DELIVERY="b", **sent)
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    assert Delivery.objects.count() == 1


def test_an_unknown_address_and_a_wrong_signature_look_the_same() -> None:
    source = make_source()
    answers = [
        post(source, BODY, "wrong"),
        post("0" * 32, BODY),
        post("x", BODY),
        post("é" * 40, BODY),
        post(source, BODY, HTTP_TYPEFORM_SIGNATURE=""),
        post(source, BODY, HTTP_TYPEFORM_SIGNATURE="\xff\xfe"),
    ]
    assert {(one.status_code, one.content, tuple(sorted(one.headers.items()))) for one in answers} == {
        (401, answers[0].content, tuple(sorted(answers[0].headers.items())))
    }
    assert Delivery.objects.count() == 0
    known = [reason for reason, _ in reasons()]
    assert known == [
        "wrong_signature",
        "wrong_signature",
        "wrong_signature",
        "wrong_signature",
        "no_signature",
        "wrong_signature",
    ]
    assert RefusedRequest.objects.filter(source=None).count() == 3
    assert "sha256=" not in json.dumps(list(RefusedRequest.objects.values_list("headers", flat=True)))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"a": "' + b"x" * 100 + b'"}', {}, 413),
        (BODY, {"HTTP_CONTENT_ENCODING": "gzip"}, 415),
        (BODY, {"content_type": "multipart/form-data; boundary=x"}, 415),
        (BODY, {"content_type": "text/plain"}, 415),
        (b"", {}, 415),
        (BODY, {"HTTP_TYPEFORM_SIGNATURE": "sha256=,sha256="}, 401),
    ],
)
def test_hostile_requests_get_a_4xx_and_no_row(body: bytes, headers: dict[str, Any], status: int) -> None:
    source = make_source(max_bytes=80)
    assert post(source, body, **headers).status_code == status
    assert Delivery.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"event_id": NaN}',
        b'{"event_id": "\\ud800"}',
        b'{"event_id": ' + b"9" * 5000 + b"}",
        b'{"event_id": "a\\u0000b"}',
        b"\xff\xfe",
        b"{",
    ],
)
def test_a_hostile_body_under_a_right_signature_is_stored_by_its_digest(body: bytes) -> None:
    source = make_source()
    assert (post(source, body).status_code, post(source, body).status_code) == (202, 200)
    row = Delivery.objects.get()
    assert (bytes(row.body), row.delivery_key) == (body, hashlib.sha256(body).hexdigest())


def test_the_secret_before_counts_until_its_time_is_over(time_machine: Any) -> None:
    source = make_source()
    changed = SourceInput(label="The form", scheme="typeform", options={}, secret="new", overlap_h=10)
    save_source(changed, Who("ada", "admin", "rotation"), now=timezone.now(), source_id=source.pk)
    assert post(source, BODY, "new").status_code == 202
    assert post(source, BODY, SECRET).status_code == 200
    time_machine.move_to(timezone.now() + timedelta(hours=10, seconds=1), tick=False)
    assert (post(source, BODY, SECRET).status_code, post(source, BODY, "new").status_code) == (401, 200)
    told = json.dumps(list(AuditEvent.objects.values("before", "after", "reason")), default=str)
    assert "rotation" in told
    assert SECRET not in told
    assert '"new"' not in told


def test_a_signed_time_out_of_tolerance_is_refused_and_a_pause_or_the_limit_puts_off(time_machine: Any) -> None:
    time_machine.move_to("2018-07-12T18:37:00+00:00", tick=False)
    slack = make_source("Slack", "slack", content_types=("application/json",), per_minute=2)

    def send(body: bytes, at: int) -> Any:
        sign = hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
        return post(slack, body, HTTP_X_SLACK_SIGNATURE=f"v0={sign}", HTTP_X_SLACK_REQUEST_TIMESTAMP=str(at))

    now = int(timezone.now().timestamp())
    assert [send(b"{}", now + off).status_code for off in (-301, 301, -300)] == [401, 401, 202]
    assert send(b"{} ", now).status_code == 202
    late = send(b"{}  ", now)
    assert (late.status_code, late["Retry-After"]) == (429, "30")
    paused = make_source("Paused", paused=True)
    assert (post(paused, BODY).status_code, post(paused, BODY, "wrong").status_code) == (429, 401)
    assert [one for one, _ in reasons()] == ["out_of_time", "out_of_time", "too_many", "paused", "wrong_signature"]


def test_addresses_are_those_our_proxies_saw(settings: Any) -> None:
    source = make_source(allowed_ips=("10.1.0.0/16",))
    assert post(source, BODY, REMOTE_ADDR="10.1.2.3").status_code == 202
    assert post(source, BODY, REMOTE_ADDR="10.2.2.3", HTTP_X_FORWARDED_FOR="10.1.2.3").status_code == 401
    settings.REANNA_TRUSTED_PROXIES = 1
    assert post(source, BODY, REMOTE_ADDR="9.9.9.9", HTTP_X_FORWARDED_FOR="6.6.6.6, 10.1.2.3").status_code == 200
    assert post(source, BODY, REMOTE_ADDR="9.9.9.9", HTTP_X_FORWARDED_FOR="10.1.2.3, 6.6.6.6").status_code == 401
    assert post(source, BODY, REMOTE_ADDR="10.1.2.3").status_code == 401


def test_a_database_that_is_away_is_a_come_back_never_a_5xx(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_key: str) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(receiving, "source_of", away)
    answer = post("0" * 32, BODY)
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")


def test_only_posts_and_only_over_tls_where_it_is_demanded(settings: Any) -> None:
    source = make_source()
    answer = Client().get(f"/hooks/{source.key}/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    settings.REANNA_HOOKS_REQUIRE_TLS = True
    assert post(source, BODY).status_code == 403
    assert Delivery.objects.count() == 0
    assert post(source, BODY, secure=True).status_code == 202


def test_the_quarantine_is_capped_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "KEPT_REFUSED", 3)
    source = make_source()
    for number in range(5):
        post(source, b"%d" % number, "wrong")
        post("0" * 32, b"%d" % number)
    assert RefusedRequest.objects.filter(source=source).count() == 3
    assert RefusedRequest.objects.filter(source=None).count() == 3
    newest = RefusedRequest.objects.filter(source=source).latest("pk")
    assert newest.body_sha256 == hashlib.sha256(b"4").hexdigest()


@pytest.mark.django_db(transaction=True)
def test_one_delivery_at_once_from_eight_sides_is_one_row() -> None:
    source = make_source()
    answers: list[Any] = []
    assert at_once(*[lambda: answers.append(post(source, BODY))] * 8) == []
    assert sorted(one.status_code for one in answers) == [200] * 7 + [202]
    assert {one.json()["id"] for one in answers} == {str(Delivery.objects.get().public_id)}
