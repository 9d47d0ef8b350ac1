"""Rollout as data."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.gate import Window
from integrations.providers.accounts import AccountList
from integrations.providers.base import ConfigField, Manifest
from integrations.providers.sign_in import JwtSignIn

from .activities import FeedbackNote, FeedbackTask, TourSummary
from .credentials import list_credentials, verify
from .errors import SLUG
from .mapping import MAPPING_VERSION
from .outbound import AppointmentSync, AppointmentTypeLink, ContactLink
from .tags import ContactFields
from .users import list_users


def account_key(config: Mapping[str, str]) -> str:
    """One CRM account: a credential."""
    return config["credential_id"].strip()


def limit_key(config: Mapping[str, str]) -> str:
    """Requests are counted for each consumer, whichever of its credentials they are for."""
    return f"{config['client_id'].strip()}/{config['consumer'].strip()}"


MANIFEST = Manifest(
    slug=SLUG,
    label="Rollout",
    # https://rollout.com/docs/getting-started/getting-your-api-key: HS512; iss, sub, iat, exp = iat + 900 s.
    sign_in=JwtSignIn("HS512", 900, issuer="client_id", subject="consumer", secret="client_secret"),  # noqa: S106  a field's name
    limits=(Window("burst", 50, 1),),
    limits_source="https://rollout.com/docs/getting-started/making-api-requests",
    fields=(
        ConfigField("credential_id", "Credential ID", "The connected CRM account, as Rollout lists it."),
        ConfigField("client_id", "Client ID", "Rollout → Settings → API keys."),
        ConfigField("consumer", "Consumer", "The user or tenant under whom the CRM was connected."),
        ConfigField("client_secret", "Client secret", "Signs our access tokens; never sent.", secret=True),
    ),
    kinds={
        kind.name: kind
        for kind in (
            ContactLink(),
            AppointmentTypeLink(),
            AppointmentSync(),
            FeedbackNote(),
            FeedbackTask(),
            ContactFields(),
            TourSummary(),
        )
    },
    account_key=account_key,
    limit_key=limit_key,
    broker=True,
    headers={"Accept": "application/json"},
    config_headers={"X-Rollout-Credential-Id": "credential_id"},
    mapping_version=MAPPING_VERSION,
    users=list_users,
    verify=verify,
    accounts=AccountList(list_credentials, "rollout_credentials", "credential_id", ("client_id", "consumer")),
)
