"""The secrets file: made private, refused when it is not, and never replaced."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reanna import secrets_file
from reanna.secrets_file import SecretsError
from tests.reanna.running import ROOT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_load_makes_private_keys(tmp_path: Path) -> None:
    held = secrets_file.load(tmp_path / "data")

    assert sorted(held) == ["FERNET_KEYS", "SECRET_KEY"]
    assert len(held["SECRET_KEY"]) >= 50
    assert [len(base64.urlsafe_b64decode(key)) for key in held["FERNET_KEYS"]] == [32]
    assert mode(tmp_path / "data") == 0o700
    assert mode(tmp_path / "data" / "secrets.json") == 0o600


def test_second_load_returns_the_same(tmp_path: Path) -> None:
    assert secrets_file.load(tmp_path / "data") == secrets_file.load(tmp_path / "data")


def test_a_wide_umask_does_not_open_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secrets_file.load(tmp_path / "data")
    finally:
        os.umask(before)
    assert mode(tmp_path / "data") == 0o700
    assert mode(tmp_path / "data" / "secrets.json") == 0o600


def test_processes_that_start_together_agree_on_the_keys(tmp_path: Path) -> None:
    code = f"from reanna.secrets_file import load; print(load({str(tmp_path / 'data')!r})['SECRET_KEY'])"
    running = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    assert len({each.communicate(timeout=30)[0] for each in running}) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secrets.json"]


@pytest.mark.parametrize("bits", [0o750, 0o701, 0o770, 0o707])
def test_an_open_folder_is_refused_with_the_command_to_run(tmp_path: Path, bits: int) -> None:
    data = tmp_path / "data"
    secrets_file.load(data)
    data.chmod(bits)

    with pytest.raises(SecretsError) as refused:
        secrets_file.load(data)

    assert f"{data} is open to other users (mode {bits:03o})" in str(refused.value)
    assert f"chmod 700 '{data}'" in str(refused.value)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_an_open_file_is_refused_with_the_command_to_run(tmp_path: Path, bits: int) -> None:
    held = secrets_file.load(tmp_path)
    path = tmp_path / "secrets.json"
    path.chmod(bits)

    with pytest.raises(SecretsError) as refused:
        secrets_file.load(tmp_path)

    assert f"chmod 600 '{path}'" in str(refused.value)
    assert held["SECRET_KEY"] not in str(refused.value)
    assert mode(path) == bits


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    secrets_file.load(data)
    os.chown(data, 65534, 65534)

    with pytest.raises(SecretsError, match="belongs to another user \\(uid 65534"):
        secrets_file.load(data)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"SECRET_KEY": "x"}', '{"SECRET_KEY": "x", "FERNET_KEYS": ["short"]}', '{"FERNET_KEYS": []}'],
)
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "secrets.json"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(SecretsError, match="restore it from a backup"):
        secrets_file.load(tmp_path)

    assert path.read_text() == content


def test_the_admin_password_stays_until_it_was_shown(tmp_path: Path) -> None:
    assert secrets_file.admin_password(tmp_path) is None
    made = secrets_file.keep_admin_password(tmp_path)
    keys = secrets_file.load(tmp_path)["FERNET_KEYS"]

    assert len(made) >= 16
    assert secrets_file.keep_admin_password(tmp_path) == made
    assert secrets_file.admin_password(tmp_path) == made

    secrets_file.forget_admin_password(tmp_path)

    assert secrets_file.admin_password(tmp_path) is None
    held = json.loads((tmp_path / "secrets.json").read_text())
    assert sorted(held) == ["FERNET_KEYS", "SECRET_KEY"]
    assert held["FERNET_KEYS"] == keys
    assert mode(tmp_path / "secrets.json") == 0o600
