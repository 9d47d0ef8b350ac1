"""Our records in GoHighLevel's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.gohighlevel import mapping
from integrations.providers.gohighlevel.mapping import Likeness
from tests.integrations.providers.gohighlevel import conftest as shared
from tests.integrations.providers.gohighlevel.conftest import MARKER

SHOWING = replace(shared.SHOWING, tour_title="Martin — 4 homes")
CONTACT = ContactFacts(1, 1, "Alejandro", "Martin", "alejandro@mail.example", "+19165550001")
ZONES = ("America/Los_Angeles", "America/New_York", "America/Phoenix", "Pacific/Honolulu", "Asia/Kolkata", "UTC")


def body(showing: ShowingFacts = SHOWING) -> dict[str, Any]:
    return mapping.appointment_body(showing, marker=MARKER, contact="c1", location="l1", calendar="cal1")


# --- bodies --------------------------------------------------------------------------------------------------------


def test_an_appointment_says_all_we_own_and_notifies_nobody() -> None:
    assert body() == {
        "calendarId": "cal1",
        "locationId": "l1",
        "contactId": "c1",
        "title": "Showing: 3526 High St · Martin — 4 homes [RR-ABCDEFGHJKMN]",
        "address": "3526 High St, Sacramento, CA 95838",
        "startTime": "2026-09-14T14:00:00-07:00",
        "endTime": "2026-09-14T14:30:00-07:00",
        "appointmentStatus": "confirmed",
        "meetingLocationType": "custom",
        "overrideLocationConfig": True,
        "toNotify": False,
        "ignoreFreeSlotValidation": True,
        "ignoreDateRange": True,
    }


def test_an_edit_has_neither_place_nor_person() -> None:
    edit = mapping.edit_body(body())
    assert body().keys() - edit.keys() == {"locationId", "contactId"}
    assert edit["toNotify"] is False


def test_a_contact_says_what_we_know_and_where_it_came_from() -> None:
    assert mapping.contact_body(CONTACT, "l1") == {
        "locationId": "l1",
        "firstName": "Alejandro",
        "lastName": "Martin",
        "email": "alejandro@mail.example",
        "phone": "+19165550001",
        "source": "REanna Router",
    }


def test_what_is_not_known_of_a_contact_is_left_out() -> None:
    nameless = ContactFacts(1, 1, "", "", "", "+19165550001")
    assert mapping.contact_body(nameless, "l1") == {
        "locationId": "l1",
        "phone": "+19165550001",
        "source": "REanna Router",
    }


def test_a_tour_without_a_title_is_called_by_its_reference() -> None:
    assert (
        mapping.title(replace(SHOWING, tour_title=""), MARKER) == "Showing: 3526 High St · SAC-0001 [RR-ABCDEFGHJKMN]"
    )


def test_an_address_of_a_street_alone_has_no_loose_commas() -> None:
    assert mapping.address(replace(SHOWING, city="", state="", postal_code="")) == "3526 High St"
    assert mapping.address(replace(SHOWING, city="", state="")) == "3526 High St, 95838"


def test_local_times_across_the_end_of_daylight_saving_keep_their_offsets() -> None:
    start = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
    night = replace(SHOWING, starts_at=start, ends_at=start + timedelta(hours=1))
    assert (body(night)["startTime"], body(night)["endTime"]) == (
        "2026-11-01T01:30:00-07:00",
        "2026-11-01T01:30:00-08:00",
    )


@pytest.mark.parametrize(
    ("live", "status", "outcome", "theirs"),
    [
        (True, "pending", "none", "new"),
        (True, "confirmed", "none", "confirmed"),
        (True, "confirmed", "showed", "showed"),
        (True, "confirmed", "no_show", "noshow"),
        (True, "pending", "showed", "showed"),
        (False, "confirmed", "none", "cancelled"),
        (False, "confirmed", "showed", "cancelled"),
        (False, "pending", "none", "cancelled"),
        (False, "cancelled", "none", "cancelled"),
        (False, "denied", "none", "cancelled"),
        (True, "denied", "none", "cancelled"),
    ],
)
def test_a_status_is_theirs_and_an_outcome_counts_only_while_live(
    live: bool, status: str, outcome: str, theirs: str
) -> None:
    assert mapping.status(replace(SHOWING, live=live, appointment_status=status, outcome=outcome)) == theirs


# --- laws ----------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=300)
SPAN = st.timedeltas(timedelta(0), timedelta(days=36_500)).map(lambda step: datetime(2000, 1, 1, tzinfo=UTC) + step)


@given(street=TEXT, tour=TEXT)
def test_the_marker_survives_whole_and_once_in_a_bounded_title(street: str, tour: str) -> None:
    title = mapping.title(replace(SHOWING, street=street, tour_title=tour), MARKER)
    assert title.endswith(f"[RR-{MARKER}]")
    assert title.count("[RR-") == 1
    assert len(title) <= 255
    assert "\n" not in title


def test_a_marker_that_staff_copied_into_a_title_is_not_a_second_marker() -> None:
    copied = mapping.title(replace(SHOWING, tour_title="As [RR-ZZZZZZZZZZZZ]"), MARKER)
    assert mapping.tag("ZZZZZZZZZZZZ") not in copied


@given(street=TEXT, city=TEXT)
def test_an_address_is_one_bounded_line(street: str, city: str) -> None:
    address = mapping.address(replace(SHOWING, street=street, city=city))
    assert len(address) <= 255
    assert "\n" not in address


@given(start=SPAN, minutes=st.integers(1, 600), zone=st.sampled_from(ZONES))
def test_times_keep_the_instant_and_carry_an_offset(start: datetime, minutes: int, zone: str) -> None:
    start = start.replace(microsecond=0)
    showing = replace(SHOWING, starts_at=start, ends_at=start + timedelta(minutes=minutes), time_zone=zone)
    for name, moment in (("startTime", showing.starts_at), ("endTime", showing.ends_at)):
        told = datetime.fromisoformat(body(showing)[name])
        assert (told, told.tzinfo is not None) == (moment, True)


# --- is it the same ------------------------------------------------------------------------------------------------


def test_the_answer_of_our_own_record_is_the_same() -> None:
    assert mapping.same_appointment(body(), body()) is True


def test_the_same_instant_in_another_zone_is_the_same() -> None:
    utc = {**body(), "startTime": "2026-09-14T21:00:00Z", "endTime": "2026-09-14T21:30:00+00:00"}
    assert mapping.same_appointment(body(), utc) is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Lunch"),
        ("address", "Elsewhere"),
        ("appointmentStatus", "new"),
        ("appointmentStatus", "cancelled"),
        ("calendarId", "cal2"),
        ("startTime", "2026-09-14T14:00:01-07:00"),
        ("endTime", "2026-09-14T14:30:00-08:00"),
    ],
)
def test_a_field_of_ours_that_differs_is_not_the_same(field: str, value: str) -> None:
    assert mapping.same_appointment(body(), {**body(), field: value}) is False


@pytest.mark.parametrize("value", ["2026-09-14 14:00:00", "soon", None, 5])
def test_a_time_without_an_offset_does_not_tell(value: object) -> None:
    assert mapping.same_appointment(body(), {**body(), "startTime": value}) is None


def test_a_field_that_is_absent_does_not_tell_but_another_that_differs_does() -> None:
    theirs = {name: value for name, value in body().items() if name != "address"}
    assert mapping.same_appointment(body(), theirs) is None
    assert mapping.same_appointment(body(), {**theirs, "title": "Lunch"}) is False


def test_for_a_cancelled_one_only_the_status_counts() -> None:
    gone = body(replace(SHOWING, live=False))
    assert mapping.same_appointment(gone, {"appointmentStatus": "cancelled", "title": "edited by staff"}) is True
    assert mapping.same_appointment(gone, body()) is False


# --- whose is it ---------------------------------------------------------------------------------------------------

GIVEN = replace(SHOWING, assignee="user_1")


def test_a_given_appointment_differs_in_its_user_alone() -> None:
    assert body(GIVEN) == {**body(), "assignedUserId": "user_1"}
    assert mapping.edit_body(body(GIVEN))["assignedUserId"] == "user_1"


def test_what_is_cancelled_names_no_user() -> None:
    assert "assignedUserId" not in body(replace(GIVEN, live=False))


@pytest.mark.parametrize(("theirs", "same"), [("user_1", True), ("user_2", False), (None, False), ("", False)])
def test_another_user_is_not_the_same(theirs: object, same: bool) -> None:
    assert mapping.same_appointment(body(GIVEN), {**body(), "assignedUserId": theirs}) is same


def test_an_answer_without_a_user_does_not_tell_and_given_to_nobody_any_user_is_right() -> None:
    assert mapping.same_appointment(body(GIVEN), body()) is None
    assert mapping.same_appointment(body(), body(GIVEN)) is True


# --- who is it -----------------------------------------------------------------------------------------------------

OURS = mapping.contact_body(CONTACT, "l1")


@pytest.mark.parametrize(
    ("theirs", "likeness"),
    [
        ({"email": "Alejandro@Mail.example", "firstName": "Alex"}, Likeness.SAME),
        ({"email": "wife@mail.example", "firstName": "Alejandro", "lastName": "Martin"}, Likeness.OTHER),
        ({"firstName": "ALEJANDRO", "lastName": " martin "}, Likeness.SAME),
        ({"name": "Alejandro Martin"}, Likeness.SAME),
        ({"email": None, "firstName": "alejandro", "lastName": "martin"}, Likeness.SAME),
        ({"firstName": "Maria", "lastName": "Martin"}, Likeness.OTHER),
        ({"phone": "+19165550001"}, Likeness.UNSURE),
        ({"firstName": "", "lastName": None}, Likeness.UNSURE),
    ],
)
def test_a_shared_phone_alone_makes_nobody_the_same_person(theirs: dict[str, object], likeness: Likeness) -> None:
    assert mapping.likeness(OURS, theirs) is likeness


def test_where_the_number_is_all_either_side_knows_it_decides() -> None:
    assert mapping.likeness({"phone": "+19165550001"}, {"phone": "+19165550001"}) is Likeness.SAME


def test_of_a_nameless_buyer_with_a_known_mail_a_named_person_without_is_unsure() -> None:
    assert mapping.likeness({"email": "a@mail.example"}, {"firstName": "Ann"}) is Likeness.UNSURE
