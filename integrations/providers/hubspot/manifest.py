"""HubSpot as data."""

from __future__ import annotations

import re
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
    """Limits are per app and account."""
    return config["portal_id"].strip()


EVERY, SEARCH = (Window("burst", 100, 10), Window("daily", 250_000, 86_400)), Window("search", 5, 1)
_SEARCH = re.compile(r"/search/?\Z")


def counted_in(method: str, path: str) -> tuple[str, ...]:
    """The limits that a request takes from: a search has one more."""
    return tuple(window.name for window in (*EVERY, SEARCH) if window is not SEARCH or _SEARCH.search(path))


# https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth/working-with-oauth
CONSENT = Consent(
    base_url="hubspot_consent",
    path="/oauth/authorize",
    scopes=(
        "oauth",
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.objects.owners.read",
        "crm.schemas.contacts.read",
    ),
    account="hub_id",
)

MANIFEST = Manifest(
    slug=SLUG,
    label="HubSpot",
    # v1 of the token endpoint ends on 16 February 2027; v3 takes the same form.
    sign_in=OAuthSignIn("/oauth/v3/token", rotates=False, consent=CONSENT),
    # Those of the smallest plans.
    limits=(*EVERY, SEARCH),
    limits_source="https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines",
    limit_headers="hubspot",
    counted_in=counted_in,
    fields=(
        ConfigField("portal_id", "Account ID", "The number beside the account's name (Hub ID)."),
        ConfigField(
            "interest_property",
            "Property for the interest",
            "Internal name of a contact's text property that shows how interested the buyer was at the last showing.",
            required=False,
        ),
        ConfigField(
            "rating_property",
            "Property for the rating",
            "Internal name of a contact's property that shows how the buyer rated the last showing, 1 to 5.",
            required=False,
        ),
        ConfigField(
            "token",
            "Private app access token",
            "Settings → Integrations → Private Apps. Leave empty when an app's OAuth credentials are given.",
            secret=True,
            required=False,
        ),
        ConfigField("client_id", "OAuth client ID", "Only for a public app.", required=False),
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
    # Meetings, notes and tasks stand on the contact's page.
    record_urls={"contact": "https://app.hubspot.com/contacts/{portal_id}/record/0-1/{id}"},
)
