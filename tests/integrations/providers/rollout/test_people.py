"""Buyers at Rollout, against the sandbox over real HTTP; the journal says what happened."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from integrations.providers.base import Ambiguous, ContactFacts, Found, NotFound
from integrations.providers.rollout.errors import RolloutGoneError, RolloutNotReadyError, RolloutUncertainError
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.integrations.providers.rollout.conftest import Kind, MemoryLookups, linked, requests
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer


def person(staff: RolloutCrm, first: str, last: str, *, email: str = "", phone: str = "") -> str:
    """Someone else puts a person into the CRM."""
    reached = {"emails": [{"value": email}] if email else [], "phones": [{"value": phone}] if phone else []}
    return staff.person(firstName=first, lastName=last, **reached)


def test_an_unknown_buyer_is_not_found_after_the_list_was_read(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(ANN) == NotFound()
    # Read once to know it, once more because who is new there must not be missed.
    assert requests(sandbox) == ["GET /people", "GET /people"]


def test_a_person_with_our_mail_is_ours_whatever_the_name(people: Kind, staff: RolloutCrm) -> None:
    there = person(staff, "Anna", "Leigh", email="Ann@Mail.example")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_person_with_our_phone_and_name_and_no_mail_is_ours(people: Kind, staff: RolloutCrm) -> None:
    there = person(staff, "ANN", "lee", phone="(916) 555-0001")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_partner_who_shares_the_phone_is_not_ours(people: Kind, staff: RolloutCrm) -> None:
    person(staff, "Bob", "Lee", phone="+19165550001", email="bob@mail.example")
    assert people.lookup(ANN) == NotFound()


def test_of_a_couple_with_one_phone_the_one_who_is_ours_is_found(people: Kind, staff: RolloutCrm) -> None:
    person(staff, "Bob", "Lee", phone="+19165550001", email="bob@mail.example")
    ann = person(staff, "Ann", "Lee", phone="+19165550001")
    assert people.lookup(ANN) == Found(ann, same=True)


def test_a_nameless_person_with_our_phone_is_for_staff_to_judge(people: Kind, staff: RolloutCrm) -> None:
    there = person(staff, "Unknown", "Unknown", phone="+19165550001")
    assert people.lookup(ANN) == Ambiguous([there])


def test_of_two_with_our_mail_the_one_with_our_name_is_ours(people: Kind, staff: RolloutCrm) -> None:
    person(staff, "Bob", "Lee", email="ann@mail.example")
    ann = person(staff, "Ann", "Lee", email="ann@mail.example")
    assert people.lookup(ANN) == Found(ann, same=True)


def test_two_who_are_both_ours_are_for_staff_to_judge(people: Kind, staff: RolloutCrm) -> None:
    both = [person(staff, "Ann", "Lee", email="ann@mail.example") for _ in range(2)]
    assert people.lookup(ANN) == Ambiguous(sorted(both))


def test_who_appeared_since_the_list_was_read_is_found(people: Kind, staff: RolloutCrm) -> None:
    assert people.lookup(ANN) == NotFound()
    there = person(staff, "Ann", "Lee", email="ann@mail.example")
    assert people.lookup(ANN) == Found(there, same=True)


def test_who_was_deleted_or_lost_the_address_is_not_found(
    people: Kind, staff: RolloutCrm, lookups: MemoryLookups
) -> None:
    gone = person(staff, "Ann", "Lee", email="ann@mail.example")
    changed = person(staff, "Ann", "Lee", phone="+19165550001")
    assert people.lookup(ANN) == Found(gone, same=True)
    staff.call("DELETE", f"/people/{gone}")
    staff.call("PUT", f"/people/{changed}", {"phones": []})
    assert people.lookup(ANN) == NotFound()
    assert lookups.find("people", "email:ann@mail.example") == []


def test_a_linked_person_is_asked_for_by_id_and_left_as_it_is(
    people: Kind, staff: RolloutCrm, sandbox: SandboxServer
) -> None:
    ann = person(staff, "Ann", "Lee", email="ann@mail.example")
    renamed = replace(ANN, first_name="Annabel", phone="+19165559999")
    assert people.lookup(renamed, linked(ann)) == Found(ann, same=True)
    assert people.write(renamed, linked(ann)) == ann
    assert [effect["op"] for effect in sandbox.effects()] == ["create"]
    assert requests(sandbox)[1:] == [f"GET /people/{ann}"] * 2


def test_a_linked_person_who_was_deleted_is_gone(people: Kind) -> None:
    with pytest.raises(RolloutGoneError):
        people.lookup(ANN, linked("deleted"))


def test_a_buyer_is_created_once_with_what_we_know(people: Kind, sandbox: SandboxServer) -> None:
    ann = people.write(ANN)
    (row,) = sandbox.journal("rollout")
    assert (row["method"], row["path"], people.commits) == ("POST", "/api/people", 1)
    assert row["headers"]["x-rollout-credential-id"] == "cred_demo"
    assert row["body"] == {
        "firstName": "Ann",
        "lastName": "Lee",
        "source": "REanna Router",
        "emails": [{"value": "ann@mail.example", "isPrimary": True}],
        "phones": [{"value": "+19165550001", "isPrimary": True}],
    }
    assert row["effect"] == {"kind": "contact", "id": ann, "op": "create"}


def test_a_buyer_without_a_name_is_created_and_found_again(people: Kind) -> None:
    nameless = ContactFacts(2, 1, "", "", "", "+19165550002")
    there = people.write(nameless)
    assert people.lookup(nameless) == Found(there, same=True)


def test_a_lost_answer_is_found_by_the_address(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(ANN) == NotFound()
    sandbox.faults("drop_after_effect", provider="rollout", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        people.write(ANN)
    assert people.lookup(ANN) == Found(sandbox.effects()[-1]["id"], same=True)


def test_a_write_that_never_arrived_is_not_found(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("drop_before_effect", provider="rollout", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        people.write(ANN)
    assert people.lookup(ANN) == NotFound()


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_lost_answer_is_found_among_many_whatever_the_order(
    people: Kind, sandbox: SandboxServer, staff: RolloutCrm, order: str
) -> None:
    sandbox.rollout(order=order, limits={"burst": {"limit": 1000}})
    for number in range(130):
        person(staff, "A", str(number), email=f"{number}@mail.example")
    assert people.lookup(ANN) == NotFound()
    sandbox.faults("drop_after_effect", provider="rollout", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        people.write(ANN)
    before = len(requests(sandbox))
    assert people.lookup(ANN) == Found(sandbox.effects()[-1]["id"], same=True)
    # One page of the newest end, and the person.
    assert len(requests(sandbox)) == before + 2


def test_a_big_list_is_not_waited_for(people: Kind, sandbox: SandboxServer) -> None:
    page = {
        "_metadata": {"collection": "people", "offset": 0, "limit": 1, "total": 5000, "next": "n", "nextLink": None},
        "people": [{"id": "a"}],
    }
    sandbox.faults("status", provider="rollout", status=200, body=page, times=None, match={"path": "/api/people"})
    with pytest.raises(RolloutNotReadyError, match="the list of people is being read: 20 of 5,000"):
        people.lookup(ANN)
    assert len(requests(sandbox)) == 20


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"people": []},
        {"_metadata": {"total": None}, "people": []},
        {"_metadata": {"total": 0}, "people": None},
        {"_metadata": {"total": 1}, "people": [{"name": "no id"}]},
        {"_metadata": {"total": 1}, "appointments": []},
    ],
)
def test_a_list_that_is_not_understood_is_not_an_empty_one(people: Kind, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="rollout", status=200, body=body)
    with pytest.raises(RolloutUncertainError):
        people.lookup(ANN)
