"""The circuit on a connection's page, and the pages that set it by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.admin.connection_health import circuit_words
from integrations.gate import BreakerState
from integrations.models import Connection
from tests.crm import Crm


def _url(name: str, connection: Connection) -> str:
    return reverse(f"admin:integrations_connection_{name}", args=[connection.pk])


@pytest.mark.django_db(transaction=True)
def test_force_open_asks_first_then_shows_who_and_why(staff: Client, crm: Crm) -> None:
    url = _url("force_open", crm.connection)
    page = staff.get(url).content.decode()
    assert "Nothing is sent to this CRM until then" in page
    crm.connection.refresh_from_db()
    assert crm.connection.circuit_mode is None

    answer = staff.post(url, {"reason": "they asked us to", "until": "60"}, follow=True).content.decode()

    assert "Forced open: nothing is sent; until 20" in answer
    assert "they asked us to" in answer
    assert "Back to automatic" in answer
    assert 'href="../force-open/"' not in answer
    crm.connection.refresh_from_db()
    assert crm.connection.circuit_mode["until_ms"] > crm.connection.circuit_mode["since_ms"] + 3_590_000


@pytest.mark.django_db(transaction=True)
def test_until_taken_back_and_back_again(staff: Client, crm: Crm) -> None:
    staff.post(_url("circuit_off", crm.connection), {"reason": "testing theirs", "until": ""})
    crm.connection.refresh_from_db()
    assert (crm.connection.circuit_mode["mode"], crm.connection.circuit_mode["until_ms"]) == ("disabled", None)
    page = staff.post(_url("circuit_automatic", crm.connection), {"reason": "done"}, follow=True).content.decode()
    crm.connection.refresh_from_db()
    assert (crm.connection.circuit_mode["mode"], crm.connection.circuit_mode["told"]) == ("automatic", True)
    assert "Set by" not in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("data", [{"until": "60"}, {"reason": "x", "until": "61"}], ids=["no reason", "no such time"])
def test_what_is_missing_is_named_and_nothing_changes(staff: Client, crm: Crm, data: dict[str, str]) -> None:
    answer = staff.post(_url("force_open", crm.connection), data)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode() or "rr-error" in answer.content.decode()
    crm.connection.refresh_from_db()
    assert crm.connection.circuit_mode is None


@pytest.mark.django_db
def test_without_redis_the_page_says_that_it_is_stored(staff: Client, crm_row: Connection, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = staff.post(_url("force_open", crm_row), {"reason": "x", "until": "60"}, follow=True).content.decode()
    assert "stored, and in force as soon as Redis can be reached" in answer
    assert "Not in force yet: Redis cannot be reached. Set by" in answer


@pytest.mark.django_db
def test_a_connection_that_is_gone_leads_back(staff: Client) -> None:
    answer = staff.get(reverse("admin:integrations_connection_force_open", args=["999"]), follow=True)
    assert "There is no connection" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_viewer_is_shown_no_button(viewer: Client, crm: Crm) -> None:
    page = viewer.get(_url("change", crm.connection)).content.decode()
    assert "Closed: requests pass" in page
    assert "force-open" not in page


def _state(state: Any, **more: Any) -> BreakerState:
    return BreakerState(state, 0, 1, None, more.pop("until_ms", None), **more)


@pytest.mark.parametrize(
    ("breaker", "words"),
    [
        (_state("forced_open"), "Forced open: nothing is sent; until it is taken back"),
        (
            _state("disabled", mode_until_ms=60_000),
            "Disabled: requests pass whatever the CRM answers; until 1970-01-01 00:01",
        ),
        (_state("disabled"), "Disabled: requests pass whatever the CRM answers"),
        (_state("metrics_only"), "Only counting: requests pass; it would have opened not once"),
        (
            _state("metrics_only", would_open=1, would_open_ms=0),
            "Only counting: requests pass; it would have opened once, last",
        ),
        (_state("metrics_only", would_open=2, would_open_ms=0), "it would have opened 2 times, last"),
        (_state("closed", percent=25, until_ms=30_000), "Recovering: 25 % of the limit is used, more not before"),
        (
            _state("open", cause="slow_rate"),
            "Open: nothing is sent, because too many of its last answers were slow, so",
        ),
        (
            _state("closed", host="open", host_until_ms=30_000),
            "several accounts; not before 00:00:30 UTC (in 30 s). This account by itself: closed: requests pass",
        ),
        (_state("disabled", host="open"), "Disabled: requests pass"),
    ],
)
def test_the_circuit_in_words(breaker: BreakerState, words: str) -> None:
    assert words in circuit_words(breaker, 0)
