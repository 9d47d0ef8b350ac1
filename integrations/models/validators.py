"""What a single value must be. The models, the import and every form use these, so a rule stands once."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from django.core.exceptions import ValidationError
from email_validator import EmailNotValidError, validate_email

# USPS Publication 28, appendix B: states, DC, territories and the armed forces.
US_STATES = frozenset(
    (
        "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH "
        "OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI UM AA AE AP"
    ).split()
)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def email(value: str) -> None:
    """An address the RFCs allow; whether it exists is not asked."""
    try:
        validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValidationError(f"“{value}” is not an e-mail address: {error}", code="email") from None


def phone(value: str) -> None:
    """E.164 with a number that its country can have. 555 numbers pass: they are possible, if not assigned."""
    if not value.startswith("+"):
        raise ValidationError(f"“{value}” is not in E.164 form, for example +19165550123.", code="phone")
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException:
        raise ValidationError(f"“{value}” is not a phone number, for example +19165550123.", code="phone") from None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or e164 != value:
        raise ValidationError(f"“{value}” is not a phone number in E.164 form, for example +19165550123.", code="phone")


def us_state(value: str) -> None:
    if value not in US_STATES:
        raise ValidationError(f"“{value}” is not a state's two-letter code, for example CA.", code="state")


def postal_code(value: str) -> None:
    """ZIP or ZIP+4."""
    head, dash, tail = value.partition("-")
    good = len(head) == 5 and head.isascii() and head.isdigit()
    if dash:
        good = good and len(tail) == 4 and tail.isascii() and tail.isdigit()
    if not good:
        raise ValidationError(f"“{value}” is not a ZIP code, for example 95838 or 95838-1234.", code="postal_code")


def time_zone(value: str) -> None:
    zone(value)


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name; ValidationError when there is none."""
    if name not in _zones():
        raise ValidationError(f"“{name}” is not an IANA time zone, for example America/Los_Angeles.", code="time_zone")
    return ZoneInfo(name)


def _between(value: Any, low: str, high: str, what: str) -> None:
    number = Decimal(value)
    if not number.is_finite() or not Decimal(low) <= number <= Decimal(high):
        raise ValidationError(f"{what} must lie between {low} and {high}, not {value}.", code="range")


def latitude(value: Decimal) -> None:
    _between(value, "-90", "90", "Latitude")


def longitude(value: Decimal) -> None:
    _between(value, "-180", "180", "Longitude")


def price(value: Decimal) -> None:
    _between(value, "0", "9999999999.99", "The price")


def rooms(value: Decimal) -> None:
    _between(value, "0", "99", "The number of rooms")


def area(value: int) -> None:
    _between(value, "0", "10000000", "The living area")


def sequence(value: int) -> None:
    _between(value, "1", "999", "The stop's place in the tour")


def rating(value: int) -> None:
    _between(value, "1", "5", "The rating")
