"""Tours and their stops as the API shows and takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from integrations.models import Agent, AppointmentStatus, Contact, Outcome, Tour, TourStop
from integrations.operations.validation import ContactInput, StopInput, TourInput, clean_contact, clean_stop, clean_tour

from .examples import CHANGED_TOUR, CONFIRM, NEW_TOUR
from .fields import Given, Id, Instant, Moment, Shown, Zoned
from .problems import Errors, invalid, renamed

MOST_STOPS, MOST_BUYERS = 99, 20
STOP_FIELDS = (
    "sequence", "listing_key", "listing_id", "street", "city", "state", "postal_code", "latitude", "longitude",
    "list_price", "bedrooms", "bathrooms", "living_area", "property_type", "appointment_start", "appointment_end",
    "appointment_status", "outcome", "showing_method", "request_type", "access_instructions",
)  # fmt: skip
TOUR_FIELDS = ("title", "status", "time_zone", "starts_at", "notes")


# --- what is shown ------------------------------------------------------------------------------------------------


class PersonShown(Shown):
    """A buyer, as far as a tour shows them."""

    class Meta:
        model = Contact
        fields = ("id", "first_name", "last_name", "email", "phone")


class AgentOfTour(Shown):
    """The agent, as far as a tour shows them."""

    class Meta:
        model = Agent
        fields = ("id", "name", "email")


class StopShown(Shown):
    """One showing."""

    appointment_start = Zoned("tour.time_zone")
    appointment_end = Zoned("tour.time_zone")

    class Meta:
        model = TourStop
        fields = ("id", *STOP_FIELDS)


class TourShown(Shown):
    """A tour with its stops in order. Times are on clocks of `time_zone`."""

    starts_at = Zoned()
    agent = AgentOfTour()
    buyer = PersonShown()
    further_buyers = PersonShown(many=True)
    stops = StopShown(many=True)
    archived_at = Instant(allow_null=True)
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Tour
        fields = (
            "id", "reference", *TOUR_FIELDS, "agent", "buyer", "further_buyers", "stops", "archived_at", "created_at",
            "updated_at",
        )  # fmt: skip


# --- what is taken ------------------------------------------------------------------------------------------------


class PersonGiven(serializers.Serializer[Any]):
    """A known buyer by id; or name, e-mail address and phone number: found within the name, or made."""

    id = Id(required=False)
    first_name = serializers.CharField(required=False, max_length=80)
    last_name = serializers.CharField(required=False, max_length=80)
    email = serializers.CharField(required=False, max_length=254)
    phone = serializers.CharField(required=False, max_length=16, help_text="E.164, for example +19165550123.")


class AgentGiven(serializers.Serializer[Any]):
    """A known agent by id or e-mail address; with a name, one who is not known is made."""

    id = Id(required=False)
    email = serializers.CharField(required=False, max_length=254)
    name = serializers.CharField(required=False, max_length=120)


class StopGiven(Given):
    """One showing. Without `sequence` a new tour's stops are numbered as they stand."""

    sequence = serializers.IntegerField(required=False, min_value=1, max_value=999)

    class Meta:
        model = TourStop
        fields = STOP_FIELDS


@extend_schema_serializer(examples=[NEW_TOUR])
class TourGiven(Given):
    """A new tour."""

    agent = AgentGiven()
    buyer = PersonGiven()
    further_buyers: Any = serializers.ListSerializer(child=PersonGiven(), required=False, max_length=MOST_BUYERS)
    stops: Any = serializers.ListSerializer(child=StopGiven(), required=False, max_length=MOST_STOPS)

    class Meta:
        model = Tour
        fields = ("reference", *TOUR_FIELDS, "agent", "buyer", "further_buyers", "stops")


@extend_schema_serializer(examples=[CHANGED_TOUR])
class TourChanged(TourGiven):
    """What of a tour is to change. Stops are named by `sequence`; those not spoken of stay."""

    class Meta:
        model = Tour
        fields = (*TOUR_FIELDS, "agent", "buyer", "further_buyers", "stops")


class WhyGiven(serializers.Serializer[Any]):
    """Why; kept in the audit trail."""

    reason = serializers.CharField(required=False, max_length=200, allow_blank=True)


