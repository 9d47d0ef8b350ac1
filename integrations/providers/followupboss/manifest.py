"""Follow Up Boss as data."""

from __future__ import annotations

from integrations.providers.base import ConfigField, Manifest
from integrations.providers.sign_in import BasicSignIn

from .activities import FeedbackNote, FeedbackTask, TourSummary
from .answers import SLUG
from .fields import INTEREST, RATING, ContactFields
from .identity import account_key, verify
from .limits import LIMITS, SOURCE, counted_in, limits_for
from .mapping import MAPPING_VERSION
from .outbound import AppointmentSync, ContactLink
from .users import list_users

MANIFEST = Manifest(
    slug=SLUG,
    label="Follow Up Boss",
    # https://docs.followupboss.com/reference/authentication, https://docs.followupboss.com/reference/identification
    sign_in=BasicSignIn("api_key", {"X-System-Key": "system_key"}),
    limits=LIMITS,
    limits_source=SOURCE,
    limits_for=limits_for,
    limit_headers="followupboss",
    fields=(
        ConfigField("subdomain", "Subdomain", "“acme” if the address of the account is acme.followupboss.com."),
        ConfigField("system", "System", "X-System: the name of a registered system, with its key.", required=False),
        ConfigField(
            "interest_field",
            INTEREST,
            "Name (customShowingInterest) of a text field of people: how interested the buyer was at the last showing.",
            required=False,
        ),
        ConfigField(
            "rating_field",
            RATING,
            "Name (customShowingRating) of a field of people: how the buyer rated the last showing, 1 to 5.",
            required=False,
        ),
        ConfigField("api_key", "API key", "Admin → API. What it may see is what its user may see.", secret=True),
        ConfigField("system_key", "System key", "X-System-Key of that system.", secret=True, required=False),
    ),
    kinds={
        kind.name: kind
        for kind in (
            ContactLink(),
            AppointmentSync(),
            FeedbackNote(),
            FeedbackTask(),
            ContactFields(),
            TourSummary(),
        )
    },
    account_key=account_key,
    headers={"Accept": "application/json"},
    config_headers={"X-System": "system"},
    mapping_version=MAPPING_VERSION,
    users=list_users,
    verify=verify,
    # As people see it; notes, tasks and appointments stand on the person's page.
    record_urls={"contact": "https://{subdomain}.followupboss.com/2/people/view/{id}"},
    counted_in=counted_in,
)
