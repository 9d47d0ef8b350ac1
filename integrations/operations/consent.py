"""Signing in at a CRM on its own page: there with a challenge, back with a code, and the tokens it is good for."""

from __future__ import annotations

import hashlib
import secrets as random_secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.crypto import salted_hmac

from integrations import conf, wiring
from integrations.engine.trying import scrub
from integrations.models import Connection
from integrations.models.clock import db_now
from integrations.models.consent import ConsentRequest
from integrations.providers import consent, registry
from integrations.providers.base import Manifest
from integrations.providers.consent import Asked
from integrations.providers.errors import AuthError, ProviderError, Rejected
from integrations.providers.sign_in import OAuthSignIn
from integrations.providers.token_call import Grant
from integrations.texts import readable

from . import connections
from .audit import Who
from .refusals import NotPossible

LASTS_MS, KEPT_MS = 600_000, 86_400_000
WITHIN_S = 10.0
SHOWN = 120
AGAIN = "Nothing was changed. Begin again from the connection's page."


@dataclass(frozen=True, slots=True)
class Ended:
    """How a way through the consent page ended, in words; `connection_id` None: it is not known whose it was."""

    words: str
    signed_in: bool = False
    connection_id: int | None = None


def offered(provider: str) -> bool:
    """Whether people can sign in at this provider's own page."""
    return provider in registry.slugs() and _spec(registry.manifest(provider)) is not None


def label(provider: str) -> str:
    """The provider's name."""
    return registry.manifest(provider).label


def page_of(provider: str) -> str:
    """The name, in the settings, of where its page is; empty: it has none."""
    spec = _spec(registry.manifest(provider))
    return spec.consent.base_url if spec and spec.consent else ""


def begin(connection_id: int, *, session_key: str, redirect_uri: str) -> str:
    """Where the browser goes to be asked. Raises NotPossible, Connection.DoesNotExist."""
    connection = Connection.objects.get(pk=connection_id)
    manifest = registry.manifest(connection.provider)
    spec = _spec(manifest)
    if spec is None or spec.consent is None:
        raise NotPossible(f"{manifest.label} has no page to sign in on.")
    client_id = connection.config.get("client_id", "")
    if not (client_id and connections.stored_secrets(connection).get("client_secret")):
        raise NotPossible("Fill in the OAuth client ID and the OAuth client secret of your app first, and save.")
    now, state = db_now(), random_secrets.token_urlsafe(32)
    ConsentRequest.objects.filter(made_ms__lt=now - KEPT_MS).delete()
    ConsentRequest.objects.create(
        state_digest=_digest(state),
        session_digest=_digest(session_key),
        connection=connection,
        redirect_uri=redirect_uri,
        made_ms=now,
    )
    base_url = conf.current().base_urls[spec.consent.base_url]
    return consent.address(spec, base_url, client_id, Asked(redirect_uri, _verifier(state)), state)


def finish(answer: Mapping[str, str], *, session_key: str, who: Who) -> Ended:
    """What came back from the page: whatever it is, it ends in words. The code is used once at most."""
    state = answer.get("state", "")
    request = ConsentRequest.objects.filter(state_digest=_digest(state)).select_related("connection").first()
    if request is None or request.session_digest != _digest(session_key):
        return Ended(f"This answer belongs to no sign-in that was begun in this browser. {AGAIN}")
    connection, crm = request.connection, label(request.connection.provider)
    now = db_now()
    if ConsentRequest.objects.filter(pk=request.pk, used_ms=0).update(used_ms=now) != 1:
        return Ended("This sign-in was used already; it works once. Nothing was changed.", False, connection.pk)
    if now - request.made_ms > LASTS_MS:
        text = f"This sign-in took longer than 10 minutes and is not valid any more. {AGAIN}"
        return Ended(text, False, connection.pk)
    if answer.get("error"):
        return Ended(_declined(crm, answer), False, connection.pk)
    if not answer.get("code"):
        return Ended(f"{crm} sent neither a code nor a reason. {AGAIN}", False, connection.pk)
    try:
        _sign_in(connection, Asked(request.redirect_uri, _verifier(state)), answer["code"], who)
    except NotPossible as error:
        return Ended(f"{error} {AGAIN}", False, connection.pk)
    return Ended(f"Signed in at {crm}: “{connection}” works, and what waited for it is sent.", True, connection.pk)


