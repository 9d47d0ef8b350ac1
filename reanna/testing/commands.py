"""`manage.py test`, `lint`, `lock` and `bench`: no Django, no data folder, no secrets."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from . import legs, locks
from .legs import Result, Run, say

ALL_LEGS = ("lint", "sqlite", "postgres", "stack")
MODULES = {"bench": "tests.bench", "chaos": "tests.chaos"}
"""Commands that are programs beside the tests, and where."""


def run(command: str, arguments: list[str]) -> int:
    """Carry out one of the development commands; returns the exit code."""
    try:
        if command == "lock":
            return lock(arguments)
        if command in MODULES:
            return module(MODULES[command], arguments)
        return test(["--leg", "lint", *arguments] if command == "lint" else arguments)
    except KeyboardInterrupt:
        say("stopped")
        return 130


def module(name: str, arguments: list[str]) -> int:
    """Run one of the programs beside the tests, from this checkout, with nothing of an installation's."""
    if not (legs.ROOT / name.replace(".", "/")).exists():
        say(f"{name} is not here: this needs a checkout of the product, not an installation of it.")
        return 2
    environ = Run(Path(tempfile.gettempdir()), strict=False, measure=False).environ()
    return subprocess.run([sys.executable, "-m", name, *arguments], check=False, cwd=legs.ROOT, env=environ).returncode


def lock(arguments: list[str]) -> int:
    """Write the lock files anew, or with --check say which are stale (exit code 1)."""
    parser = argparse.ArgumentParser(prog="manage.py lock", description=lock.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a lock file is stale")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where the .in files allow it")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            stale = locks.stale(legs.ROOT)
            for name in stale:
                say(f"{name} is stale: run python3 manage.py lock")
            return 1 if stale else 0
        changed = locks.write(legs.ROOT, upgrade=options.upgrade)
    except locks.LockError as error:
        say(f"The packages could not be resolved:\n{error}")
        return 1
    for name in changed:
        say(f"{name} written")
    say("Locks are up to date." if not changed else "The next start installs from them.")
    return 0


def test(arguments: list[str]) -> int:
    """Run everything that checks the product, or a part of it."""
    options, rest = _parse(arguments)
    strict = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    chosen = options.leg or (["sqlite"] if rest else list(ALL_LEGS))
    # Coverage is a promise about the whole: a part of the suite cannot be held to it.
    measure = not rest and {"sqlite", "postgres"} <= set(chosen)
    with tempfile.TemporaryDirectory(prefix="reanna-test-") as temporary:
        whole = Run(Path(temporary), strict=strict, measure=measure, arguments=rest)
        works = {"lint": legs.lint, "sqlite": legs.sqlite, "postgres": legs.postgres, "stack": legs.stack}
        with ExitStack() as beside:
            if "stack" in chosen and len(chosen) > 1:
                beside.enter_context(whole.beside("stack", works.pop("stack")))
            for name, work in works.items():
                if name in chosen:
                    whole.leg(name, work)
        if measure:
            whole.leg("coverage", legs.coverage)
    not_asked = [name for name in ALL_LEGS if name not in chosen]
    return report(whole.results, not_asked, strict=strict)


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="manage.py test",
        description="Lint, the suite on SQLite and on PostgreSQL, beside them what starts the whole product, then "
        "coverage. Other arguments go to pytest and make it one quick run on SQLite: "
        "manage.py test tests/integrations/gate -k window",
        allow_abbrev=False,
    )
    parser.add_argument("--leg", choices=ALL_LEGS, action="append", help="run this leg only (may be repeated)")
    options, rest = parser.parse_known_args(arguments)
    return options, [word for word in rest if word != "--"]


def report(results: Sequence[Result], not_asked: Sequence[str], *, strict: bool) -> int:
    """Say which legs ran, which did not and why; returns the exit code."""
    say("\n=== legs ===")
    for result in results:
        say(f"{result.name:<9} {result.state:<8} {result.seconds:5.0f} s  {result.told}")
    for name in not_asked:
        say(f"{name:<9} not run")
    skipped = [result.name for result in results if result.state == "skipped"]
    failed = [result.name for result in results if result.state == "failed"]
    if skipped:
        say(f"SKIPPED: {', '.join(skipped)}" + (" (a failure in CI)" if strict else ""))
    if failed:
        say(f"FAILED: {', '.join(failed)}")
    passed, failures, left_out = (
        sum(getattr(result, name) for result in results) for name in ("passed", "failed", "skipped")
    )
    if passed or failures or left_out:
        say(f"tests: {passed} passed, {failures} failed, {left_out} skipped")
    return 1 if failed or (skipped and strict) else 0
