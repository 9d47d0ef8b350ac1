"""The contract between the engine and a provider.

The engine hands an adapter frozen facts and an `Exchange`; the adapter answers with facts or raises an error of
`errors.py`. An adapter never decides what happens to an operation, never waits, never retries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import httpx

from integrations.gate import BreakerPolicy, Window

from .accounts import AccountList
from .limit_headers import Dialect
from .sign_in import SignIn

Json = Any  # a JSON value; typed where it is built, not where it is carried


# --- what we know: snapshots of our records, made by the engine from the current rows ------------------------------


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """A buyer. Empty text means not known.

    `assignee`: the provider's user a person made anew is given to, where who has the person has the showings.
    """

    id: int
    version: int
    first_name: str
    last_name: str
    email: str
    phone: str
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class ShowingFacts:
    """A tour stop. Times are aware, UTC; `live` is False when the CRM should show it as cancelled.

    `assignee`: the provider's user it is given to; empty: nobody.
    """

    id: int
    version: int
    live: bool
    tour_reference: str
    tour_title: str
    sequence: int
    street: str
    city: str
    state: str
    postal_code: str
    list_price: Decimal | None
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    appointment_status: str
    outcome: str
    method: str
    agent_name: str
    contact_id: int
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The connected account itself: what must be there before any record. `id` is the connection's."""

    id: int
    version: int = 1


@dataclass(frozen=True, slots=True)
class FeedbackFacts:
    """What was said after a showing. Times are aware, UTC; `included`: its tour comes to this connection.

    `calls_for_action`: someone should get in touch with the buyer. `assignee`: the provider's user that falls to.
    """

    id: int
    version: int
    included: bool
    calls_for_action: bool
    street: str
    shown_at: datetime
    time_zone: str
    author_role: str
    submitted_at: datetime
    interest_level: str
    overall_rating: int | None
    price_opinion: str
    second_showing: str
    likes: tuple[str, ...]
    dislikes: tuple[str, ...]
    comments: str
    contact_id: int
    offer_likelihood: str = ""
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class SeenFacts:
    """One showing of a tour that is over. Empty, None: not known."""

    street: str
    city: str
    appointment_status: str
    outcome: str
    interest_level: str = ""
    overall_rating: int | None = None
    second_showing: str = ""


@dataclass(frozen=True, slots=True)
class SummaryFacts:
    """A tour that is over, its showings in order. `included`: it should be told of at this connection."""

    id: int
    version: int
    included: bool
    tour_reference: str
    tour_title: str
    starts_at: datetime
    time_zone: str
    agent_name: str
    seen: tuple[SeenFacts, ...]
    contact_id: int


@dataclass(frozen=True, slots=True)
class InterestFacts:
    """What a buyer said last, on a tour that comes to this connection. Empty, None: not known. `id` is the buyer's."""

    id: int
    version: int
    interest_level: str = ""
    overall_rating: int | None = None
    offer_likelihood: str = ""


Facts = ContactFacts | ShowingFacts | AccountFacts | FeedbackFacts | SummaryFacts | InterestFacts


# --- what we want and what we know of it there ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """The desired record in the provider's words: canonical, so that equal desires have equal digests.

    `absent`: the record should not stand (a cancelled stop); with nothing there, nothing is sent.
    """

    resource: str
    body: Mapping[str, Json]
    absent: bool = False


@dataclass(frozen=True, slots=True)
class RefFacts:
    """Our link to the provider's record; `external_id` None while not linked."""

    external_id: str | None
    marker: str


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one record is ours. `same`: it already is as wanted (None: the answer does not tell)."""

    external_id: str
    same: bool | None


@dataclass(frozen=True, slots=True)
class NotFound:
    """The provider holds no such record."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one record could be ours; a person must say which."""

    external_ids: Sequence[str]


Lookup = Found | NotFound | Ambiguous