def _declined(crm: str, answer: Mapping[str, str]) -> str:
    if answer["error"] == "access_denied":
        return f"Access was denied on {crm}'s page. {AGAIN}"
    words = readable(answer.get("error_description") or answer["error"])[:SHOWN]
    return f"{crm} refused: “{words}”. {AGAIN}"


def _sign_in(connection: Connection, asked: Asked, code: str, who: Who) -> None:
    """Trades the code for tokens, looks whose they are, stores them. Raises NotPossible; then nothing is stored."""
    manifest = registry.manifest(connection.provider)
    secrets = connections.stored_secrets(connection)
    grant = _redeemed(connection, manifest, asked, code, secrets)
    _refuse_another(connection, manifest, grant)
    signed = {**secrets, "access_token": grant.access_token}
    if grant.refresh_token:
        signed["refresh_token"] = grant.refresh_token
    signed, expires_at, verified_at = _tried(connection, manifest, signed, grant.expires_at)
    given = {name: value for name, value in signed.items() if name in ("access_token", "refresh_token")}
    try:
        connections.signed_in(
            connection.pk, given, expires_at, who=who, account_key=connection.account_key, verified_at=verified_at
        )
    except ValidationError as error:
        raise NotPossible(" ".join(error.messages)) from None


def _redeemed(connection: Connection, manifest: Manifest, asked: Asked, code: str, secrets: Mapping[str, str]) -> Grant:
    store = wiring.TrialStore(secrets)
    try:
        with wiring.trial(
            connection.provider, connection.config, connection.account_key, store, limits=connection.limit_overrides
        ) as link:
            return link.redeem(asked, code, secrets, within_s=WITHIN_S)
    except ProviderError as error:
        words = scrub(error.message, {**secrets, "code": code}).rstrip(".")
        raise NotPossible(f"{manifest.label} gave no access: {words}.") from None


def _refuse_another(connection: Connection, manifest: Manifest, grant: Grant) -> None:
    spec = _spec(manifest)
    named = str(grant.answer.get(spec.consent.account) or "") if spec and spec.consent else ""
    if named and readable(named) != connection.account_key:
        told = readable(named)[:SHOWN]
        raise NotPossible(
            f"Access was given to another account, {told}. This connection is for {connection.account_key}."
        )


def _tried(
    connection: Connection, manifest: Manifest, secrets: dict[str, str], expires_at: datetime | None
) -> tuple[dict[str, str], datetime | None, datetime | None]:
    """The tokens, perhaps renewed by now; until when; and when they were seen to work (None: it could not be asked)."""
    store = wiring.TrialStore(secrets)
    try:
        with wiring.trial(
            connection.provider, connection.config, connection.account_key, store, limits=connection.limit_overrides
        ) as link:
            link.verify(within_s=WITHIN_S)
    except (AuthError, Rejected) as error:
        words = scrub(error.message, store.secrets).rstrip(".")
        raise NotPossible(f"{manifest.label} gave access, but not to what this connection needs: {words}.") from None
    except ProviderError:
        # The tokens are good, as far as anybody said; a code is not given twice for the same press.
        return store.secrets, None if store.renewed else expires_at, None
    return store.secrets, None if store.renewed else expires_at, timezone.now()


def _spec(manifest: Manifest) -> OAuthSignIn | None:
    spec = manifest.sign_in
    return spec if isinstance(spec, OAuthSignIn) and spec.consent is not None else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _verifier(state: str) -> str:
    """RFC 7636 §4.1: 64 characters that nobody can make who knows the state alone."""
    return salted_hmac("integrations.consent", state, algorithm="sha256").hexdigest()
