"""The records. One noun a file; import them from here."""

from .access import ApiToken, IdempotentRequest
from .audit import AuditEvent
from .bulk import BulkItem, BulkRun
from .connection import AgentUser, Connection, ConnectionHold, ConnectionScope, ConnectionState, LeftOut
from .consent import ConsentRequest
from .hooks import Delivery, RefusedRequest, WebhookEvent, WebhookSource
from .imports import ImportItem, ImportRun, PlannedUndo
from .lease import GateMode, Lease, TrickleScope, WorkerProcess
from .lookup import LookupCursor, LookupEntry
from .operation import (
    CLAIMABLE,
    OPEN,
    TERMINAL,
    UNSETTLED,
    Attempt,
    ExternalRef,
    Operation,
    OperationDependency,
    State,
)
from .people import Agent, Contact, Office
from .tour import (
    LIVE_STATUSES,
    AppointmentStatus,
    AuthorRole,
    Feedback,
    FeedbackChannel,
    InterestLevel,
    OfferLikelihood,
    Outcome,
    PriceOpinion,
    RequestType,
    SecondShowing,
    ShowingMethod,
    Tour,
    TourStatus,
    TourStop,
)

__all__ = [
    "CLAIMABLE",
    "LIVE_STATUSES",
    "OPEN",
    "TERMINAL",
    "UNSETTLED",
    "Agent",
    "AgentUser",
    "ApiToken",
    "AppointmentStatus",
    "Attempt",
    "AuditEvent",
    "AuthorRole",
    "BulkItem",
    "BulkRun",
    "Connection",
    "ConnectionHold",
    "ConnectionScope",
    "ConnectionState",
    "ConsentRequest",
    "Contact",
    "Delivery",
    "ExternalRef",
    "Feedback",
    "FeedbackChannel",
    "GateMode",
    "IdempotentRequest",
    "ImportItem",
    "ImportRun",
    "InterestLevel",
    "Lease",
    "LeftOut",
    "LookupCursor",
    "LookupEntry",
    "OfferLikelihood",
    "Office",
    "Operation",
    "OperationDependency",
    "Outcome",
    "PlannedUndo",
    "PriceOpinion",
    "RefusedRequest",
    "RequestType",
    "SecondShowing",
    "ShowingMethod",
    "State",
    "Tour",
    "TourStatus",
    "TourStop",
    "TrickleScope",
    "WebhookEvent",
    "WebhookSource",
    "WorkerProcess",
]
