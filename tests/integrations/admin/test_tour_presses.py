"""One press on the tour's page: done, told, and undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import AuditEvent, Connection, Operation, Tour, TourStop
from integrations.operations import planning
from tests.factories import TourStopFactory
from tests.integrations.admin.browsing import and_the_clock, linked, messages_of, page


@pytest.fixture
def stop(tour: Tour, crm_row: Connection) -> TourStop:
    """The tour's first stop, pending, planned for one CRM."""
    TourStop.objects.filter(sequence=1).update(appointment_status="pending")
    planning.plan_tour(tour)
    Operation.objects.filter(kind="contact.link").update(state="succeeded")
    return TourStop.objects.get(sequence=1)


def at(name: str, tour: Tour, *more: Any) -> str:
    return reverse(f"admin:integrations_tour_{name}", args=[tour.pk, *more])


def press(client: Client, stop: TourStop, verb: str, **data: str) -> Any:
    return client.post(at("press_stop", stop.tour, stop.pk, verb), data)


def begin(tour: Tour) -> None:
    """The tour began an hour ago."""
    now = timezone.now()
    Tour.objects.filter(pk=tour.pk).update(starts_at=now - timedelta(hours=1))
    TourStop.objects.filter(tour=tour).update(
        appointment_start=now - timedelta(hours=1), appointment_end=now - timedelta(minutes=30)
    )


def test_a_press_confirms_and_tells(staff: Client, stop: TourStop) -> None:
    answer = press(staff, stop, "confirm")
    assert answer.url == at("change", stop.tour)
    stop.refresh_from_db()
    assert stop.appointment_status == "confirmed"
    [text] = messages_of(answer)
    assert text.startswith("Confirmed: 1 Elm St. 1 CRM will be told, not before ")
    assert " PDT; until then it can be undone. <form" in text or " PST; until then it can be undone. <form" in text
    event = AuditEvent.objects.get()
    assert (event.actor, event.via, event.verb) == ("ada", "admin", "stop.status")


def test_the_page_shows_it_with_undo_in_message_and_trail(staff: Client, stop: TourStop) -> None:
    press(staff, stop, "confirm")
    text = page(staff, "tour_change", stop.tour_id)
    undo = at("undo", stop.tour, AuditEvent.objects.get().pk)
    assert text.count(f'action="{undo}"') == 1
    assert f'action="../undo/{AuditEvent.objects.get().pk}/"' in text
    assert "ada, Admin:</span> stop status: stop 1 status Pending → Confirmed" in text
    assert "Kept back for a moment so that it can be undone; not before" in text


def test_undo_puts_it_back(staff: Client, stop: TourStop) -> None:
    press(staff, stop, "confirm")
    event = AuditEvent.objects.get().pk
    answer = staff.post(at("undo", stop.tour, event))
    assert messages_of(answer)[-1] == "Undone: it is as it was before."
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "pending"
    assert messages_of(staff.post(at("undo", stop.tour, event)))[-1] == "It was undone already."
    assert AuditEvent.objects.count() == 2


@pytest.mark.parametrize("event_id", [404, 2**63, 99999999999999999999])
def test_a_change_that_is_none_is_told(staff: Client, stop: TourStop, event_id: int) -> None:
    answer = staff.post(at("undo", stop.tour, event_id))
    assert messages_of(answer) == ["There is no such change of this tour."]


def test_a_press_that_does_not_apply_says_why(staff: Client, stop: TourStop) -> None:
    answer = press(staff, stop, "no-show")
    assert messages_of(answer) == ["No-show does not apply to 1 Elm St. It has not started yet."]
    assert TourStop.objects.get(pk=stop.pk).outcome == "none"


def test_a_verb_that_is_none_is_not_found(staff: Client, stop: TourStop) -> None:
    assert press(staff, stop, "burn").status_code == 404
    assert staff.post(at("press", stop.tour, "burn")).status_code == 404
    assert staff.post(at("press_stops", stop.tour, "burn")).status_code == 404


def test_looking_at_a_verb_does_nothing(staff: Client, stop: TourStop) -> None:
    for url in (at("press_stop", stop.tour, stop.pk, "confirm"), at("press_stops", stop.tour, "confirm")):
        assert staff.get(url).status_code == 200
    assert AuditEvent.objects.count() == 0


def test_what_stands_in_a_crm_is_asked_about(staff: Client, stop: TourStop, crm_row: Connection) -> None:
    linked(crm_row, "stop", stop.pk, "appt_7")
    url = at("press_stop", stop.tour, stop.pk, "cancel")
    assert f'href="../stop/{stop.pk}/do/cancel/"' in page(staff, "tour_change", stop.tour_id)
    assert press(staff, stop, "cancel").url == url
    text = staff.get(url).content.decode()
    assert "1 Elm St (1): Main CRM, appointment appt_7" in text
    assert "Nothing is sent for 10 s; until then it can be undone" in text
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "pending"
    press(staff, stop, "cancel", reason="sold")
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "cancelled"
    assert AuditEvent.objects.get().reason == "sold"


