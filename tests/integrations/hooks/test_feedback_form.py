"""From a signed form to the CRM's journal: one note, whatever is sent twice, replayed or forged."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import AuditEvent, Delivery, Feedback, TourStop, WebhookEvent
from integrations.operations import housekeeping, inbox
from integrations.operations.audit import Who
from integrations.operations.envelopes import envelopes
from integrations.operations.webhook_sources import SourceInput, save_source
from tests.crm import Crm, make_tour
from tests.factories import TourStopFactory
from tests.webhooks import SECRET, body_of, make_source, post

pytestmark = pytest.mark.django_db
ADA = Who("ada", "admin")
MAPPING = {
    "answers": {"interest": "interest_level", "stars": "overall_rating", "liked": "likes", "text-1": "comments"},
    "values": {"interest_level": {"Love it": "very_interested"}},
}


def form(stop: TourStop, **changes: Any) -> dict[str, Any]:
    answers = [
        {"type": "choice", "choice": {"label": "Love it"}, "field": {"id": "a", "ref": "interest"}},
        {"type": "number", "number": 4, "field": {"id": "b", "ref": "stars"}},
        {"type": "choices", "choices": {"labels": ["Garden", "Light"]}, "field": {"id": "c", "ref": "liked"}},
        {"type": "text", "text": "Nice yard", "field": {"id": "text-1", "ref": "x"}},
        {"type": "email", "email": "not@asked.example", "field": {"id": "e", "ref": "unmapped"}},
    ]
    response = {
        "form_id": "lT4Z3j",
        "token": "a3a12ec6",
        "submitted_at": "2026-09-18T23:00:00Z",
        "hidden": {"tour": stop.tour.reference, "stop": str(stop.sequence)},
        "answers": answers,
    }
    return {"event_id": "LtWXD3crgy", "event_type": "form_response", "form_response": {**response, **changes}}


@pytest.fixture
def source() -> Any:
    return make_source(purpose="feedback", mapping=MAPPING)


def states() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("state", "reason"))


@pytest.mark.django_db(transaction=True)
def test_an_answer_is_one_note_in_the_crm_whatever_comes_twice(crm: Crm, tomorrow: datetime) -> None:
    source = make_source(purpose="feedback", mapping=MAPPING)
    stop: TourStop = make_tour(tomorrow).stops.get()
    body = body_of(form(stop))
    assert post(source, body, "forged").status_code == 401
    inbox.work_on_all()
    crm.drain()
    assert crm.sandbox.effects("note") == []
    assert post(source, body).status_code == 202
    inbox.work_on_all()
    crm.drain()
    (note,) = [row["body"]["body"] for row in crm.requests("POST") if row["path"].endswith("/notes")]
    for said in ("Interest: Very interested", "Rating: 4 of 5", "Likes: Garden, Light", "Comments: Nice yard"):
        assert said in note
    written = crm.writes()
    for _ in range(3):
        assert post(source, body).status_code == 200
    assert inbox.replay([Delivery.objects.get().pk], ADA, now=timezone.now()) == 1
    # Under another id, as a provider sends it that forgot what it sent: the same answer of the same moment.
    assert post(source, body_of({**form(stop), "event_id": "another"})).status_code == 202
    assert inbox.work_on_all() == 2
    crm.drain()
    assert ([row["op"] for row in crm.sandbox.effects("note")], crm.writes()) == (["create"], written)
    assert [state for state, _ in states()] == ["done", "done"]
    assert AuditEvent.objects.get(verb="feedback.create").actor == "The form"


def test_an_answer_of_no_known_stop_waits_for_a_person_and_goes_on_when_it_is_known(source: Any) -> None:
    stop = TourStopFactory()
    post(source, body_of(form(stop, hidden={"tour": "T-none", "stop": "1"})))
    post(source, body_of({**form(stop, hidden=None), "event_id": "2"}))
    inbox.work_on_all()
    assert [state for state, _ in states()] == ["waiting", "waiting"]
    assert states()[0][1] == "There is no stop 1 of a tour T-none."
    stop.tour.reference = "T-none"
    stop.tour.save()
    assert inbox.replay(list(Delivery.objects.values_list("pk", flat=True)), ADA, now=timezone.now()) == 2
    inbox.work_on_all()
    assert [state for state, _ in states()] == ["done", "waiting"]
    assert Feedback.objects.get().stop == stop


def test_a_value_that_no_field_takes_waits_until_the_mapping_says_it(source: Any) -> None:
    stop, sent = TourStopFactory(), copy.deepcopy(MAPPING)
    answer = form(stop)
    answer["form_response"]["answers"][0]["choice"]["label"] = "Adore it"
    post(source, body_of(answer))
    inbox.work_on_all()
    assert states()[0][0] == "waiting"
    assert "interest_level" in states()[0][1]
    sent["values"]["interest_level"]["Adore it"] = "very_interested"
    data = SourceInput(label=source.label, scheme="typeform", options={}, purpose="feedback", mapping=sent)
    save_source(data, ADA, now=timezone.now(), source_id=source.pk)
    inbox.replay([Delivery.objects.get().pk], ADA, now=timezone.now())
    inbox.work_on_all()
    assert (states()[0][0], Feedback.objects.get().interest_level) == ("done", "very_interested")


def test_what_is_no_finished_answer_is_kept_and_does_nothing(source: Any) -> None:
    post(source, body_of({**form(TourStopFactory()), "event_type": "form_response_partial"}))
    inbox.work_on_all()
    assert (states(), Feedback.objects.count()) == ([("ignored", "not a finished answer")], 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"event_id": NaN}', "NaN is no number"),
        (b'{"event_id": "\\ud800"}', "half a character"),
        (b'{"n": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b"7", "no JSON object"),
        (b"\xff", "half a character"),
    ],
)
def test_a_body_that_cannot_be_read_is_dead_with_the_reason(source: Any, body: bytes, said: str) -> None:
    post(source, body)
    inbox.work_on_all()
    ((state, reason),) = states()
    assert state == "dead"
    assert said in reason


def test_a_failure_is_tried_again_with_growing_waits_then_dead_and_other_events_settle(
    source: Any, monkeypatch: pytest.MonkeyPatch, time_machine: Any
) -> None:
    time_machine.move_to("2026-09-19T00:00:00+00:00", tick=False)
    stop = TourStopFactory()
    saved = inbox.save_answer

    def broken(event: Any, *rest: Any) -> str:
        if event.subject == "bad":
            raise RuntimeError("surprise")
        return saved(event, *rest)

    monkeypatch.setattr(inbox, "save_answer", broken)
    good = form(stop)
    post(source, body_of([form(stop, token="bad"), good]))
    waits = []
    for _ in range(inbox.MAX_ATTEMPTS):
        assert inbox.work_on_all() == 1
        assert inbox.work_on_all() == 0
        due = Delivery.objects.get().due_ms / 1000
        waits.append(due - timezone.now().timestamp())
        time_machine.move_to(timezone.now() + timedelta(seconds=max(waits[-1], 0)), tick=False)
    assert waits[:-1] == list(inbox.BACKOFF_S)
    assert states() == [("dead", "It failed 6 times: RuntimeError")]
    assert list(WebhookEvent.objects.values_list("position", "state")) == [(1, "done")]
    assert Feedback.objects.count() == 1


def test_one_envelope_for_every_provider() -> None:
    hubspot = b'[{"subscriptionType": "contact.creation", "occurredAt": 1564113600000, "objectId": 7}, {}]'
    first, second = envelopes("hubspot-v3", {}, hubspot, "d")
    assert (first.type, first.occurred_at, first.subject) == ("contact.creation", "1564113600000", "7")
    assert (second.type, first.provider, first.delivery) == ("", "hubspot", "d")
    shopify = {"x-shopify-topic": "orders/create", "x-shopify-triggered-at": "2026-09-18T23:00:00Z"}
    (order,) = envelopes("shopify", shopify, b'{"id": 5}', "d")
    assert (order.type, order.occurred_at, order.subject) == ("orders/create", "2026-09-18T23:00:00Z", "5")
    assert SECRET not in str(order)


def test_what_is_settled_goes_after_its_keeping_time_and_nothing_else(source: Any) -> None:
    stop = TourStopFactory()
    post(source, body_of({**form(stop), "event_type": "form_response_partial"}))
    post(source, body_of({**form(stop, hidden=None), "event_id": "waits"}))
    inbox.work_on_all()
    housekeeping.purge(timezone.now() + timedelta(days=89))
    assert [state for state, _ in states()] == ["ignored", "waiting"]
    housekeeping.purge(timezone.now() + timedelta(days=91))
    assert [state for state, _ in states()] == ["waiting"]
