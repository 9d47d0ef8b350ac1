"""Whether a person in a CRM is our buyer, or a record's user the one we want. Pure; one rule for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Likeness(StrEnum):
    """Whether a CRM person is our buyer."""

    SAME = "same"
    OTHER = "other"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Person:
    """What tells people apart, folded by `folded`. Empty: not known."""

    name: str
    emails: frozenset[str]


def person(name: object, *emails: object) -> Person:
    """A Person of raw values; what is no text, or empty, is not known."""
    return Person(folded(name), frozenset(mail for mail in map(folded, emails) if mail))


def folded(value: object) -> str:
    """Text without case, and without runs of blanks; empty for what is no text."""
    return " ".join(value.split()).casefold() if isinstance(value, str) else ""


def likeness(ours: Person, theirs: Person) -> Likeness:
    """Whether `theirs`, found by an e-mail or a phone of `ours`, is the same person.

    Couples share a phone, so a phone alone never makes two records one person:

    * an e-mail in common: SAME, whatever the names say (people misspell names, not addresses);
    * both have e-mails, and none in common: OTHER, also under one name (a person would have to merge them);
    * an e-mail unknown on either side: the names decide. Equal, or unknown on both sides, so that the number is all
      either side knows: SAME. Both known and different: OTHER. Known on one side only: UNSURE, a person must say.
    """
    if ours.emails and theirs.emails:
        return Likeness.SAME if ours.emails & theirs.emails else Likeness.OTHER
    if ours.name == theirs.name:
        return Likeness.SAME
    return Likeness.OTHER if ours.name and theirs.name else Likeness.UNSURE


def same_user(body: Mapping[str, object], theirs: Mapping[str, object], name: str) -> bool | None:
    """Whether their record is given to the user that `body` names; None: the answer does not tell.

    A body that names nobody leaves whose it is.
    """
    if name not in body:
        return True
    return body[name] == theirs[name] if name in theirs else None
