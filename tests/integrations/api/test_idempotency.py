"""A request that is sent again is done once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from integrations.models import AuditEvent, Contact, IdempotentRequest, Tour
from integrations.operations import idempotency
from tests.integrations.api.asking import Asking, fields, person, token
from tests.integrations.api.test_tours import TOUR


def test_the_same_request_is_done_once_and_answered_the_same(api: Asking) -> None:
    first = api.post("/api/tours", TOUR, Idempotency_Key="k-1")
    second = api.post("/api/tours", TOUR, Idempotency_Key="k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["ETag"] == first["ETag"]
    assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
    assert (Tour.objects.count(), AuditEvent.objects.filter(verb="tour.create").count()) == (1, 1)


def test_a_refusal_is_kept_too(api: Asking) -> None:
    bad = {**TOUR, "time_zone": "Mars"}
    first, second = (api.post("/api/tours", bad, Idempotency_Key="k-1") for _ in range(2))
    assert (first.status_code, second.status_code, second["Content-Type"]) == (400, 400, "application/problem+json")
    assert second.json() == first.json()


def test_another_body_under_the_key_is_a_422(api: Asking) -> None:
    api.post("/api/tours", TOUR, Idempotency_Key="k-1")
    answer = api.post("/api/tours", {**TOUR, "reference": "T-2"}, Idempotency_Key="k-1")
    assert (answer.status_code, Tour.objects.count()) == (422, 1)


def test_another_address_under_the_key_is_a_422(api: Asking, tour: Tour) -> None:
    api.post(f"/api/tours/{tour.pk}/complete", {}, Idempotency_Key="k-1")
    assert api.post(f"/api/tours/{tour.pk}/cancel", {}, Idempotency_Key="k-1").status_code == 422
    assert Tour.objects.get().status == "completed"


def test_another_client_has_keys_of_its_own(api: Asking, tour: Tour) -> None:
    other = Asking(token())
    assert api.post(f"/api/tours/{tour.pk}/complete", {}, Idempotency_Key="k-1").status_code == 200
    assert "Idempotent-Replayed" not in other.post(f"/api/tours/{tour.pk}/complete", {}, Idempotency_Key="k-1")


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a b", "é"])
def test_a_key_that_is_none_is_named(api: Asking, tour: Tour, key: str) -> None:
    answer = api.post(f"/api/tours/{tour.pk}/cancel", {}, Idempotency_Key=key)
    assert (answer.status_code, list(fields(answer))) == (400, ["Idempotency-Key"])
    assert Tour.objects.get().status == "scheduled"


def test_while_it_is_worked_on_the_same_request_is_a_409(api: Asking, tour: Tour) -> None:
    seen: list[int] = []

    def verb(*_args: Any, **_by: Any) -> bool:
        seen.append(api.post(f"/api/tours/{tour.pk}/cancel", {}, Idempotency_Key="k-1").status_code)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("integrations.operations.one_click.press_tour", verb)
        assert api.post(f"/api/tours/{tour.pk}/cancel", {}, Idempotency_Key="k-1").status_code == 200
    assert seen == [409]


def test_a_fault_of_ours_frees_the_key_and_leaves_nothing(api: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    real = idempotency.finish

    def broken(*_args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("integrations.operations.idempotency.finish", broken)
    assert api.post("/api/tours", TOUR, Idempotency_Key="k-1").status_code == 500
    assert (Tour.objects.count(), IdempotentRequest.objects.count()) == (0, 0)
    monkeypatch.setattr("integrations.operations.idempotency.finish", real)
    assert api.post("/api/tours", TOUR, Idempotency_Key="k-1").status_code == 201


def test_a_request_whose_process_died_is_taken_over_after_a_minute(db: None) -> None:
    lost = idempotency.begin("token:1", "k", "d", 1_000)
    with pytest.raises(idempotency.StillRunning):
        idempotency.begin("token:1", "k", "d", 60_999)
    taken = idempotency.begin("token:1", "k", "d", 61_000)
    with pytest.raises(idempotency.StillRunning):  # the one that was thought dead does not get its work in
        idempotency.finish(lost, idempotency.Answer(200, {}, "{}"))
    idempotency.finish(taken, idempotency.Answer(201, {}, "{}"))
    answer = idempotency.begin("token:1", "k", "d", 62_000).answer
    assert answer is not None
    assert answer.status == 201


def test_answers_are_forgotten_after_a_day(db: None) -> None:
    now = timezone.now()
    for key, age_h in (("old", 25), ("new", 23)):
        at = int((now - timedelta(hours=age_h)).timestamp() * 1000)
        idempotency.begin("token:1", key, "d", at)
    assert idempotency.purge(now) == 1
    assert IdempotentRequest.objects.get().key == "new"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_does_the_work(tour: Tour) -> None:
    shown = token()
    answers: list[int] = []
    gate = threading.Barrier(4)

    def ask() -> None:
        try:
            gate.wait()
            answers.append(Asking(shown).post("/api/tours", TOUR, Idempotency_Key="k-1").status_code)
        finally:
            database.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert Tour.objects.filter(reference="T-1").count() == 1
    assert AuditEvent.objects.filter(verb="tour.create").count() == 1


def test_a_form_of_somebody_with_a_session_is_not_json_either(db: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("operator"))
    browser.cookies["csrftoken"] = "a" * 32
    answer = browser.post(
        "/api/contacts", {"email": "bea@mail.example"}, headers={"Idempotency-Key": "k", "X-CSRFToken": "a" * 32}
    )
    assert (answer.status_code, Contact.objects.count()) == (415, 0)
