"""The legs of the suite: what each runs, and what it comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal

from . import cluster, locks

ROOT = Path(__file__).resolve().parents[2]
# Where the promise of the product lies; each of them is held to the share of branches below.
COVERED = ("gate", "engine", "providers", "operations")
COVERAGE_PERCENT = 90
# Two cores: a third process would only take turns.
PROCESSES = "2"
# Tracing costs more than half as much again as the tests themselves, and the other leg's share would be a few lines.
MEASURED = "sqlite"
# They need no database, or ask it too little to differ: on PostgreSQL they would say the same again.
NOT_ON_POSTGRES = (
    "integrations/admin/test_permissions.py",
    "integrations/api/test_matrix.py",
    "integrations/engine/test_states.py",
    "integrations/gate",
    "integrations/sandbox",
    "integrations/providers/gohighlevel",
    "integrations/providers/hubspot",
)
# What is asked for at random finds more where the database refuses more: lengths, zeros, numbers too large.
ONLY_ON_POSTGRES = ("integrations/api/test_schema_reads.py", "integrations/api/test_schema_writes.py")
PYTHON_MODULE = (sys.executable, "-m")
# What the person's shell may hold and the suite must not be led by.
NOT_INHERITED = frozenset(
    {
        "DATABASE_URL", "REDIS_URL", "REANNA_DATA", "SECRET_KEY", "FERNET_KEYS",
        "REANNA_BASE_URL_FOLLOWUPBOSS",
        "REANNA_BASE_URL_GOHIGHLEVEL",
        "REANNA_BASE_URL_HUBSPOT",
        "REANNA_BASE_URL_ROLLOUT", "REANNA_BASE_URL_ROLLOUT_CREDENTIALS",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a leg came to; `told` says it in a few words."""

    name: str
    state: Literal["ok", "failed", "skipped"]
    seconds: float
    told: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass
