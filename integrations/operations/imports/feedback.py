"""The format of a file of feedback: one row an answer, on stops that are known. Columns: docs/importing.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils import timezone

from integrations.models import FeedbackChannel, ImportRun, TourStop
from integrations.operations.feedback import save_all, warnings
from integrations.operations.validation import FeedbackInput, clean_feedback, clean_stop_key

from .reader import Problem, Row
from .staging import Group, Staging
from .tally import Tally

KIND = "feedback"
COLUMNS = (
    "tour_ref", "stop_sequence", "submitted_at", "author_role", "interest_level", "overall_rating", "price_opinion",
    "second_showing", "likes", "dislikes", "comments",
)  # fmt: skip
OPTIONAL = ("offer_likelihood",)
"""May be missing; then nothing is said of it, and what is stored stays."""
_ALL = (*COLUMNS, *OPTIONAL)
_LOOK_UP = 200

Report = Callable[[Problem], None]
Stops = dict[tuple[str, int], TourStop]


def check(rows: Iterator[Row], staging: Staging, error: Report, warning: Report) -> tuple[int, int]:
    """First pass: every row is cleaned against the stored tours and staged. (rows, bad rows)."""
    total = bad = 0
    now = timezone.now()
    while portion := list(islice(rows, _LOOK_UP)):
        stops = _stops(row.values for row in portion if row.values is not None)
        for row in portion:
            total += 1
            problems = [row.problem] if row.problem else []
            if row.values is not None:
                found, problems = _read(row.line, row.values, stops)
                if found is not None:
                    problems = list(_twice(row.line, found, staging))
                # Answers stand alone: a bad one takes no other with it.
                staging.add(row.line, str(row.line), row.values)
                if found is not None and not problems:
                    stop, data = found
                    for field, text in warnings(stop, data.submitted_at, now):
                        warning(Problem(row.line, field, text))
            for problem in problems:
                error(row.quoted(problem, _ALL))
            if problems:
                bad += 1
                staging.spoil(str(row.line), row.line)
    return total, bad


def apply(groups: Sequence[Group], run: ImportRun, *, actor: str, via: str) -> Tally:
    """Second pass, one transaction's worth: create or change these answers."""
    rows = [(line, fields) for group in groups for line, fields in group.rows]
    stops = _stops(fields for _, fields in rows)
    items = []
    for line, fields in rows:
        found, problems = _read(line, fields, stops)
        if found is None:
            raise ValueError(f"the tours changed while this file was read: {problems[0]}")
        items.append(found)
    results = save_all(items, actor=actor, via=via, reason=f"import {run.pk}", import_run=run)
    created, changed = (sum(saved.created for saved in results), sum(bool(saved.changes) for saved in results))
    return Tally(created, changed, len(results) - created - changed)


def _stops(rows: Iterable[Sequence[str]]) -> Stops:
    refs = {fields[0].strip() for fields in rows}
    found = TourStop.objects.filter(tour__reference__in=refs).select_related("tour")
    return {(stop.tour.reference, stop.sequence): stop for stop in found}


def _read(
    line: int, fields: Sequence[str], stops: Stops
) -> tuple[tuple[TourStop, FeedbackInput] | None, list[Problem]]:
    data = dict(zip(_ALL, fields, strict=False))
    problems: list[Problem] = []
    stop = None
    try:
        ref, sequence = clean_stop_key(data)
        stop = stops.get((ref, sequence))
        if stop is None:
            known = any(reference == ref for reference, _ in stops)
            field, text = ("stop_sequence", f"Tour {ref} has no stop {sequence}.") if known else (
                "tour_ref", f"There is no tour “{ref}”."
            )  # fmt: skip
            problems.append(Problem(line, field, text))
    except ValidationError as error:
        problems += _problems(line, error)
    zone = ZoneInfo(stop.tour.time_zone) if stop is not None else None
    said = {key: value for key, value in data.items() if key not in ("tour_ref", "stop_sequence")}
    try:
        answer = clean_feedback({**said, "channel": FeedbackChannel.IMPORT}, zone=zone)
    except ValidationError as error:
        problems += _problems(line, error)
    else:
        if stop is not None and not problems:
            return (stop, answer), []
    return None, problems


def _twice(line: int, found: tuple[TourStop, FeedbackInput], staging: Staging) -> Iterator[Problem]:
    stop, data = found
    earlier = staging.claim(str(stop.pk), f"{data.author_role} {data.submitted_at.isoformat()}", line)
    if earlier is not None:
        yield Problem(line, "submitted_at", f"The same answer stands on line {earlier} already.")


def _problems(line: int, error: ValidationError) -> list[Problem]:
    return [Problem(line, field, text) for field, texts in error.message_dict.items() for text in texts]
