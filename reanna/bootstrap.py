"""From a bare Python 3.11 to the locked packages: a virtual environment, a hashed install, a stamp, `exec`.

Standard library only, and loaded by path from `manage.py` (the package `reanna` imports what is not there
yet). The stamp names the hashes of the lock files that were installed; the development lock is a superset of
the base lock, so an environment stamped for development serves every command. A stamp is removed before an
install and written after it, so an interrupted install is redone from an empty environment.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Self

# Commands that need the development packages, and are not Django commands.
DEVELOPMENT_COMMANDS = frozenset({"test", "lint", "lock", "bench", "chaos"})
STAMP = ".reanna-stamp.json"
# For a Python with neither ensurepip nor pip: exactly this wheel is accepted, wherever it comes from.
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_WHEEL_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
PROGRESS_EVERY_S = 3.0


class BootstrapError(Exception):
    """The environment could not be made; the text says what a person can do."""


def prepare(root: str, argv: list[str]) -> list[str]:
    """Return argv for Django once this process runs on the locked packages; else replaces the process.

    `--data DIR`, in any position, becomes REANNA_DATA (absolute). Ends the process with a message on a wrong
    call (code 2) or when packages cannot be installed (code 1).
    """
    try:
        argv, data = take_data(argv)
    except ValueError as error:
        stop(str(error), 2)
    if data is not None:
        os.environ["REANNA_DATA"] = data
    elif os.environ.get("REANNA_DATA"):
        os.environ["REANNA_DATA"] = str(Path(os.environ["REANNA_DATA"]).absolute())
    environment = Environment(Path(root), lock_name(argv))
    try:
        environment.ensure()
    except BootstrapError as failed:
        stop(str(failed), 1)
    except KeyboardInterrupt:
        stop("Stopped while installing; the next start installs afresh.", 130)
    if os.path.realpath(sys.prefix) != os.path.realpath(environment.venv):
        python = str(environment.python)
        sys.stdout.flush()
        os.execv(python, [python, str(Path(root) / "manage.py"), *argv[1:]])  # noqa: S606 - no shell is wanted
    return argv


def take_data(argv: list[str]) -> tuple[list[str], str | None]:
    """Split `--data DIR` or `--data=DIR` off the arguments (up to a bare `--`); the last one counts.

    Raises ValueError when the folder is missing or empty.
    """
    rest: list[str] = []
    data: str | None = None
    position = 0
    while position < len(argv):
        argument = argv[position]
        if argument == "--":
            rest += argv[position:]
            break
        if argument == "--data":
            position += 1
            data = argv[position] if position < len(argv) else ""
        elif argument.startswith("--data="):
            data = argument.removeprefix("--data=")
        else:
            rest.append(argument)
        if data is not None and (not data or data.startswith("--")):
            raise ValueError("--data needs a folder, for example: --data /srv/reanna")
        position += 1
    return rest, None if data is None else str(Path(data).absolute())


def data_dir(root: str) -> Path:
    """Where this installation keeps its state, as the settings will have it."""
    return Path(os.environ.get("REANNA_DATA") or Path(root) / "var")


def lock_name(argv: list[str]) -> str:
    """Which lock a command needs: "dev" for tests, locks, checks and in CI, else "base"."""
    command = argv[1] if len(argv) > 1 else ""
    dev_wanted = command in DEVELOPMENT_COMMANDS or os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    return "dev" if dev_wanted or (command == "bootstrap" and "--dev" in argv) else "base"


def stop(message: str, code: int) -> NoReturn:
    """End the process with a message on stderr."""
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code)


class Environment:
    """The virtual environment beside manage.py and the lock it shall match."""

    def __init__(self, root: Path, lock: str) -> None:
        self.root = root
        self.lock = lock
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"

    def ensure(self) -> None:
        """Install unless the stamp says all is there. Two at once are safe: the second waits."""
        if self.is_current():
            return
        with self.only_one():
            if self.is_current():
                return
            # Packages are only ever added to an environment that an ended install left; else it starts empty.
            if not (self.venv / STAMP).exists() or not self.fits_python():
                self.create()
            (self.venv / STAMP).unlink(missing_ok=True)
            self.install()
            self.write_stamp()

    def is_current(self) -> bool:
        """Whether the stamp names the wanted lock as it is now, for this Python."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text())
        except (OSError, ValueError):
            return False
        return (
            isinstance(stamp, dict)
            and stamp.get("python") == python_minor()
            and stamp.get(self.lock) == file_hash(self.lock_path(self.lock))
            and self.fits_python()
        )

    def fits_python(self) -> bool:
        """Whether the environment was made by this minor version of Python (pyvenv.cfg says by which)."""
        try:
            config = (self.venv / "pyvenv.cfg").read_text()
        except OSError:
            return False
        found = re.search(r"^version\s*=\s*(\d+\.\d+)", config, re.MULTILINE)
        return found is not None and found.group(1) == python_minor() and self.python.exists()

    def lock_path(self, lock: str) -> Path:
        """The file of one lock."""
        return self.root / "requirements" / f"{lock}.lock"

    def write_stamp(self) -> None:
        """Write down which locks the environment holds, in one step."""
        locks = ["base", "dev"] if self.lock == "dev" else ["base"]
        stamp = {"python": python_minor(), **{name: file_hash(self.lock_path(name)) for name in locks}}
        draft = self.venv / f"{STAMP}.{os.getpid()}"
        draft.write_text(json.dumps(stamp))
        draft.replace(self.venv / STAMP)

    @contextlib.contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold an advisory lock on the requirements folder (no file of its own to leave lying about)."""
        handle = os.open(self.root / "requirements", os.O_RDONLY)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another process is installing packages; waiting for it.")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def create(self) -> None:
        """Make an empty virtual environment, with pip where this Python brings it."""
        if self.venv.exists():
            made_for = "left by an install that did not end" if self.fits_python() else "made by another Python"
            say(f"Rebuilding {self.venv} ({made_for}).")
        else:
            say(f"Making {self.venv} with Python {sys.version.split()[0]}.")
        base = base_python()
        if run([base, "-m", "venv", "--clear", str(self.venv)]).returncode == 0:
            return
        # Debian without python3-venv: the module venv is there, ensurepip is not.
        without_pip = run([base, "-m", "venv", "--clear", "--without-pip", str(self.venv)])
        if without_pip.returncode != 0:
            raise BootstrapError(
                f"The virtual environment could not be made in {self.venv}:\n{without_pip.stdout[-1500:]}\n"
                "Check that the folder is writable; on Debian also: apt-get install python3-venv"
            )

    def install(self) -> None:
        """Install the lock with its hashes, wheels only; pip's own words are shown only on failure."""
        lock = self.lock_path(self.lock)
        total = len(re.findall(r"^[A-Za-z0-9][^ =]*==", lock.read_text(), re.MULTILINE))
        say(f"Installing {total} packages from requirements/{lock.name} (first start only).")
        command, environ = self.pip()
        # The lock is all: without --no-deps pip refuses it on the day "coverage[toml]" has a newer release.
        options = "--no-deps --only-binary :all: --require-hashes --no-input --progress-bar off"
        site = self.venv / "lib" / f"python{python_minor()}" / "site-packages"
        with Progress(total, site) as progress:
            code, last_lines = progress.follow([*command, "install", *options.split(), "-r", str(lock)], environ)
        if code != 0:
            raise BootstrapError(
                "\n".join(last_lines)
                + f"\n\nThe packages of requirements/{lock.name} could not be installed (pip ended with "
                f"{code}; its last lines are above).\nCheck the network and PIP_INDEX_URL, then start again."
            )
        say(f"Installed {total} packages in {progress.elapsed_s():.0f} s.")

    def pip(self) -> tuple[list[str], dict[str, str]]:
        """The command that runs a pip for the environment, and its environment variables."""
        environ = pip_environ()
        own = [str(self.python), "-m", "pip"]
        if run([*own, "--version"], environ).returncode == 0:
            return own, environ
        base = [base_python(), "-m", "pip", "--python", str(self.python)]
        if run([*base, "--version"], environ).returncode == 0:
            return base, environ
        return own, environ | {"PYTHONPATH": str(pip_wheel(self.venv))}


