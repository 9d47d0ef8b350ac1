"""Made-up months of a brokerage, as rows: tours, what was said after them, and what became of it in each CRM.

Everything follows from the seed and the moment handed in. Nobody in it exists: addresses are `.example`, numbers 555.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from integrations.models import (
    Agent,
    AuditEvent,
    Connection,
    Contact,
    Feedback,
    ImportItem,
    ImportRun,
    Tour,
    TourStop,
)

from .load_operations import Effects, Entity
from .load_rows import Ids, Rows

DAYS_BACK, DAYS_AHEAD = 95, 14
ZONES = tuple(ZoneInfo(name) for name in ("America/Los_Angeles", "America/Denver", "America/Phoenix"))
FIRST = "Ana Bo Cleo Dax Edda Finn Gia Hugo Ines Jonas Kaya Leon Mira Nils Odile Piet Quin Rosa Sven Tara".split()
LAST = "Albrecht Bianchi Castell Dahl Ekström Farkas Grau Holm Ibarra Jansen Kovač Lund Moreau Novak Okafor".split()
STREETS = "Alder Birch Cedar Dogwood Elm Fir Ginkgo Hazel Juniper Larch Maple Oak Poplar Rowan Spruce Willow".split()
CITIES = (("Sacramento", "CA", "958"), ("Boulder", "CO", "803"), ("Phoenix", "AZ", "850"))
LIKES = ("light rooms", "the garden", "quiet street", "new kitchen", "close to school")
DISLIKES = ("small bedrooms", "busy road", "old roof", "no garage")
STAFF = ("dora", "emil", "frida", "")
IMPORT_EVERY = 200
"""So many tours come from one file, every second such lot."""


@dataclass(frozen=True, slots=True)
class Buyer:
    id: int
    linked: dict[int, Entity]
    """connection id → its buyer operation there"""


class Story:
    """Adds a tour with everything that hangs on it; `write` stores what was added."""

    def __init__(
        self, rng: Random, now: datetime, run: int, agents: Sequence[Agent], connections: Sequence[Connection],
        effects: Effects,
    ) -> None:  # fmt: skip
        self._rng, self._now, self._run = rng, now, run
        self._agents, self._connections, self._effects = agents, connections, effects
        self._tours_made = 0
        self._known: deque[Buyer] = deque(maxlen=400)
        self._import: int | None = None
        self._tour_ids, self._stop_ids = Ids(Tour, 100), Ids(TourStop, 400)
        self._contact_ids, self._feedback_ids = Ids(Contact, 100), Ids(Feedback, 400)
        made = ("created_at", "updated_at")
        self._contacts = Rows(Contact, "id", *made, "first_name", "last_name", "email", "phone", "version")
        self._tours = Rows(
            Tour, "id", *made, "reference", "title", "status", "time_zone", "starts_at", "agent_id", "buyer_id",
            "notes", "version",
        )  # fmt: skip
        self._stops = Rows(
            TourStop, "id", *made, "tour_id", "sequence", "listing_key", "listing_id", "street", "city", "state",
            "postal_code", "list_price", "bedrooms", "bathrooms", "living_area", "property_type", "appointment_start",
            "appointment_end", "appointment_status", "outcome", "showing_method", "request_type",
            "access_instructions", "version",
        )  # fmt: skip
        self._feedback = Rows(
            Feedback, "id", *made, "stop_id", "author_role", "submitted_at", "channel", "interest_level",
            "overall_rating", "price_opinion", "second_showing", "offer_likelihood", "likes", "dislikes", "comments",
            "share_with_seller", "version",
        )  # fmt: skip
        self._events = Rows(
            AuditEvent, "at", "actor", "via", "verb", "object_type", "object_id", "object_label", "before", "after",
            "reason",
        )  # fmt: skip
        self._items = Rows(ImportItem, "run_id", "entity_type", "entity_id", "created")

    def write(self) -> None:
        """What hangs on something after what it hangs on."""
        for rows in (self._contacts, self._tours, self._stops, self._feedback, self._items):
            rows.write()
        self._effects.write()
        self._events.write()

    # --- one tour -----------------------------------------------------------------------------------------------

    def add_tour(self) -> None:
        """The next one."""
        rng, number = self._rng, self._tours_made
        if number % IMPORT_EVERY == 0:
            self._import = self._import_run(number) if number // IMPORT_EVERY % 2 == 0 else None
        self._tours_made += 1
        place = rng.randrange(len(ZONES))
        starts = self._start(ZONES[place])
        planned = min(starts, self._now) - timedelta(hours=rng.uniform(2, 120))
        agent = rng.choice(self._agents)
        served = [each for each in self._connections if each.office_id in (None, agent.office_id)]
        buyer = self._buyer(planned)
        pk, reference = self._tour_ids.next(), f"LOAD-{self._run}-{number + 1}"
        over = starts < self._now - timedelta(hours=10)
        status = rng.choices(("completed", "cancelled"), (92, 8))[0] if over else "scheduled"
        homes = rng.randint(1, 6)
        title = f"{homes} homes"
        zone = ZONES[place].key
        changed = starts if over else planned
        self._tours.add(
            pk, planned, changed, reference, title, status, zone, starts, agent.pk, buyer.id, "", rng.randint(1, 3)
        )
        self._note(planned, "tour.create", "tour", pk, reference, {"title": title, "status": "scheduled"})
        if over:
            self._note(changed, f"tour.{status}", "tour", pk, reference, {"status": status}, {"status": "scheduled"})
        self._item("tour", pk)
        for each in served:
            if each.pk not in buyer.linked:
                buyer.linked[each.pk] = self._effects.buyer(each, buyer.id, planned, self._import)
        said = False
        for sequence in range(1, homes + 1):
            said |= self._stop(pk, reference, sequence, place, starts, planned, over, status, buyer, served)
        if said and status == "completed":
            for each in served:
                self._effects.after_buyer(each, "tour.summary", pk, starts, buyer.linked[each.pk], versions=1)

    def _start(self, zone: ZoneInfo) -> datetime:
        day = self._now.astimezone(zone) + timedelta(days=self._rng.randint(-DAYS_BACK, DAYS_AHEAD))
        return day.replace(hour=self._rng.randint(9, 16), minute=self._rng.choice((0, 30)), second=0, microsecond=0)

    def _buyer(self, when: datetime) -> Buyer:
        rng = self._rng
        if self._known and rng.random() < 0.3:
            return rng.choice(self._known)
        pk = self._contact_ids.next()
        first, last = rng.choice(FIRST), rng.choice(LAST)
        email = f"{first}.{last}.{self._run}.{pk}@mail.example".lower()
        phone = f"+1{rng.choice((916, 303, 602))}555{rng.randrange(10_000):04}"
        self._contacts.add(pk, when, when, first, last, email, phone, 1)
        self._item("contact", pk)
        buyer = Buyer(pk, {})
        self._known.append(buyer)
        return buyer

    def _stop(
        self, tour_id: int, reference: str, sequence: int, place: int, tour_starts: datetime, planned: datetime,
        over: bool, tour_status: str, buyer: Buyer, served: Sequence[Connection],
    ) -> bool:  # fmt: skip
        """Whether something was said after it."""
        rng = self._rng
        pk, starts = self._stop_ids.next(), tour_starts + timedelta(hours=sequence - 1)
        status = rng.choices(("confirmed", "pending", "denied", "cancelled"), (80, 0 if over else 30, 4, 6))[0]
        showed = over and tour_status == "completed" and status == "confirmed"
        outcome = rng.choices(("showed", "no_show"), (93, 7))[0] if showed else "none"
        city, state, postal = CITIES[place]
        street = f"{rng.randint(1, 9999)} {rng.choice(STREETS)} {rng.choice(('St', 'Ave', 'Ct', 'Ln'))}"
        versions = rng.choices((1, 2, 3), (6, 3, 1))[0]
        self._stops.add(
            pk, planned, max(planned, min(starts, self._now)), tour_id, sequence, f"L{pk}", f"M{pk}", street, city,
            state, f"{postal}{rng.randrange(100):02}", rng.randrange(250, 2500) * 1000, rng.randint(1, 6),
            rng.randint(1, 4),
            rng.randrange(600, 5000), "Residential", starts, starts + timedelta(minutes=30), status, outcome,
            "in_person", "first", "", versions,
        )  # fmt: skip
        self._item("tourstop", pk)
        if versions > 1:
            self._note(planned, "stop.status", "tour", tour_id, reference, {"appointment_status": status})
        for each in served:
            self._effects.after_buyer(
                each, "appointment.sync", pk, starts, buyer.linked[each.pk], versions=versions, planned=planned,
                import_run=self._import,
            )  # fmt: skip
        if outcome != "showed" or rng.random() < 0.3:
            return False
        self._answer(pk, starts, buyer, served)
        return True

    def _answer(self, stop_id: int, starts: datetime, buyer: Buyer, served: Sequence[Connection]) -> None:
        rng, pk = self._rng, self._feedback_ids.next()
        when = starts + timedelta(hours=rng.uniform(1, 8))
        interest = rng.choices(("very_interested", "interested", "unsure", "not_interested"), (15, 30, 25, 30))[0]
        self._feedback.add(
            pk, when, when, stop_id, rng.choice(("buyer", "buyer_agent")), when, rng.choice(("form", "sms", "import")),
            interest, rng.randint(1, 5), rng.choice(("fair", "too_high", "no_opinion")), "", "",
            [rng.choice(LIKES)], [rng.choice(DISLIKES)], "Said on the way out.", False, 1,
        )  # fmt: skip
        self._item("feedback", pk)
        for each in served:
            link = buyer.linked[each.pk]
            self._effects.after_buyer(each, "feedback.note", pk, when, link, versions=1)
            if interest == "very_interested":
                self._effects.after_buyer(each, "feedback.task", pk, when, link, versions=1)

    # --- what people and files did ------------------------------------------------------------------------------

    def _import_run(self, number: int) -> int:
        run = ImportRun.objects.create(
            kind="tours", file_name=f"load-{self._run}-{number}.csv", file_hash=f"{self._run:032}{number:032}",
            state=ImportRun.State.DONE, actor="dora", rows=4 * IMPORT_EVERY, next_row=4 * IMPORT_EVERY + 2,
            created_count=IMPORT_EVERY, ended_at=self._now,
        )  # fmt: skip
        return int(run.pk)

    def _item(self, entity_type: str, entity_id: int) -> None:
        if self._import is not None and entity_type != "feedback":
            self._items.add(self._import, entity_type, entity_id, True)

    def _note(
        self, at: datetime, verb: str, kind: str, pk: int, label: str, after: dict[str, str],
        before: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        actor = self._rng.choice(STAFF)
        via = "admin" if actor else "system"
        self._events.add(at, actor, via, verb, kind, pk, label, before, after, "")
