"""What GoHighLevel's adapter makes of every answer, and what the vendor's contract says of its requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.gateway import Link, UnknownKindError
from integrations.providers.base import (
    SecondWriteError,
)
from integrations.providers.errors import (
    AuthError,
    Gone,
    NotProcessed,
    RateLimited,
    Rejected,
    Uncertain,
)
from tests.integrations.providers.gohighlevel.conftest import (
    ANN,
    MARKER,
    NEW,
    SHOWING,
    Kind,
    linked,
    requests,
)
from tests.openapi import validate_request
from tests.sandbox_server import CALENDAR, TOKEN, SandboxServer

# --- answers -------------------------------------------------------------------------------------------------------

STATUSES = [
    (400, Rejected),
    (401, AuthError),
    (403, AuthError),
    (422, Rejected),
    (429, RateLimited),
    (500, Uncertain),
    (502, Uncertain),
    (503, NotProcessed),
    (504, Uncertain),
    (302, Uncertain),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_a_write_answered_otherwise_is_an_error_of_that_meaning_and_not_repeated(
    stops: Kind, sandbox: SandboxServer, ann: str, status: int, error: type[Exception]
) -> None:
    before = len(sandbox.journal())
    sandbox.faults("status", status=status, body={"message": "no", "traceId": "t-1"}, match={"method": "POST"})
    with pytest.raises(error) as caught:
        stops.write(SHOWING, contact=ann)
    assert (caught.value.status, caught.value.request_id) == (status, "t-1")  # type: ignore[attr-defined]
    assert len(sandbox.journal()) == before + 1


@pytest.mark.parametrize(
    "body", [{}, {"id": ""}, {"id": 5}, {"id": None}, {"appointment": {"id": "a"}}, [], ["id"], "id", None]
)
def test_a_2xx_without_an_id_is_doubt(stops: Kind, sandbox: SandboxServer, ann: str, body: object) -> None:
    sandbox.faults("status", status=200, body=body, match={"method": "POST"})
    with pytest.raises(Uncertain):
        stops.write(SHOWING, contact=ann)


def test_a_garbled_2xx_is_doubt_and_counts_for_the_circuit(
    stops: Kind, sandbox: SandboxServer, ann: str, link: Link
) -> None:
    sandbox.faults("garbled", match={"method": "POST"})
    with link.use() as tally, pytest.raises(Uncertain):
        stops.write(SHOWING, contact=ann)
    assert tally.breaker is not None
    assert tally.breaker.failures == 1


def test_an_update_answered_with_another_id_is_doubt(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    done = stops.write(SHOWING, contact=ann)
    sandbox.faults("status", status=200, body={"id": "other"}, match={"method": "PUT"})
    with pytest.raises(Uncertain):
        stops.write(SHOWING, linked(done.external_id), contact=ann)


def test_a_contact_answer_without_a_contact_is_doubt(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=201, body={"id": "a"}, match={"method": "POST"})
    with pytest.raises(Uncertain):
        people.write(ANN)


@pytest.mark.parametrize("body", [[], "none", {"contact": {}}, {"contact": "a"}, {"contact": {"id": 5}}])
def test_a_search_that_is_not_understood_finds_nobody_and_says_so(
    people: Kind, sandbox: SandboxServer, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"path": "/contacts/search/duplicate"})
    with pytest.raises(Uncertain):
        people.lookup(ANN)


@pytest.mark.parametrize("body", [{}, [], {"events": None}, {"events": ["a"]}, {"events": {"id": "a"}}])
def test_a_list_that_is_not_understood_is_not_an_empty_one(
    stops: Kind, sandbox: SandboxServer, ann: str, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"path": f"/contacts/{ann}/appointments"})
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, contact=ann)


def test_an_event_of_ours_without_an_id_is_not_understood(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    body = {"events": [{"title": f"x [RR-{MARKER}]"}]}
    sandbox.faults("status", status=200, body=body, match={"path": f"/contacts/{ann}/appointments"})
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, contact=ann)


@pytest.mark.parametrize("body", [{}, {"event": None}, {"event": {"id": "other"}}])
def test_a_linked_record_that_is_not_shown_is_not_understood(
    stops: Kind, people: Kind, sandbox: SandboxServer, ann: str, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"method": "GET"}, times=2)
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, linked("appointment"), contact=ann)
    with pytest.raises(Uncertain):
        people.lookup(ANN, linked(ann))


def test_an_id_that_is_no_path_segment_stays_one(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    with pytest.raises(Gone):
        stops.lookup(SHOWING, linked("../../../contacts"), contact=ann)
    assert "/contacts/search" not in requests(sandbox)[-1]


def test_an_adapter_cannot_write_twice_in_one_operation(people: Kind) -> None:
    exchange = people.exchange()
    people.kind.write(exchange, people.wanted(ANN), NEW)
    with pytest.raises(SecondWriteError):
        people.kind.write(exchange, people.wanted(ANN), NEW)


def test_a_kind_that_does_not_exist_is_named(link: Link) -> None:
    with pytest.raises(UnknownKindError, match=r"GoHighLevel has no 'message\.send'"):
        link.kind("message.send")


# --- the vendor's own contract -------------------------------------------------------------------------------------


def test_every_request_is_one_the_vendor_documents(people: Kind, stops: Kind, sandbox: SandboxServer) -> None:
    def work() -> None:
        people.lookup(ANN)
        contact = people.write(ANN).external_id
        people.lookup(ANN, linked(contact))
        stops.lookup(SHOWING, contact=contact)
        first = stops.write(SHOWING, contact=contact)
        ref = linked(first.external_id)
        stops.lookup(SHOWING, ref, contact=contact)
        stops.write(replace(SHOWING, outcome="no_show"), ref, contact=contact)
        stops.write(replace(SHOWING, live=False), ref, contact=contact)
        bare = replace(ANN, first_name="", last_name="", email="", phone="+19165550777")
        people.write(bare)
        with pytest.raises(NotProcessed):
            people.write(bare)

    work()
    rows = sandbox.journal()
    assert len(rows) == 12
    for row in rows:
        headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"])
    assert {row["body"]["calendarId"] for row in rows if "/events/" in row["path"] and row["body"]} == {CALENDAR}
