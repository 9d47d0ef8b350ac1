"""A ciphertext is good for one column of one row; elsewhere it does not decrypt, and its connection says so."""

from __future__ import annotations

import base64
import importlib
import secrets
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core import serializers
from django.core.checks import Error
from django.db import connection as database
from django.db import models, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from integrations import sealing
from integrations.fields import EncryptedJSONField, Unreadable, master_keys
from integrations.models import Connection, ConnectionState
from integrations.sealing import MasterKey, Unbound, WrittenElsewhere
from tests.crm import Crm, make_tour
from tests.factories import ConnectionFactory

SECRET = {"token": "pit-bound-to-one-row", "refresh_token": "r-1"}


def key(name: str = "a") -> MasterKey:
    return MasterKey(base64.urlsafe_b64encode(name.encode().ljust(32, b"-")))


def stored(connection: Connection) -> bytes:
    with database.cursor() as cursor:
        cursor.execute("SELECT secrets FROM integrations_connection WHERE id = %s", [connection.pk])
        return bytes(cursor.fetchone()[0])


def store(connection: Connection, ciphertext: bytes) -> None:
    with database.cursor() as cursor:
        cursor.execute("UPDATE integrations_connection SET secrets = %s WHERE id = %s", [ciphertext, connection.pk])


def read(connection: Connection) -> Any:
    return Connection.objects.get(pk=connection.pk).secrets


# --- the format -----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_what_is_sealed_opens_at_its_place_alone(value: bytes, place: str, other: str) -> None:
    token = sealing.seal(value, place, [key("b"), key("a")])
    assert sealing.unseal(token, place, [key("a"), key("b")]) == value
    assert sealing.is_under(token, key("b"))
    assert not sealing.is_under(token, key("a"))
    if other != place:
        with pytest.raises(WrittenElsewhere):
            sealing.unseal(token, other, [key("a"), key("b")])


@pytest.mark.parametrize("at", range(0, 180, 7))
def test_no_changed_ciphertext_opens(at: int) -> None:
    token = bytearray(sealing.seal(b"x" * 60, "here", [key()]))
    token[at] ^= 1
    with pytest.raises(Unreadable):
        sealing.unseal(bytes(token), "here", [key()])


def test_a_missing_key_is_told_from_a_wrong_place() -> None:
    token = sealing.seal(b"x", "here", [key("lost")])
    with pytest.raises(Unreadable, match="check FERNET_KEYS") as missing:
        sealing.unseal(token, "here", [key("a")])
    with pytest.raises(WrittenElsewhere, match="written for another record, or changed"):
        sealing.unseal(token, "there", [key("a"), key("lost")])
    assert type(missing.value) is Unreadable


def test_an_unbound_ciphertext_is_not_believed_until_it_is_bound() -> None:
    token = Fernet(key().fernet).encrypt(b"x")
    with pytest.raises(Unbound, match="rotate_keys --bind"):
        sealing.unseal(token, "here", [key()])
    bound = sealing.bind(token, "here", [key("new"), key()])
    assert sealing.unseal(bound, "here", [key("new")]) == b"x"
    assert sealing.bind(bound, "here", [key("new")]) == bound
    with pytest.raises(Unreadable):
        sealing.bind(token, "here", [key("new")])


def test_a_key_shows_nothing_of_itself() -> None:
    assert (len(key().id), key().id in key().fernet, repr(key())) == (8, False, "MasterKey()")


# --- the field ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_ciphertext_pasted_into_another_row_does_not_decrypt() -> None:
    mine, other = ConnectionFactory(secrets=SECRET), ConnectionFactory(secrets={"token": "theirs"})
    assert (read(mine), read(other)) == (SECRET, {"token": "theirs"})
    store(other, stored(mine))
    with pytest.raises(WrittenElsewhere):
        read(other)
    assert read(mine) == SECRET


@pytest.mark.django_db
def test_a_ciphertext_of_another_column_or_model_does_not_decrypt() -> None:
    row = ConnectionFactory(secrets=SECRET)
    for place in (f"integrations.connection/tokens/{row.seal_id}", f"integrations.office/secrets/{row.seal_id}"):
        store(row, sealing.seal(b'{"token": "x"}', place, master_keys()))
        with pytest.raises(WrittenElsewhere):
            read(row)


