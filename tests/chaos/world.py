"""A brokerage with three CRMs, and staff who save, move, cancel and note things all the time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.ground import Site

ACCOUNTS = ("loc_north", "loc_south")
CREDENTIAL = "cred_all"
STOPS = 8
MOVE_MIN = 15
MOVED_SHARE, NOTED_SHARE, CANCELLED_SHARE = 0.25, 0.10, 0.02
SAID_AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)


def connect(site: Site) -> list[Any]:
    """Two accounts at GoHighLevel and one behind Rollout, each for the whole brokerage."""
    from tests.crm import make_connection, make_rollout_connection

    made = []
    for account in ACCOUNTS:
        site.sandbox.account(account, token=f"pit-{account}-token", calendar=f"cal_{account}")
        config = {"location_id": account, "calendar_id": f"cal_{account}"}
        made.append(make_connection(account_key=account, config=config, secrets={"token": f"pit-{account}-token"}))
    site.sandbox.rollout(CREDENTIAL)
    made.append(make_rollout_connection(credential_id=CREDENTIAL))
    return made


class Staff:
    """Whoever uses the product. What they do is the seed's; each call is one transaction, as a page's would be."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"staff {seed}")  # noqa: S311  to be repeated, not to be secret
        self._day = (datetime.now(UTC) + timedelta(days=1)).replace(hour=17, minute=0, second=0, microsecond=0)
        self._tours: list[int] = []

    def act(self) -> None:
        """A new tour, or a change of one. Appointments only ever move forward: what comes out of order shows."""
        chance = self._random.random()
        if len(self._tours) < 5 or chance > MOVED_SHARE + NOTED_SHARE + CANCELLED_SHARE:
            self._new()
        elif chance < MOVED_SHARE:
            self._move()
        elif chance < MOVED_SHARE + NOTED_SHARE:
            self._note()
        else:
            self._cancel()

    def _new(self) -> None:
        from tests.crm import make_tour

        tour = make_tour(self._day + timedelta(days=len(self._tours) % 300), stops=STOPS)
        self._tours.append(tour.pk)
        plan(tour.pk)

    def _stop(self) -> Any:
        from integrations.models import TourStop

        tour = self._random.choice(self._tours)
        return TourStop.objects.get(tour_id=tour, sequence=self._random.randint(1, STOPS))

    def _move(self) -> None:
        from tests.crm import move

        stop = self._stop()
        move(stop, MOVE_MIN)
        plan(stop.tour_id)

    def _cancel(self) -> None:
        stop = self._stop()
        if stop.appointment_status == "confirmed":
            stop.appointment_status, stop.version = "cancelled", stop.version + 1
            stop.save()
            plan(stop.tour_id)

    def _note(self) -> None:
        from integrations.operations.feedback import save_feedback
        from integrations.operations.validation import FeedbackInput

        words = {"interest_level": "interested", "comments": "Light all day."}
        save_feedback(self._stop().pk, FeedbackInput("buyer", SAID_AT, words), actor="ann", via="api")


def plan(*tours: int) -> None:
    """What saving a tour plans."""
    from django.db import transaction

    from integrations.models import Tour
    from integrations.operations import planning

    with transaction.atomic():
        planning.plan_tours(list(Tour.objects.select_related("agent").filter(pk__in=tours)))


def inversions(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Appointments that were told an earlier time after a later one: `Staff` moves them forward only."""
    last: dict[str, datetime] = {}
    found = []
    for row in rows:
        body = row["body"] if isinstance(row["body"], dict) else {}
        told = body.get("startTime") or body.get("startsAt")
        if not (row["effect"] and row["effect"]["kind"] == "appointment" and told):
            continue
        at, of = datetime.fromisoformat(told), row["effect"]["id"]
        if of in last and at < last[of]:
            found.append(f"request {row['seq']} moves {of} back from {last[of]} to {at}")
        last[of] = at
    return found
