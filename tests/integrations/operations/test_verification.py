"""Trying out what is stored: one read that the vendor's contract knows, told in words when it fails."""

from __future__ import annotations

import pytest

from integrations.models import AuditEvent, Connection
from integrations.operations import verification
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from tests.crm import Crm
from tests.openapi import validate_request

STAFF = Who("olga", "admin")


def test_one_read_as_the_contract_has_it(each_crm: Crm) -> None:
    verification.verify_now(each_crm.connection.pk, STAFF)

    (row,) = each_crm.sandbox.journal()
    assert (row["method"], row["status"], row["effect"]) == ("GET", 200, None)
    provider = each_crm.connection.provider
    if provider == "followupboss":  # whose contract is not published
        assert (row["path"], row["query"]) == ("/v1/identity", {})
        return
    headers = {**row["headers"], "Authorization": "Bearer x"}
    validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider=provider)


def test_when_it_passed_is_kept_and_on_record(each_crm: Crm) -> None:
    verification.verify_now(each_crm.connection.pk, STAFF)

    each_crm.connection.refresh_from_db()
    assert each_crm.connection.last_verified_at is not None
    event = AuditEvent.objects.get(verb="connection.verify")
    assert (event.actor, event.object_id) == ("olga", each_crm.connection.pk)


def test_refused_credentials_are_told_and_nothing_is_noted(crm: Crm) -> None:
    Connection.objects.filter(pk=crm.connection.pk).update(secrets={"token": "pit-mistyped-0000"}, secrets_version=2)

    with pytest.raises(NotPossible, match=r"GoHighLevel refused these credentials \(401\)"):
        verification.verify_now(crm.connection.pk, STAFF)

    assert Connection.objects.get(pk=crm.connection.pk).last_verified_at is None
    assert not AuditEvent.objects.exists()


def test_a_crm_that_fails_is_not_blamed_on_the_credentials(crm: Crm) -> None:
    crm.sandbox.faults("status", status=503, times=None)

    with pytest.raises(NotPossible, match=r"could not be asked \(503\).*Try again in a moment"):
        verification.verify_now(crm.connection.pk, STAFF)

    assert Connection.objects.get(pk=crm.connection.pk).last_verified_at is None
