"""What processes cost, as the kernel counts it (https://man7.org/linux/man-pages/man5/proc.5.html)."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Places in /proc/<pid>/stat after the name: parent, then user and system time of the process and its ended children.
_PARENT, _TIMES = 1, slice(11, 15)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent(pid: int) -> int:
    """Its parent's id."""
    return int(_stat(pid)[_PARENT])


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, _stat(pid)[_TIMES])) / _TICKS_S + sum(cpu_s(int(child)) for child in children)


def rss_mb(pid: int) -> float:
    """Memory of a process that is in use now, MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
