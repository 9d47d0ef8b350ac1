"""Lofty as data."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.gate import Window
from integrations.providers.base import ConfigField, Manifest
from integrations.providers.sign_in import OAuthSignIn

from . import mapping
from .calls import SLUG
from .leads import ContactFields, ContactLink
from .notes import FeedbackNote, TourSummary
from .showings import AppointmentSync
from .tasks import FeedbackTask
from .users import list_users, verify

# "Development", "Production": https://developer.lofty.com/authentication/overview. A key that belongs to no app:
# https://api.lofty.com
PER_MINUTE = {"key": 10, "development": 100, "production": 500}


def account_key(config: Mapping[str, str]) -> str:
    """A key and an authorization are one user's, and show what that user may see."""
    return config["account_email"].strip().casefold()


def limit_key(config: Mapping[str, str]) -> str:
    """Requests are counted for each app, whoever authorized it; without an app for each key."""
    app = config.get("client_id", "").strip()
    return f"app {app}" if app else account_key(config)


def limits_for(config: Mapping[str, str]) -> Mapping[str, int]:
    """By the mode of the app; nothing said: as little as a bare key is allowed."""
    return {"minute": PER_MINUTE.get(config.get("app_mode", ""), PER_MINUTE["key"])}


MANIFEST = Manifest(
    slug=SLUG,
    label="Lofty",
    # A key is sent as `token …`, what OAuth gives as `Bearer …`. Renewing is documented at this address alone:
    # https://help.lofty.com/hc/en-us/articles/47801571926811-Lofty-OAuth-2-0-API-Reference
    sign_in=OAuthSignIn(
        "/oauth/token",
        base_url="lofty_sign_in",
        basic=True,
        scheme="token",
        # https://developer.lofty.com/authentication/oauth2
        by_client={"customer_key": "customer_key"},
    ),
    limits=(Window("minute", PER_MINUTE["production"], 60),),
    limits_source="https://developer.lofty.com/authentication/overview",
    limit_headers="lofty",
    limits_for=limits_for,
    fields=(
        ConfigField("account_email", "Lofty user", "E-mail address of whose key it is, or of who authorized the app."),
        ConfigField(
            "app_mode",
            "Limit",
            "What Lofty allows these credentials. Empty: a key of no app, 10 requests in a minute.",
            required=False,
            choices={
                "key": "API key: 10 a minute",
                "development": "App in development mode: 100 a minute",
                "production": "App in production mode: 500 a minute",
            },
        ),
        ConfigField(
            "showing_as",
            "Showings are put in as",
            "Lofty may tell an agent of a new appointment; of a task it does not. Empty: appointments.",
            required=False,
            choices={mapping.APPOINTMENT: "Appointments", mapping.TASK: "Tasks"},
        ),
        ConfigField(
            "assigned_user_id",
            "New leads go to",
            "Member user ID. Empty: Lofty's own routing rules say whose a new lead is.",
            required=False,
        ),
        ConfigField(
            "token",
            "API key",
            "Settings → Integrations → API. Leave empty when an app's OAuth credentials are given.",
            secret=True,
            required=False,
        ),
        ConfigField("client_id", "OAuth client ID", "Only for an app of Lofty's developer platform.", required=False),
        ConfigField("client_secret", "OAuth client secret", secret=True, required=False),
        ConfigField(
            "customer_key",
            "Customer key",
            "Of an app that gets its tokens without a person (client credentials). Then no refresh token is needed.",
            secret=True,
            required=False,
        ),
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
    limit_key=limit_key,
    headers={"Accept": "application/json"},
    mapping_version=mapping.MAPPING_VERSION,
    users=list_users,
    verify=verify,
)
