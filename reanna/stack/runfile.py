"""What runs now, for other commands: `<data>/run/up.json` and one `<data>/run/<name>.json` for each process.

Commands in another terminal join the running stack through it: they reach the same Redis and the same sandbox.
Standard library only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SUPERVISOR = "up"


def folder(data_dir: Path) -> Path:
    """Where the notes lie."""
    return data_dir / "run"


def write(data_dir: Path, name: str, note: dict[str, Any]) -> None:
    """Write a process's note in one step, with what tells its pid from a later one's."""
    target = folder(data_dir)
    target.mkdir(mode=0o700, exist_ok=True)
    draft = target / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps({"name": name, "start_ticks": start_ticks(note["pid"]), **note}))
    draft.replace(target / f"{name}.json")


def remove(data_dir: Path, name: str) -> None:
    """Take a process's note away."""
    (folder(data_dir) / f"{name}.json").unlink(missing_ok=True)


def read(data_dir: Path, name: str) -> dict[str, Any] | None:
    """A process's note if that very process is alive, else None."""
    try:
        note = json.loads((folder(data_dir) / f"{name}.json").read_text())
        same = note["start_ticks"] is not None and start_ticks(note["pid"]) == note["start_ticks"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or a half-deleted one: nothing runs that could be named
    return note if same else None


def running(data_dir: Path) -> list[dict[str, Any]]:
    """Notes of all processes alive, by name."""
    names = sorted(path.stem for path in folder(data_dir).glob("*.json"))
    return [note for name in names if (note := read(data_dir, name)) is not None]


def start_ticks(pid: int) -> int | None:
    """When a process started (field 22 of /proc/PID/stat), or None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def join(data_dir: Path) -> None:
    """Let this process use the running stack's Redis and sandbox, unless its environment says otherwise."""
    note = read(data_dir, SUPERVISOR)
    for name, value in (note or {}).get("environ", {}).items():
        os.environ.setdefault(name, value)
