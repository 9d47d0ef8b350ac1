"""Who gets in, and who may only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Agent, AuditEvent, Connection, Contact, Operation, Tour
from tests.factories import FeedbackFactory, ImportRunFactory

LISTS = ("tour", "operation", "connection", "contact", "agent", "office", "feedback", "importrun", "auditevent")


@pytest.fixture
def urls(tour: Tour, operation_of: Callable[..., Operation]) -> dict[str, str]:
    """Every page of ours that can change something, by what it does."""
    operation = operation_of(state="dead", reason="rejected")
    feedback, stop = FeedbackFactory(stop=tour.stops.first()), tour.stops.first()

    def at(name: str, *args: Any) -> str:
        return reverse(f"admin:integrations_{name}", args=args)

    verbs = ("edit", "cancel", "archive", "unarchive", "delete")
    return {
        **{f"tour {verb}": at(f"tour_{verb}", tour.pk) for verb in verbs},
        **{f"{model} add": at(f"{model}_add") for model in ("tour", "connection", "contact", "agent", "office")},
        "tour complete": at("tour_press", tour.pk, "complete"),
        "tour stops": at("tour_press_stops", tour.pk, "confirm"),
        "tour undo": at("tour_undo", tour.pk, 1),
        "stop confirm": at("tour_press_stop", tour.pk, stop.pk, "cancel"),
        "stop shift": at("tour_shift_stop", tour.pk, stop.pk, "down"),
        "stop delete": at("tour_delete_stop", tour.pk, stop.pk),
        "contact archive": at("contact_archive", tour.buyer_id),
        "contact unarchive": at("contact_unarchive", tour.buyer_id),
        **{
            f"{model} {verb}": at(f"{model}_{name}", pk, operation.connection_id)
            for model, pk in (("tour", tour.pk), ("contact", tour.buyer_id))
            for verb, name in (("leave out", "leave_out"), ("take back", "take_back"))
        },
        "connection take back": at("connection_take_back", operation.connection_id, 1),
        "operation leave out": at("operation_verb", operation.pk, "leave-out"),
        "operation recreate": at("operation_verb", operation.pk, "recreate"),
        "stop status": at("tour_stop_status", tour.pk, stop.pk),
        "stop outcome": at("tour_stop_outcome", tour.pk, stop.pk),
        **{f"operation {verb}": at("operation_verb", operation.pk, verb) for verb in ("retry", "cancel", "skip")},
        **{
            f"connection {verb}": at(f"connection_{verb}", operation.connection_id)
            for verb in ("change", "pause", "resume", "disable", "delete", "test")
        },
        **{
            f"connection {verb}": at(f"connection_{verb}", operation.connection_id, tour.agent_id)
            for verb in ("map_agent", "unmap_agent")
        },
        "connection map_suggested": at("connection_map_suggested", operation.connection_id),
        "contact change": at("contact_change", tour.buyer_id),
        "contact delete": at("contact_delete", tour.buyer_id),
        "agent change": at("agent_change", tour.agent_id),
        "agent delete": at("agent_delete", tour.agent_id),
        "feedback add": at("feedback_add"),
        "feedback change": at("feedback_change", feedback.pk),
    }


def test_a_stranger_is_sent_to_the_login(stranger: Client, urls: dict[str, str]) -> None:
    for url in urls.values():
        answer = stranger.post(url)
        assert answer.status_code == 302
        assert answer.url.startswith("/admin/login/")


def test_nobody_is_sent_to_the_login(client: Client, urls: dict[str, str]) -> None:
    for url in urls.values():
        assert client.get(url).url.startswith("/admin/login/")


def test_who_may_only_look_cannot_post(viewer: Client, urls: dict[str, str]) -> None:
    refused = {name: viewer.post(url).status_code for name, url in urls.items()}
    assert refused == dict.fromkeys(urls, 403)


def test_a_refused_post_changes_nothing(viewer: Client, urls: dict[str, str]) -> None:
    before = (Tour.objects.values().get(), Operation.objects.values().get(), Connection.objects.values("state").get())
    for url in urls.values():
        viewer.post(url, {"reason": "x", "value": "cancelled"})
    assert before == (
        Tour.objects.values().get(),
        Operation.objects.values().get(),
        Connection.objects.values("state").get(),
    )
    assert (Contact.objects.count(), Agent.objects.count(), AuditEvent.objects.count()) == (1, 1, 0)


@pytest.mark.parametrize("model", LISTS)
def test_who_may_only_look_sees_the_lists(viewer: Client, model: str) -> None:
    assert viewer.get(reverse(f"admin:integrations_{model}_changelist")).status_code == 200


def test_who_may_only_look_sees_the_pages(viewer: Client, urls: dict[str, str], tour: Tour) -> None:
    run, operation = ImportRunFactory(), Operation.objects.get()
    for name, pk in (
        ("tour", tour.pk), ("operation", operation.pk), ("connection", operation.connection_id),
        ("contact", tour.buyer_id), ("importrun", run.pk),
    ):  # fmt: skip
        assert viewer.get(reverse(f"admin:integrations_{name}_change", args=[pk])).status_code == 200


def test_who_may_only_look_sees_no_buttons(viewer: Client, urls: dict[str, str], tour: Tour) -> None:
    text = viewer.get(reverse("admin:integrations_tour_change", args=[tour.pk])).content.decode()
    assert [
        word
        for word in ("/leave-out/", "/take-back/", "../edit/", "../cancel/", "/status/", "../delete/")
        if word in text
    ] == []


def test_a_form_that_may_not_be_saved_has_no_button(viewer: Client, tour: Tour) -> None:
    text = viewer.get(reverse("admin:integrations_contact_change", args=[tour.buyer_id])).content.decode()
    assert 'value="Save"' not in text


def test_a_post_without_its_token_is_refused(tour: Tour, admin_user: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert browser.post(reverse("admin:integrations_tour_cancel", args=[tour.pk])).status_code == 403
    assert Tour.objects.get().status == "scheduled"
