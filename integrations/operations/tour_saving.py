"""Storing tours with their stops: one transaction, as few writes as there are differences.

Whatever a CRM shows of a stop raises the stop's version, under the tour's and the stop's row locks (in that order,
by id, everywhere), and what follows from it is planned in the same transaction. Nothing different: nothing is
written, no version rises, nothing is planned, nothing is audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from integrations.models import AuditEvent, ImportItem, ImportRun, Operation, Tour, TourStatus, TourStop

from . import archiving, audit, planning, unmapped
from .audit import Changes, Who
from .people import People, changes_of, give_to_survivors
from .refusals import ARCHIVED
from .validation import StopInput, TourInput

NOT_STANDING = (TourStatus.DRAFT, TourStatus.CANCELLED)
"""A tour in such a state has no standing appointments."""

# `starts_at` is shown nowhere, but decides which connections a tour goes to.
CRM_TOUR_FIELDS = frozenset({"title", "time_zone", "starts_at", "agent", "buyer"})
CRM_STOP_FIELDS = frozenset(
    {
        "sequence", "street", "city", "state", "postal_code", "list_price", "appointment_start", "appointment_end",
        "appointment_status", "outcome", "showing_method",
    }
)  # fmt: skip
# What the summary of a tour that is over tells.
SUMMARY_TOUR_FIELDS = frozenset({"status", "title", "time_zone", "starts_at", "agent"})
SUMMARY_STOP_FIELDS = frozenset({"sequence", "street", "city", "appointment_status", "outcome"})
_ROUTED_BY = frozenset({"starts_at", "agent"})
_PUT_AWAY = frozenset({"archived_at"})
UNDONE_VERB = "tour.undo_import"


@dataclass(slots=True)
class Saved:
    """What became of one tour. `stored`: its stops from before, locked; `changes` is empty when nothing differs.

    `raised`: the stored stops whose version rose; `newly_told`: the tour's did. `planned`: operations made for a change
    of this tour alone.
    """

    tour: Tour
    created: bool
    changes: Changes = field(default_factory=dict)
    stored: list[TourStop] = field(default_factory=list)
    new_stops: list[TourStop] = field(default_factory=list)
    changed_stops: list[tuple[TourStop, Changes]] = field(default_factory=list)
    raised: list[TourStop] = field(default_factory=list)
    newly_told: bool = False
    planned: list[Operation] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.created or bool(self.changes or self.new_stops or self.changed_stops)


def save_tour(data: TourInput, *, actor: str, via: str, reason: str = "") -> Saved:
    """Create the tour, or change the one of that reference; its stops too, by sequence.

    Stops that are not spoken of stay (cancel them with `set_stop_status`). Raises ValidationError when a change would
    break a rule between fields that only the stored row shows, or the tour is archived.
    """
    return save_tours([data], actor=actor, via=via, reason=reason)[0]


def save_tours(
    inputs: Sequence[TourInput], *, actor: str, via: str, reason: str = "", import_run: ImportRun | None = None
) -> list[Saved]:
    """`save_tour` for several with a fixed number of look-ups; references must differ."""
    who = Who(actor, via, reason)
    with transaction.atomic():
        tours = lock_tours(reference__in=[item.reference for item in inputs])
        by_reference = {tour.reference: tour for tour in tours}
        stops = lock_stops(tours)
        people = People([item.agent for item in inputs], _buyers(inputs))
        revived = _undone(tours) if import_run is not None else frozenset()
        results = [_begin(item, by_reference.get(item.reference), stops) for item in inputs]
        found = [_people_of(item, saved, people) for item, saved in zip(inputs, results, strict=True)]
        people.create_missing()
        for item, saved, theirs in zip(inputs, results, found, strict=True):
            values = {**item.values, **theirs}
            if saved.tour.pk in revived:
                values |= {"status": TourStatus.SCHEDULED, "archived_at": None}
            _merge(saved, values, item.stops)
        _write(results)
        give_to_survivors([saved.tour for saved in results if saved.created or "buyer" in saved.changes])
        for item, saved in zip(inputs, results, strict=True):
            _further_buyers(item, saved, people)
            if saved.changed and not saved.created and _archived_before(saved):
                raise ValidationError(ARCHIVED)  # nothing of this transaction stays
        people.store_filled(who, import_run)
        archiving.bring_back((saved.tour.buyer for saved in results if saved.changed), who)
        _remember(results, people, import_run)
        settle(results, who, import_run=import_run)
    return results


def lock_tours(**where: Any) -> list[Tour]:
    """Tours with agent and buyer, locked until the transaction ends, in the order every verb locks them."""
    rows = Tour.objects.select_for_update(of=("self",)).filter(**where)
    return list(rows.select_related("agent", "buyer").order_by("pk"))


def lock_stops(tours: Iterable[Tour]) -> dict[int, dict[int, TourStop]]:
    """Their stops, locked: tour id → sequence → stop, each with its `tour` set."""
    by_id = {tour.pk: tour for tour in tours}
    found: dict[int, dict[int, TourStop]] = {}
    if not by_id:
        return found
    for stop in TourStop.objects.select_for_update(of=("self",)).filter(tour__in=by_id).order_by("pk"):
        stop.tour = by_id[stop.tour_id]
        found.setdefault(stop.tour_id, {})[stop.sequence] = stop
    return found


def settle(
    results: Iterable[Saved], who: Who, *, import_run: ImportRun | None = None, verb: str = ""
) -> list[Operation]:
    """Audit what changed and plan what follows from it: those operations. For results that are written already."""
    changed = [saved for saved in results if saved.changed]
    audit.record_all(_event(saved, who, verb) for saved in changed)
    made = planning.plan_tours([saved.tour for saved in changed if not _only_put_away(saved)], import_run=import_run)
    joined = [saved.tour for saved in changed if not saved.created and _ROUTED_BY & saved.changes.keys()]
    if joined:
        made += planning.plan_feedback_of(joined, import_run=import_run)
    handed_over = [saved.tour for saved in changed if not saved.created and "agent" in saved.changes]
    if handed_over:
        unmapped.release(handed_over)
    return made


def raises_version(old: TourStatus | str, new: TourStatus | str) -> bool:
    """Whether a change of a tour's status is seen in a CRM: only where its appointments begin or cease to stand."""
    return (old in NOT_STANDING) != (new in NOT_STANDING)


