"""One CRM's records against what our database wants it to hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tests.evidence import Database, Row, moment

from .findings import SHOWN, Judged
from .leases import MARKER
from .vendors import Record, Vendor

ENDED = ("draft", "cancelled")
# A summary of a tour is a note there.
KIND_OF = {"summary": "note"}


class Books:
    """Both sides of one connection."""

    def __init__(
        self, judged: Judged, vendor: Vendor, connection: Row, crm: Mapping[str, Mapping[str, Record]], db: Database
    ) -> None:
        self.judged, self.vendor, self.crm = judged, vendor, crm
        number = int(connection["id"])
        refs = db.rows(f"SELECT * FROM integrations_externalref WHERE connection_id = {number}")  # noqa: S608
        self.refs = {(ref["resource"], ref["entity_id"]): ref for ref in refs}
        left = db.rows(f"SELECT * FROM integrations_leftout WHERE connection_id = {number}")  # noqa: S608
        self.left = {(row["entity_type"], row["entity_id"]) for row in left}
        self.since = moment(connection["sync_from"])

    def here(self, row: Row, kind: str) -> bool:
        """Whether a stop or an answer comes to this connection; `row` has tour_id, buyer_id and starts_at."""
        about = {(kind, row["id"]), ("stop", row["stop_id"]), ("tour", row["tour_id"]), ("contact", row["buyer_id"])}
        return moment(row["starts_at"]) >= self.since and not about & self.left

    def linked(self, resource: str, entity: int) -> str | None:
        """The id of our record there."""
        ref = self.refs.get((resource, entity))
        return ref["external_id"] if ref else None

    def marked(self, resource: str, entity: int) -> list[Record]:
        """The CRM's records with our marker, deleted ones apart. More than one of a kind is a double."""
        ref = self.refs.get((resource, entity))
        if ref is None:
            return []
        tag = f"[RR-{ref['marker']}]"
        found = [record for record in self._tagged.get(tag, ()) if not record.deleted]
        if len(found) > 1:
            self.judged.doubled += len(found) - 1
        return found

    def wrong(self, sentence: str) -> None:
        self.judged.wrong.append(sentence)

    def index(self) -> None:
        """File records by marker, once."""
        self._tagged: dict[str, list[Record]] = {}
        for records in self.crm.values():
            for record in records.values():
                for tag in set(MARKER.findall(str(record.body))):
                    self._tagged.setdefault(tag, []).append(record)


def compare(books: Books, database: Database) -> None:
    """Stops, buyers, answers, summaries and what belongs to nothing of ours."""
    books.index()
    buyers: dict[int, Row] = {}
    _stops(books, database, buyers)
    _answers(books, database, buyers)
    _summaries(books, database)
    _buyers(books, buyers)
    _strangers(books)


# --- stops ---------------------------------------------------------------------------------------------------------


def _stops(books: Books, database: Database, buyers: dict[int, Row]) -> None:
    judged = books.judged
    for stop in database.rows(
        "SELECT s.*, s.id AS stop_id, t.status AS tour_status, t.starts_at, t.buyer_id, c.email "
        "FROM integrations_tourstop s JOIN integrations_tour t ON t.id = s.tour_id "
        "JOIN integrations_contact c ON c.id = t.buyer_id"
    ):
        here = books.here(stop, "stop")
        live = here and stop["appointment_status"] in ("pending", "confirmed") and stop["tour_status"] not in ENDED
        wrong = _stop_fault(books, stop) if live else _standing(books, stop)
        if live:
            judged.live_stops += 1
            judged.right_stops += not wrong
            buyers[stop["buyer_id"]] = stop
        if wrong:
            books.wrong(f"stop {stop['id']}: {wrong}")
    judged.appointments = sum(map(books.vendor.stands, books.crm.get("appointment", {}).values()))


def _standing(books: Books, stop: Row) -> str:
    standing = [each for each in books.marked("appointment", stop["id"]) if books.vendor.stands(each)]
    return f"{len(standing)} appointments stand, none should" if standing else ""


def _stop_fault(books: Books, stop: Row) -> str:
    """What is wrong with a live stop's appointment; empty when nothing is."""
    marked = books.marked("appointment", stop["id"])
    if len(marked) != 1:
        return f"{len(marked)} appointments"
    (found,) = marked
    shown = books.vendor.shown(found)
    wanted: dict[str, object] = {
        "id": books.linked("appointment", stop["id"]),
        "contact": books.linked("contact", stop["buyer_id"]),
        "status": books.vendor.status_of(stop),
        "start": moment(stop["appointment_start"]),
        "end": moment(stop["appointment_end"]),
        "creations": 1,
        "told": False,
    }
    there: dict[str, object] = {
        "id": found.id,
        "contact": shown.contact,
        "status": shown.status,
        "start": shown.start,
        "end": shown.end,
        "creations": found.creations,
        "told": shown.told,
    }
    return "; ".join(f"{name} is {there[name]}, not {value}" for name, value in wanted.items() if there[name] != value)


