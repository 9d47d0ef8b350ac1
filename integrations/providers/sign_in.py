"""How one signs in at a provider, as data; `auth.py` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OAuthSignIn:
    """Tokens renewed with a refresh token at `path` (RFC 6749 §6, form-encoded); `extra`: what the vendor wants beside.

    `base_url`: where `path` is, by its name in the settings (empty: where the rest is). `basic`: the client's secret
    goes into the Authorization header (§2.3.1) instead of the form. A connection without a refresh token has a token
    that stays, the secret `token`, sent under `scheme`.
    """

    path: str
    extra: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    basic: bool = False
    scheme: str = "Bearer"


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
