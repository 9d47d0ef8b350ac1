"""The bench: `python -m tests.bench [--json FILE] [--only PART …]`, or `manage.py bench`.

Prints each figure beside its bar; exit code 1 when one is missed. Ratios are of calls taken in turns within one run,
so that they hold on a machine that is busy otherwise. Everything runs on 127.0.0.1 and is ended by process id.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.redis_server import RedisServer

AT_MOST = {
    "gate.admit": 1.8,
    "gate.pair": 3.2,
    "gate.vs_limits_pybreaker": 0.75,
    "gate.round_trips": 2.0,
    "gate.over_admitted": 0.0,
    "gate.probes": 1.0,
    "gate.probes_after_kill": 1.0,
    "engine.double_claims": 0.0,
    "worker_rss_growth_mb": 20.0,
    "immediate_p50_ratio": 2.0,
    "claims_flat": 1.2,
    "sweep_flat": 1.2,
    "counts_flat": 1.2,
}
AT_LEAST = {
    "gate.utilisation": 0.95,
    "gate.probes": 1.0,
    "gate.probes_after_kill": 1.0,
    "claims_per_s": 10_000.0,
    "engine.vs_bare": 0.7,
}

Measured = tuple[dict[str, float], dict[str, object]]


def gate(_short: bool) -> Measured:
    """The gate alone, on a Redis of its own."""
    from tests.bench import gate_fleet, gate_speed

    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        server = RedisServer(Path(folder), durable=False)
        server.start()
        try:
            figures, raw = gate_speed.measure(server)
            more, more_raw = gate_fleet.measure(server)
        finally:
            server.stop()
    return figures | more, raw | more_raw


def claims(short: bool) -> Measured:
    """Claims on a PostgreSQL of its own."""
    from tests.bench import claims as part

    return part.measure(short=short)


def engine(short: bool) -> Measured:
    """The whole way of an operation, beside a bare task."""
    from tests.bench import engine as part

    return part.measure(short=short)


def flat(short: bool) -> Measured:
    """What may not grow with what waits."""
    from tests.bench import flat as part

    return part.measure(short=short)


def delayed(short: bool) -> Measured:
    """A worker beside very many operations that are due much later."""
    from tests.bench import delayed as part

    return part.measure(short=short)


PARTS: dict[str, Callable[[bool], Measured]] = {
    "gate": gate,
    "claims": claims,
    "engine": engine,
    "flat": flat,
    "delayed": delayed,
}


def missed(figures: dict[str, float]) -> list[str]:
    """The names of the figures beyond their bars."""
    above = [name for name, bar in AT_MOST.items() if figures.get(name, bar) > bar]
    return above + [name for name, bar in AT_LEAST.items() if name not in above and figures.get(name, bar) < bar]


def _bars(name: str) -> str:
    signs = [f"{sign} {bars[name]:g}" for sign, bars in (("≤", AT_MOST), ("≥", AT_LEAST)) if name in bars]
    return " and ".join(signs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also to a file, with the raw ones and the machine")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="this part only (may be repeated)")
    parser.add_argument("--short", action="store_true", help="a tenth of the work: to see that a part runs")
    options = parser.parse_args(arguments)
    load_before = os.getloadavg()
    figures: dict[str, float] = {}
    raw: dict[str, object] = {}
    for name in options.only or PARTS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        more, more_raw = PARTS[name](options.short)
        figures |= more
        raw |= more_raw
    bad = missed(figures)
    for name, figure in figures.items():
        print(f"{name:<28} {figure:>12g}  {_bars(name)}{'  MISSED' if name in bad else ''}")
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load_before": load_before,
        "load": os.getloadavg(),
    }
    if options.json:
        options.json.write_text(json.dumps({**figures, "raw": raw, "machine": machine}, indent=2) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
