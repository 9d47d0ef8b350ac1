"""What merging two buyers would do, read from the rows as they are: nothing is written here.

One buyer, the *survivor*, stands for both afterwards; the other, the *merged*, is archived and points to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from integrations.engine.verdict import Fact
from integrations.models import (
    OPEN,
    Connection,
    Contact,
    ExternalRef,
    Feedback,
    ImportItem,
    LeftOut,
    Operation,
    State,
    Tour,
    TourStop,
)

from . import left_out, wording
from .refusals import NotPossible

FIELDS = ("first_name", "last_name", "email", "phone")
SURVIVOR, MERGED = "survivor", "merged"
PICKS = ((SURVIVOR, SURVIVOR), (MERGED, MERGED))
"""Whose value stays, as choices."""
FOREVER = "This cannot be undone: what came together here is not told apart again."
_LINKS = ("contact", "contact_fields")
MOST_SUGGESTED = 20


class Links(StrEnum):
    """Who of the two is linked in a CRM."""

    NEITHER = "neither"
    KEPT = "kept"  # only the survivor
    TAKEN = "taken"  # only the merged one: the survivor takes the link
    APART = "apart"  # both, to different people there


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a buyer. `asked`: both have a value and they differ, so that a person picks which stays."""

    name: str
    label: str
    survivor: str
    merged: str
    asked: bool

    def value(self, pick: str) -> str:
        """What stays: of two values the one that was picked, else the one there is."""
        if self.asked:
            return self.merged if pick == MERGED else self.survivor
        return self.survivor or self.merged


@dataclass(frozen=True, slots=True)
class There:
    """What the merge means at one connection. `under`: records that stay under the merged one's person there."""

    connection_id: int
    label: str
    links: Links
    survivor_id: str
    merged_id: str
    under: int
    left_out: str
    cancelled: int
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MergePlan:
    """All of it. `refusals`: why it cannot be done just now; empty when it can."""

    survivor: Contact
    merged: Contact
    fields: tuple[Field, ...]
    tours: int
    further: int
    feedback: int
    import_items: int
    ended: int
    places: tuple[There, ...]
    refusals: tuple[str, ...]

    @property
    def seen(self) -> str:
        """A text that changes with whatever a person was shown."""
        told = (
            [(buyer.pk, buyer.version, buyer.archived_at, buyer.merged_into_id) for buyer in self.buyers],
            self.fields, self.tours, self.further, self.feedback, self.import_items, self.places,
        )  # fmt: skip
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    @property
    def buyers(self) -> tuple[Contact, Contact]:
        return self.survivor, self.merged

    @property
    def moves(self) -> tuple[str, ...]:
        """What comes to the survivor, in words."""
        survivor = f"“{self.survivor}”"
        lines = [
            (self.tours, "tour with its stops", "tours with their stops", f"of {survivor} from now on"),
            (self.feedback, "answer after a showing", "answers after showings", "with the tours"),
            (self.further, "tour as a further buyer", "tours as a further buyer", f"names {survivor} instead"),
            (self.import_items, "record of an import", "records of imports", f"shown with {survivor}"),
        ]
        told = [f"{_count(number, one, many)}: {what}." for number, one, many, what in lines if number]
        if self.ended:
            waiting = _count(self.ended, "waiting operation", "waiting operations")
            told.append(f"{waiting} about “{self.merged}” itself: replaced by what {survivor} has or gets.")
        return tuple(told)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A buyer who may be the same person. `why`: what they have in common, in words."""

    contact: Contact
    why: str


def suggestions(contact: Contact) -> list[Suggestion]:
    """Who has the same e-mail address, phone number or name; most in common first. One query."""
    same = Q(pk__in=())
    if contact.email:
        same |= Q(email__iexact=contact.email)
    if contact.phone:
        same |= Q(phone=contact.phone)
    if contact.full_name:
        same |= Q(first_name__iexact=contact.first_name, last_name__iexact=contact.last_name)
    rows = Contact.objects.filter(same, merged_into=None).exclude(pk=contact.pk).order_by("pk")[:MOST_SUGGESTED]
    found = [(_common(contact, other), other) for other in rows]
    found.sort(key=lambda pair: -len(pair[0]))
    return [Suggestion(other, f"same {', '.join(common)}") for common, other in found]


def _common(one: Contact, other: Contact) -> list[str]:
    names = [("e-mail", "email"), ("phone", "phone"), ("name", "full_name")]
    values = [(word, str(getattr(one, name)).casefold(), str(getattr(other, name)).casefold()) for word, name in names]
    return [word for word, ours, theirs in values if ours and ours == theirs]


def linked_first(one: Contact, other: Contact) -> tuple[Contact, Contact]:
    """Who of the two should rather stay: the one more CRMs know, else the older; then the other."""
    refs = ExternalRef.objects.filter(entity_type="contact", resource="contact", external_id__isnull=False)
    known = list(refs.filter(entity_id__in=(one.pk, other.pk)).values_list("entity_id", flat=True))
    first, second = sorted((one, other), key=lambda contact: (-known.count(contact.pk), contact.pk))
    return first, second


def found_twice(operation: Operation) -> tuple[int, int] | None:
    """(who asks, who is linked) of a `mapped_elsewhere` about a buyer; None when the other cannot be told any more."""
    if (operation.entity_type, operation.reason) != ("contact", str(Fact.MAPPED_ELSEWHERE)):
        return None
    external_id = operation.message.split(" is linked to ")[0]
    mine = ExternalRef.objects.filter(connection=operation.connection_id, resource="contact", entity_type="contact")
    other = mine.filter(external_id=external_id).exclude(entity_id=operation.entity_id).first()
    if other is None:
        return None
    linked = Contact.objects.select_related("merged_into").filter(pk=other.entity_id).first()
    if linked is None or linked.survivor.pk == operation.entity_id:
        return None
    return operation.entity_id, linked.survivor.pk


def plan_merge(merged_id: int, survivor_id: int) -> MergePlan:
    """What merging the one into the other would do now.

    Raises ValidationError naming `into`, Contact.DoesNotExist; NotPossible when either was merged already.
    """
    if merged_id == survivor_id:
        raise ValidationError({"into": ["Choose another buyer than this one."]})
    both = Contact.objects.select_related("merged_into").in_bulk([merged_id, survivor_id])
    for pk in (merged_id, survivor_id):
        if pk not in both:
            raise Contact.DoesNotExist(f"There is no contact {pk}.")
    merged, survivor = both[merged_id], both[survivor_id]
    for buyer in (merged, survivor):
        if buyer.merged_into is not None:
            raise NotPossible(f"“{buyer}” was merged into “{buyer.merged_into}” already.")
    places = _places(survivor, merged)
    runs = ImportItem.objects.filter(entity_type="contact", entity_id=survivor.pk).values("run")
    items = ImportItem.objects.filter(entity_type="contact", entity_id=merged.pk).exclude(run__in=runs)
    rows = list(open_of(survivor.pk, merged.pk))
    return MergePlan(
        survivor=survivor,
        merged=merged,
        fields=tuple(_field(name, survivor, merged) for name in FIELDS),
        tours=merged.tours.count(),
        further=merged.further_tours.count(),
        feedback=Feedback.objects.filter(stop__tour__buyer=merged).count(),
        import_items=items.count(),
        ended=sum((row.entity_type, row.entity_id) == ("contact", merged.pk) for row in rows),
        places=places,
        refusals=tuple(refusals(rows, places, survivor.pk, merged.pk)),
    )


def open_of(survivor_id: int, merged_id: int) -> QuerySet[Operation]:
    """Operations a merge must not cut off, of both buyers and of their tours, in the engine's order."""
    tours = Tour.objects.filter(buyer__in=(survivor_id, merged_id))
    stops = TourStop.objects.filter(tour__in=tours)
    about = Q(entity_type="contact", entity_id__in=(survivor_id, merged_id))
    about |= Q(entity_type="tour", entity_id__in=tours.values("pk"))
    about |= Q(entity_type="stop", entity_id__in=stops.values("pk"))
    about |= Q(entity_type="feedback", entity_id__in=Feedback.objects.filter(stop__in=stops).values("pk"))
    return Operation.objects.filter(about, Q(state__in=OPEN) | Q(state=State.DEAD)).order_by("pk")