def store(saved: Saved) -> None:
    """Write what `saved` notes as changed (its objects carry the new values); versions rise where a CRM shows it."""
    names = list(saved.changes)
    if _told_in_summary(saved):
        saved.tour.version += 1
        saved.newly_told = True
        names.append("version")
    if names:
        saved.tour.save(update_fields=[*names, "updated_at"])
    changed = {stop.pk: (stop, changes) for stop, changes in saved.changed_stops}
    all_of_them = _shown_of_tour(saved)
    for stop in saved.stored:
        _, changes = changed.get(stop.pk, (stop, {}))
        names = list(changes)
        if all_of_them or CRM_STOP_FIELDS & changes.keys():
            stop.version += 1
            saved.raised.append(stop)
            names.append("version")
        if names:
            stop.save(update_fields=[*names, "updated_at"])


def _shown_of_tour(saved: Saved) -> bool:
    """Whether what changed of the tour itself is shown on every stop's appointment."""
    if CRM_TOUR_FIELDS & saved.changes.keys():
        return True
    return "status" in saved.changes and raises_version(*saved.changes["status"])


def _told_in_summary(saved: Saved) -> bool:
    """Whether the tour is over (since now, perhaps), and something of it changed that its summary tells."""
    if saved.tour.status != TourStatus.COMPLETED:
        return False
    of_stops = any(SUMMARY_STOP_FIELDS & changes.keys() for _, changes in saved.changed_stops)
    return bool(SUMMARY_TOUR_FIELDS & saved.changes.keys() or saved.new_stops or of_stops)


def _only_put_away(saved: Saved) -> bool:
    """Whether the tour was put into the archive or brought back, and nothing else: then nothing is sent."""
    return saved.changes.keys() == _PUT_AWAY and not (saved.created or saved.new_stops or saved.changed_stops)


def _buyers(inputs: Sequence[TourInput]) -> list[Any]:
    return [buyer for item in inputs for buyer in (item.buyer, *(item.further_buyers or ()))]


def _begin(item: TourInput, tour: Tour | None, stops: Mapping[int, Mapping[int, TourStop]]) -> Saved:
    if tour is None:
        missing = {"agent_email": item.agent, "buyer_email": item.buyer, **_times(item.values)}
        _require(missing)
        return Saved(Tour(reference=item.reference), created=True)
    return Saved(tour, created=False, stored=list(stops.get(tour.pk, {}).values()))


def _times(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values.get(name) for name in ("time_zone", "starts_at")}


def _require(values: Mapping[str, Any]) -> None:
    missing = {name: ["This must be given."] for name, value in values.items() if value is None}
    if missing:
        raise ValidationError(missing)


def _people_of(item: TourInput, saved: Saved, people: People) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if item.agent is not None:
        found["agent"] = people.agent(item.agent)
    if item.buyer is not None:
        found["buyer"] = people.buyer(item.buyer, None if saved.created else saved.tour.buyer)
    for buyer in item.further_buyers or ():
        people.buyer(buyer)  # so that who is missing is created together with the others
    return found


def _archived_before(saved: Saved) -> bool:
    return saved.tour.archived_at is not None and "archived_at" not in saved.changes


