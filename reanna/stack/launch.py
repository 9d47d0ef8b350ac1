"""Runs one program so that it does not outlive the process that started it.

Called as `python -I -S launch.py PARENT_PID SIGNAL PROGRAM ARGUMENTS...`: asks Linux to send SIGNAL when the
parent dies (prctl PR_SET_PDEATHSIG), looks whether it is still there, and becomes the program. Standard library
only, and a program of its own: code between fork and exec in a process with threads may hang.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arm the death signal, then exec; ends with code 1 when the parent is gone already."""
    parent, death_signal, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