# --- answers -------------------------------------------------------------------------------------------------------


def _answers(books: Books, database: Database, buyers: dict[int, Row]) -> None:
    """One note an answer; a task for exactly those that call for one."""
    judged = books.judged
    for said in database.rows(
        "SELECT f.*, s.tour_id, t.starts_at, t.buyer_id, c.email FROM integrations_feedback f "
        "JOIN integrations_tourstop s ON s.id = f.stop_id JOIN integrations_tour t ON t.id = s.tour_id "
        "JOIN integrations_contact c ON c.id = t.buyer_id"
    ):
        if not books.here(said, "feedback"):
            continue
        calls = (
            said["second_showing"] == "yes"
            or said["interest_level"] == "very_interested"
            or said["offer_likelihood"] in ("writing_offer", "likely")
        )
        wrong = _one(books, said, "note", "feedback")
        if calls:
            wrong += _one(books, said, "task", "feedback")
        elif said["version"] == 1 and (tasks := books.marked("task", said["id"])):
            wrong.append(f"{len(tasks)} tasks, none is called for")
        judged.answers += 1
        judged.calls_for_action += calls
        judged.right_answers += not wrong
        buyers[said["buyer_id"]] = said
        if wrong:
            books.wrong(f"answer {said['id']}: {'; '.join(wrong)}")
    notes = [record for record in books.crm.get("note", {}).values() if not record.deleted]
    summaries = {ref["external_id"] for (resource, _), ref in books.refs.items() if resource == "summary"}
    judged.summaries = sum(record.id in summaries for record in notes)
    judged.notes = len(notes) - judged.summaries
    judged.tasks = sum(not record.deleted for record in books.crm.get("task", {}).values())


def _one(books: Books, row: Row, resource: str, of: str) -> list[str]:
    """What is wrong with the one note or task that stands for a record of ours."""
    marked = books.marked(resource, row["id"])
    if len(marked) != 1:
        return [f"{len(marked)} {'notes' if resource == 'summary' else resource + 's'} of this {of}"]
    (found,) = marked
    wrong = []
    if found.id != books.linked(resource, row["id"]):
        wrong.append(f"its {resource} is {found.id}, linked is {books.linked(resource, row['id'])}")
    if books.vendor.contact_of(found) != books.linked("contact", row["buyer_id"]):
        wrong.append(f"its {resource} belongs to {books.vendor.contact_of(found)}")
    if found.creations != 1:
        wrong.append(f"its {resource} was created {found.creations} times")
    return wrong


def _summaries(books: Books, database: Database) -> None:
    """One note for each tour that is over and that something was said on."""
    for tour in database.rows(
        "SELECT t.id, t.id AS tour_id, 0 AS stop_id, t.starts_at, t.buyer_id FROM integrations_tour t "
        "WHERE t.status = 'completed' AND EXISTS (SELECT 1 FROM integrations_feedback f "
        "JOIN integrations_tourstop s ON s.id = f.stop_id WHERE s.tour_id = t.id)"
    ):
        if books.here(tour, "tour") and (wrong := _one(books, tour, "summary", "tour")):
            books.wrong(f"tour {tour['id']}: {'; '.join(wrong)}")


# --- buyers, and the rest ------------------------------------------------------------------------------------------


def _buyers(books: Books, buyers: Mapping[int, Row]) -> None:
    contacts = [record for record in books.crm.get("contact", {}).values() if not record.deleted]
    emails = Counter(map(books.vendor.email, contacts))
    by_id = {record.id: record for record in contacts}
    for buyer, row in buyers.items():
        record = by_id.get(books.linked("contact", buyer) or "")
        email = str(row["email"]).casefold()
        right = record is not None and record.creations == 1 and (not email or emails[email] == 1)
        books.judged.right_buyers += right
        if not right:
            books.wrong(f"buyer {buyer}: {record}, {emails[email]} with this e-mail")
    books.judged.buyers = len(buyers)
    books.judged.contacts = len(contacts)


def _strangers(books: Books) -> None:
    linked = {(KIND_OF.get(resource, resource), ref["external_id"]) for (resource, _), ref in books.refs.items()}
    for kind, records in books.crm.items():
        standing = [each.id for each in records.values() if not each.deleted]
        lost = [each for each in standing if (kind, each) not in linked]
        books.judged.unreferenced += len(lost)
        for each in lost[:SHOWN]:
            books.wrong(f"{kind} {each} in the CRM belongs to no record of ours")