def test_what_stands_nowhere_is_cancelled_at_once(staff: Client, stop: TourStop) -> None:
    press(staff, stop, "cancel")
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "cancelled"


def test_a_tour_that_has_begun_is_completed_and_reopened(staff: Client, stop: TourStop) -> None:
    begin(stop.tour)
    assert '<button class="button">Complete tour</button>' in page(staff, "tour_change", stop.tour_id)
    answer = staff.post(at("press", stop.tour, "complete"))
    assert messages_of(answer)[0].startswith("Completed: T-100 Two homes. No CRM has to be told. <form")
    staff.post(at("press", stop.tour, "reopen"))
    assert Tour.objects.get().status == "scheduled"


def test_all_pending_ones_are_confirmed_with_their_number(staff: Client, stop: TourStop) -> None:
    TourStop.objects.update(appointment_status="pending")
    assert "Confirm all pending (2)</button>" in page(staff, "tour_change", stop.tour_id)
    answer = staff.post(at("press_stops", stop.tour, "confirm"))
    assert messages_of(answer)[0].startswith("Confirmed: 2 stops. 1 CRM will be told")
    assert "Confirm all pending" not in page(staff, "tour_change", stop.tour_id)


def test_the_buttons_are_those_that_make_sense(staff: Client, stop: TourStop) -> None:
    def shown() -> list[str]:
        text = page(staff, "tour_change", stop.tour_id)
        verbs = ("confirm", "deny", "cancel", "showed", "no-show")
        return [verb for verb in verbs if f'action="../stop/{stop.pk}/do/{verb}/"' in text]

    assert shown() == ["confirm", "deny", "cancel"]
    begin(stop.tour)
    assert shown() == ["showed", "no-show"]
    Tour.objects.update(status="cancelled")
    assert shown() == []


def test_who_may_only_look_has_no_buttons(viewer: Client, stop: TourStop) -> None:
    text = page(viewer, "tour_change", stop.tour_id)
    assert [name for name in ("/do/", "../stops/", "../undo/") if name in text] == []
    assert press(viewer, stop, "confirm").status_code == 403


def test_a_button_carries_its_token(stop: TourStop, admin_user: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert press(browser, stop, "confirm").status_code == 403
    token = page(browser, "tour_change", stop.tour_id).split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    assert press(browser, stop, "confirm", csrfmiddlewaretoken=token).status_code == 302
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "confirmed"


def test_hostile_streets_are_text_in_the_message(staff: Client, stop: TourStop) -> None:
    TourStop.objects.update(street="<img src=x>")
    assert "<img" not in messages_of(press(staff, stop, "confirm"))[0]


def test_buttons_and_undo_cost_a_fixed_number_of_queries(
    staff: Client, stop: TourStop, django_assert_max_num_queries: Any
) -> None:
    for place in range(3, 20):
        TourStopFactory(tour=stop.tour, sequence=place, appointment_status="pending")
    staff.post(at("press_stops", stop.tour, "confirm"))
    page(staff, "tour_change", stop.tour_id)
    with django_assert_max_num_queries(and_the_clock(15)):
        page(staff, "tour_change", stop.tour_id)


def test_stops_change_places_at_one_press(staff: Client, stop: TourStop) -> None:
    text = page(staff, "tour_change", stop.tour_id)
    assert f"../stop/{stop.pk}/shift/down/" in text
    assert f"../stop/{stop.pk}/shift/up/" not in text
    answer = staff.post(at("shift_stop", stop.tour, stop.pk, "down"))
    assert messages_of(answer) == ["1 Elm St changed places; the CRMs follow."]
    assert TourStop.objects.get(pk=stop.pk).sequence == 2
    assert staff.post(at("shift_stop", stop.tour, stop.pk, "away")).status_code == 404


def test_a_stop_no_crm_knows_of_is_deleted_after_asking(staff: Client, stop: TourStop) -> None:
    assert f'href="../stop/{stop.pk}/delete/"' in page(staff, "tour_change", stop.tour_id)
    assert staff.get(at("delete_stop", stop.tour, stop.pk)).status_code == 200
    assert TourStop.objects.count() == 2
    answer = staff.post(at("delete_stop", stop.tour, stop.pk))
    assert messages_of(answer) == ["1 Elm St (1) was deleted."]
    assert TourStop.objects.get().sequence == 2


def test_a_stop_a_crm_knows_of_is_not_deleted(staff: Client, stop: TourStop, crm_row: Connection) -> None:
    linked(crm_row, "stop", stop.pk, "appt_7")
    assert f'href="../stop/{stop.pk}/delete/"' not in page(staff, "tour_change", stop.tour_id)
    answer = staff.post(at("delete_stop", stop.tour, stop.pk))
    assert "This stop is known to a CRM" in answer.content.decode()
    assert TourStop.objects.count() == 2
