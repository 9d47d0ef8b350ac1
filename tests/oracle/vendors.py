"""How each vendor's requests read: what an appointment says, whose a record is, what may never be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from tests.evidence import Row

NO_RECORDS = frozenset({"tag", "token", "customField"})


@dataclass
class Record:
    """One record of the CRM, put together from the effects in the journal. `path`: of the request that created it."""

    id: str
    creations: int = 0
    writes: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Shown:
    """What an appointment says."""

    contact: str
    start: datetime
    end: datetime
    status: str
    told: bool


class Vendor(Protocol):
    """`limit` requests in any `window_s` are documented; `paths`: method, path and resource of writes."""

    slug: ClassVar[str]
    limit: ClassVar[int]
    window_s: ClassVar[float]
    paths: ClassVar[Sequence[tuple[str, str, str]]]

    def shown(self, record: Record) -> Shown: ...

    def status_of(self, stop: Row) -> str:
        """What the appointment of a live stop should say."""
        ...

    def stands(self, record: Record) -> bool: ...

    def email(self, record: Record) -> str: ...

    def contact_of(self, record: Record) -> str:
        """Whose a note or a task is."""
        ...


class GoHighLevel:
    """https://github.com/GoHighLevel/highlevel-api-docs"""

    slug = "gohighlevel"
    limit, window_s = 100, 10.0
    paths = (
        ("POST", r"/contacts/?$", "contact"),
        ("PUT", r"/contacts/([^/]+)$", "contact_fields"),
        ("POST", r"/contacts/([^/]+)/tags$", "contact_fields"),
        ("PUT", r"/calendars/events/appointments/([^/]+)$", "appointment"),
        ("PUT", r"/contacts/[^/]+/notes/([^/]+)$", "note"),
        ("PUT", r"/contacts/[^/]+/tasks/([^/]+)$", "task"),
    )

    def shown(self, record: Record) -> Shown:
        body = record.body
        return Shown(
            body["contactId"],
            datetime.fromisoformat(body["startTime"]),
            datetime.fromisoformat(body["endTime"]),
            body["appointmentStatus"],
            body["toNotify"],
        )

    def status_of(self, stop: Row) -> str:
        outcome = {"showed": "showed", "no_show": "noshow"}.get(stop["outcome"])
        return outcome or {"pending": "new", "confirmed": "confirmed"}[stop["appointment_status"]]

    def stands(self, record: Record) -> bool:
        return not record.deleted and record.body["appointmentStatus"] != "cancelled"

    def email(self, record: Record) -> str:
        return str(record.body.get("email") or "").casefold()

    def contact_of(self, record: Record) -> str:
        found = re.search(r"/contacts/([^/]+)/", record.path)
        return found.group(1) if found else ""


class HubSpot:
    """https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines; records are their properties."""

    slug = "hubspot"
    limit, window_s = 100, 10.0
    paths = (
        ("POST", r"/objects/contacts$", "contact"),
        ("PATCH", r"/objects/contacts/([^/]+)$", "contact_fields"),
        ("PATCH", r"/objects/meetings/([^/]+)$", "appointment"),
        ("PATCH", r"/objects/notes/([^/]+)$", "note"),
        ("PATCH", r"/objects/tasks/([^/]+)$", "task"),
    )

    def shown(self, record: Record) -> Shown:
        told = properties_of(record.body)
        start, end = (datetime.fromisoformat(told[f"hs_meeting_{name}_time"]) for name in ("start", "end"))
        asked = str(told["hs_meeting_title"]).startswith("Not confirmed yet · ")
        status = "not confirmed yet" if asked else str(told["hs_meeting_outcome"])
        return Shown(self.contact_of(record), start, end, status, "hs_attendee_owner_ids" in told)

    def status_of(self, stop: Row) -> str:
        outcome = {"showed": "COMPLETED", "no_show": "NO_SHOW"}.get(stop["outcome"])
        return outcome or {"pending": "not confirmed yet", "confirmed": "SCHEDULED"}[stop["appointment_status"]]

    def stands(self, record: Record) -> bool:
        return not record.deleted and properties_of(record.body).get("hs_meeting_outcome") != "CANCELED"

    def email(self, record: Record) -> str:
        return str(properties_of(record.body).get("email") or "").casefold()

    def contact_of(self, record: Record) -> str:
        ids = [one["to"]["id"] for one in record.body.get("associations", ())]
        return str(ids[0]) if ids else ""


class Rollout:
    """https://rollout.com/docs/getting-started/making-api-requests; its appointments have no status: words say it."""

    slug = "rollout"
    limit, window_s = 50, 1.0
    paths = (
        ("POST", r"/people$", "contact"),
        ("PUT", r"/people/([^/]+)$", "contact_fields"),
        ("POST", r"/people/([^/]+)/tags/apply$", "contact_fields"),
        ("POST", r"/appointment-types$", "appointment_type"),
        ("PUT", r"/appointments/([^/]+)$", "appointment"),
        ("DELETE", r"/appointments/([^/]+)$", "appointment"),
        ("PUT", r"/notes/([^/]+)$", "note"),
        ("PUT", r"/tasks/([^/]+)$", "task"),
    )

    def shown(self, record: Record) -> Shown:
        body = record.body
        start, end = datetime.fromisoformat(body["startsAt"]), datetime.fromisoformat(body["endsAt"])
        status = str(body["description"]).partition("\n")[0].rpartition(": ")[2].rstrip(".")
        return Shown(body["personId"], start, end, status, bool(body.get("invitees")))

    def status_of(self, stop: Row) -> str:
        outcome = {"showed": "showed", "no_show": "no-show"}.get(stop["outcome"])
        return outcome or {"pending": "not confirmed yet", "confirmed": "confirmed"}[stop["appointment_status"]]

    def stands(self, record: Record) -> bool:
        return not record.deleted

    def email(self, record: Record) -> str:
        emails = record.body.get("emails") or [{}]
        return str(emails[0].get("value") or "").casefold()

    def contact_of(self, record: Record) -> str:
        return str(record.body.get("personId", ""))


