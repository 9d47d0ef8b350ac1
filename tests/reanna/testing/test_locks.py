"""The lock files, checked without a network: complete, hashed, and free of addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from reanna.testing import locks
from tests.reanna.running import ROOT

FOLDER = ROOT / "requirements"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+?)(?: ;.*)? \\$")


def pins(name: str) -> dict[str, str]:
    found = [PIN.match(line) for line in (FOLDER / f"{name}.lock").read_text().splitlines()]
    return {canonicalize_name(each[1]): each[2] for each in found if each}


def requirements(name: str) -> list[Requirement]:
    lines = [line.split(" #")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines()]
    own = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    included = [line.split()[1] for line in lines if line.startswith("-r")]
    return own + [each for file in included for each in requirements(file.removesuffix(".in"))]


@pytest.mark.parametrize("name", locks.NAMES)
def test_every_requirement_is_locked_to_a_version_it_allows(name: str) -> None:
    locked = pins(name)
    wrong = [
        str(each)
        for each in requirements(name)
        if not each.specifier.contains(locked.get(canonicalize_name(each.name), "0.dev0"), prereleases=True)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", locks.NAMES)
def test_every_pin_has_hashes(name: str) -> None:
    lines = (FOLDER / f"{name}.lock").read_text().splitlines()
    pinned = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    assert len(pinned) == len(pins(name))
    assert [lines[at] for at in pinned if not re.match(r" +--hash=sha256:[0-9a-f]{64}", lines[at + 1])] == []


@pytest.mark.parametrize("name", locks.NAMES)
def test_no_lock_names_an_index_or_a_file(name: str) -> None:
    text = (FOLDER / f"{name}.lock").read_text()
    assert re.findall(r"https?://|file:|--index|--find-links|--extra", text) == []


def test_the_development_lock_holds_every_base_pin() -> None:
    base, dev = pins("base"), pins("dev")
    assert {name: dev.get(name) for name in base} == base


def test_an_unwanted_package_makes_a_lock_stale(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    for name in locks.NAMES:
        (tmp_path / "requirements" / f"{name}.in").write_text("")
        (tmp_path / "requirements" / f"{name}.lock").write_text("")
    (tmp_path / "requirements" / "dev.lock").write_text("sqlparse==0.5.0\n")

    assert locks.stale(tmp_path) == ["requirements/dev.lock"]


def test_what_cannot_be_resolved_says_why_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    for name in locks.NAMES:
        (tmp_path / "requirements" / f"{name}.in").write_text("not a requirement !\n")
        (tmp_path / "requirements" / f"{name}.lock").write_text("")

    with pytest.raises(locks.LockError) as failed:
        locks.write(tmp_path, upgrade=False)

    assert failed.value.offline is False
    assert (tmp_path / "requirements" / "base.lock").read_text() == ""
