"""What is sent while Redis is away: a trickle that the database allows. `docs/adr/0015-redis-away.md` tells why so."""

from .gate import FallbackGate
from .mode import Mode, note, tend

__all__ = ["FallbackGate", "Mode", "note", "tend"]
