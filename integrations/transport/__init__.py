"""The way out: every request to a provider asks the gate, goes out under one deadline, and is reported."""

from .guard import (
    Admitting,
    GateUnreachable,
    GuardedTransport,
    Refused,
    Tally,
    calls_so_far,
    counting,
    not_json,
    within,
)
from .record import Passed
from .wire import DirectWire, NotSent, TransportRefusal, UnsendableError, Wire

__all__ = [
    "Admitting",
    "DirectWire",
    "GateUnreachable",
    "GuardedTransport",
    "NotSent",
    "Passed",
    "Refused",
    "Tally",
    "TransportRefusal",
    "UnsendableError",
    "Wire",
    "calls_so_far",
    "counting",
    "not_json",
    "within",
]
