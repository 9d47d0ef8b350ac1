"""Sources of webhooks in the admin: the address is shown, the secret never; what came is shown as text."""

from __future__ import annotations

import json

from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Delivery, WebhookSource
from integrations.operations import inbox
from tests.webhooks import SECRET, make_source, post

FORM = {
    "label": "Forms",
    "scheme": "typeform",
    "purpose": "store",
    "options": "",
    "secret": SECRET,
    "overlap_h": "24",
    "allowed_ips": "",
}


def test_a_source_is_made_its_address_shown_and_its_secret_never(staff: Client) -> None:
    answer = staff.post(reverse("admin:integrations_webhooksource_add"), FORM, follow=True)
    source = WebhookSource.objects.get()
    text = answer.content.decode()
    assert f"/hooks/{source.key}/" in text
    assert (len(source.key), source.secrets, source.max_bytes) == (32, {"current": SECRET}, 262_144)
    address = reverse("admin:integrations_webhooksource_change", args=[source.pk])
    told = staff.get(address).content.decode() + text + json.dumps(list(AuditEvent.objects.values("after")))
    assert SECRET not in told
    staff.post(address, {**FORM, "secret": "", "paused": "on"})
    source.refresh_from_db()
    assert (source.secrets, source.state) == ({"current": SECRET}, "paused")
    assert list(AuditEvent.objects.values_list("verb", flat=True)) == ["webhook_source.change", "webhook_source.create"]


def test_what_makes_no_source_is_said_at_its_field(staff: Client) -> None:
    wrong = {**FORM, "secret": "", "allowed_ips": "10.0.0.1/8", "options": '{"body": "raw"}', "max_bytes": "0"}
    text = staff.post(reverse("admin:integrations_webhooksource_add"), wrong).content.decode()
    for said in ("without it nothing can be verified", "is no address or network", "has no option", "Between 1 and"):
        assert said in text
    assert not WebhookSource.objects.exists()


def test_a_delivery_is_shown_as_text(staff: Client) -> None:
    post(make_source(), b'{"event_id": "e", "a": "<script>\\u0000"}\x00\xff')
    row = Delivery.objects.get()
    text = staff.get(reverse("admin:integrations_delivery_change", args=[row.pk])).content.decode()
    assert "&lt;script&gt;" in text
    assert "<script>\\u" not in text
    assert row.delivery_key in staff.get(reverse("admin:integrations_delivery_changelist")).content.decode()


def test_a_delivery_is_worked_on_again_from_its_page_and_from_the_list(staff: Client) -> None:
    post(make_source(), b'{"event_id": "e"}')
    inbox.work_on_all()
    row = Delivery.objects.get()
    assert (row.state, row.events.get().reason) == ("ignored", "kept")
    address = reverse("admin:integrations_delivery_replay", args=[row.pk])
    assert "Its signature stands" in staff.get(address).content.decode()
    assert Delivery.objects.get().state == "ignored"
    staff.post(address, {"reason": "lost"})
    assert Delivery.objects.get().state == "received"
    inbox.work_on_all()
    chosen = {"action": "replay_many", "_selected_action": [row.pk]}
    staff.post(reverse("admin:integrations_delivery_changelist"), chosen)
    assert Delivery.objects.get().state == "received"
    told = AuditEvent.objects.filter(verb="delivery.replay").order_by("pk").values_list("actor", "reason")
    assert list(told) == [("ada", "lost"), ("ada", "")]
