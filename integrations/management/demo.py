"""The demo tours: made up people and homes, around whatever day it is."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from integrations.operations.validation import TourInput, clean_stop, clean_tour

ZONE = ZoneInfo("America/Los_Angeles")

# (days from now, first hour, buyer, agent, homes): a stop an hour, half an hour long.
_TOURS: tuple[tuple[int, int, tuple[str, str, str], str, tuple[str, ...]], ...] = (
    (1, 10, ("Imke", "Vandoorn", "+15305550101"), "Rosa Keller", ("12 Alder Row", "48 Juniper Bend", "7 Quarry Steps")),
    (1, 14, ("Théo", "Marchetti", "+15305550102"), "Owen Tallis", ("301 Mill Pond Rd", "9 Sparrow Ct")),
    (2, 9, ("Adaeze", "Nwosu", "+15305550103"), "Rosa Keller", ("1180 Foxtail Ln",)),
    (4, 11, ("Jun", "Park-Ellery", "+15305550104"), "Owen Tallis",
     ("66 Harbor Light Way", "23 Tamarack St", "5 Old Barn Dr", "940 Summit Ave")),
    (8, 13, ("Lars", "Quintero", "+15305550105"), "Rosa Keller", ("77 Cobbler Hill", "210 Meadowlark Cir")),
)  # fmt: skip


def demo_users() -> list[dict[str, str]]:
    """The demo tours' agents as people with a login at the CRM: id, name and e-mail address."""
    names = dict.fromkeys(agent for _, _, _, agent, _ in _TOURS)
    return [{"id": f"user_{_dotted(name)}", "name": name, "email": _email(name)} for name in names]


def _dotted(name: str) -> str:
    return name.lower().replace(" ", ".")


def _email(name: str) -> str:
    return f"{_dotted(name)}@brokerage.example"


def demo_tours(now: datetime) -> list[TourInput]:
    """DEMO-1 and on; the first is tomorrow, as the tours' zone sees `now`."""
    today = now.astimezone(ZONE).date()
    return [_tour(number, today, *tour) for number, tour in enumerate(_TOURS, start=1)]


def _tour(
    number: int, today: date, days: int, hour: int, buyer: tuple[str, str, str], agent: str, homes: tuple[str, ...]
) -> TourInput:
    first, last, phone = buyer
    day = today + timedelta(days=days)
    tour = clean_tour(
        {
            "reference": f"DEMO-{number}",
            "title": f"{last} — {len(homes)} {'home' if len(homes) == 1 else 'homes'}",
            "buyer_first_name": first,
            "buyer_last_name": last,
            "buyer_email": f"demo{number}@mail.example",
            "buyer_phone": phone,
            "agent_name": agent,
            "agent_email": _email(agent),
            "time_zone": ZONE.key,
            "starts_at": f"{day}T{hour:02}:00",
        }
    )
    stops = tuple(clean_stop(_stop(place, day, hour, home), zone=ZONE) for place, home in enumerate(homes, start=1))
    return TourInput(tour.reference, tour.values, buyer=tour.buyer, agent=tour.agent, stops=stops)


def _stop(place: int, day: date, hour: int, street: str) -> dict[str, Any]:
    return {
        "sequence": place,
        "street": street,
        "city": "Sacramento",
        "state": "CA",
        "postal_code": f"958{10 + place}",
        "list_price": 380_000 + 45_000 * place,
        "bedrooms": 2 + place % 3,
        "bathrooms": 2,
        "living_area": 1_150 + 210 * place,
        "property_type": "Residential",
        "appointment_start": f"{day}T{hour + place - 1:02}:00",
        "appointment_end": f"{day}T{hour + place - 1:02}:30",
        "appointment_status": "pending" if place == 3 else "confirmed",
        "showing_method": "in_person",
    }
