"""Files that were handed in by browser, each in a private folder under the data folder until it is done with.

`<data>/imports/<token>/` while it is looked at; `<data>/imports/run-<id>/` once it was confirmed. Folders are 0700,
files 0600. Nothing here touches the database.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self

from django.conf import settings

from .reader import Problem

KEPT_S = 24 * 3600
"""How long a file waits to be confirmed."""
_TOKEN = re.compile(r"[0-9a-f]{32}")
_FACTS, _PROGRESS, _PREVIEW, _BAD, _HAND = "facts.json", "progress.json", "preview.json", "bad.csv", "in-hand"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file and what is known of it. `lines` counts line ends: at least as many as there are rows."""

    folder: Path
    kind: str
    name: str
    actor: str
    digest: str
    lines: int
    skip_bad: bool = False

    @property
    def token(self) -> str:
        return self.folder.name

    @property
    def path(self) -> Path:
        return self.folder / "file.csv"

    # --- what was found in it ---------------------------------------------------------------------------------

    def preview(self) -> dict[str, Any] | None:
        """What `tell_preview` stored; None until then."""
        return _read(self.folder / _PREVIEW)

    def tell_preview(self, found: dict[str, Any]) -> None:
        _write(self.folder / _PREVIEW, found)

    def bad_file(self) -> BadRows:
        """A new list of bad rows."""
        return BadRows(_open(self.folder / _BAD))

    def bad_rows(self, start: int = 0, count: int | None = None) -> Iterator[Problem]:
        """The problems that were found, from `start`."""
        try:
            file = (self.folder / _BAD).open(encoding="utf-8", newline="")
        except FileNotFoundError:
            return
        with file:
            stop = None if count is None else start + count
            for line, field, value, reason in islice(csv.reader(file), start, stop):
                yield Problem(int(line), field, reason, value)

    # --- who works on it --------------------------------------------------------------------------------------

    def take(self, silent_s: float) -> bool:
        """Take it in hand; False while someone has it who gave a sign of life within `silent_s` seconds."""
        hand = self.folder / _HAND
        try:
            os.close(os.open(hand, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            age = self.silent_for()
            if age is not None and age < silent_s:
                return False
            hand.touch()
        except FileNotFoundError:
            return False
        return True

    def give_back(self) -> None:
        (self.folder / _HAND).unlink(missing_ok=True)

    def silent_for(self) -> float | None:
        """Seconds since the last sign of life of who has it in hand; None: nobody has."""
        try:
            return max(0.0, time.time() - (self.folder / _HAND).stat().st_mtime)
        except FileNotFoundError:
            return None

    def tell_progress(self, phase: str, done: int, of: int) -> None:
        _write(self.folder / _PROGRESS, {"phase": phase, "done": done, "of": of})
        (self.folder / _HAND).touch()

    def progress(self) -> dict[str, Any] | None:
        """`phase` (checking or planning), `done`, `of`."""
        return _read(self.folder / _PROGRESS)

    # --- what becomes of it -----------------------------------------------------------------------------------

    def claim(self) -> Upload | None:
        """Take it away from whoever else would confirm it: one of any number of callers gets it."""
        return self._moved(f"taken-{self.token}")

    def attach(self, run_id: int, *, skip_bad: bool) -> Upload | None:
        """It is the file of this run from now on. None when the run has one already."""
        facts = _read(self.folder / _FACTS) or {}
        _write(self.folder / _FACTS, {**facts, "skip_bad": skip_bad})
        return self._moved(f"run-{run_id}")

    def _moved(self, name: str) -> Upload | None:
        target = self.folder.with_name(name)
        try:
            self.folder.rename(target)
        except OSError:
            return None
        return _load(target)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class BadRows:
    """Problems written one after the other."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._rows = csv.writer(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, problem: Problem) -> None:
        self._rows.writerow([problem.line, problem.field, problem.value, problem.reason])


def save(chunks: Iterable[bytes], *, kind: str, name: str, actor: str) -> Upload:
    """Keep a file, as it comes in. Raises OSError."""
    token = secrets.token_hex(16)
    folder = _root() / f"part-{token}"
    folder.mkdir(mode=0o700)
    digest, lines = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(folder / "file.csv", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                lines += chunk.count(b"\n")
        facts: dict[str, Any] = {
            "kind": kind,
            "name": name[:255],
            "actor": actor[:150],
            "digest": digest.hexdigest(),
            "lines": lines,
        }
        _write(folder / _FACTS, facts)
        whole = folder.with_name(token)
        folder.rename(whole)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Upload(whole, **facts)


def find(token: str) -> Upload | None:
    """The file of that token, while it is looked at."""
    return _load(_root() / token) if _TOKEN.fullmatch(token) else None


def of_run(run_id: int) -> Upload | None:
    """The file of a confirmed run, until it is done."""
    return _load(_root() / f"run-{run_id}")


def looked_at() -> list[Upload]:
    """All that were not confirmed."""
    return [upload for upload in map(_load, _folders()) if upload and _TOKEN.fullmatch(upload.token)]


def runs_with_files() -> list[int]:
    return [int(path.name[4:]) for path in _folders() if re.fullmatch(r"run-\d{1,18}", path.name)]


def purge(now: datetime) -> int:
    """Delete what nobody confirmed within a day, and what a crash left. Returns how many."""
    old = [path for path in _folders() if not path.name.startswith("run-") and _age(path, now) > KEPT_S]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def _age(path: Path, now: datetime) -> float:
    try:
        return now.timestamp() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _root() -> Path:
    root: Path = settings.DATA_DIR / "imports"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


def _folders() -> list[Path]:
    return sorted(path for path in _root().iterdir() if path.is_dir())


def _load(folder: Path) -> Upload | None:
    facts = _read(folder / _FACTS)
    return Upload(folder, **facts) if facts else None


def _open(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8", newline="")


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all: a reader never meets half of it."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with _open(part) as file:
        json.dump(content, file)
    part.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found