def refusals(rows: Iterable[Operation], places: Iterable[There], survivor_id: int, merged_id: int) -> list[str]:
    """Why these operations stand in the way: in a worker's hand, or in doubt about which person there they meant."""
    at = {there.connection_id: there for there in places}
    found = []
    for row in rows:
        name = f"Operation {row.pk} ({wording.kind(row.kind).lower()})"
        if row.state == State.LEASED:
            found.append(f"{name} is being sent this very moment. Try again in a few seconds.")
        elif row.in_doubt and _doubt_would_be_lost(row, at.get(row.connection_id), survivor_id, merged_id):
            found.append(f"{name} may have reached the CRM. Merge once it was looked up there, or answered.")
    return found


def _doubt_would_be_lost(row: Operation, there: There | None, survivor_id: int, merged_id: int) -> bool:
    """Whether its look-up would ask about another person than the one its request named."""
    if row.entity_type == "contact":
        return True
    if there is None or there.links in (Links.NEITHER, Links.APART):
        return False  # of those apart, what is in doubt is looked up under the person it was sent to
    # One of the two had lost the person there; its records' doubts would be asked of the other's.
    mine = {SURVIVOR: survivor_id, MERGED: merged_id}
    lost = mine[MERGED] if there.links is Links.KEPT else mine[SURVIVOR]
    return _buyer_of(row) == lost


def _buyer_of(row: Operation) -> int | None:
    where = {"tour": "pk", "stop": "stops", "feedback": "stops__feedback"}[row.entity_type]
    return Tour.objects.filter(**{where: row.entity_id}).values_list("buyer", flat=True).first()


