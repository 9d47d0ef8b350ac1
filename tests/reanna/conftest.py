"""Fixtures of the tests that start real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reanna.running import Up


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[[Path], Up]]:
    """Start stacks that are ended after the test."""
    started: list[Up] = []

    def start(data: Path) -> Up:
        started.append(Up(data, tmp_path / f"up{len(started)}.txt"))
        return started[-1]

    yield start
    for each in reversed(started):  # the last may use the folder of one before it
        each.end()
