"""Whether a port of this machine is free, and if not, what holds it (read from Linux's /proc)."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

LISTEN = "0A"  # the state column of /proc/net/tcp, linux/include/net/tcp_states.h


class PortBusyError(Exception):
    """A port that is needed is taken; the text names the holder."""


def ensure_free(port: int, purpose: str, option: str) -> None:
    """Raise PortBusyError unless this machine's loopback can listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise PortBusyError(
                    f"Port {port} ({purpose}) may only be used by root; choose one above 1023 with {option}."
                ) from error
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortBusyError(
                f"Port {port} ({purpose}) is in use by {describe_holder(port)}. "
                f"Stop it, or choose another port: {option} {port + 1}"
            ) from error


def describe_holder(port: int) -> str:
    """Who listens on the port, as `pid 42 (python3 -m http.server)`."""
    for pid in holders(port):
        return f"pid {pid} ({command_of(pid)})"
    return "a process that this user may not see (try: sudo ss -ltnp)"


def holders(port: int) -> list[int]:
    """Process ids that listen on a TCP port, lowest first; those of other users are hidden from non-root."""
    inodes = listening_inodes(port)
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return sorted(int(entry.name) for entry in processes if inodes & socket_inodes(entry / "fd"))


def command_of(pid: int) -> str:
    """The command line of a process, shortened, or "ended meanwhile"."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended meanwhile"
    text = " ".join(word for word in words if word)
    return text if len(text) <= 120 else text[:119] + "…"


def listening_inodes(port: int) -> set[str]:
    """Socket inodes that listen on the port, IPv4 and IPv6."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6 has no such table
        for row in rows:
            columns = row.split()
            if columns[3] == LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(columns[9])
    return found


def socket_inodes(folder: Path) -> set[str]:
    """The inodes of the sockets among a process's open files; empty where we may not look."""
    found = set()
    try:
        for name in os.listdir(folder):
            target = os.readlink(folder / name)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        return found  # the process ended, or is another user's
    return found
