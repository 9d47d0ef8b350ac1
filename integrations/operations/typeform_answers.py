"""A form of answers after a showing: which answer is what, and which stop is meant.

The mapping of a source: {"tour": hidden field, "stop": hidden field, "author_role": …, "answers": {field's ref or id:
our field}, "values": {our field: {text of a choice: our value}}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from integrations.models import AuthorRole, FeedbackChannel, TourStop

from .audit import Who
from .envelopes import Envelope
from .feedback import save_feedback
from .validation import clean_feedback, clean_stop_key

FIELDS = (
    "interest_level", "overall_rating", "price_opinion", "second_showing", "offer_likelihood", "likes", "dislikes",
    "comments", "share_with_seller",
)  # fmt: skip
DEFAULT: Mapping[str, Any] = {"tour": "tour", "stop": "stop", "author_role": "buyer", "answers": {}, "values": {}}
KIND = "form_response"


class Unmatched(Exception):
    """An answer that a person has to look at; the text says why."""


def checked_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with the defaults filled in. Raises ValueError, in words for people."""
    unknown = sorted(set(mapping) - set(DEFAULT))
    if unknown:
        raise ValueError(f"There is no “{unknown[0][:40]}” in a mapping.")
    chosen = {**DEFAULT, **mapping}
    if not all(isinstance(chosen[name], str) and chosen[name] for name in ("tour", "stop", "author_role")):
        raise ValueError("“tour”, “stop” and “author_role” are texts.")
    if chosen["author_role"] not in AuthorRole.values:
        raise ValueError(f"“author_role” is one of {', '.join(AuthorRole.values)}.")
    answers, values = chosen["answers"], chosen["values"]
    if not all(isinstance(one, dict) for one in (answers, values)):
        raise ValueError("“answers” and “values” are objects.")
    wrong = [name for name in (*answers.values(), *values) if not isinstance(name, str) or name not in FIELDS]
    if wrong:
        raise ValueError(f"“{str(wrong[0])[:40]}” is none of {', '.join(FIELDS)}.")
    if not answers or not all(isinstance(one, dict) for one in values.values()):
        raise ValueError("“answers” names at least one field of the form, and “values” holds objects.")
    return chosen


def save_answer(event: Envelope, mapping: Mapping[str, Any], source: str) -> str:
    """Store the answer of one form; what was done, in words. The same one again changes nothing. Raises Unmatched."""
    hidden = event.data.get("hidden")
    hidden = hidden if isinstance(hidden, dict) else {}
    key = {"tour_ref": hidden.get(mapping["tour"]), "stop_sequence": hidden.get(mapping["stop"])}
    try:
        reference, sequence = clean_stop_key(key)
        stop = TourStop.objects.select_related("tour").filter(tour__reference=reference, sequence=sequence).first()
        if stop is None:
            raise Unmatched(f"There is no stop {sequence} of a tour {reference}.")
        data = clean_feedback(_said(event, mapping), zone=ZoneInfo(stop.tour.time_zone))
    except ValidationError as error:
        raise Unmatched(" ".join(f"{name}: {texts[0]}" for name, texts in error.message_dict.items())) from error
    by = Who(source, "system", f"webhook {event.delivery}")
    saved = save_feedback(stop.pk, data, actor=by.actor, via=by.via, reason=by.reason)
    return f"feedback {saved.feedback.pk} of {reference}, stop {sequence}: {'stored' if saved.changed else 'as it was'}"


def _said(event: Envelope, mapping: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "author_role": mapping["author_role"],
        "submitted_at": event.occurred_at,
        "channel": FeedbackChannel.FORM.value,
    }
    answers = event.data.get("answers")
    for answer in answers if isinstance(answers, list) else []:
        about = answer.get("field") if isinstance(answer, dict) else None
        about = about if isinstance(about, dict) else {}
        name = mapping["answers"].get(about.get("ref")) or mapping["answers"].get(about.get("id"))
        if name:
            said[name] = _joined(said.get(name), _value(answer, mapping["values"].get(name, {})), name)
    return said


def _value(answer: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    value = answer.get(str(answer.get("type")))
    if isinstance(value, dict):
        value = value.get("labels") or value.get("label") or value.get("other")
    if isinstance(value, list):
        return [values.get(str(one), one) for one in value]
    return values.get(str(value), value)


def _joined(before: Any, value: Any, name: str) -> Any:
    """Several questions may tell one field: comments follow one another, of anything else the last counts."""
    if name == "comments":
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return f"{before}\n{text}" if before else text
    return value
