"""Buyers at Follow Up Boss: whom the key may see, who is there without being seen, and couples with one phone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.providers.base import Ambiguous, Found, NotFound
from integrations.providers.errors import Gone, Rejected
from tests.followupboss_client import FollowUpBossCrm
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.sandbox_server import SandboxServer

from .conftest import DANA, Kind, linked, requests, sent


def test_ids_that_53_bits_do_not_keep_come_back_whole(people: Kind, staff: FollowUpBossCrm) -> None:
    ann = people.write(ANN)
    assert int(ann) > 2**53
    assert staff.call("GET", f"/people/{ann}").json()["id"] == int(ann)
    assert people.lookup(ANN) == Found(ann, same=True)


@pytest.mark.parametrize("phone", ["(916) 555-0001", "9165550001", "+1 916 555 0001"])
def test_a_person_without_an_address_is_found_by_the_number_however_it_is_written(
    people: Kind, staff: FollowUpBossCrm, phone: str
) -> None:
    known = staff.made("/people", firstName="Ann", lastName="Lee", phones=[{"value": phone}])
    assert people.lookup(ANN) == Found(str(known), same=True)


def test_what_people_keep_there_is_left_as_it_is(people: Kind, staff: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    known = staff.person(firstName="A.", emails=[{"value": "ANN@mail.example"}], tags=["vip"], stage="Past Client")
    before = staff.call("GET", f"/people/{known}").json()
    found = people.lookup(ANN)
    assert people.write(ANN, linked(found.external_id)) == str(known)
    assert staff.call("GET", f"/people/{known}").json() == before
    assert {row["method"] for row in sent(sandbox)} == {"GET"}


def test_of_two_with_our_address_the_one_with_our_name(people: Kind, staff: FollowUpBossCrm) -> None:
    mail = [{"value": "ann@mail.example"}]
    staff.person(firstName="Office", lastName="Desk", emails=mail)
    ann = staff.person(firstName="ann", lastName="LEE", emails=mail)
    assert people.lookup(ANN) == Found(str(ann), same=True)


def test_of_two_like_it_a_person_must_say(people: Kind, staff: FollowUpBossCrm) -> None:
    mail = [{"value": "ann@mail.example"}]
    both = [staff.person(firstName=name, lastName="Desk", emails=mail) for name in ("Office", "Home")]
    assert people.lookup(ANN) == Ambiguous(sorted(map(str, both)))


def test_a_person_this_key_may_not_see_is_not_made_a_second_time(
    people: Kind, staff: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    staff.person(emails=[{"value": "ann@mail.example"}], assignedUserId=int(DANA))
    sandbox.followupboss(sees="assigned")
    with pytest.raises(Rejected, match=r"there already, assigned to Dana Okafor, but this API key may not see them"):
        people.lookup(ANN)
    assert "POST /v1/people" not in requests(sandbox)


def test_a_linked_person_whom_the_key_may_not_see_any_more_counts_as_gone(
    people: Kind, staff: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    known = staff.person(assignedUserId=int(DANA))
    sandbox.followupboss(sees="assigned")
    with pytest.raises(Gone):
        people.lookup(ANN, linked(str(known)))


def test_a_couple_with_one_phone_stays_two(people: Kind, staff: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    """`deduplicate` would have joined them: it goes by phone too."""
    bob = staff.person(firstName="Bob", emails=[{"value": "bob@mail.example"}], phones=[{"value": "9165550001"}])
    before = staff.call("GET", f"/people/{bob}").json()
    assert people.lookup(ANN) == NotFound()
    assert people.write(ANN) != str(bob)
    assert staff.call("GET", f"/people/{bob}").json() == before
    assert sent(sandbox)[-1]["query"] == {}


def test_who_is_entered_at_this_moment_is_not_doubled(
    people: Kind, staff: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    assert people.lookup(ANN) == NotFound()
    meanwhile = staff.made("/people", firstName="Ann", lastName="Lee", emails=[{"value": "ann@mail.example"}])
    assert people.write(ANN) == str(meanwhile)
    assert sent(sandbox)[-1]["query"] == {"deduplicate": "true"}


def test_what_is_not_known_is_not_sent(people: Kind, sandbox: SandboxServer) -> None:
    people.write(replace(ANN, first_name="", phone=""))
    body = sent(sandbox)[-1]["body"]
    assert body == {"lastName": "Lee", "emails": [{"value": "ann@mail.example"}], "source": "REanna Router"}


def test_no_event_is_ever_sent(people: Kind, stops: Kind, sandbox: SandboxServer) -> None:
    """One could start action plans, which write to buyers."""
    people.lookup(ANN)
    people.write(ANN)
    assert not any("/events" in row for row in requests(sandbox))
    assert not any(effect.get("notified") for effect in sandbox.effects())
