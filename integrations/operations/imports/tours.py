"""The format of a file of tours: one row a stop. What each column means: docs/importing.md."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from integrations.models import LIVE_STATUSES, ImportRun
from integrations.models.localtime import wall_time
from integrations.operations.tour_saving import left_archived
from integrations.operations.tours import save_tours
from integrations.operations.validation import AgentInput, ContactInput, TourInput, clean_stop, clean_tour, clean_zone

from .reader import Problem, Row
from .staging import Group, Staging
from .tally import Tally

KIND = "tours"
OPTIONAL: tuple[str, ...] = ()
TOUR_COLUMNS = (
    "tour_ref", "title", "buyer_first_name", "buyer_last_name", "buyer_email", "buyer_phone", "agent_name",
    "agent_email", "time_zone", "starts_at",
)  # fmt: skip
STOP_COLUMNS = (
    "stop_sequence", "street", "city", "state", "postal_code", "latitude", "longitude", "list_price", "bedrooms",
    "bathrooms", "living_area", "property_type", "appointment_start", "appointment_end", "appointment_status",
    "showing_method",
)  # fmt: skip
COLUMNS = TOUR_COLUMNS + STOP_COLUMNS
# The file's names for what the validation calls otherwise.
_OURS = {"tour_ref": "reference", "stop_sequence": "sequence"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_TOUR_KEYS = tuple(_OURS.get(name, name) for name in TOUR_COLUMNS)
_STOP_KEYS = tuple(_OURS.get(name, name) for name in STOP_COLUMNS)
_SPLIT = len(TOUR_COLUMNS)
_AT_ONCE = 500

Report = Callable[[Problem], None]


def check(rows: Iterator[Row], staging: Staging, error: Report, warning: Report) -> tuple[int, int]:
    """First pass: every row is cleaned, staged and compared with the others. (rows, bad rows)."""
    total = bad = 0
    for row in rows:
        total += 1
        if row.problem:
            staging.spoil(_ref(row.key), row.line)
            problems = [row.problem]
        else:
            problems = list(_check(row, staging))
        for problem in problems:
            error(row.quoted(problem, COLUMNS))
        bad += bool(problems)
    for agent, line, label, other, other_label in staging.overlaps():
        warning(Problem(line, "appointment_start", f"{agent} is at {other_label} (line {other}) when {label} begins."))
    for ref, line in _archived(staging):
        warning(Problem(line, "tour_ref", f"{ref} is archived and stays as it is; bring it back to import it."))
    return total, bad


def _archived(staging: Staging) -> Iterator[tuple[str, int]]:
    """(reference, first line) of the tours that stay as they are, some hundred references a query."""
    lines: dict[str, int] = {}
    for ref, line in staging.heads():
        lines[ref] = line
        if len(lines) == _AT_ONCE:
            yield from ((ref, lines[ref]) for ref in sorted(left_archived(lines), key=lines.__getitem__))
            lines.clear()
    yield from ((ref, lines[ref]) for ref in sorted(left_archived(lines), key=lines.__getitem__))


def _check(row: Row, staging: Staging) -> Iterator[Problem]:
    assert row.values is not None  # noqa: S101  a row without values has a problem and does not come here
    tour, errors = _tour(row.values[:_SPLIT])
    # Grouped by what the file says even where the row is wrong: its tour must be left out as a whole.
    ref = tour.reference if tour else _ref(row.key)
    staging.add(row.line, ref, row.values)
    zone, _ = _zone(row.values[TOUR_COLUMNS.index("time_zone")])
    problems = [Problem(row.line, field, text) for field, text in errors]
    stop = None
    try:
        stop = clean_stop(_stop_data(row.values), zone=zone)
    except ValidationError as found:
        problems += [Problem(row.line, field, text) for field, text in _messages(found)]
    if tour is not None:
        problems += _differing(row.line, tour, staging)
    if stop is not None:
        earlier = staging.claim(ref, str(stop.sequence), row.line)
        if earlier is not None:
            text = f"Stop {stop.sequence} of {ref} stands on line {earlier} already."
            problems.append(Problem(row.line, "stop_sequence", text))
    if problems:
        staging.spoil(ref, row.line)
        yield from problems
    elif tour is not None and stop is not None and stop.values["appointment_status"] in LIVE_STATUSES:
        start, end = stop.values["appointment_start"], stop.values["appointment_end"]
        agent = tour.agent.name if isinstance(tour.agent, AgentInput) else ""
        label = f"{ref} stop {stop.sequence}"
        staging.occupy(agent, int(start.timestamp()), int(end.timestamp()), row.line, label)


def _ref(text: str) -> str:
    """As the validation stores it, for a row whose tour did not pass it."""
    return unicodedata.normalize("NFC", text).strip()


def _differing(line: int, tour: TourInput, staging: Staging) -> Iterator[Problem]:
    """What a row says of its tour as a whole must be what the tour's first row said."""
    said = _facts(tour)
    first_line, first = staging.facts(tour.reference, line, said)
    for column, ours, theirs in zip(TOUR_COLUMNS[1:], said, first, strict=True):
        if ours != theirs:
            yield Problem(line, column, f"“{ours}” differs from “{theirs}” on line {first_line} of the same tour.")


