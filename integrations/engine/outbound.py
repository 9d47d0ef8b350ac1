"""One drain of a connection: claim a batch, work each operation, settle it.

The order of a write is the law: the gate admits → `sent_ms` and the Attempt are committed → the lease is checked on the
monotonic clock → bytes. A row in doubt is looked up before anything is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from integrations import wiring
from integrations.fields import Unreadable
from integrations.gate import GateAway
from integrations.gateway import Link
from integrations.models import Attempt, Connection, ExternalRef
from integrations.models.clock import db_now
from integrations.providers.base import Ambiguous, Found, Ignored, Kind, Lookup, NotFound, RefFacts, Removed, Wanted
from integrations.providers.errors import ProviderError
from integrations.transport import NotSent, Refused

from . import claims, gatemode, links, overwriting, settling, snapshots
from .context import Engine, HandBack
from .digest import digest_of
from .kinds import KINDS
from .reading import ending_of
from .settling import Ending
from .trying import Try
from .verdict import Fact, Hold, Verdict

log = logging.getLogger(__name__)

QUANTUM_OPERATIONS = 20
QUANTUM_S = 2.0
LEASE_RESERVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Read:
    """What was read for a whole batch once it was ours."""

    refs: Mapping[links.Name, ExternalRef]
    records: snapshots.Records


@dataclass
class Drained:
    """What a drain did. `more`: due rows were left and the connection may send."""

    worked: int = 0
    more: bool = False


def drain(engine: Engine, connection_id: int) -> Drained:
    """Works up to 20 operations or 2 s of one connection; hands the rest back."""
    result = Drained()
    opened = _open(engine, connection_id)
    if opened is None:
        return result
    connection, link = opened
    limit = engine.batch_size(connection_id, QUANTUM_OPERATIONS)
    before = engine.monotonic()
    owner = engine.new_owner()
    batch = claims.claim(connection_id, owner, limit, engine.lease_ms, before)
    if not batch:
        return result
    # Read once the rows are ours: whoever changes it later finds them in hand, and plans them anew.
    connection.refresh_from_db(fields=["assigns"])
    engine.observe("after_claim")
    full = len(batch) == limit
    operations = [item.operation for item in batch]
    read = Read(links.make(operations, connection), snapshots.read(operations, connection))
    with engine.held(owner, batch) as heart:
        while batch:
            # One at least: where claiming alone takes so long, nothing would ever be sent.
            if (result.worked and engine.monotonic() - before > QUANTUM_S) or engine.stopping():
                claims.hand_back(batch)
                result.more = True
                return result
            item = batch.pop(0)
            heart.progress()
            verdict = work(engine, connection, link, heart.refreshed(item), read)
            result.worked += 1
            if verdict is not None and verdict.hold is not Hold.NONE:
                claims.hand_back(batch)  # a refusal that speaks for the whole connection: nobody asks again
                return result
    result.more = full
    return result


def _open(engine: Engine, connection_id: int) -> tuple[Connection, Link] | None:
    """The connection and the way to its provider; None when it cannot be used: then a person is asked."""
    try:
        connection = Connection.objects.filter(pk=connection_id).first()
        if connection is None:
            return None
        _ = connection.secrets  # read before anything is claimed: they may be unreadable
        return connection, engine.link(connection)
    except Unreadable as error:
        why = str(error)
    except (LookupError, ValueError) as error:
        # An unknown provider, a limit that does not exist: configuration that only a person can mend.
        why = f"This connection cannot be used: {error}"
    settling.ask_to_sign_in(connection_id, why)
    return None


def work(engine: Engine, connection: Connection, link: Link, claimed: claims.Claim, read: Read) -> Verdict | None:
    """One operation, from claimed to settled. None when it was lost to someone else meanwhile."""
    began = engine.monotonic()
    attempt = Try(claimed, connection, link, read.refs[links.name_of(claimed.operation)])
    ending: Ending | None
    with link.use() as attempt.tally:
        ending = _ending(engine, attempt, read.records)
    if ending is None:
        return None
    engine.observe("before_success_commit")
    verdict = settling.settle(claimed, attempt.ref, ending, engine.figures, engine.random)
    engine.observe("after_success_commit")
    gatemode.note(ending.fact, ending.message)
    wiring.save_gate_facts(connection.pk, attempt.tally.breaker, _not_before(ending))
    engine.note(connection.pk, seconds=engine.monotonic() - began, budget=attempt.tally.budget)
    return verdict


def _not_before(ending: Ending) -> int | None:
    """When a 429 lets us ask again, for the day Redis forgets what it was told of it."""
    return db_now() + int((ending.retry_after_s or 1.0) * 1000) if ending.fact is Fact.RATE_LIMITED else None


def _ending(engine: Engine, attempt: Try, records: snapshots.Records) -> Ending | None:
    """How the try ended; None when the row is not ours any more."""
    operation = attempt.claim.operation
    try:
        if operation.strikes:
            claims.enter(attempt.claim)
        return _attempt(engine, attempt, records)
    except claims.LeaseLost:
        return None
    except claims.CancelAsked:
        return attempt.ending(Fact.CANCEL_ASKED)
    except HandBack:
        return attempt.ending(Fact.HANDED_BACK)
    except (ProviderError, Refused, NotSent, GateAway, httpx.TransportError) as error:
        return ending_of(error, attempt)
    except Exception as error:
        # A defect of ours must not take the drain's other operations with it; the row keeps the story.
        log.exception("defect in %s, operation %s", operation.kind, operation.pk)
        fact = Fact.DEFECT_SENT if attempt.sent_ms else Fact.DEFECT_UNSENT
        return attempt.ending(fact, message=f"{type(error).__name__} in our own code")


def _attempt(engine: Engine, attempt: Try, records: snapshots.Records) -> Ending:
    """Builds the request from the row as it is now, looks where it must, writes at most once."""
    operation = attempt.claim.operation
    kind = attempt.link.kind(operation.kind)
    attempt.settle_s = max(engine.figures.settle_s, kind.settle_s)
    snapshot = snapshots.take(operation.kind, operation.entity_id, attempt.connection, records)
    needs, missing = _needs(attempt, snapshot)
    ref = attempt.ref
    facts = RefFacts(ref.external_id, ref.marker)
    attempt.version = snapshot.facts.version
    if not snapshot.stands and ref.external_id is None and not operation.in_doubt:
        # Nothing to build a request from, and nothing it could end: also where what it hangs on is not linked.
        return attempt.ending(Fact.LEFT_OUT if snapshot.left_out else Fact.NOTHING_TO_DO)
    if missing:
        return attempt.ending(Fact.NEEDS_MISSING, message=f"the {missing} is not linked in this CRM")
    wanted = kind.wanted(snapshot.facts, needs, facts, attempt.link.facts.config)
    attempt.digest = digest_of(wanted, attempt.connection, attempt.link.manifest.mapping_version)
    early = _given_to_nobody(engine, attempt, snapshot, wanted) or _without_asking(engine, attempt, kind, wanted)
    if early is not None:
        return early
    exchange = attempt.link.exchange(lambda: _before_write(engine, attempt))
    if operation.in_doubt or (kind.look_first and ref.external_id is None):
        found = kind.lookup(exchange, snapshot.facts, wanted, facts, needs)
        found = overwriting.seen(attempt, kind, wanted, found, exchange)
        done = _after_look(attempt, snapshot, kind, wanted, found)
        if done is not None:
            return done
        if isinstance(found, Found):
            facts = RefFacts(found.external_id, ref.marker)
            attempt.found_id = found.external_id
    changed = overwriting.changed_there(attempt, kind, wanted, exchange)
    if changed is not None:
        return changed
    written = kind.write(exchange, wanted, facts)
    engine.observe("after_answer")
    if isinstance(written, Ignored):
        return attempt.ending(
            Fact.IGNORED, message=written.message, status=written.status, request_id=written.request_id
        )
    return attempt.ending(
        Fact.UNDERSTOOD,
        external_id=None if isinstance(written, Removed) else written.external_id,
        acknowledged=True,
        body=None if isinstance(written, Removed) else overwriting.acknowledged_body(attempt, kind, wanted),
        status=written.status,
        request_id=written.request_id,
    )


def _needs(attempt: Try, snapshot: snapshots.Snapshot) -> tuple[Mapping[str, str], str]:
    """External ids of what this operation hangs on, and the first resource that has none. Its link is read anew."""
    operation, connection = attempt.claim.operation, attempt.connection
    attempt.ref, ids, attempt.started_ms = links.now(operation, connection, snapshot.needs)
    under = _under(attempt)
    if under is not None and "contact" in ids:
        wanted = {**snapshot.needs, "contact": ("contact", under)}
        attempt.ref, ids, attempt.started_ms = links.now(operation, connection, wanted)
    needs: dict[str, str] = {}
    for resource, external_id in ids.items():
        if external_id is None:
            return needs, resource
        needs[resource] = external_id
    return needs, ""


def _under(attempt: Try) -> int | None:
    """The merged buyer under whose person the record stands, or may stand: it is changed and looked up there.

    What does not stand there (any more) is made under the person of who stands for that buyer now.
    """
    ref = attempt.ref
    if ref.under_id is None or ref.external_id is not None or attempt.claim.operation.in_doubt:
        return ref.under_id
    ExternalRef.objects.filter(pk=ref.pk).update(under=None)
    ref.under_id = None
    return None


def _given_to_nobody(engine: Engine, attempt: Try, snapshot: snapshots.Snapshot, wanted: Wanted) -> Ending | None:
    """It waits while it is not known whose it is there: never sent unassigned. What should not stand needs nobody."""
    agent, operation = snapshot.unmapped, attempt.claim.operation
    if agent is None or wanted.absent:
        return None
    if operation.cancel_requested and not operation.in_doubt:
        return attempt.ending(Fact.CANCEL_ASKED)
    return attempt.ending(
        Fact.AGENT_UNMAPPED,
        message=f"{agent.name} has no user in this CRM yet",
        until_ms=attempt.started_ms + int(engine.figures.unmapped_s * 1000),
        unmapped_id=agent.pk,
    )


def _without_asking(engine: Engine, attempt: Try, kind: Kind, wanted: Wanted) -> Ending | None:
    """What can be settled without a request: no change, nothing to do, too early or impossible to look."""
    operation, ref = attempt.claim.operation, attempt.ref
    if operation.in_doubt:
        earliest = (operation.sent_ms or 0) + int((engine.figures.total_deadline_s + attempt.settle_s) * 1000)
        if attempt.started_ms < earliest:
            return attempt.ending(Fact.SETTLING, until_ms=earliest)
        if not kind.has_lookup and ref.external_id is None:
            return attempt.ending(Fact.NO_LOOKUP, message="this CRM cannot be asked whether it arrived")
        return None
    if operation.cancel_requested:
        return attempt.ending(Fact.CANCEL_ASKED)
    if ref.acked_digest == attempt.digest or (KINDS[operation.kind].once and ref.external_id and ref.acked_version):
        return attempt.ending(Fact.NO_CHANGE)
    if wanted.absent and ref.external_id is None:
        return attempt.ending(Fact.NOTHING_TO_DO)
    return None


def _after_look(attempt: Try, snapshot: snapshots.Snapshot, kind: Kind, wanted: Wanted, found: Lookup) -> Ending | None:
    """What a look-up settles by itself; None: a write is due."""
    if isinstance(found, Ambiguous):
        ids = ", ".join(found.external_ids)
        return attempt.ending(Fact.TWO_MATCHES, message=f"could be any of {ids}")
    if isinstance(found, NotFound):
        if snapshot.left_out and attempt.ref.external_id is None:
            return attempt.ending(Fact.LEFT_OUT)
        # It is as wanted: not there. A link that still names it ends.
        return attempt.ending(Fact.NOTHING_TO_DO, acknowledged=True) if wanted.absent else None
    other = (
        ExternalRef.objects.filter(
            connection=attempt.connection, resource=wanted.resource, external_id=found.external_id
        )
        .exclude(pk=attempt.ref.pk)
        .first()
    )
    if other is not None:
        return attempt.ending(
            Fact.MAPPED_ELSEWHERE,
            message=f"{found.external_id} is linked to {other.entity_type} {other.entity_id}",
        )
    if found.same or (found.same is None and _only_ours(attempt)):
        body = overwriting.acknowledged_body(attempt, kind, wanted)
        return attempt.ending(Fact.ALREADY_THERE, external_id=found.external_id, acknowledged=True, body=body)
    return None


def _only_ours(attempt: Try) -> bool:
    """Whether the record just found can only hold what is wanted now.

    It was not linked, so what created it was one of our lost requests; when all of them asked for exactly this, it is
    there, even if the look-up's answer does not show every field.
    """
    if attempt.ref.external_id is not None or not attempt.claim.operation.in_doubt:
        return False
    operation = attempt.claim.operation
    sent = Attempt.objects.filter(
        operation__connection_id=operation.connection_id,
        operation__entity_type=operation.entity_type,
        operation__entity_id=operation.entity_id,
        operation__kind=operation.kind,
        sent_ms__isnull=False,
    )
    return set(sent.values_list("digest", flat=True)) == {attempt.digest}


def _before_write(engine: Engine, attempt: Try) -> None:
    """Runs after the gate admitted the write and before its first byte; raising stops the write."""
    if attempt.sent_ms is None:
        if engine.stopping():
            raise HandBack
        attempt.sent_ms = claims.mark_sent(
            attempt.claim,
            ref=attempt.ref,
            version=attempt.version,
            digest=attempt.digest,
            started_ms=attempt.started_ms,
            found_id=attempt.found_id,
        )
        engine.observe("after_sent_commit")
    left = engine.lease_left(attempt.claim)
    if left <= engine.figures.total_deadline_s + LEASE_RESERVE_S or engine.stopping():
        raise HandBack
