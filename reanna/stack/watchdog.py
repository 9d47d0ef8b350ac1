"""The last one out: ends what is left when the supervisor died without stopping it (SIGKILL, out of memory).

Called as `python -I -S watchdog.py` with a pipe as standard input. The supervisor writes a line for each process
group it starts (`+1234`) and ends (`-1234`), and for the folder to delete (`dir /tmp/...`). When the pipe closes,
however that came about, the groups still named get SIGTERM and after GRACE_S seconds SIGKILL. The death signal
that the kernel sends reaches direct children only; groups hold the grandchildren too. The watchdog also keeps the
supervisor's lock (inherited), so that no second stack starts on the data before the first has ended.
"""

import os
import shutil
import signal
import sys
import time

GRACE_S = 5.0
KILL_S = 3.0
FOLDER_PREFIX = "reanna-run-"


def alive(group: int) -> bool:
    """Whether any process of the group is left (a zombie awaiting its parent counts as well)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send(groups: set[int], what: signal.Signals) -> None:
    """Signal every group that is still there."""
    for group in groups:
        try:
            os.killpg(group, what)
        except (ProcessLookupError, PermissionError):
            continue  # gone in between, or another user's by now: nothing of ours to end


def wait(groups: set[int], seconds: float) -> set[int]:
    """Wait until the groups are gone, at most so long; returns those that are not."""
    deadline = time.monotonic() + seconds
    while (left := {group for group in groups if alive(group)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def main() -> None:
    """Follow the pipe to its end, then clear up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # ends only with the pipe: else it could not do its one job
    groups: set[int] = set()
    folder = ""
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
        elif line.startswith("dir "):
            folder = line[4:].rstrip("\n")
    send(groups, signal.SIGTERM)
    send(groups, signal.SIGCONT)  # a stopped process takes SIGTERM only once it runs on
    left = wait(groups, GRACE_S)
    send(left, signal.SIGKILL)
    wait(left, KILL_S)
    if os.path.basename(folder).startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