@extend_schema_serializer(examples=[CONFIRM])
class StopStatusGiven(WhyGiven):
    """Another status."""

    status = serializers.ChoiceField(choices=AppointmentStatus.choices)


class StopOutcomeGiven(WhyGiven):
    """What came of it."""

    outcome = serializers.ChoiceField(choices=Outcome.choices)


class StopMoved(WhyGiven):
    """Another time."""

    start = Moment()
    end = Moment()


# --- to what the verbs take ---------------------------------------------------------------------------------------

_NAMES = {"agent_id": "agent.id", "agent_email": "agent.email", "agent_name": "agent.name"} | {
    f"buyer_{name}": f"buyer.{name}" for name in ("id", "first_name", "last_name", "email", "phone")
}


def tour_input(
    data: Mapping[str, Any], stored: Tour | None = None, stops: Mapping[int, TourStop] | None = None
) -> TourInput:
    """A body to the verbs' input, for a new tour or for `stored` with its `stops` by place. Raises a 400."""
    errors: Errors = {}
    flat = {name: data[name] for name in ("reference", *TOUR_FIELDS) if name in data}
    if stored is not None:
        flat["reference"] = stored.reference
    flat |= _agent(data.get("agent")) if "agent" in data else {}
    flat |= {f"buyer_{name}": value for name, value in (data.get("buyer") or {}).items()}
    main = None
    zone = _zone(data, stored)
    try:
        main = clean_tour(flat, partial=stored is not None, zone=zone)
    except ValidationError as error:
        errors |= renamed(error, _NAMES)
    further = _further(data["further_buyers"], errors) if "further_buyers" in data else None
    cleaned = _stops(data.get("stops") or (), zone, stops or {}, stored is None, errors)
    if errors or main is None:
        raise invalid(errors)
    return replace(main, stops=tuple(cleaned), further_buyers=further)


def _agent(given: Mapping[str, Any] | None) -> dict[str, Any]:
    given = given or {}
    if "id" in given:
        return {"agent_id": given["id"]}
    email = given.get("email")
    if isinstance(email, str) and "name" not in given and len(email) < 255:
        known = Agent.objects.filter(email__iexact=email.strip()).values_list("pk", flat=True).first()
        if known is not None:
            return {"agent_id": known}
    return {f"agent_{name}": given.get(name, "") for name in ("email", "name")}


def _zone(data: Mapping[str, Any], stored: Tour | None) -> ZoneInfo | None:
    """The zone of wall times; a wrong one is named by the tour's own cleaning."""
    name = data.get("time_zone") or (stored.time_zone if stored else "")
    try:
        return ZoneInfo(name) if isinstance(name, str) and len(name) <= 64 and name else None
    except (ValueError, OSError, LookupError):
        return None


def _further(given: Any, errors: Errors) -> tuple[ContactInput | int, ...]:
    found: list[ContactInput | int] = []
    for place, person in enumerate(given):
        if "id" in person:
            if not Contact.objects.filter(pk=person["id"]).exists():
                errors[f"further_buyers.{place}.id"] = [f"There is no contact {person['id']}."]
            found.append(person["id"])
            continue
        try:
            found.append(clean_contact(person))
        except ValidationError as error:
            errors |= renamed(error, {}, f"further_buyers.{place}.")
    return tuple(found)


def _stops(
    given: Any, zone: ZoneInfo | None, stored: Mapping[int, TourStop], new: bool, errors: Errors
) -> list[StopInput]:
    found: list[StopInput] = []
    taken: set[int] = set()
    for place, data in enumerate(given):
        wanted = {"sequence": place + 1, **data} if new else dict(data)
        known = stored.get(wanted["sequence"]) if isinstance(wanted.get("sequence"), int) else None
        try:
            if known is None:
                stop = clean_stop(wanted, zone=zone)
            else:
                del wanted["sequence"]
                start, end = known.appointment_start, known.appointment_end
                stop = clean_stop(wanted, zone=zone, partial=True, start=start, end=end, sequence=known.sequence)
        except ValidationError as error:
            errors |= renamed(error, {}, f"stops.{place}.")
            continue
        if stop.sequence in taken:
            errors[f"stops.{place}.sequence"] = ["Another stop here has this place."]
        taken.add(stop.sequence)
        found.append(stop)
    return found
