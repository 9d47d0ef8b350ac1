"""Buyers and HubSpot's contacts, against the sandbox over real HTTP; the journal says what happened."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, Found, InterestFacts, NotFound
from integrations.providers.errors import Gone, NotProcessed, Rejected
from tests.hubspot_client import HubSpotCrm
from tests.integrations.providers.gohighlevel.conftest import ANN, Kind, linked
from tests.integrations.providers.hubspot.conftest import INTEREST, RATING, requests
from tests.sandbox_server import SandboxServer

BY_EMAIL = "GET /crm/v3/objects/contacts/ann%40mail.example"
SEARCH = "POST /crm/v3/objects/contacts/search"


# --- look-up -------------------------------------------------------------------------------------------------------


def test_an_unknown_buyer_is_read_by_mail_and_then_searched_for_once(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(ANN) == NotFound()
    assert requests(sandbox) == [BY_EMAIL, SEARCH]
    filters = [group["filters"][0] for group in sandbox.journal()[1]["body"]["filterGroups"]]
    assert [(one["propertyName"], one["operator"], one["value"]) for one in filters] == [
        ("hs_additional_emails", "CONTAINS_TOKEN", "ann@mail.example"),
        ("phone", "EQ", "+19165550001"),
        ("mobilephone", "EQ", "+19165550001"),
        ("hs_searchable_calculated_phone_number", "EQ", "9165550001"),
        ("hs_searchable_calculated_mobile_number", "EQ", "9165550001"),
    ]


def test_a_person_with_our_mail_is_ours_whatever_the_name(people: Kind, staff: HubSpotCrm) -> None:
    there = staff.made("contacts", firstname="Anna", email="Ann@Mail.example")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_person_whom_the_search_does_not_know_yet_is_read_by_mail(
    people: Kind, staff: HubSpotCrm, sandbox: SandboxServer
) -> None:
    sandbox.hubspot(search_lag_s=3600)
    there = staff.made("contacts", email="ann@mail.example")
    assert people.lookup(ANN) == Found(there, same=True)
    assert SEARCH not in requests(sandbox)


def test_a_person_who_has_our_mail_beside_another_is_ours(people: Kind, staff: HubSpotCrm) -> None:
    there = staff.made("contacts", email="ann@work.example", hs_additional_emails="x@y.example;ann@mail.example")
    assert people.lookup(ANN) == Found(there, same=True)


@pytest.mark.parametrize("phone", ["+19165550001", "(916) 555-0001"])
@pytest.mark.parametrize("name", ["phone", "mobilephone"])
def test_a_person_with_our_phone_and_name_and_no_mail_is_ours(
    people: Kind, staff: HubSpotCrm, name: str, phone: str
) -> None:
    there = staff.made("contacts", firstname="ANN", lastname="lee", **{name: phone})
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_number_abroad_is_found_as_we_write_it(people: Kind, staff: HubSpotCrm) -> None:
    abroad = replace(ANN, email="", phone="+442079460000")
    assert people.lookup(abroad) == NotFound()
    there = staff.made("contacts", firstname="Ann", lastname="Lee", phone="+442079460000")
    assert people.lookup(abroad) == Found(there, same=True)


def test_a_partner_who_shares_the_phone_is_not_ours(people: Kind, staff: HubSpotCrm) -> None:
    staff.made("contacts", firstname="Bob", phone="+19165550001", email="bob@mail.example")
    assert people.lookup(ANN) == NotFound()


def test_a_nameless_person_with_our_phone_is_for_staff_to_judge(people: Kind, staff: HubSpotCrm) -> None:
    there = staff.made("contacts", phone="+19165550001")
    assert people.lookup(ANN) == Ambiguous([there])


def test_two_people_who_could_both_be_ours_are_for_staff_to_judge(people: Kind, staff: HubSpotCrm) -> None:
    both = [staff.made("contacts", firstname="Ann", lastname="Lee", phone="+19165550001") for _ in range(2)]
    assert people.lookup(replace(ANN, email="")) == Ambiguous(sorted(both))


def test_the_search_is_read_to_its_last_page(people: Kind, staff: HubSpotCrm, sandbox: SandboxServer) -> None:
    there = staff.made("contacts", firstname="Ann", lastname="Lee", phone="+19165550001")
    first = {"results": [], "paging": {"next": {"after": "0"}}}
    sandbox.faults("status", provider="hubspot", status=200, body=first, match={"method": "POST"})
    assert people.lookup(ANN) == Found(there, same=True)
    assert requests(sandbox)[-2:] == [SEARCH, SEARCH]


def test_a_linked_person_is_asked_for_by_id_and_left_as_it_is(people: Kind, sandbox: SandboxServer, ann: str) -> None:
    renamed = replace(ANN, first_name="Annabel", phone="+19165559999")
    assert people.lookup(renamed, linked(ann)) == Found(ann, same=True)
    assert people.write(renamed, linked(ann)).external_id == ann
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create"]


def test_a_linked_person_who_was_deleted_is_gone(people: Kind, staff: HubSpotCrm, ann: str) -> None:
    staff.call("DELETE", f"/crm/v3/objects/contacts/{ann}").raise_for_status()
    with pytest.raises(Gone):
        people.lookup(ANN, linked(ann))


def test_a_linked_person_who_was_merged_into_another_is_gone_and_then_found_there(
    people: Kind, staff: HubSpotCrm, ann: str
) -> None:
    other = staff.made("contacts", firstname="Ann", email="ann@work.example")
    merge = {"primaryObjectId": other, "objectIdToMerge": ann}
    staff.call("POST", "/crm/v3/objects/contacts/merge", merge).raise_for_status()
    with pytest.raises(Gone, match=f"contact {ann} was merged into {other}"):
        people.lookup(ANN, linked(ann))
    assert people.lookup(ANN) == Found(other, same=True)


# --- write ---------------------------------------------------------------------------------------------------------


def test_a_buyer_is_created_once_with_what_we_know(people: Kind, sandbox: SandboxServer) -> None:
    done = people.write(replace(ANN, last_name=""))
    (row,) = sandbox.journal()
    assert (row["method"], row["path"]) == ("POST", "/crm/v3/objects/contacts")
    known = {"firstname": "Ann", "email": "ann@mail.example", "phone": "+19165550001"}
    assert row["body"] == {"properties": known, "associations": []}
    assert row["effect"] == {"kind": "contact", "id": done.external_id, "op": "create"}
    assert (done.status, people.commits) == (201, 1)


def test_an_id_that_no_double_holds_stays_exact(people: Kind, ann: str) -> None:
    assert float(ann) != int(ann) or int(ann) > 2**53
    assert people.lookup(ANN) == Found(ann, same=True)


def test_a_buyer_who_appeared_meanwhile_is_not_created_and_found_the_next_time(
    people: Kind, sandbox: SandboxServer, ann: str
) -> None:
    with pytest.raises(NotProcessed, match=f"contact {ann} was there already"):
        people.write(ANN)
    assert people.lookup(ANN) == Found(ann, same=True)
    assert len(sandbox.effects("contact")) == 1


def test_one_who_has_our_mail_beside_their_own_is_found_after_the_refusal(
    people: Kind, staff: HubSpotCrm, sandbox: SandboxServer
) -> None:
    sandbox.hubspot(search_lag_s=3600)
    there = staff.made("contacts", email="ann@work.example", hs_additional_emails="ann@mail.example")
    assert people.lookup(ANN) == NotFound()  # not in the index yet
    with pytest.raises(NotProcessed):
        people.write(ANN)
    sandbox.hubspot(search_lag_s=0)
    staff.change("contacts", there, city="Galt")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_conflict_that_names_nobody_is_a_definite_no(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("status", provider="hubspot", status=409, body={"category": "CONFLICT", "message": "no"})
    with pytest.raises(Rejected):
        people.write(ANN)


def test_partners_share_a_phone(people: Kind, staff: HubSpotCrm, sandbox: SandboxServer) -> None:
    staff.made("contacts", firstname="Bob", lastname="Lee", phone="+19165550001", email="bob@mail.example")
    assert people.lookup(ANN) == NotFound()
    people.write(ANN)
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "create"]


def test_a_lost_answer_is_found_by_mail_before_the_search_knows(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.hubspot(search_lag_s=3600)
    sandbox.faults("drop_after_effect", provider="hubspot", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        people.write(ANN)
    assert people.lookup(ANN) == Found(sandbox.effects("contact")[0]["id"], same=True)


def test_without_a_mail_a_lost_answer_waits_until_the_search_knows(people: Kind) -> None:
    assert people.kind.settle_s == 30.0


# --- what was said last --------------------------------------------------------------------------------------------

INTERESTED = InterestFacts(1, 1, "very_interested", 4)


def test_what_was_said_last_changes_these_properties_alone(link: Link, sandbox: SandboxServer, ann: str) -> None:
    fields = Kind(link, "contact.fields")
    assert fields.write(INTERESTED, contact=ann).external_id == ann
    row = sandbox.journal()[-1]
    assert (row["method"], row["path"]) == ("PATCH", f"/crm/v3/objects/contacts/{ann}")
    assert row["body"] == {"properties": {INTEREST: "Very interested", RATING: "4"}}
    assert fields.lookup(INTERESTED, contact=ann) == Found(ann, same=True)
    assert fields.lookup(replace(INTERESTED, overall_rating=2), contact=ann) == Found(ann, same=False)


def test_what_is_not_known_is_never_emptied(link: Link, sandbox: SandboxServer, ann: str) -> None:
    fields = Kind(link, "contact.fields")
    fields.write(replace(INTERESTED, overall_rating=None), contact=ann)
    assert sandbox.journal()[-1]["body"] == {"properties": {INTEREST: "Very interested"}}
    nothing = InterestFacts(1, 2, "unknown")
    assert fields.wanted(nothing, contact=ann).absent
    assert fields.write(nothing, contact=ann).external_id == ann
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "update"]


def test_a_property_that_the_account_does_not_have_is_a_definite_no(
    link: Link, sandbox: SandboxServer, ann: str
) -> None:
    fields = Kind(link, "contact.fields")
    wanted = fields.kind.wanted(INTERESTED, {"contact": ann}, linked(""), {"interest_property": "no_such"})
    with pytest.raises(Rejected, match='"no_such"'):
        fields.kind.write(fields.exchange(), wanted, linked(ann))


def test_the_fields_of_a_person_who_was_deleted_are_gone(link: Link) -> None:
    fields = Kind(link, "contact.fields")
    with pytest.raises(Gone):
        fields.lookup(INTERESTED, contact="17")
    with pytest.raises(Gone):
        fields.write(INTERESTED, contact="17")
