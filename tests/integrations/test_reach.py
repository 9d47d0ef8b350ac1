"""One opinion a process of whether Redis answers."""

from __future__ import annotations

from integrations.reach import Reach


def test_after_a_failure_one_caller_tries_every_two_seconds() -> None:
    clock = [100.0]
    reach = Reach(lambda: clock[0])
    assert [reach.allow(), reach.allow()] == [True, True]
    reach.failed()
    assert reach.allow() is False
    clock[0] += 2.0
    assert [reach.allow(), reach.allow()] == [True, False]
    reach.failed()
    clock[0] += 1.9
    assert reach.allow() is False
    clock[0] += 0.1
    assert reach.allow() is True
    reach.answered()
    assert [reach.allow(), reach.allow()] == [True, True]


def test_one_that_tries_and_never_says_how_it_went_is_followed_by_another() -> None:
    clock = [100.0]
    reach = Reach(lambda: clock[0])
    reach.failed()
    clock[0] += 2.0
    assert reach.allow() is True
    clock[0] += 1.5
    assert reach.allow() is True