def left_archived(references: Iterable[str]) -> set[str]:
    """Which of these tours an import must leave as they are: archived, and not by an undo of an import."""
    tours = list(Tour.objects.filter(reference__in=list(references), archived_at__isnull=False))
    revived = _undone(tours)
    return {tour.reference for tour in tours if tour.pk not in revived}


def _undone(tours: Sequence[Tour]) -> frozenset[int]:
    """Tours that an undo put away, and nobody touched since: the file brings them back."""
    archived = [tour.pk for tour in tours if tour.archived_at is not None]
    if not archived:
        return frozenset()
    rows = AuditEvent.objects.filter(object_type="tour", object_id__in=archived).order_by("id")
    last = dict(rows.values_list("object_id", "verb"))
    return frozenset(pk for pk in archived if last.get(pk) == UNDONE_VERB)


def _merge(saved: Saved, values: Mapping[str, Any], stops: Sequence[StopInput]) -> None:
    """Put the new values on the objects and note what differs."""
    tour = saved.tour
    if not saved.created:
        saved.changes = changes_of(tour, values)
    for name, value in values.items():
        if saved.created or name in saved.changes:
            setattr(tour, name, value)
    stored = {stop.sequence: stop for stop in saved.stored}
    for item in stops:
        stop = stored.get(item.sequence)
        if stop is None:
            _require({name: item.values.get(name) for name in ("street", "appointment_start", "appointment_end")})
            saved.new_stops.append(TourStop(sequence=item.sequence, **item.values))
        else:
            change_stop(saved, stop, item.values)


def change_stop(saved: Saved, stop: TourStop, values: Mapping[str, Any]) -> None:
    """Put new values on one of the tour's stored stops and note what differs. Raises ValidationError."""
    changes = changes_of(stop, values)
    if not changes:
        return
    for name, (_, value) in changes.items():
        setattr(stop, name, value)
    if stop.appointment_end <= stop.appointment_start:
        raise ValidationError({"appointment_end": ["The appointment must end after it starts."]})
    saved.changed_stops.append((stop, changes))


def _write(results: Sequence[Saved]) -> None:
    Tour.objects.bulk_create([saved.tour for saved in results if saved.created])
    new = []
    for saved in results:
        for stop in saved.new_stops:
            stop.tour = saved.tour
            new.append(stop)
        if not saved.created:
            store(saved)
    TourStop.objects.bulk_create(new)


def _further_buyers(item: TourInput, saved: Saved, people: People) -> None:
    if item.further_buyers is None:
        return
    wanted = {contact.pk: contact for contact in map(people.buyer, item.further_buyers)}
    stored = set(saved.tour.further_buyers.values_list("pk", flat=True))
    if stored != wanted.keys():
        saved.tour.further_buyers.set(list(wanted.values()))
        saved.changes["further_buyers"] = (sorted(stored), sorted(wanted))


def _remember(results: Sequence[Saved], people: People, run: ImportRun | None) -> None:
    """What the import made and changed, for an undo: `before` is field → [old, new] of a change."""
    if run is None:
        return
    items = [_item(run, record, None) for record in (*people.created_agents, *people.created)]
    for saved in results:
        if saved.created or saved.changes:
            items.append(_item(run, saved.tour, None if saved.created else saved.changes))
        items += [_item(run, stop, None) for stop in saved.new_stops]
        items += [_item(run, stop, changes) for stop, changes in saved.changed_stops]
    ImportItem.objects.bulk_create(items, batch_size=200, ignore_conflicts=True)


def _item(run: ImportRun, record: Any, changes: Changes | None) -> ImportItem:
    return ImportItem(
        run=run,
        entity_type=record._meta.model_name,
        entity_id=record.pk,
        created=changes is None,
        before=None if changes is None else audit.plain_changes(changes),
    )


def _event(saved: Saved, who: Who, verb: str) -> AuditEvent:
    changes: Changes = dict(saved.changes)
    for stop, differing in saved.changed_stops:
        changes |= {f"stop {stop.sequence} {name}": change for name, change in differing.items()}
    for stop in saved.new_stops:
        changes[f"stop {stop.sequence}"] = (None, str(stop))
    if verb:  # a verb can be undone while nothing of these versions was sent
        if saved.newly_told:
            changes["version"] = (saved.tour.version - 1, saved.tour.version)
        changes |= {f"stop {stop.sequence} version": (stop.version - 1, stop.version) for stop in saved.raised}
        if _told_in_summary(saved):
            changes["version"] = (saved.tour.version - 1, saved.tour.version)
    if not saved.created:
        return audit.event(verb or "tour.update", saved.tour, who, **audit.sides(changes))
    after = {name: getattr(saved.tour, name) for name in ("title", "status", "starts_at", "agent", "buyer")}
    return audit.event(verb or "tour.create", saved.tour, who, after=after | audit.sides(changes)["after"])