def _facts(tour: TourInput) -> list[str]:
    buyer, agent = tour.buyer, tour.agent
    assert isinstance(buyer, ContactInput)  # noqa: S101  this format names people, not ids
    assert isinstance(agent, AgentInput)  # noqa: S101  for the same reason
    values = tour.values
    starts_at = wall_time(values["starts_at"], ZoneInfo(values["time_zone"])).isoformat(timespec="minutes")
    return [
        values["title"], buyer.first_name, buyer.last_name, buyer.email, buyer.phone, agent.name, agent.email,
        values["time_zone"], starts_at,
    ]  # fmt: skip


def apply(groups: Sequence[Group], run: ImportRun, *, actor: str, via: str) -> Tally:
    """Second pass, one transaction's worth: create or change these tours."""
    left = left_archived(group.ref for group in groups)
    inputs = [read_group(group) for group in groups if group.ref not in left]
    saved = save_tours(inputs, actor=actor, via=via, reason=f"import {run.pk}", import_run=run)
    return Tally.of(saved) + Tally(unchanged=len(left))


def read_group(group: Group) -> TourInput:
    """The tour of a group that passed the check."""
    first = group.rows[0][1]
    tour, errors = _tour(tuple(first[:_SPLIT]))
    zone, _ = _zone(first[TOUR_COLUMNS.index("time_zone")])
    if tour is None:
        raise ValueError(f"{group.ref} did not pass the check: {errors}")
    stops = tuple(clean_stop(_stop_data(fields), zone=zone) for _, fields in group.rows)
    return TourInput(tour.reference, tour.values, buyer=tour.buyer, agent=tour.agent, stops=stops)


def _stop_data(fields: Sequence[str]) -> dict[str, str]:
    return dict(zip(_STOP_KEYS, fields[_SPLIT:], strict=True))


@lru_cache(maxsize=512)
def _tour(texts: tuple[str, ...]) -> tuple[TourInput | None, list[tuple[str, str]]]:
    """The tour's part of a row, or what is wrong with it. Cached: all rows of a tour say the same."""
    try:
        return clean_tour(dict(zip(_TOUR_KEYS, texts, strict=True))), []
    except ValidationError as error:
        return None, _messages(error)


@lru_cache(maxsize=512)
def _zone(name: str) -> tuple[ZoneInfo | None, str]:
    try:
        return clean_zone(name), ""
    except ValidationError as error:
        return None, error.messages[0]


def _messages(error: ValidationError) -> list[tuple[str, str]]:
    """(column, text) of each message, in the file's words."""
    found: dict[str, Any] = error.message_dict
    return [(_THEIRS.get(key, key), text) for key, texts in found.items() for text in texts]
