"""Storing feedback: what was said after a showing, one answer per stop, role and time of submission.

What the CRMs must be told of it is planned in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from integrations.models import AuditEvent, Feedback, ImportItem, ImportRun, TourStop

from . import audit, planning
from .audit import Changes, Who
from .people import changes_of
from .tour_saving import lock_tours
from .validation import FeedbackInput


@dataclass(slots=True)
class SavedFeedback:
    """What became of one answer."""

    feedback: Feedback
    created: bool
    changes: Changes = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return self.created or bool(self.changes)


def save_feedback(stop_id: int, data: FeedbackInput, *, actor: str, via: str, reason: str = "") -> SavedFeedback:
    """Create the answer, or change the one of that stop, role and time; a change raises its version.

    Nothing different: no write. Raises TourStop.DoesNotExist.
    """
    with transaction.atomic():
        stop = TourStop.objects.select_related("tour").get(pk=stop_id)
        return save_all([(stop, data)], actor=actor, via=via, reason=reason)[0]


def save_all(
    items: Sequence[tuple[TourStop, FeedbackInput]],
    *,
    actor: str,
    via: str,
    reason: str = "",
    import_run: ImportRun | None = None,
) -> list[SavedFeedback]:
    """`save_feedback` for several, with a fixed number of look-ups; their stops, roles and times must differ."""
    who = Who(actor, via, reason)
    with transaction.atomic():
        # Locked before its stops and answers, as every verb does: whether it is over decides what follows.
        lock_tours(pk__in={stop.tour_id for stop, _ in items})
        rows = Feedback.objects.select_for_update(of=("self",)).filter(stop__in={stop.pk for stop, _ in items})
        known = {(row.stop_id, row.author_role, row.submitted_at): row for row in rows.order_by("pk")}
        results = [
            _merge(known.get((stop.pk, data.author_role, data.submitted_at)), stop, data) for stop, data in items
        ]
        Feedback.objects.bulk_create([saved.feedback for saved in results if saved.created])
        for saved in results:
            if saved.changes:
                saved.feedback.version += 1
                saved.feedback.save(update_fields=[*saved.changes, "version", "updated_at"])
        changed = [saved for saved in results if saved.changed]
        if changed:
            planning.plan_new_feedback([saved.feedback for saved in changed], import_run=import_run)
        audit.record_all(_event(saved, who) for saved in changed)
        if import_run is not None:
            ImportItem.objects.bulk_create([_item(saved, import_run) for saved in changed], ignore_conflicts=True)
    return results


def warnings(stop: TourStop, submitted_at: datetime, now: datetime) -> list[tuple[str, str]]:
    """(field, sentence) of what is odd but allowed. Reads the stop's tour."""
    found = []
    if submitted_at > now:
        found.append(("submitted_at", "This feedback is dated in the future."))
    if not stop.live:
        found.append(("stop_sequence", "This showing does not stand: it was cancelled or denied, or its tour was."))
    return found


def _merge(known: Feedback | None, stop: TourStop, data: FeedbackInput) -> SavedFeedback:
    if known is None:
        fresh = Feedback(stop=stop, author_role=data.author_role, submitted_at=data.submitted_at, **data.values)
        return SavedFeedback(fresh, created=True)
    known.stop = stop
    changes = changes_of(known, data.values)
    for name, (_, value) in changes.items():
        setattr(known, name, value)
    return SavedFeedback(known, created=False, changes=changes)


def _event(saved: SavedFeedback, who: Who) -> AuditEvent:
    if saved.created:
        after = {"stop": saved.feedback.stop_id, "interest_level": saved.feedback.interest_level}
        return audit.event("feedback.create", saved.feedback, who, after=after)
    return audit.event("feedback.update", saved.feedback, who, **audit.sides(saved.changes))


def _item(saved: SavedFeedback, run: ImportRun) -> ImportItem:
    return ImportItem(
        run=run,
        entity_type="feedback",
        entity_id=saved.feedback.pk,
        created=saved.created,
        before=None if saved.created else audit.plain_changes(saved.changes),
    )
