"""What a buyer said last, as tags at Rollout, against the sandbox over real HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.gateway import Link
from integrations.providers.base import Found, InterestFacts, NotFound
from integrations.providers.rollout.errors import RolloutGoneError
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.integrations.providers.rollout.conftest import Kind, linked, requests
from tests.openapi import validate_request
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer

LIKES_IT = InterestFacts(1, 2, "interested", 4, "likely")
NOTHING = InterestFacts(1, 2, "unknown")


@pytest.fixture
def tags(link: Link) -> Kind:
    return Kind(link, "contact.fields")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (LIKES_IT, ["showing:interested", "rating:4", "offer:likely"]),
        (replace(LIKES_IT, offer_likelihood=""), ["showing:interested", "rating:4"]),
        (replace(NOTHING, overall_rating=2), ["rating:2"]),
        (NOTHING, []),
        (InterestFacts(1, 2), []),
    ],
)
def test_what_is_known_is_a_tag_and_what_is_not_is_none(tags: Kind, said: InterestFacts, wanted: list[str]) -> None:
    told = tags.wanted(said, contact="p1")
    assert (told.body["tags"], told.absent) == (wanted, not wanted)


def test_tags_are_added_in_one_request_and_those_of_people_stay(
    tags: Kind, staff: RolloutCrm, sandbox: SandboxServer, ann: str
) -> None:
    staff.call("POST", f"/people/{ann}/tags/apply", {"tags": ["vip"]})
    assert tags.write(LIKES_IT, contact=ann) == ann
    assert requests(sandbox)[-1] == f"POST /people/{ann}/tags/apply"
    assert sandbox.journal("rollout")[-1]["body"] == {"tags": ["showing:interested", "rating:4", "offer:likely"]}
    tags.write(InterestFacts(1, 3, "not_interested"), linked(ann), contact=ann)
    held = staff.call("GET", f"/people/{ann}").json()["tags"]
    assert held == ["vip", "showing:interested", "rating:4", "offer:likely", "showing:not_interested"]
    assert not any(effect["op"] == "delete" for effect in sandbox.effects())


def test_a_look_up_tells_whether_all_are_there(tags: Kind, staff: RolloutCrm, ann: str) -> None:
    assert tags.lookup(LIKES_IT, contact=ann) == Found(ann, same=False)
    staff.call("POST", f"/people/{ann}/tags/apply", {"tags": ["rating:4", "showing:interested"]})
    assert tags.lookup(LIKES_IT, contact=ann) == Found(ann, same=False)
    tags.write(LIKES_IT, contact=ann)
    assert tags.lookup(LIKES_IT, contact=ann) == Found(ann, same=True)


def test_nothing_known_asks_and_tells_nothing(tags: Kind, sandbox: SandboxServer, ann: str) -> None:
    seen = len(sandbox.journal("rollout"))
    assert tags.lookup(NOTHING, contact=ann) == NotFound()
    assert len(sandbox.journal("rollout")) == seen
    assert tags.write(NOTHING, linked(ann), contact=ann) == ann
    assert requests(sandbox)[seen:] == [f"GET /people/{ann}"]


def test_a_person_who_was_deleted_is_gone(tags: Kind) -> None:
    with pytest.raises(RolloutGoneError):
        tags.write(LIKES_IT, contact="deleted")
    with pytest.raises(RolloutGoneError):
        tags.lookup(LIKES_IT, contact="deleted")


def test_every_request_is_one_the_vendor_documents(tags: Kind, sandbox: SandboxServer, ann: str) -> None:
    tags.lookup(LIKES_IT, contact=ann)
    tags.write(LIKES_IT, contact=ann)
    tags.write(NOTHING, linked(ann), contact=ann)
    for row in sandbox.journal("rollout"):
        headers = {**row["headers"], "authorization": "Bearer x.y.z"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider="rollout")