@dataclass(frozen=True, slots=True)
class Understood:
    """The provider said it did it."""

    external_id: str
    status: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """The record does not stand any more, as wanted; our link to it ends."""

    status: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A 2xx that says nothing was done."""

    message: str
    status: int
    request_id: str = ""


Written = Understood | Removed | Ignored


# --- what a connection remembers of a vendor's lists ---------------------------------------------------------------


class LookupStore(Protocol):
    """For vendors whose lists can only be paged: which of their records carry which keys. Safe for several workers.

    A record is filed under its `external_id` with any number of keys, in the generation (a reading of the whole list)
    that last saw it. `cursor` is the adapter's own note of how far it has read.
    """

    def cursor(self, resource: str) -> tuple[int, Mapping[str, Json]]:
        """The note and its version; (n, empty) when nothing is filed."""
        ...

    def move(self, resource: str, version: int, cursor: Mapping[str, Json]) -> bool:
        """Replace the note. False, and nothing written, when it is no longer at `version`."""
        ...

    def put(self, resource: str, records: Mapping[str, Sequence[str]], generation: int) -> None:
        """File records by external id with their keys; what was filed of them before stays beside it."""
        ...

    def find(self, resource: str, key: str) -> Sequence[str]:
        """External ids filed under a key, in order."""
        ...

    def count(self, resource: str) -> int:
        """How many records are filed."""
        ...

    def forget(self, resource: str, external_id: str) -> None:
        """Take one record out."""
        ...

    def prune(self, resource: str, generation: int) -> None:
        """Take out what an older generation filed and no later one saw."""
        ...


# --- how an adapter talks ------------------------------------------------------------------------------------------


class SecondWriteError(RuntimeError):
    """An adapter tried a second effectful request in one operation: a defect of the adapter."""


class Exchange:
    """The one way out for an adapter: any number of reads, at most one write.

    `before_write` is the engine's: it runs after the gate admitted the write and before its first byte, and commits
    that we are about to send.
    """

    def __init__(
        self, http: httpx.Client, before_write: Callable[[], None], lookups: LookupStore | None = None
    ) -> None:
        self._http = http
        self._before_write = before_write
        self._lookups = lookups
        self.wrote = False

    @property
    def lookups(self) -> LookupStore:
        """The connection's memory of the vendor's lists."""
        if self._lookups is None:
            raise RuntimeError("this exchange was given no memory of lists")
        return self._lookups

    def read(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """A request without effect at the provider."""
        return self._http.request(method, path, extensions={"reanna.phase": "read"}, **kwargs)

    def write(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """THE request with an effect. Raises SecondWriteError when there was one already."""
        if self.wrote:
            raise SecondWriteError(f"second write: {method} {path}")
        self.wrote = True
        extensions = {"reanna.phase": "write", "reanna.before_write": self._before_write}
        return self._http.request(method, path, extensions=extensions, **kwargs)


class Kind(Protocol):
    """One kind of operation at one provider. Stateless; all calls may raise `ProviderError`.

    `look_first`: ask the natural key before creating, also without doubt (a CRM person may exist already).
    `settle_s`: how long after a lost answer the provider's own reads can be trusted to show the effect.
    """

    name: str
    resource: str
    settle_s: float
    look_first: bool
    has_lookup: bool

    def wanted(self, facts: Any, needs: Mapping[str, str], ref: RefFacts, config: Mapping[str, str]) -> Wanted:
        """Pure. `needs`: external ids of what this kind depends on, by resource."""
        ...

    def lookup(self, exchange: Exchange, facts: Any, wanted: Wanted, ref: RefFacts, needs: Mapping[str, str]) -> Lookup:
        """Stored id, then marker, then natural key; reads only."""
        ...

    def write(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Written:
        """Create, or update the record `ref` names: one request."""
        ...


# --- what a provider is: data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of the connection's form; `secret` ones are write-only and kept encrypted.

    `choices`: what it may hold, and how people call it; none: any text.
    """

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderUser:
    """Someone with a login at the provider. Name and e-mail address are the provider's; empty: not told."""

    id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A provider as data. `limits_source` is where the vendor says so; `limit_headers`: how its answers tell of them, a
    word of `limit_headers.DIALECTS` (None: they do not, or only by 429 and Retry-After).

    `account_key`: the account, unique a connection. `limit_key`: what the vendor counts its limits by where that is
    wider than the account (None: the account). `limits_for`: by name, what of `limits` a connection with this config
    is allowed, where the vendor does not allow all the same (None, or not named: all of it). `upstream`: which system a
    broker of several passes requests on to, as what fails together (None: it answers itself). `broker`: what is behind
    it has limits of its own, so a 429 stops the account that got it, not all who share the limit. `config_headers`:
    headers that carry a config field. `users`: reads who has a login there, given the connection's config; raises
    ProviderError (None: it cannot be asked). `verify`: one read that only passes with the right credentials and
    account; raises ProviderError. `accounts`: lists accounts. `record_urls`: by resource, the vendor's page of a record
    for people; `{id}` and names of config fields are put in. `counted_in`: the names of the limits that a request takes
    from, by method and path; from one of more than a minute every request does (None: from all).
    """

    slug: str
    label: str
    sign_in: SignIn
    limits: tuple[Window, ...]
    limits_source: str
    fields: tuple[ConfigField, ...]
    kinds: Mapping[str, Kind]
    account_key: Callable[[Mapping[str, str]], str]
    limit_key: Callable[[Mapping[str, str]], str] | None = None
    limits_for: Callable[[Mapping[str, str]], Mapping[str, int]] | None = None
    upstream: Callable[[Mapping[str, str]], str] | None = None
    broker: bool = False
    limit_headers: Dialect | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    config_headers: Mapping[str, str] = field(default_factory=dict)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    mapping_version: int = 1
    users: Callable[[Exchange, Mapping[str, str]], Sequence[ProviderUser]] | None = None
    verify: Callable[[Exchange, Mapping[str, str]], None] | None = None
    accounts: AccountList | None = None
    record_urls: Mapping[str, str] = field(default_factory=dict)
    counted_in: Callable[[str, str], Collection[str]] | None = None
