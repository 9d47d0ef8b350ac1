"""`python -m tests.oracle`: judges a stack that runs; exit code 1 when something is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.evidence import Database, files_of, journal
from tests.stack import secrets_of

from . import judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description="Judge a stack that runs.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sandbox", required=True, metavar="URL")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = judge(
        journal(options.sandbox),
        Database.of(options.data, os.environ),
        secrets=secrets_of(options.data),
        files=files_of(options.data),
    )
    print(json.dumps(asdict(found), indent=1) if options.json else found.text())
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
