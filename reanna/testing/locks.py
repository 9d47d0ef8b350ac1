"""The lock files: every package at one version with the hashes of its files, written by `manage.py lock`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = "requirements"
# In this order: the development lock is held to the versions of the base lock, so that it is a superset of it.
NAMES = ("base", "dev")


class LockError(Exception):
    """The packages could not be resolved; the text has the resolver's words. `offline`: no index was reached."""

    def __init__(self, text: str, *, offline: bool) -> None:
        super().__init__(text)
        self.offline = offline


def compile_all(root: Path, *, upgrade: bool = False) -> dict[str, str]:
    """What the lock files should hold, by name; versions locked today are kept unless `upgrade`.

    Resolves in a copy, so the files of `root` stay as they are. Raises LockError.
    """
    with tempfile.TemporaryDirectory(prefix="reanna-lock-") as temporary:
        work = Path(temporary)
        shutil.copytree(root / FOLDER, work / FOLDER)
        return {name: _compile(work, name, upgrade=upgrade) for name in NAMES}


def _compile(work: Path, name: str, *, upgrade: bool) -> str:
    source, target = f"{FOLDER}/{name}.in", f"{FOLDER}/{name}.lock"
    shape = ["--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet"]
    held = ["-c", f"{FOLDER}/base.lock"] if name != "base" else []
    command = [sys.executable, "-m", "uv", "pip", "compile", *shape, *held, source, "-o", target]
    done = subprocess.run(
        [*command, *(["--upgrade"] if upgrade else [])],
        check=False,
        cwd=work,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        offline = re.search(r"Failed to fetch|error sending request|dns error|timed out", done.stderr) is not None
        raise LockError(done.stderr.strip(), offline=offline)
    return (work / target).read_text()


def stale(root: Path) -> list[str]:
    """Lock files (as paths from `root`) that do not hold what their `.in` files ask for. Raises LockError."""
    wanted = compile_all(root)
    found = {name: (root / FOLDER / f"{name}.lock") for name in NAMES}
    return [
        f"{FOLDER}/{name}.lock" for name, path in found.items() if not path.exists() or path.read_text() != wanted[name]
    ]


def write(root: Path, *, upgrade: bool) -> list[str]:
    """Bring the lock files up to date; returns those that changed. Raises LockError."""
    changed = []
    for name, text in compile_all(root, upgrade=upgrade).items():
        path = root / FOLDER / f"{name}.lock"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(f"{FOLDER}/{name}.lock")
    return changed
