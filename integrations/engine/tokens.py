"""Housekeeping: access tokens are renewed before they run out, so that a send seldom meets a dead one."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx

from integrations import wiring
from integrations.fields import Unreadable
from integrations.models import Connection, ConnectionState, GateMode
from integrations.providers.auth import renew_at
from integrations.providers.errors import AuthError, ProviderError
from integrations.transport import TransportRefusal

from .settling import ask_to_sign_in

MARGIN = timedelta(minutes=30)

logger = logging.getLogger(__name__)


def refresh_due(now: datetime, *, random: Callable[[], float] = random.random) -> int:
    """Renew the tokens that expire within 30 minutes; how many were. Safe to run twice at once.

    A connection whose provider definitely refuses is set to `auth_needed`; any other failure is left to the next run,
    and at the latest to the first 401.
    """
    renewed = 0
    if GateMode.objects.filter(pk=1, paused_ms__gt=0).exists():
        return 0  # a backup was restored: nothing leaves us before a person says go
    soon = Connection.objects.defer("secrets").filter(state=ConnectionState.ACTIVE, token_expires_at__lte=now + MARGIN)
    for connection in soon.order_by("token_expires_at"):
        expires_at = connection.token_expires_at
        if expires_at is not None and renew_at(expires_at, margin=MARGIN, random=random) <= now:
            renewed += _renew(connection)
    return renewed


def _renew(connection: Connection) -> bool:
    try:
        return wiring.link(connection).renew_token()
    except AuthError as error:
        logger.warning("connection %s must sign in again: %s", connection.pk, error)
        ask_to_sign_in(connection.pk, str(error), credentials_version=connection.secrets_version)
    except Unreadable as error:
        logger.warning("the credentials of connection %s cannot be decrypted", connection.pk)
        ask_to_sign_in(connection.pk, str(error))
    except (ProviderError, TransportRefusal, httpx.TransportError) as error:
        logger.info("the token of connection %s is renewed later: %s", connection.pk, error)
    return False
