"""GoHighLevel as data."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.gate import Window
from integrations.providers.base import ConfigField, Manifest
from integrations.providers.sign_in import Consent, OAuthSignIn

from .activities import FeedbackNote, FeedbackTask, TourSummary
from .answers import SLUG
from .fields import ContactFields
from .mapping import MAPPING_VERSION
from .outbound import AppointmentSync, ContactLink
from .users import list_users
from .verifying import verify


def account_key(config: Mapping[str, str]) -> str:
    """Limits are per app and location; a private integration belongs to one location."""
    return config["location_id"].strip()


# docs/oauth of https://github.com/GoHighLevel/highlevel-api-docs. The token call of apps/oauth.json knows no
# code_verifier, and what it does not know it refuses.
CONSENT = Consent(
    base_url="gohighlevel_consent",
    path="/v2/oauth/chooselocation",
    scopes=(
        "contacts.readonly",
        "contacts.write",
        "calendars.readonly",
        "calendars/events.readonly",
        "calendars/events.write",
        "locations.readonly",
        "locations/customFields.readonly",
        "users.readonly",
    ),
    account="locationId",
    pkce=False,
)

MANIFEST = Manifest(
    slug=SLUG,
    label="GoHighLevel",
    # POST /oauth/token, apps/oauth.json; a token of ours is always one location's.
    sign_in=OAuthSignIn("/oauth/token", {"user_type": "Location"}, consent=CONSENT),
    limits=(Window("burst", 100, 10), Window("daily", 200_000, 86_400)),
    limits_source="https://github.com/GoHighLevel/highlevel-api-docs/tree/main/docs/oauth",
    limit_headers="gohighlevel",
    fields=(
        ConfigField("location_id", "Location ID", "Settings → Business Profile."),
        ConfigField("calendar_id", "Calendar ID", "The calendar showings are put in."),
        ConfigField(
            "interest_field_id",
            "Custom field for the interest",
            "ID of a contact's text field that shows how interested the buyer was at the last showing.",
            required=False,
        ),
        ConfigField(
            "rating_field_id",
            "Custom field for the rating",
            "ID of a contact's field that shows how the buyer rated the last showing, 1 to 5.",
            required=False,
        ),
        ConfigField(
            "token",
            "Private integration token",
            "Settings → Private Integrations. Leave empty when an app's OAuth credentials are given.",
            secret=True,
            required=False,
        ),
        ConfigField("client_id", "OAuth client ID", "Only for a marketplace app.", required=False),
        ConfigField("client_secret", "OAuth client secret", secret=True, required=False),
        ConfigField("refresh_token", "OAuth refresh token", secret=True, required=False),
        ConfigField("access_token", "OAuth access token", "May be empty: it is fetched.", secret=True, required=False),
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
    mapping_version=MAPPING_VERSION,
    users=list_users,
    verify=verify,
    # The address in the vendor's own application; notes, tasks and appointments stand on the contact's page.
    record_urls={"contact": "https://app.gohighlevel.com/v2/location/{location_id}/contacts/detail/{id}"},
)