class Run:
    """One call of `manage.py test`: where coverage data and reports go, and whether a skip is a failure."""

    temporary: Path
    strict: bool
    measure: bool
    arguments: Sequence[str] = ()
    results: list[Result] = field(default_factory=list)
    output: IO[bytes] | None = None
    """Where pytest's words go; to the terminal without."""

    def environ(self, **more: str) -> dict[str, str]:
        """Variables for a leg: this shell's, less what belongs to an installation."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        return kept | {"DJANGO_SETTINGS_MODULE": "reanna.settings.test"} | more

    def leg(self, name: str, work: Callable[[Run], Result]) -> None:
        """Run one leg loudly and keep what it came to."""
        say(f"\n=== {name} ===")
        self.results.append(work(self))

    @contextmanager
    def beside(self, name: str, work: Callable[[Run], Result]) -> Iterator[None]:
        """Run one leg, which mostly waits, while others run; what it said is shown after them."""
        said = self.temporary / f"{name}.out"
        with said.open("wb") as output, ThreadPoolExecutor(1) as pool:
            ending = pool.submit(work, replace(self, output=output))
            yield
            self.results.append(ending.result())
        say(f"\n=== {name} ===\n{said.read_text(errors='replace')}")


def say(text: str) -> None:
    """Print at once: programs we start write to the same terminal."""
    print(text, flush=True)


def lint(run: Run) -> Result:
    """Style, types, import contracts, migrations and locks."""
    checks: dict[str, tuple[str, ...]] = {
        "ruff check": (*PYTHON_MODULE, "ruff", "check", "."),
        "ruff format": (*PYTHON_MODULE, "ruff", "format", "--check", "."),
        "mypy": (*PYTHON_MODULE, "mypy"),
        "lint-imports": (sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"),
        "makemigrations": (sys.executable, "-m", "django", "makemigrations", "--check", "--dry-run"),
    }
    began = time.monotonic()
    failed = []
    for name, command in checks.items():
        say(f"--- {name}")
        code = subprocess.run(
            command, check=False, cwd=ROOT, env=run.environ(PYTHONPATH=str(ROOT)), stdin=subprocess.DEVNULL
        ).returncode
        if code != 0:
            failed.append(name)
    say("--- locks")
    stale, unchecked = _stale_locks()
    if stale or (unchecked and run.strict):
        failed.append("locks")
    told = "failed: " + ", ".join(failed) if failed else "all checks passed"
    if unchecked:
        told += "; locks not checked against the index (no network)"
    return Result("lint", "failed" if failed else "ok", time.monotonic() - began, told)


def _stale_locks() -> tuple[list[str], bool]:
    try:
        stale = locks.stale(ROOT)
    except locks.LockError as error:
        say(str(error))
        return ([], True) if error.offline else (["unresolvable"], False)
    for name in stale:
        say(f"{name} is stale: run python3 manage.py lock")
    if not stale:
        say("Locks are up to date.")
    return stale, False


def sqlite(run: Run) -> Result:
    """The suite on SQLite with a real Redis, without what starts the whole product."""
    chosen = ["-m", "not stack", *_less(ONLY_ON_POSTGRES), "tests"]
    return _pytest(run, "sqlite", list(run.arguments) or chosen, run.environ())


def stack(run: Run) -> Result:
    """What starts the whole product as a person would (on SQLite)."""
    return _pytest(run, "stack", list(run.arguments) or ["-m", "stack", "tests"], run.environ())


def postgres(run: Run) -> Result:
    """What touches the database, again on PostgreSQL."""
    bin_folder = cluster.programs()
    if bin_folder is None:
        told = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        return Result("postgres", "skipped", 0.0, told)
    began = time.monotonic()
    chosen = list(run.arguments) or _database_tests()
    try:
        with cluster.running(bin_folder) as url:
            return _pytest(run, "postgres", chosen, run.environ(DATABASE_URL=url))
    except cluster.ClusterError as error:
        say(str(error))
        return Result("postgres", "failed", time.monotonic() - began, "the server did not start")


def _database_tests() -> list[str]:
    folders = [f"tests/{name}" for name in ("integrations", "monitoring", "alerts", "flows", "chaos")]
    return ["-m", "not stack", *_less(NOT_ON_POSTGRES), *(name for name in folders if (ROOT / name).is_dir())]


def _less(names: Sequence[str]) -> list[str]:
    return [f"--ignore=tests/{name}" for name in names]


def _pytest(run: Run, leg: str, arguments: list[str], environ: dict[str, str]) -> Result:
    report = run.temporary / f"{leg}.xml"
    options = [f"--junitxml={report}", "-o", "junit_family=xunit2"]
    if run.measure:
        # In the order of collection, which begins with what takes long (tests/conftest.py).
        options += ["-n", PROCESSES, "--dist", "loadfile", "--no-loadscope-reorder", "--durations=15"]
        if leg == MEASURED:
            options += ["--cov", "--cov-report="]
            environ = environ | {"COVERAGE_FILE": str(run.temporary / f"coverage.{leg}")}
    began = time.monotonic()
    code = subprocess.run(
        [*PYTHON_MODULE, "pytest", *options, *arguments],
        check=False,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=run.output,
        stderr=run.output,
    ).returncode
    seconds = time.monotonic() - began
    passed, failed, skipped = _counts(report)
    told = f"{passed} passed, {failed} failed, {skipped} skipped"
    if code not in {0, 1}:
        told += f" (pytest ended with {code})"
    return Result(leg, "ok" if code == 0 else "failed", seconds, told, passed, failed, skipped)


def _counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed (with errors) and skipped, from a JUnit report; zeros when there is none."""
    if not report.exists():
        return 0, 0, 0
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it just now
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", "0"))
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped += int(suite.get("skipped", "0"))
    return max(tests - failed - skipped, 0), failed, skipped


def coverage(run: Run) -> Result:
    """Coverage of the core packages by the measured leg; lines and branches must each reach the share."""
    began = time.monotonic()
    environ = run.environ(COVERAGE_FILE=str(run.temporary / "coverage"))
    parts = [str(path) for path in run.temporary.glob("coverage.*")]

    def tool(*arguments: str) -> int:
        command = [*PYTHON_MODULE, "coverage", *arguments]
        return subprocess.run(command, check=False, cwd=ROOT, env=environ).returncode

    told, low = [], []
    if tool("combine", "--quiet", *parts) != 0:
        return Result("coverage", "failed", time.monotonic() - began, "no coverage data")
    for package in COVERED:
        say(f"--- integrations.{package}")
        only, report = f"--include=integrations/{package}/*", run.temporary / f"{package}.json"
        if tool("report", only) != 0 or tool("json", only, "--quiet", "-o", str(report)) != 0:
            told.append(f"{package} not measured")
            low.append(package)
            continue
        lines, branches = shares(json.loads(report.read_text())["totals"])
        told.append(f"{package} {lines:.1f} / {branches:.1f} %")
        if min(lines, branches) < COVERAGE_PERCENT:
            low.append(package)
    state: Literal["ok", "failed"] = "failed" if low else "ok"
    words = "lines / branches: " + ", ".join(told)
    words += f"; below {COVERAGE_PERCENT} %: {', '.join(low)}" if low else ""
    return Result("coverage", state, time.monotonic() - began, words)


def shares(totals: dict[str, int]) -> tuple[float, float]:
    """Per cent of lines and of branches that were run; a package without branches has all of them."""
    lines = 100 * totals["covered_lines"] / max(totals["num_statements"], 1)
    branches = 100 * totals["covered_branches"] / totals["num_branches"] if totals["num_branches"] else 100.0
    return lines, branches
