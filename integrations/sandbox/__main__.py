"""``python -m integrations.sandbox --port N --data DIR``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from .server import StartError, serve


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox; 0 after a clean stop, 2 when it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m integrations.sandbox", description="Stands in for the CRM vendors."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8001, help="port to listen on; 0 takes a free one (default: 8001)")
    parser.add_argument("--data", type=Path, required=True, help="directory for the sandbox's file; made when missing")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    options = parser.parse_args(arguments)
    level = logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s sandbox %(message)s")
    os.umask(0o077)  # what it keeps is for its owner alone
    try:
        serve(options.host, options.port, options.data)
    except StartError as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
