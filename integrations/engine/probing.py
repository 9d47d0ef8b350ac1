"""Housekeeping: each connection's CRM is asked now and then whether its credentials still fit, keys and tokens alike.

What is revoked while nothing is to be sent is known before a tour depends on it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from django.utils import timezone

from integrations import conf, wiring
from integrations.fields import Unreadable
from integrations.models import Connection, ConnectionState
from integrations.providers.errors import AuthError, ProviderError

from . import claims
from .clock import db_now
from .settling import ask_to_sign_in
from .trying import scrub

WITHIN_S = 10.0
RUN_S = 45.0
"""A run ends after so long; what is left is due at the next."""
EARLIEST = 0.8
"""A probe comes after this part of the interval at the earliest: spread, so that not all are asked at once."""

logger = logging.getLogger(__name__)


def probe_due(*, random: Callable[[], float] = random.random, monotonic: Callable[[], float] = time.monotonic) -> int:
    """Asks the CRMs whose turn it is; how many said yes. Safe to run twice at once.

    Only of connections that may send. A definite no makes a connection `auth_needed`: what waits for it keeps its
    attempts, the others go on. Any other failure says nothing about credentials and is left to the next time.
    """
    passed, began = 0, monotonic()
    due = claims.sending(db_now()).filter(probe_due_ms__lte=db_now()).order_by("probe_due_ms", "pk")
    for pk, due_ms in list(due.values_list("pk", "probe_due_ms")):
        if monotonic() - began > RUN_S:
            break
        wait_s = conf.current().probe_s * (EARLIEST + (1 - EARLIEST) * random())
        mine = Connection.objects.filter(pk=pk, probe_due_ms=due_ms, state=ConnectionState.ACTIVE)
        if mine.update(probe_due_ms=db_now() + int(wait_s * 1000)):
            passed += _passes(pk)
    return passed


def _passes(connection_id: int) -> bool:
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        return False
    try:
        link = wiring.link(connection)
        if link.manifest.verify is None:
            return False
        link.verify(within_s=WITHIN_S)
    except AuthError as error:
        words = scrub(error.message, connection.secrets)
        logger.warning("connection %s must sign in again: %s", connection_id, words)
        version = error.credentials_version or connection.secrets_version
        ask_to_sign_in(connection_id, words, credentials_version=version)
        return False
    except Unreadable as error:
        logger.warning("the credentials of connection %s cannot be decrypted", connection_id)
        ask_to_sign_in(connection_id, str(error))
        return False
    except (ProviderError, LookupError, ValueError) as error:
        # By its kind alone: what a vendor says may hold what we sent.
        logger.info("whether connection %s may sign in is asked later: %s", connection_id, type(error).__name__)
        return False
    Connection.objects.filter(pk=connection_id).update(last_verified_at=timezone.now())
    return True
