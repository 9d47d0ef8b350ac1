"""How many requests one client may make, counted in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from integrations.api.throttling import Counter
from integrations.models import ApiToken, Tour
from tests.integrations.api.asking import Asking, person, token
from tests.redis_server import RedisServer


@pytest.fixture
def counted(redis_server: RedisServer, settings: Any) -> Iterator[None]:
    settings.REDIS_URL = redis_server.url
    settings.REANNA_API_READS_PER_MIN, settings.REANNA_API_WRITES_PER_MIN = 3, 1
    redis_server.wipe()
    yield
    redis_server.wipe()


def test_each_answer_says_what_is_left(counted: None, api: Asking) -> None:
    answer = api.get("/api/tours")
    assert answer["RateLimit-Policy"] == '"reads";q=3;w=60, "reads-person";q=9;w=60'
    assert answer["RateLimit"] == '"reads";r=2;t=60, "reads-person";r=8;t=60'


def test_one_too_many_is_a_429_that_says_when(counted: None, api: Asking) -> None:
    answers = [api.get("/api/tours") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[3]["Retry-After"]) <= 60
    assert answers[3]["RateLimit"].startswith('"reads";r=0;')
    assert answers[3]["RateLimit-Policy"] == '"reads";q=3;w=60, "reads-person";q=9;w=60'
    assert answers[3]["Content-Type"] == "application/problem+json"


def test_what_is_refused_is_not_done(counted: None, api: Asking, tour: Tour) -> None:
    assert api.post(f"/api/tours/{tour.pk}/complete").status_code == 200
    assert api.post(f"/api/tours/{tour.pk}/cancel").status_code == 429
    assert Tour.objects.get().status == "completed"


def test_reads_and_writes_and_clients_are_counted_apart(counted: None, api: Asking, tour: Tour) -> None:
    for _ in range(4):
        api.get("/api/tours")
    assert api.post(f"/api/tours/{tour.pk}/complete").status_code == 200
    assert Asking(token("tours:read")).get("/api/tours").status_code == 200
    assert Asking(user=person("viewer")).get("/api/tours").status_code == 200


def test_all_tokens_of_a_person_together_have_three_times_as_much(counted: None, api: Asking, tour: Tour) -> None:
    many = [Asking(token("tours:read")) for _ in range(3)]
    assert [one.get("/api/tours").status_code for one in many for _ in range(3)] == [200] * 9
    answer = api.get("/api/tours")
    assert (answer.status_code, 0 < int(answer["Retry-After"]) <= 60) == (429, True)
    assert '"reads";r=2;' in answer["RateLimit"]
    assert Asking(user=person("viewer")).get("/api/tours").status_code == 200


def test_what_is_refused_for_want_of_a_right_is_counted_too(counted: None, tour: Tour) -> None:
    viewer = Asking(user=person("viewer"))
    told = [viewer.post(f"/api/tours/{tour.pk}/cancel") for _ in range(2)]
    assert [(answer.status_code, "RateLimit" in answer) for answer in told] == [(403, True), (429, True)]


def test_the_count_is_exact_however_many_ask_at_once(redis_server: RedisServer) -> None:
    counter = Counter(redis_server.url)
    redis_server.wipe()
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: counter.count({"reads": ("token:1", 50)}), range(100)))
    assert sorted(standing.quotas[0].count for standing in told if standing) == list(range(1, 101))
    assert sum(1 for standing in told if standing and not standing.refused) == 50


def test_without_redis_requests_pass_and_it_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter("redis://127.0.0.1:1/0")
    assert [counter.count({"reads": ("token:1", 1)}) for _ in range(3)] == [None, None, None]
    assert [record.message for record in caplog.records] == [
        "requests of the API are not counted for now (ConnectionError)"
    ]


def test_without_redis_the_api_answers(settings: Any, api: Asking, tour: Tour) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = api.get("/api/tours")
    assert (answer.status_code, "RateLimit" in answer) == (200, False)
    assert ApiToken.objects.count() == 1
