"""Buyers at Lofty, against the sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, Found, InterestFacts, NotFound, RefFacts
from integrations.providers.errors import Gone, Rejected, Uncertain
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.integrations.providers.lofty.conftest import NEW, Kind, linked, requests
from tests.lofty_client import LoftyCrm
from tests.sandbox_server import SandboxServer

NO_MAIL = replace(ANN, email="")


@pytest.fixture
def tags(link: Link) -> Kind:
    return Kind(link, "contact.fields")


# --- created -------------------------------------------------------------------------------------------------------


def test_a_new_lead_is_a_buyer_whom_the_routing_rules_give_away_and_nobody_writes_to(
    people: Kind, sandbox: SandboxServer
) -> None:
    made = people.write(ANN)
    (row,) = sandbox.journal("lofty")
    assert (row["method"], row["path"], row["headers"]["content-type"]) == ("POST", "/v1.0/leads", "application/json")
    assert row["body"] == {
        "firstName": "Ann",
        "lastName": "Lee",
        "emails": ["ann@mail.example"],
        "phones": ["+19165550001"],
        "leadTypes": [2],
        "source": "REanna Router",
        "welcomeEmail": False,
    }
    assert row["effect"] == {"kind": "contact", "id": made, "op": "create", "notified": False}


def test_an_id_above_what_a_float_holds_is_kept_whole(people: Kind, staff: LoftyCrm) -> None:
    made = people.write(ANN)
    assert int(made) > 2**53
    assert staff.done("GET", f"/v1.0/leads/{made}")["lead"]["leadId"] == int(made)  # type: ignore[index]


def test_a_connection_may_say_whose_new_leads_are(open_link: Callable[..., Link], sandbox: SandboxServer) -> None:
    Kind(open_link(assigned_user_id=" 844510972070139 "), "contact.link").write(ANN)
    assert sandbox.journal("lofty")[-1]["body"]["assignedUserId"] == 844510972070139


def test_an_assigned_user_that_is_no_number_is_named_and_nothing_is_sent(
    open_link: Callable[..., Link], sandbox: SandboxServer
) -> None:
    with pytest.raises(Rejected, match="assignedUserId “Bob” is no number"):
        Kind(open_link(assigned_user_id="Bob"), "contact.link").write(ANN)
    assert sandbox.journal("lofty") == []


def test_long_names_are_cut_and_unknown_ones_left_out(people: Kind, sandbox: SandboxServer) -> None:
    people.write(replace(ANN, first_name="A" * 40, last_name="", phone=""))
    body = sandbox.journal("lofty")[-1]["body"]
    assert body["firstName"] == "A" * 29 + "…"
    assert "lastName" not in body
    assert "phones" not in body


def test_a_2xx_without_a_lead_is_doubt(people: Kind, sandbox: SandboxServer) -> None:
    for body in ({}, {"leadId": 0}, {"leadId": True}, {"leadId": "x"}, {"leadId": None}, [], "ok"):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            people.write(ANN)


# --- the time until a new lead shows --------------------------------------------------------------------------------


def test_a_new_lead_that_reads_do_not_show_yet_is_looked_for_later(
    people: Kind, sandbox: SandboxServer, link: Link
) -> None:
    sandbox.lofty(lag_s=3600)
    made = people.write(ANN)
    assert people.lookup(ANN) == NotFound()
    assert link.kind("contact.link").settle_s >= 30
    sandbox.lofty(lag_s=0)
    assert people.lookup(ANN) == Found(made, same=True)


# --- found ---------------------------------------------------------------------------------------------------------


def test_both_searches_are_exact_and_stay_within_a_page(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(ANN) == NotFound()
    asked = {"preciseSearchFlag": "true", "limit": "25"}
    assert [row["query"] for row in sandbox.journal("lofty")] == [
        {"email": "ann@mail.example", **asked}, {"phone": "9165550001", **asked},
    ]  # fmt: skip


def test_the_lead_with_our_email_is_linked_whatever_its_name_and_left_as_it_is(
    people: Kind, sandbox: SandboxServer, staff: LoftyCrm
) -> None:
    theirs = staff.lead(firstName="Anne", lastName="Leigh", emails=["other@mail.example", "Ann@Mail.example"])
    assert people.lookup(ANN) == Found(theirs, same=True)
    assert people.write(ANN, linked(theirs)) == theirs
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create"]
    assert requests(sandbox)[-1] == f"GET /v1.0/leads/{theirs}"


@pytest.mark.parametrize("phone", ["+19165550001", "(916) 555-0001", "19165550001"])
def test_a_lead_with_our_phone_alone_is_linked_when_it_has_our_name(people: Kind, staff: LoftyCrm, phone: str) -> None:
    theirs = staff.lead(firstName="Ann", lastName="Lee", emails=[], phones=[phone])
    assert people.lookup(NO_MAIL) == Found(theirs, same=True)


def test_a_lead_with_our_phone_and_another_name_is_another_person(people: Kind, staff: LoftyCrm) -> None:
    staff.lead(firstName="Tom", lastName="Lee", emails=[], phones=["+19165550001"])
    assert people.lookup(NO_MAIL) == NotFound()


def test_a_lead_of_whom_only_the_phone_is_known_is_for_staff_to_judge(people: Kind, staff: LoftyCrm) -> None:
    theirs = staff.lead(firstName="", lastName="", emails=[], phones=["+19165550001"])
    assert people.lookup(NO_MAIL) == Ambiguous([theirs])


def test_of_two_leads_with_our_email_the_one_with_our_name_is_ours(people: Kind, staff: LoftyCrm) -> None:
    first = staff.lead(firstName="Ann", lastName="Lee", emails=["ann@mail.example"])
    second = staff.lead(firstName="Ana", lastName="L", emails=["ann@mail.example"])
    assert people.lookup(ANN) == Found(first, same=True)
    staff.done("PUT", f"/v1.0/leads/{first}", {"firstName": "An"})
    assert people.lookup(ANN) == Ambiguous(sorted([first, second]))


def test_what_a_search_brings_that_was_not_asked_for_is_nobody_of_ours(people: Kind, sandbox: SandboxServer) -> None:
    """Parameters that Lofty does not know it ignores."""
    others = [{"leadId": n, "emails": [f"n{n}@mail.example"], "phones": []} for n in (1, 2)]
    body = {"_metadata": {"total": 2}, "leads": others}
    sandbox.faults("status", provider="lofty", status=200, body=body, times=2)
    assert people.lookup(ANN) == NotFound()


def test_a_search_that_brings_more_than_can_be_read_is_no_proof_of_absence(
    people: Kind, sandbox: SandboxServer
) -> None:
    """The same page again and again, as when the cursor is ignored too."""
    body = {"_metadata": {"total": 300, "scrollId": "x"}, "leads": [{"leadId": n + 1} for n in range(25)]}
    sandbox.faults("status", provider="lofty", status=200, body=body, times=None)
    with pytest.raises(Uncertain):
        people.lookup(ANN)
    assert len(sandbox.journal("lofty")) == 2


def test_further_pages_are_asked_for_by_the_answers_cursor(
    people: Kind, sandbox: SandboxServer, staff: LoftyCrm
) -> None:
    ours = staff.lead(firstName="Ann", lastName="Lee", emails=["ann@mail.example"])
    for n in range(30):
        staff.lead(firstName=f"N{n}", lastName="", emails=["ann@mail.example"])
    assert people.lookup(ANN) == Found(ours, same=True)
    queries = [row["query"] for row in sandbox.journal("lofty") if row["method"] == "GET"]
    assert [query.get("scrollId") for query in queries] == [None, "25"]


def test_an_answer_without_a_list_is_not_understood(people: Kind, sandbox: SandboxServer) -> None:
    for body in ({}, {"leads": None}, {"leads": ["x"]}, {"leads": [{"leadId": "x"}]}):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            people.lookup(ANN)


def test_a_lost_answer_is_found(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("drop_after_effect", provider="lofty", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        people.write(ANN)
    assert people.lookup(ANN) == Found(sandbox.effects("contact")[-1]["id"], same=True)


def test_a_linked_lead_that_was_deleted_is_gone(people: Kind, staff: LoftyCrm) -> None:
    made = people.write(ANN)
    staff.done("DELETE", f"/v1.0/leads/{made}", query={"reason": "left"})
    with pytest.raises(Gone):
        people.lookup(ANN, linked(made))
    with pytest.raises(Gone):
        people.write(ANN, linked(made))


@pytest.mark.parametrize("bare", [True, False])
def test_a_lead_is_understood_bare_and_under_its_name(people: Kind, sandbox: SandboxServer, bare: bool) -> None:
    lead = {"leadId": 7, "emails": []}
    sandbox.faults("status", provider="lofty", status=200, body=lead if bare else {"lead": lead})
    assert people.lookup(ANN, linked("7")) == Found("7", same=True)


# --- tags ----------------------------------------------------------------------------------------------------------

SAID = InterestFacts(1, 1, "interested", 4, "likely")


def test_what_was_said_is_added_as_tags_and_theirs_stay(tags: Kind, sandbox: SandboxServer, staff: LoftyCrm) -> None:
    lead = staff.lead(tags=["VIP"])
    assert tags.lookup(SAID, contact=lead) == Found(lead, same=False)
    assert tags.write(SAID, contact=lead) == lead
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], row["body"]) == ("PUT", {"tagsAdd": ["showing:interested", "rating:4", "offer:likely"]})
    shown = staff.done("GET", f"/v1.0/leads/{lead}")["lead"]["tags"]  # type: ignore[index]
    assert [tag["tagName"] for tag in shown] == ["VIP", "showing:interested", "rating:4", "offer:likely"]
    assert tags.lookup(SAID, contact=lead) == Found(lead, same=True)


def test_with_nothing_known_the_lead_is_left_as_it_is(tags: Kind, sandbox: SandboxServer, staff: LoftyCrm) -> None:
    lead = staff.lead()
    nothing = InterestFacts(1, 1, "unknown")
    assert tags.wanted(nothing, contact=lead).absent is True
    assert tags.lookup(nothing, contact=lead) == NotFound()
    assert tags.write(nothing, contact=lead) == lead
    assert requests(sandbox)[-1].startswith("GET")


def test_a_new_lead_takes_tags_before_reads_show_it(tags: Kind, people: Kind, sandbox: SandboxServer) -> None:
    sandbox.lofty(lag_s=3600, late_writes=True)
    lead = people.write(ANN)
    assert tags.write(SAID, contact=lead) == lead


def test_tags_of_a_lead_that_was_deleted_are_gone(tags: Kind) -> None:
    with pytest.raises(Gone):
        tags.write(SAID, contact="404")
    with pytest.raises(Gone):
        tags.lookup(SAID, contact="404")


@pytest.mark.parametrize("held", [["VIP", "showing:interested"], None])
def test_tags_are_read_as_objects_and_as_texts(tags: Kind, sandbox: SandboxServer, held: object) -> None:
    sandbox.faults("status", provider="lofty", status=200, body={"lead": {"leadId": 7, "tags": held}})
    said = InterestFacts(1, 1, "interested")
    assert tags.lookup(said, NEW, contact="7") == Found("7", same=None if held is None else True)


def test_an_answer_to_tags_that_names_another_lead_is_doubt(tags: Kind, sandbox: SandboxServer) -> None:
    for body in ({"leadId": 8}, {}, {"message": "ok"}):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            tags.write(SAID, RefFacts("7", "ABCDEFGHJKMN"), contact="7")
