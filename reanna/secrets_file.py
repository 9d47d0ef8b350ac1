"""The data folder and the keys in it: `<data>/secrets.json`, 0600, in a folder of 0700, made when absent.

Standard library only. Holds SECRET_KEY, FERNET_KEYS (a list, newest first: 32 random bytes each, base64) and,
only until `manage.py up` has shown it once, ADMIN_PASSWORD. Files that others could read or have written are
refused, never repaired silently: whoever could read them may have them already.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

FILE_NAME = "secrets.json"
KEY_BYTES = 32


class SecretsError(Exception):
    """The data folder or its secrets cannot be trusted or read; the text says what to run."""


def load(data_dir: Path | str) -> dict[str, Any]:
    """Return the secrets of a data folder; both are made when they are not there.

    Raises SecretsError for a folder or file others may read, another user's, or a damaged file.
    """
    folder = ensure_private_folder(Path(data_dir))
    path = folder / FILE_NAME
    if not path.exists():
        _create(path, {"SECRET_KEY": secrets.token_urlsafe(50), "FERNET_KEYS": [new_key()]})
    return _read(path)


def ensure_private_folder(folder: Path) -> Path:
    """Return the folder, made with 0700 when absent. Raises SecretsError when it is not ours alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SecretsError(f"the data folder {folder} cannot be made: {error.strerror}") from error
    _check_private(folder, "700")
    return folder


def new_key() -> str:
    """A fresh Fernet key: 32 random bytes, URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def admin_password(data_dir: Path | str) -> str | None:
    """The first admin password, as long as nobody was shown it."""
    found = load(data_dir).get("ADMIN_PASSWORD")
    return str(found) if found else None


def keep_admin_password(data_dir: Path | str) -> str:
    """Return the admin password that waits to be shown, made now when there is none."""
    held = load(data_dir)
    if not held.get("ADMIN_PASSWORD"):
        held["ADMIN_PASSWORD"] = secrets.token_urlsafe(12)
        _replace(Path(data_dir) / FILE_NAME, held)
    return str(held["ADMIN_PASSWORD"])


def forget_admin_password(data_dir: Path | str) -> None:
    """Take the admin password out of the file: it was shown, the database holds its hash."""
    held = load(data_dir)
    if held.pop("ADMIN_PASSWORD", None) is not None:
        _replace(Path(data_dir) / FILE_NAME, held)


def _check_private(path: Path, mode: str) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise SecretsError(
            f"{path} belongs to another user (uid {found.st_uid}, this process is {os.geteuid()}). "
            f"Run as that user, or: chown {os.geteuid()} '{path}'"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise SecretsError(
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):03o}). "
            f"It holds keys and personal data; close it with: chmod {mode} '{path}'"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        _check_private(path, "600")
        held = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        # Neither the content nor the parser's excerpt of it may get into a message.
        raise SecretsError(f"{path} cannot be read ({type(error).__name__}); restore it from a backup") from None
    if not isinstance(held, dict):
        raise SecretsError(f"{path} is not a table of names and values; restore it from a backup")
    keys = held.get("FERNET_KEYS")
    if not held.get("SECRET_KEY") or not isinstance(keys, list) or not keys or not all(map(_is_key, keys)):
        raise SecretsError(
            f"{path} lacks SECRET_KEY, or FERNET_KEYS is not a list of base64 keys of {KEY_BYTES} bytes; "
            "restore it from a backup (without the keys stored credentials cannot be read)"
        )
    return held


def _is_key(text: object) -> bool:
    try:
        return isinstance(text, str) and len(base64.urlsafe_b64decode(text)) == KEY_BYTES
    except ValueError:
        return False


def _draft(path: Path, held: dict[str, Any]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(held, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _create(path: Path, held: dict[str, Any]) -> None:
    """Put the file there unless another process was first: keys once in use must never be replaced."""
    draft = _draft(path, held)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _replace(path: Path, held: dict[str, Any]) -> None:
    _draft(path, held).replace(path)
