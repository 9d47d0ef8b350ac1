"""`/healthz`: what it answers when all is well and when something is away."""

from __future__ import annotations

import json

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from reanna import health


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_pages_work(rf: RequestFactory, settings: object) -> None:
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"  # type: ignore[attr-defined]  # pytest-django's fixture

    answer = health.healthz(rf.get("/healthz"))

    assert answer.status_code == 200
    assert json.loads(answer.content) == {"database": "ok", "redis": "away"}
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_without_a_database_it_is_503(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("password=secret host=db")

    monkeypatch.setattr(type(connection._connections[connection._alias]), "cursor", away)

    answer = health.healthz(rf.get("/healthz"))

    assert answer.status_code == 503
    assert json.loads(answer.content)["database"] == "away"
    assert b"secret" not in answer.content


def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import Future

    never: Future[bool] = Future()

    assert health._within(never, 0.01) is False
    assert never.cancelled()
