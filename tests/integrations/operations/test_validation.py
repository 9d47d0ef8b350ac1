"""One validation for everything that comes in: what passes, and that each error names its field."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.operations.validation import (
    AgentInput,
    ContactInput,
    clean_contact,
    clean_feedback,
    clean_stop,
    clean_stop_key,
    clean_tour,
    clean_zone,
)
from tests import factories as make

ZONE = ZoneInfo("America/Los_Angeles")
TOUR = {
    "reference": "A-1",
    "title": "Two homes",
    "time_zone": "America/Los_Angeles",
    "starts_at": "2026-09-14T14:00",
    "buyer_first_name": "Bea",
    "buyer_last_name": "Buyer",
    "buyer_email": "bea@mail.example",
    "buyer_phone": "+19165550001",
    "agent_name": "Ann Agent",
    "agent_email": "ann@brokerage.example",
}
STOP = {
    "sequence": "1",
    "street": "3526 High St",
    "appointment_start": "2026-09-14T14:00",
    "appointment_end": "2026-09-14T14:30",
}
ANSWER = {"author_role": "buyer", "submitted_at": "2026-09-14T19:30"}


def _errors(clean: Any, *args: Any, **kwargs: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        clean(*args, **kwargs)
    found: dict[str, list[str]] = caught.value.message_dict
    return found


def _tour_errors(**changes: Any) -> dict[str, list[str]]:
    return _errors(clean_tour, {**TOUR, **changes})


def _stop_errors(**changes: Any) -> dict[str, list[str]]:
    return _errors(clean_stop, {**STOP, **changes}, zone=ZONE)


def test_a_tour_is_cleaned() -> None:
    tour = clean_tour(TOUR)

    assert tour.reference == "A-1"
    assert dict(tour.values) == {
        "time_zone": "America/Los_Angeles",
        "starts_at": datetime(2026, 9, 14, 21, tzinfo=UTC),
        "title": "Two homes",
    }
    assert tour.buyer == ContactInput("Bea", "Buyer", "bea@mail.example", "+19165550001")
    assert tour.agent == AgentInput("ann@brokerage.example", "Ann Agent")


def test_what_is_not_spoken_of_is_not_returned() -> None:
    tour = clean_tour({"reference": "A-1", "title": "New"}, partial=True)

    assert (dict(tour.values), tour.buyer, tour.agent, tour.further_buyers) == ({"title": "New"}, None, None, None)


def test_text_is_trimmed_and_composed() -> None:
    tour = clean_tour({**TOUR, "title": "  Nu\u0301n\u0303ez — 2 homes\u00a0"})

    assert tour.values["title"] == "Núñez — 2 homes"


def test_an_address_has_one_spelling() -> None:
    tour = clean_tour({**TOUR, "buyer_email": " Bea@Mail.EXAMPLE "})

    assert isinstance(tour.buyer, ContactInput)
    assert tour.buyer.email == "bea@mail.example"


def test_a_name_that_looks_like_a_formula_stays_as_it_is() -> None:
    tour = clean_tour({**TOUR, "buyer_first_name": '=HYPERLINK("http://x.example")'})

    assert isinstance(tour.buyer, ContactInput)
    assert tour.buyer.first_name == '=HYPERLINK("http://x.example")'


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("reference", "", "This must be given."),
        ("reference", "x" * 65, "This is 65 characters long; 64 fit."),
        ("reference", 7, "This must be text."),
        ("title", "x" * 201, "This is 201 characters long; 200 fit."),
        ("title", "a\0b", "This contains the control character U+0000."),
        ("title", "two\nlines", "This contains the control character U+000A."),
        ("title", "half \ud800", "This contains the control character U+D800."),
        (
            "status",
            "postponed",
            "“postponed” is not one of draft, scheduled, in_progress, completed, cancelled.",
        ),
        ("time_zone", "Mars/Olympus", "“Mars/Olympus” is not an IANA time zone, for example America/Los_Angeles."),
        (
            "starts_at",
            "2026-13-45T99:00",
            "“2026-13-45T99:00” is not a date and time, for example 2026-09-14T14:30.",
        ),
        ("starts_at", "14.9.2026", "“14.9.2026” is not a date and time, for example 2026-09-14T14:30."),
        (
            "starts_at",
            "2026-03-08T02:30",
            "2026-03-08 02:30 does not exist in America/Los_Angeles: clocks skip it that day.",
        ),
        (
            "starts_at",
            "2026-11-01T01:30",
            "2026-11-01 01:30 occurs twice in America/Los_Angeles: clocks go back that day.",
        ),
        ("starts_at", "0001-01-01T00:00", "The year must lie between 1990 and 2100, not 1."),
        ("starts_at", "9999-12-31T23:59-12:00", "The year must lie between 1990 and 2100, not 9999."),
        ("starts_at", date(2026, 9, 14), "“2026-09-14” is not a date and time, for example 2026-09-14T14:30."),
        (
            "buyer_phone",
            "555-CALL-NOW",
            "“555-CALL-NOW” is not in E.164 form, for example +19165550123.",
        ),
        ("agent_email", "", "This must be given."),
        ("agent_name", "", "This must be given."),
    ],
)
def test_a_tours_error_names_its_field(field: str, value: Any, message: str) -> None:
    assert _tour_errors(**{field: value}) == {field: [message]}


def test_every_wrong_field_is_named_at_once() -> None:
    assert sorted(_tour_errors(reference="", buyer_email="x", buyer_phone="y", agent_email="z")) == [
        "agent_email",
        "buyer_email",
        "buyer_phone",
        "reference",
    ]


def test_a_buyer_must_be_reachable() -> None:
    assert _tour_errors(buyer_email="", buyer_phone="") == {
        "buyer_email": ["Give an e-mail address or a phone number: without either a CRM cannot recognise the person."]
    }


def test_a_contact_alone_is_cleaned_by_the_same_rules() -> None:
    assert clean_contact({"first_name": "Bo", "phone": "+19165550001"}) == ContactInput("Bo", "", "", "+19165550001")
    assert list(_errors(clean_contact, {"first_name": "Bo"})) == ["email"]


@pytest.mark.django_db
def test_known_people_may_be_named_by_id() -> None:
    buyer, agent = make.ContactFactory(), make.AgentFactory()

    tour = clean_tour({**TOUR, "buyer_id": buyer.pk, "agent_id": str(agent.pk)})

    assert (tour.buyer, tour.agent) == (buyer.pk, agent.pk)


@pytest.mark.django_db
def test_unknown_ids_are_named() -> None:
    assert _tour_errors(buyer_id=404, agent_id="x") == {
        "buyer_id": ["There is no contact 404."],
        "agent_id": ["“x” is not a whole number."],
    }


def test_a_wall_time_alone_needs_the_tours_zone() -> None:
    data = {"reference": "A-1", "starts_at": "2026-09-14T14:00"}

    assert _errors(clean_tour, data, partial=True) == {"time_zone": ["Give the time zone of this time."]}
    moved = clean_tour(data, partial=True, zone=ZONE)
    assert moved.values["starts_at"] == datetime(2026, 9, 14, 21, tzinfo=UTC)


def test_a_time_with_an_offset_is_an_instant() -> None:
    east = timezone(timedelta(hours=2))
    for value in ("2026-09-14T23:00+02:00", "2026-09-14T21:00Z", datetime(2026, 9, 14, 23, tzinfo=east)):
        assert clean_tour({**TOUR, "starts_at": value}).values["starts_at"] == datetime(2026, 9, 14, 21, tzinfo=UTC)


def test_a_stop_is_cleaned() -> None:
    stop = clean_stop(
        {
            **STOP,
            "state": "ca",
            "latitude": "38.6319134999",
            "list_price": "59222.5",
            "bedrooms": 2,
            "bathrooms": "1.5",
            "living_area": "",
        },
        zone=ZONE,
    )

    assert (stop.sequence, dict(stop.values)) == (
        1,
        {
            "street": "3526 High St",
            "state": "CA",
            "latitude": Decimal("38.631913"),
            "list_price": Decimal("59222.50"),
            "bedrooms": 2,
            "bathrooms": Decimal("1.5"),
            "living_area": None,
            "appointment_start": datetime(2026, 9, 14, 21, tzinfo=UTC),
            "appointment_end": datetime(2026, 9, 14, 21, 30, tzinfo=UTC),
        },
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sequence", "zero", "“zero” is not a whole number."),
        ("sequence", "0", "The stop's place in the tour must lie between 1 and 999, not 0."),
        ("sequence", "1.5", "“1.5” is not a whole number."),
        ("sequence", True, "“True” is not a whole number."),
        ("street", "  ", "This must be given."),
        ("state", "Kalifornien", "“Kalifornien” is not a state's two-letter code, for example CA."),
        ("postal_code", "9", "“9” is not a ZIP code, for example 95838 or 95838-1234."),
        ("latitude", "123.9", "Latitude must lie between -90 and 90, not 123.9."),
        ("latitude", "NaN", "“NaN” is not a number."),
        ("longitude", "1e999999", "“1e999999” is not a number."),
        ("list_price", "-5", "The price must lie between 0 and 9999999999.99, not -5."),
        ("list_price", "1.005", "“1.005” has more than 2 decimal places."),
        ("list_price", "٥", "“٥” is not a number."),
        ("bedrooms", "-1", "The number of rooms must lie between 0 and 99, not -1."),
        ("living_area", "9" * 21, f"“{'9' * 21}” is not a whole number."),
        (
            "appointment_status",
            "maybe",
            "“maybe” is not one of pending, confirmed, denied, cancelled.",
        ),
        ("showing_method", ["virtual"], "“['virtual']” is not one of in_person, virtual, other."),
        ("appointment_end", "2026-09-14T14:00", "The appointment must end after it starts."),
        ("appointment_end", "", "This must be given."),
        ("access_instructions", "x" * 5001, "This is 5001 characters long; 5000 fit."),
    ],
)
def test_a_stops_error_names_its_field(field: str, value: Any, message: str) -> None:
    assert _stop_errors(**{field: value}) == {field: [message]}


def test_lines_are_kept_where_many_fit() -> None:
    stop = clean_stop({**STOP, "access_instructions": "Key box\r\nCode 12\tgate"}, zone=ZONE)

    assert stop.values["access_instructions"] == "Key box\nCode 12\tgate"


def test_without_a_known_zone_only_the_form_of_a_time_is_checked() -> None:
    assert clean_stop({**STOP, "appointment_start": "2026-03-08T02:30"}, zone=None).values["appointment_start"] is None
    assert list(_errors(clean_stop, {**STOP, "appointment_start": "soon"}, zone=None)) == ["appointment_start"]


def test_a_change_of_one_time_is_checked_against_the_other() -> None:
    start, end = datetime(2026, 9, 14, 21, tzinfo=UTC), datetime(2026, 9, 14, 21, 30, tzinfo=UTC)
    known = {"zone": ZONE, "partial": True, "start": start, "end": end, "sequence": 4}

    assert _errors(clean_stop, {"appointment_start": "2026-09-14T14:30"}, **known) == {
        "appointment_end": ["The appointment must end after it starts."]
    }
    assert clean_stop({"appointment_start": "2026-09-14T14:15"}, **known).sequence == 4  # type: ignore[arg-type]


def test_feedback_is_cleaned() -> None:
    said = clean_feedback(
        {**ANSWER, "likes": " kitchen |yard||kitchen", "dislikes": ["road"], "share_with_seller": "yes"}, zone=ZONE
    )

    assert (said.author_role, said.submitted_at) == ("buyer", datetime(2026, 9, 15, 2, 30, tzinfo=UTC))
    assert dict(said.values) == {"likes": ["kitchen", "yard"], "dislikes": ["road"], "share_with_seller": True}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("author_role", "", "This must be given."),
        ("author_role", "owner", "“owner” is not one of buyer_agent, showing_agent, buyer, listing_agent."),
        ("overall_rating", "6", "The rating must lie between 1 and 5, not 6."),
        ("likes", ["x" * 81], f"“{'x' * 59}…” is longer than 80 characters."),
        ("likes", [f"tag {number}" for number in range(51)], "These are 51 entries; 50 fit."),
        ("likes", {"kitchen": True}, "This must be a list of short texts."),
        ("share_with_seller", "perhaps", "“perhaps” is neither yes nor no."),
        ("comments", "a\x07", "This contains the control character U+0007."),
    ],
)
def test_an_answers_error_names_its_field(field: str, value: Any, message: str) -> None:
    assert _errors(clean_feedback, {**ANSWER, field: value}, zone=ZONE) == {field: [message]}


def test_which_stop_is_meant() -> None:
    assert clean_stop_key({"tour_ref": " A-1", "stop_sequence": "3"}) == ("A-1", 3)
    assert list(_errors(clean_stop_key, {})) == ["tour_ref", "stop_sequence"]


def test_a_zone_by_name() -> None:
    assert clean_zone(" America/Los_Angeles ") == ZONE


_anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.text(max_size=40),
    st.binary(max_size=5),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())),
    st.lists(st.one_of(st.text(max_size=5), st.integers()), max_size=3),
    st.sampled_from(["2026-11-01T01:30", "1e9", "-0", "+1", "America/Los_Angeles", "x" * 6000, "٣", "\ud800"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_comes_in_only_a_validation_error_comes_out(data: st.DataObject) -> None:
    for clean, base in (
        (clean_tour, TOUR),
        (lambda raw: clean_tour(raw, partial=True), {"reference": "A"}),
        (lambda raw: clean_stop(raw, zone=ZONE), STOP),
        (lambda raw: clean_stop(raw, zone=None), STOP),
        (lambda raw: clean_feedback(raw, zone=ZONE), ANSWER),
        (clean_contact, {"email": "a@mail.example"}),
        (clean_stop_key, {}),
    ):
        keys = st.sampled_from([*TOUR, *STOP, *ANSWER, "state", "latitude", "bedrooms", "likes", "share_with_seller"])
        raw = {**base, **data.draw(st.dictionaries(keys, _anything, max_size=4))}
        try:
            clean(raw)
        except ValidationError as error:
            named = error.message_dict  # raises when a message belongs to no field
            assert "" not in named