class Lofty:
    """https://developer.lofty.com/authentication/overview; words say the status, and what is off is deleted."""

    slug = "lofty"
    limit, window_s = 500, 60.0
    paths = (
        ("POST", r"/v1\.0/leads$", "contact"),
        ("PUT", r"/v1\.0/leads/([^/]+)$", "contact_fields"),
        ("PUT", r"/v2\.0/calendar/([^/]+)$", "appointment"),
        ("DELETE", r"/v2\.0/calendar/([^/]+)$", "appointment"),
        ("PUT", r"/v1\.0/notes/([^/]+)$", "note"),
        ("PUT", r"/v2\.0/tasks/([^/]+)$", "task"),
    )

    def shown(self, record: Record) -> Shown:
        body = record.body
        start, end = datetime.fromisoformat(body["startAt"]), datetime.fromisoformat(body["endAt"])
        (told,) = re.findall(r"^Tour .*: (.+)\.$", body["content"], re.MULTILINE)
        return Shown(str(body["leadId"]), start, end, told, False)

    def status_of(self, stop: Row) -> str:
        outcome = {"showed": "showed", "no_show": "no-show"}.get(stop["outcome"])
        return outcome or {"pending": "not confirmed yet", "confirmed": "confirmed"}[stop["appointment_status"]]

    def stands(self, record: Record) -> bool:
        return not record.deleted

    def email(self, record: Record) -> str:
        return str((record.body.get("emails") or [""])[0]).casefold()

    def contact_of(self, record: Record) -> str:
        return str(record.body.get("leadId", ""))


class FollowUpBoss:
    """https://docs.followupboss.com/reference/rate-limiting; words say the status, and what is off is deleted."""

    slug = "followupboss"
    limit, window_s = 250, 10.0
    paths = (
        ("POST", r"/people$", "contact"),
        ("PUT", r"/people/([^/]+)$", "contact_fields"),
        ("PUT", r"/appointments/([^/]+)$", "appointment"),
        ("DELETE", r"/appointments/([^/]+)$", "appointment"),
        ("PUT", r"/notes/([^/]+)$", "note"),
        ("PUT", r"/tasks/([^/]+)$", "task"),
    )

    def shown(self, record: Record) -> Shown:
        body = record.body
        start, end = datetime.fromisoformat(body["start"]), datetime.fromisoformat(body["end"])
        (person,) = [one["personId"] for one in body["invitees"] if "personId" in one]
        status = str(body["description"]).partition("\n")[0].rpartition(": ")[2].rstrip(".")
        return Shown(str(person), start, end, status, bool(body.get("sendInvitation")))

    def status_of(self, stop: Row) -> str:
        outcome = {"showed": "showed", "no_show": "no-show"}.get(stop["outcome"])
        return outcome or {"pending": "not confirmed yet", "confirmed": "confirmed"}[stop["appointment_status"]]

    def stands(self, record: Record) -> bool:
        return not record.deleted

    def email(self, record: Record) -> str:
        emails = record.body.get("emails") or [{}]
        return str(emails[0].get("value") or "").casefold()

    def contact_of(self, record: Record) -> str:
        return str(record.body.get("personId", ""))


VENDORS: Mapping[str, Vendor] = {
    vendor.slug: vendor for vendor in (FollowUpBoss(), GoHighLevel(), HubSpot(), Lofty(), Rollout())
}


def properties_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """HubSpot's properties, of which a request names those that it changes."""
    found = body.get("properties")
    return found if isinstance(found, dict) else {}


def crm_of(rows: Sequence[Row]) -> dict[str, dict[str, Record]]:
    """Kind → id → record, as the effects made them; a deleted record stays, marked as such."""
    records: dict[str, dict[str, Record]] = {}
    for row in rows:
        effect = row["effect"]
        if effect is None or effect["kind"] in NO_RECORDS:
            continue
        record = records.setdefault(effect["kind"], {}).setdefault(effect["id"], Record(effect["id"]))
        if effect["op"] == "create":
            record.creations += 1
            record.path = row["path"]
        record.writes += 1
        record.deleted = effect["op"] == "delete"
        if isinstance(row["body"], dict):
            told = {**properties_of(record.body), **properties_of(row["body"])}
            record.body.update({**row["body"], **({"properties": told} if told else {})})
    return records


def takes_away(row: Row) -> bool:
    """Whether a request takes tags from a person, or sets them anew: they are only ever added."""
    if "/tags" in row["path"]:
        return bool(row["method"] == "DELETE" or row["path"].endswith("/tags/delete"))
    people = re.search(r"/(contacts|leads|people)/[^/]+$", row["path"]) is not None
    body = row["body"] if isinstance(row["body"], dict) else {}
    added = row["query"].get("mergeTags") == "true"
    return row["method"] == "PUT" and people and "tags" in body and not added
