"""What the admin's tests do again and again."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.models import Connection, ExternalRef


def and_the_clock(queries: int) -> int:
    """So many, and on PostgreSQL one more: its server is asked for the time."""
    return queries + (connection.vendor == "postgresql")


def linked(crm: Connection, entity_type: str, entity_id: int, external_id: str) -> ExternalRef:
    resource = "contact" if entity_type == "contact" else "appointment"
    return ExternalRef.objects.create(
        connection=crm,
        entity_type=entity_type,
        entity_id=entity_id,
        resource=resource,
        external_id=external_id,
    )


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    """The text of an admin page of ours, without the marks that keep others' words apart; it must be there."""
    answer = client.get(reverse(f"admin:integrations_{name}", args=args), query)
    assert answer.status_code == 200
    return words_of(answer)


def words_of(answer: Any) -> str:
    """The text of an answer, without those marks."""
    return str(answer.content.decode()).replace("<bdi>", "").replace("</bdi>", "")


def messages_of(answer: Any) -> list[str]:
    """What the redirect will tell."""
    return [str(message) for message in answer.wsgi_request._messages]
