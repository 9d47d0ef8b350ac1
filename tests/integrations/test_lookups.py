"""What is remembered of vendors' lists: the memory that tests use and the database's keep the same contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations import wiring
from integrations.models import LookupCursor, LookupEntry
from integrations.providers.base import LookupStore
from tests.crm import make_connection
from tests.integrations.providers.rollout.conftest import MemoryLookups


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest) -> Iterator[LookupStore]:
    if request.param == "memory":
        yield MemoryLookups()
        return
    request.getfixturevalue("db")
    yield wiring.DatabaseLookups(make_connection().pk)


@pytest.fixture
def kept(db: None) -> wiring.DatabaseLookups:
    return wiring.DatabaseLookups(make_connection().pk)


def test_at_first_nothing_is_known(store: LookupStore) -> None:
    version, note = store.cursor("people")
    assert (version, dict(note), store.count("people"), list(store.find("people", "k"))) == (0, {}, 0, [])


def test_a_note_is_replaced_by_who_read_the_last_one(store: LookupStore) -> None:
    version, _ = store.cursor("people")
    assert store.move("people", version, {"offset": 1}) is True
    assert store.move("people", version, {"offset": 2}) is False
    now, note = store.cursor("people")
    assert (now, dict(note)) == (version + 1, {"offset": 1})


def test_lists_do_not_mix(store: LookupStore) -> None:
    store.cursor("people")
    store.put("people", {"a": ["k"]}, 1)
    store.put("notes", {"b": ["k"]}, 1)
    assert (list(store.find("people", "k")), list(store.find("notes", "k"))) == (["a"], ["b"])
    assert (store.count("people"), store.count("notes")) == (1, 1)


def test_a_record_stands_under_each_of_its_keys_and_counts_once(store: LookupStore) -> None:
    store.put("people", {"a": ["mail", "phone"], "b": ["phone"], "c": []}, 1)
    store.put("people", {"a": ["mail", "phone"]}, 1)
    assert list(store.find("people", "phone")) == ["a", "b"]
    assert store.count("people") == 3


def test_a_record_without_keys_and_an_empty_page_are_fine(store: LookupStore) -> None:
    store.put("people", {}, 1)
    store.put("people", {"a": []}, 1)
    assert store.count("people") == 1


def test_what_is_forgotten_is_gone_under_every_key(store: LookupStore) -> None:
    store.put("people", {"a": ["mail", "phone"], "b": ["phone"]}, 1)
    store.forget("people", "a")
    store.forget("people", "never there")
    assert (list(store.find("people", "mail")), list(store.find("people", "phone")), store.count("people")) == (
        [],
        ["b"],
        1,
    )


def test_what_a_later_reading_did_not_see_is_pruned(store: LookupStore) -> None:
    store.put("people", {"a": ["old mail"], "b": ["mail"]}, 1)
    store.put("people", {"a": ["new mail"]}, 2)
    store.prune("people", 2)
    assert store.count("people") == 1
    assert (list(store.find("people", "old mail")), list(store.find("people", "new mail"))) == ([], ["a"])


def test_connections_do_not_mix(kept: wiring.DatabaseLookups) -> None:
    other = wiring.DatabaseLookups(make_connection(account_key="other").pk)
    kept.put("people", {"a": ["mail"]}, 1)
    assert (list(other.find("people", "mail")), other.count("people")) == ([], 0)
    other.put("people", {"a": ["mail"]}, 1)
    keys = set(LookupEntry.objects.exclude(key="").values_list("key", flat=True))
    assert len(keys) == 2, "the same address must not be recognisable across accounts"


def test_with_another_key_nothing_is_known_and_all_is_read_anew(kept: wiring.DatabaseLookups, settings: Any) -> None:
    version, _ = kept.cursor("people")
    kept.move("people", version, {"complete": True})
    kept.put("people", {"a": ["mail"]}, 1)
    settings.SECRET_KEY = "another-" + "k" * 50
    later, note = kept.cursor("people")
    assert (later > version + 1, dict(note), kept.count("people")) == (True, {}, 0)
    assert kept.move("people", version + 1, {}) is False, "who read the old note must not go on with it"


def test_a_page_is_written_with_one_statement_a_batch(
    kept: wiring.DatabaseLookups, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(4):
        kept.put("people", {f"p{number}": [f"{number}@m", f"+1{number}"] for number in range(100)}, 1)


def test_a_connection_takes_its_memory_along(kept: wiring.DatabaseLookups) -> None:
    connection = make_connection(account_key="short-lived")
    mine = wiring.DatabaseLookups(connection.pk)
    mine.cursor("people")
    mine.put("people", {"a": ["mail"]}, 1)
    connection.delete()
    assert LookupEntry.objects.count() == LookupCursor.objects.count() == 0
