"""Keys are changed while connections are used: nothing fails, nothing renewed is lost, an interrupted run goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from integrations import wiring
from integrations.fields import master_keys
from integrations.models import Attempt, Connection
from integrations.models.ciphertexts import exchange
from integrations.operations import rotating
from tests.crm import Crm, make_tour
from tests.factories import ConnectionFactory
from tests.integrations.test_sealing import store, stored

OLD, NEW = "an-old-key-of-thirty-two-characters", "the-new-key-of-thirty-two-characters"


@pytest.fixture
def keys(db: None, settings: Any) -> Any:
    settings.FERNET_KEYS = [OLD]
    return settings


def run(*options: str) -> tuple[int, str]:
    """(exit code, what it said)."""
    said = StringIO()
    try:
        call_command("rotate_keys", *options, stdout=said, stderr=StringIO())
    except CommandError as error:
        return error.returncode, f"{said.getvalue()}{error}"
    return 0, said.getvalue()


def connections(number: int) -> list[Connection]:
    return [ConnectionFactory(secrets={"token": f"pit-{each}"}) for each in range(number)]


def tokens(rows: list[Connection]) -> list[str]:
    return [Connection.objects.get(pk=row.pk).secrets["token"] for row in rows]


def test_afterwards_the_old_key_can_go(keys: Any) -> None:
    rows = connections(5)
    keys.FERNET_KEYS = [NEW, OLD]
    code, said = run("--verify")
    assert (code, "0 of 5 are under the first key" in said, f"connection {rows[3].pk}" in said) == (1, True, True)
    code, said = run()
    assert (code, "5 encrypted anew" in said, "older keys can be removed" in said) == (0, True, True)
    keys.FERNET_KEYS = [NEW]
    assert (run("--verify")[0], tokens(rows)) == (0, [f"pit-{each}" for each in range(5)])
    before = [stored(row) for row in rows]
    assert (run()[0], [stored(row) for row in rows]) == (0, before)
    assert Connection.objects.filter(secrets_version=1).count() == 5


def test_what_cannot_be_read_is_named_and_left(keys: Any) -> None:
    rows = connections(4)
    store(rows[1], stored(rows[0]))
    store(rows[2], b"not a token")
    pasted = stored(rows[1])
    keys.FERNET_KEYS = [NEW, OLD]
    code, said = run()
    assert code == 3
    assert f"connection {rows[1].pk}: The stored credentials cannot be decrypted: they were written for another" in said
    assert f"connection {rows[2].pk}: The stored credentials cannot be decrypted: check FERNET_KEYS" in said
    assert ("2 of 4" in said, "pit-" in said, "reanna1" in said) == (True, False, False)
    assert (stored(rows[1]), stored(rows[2]), tokens([rows[0], rows[3]])) == (
        pasted,
        b"not a token",
        ["pit-0", "pit-3"],
    )


def test_unbound_ones_are_bound_only_on_request(keys: Any) -> None:
    (row,) = connections(1)
    store(row, Fernet(master_keys()[0].fernet).encrypt(b'{"token": "pit-0"}'))
    keys.FERNET_KEYS = [NEW, OLD]
    code, said = run()
    assert (code, "rotate_keys --bind" in said) == (3, True)
    assert (run("--bind")[0], tokens([row])) == (0, ["pit-0"])


def test_a_token_renewed_meanwhile_is_not_written_over(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = connections(6)
    keys.FERNET_KEYS = [NEW, OLD]

    def renewing(changes: Any) -> int:
        for old, _ in changes:
            credentials = wiring.DatabaseCredentialStore(old.pk)
            loaded = credentials.load()
            if loaded.version == 1 and old.pk == rows[2].pk:
                assert credentials.save({"token": "renewed"}, None, version=1)
        return exchange(changes)

    monkeypatch.setattr(rotating, "exchange", renewing)
    found = rotating.rotate()
    assert (found.exchanged, found.newest, found.older) == (5, 6, [])
    assert tokens(rows) == ["pit-0", "pit-1", "renewed", "pit-3", "pit-4", "pit-5"]


def test_what_is_written_with_the_old_key_meanwhile_is_met_again(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = connections(3)

    def by_a_process_without_the_new_key(changes: Any) -> int:
        changed = exchange(changes)
        if changed == 3:
            keys.FERNET_KEYS = [OLD]
            Connection.objects.filter(pk=rows[0].pk).update(secrets={"token": "late"})
            keys.FERNET_KEYS = [NEW, OLD]
        return changed

    keys.FERNET_KEYS = [NEW, OLD]
    monkeypatch.setattr(rotating, "exchange", by_a_process_without_the_new_key)
    found = rotating.rotate()
    assert (found.exchanged, found.older, tokens(rows)) == (4, [], ["late", "pit-1", "pit-2"])


def test_killed_midway_it_goes_on(keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "BATCH", 2)
    rows = connections(7)
    keys.FERNET_KEYS = [NEW, OLD]
    calls: Iterator[int] = iter(range(9))

    def dies_the_third_time(changes: Any) -> int:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return exchange(changes)

    with monkeypatch.context() as patched:
        patched.setattr(rotating, "exchange", dies_the_third_time)
        with pytest.raises(KeyboardInterrupt):
            rotating.rotate()
    assert (rotating.standing().newest, tokens(rows)) == (4, [f"pit-{each}" for each in range(7)])
    half = [stored(row) for row in rows[:4]]
    assert rotating.rotate().exchanged == 3
    assert ([stored(row) for row in rows[:4]], run("--verify")[0]) == (half, 0)


def test_calls_go_on_while_it_runs(
    crm: Crm, tomorrow: datetime, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRM is called between any two batches; `python -m tests.load.rotation` does it with processes and 10,000."""
    settings.FERNET_KEYS = [OLD]
    dice = random.Random(7)  # noqa: S311  a plan that can be repeated
    Connection.objects.update(secrets=crm.connection.secrets)
    rows = connections(60)
    settings.FERNET_KEYS = [NEW, OLD]
    monkeypatch.setattr(rotating, "BATCH", 20)
    worked = []

    def working(changes: Any) -> int:
        done = exchange(changes)
        crm.plan(make_tour(tomorrow, stops=1))
        worked.append(crm.drain())
        for row in dice.sample(rows, 10):
            store_ = wiring.DatabaseCredentialStore(row.pk)
            loaded = store_.load()
            assert store_.save({"token": f"{loaded.secrets['token']}+"}, None, version=loaded.version)
        return done

    monkeypatch.setattr(rotating, "exchange", working)
    found = rotating.rotate()
    assert (found.newest, found.older, found.unreadable) == (61, [], {})
    assert len(worked) == 4
    assert min(worked) > 0
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"understood"}
    renewed = sum(Connection.objects.values_list("secrets_version", flat=True)) - 61
    assert (renewed, sum(token.count("+") for token in tokens(rows))) == (40, 40)