@pytest.mark.django_db
def test_every_way_to_write_seals_for_the_row() -> None:
    one, two = ConnectionFactory(secrets=SECRET), ConnectionFactory(secrets={})
    three = Connection.objects.bulk_create([ConnectionFactory.build(secrets={"n": 3})])[0]
    assert [read(row) for row in (one, two, three)] == [SECRET, {}, {"n": 3}]
    assert Connection.objects.update(secrets={"token": "for all"}) == 3
    assert [read(row) for row in (one, two, three)] == [{"token": "for all"}] * 3
    assert len({stored(row) for row in (one, two, three)}) == 3
    assert Connection.objects.filter(pk=one.pk, secrets_version=9).update(secrets={"token": "no"}) == 0
    row = Connection.objects.get(pk=one.pk)
    row.secrets["token"] = "changed in place"
    row.save()
    assert (read(one), read(two)) == ({"token": "changed in place"}, {"token": "for all"})


@pytest.mark.django_db
def test_what_cannot_be_sealed_for_a_row_is_refused() -> None:
    row = ConnectionFactory(secrets=SECRET)
    with pytest.raises(TypeError, match="one row at a time"), transaction.atomic():
        Connection.objects.bulk_update([row], ["secrets"])
    assert read(row) == SECRET


@pytest.mark.django_db
def test_a_row_saved_without_reading_its_secrets_keeps_them_byte_for_byte() -> None:
    row = ConnectionFactory(secrets=SECRET)
    for ciphertext in (stored(row), b"not a token"):
        store(row, ciphertext)
        loaded = Connection.objects.get(pk=row.pk)
        loaded.label = "Renamed"
        loaded.save()
        assert stored(row) == ciphertext


@pytest.mark.django_db
def test_a_dump_holds_ciphertext_and_loads_again() -> None:
    row = ConnectionFactory(secrets=SECRET)
    before = stored(row)
    dumped = serializers.serialize("json", Connection.objects.filter(pk=row.pk))
    assert (before.decode() in dumped, SECRET["token"] in dumped) == (True, False)
    assert SECRET["token"] not in str(list(Connection.objects.values()))
    store(row, sealing.seal(b"{}", "elsewhere", master_keys()))
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    assert (stored(row), read(row)) == (before, SECRET)


def test_a_model_without_a_name_for_its_rows_is_refused() -> None:
    class Loose(models.Model):
        secrets = EncryptedJSONField()

        class Meta:
            app_label = "integrations"

        def __str__(self) -> str:
            return ""

    apps.all_models["integrations"].pop("loose")
    found = [each for each in Loose._meta.get_field("secrets").check() if isinstance(each, Error)]
    assert [each.id for each in found] == ["integrations.E004"]


# --- what staff see -------------------------------------------------------------------------------------------------


def test_its_connection_stops_and_says_so_while_others_go_on(
    crm: Crm, lofty_crm: Crm, tomorrow: datetime, admin_client: Client
) -> None:
    crm.plan(make_tour(tomorrow))
    store(crm.connection, stored(lofty_crm.connection))
    assert crm.drain() == 0
    crm.connection.refresh_from_db(fields=["state", "state_reason"])
    assert (crm.connection.state, crm.connection.state_reason) == (ConnectionState.AUTH_NEEDED, WrittenElsewhere.words)
    assert (crm.requests(), lofty_crm.drain() > 0) == ([], True)
    lofty_crm.connection.refresh_from_db(fields=["state"])
    assert lofty_crm.connection.state == ConnectionState.ACTIVE
    its = {"": "Sign-in needed", f"{crm.connection.pk}/change/": "they were written for another record, or changed"}
    for address, words in its.items():
        answer = admin_client.get(f"/admin/integrations/connection/{address}", follow=True)
        assert (answer.status_code, words in answer.text) == (200, True)


# --- rows of earlier versions ---------------------------------------------------------------------------------------

binding = importlib.import_module("integrations.migrations.0017_bind_secrets")


@pytest.mark.django_db
def test_rows_of_earlier_versions_are_bound_and_can_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "BATCH", 2)
    rows = [ConnectionFactory(secrets={"token": f"old-{number}"}) for number in range(5)]
    for row in rows[:3]:
        store(row, Fernet(master_keys()[0].fernet).encrypt(f'{{"token": "old-{rows.index(row)}"}}'.encode()))
    lost = Fernet(Fernet.generate_key()).encrypt(secrets.token_bytes(8))
    store(rows[4], lost)
    kept = stored(rows[3])
    editor = SimpleNamespace(connection=database)
    binding.bind_all(apps, editor)
    assert [read(row)["token"] for row in rows[:4]] == [f"old-{number}" for number in range(4)]
    assert (stored(rows[3]), stored(rows[4])) == (kept, lost)
    once = [stored(row) for row in rows]
    binding.bind_all(apps, editor)
    assert [stored(row) for row in rows] == once
    binding.unbind_all(apps, editor)
    assert Fernet(master_keys()[0].fernet).decrypt(stored(rows[1])) == b'{"token": "old-1"}'
    assert stored(rows[4]) == lost
