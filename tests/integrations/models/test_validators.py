"""What a single value must be."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.models import validators


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (validators.email, "ann@mail.example"),
        (validators.email, "Ann.O'Hara+tours@mail.example"),
        (validators.email, "zoë@mail.example"),
        (validators.phone, "+19165550123"),
        (validators.phone, "+442071838750"),
        (validators.us_state, "CA"),
        (validators.us_state, "PR"),
        (validators.us_state, "AE"),
        (validators.postal_code, "95838"),
        (validators.postal_code, "95838-1234"),
        (validators.time_zone, "America/Los_Angeles"),
        (validators.time_zone, "Pacific/Honolulu"),
        (validators.latitude, Decimal(-90)),
        (validators.longitude, Decimal(180)),
        (validators.price, Decimal(0)),
        (validators.price, Decimal("9999999999.99")),
        (validators.rooms, Decimal(99)),
        (validators.area, 0),
        (validators.sequence, 1),
        (validators.sequence, 999),
        (validators.rating, 5),
    ],
)
def test_good_values_pass(check: Callable[[Any], None], value: Any) -> None:
    check(value)


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        (validators.email, "not-an-email", "“not-an-email” is not an e-mail address"),
        (validators.email, "a@b@c.example", "is not an e-mail address"),
        (validators.phone, "555-CALL-NOW", "“555-CALL-NOW” is not in E.164 form, for example +19165550123."),
        (validators.phone, "9165550123", "is not in E.164 form"),
        (validators.phone, "+1 916 555 0123", "is not a phone number in E.164 form"),
        (validators.phone, "+1916", "is not a phone number"),
        (validators.phone, "+", "is not a phone number"),
        (validators.us_state, "Kalifornien", "“Kalifornien” is not a state's two-letter code, for example CA."),
        (validators.us_state, "ca", "is not a state's two-letter code"),
        (validators.postal_code, "9", "“9” is not a ZIP code, for example 95838 or 95838-1234."),
        (validators.postal_code, "95838-12", "is not a ZIP code"),
        (validators.postal_code, "٩٥٨٣٨", "is not a ZIP code"),
        (validators.time_zone, "Mars/Olympus", "“Mars/Olympus” is not an IANA time zone"),
        (validators.time_zone, "../../etc/passwd", "is not an IANA time zone"),
        (validators.latitude, Decimal("90.000001"), "Latitude must lie between -90 and 90"),
        (validators.latitude, Decimal("NaN"), "Latitude must lie between -90 and 90"),
        (validators.longitude, Decimal("-180.000001"), "Longitude must lie between -180 and 180"),
        (validators.price, Decimal("-0.01"), "The price must lie between 0 and"),
        (validators.rooms, Decimal("99.5"), "The number of rooms must lie between 0 and 99"),
        (validators.area, -1, "The living area must lie between 0 and"),
        (validators.sequence, 0, "The stop's place in the tour must lie between 1 and 999, not 0."),
        (validators.sequence, 1000, "must lie between 1 and 999"),
        (validators.rating, 6, "The rating must lie between 1 and 5, not 6."),
    ],
)
def test_bad_values_are_told_why(check: Callable[[Any], None], value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(value)

    assert words in caught.value.messages[0]
