"""Merging two buyers in the admin: finding the other one, the page that says everything, the button."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Connection, Contact, Operation, Tour
from tests.factories import ContactFactory, ExternalRefFactory, OperationFactory
from tests.integrations.admin.browsing import messages_of, page, words_of
from tests.integrations.admin.conftest import signed_in


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:integrations_contact_{name}", args=args)


@pytest.fixture
def pair(tour: Tour) -> tuple[Contact, Contact]:
    """(merged, survivor): they share a phone number."""
    Contact.objects.filter(pk=tour.buyer_id).update(
        first_name="Bea", last_name="Byer", email="b@work.example", phone="+19165550111"
    )
    tour.buyer.refresh_from_db()
    survivor = ContactFactory(first_name="Bea", last_name="Buyer", email="bea@mail.example", phone="+19165550111")
    return tour.buyer, survivor


def seen_on(text: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', text)
    assert found is not None
    return found[1]


def confirm(staff: Client, pair: tuple[Contact, Contact], **more: str) -> Any:
    merged, survivor = pair
    at = url("merge", merged.pk, survivor.pk)
    data = {"seen": seen_on(staff.get(at).content.decode()), "last_name": "survivor", "email": "merged", **more}
    return staff.post(at, data)


def merged_count() -> int:
    return Contact.objects.filter(merged_into__isnull=False).count()


def test_who_has_the_same_number_is_suggested(staff: Client, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    ContactFactory(first_name="Zoe", last_name="Else")
    text = page(staff, "contact_merge_with", merged.pk)
    assert f'{url("merge", merged.pk, survivor.pk)}">Bea Buyer</a>: same phone' in text
    assert "Zoe Else" not in text


def test_anybody_else_is_searched_for(staff: Client, pair: tuple[Contact, Contact]) -> None:
    zoe = ContactFactory(first_name="Zoe", last_name="Else")
    text = words_of(staff.get(url("merge_with", pair[0].pk), {"q": "els"}))
    assert url("merge", pair[0].pk, zoe.pk) in text
    assert "Nobody else begins like that." in staff.get(url("merge_with", pair[0].pk), {"q": "\x00q"}).content.decode()


def test_the_page_says_everything_and_nothing_happens(
    staff: Client, pair: tuple[Contact, Contact], crm_row: Connection, django_assert_max_num_queries: Any
) -> None:
    for contact, external_id in zip(pair, ("P-1", "P-2"), strict=True):
        ExternalRefFactory(
            connection=crm_row, entity_type="contact", entity_id=contact.pk, resource="contact", external_id=external_id
        )
    stop = Tour.objects.get().stops.first()
    assert stop is not None
    ExternalRefFactory(connection=crm_row, entity_id=stop.pk)
    with django_assert_max_num_queries(15):
        text = page(staff, "contact_merge", pair[0].pk, pair[1].pk)
    for said in (
        "1 tour with its stops: of “Bea Buyer” from now on.",
        "They are two people there: “Bea Buyer” is P-2, “Bea Byer” is P-1.",
        "1 record stands under P-1 there",
        "This cannot be undone",
        "you choose",
    ):
        assert said in text
    assert merged_count() == 0


def test_confirming_merges_and_both_pages_say_so(staff: Client, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    answer = confirm(staff, pair, reason="misspelt")
    assert answer["Location"] == url("change", survivor.pk)
    assert messages_of(answer) == ["“Bea Byer” was merged into “Bea Buyer”."]
    survivor.refresh_from_db()
    assert (survivor.last_name, survivor.email) == ("Buyer", "b@work.example")
    assert AuditEvent.objects.get(verb="contact.merge").reason == "misspelt"
    gone = page(staff, "contact_change", merged.pk)
    assert f'<dt>Merged into</dt><dd><a href="{url("change", survivor.pk)}">Bea Buyer</a></dd>' in gone
    assert 'value="Save"' not in gone
    assert "Merged with" in page(staff, "contact_change", survivor.pk)


def test_a_second_press_says_it_is_done(staff: Client, pair: tuple[Contact, Contact]) -> None:
    confirm(staff, pair)
    answer = staff.post(url("merge", pair[0].pk, pair[1].pk), {"seen": "x"})
    assert (answer["Location"], merged_count()) == (url("change", pair[1].pk), 1)


def test_what_changed_meanwhile_is_shown_anew(staff: Client, pair: tuple[Contact, Contact]) -> None:
    answer = confirm(staff, pair, seen="0" * 32)
    assert (answer.status_code, merged_count()) == (200, 0)
    assert seen_on(answer.content.decode()) != "0" * 32
    assert "Something changed since this page was shown" in answer.content.decode()


def test_what_is_being_sent_leaves_no_button(staff: Client, pair: tuple[Contact, Contact], crm_row: Connection) -> None:
    OperationFactory(
        connection=crm_row, kind="contact.link", entity_type="contact", entity_id=pair[0].pk, state="leased",
        lease_until_ms=1,
    )  # fmt: skip
    text = page(staff, "contact_merge", pair[0].pk, pair[1].pk)
    assert "is being sent this very moment" in text
    assert "Merge for good" not in text
    assert "is being sent this very moment" in confirm(staff, pair).content.decode()
    assert merged_count() == 0


@pytest.mark.parametrize("other", ["self", 0, 2**70])
def test_nobody_is_merged_into_who_is_not_there(staff: Client, pair: tuple[Contact, Contact], other: Any) -> None:
    answer = staff.get(url("merge", pair[0].pk, pair[0].pk if other == "self" else other))
    assert (answer.status_code, merged_count()) == (302, 0)


def test_two_ticked_buyers_lead_to_the_page_and_the_linked_one_stays(
    staff: Client, pair: tuple[Contact, Contact], crm_row: Connection
) -> None:
    ExternalRefFactory(connection=crm_row, entity_type="contact", entity_id=pair[1].pk, resource="contact")
    data = {"action": "merge_two", "_selected_action": [str(contact.pk) for contact in pair]}
    answer = staff.post(url("changelist"), data)
    assert answer["Location"] == url("merge", pair[0].pk, pair[1].pk)
    answer = staff.post(url("changelist"), {**data, "_selected_action": [str(pair[0].pk)]}, follow=True)
    assert "Tick exactly two buyers" in answer.content.decode()
    assert merged_count() == 0


def test_an_operation_that_found_two_in_one_offers_it(
    staff: Client, pair: tuple[Contact, Contact], crm_row: Connection, operation_of: Callable[..., Operation]
) -> None:
    merged, survivor = pair
    ExternalRefFactory(
        connection=crm_row, entity_type="contact", entity_id=survivor.pk, resource="contact", external_id="P-1"
    )
    asks = operation_of(
        kind="contact.link", entity_type="contact", entity_id=merged.pk, state="needs_person",
        reason="mapped_elsewhere", message=f"P-1 is linked to contact {survivor.pk}",
    )  # fmt: skip
    button = reverse("admin:integrations_operation_verb", args=[asks.pk, "merge"])
    assert f'href="{button}">Merge these two buyers</a>' in page(staff, "operation_change", asks.pk)
    assert button in page(staff, "tour_change", Tour.objects.get().pk)
    assert staff.get(button)["Location"] == url("merge", merged.pk, survivor.pk)
    Operation.objects.filter(pk=asks.pk).update(message="another is linked to another record")
    assert staff.get(button)["Location"] == url("merge_with", merged.pk)


def test_changing_buyers_is_not_enough(pair: tuple[Contact, Contact]) -> None:
    user = User.objects.create_user("cora", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_contact", "change_contact")))
    client = signed_in(user)
    assert client.get(url("merge", pair[0].pk, pair[1].pk)).status_code == 403
    assert "../merge/" not in client.get(url("change", pair[0].pk)).content.decode()
    assert "merge_two" not in client.get(url("changelist")).content.decode()


def test_the_merged_one_is_not_offered_where_a_buyer_is_chosen(staff: Client, pair: tuple[Contact, Contact]) -> None:
    confirm(staff, pair)
    query = {"app_label": "integrations", "model_name": "tour", "field_name": "buyer", "term": "B"}
    found = staff.get(reverse("admin:autocomplete"), query).json()["results"]
    assert [row["id"] for row in found] == [str(pair[1].pk)]


def test_hostile_names_are_inert(staff: Client, pair: tuple[Contact, Contact]) -> None:
    Contact.objects.filter(pk=pair[0].pk).update(first_name="<img src=x onerror=1>", last_name="\u202eevil")
    for name, args in (("contact_merge_with", [pair[1].pk]), ("contact_merge", [pair[0].pk, pair[1].pk])):
        assert "<img src=x" not in page(staff, name, *args)