class Progress:
    """One line that is rewritten on a terminal, or a line each few seconds where there is none."""

    def __init__(self, total: int, site: Path) -> None:
        self.total = total
        self.site = site
        self.started = time.monotonic()
        self.seen = 0
        self.doing = "starting pip"
        self.ended = threading.Event()
        self.teller = threading.Thread(target=self.tell, daemon=True)

    def __enter__(self) -> Self:
        self.teller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.teller.join()
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)

    def elapsed_s(self) -> float:
        """Seconds since the install began."""
        return time.monotonic() - self.started

    def follow(self, command: list[str], environ: dict[str, str]) -> tuple[int, list[str]]:
        """Run pip, read what it does from its output, and return its exit code and last lines."""
        last: deque[str] = deque(maxlen=25)
        with subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as pip:
            try:
                for line in pip.stdout or ():
                    last.append(line.rstrip())
                    self.notice(line)
            except KeyboardInterrupt:
                pip.terminate()
                raise
        return pip.returncode, list(last)

    def notice(self, line: str) -> None:
        """Take from a line of pip's what it is doing now."""
        words = line.split()
        if not words:
            return
        if words[0] == "Collecting":
            self.seen += 1
            self.doing = re.split(r"[=<>\[;]", words[1])[0]
        elif line.startswith("Installing collected packages"):
            self.seen = self.total
            self.doing = "unpacking"

    def line(self) -> str:
        """Where the install is, for a person."""
        if self.doing == "unpacking":
            unpacked = len(list(self.site.glob("*.dist-info"))) if self.site.exists() else 0
            return f"  unpacking {min(unpacked, self.total)} of {self.total} ({self.elapsed_s():.0f} s)"
        return f"  fetching {self.seen} of {self.total}: {self.doing} ({self.elapsed_s():.0f} s)"

    def tell(self) -> None:
        """Show the line until the install ended."""
        terminal = sys.stdout.isatty()
        while not self.ended.wait(0.2 if terminal else PROGRESS_EVERY_S):
            if terminal:
                print(f"\r\033[K{self.line()}", end="", flush=True)
            else:
                say(self.line())


