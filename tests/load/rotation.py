"""Ten thousand credentials are encrypted anew while they are used, read and renewed by other processes.

`python -m tests.load.rotation [--database postgres] [--credentials 10000]` prints what was seen and ends with 1 when a
call failed, a renewed token was lost or a row was left. The first run of `rotate_keys` is killed midway.
`seed`, `use` and `judge` are its parts, run in the environment that it makes.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections import Counter

OLD, NEW = "an-old-key-of-thirty-two-characters", "the-new-key-of-thirty-two-characters"
ACCOUNTS, USERS = 20, 2
MIDWAY = 0.05


def main() -> int:
    """The whole run."""
    from tests.bench import postgres
    from tests.bench.site import site, told

    options = ArgumentParser()
    options.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    options.add_argument("--credentials", type=int, default=10_000)
    chosen = options.parse_args()
    found: dict[str, object] = {"database": chosen.database, "load": os.getloadavg()}
    with site() as place:
        place.accounts(ACCOUNTS, latency_s=0.02)
        kind = "postgresql" if chosen.database == "postgres" else "sqlite"
        with place.database(kind, FERNET_KEYS=OLD, ROTATION_ROWS=str(chosen.credentials)) as environ:
            postgres.run(environ, "-m", "tests.load.rotation", "seed")
            both = environ | {"FERNET_KEYS": f"{NEW},{OLD}"}
            users = [postgres.begin(both, "-m", "tests.load.rotation", "use") for _ in range(USERS)]
            time.sleep(3)
            found["rows_when_killed"] = _killed(both, chosen.credentials)
            began = time.monotonic()
            found["said"] = postgres.run(both, "-m", "django", "rotate_keys").splitlines()
            found["seconds"] = round(time.monotonic() - began, 1)
            totals: Counter[str] = Counter()
            for user in users:
                said, _ = user.communicate("", timeout=120)
                totals.update(told(said))
            found |= totals
            left = environ | {"FERNET_KEYS": NEW}
            found["verified"] = postgres.run(left, "-m", "django", "rotate_keys", "--verify").splitlines()
            found |= told(postgres.run(left, "-m", "tests.load.rotation", "judge"))
    print(json.dumps(found, indent=1))
    lost = found["renewals"] != found["renewals_kept"]
    midway = 0 < int(str(found["rows_when_killed"])) < chosen.credentials
    return 1 if totals["failed"] or lost or not midway or not totals["calls"] else 0


def _killed(environ: dict[str, str], rows: int) -> int:
    """Kills a run once some are done; how many were by then."""
    child = subprocess.Popen([sys.executable, "-m", "django", "rotate_keys"], env=environ, stdout=subprocess.DEVNULL)
    _watched(environ, int(rows * MIDWAY))
    child.kill()
    child.wait()
    return _watched(environ, 0)


def _watched(environ: dict[str, str], until: int) -> int:
    from tests.bench import postgres

    return int(postgres.run(environ | {"ROTATION_UNTIL": str(until)}, "-m", "tests.load.rotation", "watch"))


def seed() -> None:
    """Connections, the first few of which have an account in the sandbox."""
    from django.utils import timezone

    from integrations.models import Connection

    Connection.objects.bulk_create(
        [
            Connection(
                provider="gohighlevel",
                label=f"Account {number}",
                sync_from=timezone.now(),
                account_key=f"loc_bench{number}",
                config={"location_id": f"loc_bench{number}", "calendar_id": "cal"},
                secrets={"token": f"pit-bench-{number}", "renewed": 0},
            )
            for number in range(int(os.environ["ROTATION_ROWS"]))
        ],
        batch_size=500,
    )


def watch() -> None:
    """Waits until so many are under the new key; prints how many."""
    from integrations.fields import master_keys
    from integrations.models import Connection
    from integrations.sealing import is_under

    while True:
        every = Connection.objects.values_list("secrets", flat=True)
        done = sum(is_under(one.stored, master_keys()[0]) for one in every)
        if done >= int(os.environ["ROTATION_UNTIL"]):
            print(done)
            return


def use() -> None:
    """Reads, calls and renews until its input ends; prints how often, and how often it failed."""
    from integrations import wiring
    from integrations.models import Connection

    numbers = dict(Connection.objects.values_list("pk", "label"))
    accounts = [pk for pk, label in numbers.items() if int(label.split()[1]) < ACCOUNTS]
    dice, done = random.Random(os.getpid()), Counter({"reads": 0, "calls": 0, "renewals": 0, "failed": 0})  # noqa: S311
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            pk = dice.choice(list(numbers))
            store = wiring.DatabaseCredentialStore(pk)
            loaded = store.load()
            done["reads"] += 1
            if loaded.secrets["token"] != f"pit-bench-{numbers[pk].split()[1]}":
                raise AssertionError("the credentials of another")
            if done["reads"] % 5 == 0:
                renewed = {**loaded.secrets, "renewed": int(loaded.secrets["renewed"]) + 1}
                done["renewals"] += store.save(renewed, None, version=loaded.version)
            if done["reads"] % 10 == 0:
                wiring.link(Connection.objects.get(pk=dice.choice(accounts))).verify(within_s=30)
                done["calls"] += 1
        except Exception as error:  # noqa: BLE001  counted and said: what fails here is what the run is about
            done["failed"] += 1
            print(repr(error), file=sys.stderr)
    print(json.dumps(done))


def judge() -> None:
    """How many renewals stand in the rows."""
    from integrations.models import Connection

    kept = sum(int(one.secrets["renewed"]) for one in Connection.objects.all())
    print(json.dumps({"renewals_kept": kept}))


if __name__ == "__main__":
    parts = {"seed": seed, "use": use, "watch": watch, "judge": judge}
    if sys.argv[1:2] and sys.argv[1] in parts:
        import django

        django.setup()
        parts[sys.argv[1]]()
    else:
        sys.exit(main())
