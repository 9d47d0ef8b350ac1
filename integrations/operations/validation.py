"""THE validation of what comes in: admin forms, imports and the API all clean their input here.

Input is plain: texts from a file or a form, or values that are typed already. Output is values as the models store
them. The rules of a single value (length, choices, range) are read from the model's own fields, so a rule stands
once. Every error names its field: `ValidationError({"postal_code": ["…"]})`; nothing else is ever raised.

Only fields that were given are cleaned and returned: what an import does not speak of stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from integrations.models import Agent, Contact, Feedback, Tour, TourStop, validators

from .values import clean_value, given

Data = Mapping[str, Any]
Errors = dict[str, list[str]]

_TOUR_FIELDS = ("title", "status", "notes")
_STOP_FIELDS = (
    "listing_key", "listing_id", "street", "city", "state", "postal_code", "latitude", "longitude", "list_price",
    "bedrooms", "bathrooms", "living_area", "property_type", "appointment_status", "outcome", "showing_method",
    "request_type", "access_instructions",
)  # fmt: skip
_FEEDBACK_FIELDS = (
    "channel", "interest_level", "overall_rating", "price_opinion", "second_showing", "offer_likelihood", "likes",
    "dislikes", "comments", "share_with_seller",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContactInput:
    """A buyer as someone wrote them down. Empty text: not known. Never both `email` and `phone` empty."""

    first_name: str
    last_name: str
    email: str
    phone: str


@dataclass(frozen=True, slots=True)
class AgentInput:
    """An agent by e-mail address; the name is used when the agent is not known yet."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class StopInput:
    """One stop. `values`: model field → cleaned value, only what was given. Times are aware, UTC."""

    sequence: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TourInput:
    """One tour. `values` as in StopInput; `buyer`, `agent` None: not spoken of; an int: the id of a known record."""

    reference: str
    values: Mapping[str, Any]
    buyer: ContactInput | int | None = None
    agent: AgentInput | int | None = None
    further_buyers: tuple[ContactInput | int, ...] | None = None
    stops: tuple[StopInput, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedbackInput:
    """One answer after a showing. `submitted_at` aware, UTC."""

    author_role: str
    submitted_at: datetime
    values: Mapping[str, Any]


@dataclass
class _Cleaning:
    """One record being cleaned: collects values and errors."""

    data: Data
    values: dict[str, Any] = field(default_factory=dict)
    errors: Errors = field(default_factory=dict)

    def take(
        self, model: Any, name: str, *, key: str = "", required: bool = False, zone: ZoneInfo | None = None
    ) -> Any:
        """The cleaned value of `key` (default: the field's name), or None after noting the error."""
        key = key or name
        if key not in self.data and not required:
            return None
        try:
            value = clean_value(model._meta.get_field(name), self.data.get(key), required=required, zone=zone)
        except ValidationError as error:
            self.errors[key] = list(error.messages)
            return None
        self.values[key] = value
        return value

    def refuse(self, key: str, message: str) -> None:
        self.errors.setdefault(key, []).append(message)

    def finish(self) -> None:
        if self.errors:
            raise ValidationError(self.errors)


def clean_tour(data: Data, *, partial: bool = False, zone: ZoneInfo | None = None) -> TourInput:
    """A tour without its stops.

    Keys: reference, title, status, time_zone, starts_at, notes; buyer_id, or buyer_first_name, buyer_last_name,
    buyer_email, buyer_phone; agent_id, or agent_name, agent_email. `partial`: a change of a known tour, where nothing
    but the reference is required; `zone` is then the tour's own, for wall times without a new zone.
    Raises ValidationError naming each field.
    """
    work = _Cleaning(data)
    reference = work.take(Tour, "reference", required=True)
    name = work.take(Tour, "time_zone", required=not partial)
    if name is not None:
        zone = ZoneInfo(name)
    for key in _TOUR_FIELDS:
        work.take(Tour, key)
    if work.take(Tour, "starts_at", required=not partial, zone=zone) is None and partial and "starts_at" in work.values:
        work.errors.setdefault("time_zone", ["Give the time zone of this time."])
    buyer = _buyer(work, required=not partial)
    agent = _agent(work, required=not partial)
    work.finish()
    keep = ("time_zone", "starts_at", *_TOUR_FIELDS)
    values = {key: work.values[key] for key in keep if key in work.values}
    return TourInput(reference=reference, values=MappingProxyType(values), buyer=buyer, agent=agent)


def _buyer(work: _Cleaning, *, required: bool) -> ContactInput | int | None:
    keys = [f"buyer_{name}" for name in ("first_name", "last_name", "email", "phone")]
    if given(work.data, "buyer_id"):
        return _known(work, "buyer_id", Contact)
    if not required and not any(key in work.data for key in keys):
        return None
    return _contact(work, prefix="buyer_")


def _agent(work: _Cleaning, *, required: bool) -> AgentInput | int | None:
    if given(work.data, "agent_id"):
        return _known(work, "agent_id", Agent)
    if not required and "agent_email" not in work.data:
        return None
    email = work.take(Agent, "email", key="agent_email", required=True)
    name = work.take(Agent, "name", key="agent_name", required=True)
    return None if email is None or name is None else AgentInput(email=email, name=name)


def _known(work: _Cleaning, key: str, model: Any) -> int | None:
    value: int | None = work.take(model, "id", key=key)
    if value is not None and not model.objects.filter(pk=value).exists():
        work.refuse(key, f"There is no {model._meta.verbose_name} {value}.")
    return value


def clean_contact(data: Data) -> ContactInput:
    """A buyer: first_name, last_name, email, phone. Raises ValidationError naming each field."""
    work = _Cleaning(data)
    contact = _contact(work, prefix="")
    work.finish()
    assert contact is not None  # noqa: S101  finish() raised otherwise; for the type checker
    return contact


def _contact(work: _Cleaning, *, prefix: str) -> ContactInput | None:
    names = ("first_name", "last_name", "email", "phone")
    before = len(work.errors)
    cleaned = {name: work.take(Contact, name, key=prefix + name) or "" for name in names}
    if len(work.errors) > before:
        return None
    if not cleaned["email"] and not cleaned["phone"]:
        work.refuse(
            f"{prefix}email",
            "Give an e-mail address or a phone number: without either a CRM cannot recognise the person.",
        )
        return None
    return ContactInput(**cleaned)


def clean_stop(
    data: Data,
    *,
    zone: ZoneInfo | None,
    partial: bool = False,
    start: datetime | None = None,
    end: datetime | None = None,
    sequence: int | None = None,
) -> StopInput:
    """One stop: `sequence`, the appointment and the listing's fields.

    `zone` reads wall times; None (the tour's zone was refused already) checks only their form. `partial`: a change of
    a known stop, whose `sequence`, `start` and `end` are handed in to check what was given against.
    Raises ValidationError naming each field.
    """
    work = _Cleaning(data)
    work.take(TourStop, "sequence", required=not partial)
    if not partial or "street" in data:
        work.take(TourStop, "street", required=True)
    for key in _STOP_FIELDS:
        if key != "street":
            work.take(TourStop, key)
    for key in ("appointment_start", "appointment_end"):
        if not partial or key in data:
            work.take(TourStop, key, required=True, zone=zone)
    start, end = work.values.get("appointment_start", start), work.values.get("appointment_end", end)
    times_good = not work.errors.keys() & {"appointment_start", "appointment_end"}
    if times_good and start is not None and end is not None and end <= start:
        work.refuse("appointment_end", "The appointment must end after it starts.")
    work.finish()
    place = work.values.pop("sequence", sequence)
    return StopInput(sequence=place, values=MappingProxyType(dict(work.values)))


def clean_feedback(data: Data, *, zone: ZoneInfo | None, partial: bool = False) -> FeedbackInput:
    """One answer: author_role, submitted_at (wall time in the tour's zone, or with an offset), and what was said.

    `likes` and `dislikes` are lists, or texts separated by `|`. Raises ValidationError naming each field.
    """
    work = _Cleaning(data)
    role = work.take(Feedback, "author_role", required=not partial)
    at = work.take(Feedback, "submitted_at", required=not partial, zone=zone)
    for key in _FEEDBACK_FIELDS:
        work.take(Feedback, key)
    work.finish()
    values = {key: value for key, value in work.values.items() if key not in ("author_role", "submitted_at")}
    return FeedbackInput(author_role=role or "", submitted_at=at, values=MappingProxyType(values))


def clean_stop_key(data: Data) -> tuple[str, int]:
    """Which stop is meant: `tour_ref` and `stop_sequence`. Raises ValidationError naming each field."""
    work = _Cleaning(data)
    reference = work.take(Tour, "reference", key="tour_ref", required=True)
    sequence = work.take(TourStop, "sequence", key="stop_sequence", required=True)
    work.finish()
    return reference, sequence


def clean_zone(name: Any) -> ZoneInfo:
    """The zone of that IANA name. Raises ValidationError (of one message, for the caller to put to a field)."""
    return validators.zone(clean_value(Tour._meta.get_field("time_zone"), name, required=True))
