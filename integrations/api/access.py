"""Who asks, and whether they may: tokens for programs, the admin's session for staff in a browser."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from integrations.models import ApiToken
from integrations.operations.access import token_of
from integrations.operations.audit import Who
from integrations.operations.roles import permissions_of

VIA = "api"


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer rr_live_…`."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """Raises AuthenticationFailed, the same for every way a token can be wrong."""
        kind, _, shown = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        if not kind:
            return None
        token = token_of(shown.strip(), timezone.now()) if kind.lower() == "bearer" else None
        if token is None:
            raise AuthenticationFailed("This token does not work: it is unknown, expired or revoked.")
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself so
    """How the schema describes a token."""

    target_class = "integrations.api.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "rr_live_<id>_<secret>"}


class HasScope(BasePermission):
    """The view names the scope each of its actions needs; a token also needs its owner to have the right still."""

    message = "You may not do this: the scope or the right is missing."

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        action = getattr(view, "action", None)
        if action in (None, "metadata"):
            return True  # no such method: told as 405
        scope = view.scopes.get(action)
        if scope is None:
            return False
        if isinstance(request.auth, ApiToken) and scope not in request.auth.scopes:
            return False
        return bool(request.user.has_perms(permissions_of(scope)))


AUTHENTICATION = (TokenAuthentication, SessionAuthentication)


def client_of(request: Request) -> str:
    """Whose requests are counted and told apart: a token's, or a person's."""
    return f"token:{request.auth.pk}" if isinstance(request.auth, ApiToken) else f"user:{request.user.pk}"


def who(request: Request, reason: str = "") -> Who:
    """The person, and the token that acts for them, as the audit trail names them."""
    name = request.user.get_username()
    if isinstance(request.auth, ApiToken):
        name = f"{name[:100]}, token {request.auth}"
    return Who(actor=name[:150], via=VIA, reason=reason)
