"""Editing a tour: wall times in its zone, one validation, no lost update."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Contact, Operation, Tour, TourStop
from integrations.operations import tours
from tests.factories import AgentFactory, ConnectionFactory, ContactFactory, TourStopFactory

ADD = "/admin/integrations/tour/add/"


def edit_url(tour: Tour) -> str:
    return reverse("admin:integrations_tour_edit", args=[tour.pk])


def loaded(client: Client, url: str) -> dict[str, Any]:
    """What the browser would send back unchanged."""
    page = client.get(url).context["page"]
    data: dict[str, Any] = {}
    for form in (page.form, page.formset.management_form, *page.formset.forms):
        for bound in form:
            value = bound.value()
            data[bound.html_name] = value if value is not None else ""
    return data


def sent(client: Client, url: str, data: dict[str, Any]) -> Any:
    return client.post(url, {name: value for name, value in data.items() if value is not None})


def errors_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200
    page = answer.context["page"]
    found = {name: list(errors) for name, errors in page.form.errors.items()}
    for form in page.formset.forms:
        found |= {f"{form.prefix}-{name}": list(errors) for name, errors in form.errors.items()}
    return found


def new_tour(**values: Any) -> dict[str, Any]:
    stop = {
        "stop_id": "", "sequence": "1", "street": "1 Elm St", "state": "CA", "postal_code": "95838",
        "appointment_start": "2027-09-14T14:00", "appointment_end": "2027-09-14T14:30",
        "appointment_status": "confirmed", "outcome": "none", "showing_method": "in_person", "request_type": "first",
    }  # fmt: skip
    return {
        "reference": "T-1", "title": "One home", "status": "scheduled", "time_zone": "America/Los_Angeles",
        "starts_at": "2027-09-14T14:00", "notes": "",
        "stops-TOTAL_FORMS": "1", "stops-INITIAL_FORMS": "0", "stops-MIN_NUM_FORMS": "0", "stops-MAX_NUM_FORMS": "99",
        **{f"stops-0-{name}": value for name, value in stop.items()},
        **values,
    }  # fmt: skip


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    return {"agent": AgentFactory().pk, "buyer": ContactFactory().pk}


def test_a_new_tour_is_stored_in_utc_and_planned(staff: Client, people: dict[str, Any]) -> None:
    ConnectionFactory()
    answer = sent(staff, ADD, new_tour(**people))
    tour = Tour.objects.get()
    assert answer.url == reverse("admin:integrations_tour_change", args=[tour.pk])
    assert tour.starts_at == datetime(2027, 9, 14, 21, 0, tzinfo=UTC)
    assert Operation.objects.count() == 2


def test_a_new_tour_is_audited(staff: Client, people: dict[str, Any]) -> None:
    sent(staff, ADD, new_tour(**people))
    assert [(event.verb, event.actor, event.via) for event in AuditEvent.objects.all()] == [
        ("tour.create", "ada", "admin")
    ]


def test_further_buyers_are_stored(staff: Client, people: dict[str, Any]) -> None:
    second = ContactFactory()
    sent(staff, ADD, new_tour(**people, further_buyers=[second.pk]))
    assert list(Tour.objects.get().further_buyers.all()) == [second]


def test_a_time_that_does_not_exist_names_its_field(staff: Client, people: dict[str, Any]) -> None:
    answer = sent(staff, ADD, new_tour(**people, starts_at="2027-03-14T02:30"))
    assert errors_of(answer) == {
        "starts_at": ["2027-03-14 02:30 does not exist in America/Los_Angeles: clocks skip it that day."]
    }
    assert Tour.objects.count() == 0


def test_a_stops_time_that_occurs_twice_names_its_field(staff: Client, people: dict[str, Any]) -> None:
    data = new_tour(**people)
    data |= {"stops-0-appointment_start": "2027-11-07T01:30", "stops-0-appointment_end": "2027-11-07T03:00"}
    assert list(errors_of(sent(staff, ADD, data))) == ["stops-0-appointment_start"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", ""), ("reference", "T\x00"), ("reference", "x" * 65), ("title", "y" * 201),
        ("status", "flying"), ("time_zone", "Mars/Olympus"), ("time_zone", ""), ("starts_at", ""),
        ("starts_at", "soon"), ("starts_at", "9999-01-01T00:00"), ("agent", ""), ("agent", "99999999999999999999"),
        ("buyer", "abc"), ("notes", "z" * 5001), ("stops-0-street", ""), ("stops-0-sequence", "0"),
        ("stops-0-sequence", "1" * 30), ("stops-0-state", "ZZ"), ("stops-0-postal_code", "123"),
        ("stops-0-list_price", "-1"), ("stops-0-list_price", "1e999"), ("stops-0-latitude", "91"),
        ("stops-0-bedrooms", "9" * 5000), ("stops-0-appointment_end", "2027-09-14T14:00"),
        ("stops-0-appointment_status", "maybe"), ("stops-0-access_instructions", "key\x00box"),
    ],
)  # fmt: skip
def test_bad_input_names_its_field_and_stores_nothing(
    staff: Client, people: dict[str, Any], field: str, value: str
) -> None:
    answer = sent(staff, ADD, new_tour(**{**people, field: value}))
    assert list(errors_of(answer)) == [field]
    assert Tour.objects.count() == 0


def test_a_reference_that_is_taken_is_not_overwritten(staff: Client, people: dict[str, Any], tour: Tour) -> None:
    answer = sent(staff, ADD, new_tour(**people, reference=tour.reference, title="Mine"))
    assert errors_of(answer) == {"reference": ["There is a tour with this reference already."]}
    assert Tour.objects.get().title == "Two homes"


def test_two_new_stops_at_one_place_are_refused(staff: Client, people: dict[str, Any]) -> None:
    data = new_tour(**people)
    data |= {name.replace("-0-", "-1-"): value for name, value in data.items() if name.startswith("stops-0-")}
    data["stops-TOTAL_FORMS"] = "2"
    assert errors_of(sent(staff, ADD, data)) == {"stops-1-sequence": ["There is a stop at this place already."]}


def test_a_forged_management_form_is_refused(staff: Client, people: dict[str, Any]) -> None:
    answer = sent(staff, ADD, new_tour(**people) | {"stops-TOTAL_FORMS": "many"})
    assert answer.status_code == 200
    assert Tour.objects.count() == 0


def test_the_form_shows_wall_times(staff: Client, tour: Tour) -> None:
    assert loaded(staff, edit_url(tour))["stops-0-appointment_start"] == "2027-09-14T14:00"


def test_saving_what_was_loaded_writes_nothing(staff: Client, tour: Tour) -> None:
    before = [stop.updated_at for stop in TourStop.objects.order_by("pk")]
    assert sent(staff, edit_url(tour), loaded(staff, edit_url(tour))).status_code == 302
    assert [stop.updated_at for stop in TourStop.objects.order_by("pk")] == before
    assert AuditEvent.objects.count() == 0


def test_moving_one_stop_raises_its_version_alone(staff: Client, tour: Tour) -> None:
    data = loaded(staff, edit_url(tour))
    data |= {"stops-1-appointment_start": "2027-09-14T16:00", "stops-1-appointment_end": "2027-09-14T16:30"}
    sent(staff, edit_url(tour), data)
    moved = TourStop.objects.get(sequence=2)
    assert moved.appointment_start == datetime(2027, 9, 14, 23, 0, tzinfo=UTC)
    assert [stop.version for stop in TourStop.objects.order_by("sequence")] == [1, 2]


def test_another_zone_means_the_same_wall_times_there(staff: Client, tour: Tour) -> None:
    sent(staff, edit_url(tour), loaded(staff, edit_url(tour)) | {"time_zone": "America/Denver"})
    assert TourStop.objects.get(sequence=1).appointment_start == datetime(2027, 9, 14, 20, 0, tzinfo=UTC)


def test_a_stored_time_that_occurs_twice_does_not_stop_other_changes(staff: Client, tour: Tour) -> None:
    TourStop.objects.filter(sequence=2).update(
        appointment_start=datetime(2027, 11, 7, 9, 30, tzinfo=UTC),
        appointment_end=datetime(2027, 11, 7, 12, 0, tzinfo=UTC),
    )
    sent(staff, edit_url(tour), loaded(staff, edit_url(tour)) | {"title": "Changed"})
    assert Tour.objects.get().title == "Changed"


def test_an_added_stop_is_stored(staff: Client, tour: Tour) -> None:
    data = loaded(staff, edit_url(tour))
    data |= {
        "stops-2-sequence": "3", "stops-2-street": "3 Elm St", "stops-2-appointment_start": "2027-09-14T17:00",
        "stops-2-appointment_end": "2027-09-14T17:30",
    }  # fmt: skip
    sent(staff, edit_url(tour), data)
    assert TourStop.objects.get(sequence=3).street == "3 Elm St"


def test_the_reference_cannot_be_changed(staff: Client, tour: Tour) -> None:
    sent(staff, edit_url(tour), loaded(staff, edit_url(tour)) | {"reference": "T-999"})
    assert Tour.objects.get().reference == "T-100"


def test_a_tour_changed_meanwhile_is_not_overwritten(staff: Client, tour: Tour) -> None:
    data = loaded(staff, edit_url(tour)) | {"title": "Mine"}
    tours.set_stop_outcome(TourStop.objects.get(sequence=1).pk, "showed", actor="bob", via="admin")
    answer = sent(staff, edit_url(tour), data)
    assert "Someone changed this tour since you opened this page" in answer.content.decode()
    assert Tour.objects.get().title == "Two homes"


def test_what_was_typed_is_kept_when_the_tour_changed_meanwhile(staff: Client, tour: Tour) -> None:
    data = loaded(staff, edit_url(tour)) | {"title": "Mine"}
    tours.set_stop_outcome(TourStop.objects.get(sequence=1).pk, "showed", actor="bob", via="admin")
    assert sent(staff, edit_url(tour), data).context["page"].form["title"].value() == "Mine"


def test_saving_again_after_that_lets_it_stand(staff: Client, tour: Tour) -> None:
    data = loaded(staff, edit_url(tour)) | {"title": "Mine"}
    tours.set_stop_outcome(TourStop.objects.get(sequence=1).pk, "showed", actor="bob", via="admin")
    answer = sent(staff, edit_url(tour), data)
    data["token"] = answer.context["page"].form["token"].value()
    assert sent(staff, edit_url(tour), data).status_code == 302
    assert Tour.objects.get().title == "Mine"


def test_a_stop_put_in_between_meanwhile_does_not_shift_the_others(staff: Client, tour: Tour) -> None:
    TourStop.objects.filter(sequence=2).update(sequence=3)
    data = loaded(staff, edit_url(tour)) | {"stops-1-street": "Three"}
    stop = TourStop.objects.get(sequence=1)
    TourStop.objects.create(
        tour=tour, sequence=2, street="Between", appointment_start=stop.appointment_start,
        appointment_end=stop.appointment_end,
    )  # fmt: skip
    data["token"] = sent(staff, edit_url(tour), data).context["page"].form["token"].value()
    sent(staff, edit_url(tour), data)
    assert list(TourStop.objects.order_by("sequence").values_list("street", flat=True)) == [
        "1 Elm St", "Between", "Three",
    ]  # fmt: skip


def test_a_stop_of_another_tour_is_not_changed_by_a_forged_id(staff: Client, tour: Tour) -> None:
    other = TourStopFactory()
    data = loaded(staff, edit_url(tour)) | {"stops-0-stop_id": str(other.pk), "stops-0-street": "Stolen"}
    answer = sent(staff, edit_url(tour), data)
    assert list(errors_of(answer)) == ["stops-0-sequence"]
    assert not TourStop.objects.filter(street="Stolen").exists()


def test_an_archived_tour_is_not_edited(staff: Client, tour: Tour) -> None:
    Tour.objects.update(archived_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert staff.get(edit_url(tour)).status_code == 302


def test_hostile_input_comes_back_as_text(staff: Client, people: dict[str, Any]) -> None:
    answer = sent(staff, ADD, new_tour(**people, title="<script>alert(1)</script>", time_zone='"><script>x'))
    assert "<script>alert(1)" not in answer.content.decode()
    assert "<script>x" not in answer.content.decode()


def test_the_buyer_is_chosen_from_a_searched_list(staff: Client, tour: Tour) -> None:
    query = {"app_label": "integrations", "model_name": "tour", "field_name": "buyer", "term": "Buyer"}
    found = staff.get(reverse("admin:autocomplete"), query).json()["results"]
    assert [item["id"] for item in found] == [str(Contact.objects.get().pk)]