def under(connection_ids: Iterable[int], merged_id: int) -> QuerySet[ExternalRef]:
    """Records of the merged buyer's tours that stand at these connections, or may: they were made under that person."""
    tours = Tour.objects.filter(buyer=merged_id)
    stops = TourStop.objects.filter(tour__in=tours)
    answers = Feedback.objects.filter(stop__in=stops)
    there = ExternalRef.objects.filter(connection__in=list(connection_ids)).order_by().values("pk")
    # Type by type, each by the index; with OR between them the whole table is read.
    about = there.filter(entity_type="tour", entity_id__in=tours.values("pk")).union(
        there.filter(entity_type="stop", entity_id__in=stops.values("pk")),
        there.filter(entity_type="feedback", entity_id__in=answers.values("pk")),
        all=True,
    )
    same = {name: OuterRef(name) for name in ("connection", "entity_type", "entity_id")}
    doubted = Operation.objects.filter(**same, in_doubt=True, state__in=(*OPEN, State.DEAD))
    mine = ExternalRef.objects.filter(pk__in=about, under=None)
    return mine.filter(Q(external_id__isnull=False) | Q(Exists(doubted)))


def _field(name: str, survivor: Contact, merged: Contact) -> Field:
    ours, theirs = str(getattr(survivor, name)), str(getattr(merged, name))
    return Field(name, name.replace("_", " "), ours, theirs, asked=bool(ours and theirs and ours != theirs))


def _places(survivor: Contact, merged: Contact) -> tuple[There, ...]:
    """Every connection that the merge means something at."""
    both = (survivor.pk, merged.pk)
    mine: dict[str, Any] = {"entity_type": "contact", "entity_id__in": both}
    linked = {
        (ref.connection_id, ref.entity_id): ref.external_id
        for ref in ExternalRef.objects.filter(**mine, resource="contact", external_id__isnull=False)
    }
    reasons = LeftOut.objects.reasons(contact=both)
    concerned = {pk for pk, _ in linked} | {key[0] for key in reasons}
    asking = Operation.objects.filter(**mine, state=State.NEEDS_PERSON, reason=Fact.MAPPED_ELSEWHERE)
    concerned |= set(asking.values_list("connection", flat=True))
    apart = [pk for pk in concerned if all((pk, buyer) in linked for buyer in both)]
    standing = under(apart, merged.pk).order_by().values_list("connection").annotate(Count("pk"))
    numbers = dict(standing) if apart else {}
    labels = Connection.objects.filter(pk__in=concerned).order_by("label", "pk").values_list("pk", "label")
    return tuple(_there(pk, label, survivor, merged, linked, reasons, numbers.get(pk, 0)) for pk, label in labels)


def _there(
    connection_id: int,
    label: str,
    survivor: Contact,
    merged: Contact,
    linked: dict[tuple[int, int], str | None],
    reasons: dict[tuple[int, str, int], str],
    number: int,
) -> There:
    ours = linked.get((connection_id, survivor.pk)) or ""
    theirs = linked.get((connection_id, merged.pk)) or ""
    links = {
        (True, True): Links.APART, (True, False): Links.KEPT, (False, True): Links.TAKEN, (False, False): Links.NEITHER
    }[bool(ours), bool(theirs)]  # fmt: skip
    says = _of_links(links, survivor, merged, ours, theirs, number)
    out, cancelled = _of_left_out(connection_id, survivor, merged, reasons)
    if out:
        says.append(f"Left out of this CRM ({out.rstrip('. ')}); that holds for both.")
        if cancelled:
            says.append(f"{_count(cancelled, 'appointment is', 'appointments are')} cancelled there.")
    return There(connection_id, label, links, ours, theirs, number, out, cancelled, tuple(says))


def _of_links(links: Links, survivor: Contact, merged: Contact, ours: str, theirs: str, number: int) -> list[str]:
    if links is Links.KEPT:
        return [f"“{survivor}” is {ours} there and stays so. “{merged}” is not linked there."]
    if links is Links.TAKEN:
        return [f"“{merged}” is {theirs} there; “{survivor}” takes that link. Nothing is sent, nobody is made."]
    if links is Links.NEITHER:
        return ["Neither is linked there."]
    says = [
        f"They are two people there: “{survivor}” is {ours}, “{merged}” is {theirs}.",
        f"“{survivor}” keeps {ours}; the link to {theirs} stays on record with “{merged}”.",
        "Nobody is changed or removed in the CRM.",
    ]
    if number:
        says.append(
            f"{_count(number, 'record stands', 'records stand')} under {theirs} there (appointments, notes, tasks): "
            f"they stay there, and are changed and cancelled there. None is moved, none is made twice."
        )
    return [*says, f"What is new goes to {ours}."]


def _of_left_out(
    connection_id: int, survivor: Contact, merged: Contact, reasons: dict[tuple[int, str, int], str]
) -> tuple[str, int]:
    """Why it is left out there, by either, and how many appointments of the other are cancelled by that."""
    ours = reasons.get((connection_id, "contact", survivor.pk), "")
    theirs = reasons.get((connection_id, "contact", merged.pk), "")
    if bool(ours) == bool(theirs):
        return ours, 0
    other = merged.pk if ours else survivor.pk
    return ours or theirs, left_out.reach_of("contact", other, connection_id).cancelled


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
