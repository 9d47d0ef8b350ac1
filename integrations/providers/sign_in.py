"""How one signs in at a provider, as data; `auth.py` and `consent.py` do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Consent:
    """The vendor's page on which a person lets our app into an account (RFC 6749 §4.1).

    `base_url`: where `path` is, by its name in the settings. `account`: what the token answer calls the account that
    was let into; it must be the connection's. `pkce`: whether a challenge is sent (RFC 7636, S256): not where the
    vendor refuses parameters it does not know.
    """

    base_url: str
    path: str
    scopes: tuple[str, ...]
    account: str
    pkce: bool = True


@dataclass(frozen=True, slots=True)
class OAuthSignIn:
    """Tokens got and renewed at `path` (RFC 6749), form-encoded or as `json`; `extra`: what the vendor wants beside.

    `base_url`: where `path` is, by its name in the settings (empty: where the rest is). `basic`: the client's secret
    goes into the Authorization header (§2.3.1) instead of the form. `rotates`: each refresh token is good for one use.
    `by_client`: further fields of the client credentials grant (§4.4) and the secrets they carry; a connection that
    has those secrets gets its tokens that way, without any person's consent (empty: the vendor has no such grant).
    `consent`: where people let the app in (None: its refresh token is typed in). A connection without a refresh token
    has a token that stays, the secret `token`, sent under `scheme`.
    """

    path: str
    extra: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    basic: bool = False
    scheme: str = "Bearer"
    json: bool = False
    rotates: bool = True
    by_client: Mapping[str, str] = field(default_factory=dict)
    consent: Consent | None = None

    def granted_to_client(self, secrets: Mapping[str, str]) -> bool:
        """Whether a connection with these secrets gets its tokens by the client credentials grant."""
        return bool(self.by_client) and all(secrets.get(name) for name in self.by_client.values())


@dataclass(frozen=True, slots=True)
class JwtSignIn:
    """A token we mint ourselves (RFC 7519), signed with the secret `secret`. `issuer`, `subject`: config fields."""

    algorithm: str
    lifetime_s: int
    issuer: str
    subject: str
    secret: str


@dataclass(frozen=True, slots=True)
class BasicSignIn:
    """HTTP Basic (RFC 7617): the secret `user` as user name, no password; `headers` carry further secrets, if given."""

    user: str
    headers: Mapping[str, str] = field(default_factory=dict)


SignIn = OAuthSignIn | JwtSignIn | BasicSignIn
