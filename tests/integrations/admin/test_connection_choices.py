"""A connection's fields that are chosen, not typed."""

from __future__ import annotations

from django.test import Client

from integrations.models import Connection

ADD = "/admin/integrations/connection/add/?provider=lofty"


def test_what_can_be_chosen_is_offered_and_nothing_else_is_taken(staff: Client, db: None) -> None:
    offered = staff.get(ADD).content.decode()
    assert '<option value="development">App in development mode: 100 a minute</option>' in offered
    given = {"label": "Lofty", "scope": "brokerage", "account_email": "ann@mail.example", "app_mode": "fast"}
    answer = staff.post(ADD, given)
    assert list(answer.context["form"].errors) == ["app_mode"]
    assert not Connection.objects.exists()