def pip_wheel(venv: Path) -> Path:
    """The pinned pip wheel: REANNA_PIP_WHEEL (a file), or fetched from PIP_INDEX_URL; its hash is checked."""
    given, index = os.environ.get("REANNA_PIP_WHEEL"), os.environ.get("PIP_INDEX_URL")
    try:
        if given:
            content = Path(given).read_bytes()
        elif index:
            content = fetch_pip_wheel(index)
        else:
            raise BootstrapError(
                "This Python has neither ensurepip nor pip. Install them (Debian: apt-get install "
                f"python3-venv), or set REANNA_PIP_WHEEL to a copy of {PIP_WHEEL}, or PIP_INDEX_URL."
            )
    except (OSError, ValueError) as error:
        raise BootstrapError(f"{PIP_WHEEL} could not be read from {given or index}: {error}") from error
    if hashlib.sha256(content).hexdigest() != PIP_WHEEL_SHA256:
        raise BootstrapError(f"{given or index} does not hold the pip wheel that is expected (its hash differs).")
    target = venv / PIP_WHEEL
    target.write_bytes(content)
    return target


def fetch_pip_wheel(index: str) -> bytes:
    """Fetch the pinned wheel through the index's page for pip (PEP 503).

    Raises ValueError for an address that is not http(s) or a page without the wheel, OSError when away.
    """
    page = index.rstrip("/") + "/pip/"
    if not page.startswith(("https://", "http://")):
        raise ValueError("PIP_INDEX_URL must be an http(s) address")
    with urllib.request.urlopen(page, timeout=60) as answer:  # noqa: S310 - the scheme was checked above
        link = re.search(rf'href="([^"]*{re.escape(PIP_WHEEL)}[^"]*)"', answer.read().decode())
        if link is None:
            raise ValueError(f"the index has no {PIP_WHEEL}")
        target = urllib.parse.urljoin(answer.url, link.group(1))
    if not target.startswith(("https://", "http://")):
        raise ValueError("the index points to an address that is not http(s)")
    with urllib.request.urlopen(target, timeout=120) as answer:  # noqa: S310 - the scheme was checked above
        content: bytes = answer.read()
    return content


def pip_environ() -> dict[str, str]:
    """Variables for pip: the user's, less what leads the install elsewhere; no cache if none can be kept."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV"}
    environ = {name: value for name, value in os.environ.items() if name not in dropped}
    environ |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    if not cache_writable():
        environ["PIP_NO_CACHE_DIR"] = "1"
    return environ


def cache_writable() -> bool:
    """Whether pip may keep its cache: the nearest existing folder on the way is ours and writable."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # never raises, unlike pathlib
    while not os.path.exists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK | os.X_OK) and os.stat(folder).st_uid == os.geteuid()


def base_python() -> str:
    """The interpreter outside any virtual environment."""
    return getattr(sys, "_base_executable", None) or sys.executable


def python_minor() -> str:
    """Major and minor version of this Python, such as 3.11."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises BootstrapError when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BootstrapError(f"{path} cannot be read ({error.strerror}); is the checkout complete?") from error


def run(command: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a step quietly; its output is kept for the case that it fails."""
    return subprocess.run(
        command,
        check=False,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ or pip_environ(),
    )


def say(text: str) -> None:
    """Tell the person at the terminal, through a pipe too at once."""
    print(text, flush=True)
