"""`manage.py chaos`: a brokerage at work while everything under it fails, or the table of deaths, or a measure."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reanna.testing.cluster import ClusterError
from tests.chaos import measures, storm
from tests.chaos.ground import DATABASES, ground

# A minute's worth, unless said otherwise.
KILLS, FREEZES, WIPES, CRASHES = 8, 1, 0.3, 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, tell: 1 when something is wrong, 2 when it cannot be run here."""
    parser = argparse.ArgumentParser(prog="manage.py chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--seed", type=int, default=1, help="the same seed stages the same faults")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="staff work for so long (default 3)")
    length.add_argument("--operations", type=int, help="staff work until there were so many operations")
    parser.add_argument("--kills", type=int, help="SIGKILLs of a worker")
    parser.add_argument("--freezes", type=int, help="workers frozen beyond their lease")
    parser.add_argument("--wipes", type=int, help="times Redis forgets everything")
    parser.add_argument("--crashes", type=int, help="times PostgreSQL ends as by pg_ctl stop -m immediate")
    parser.add_argument("--lease", type=float, default=storm.LEASE_S, metavar="S", help="seconds (default %(default)s)")
    parser.add_argument("--measure", choices=sorted(measures.MEASURES), help="only this figure, without any faults")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="a new folder, kept afterwards (default: none is)")
    options = parser.parse_args(arguments)
    measured = options.measure is not None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="reanna-chaos-", dir="/tmp") as temporary,
            ground(
                options.database,
                measures.FIGURES if measured else storm.FIGURES | {"REANNA_LEASE_S": options.lease},
                options.folder or Path(temporary) / "data",
            ) as site,
        ):
            site.prepare()
            if measured:
                figures = measures.MEASURES[options.measure](site)
                good, words = bool(figures["good"]), json.dumps(figures, indent=1)
            else:
                outcome = storm.Storm(site, _plan(options), said=lambda line: print(line, flush=True)).run()
                figures, good, words = asdict(outcome), outcome.good, storm.text(outcome)
    except (ClusterError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(words)
    print("good" if good else "NOT GOOD")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, default=str) + "\n")
    return 0 if good else 1


def _plan(options: argparse.Namespace) -> storm.Plan:
    minutes = options.minutes if options.minutes or options.operations else 3.0
    # So many operations take about so long: their limits see to it.
    length = minutes or options.operations / 700

    def number(given: int | None, a_minute: float) -> int:
        return given if given is not None else max(1, round(a_minute * length))

    return storm.Plan(
        seed=options.seed,
        operations=options.operations,
        minutes=minutes,
        kills=number(options.kills, KILLS),
        freezes=number(options.freezes, FREEZES),
        wipes=number(options.wipes, WIPES),
        crashes=number(options.crashes, CRASHES),
        lease_s=options.lease,
    )


if __name__ == "__main__":
    sys.exit(main())
