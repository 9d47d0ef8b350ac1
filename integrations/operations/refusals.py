"""What a verb says when it cannot do what was asked."""

from __future__ import annotations


class NotPossible(Exception):
    """What was asked cannot be done as things stand; the text says why and what to do instead."""


ARCHIVED = "This tour is archived; bring it back from the archive first."


class Stale(Exception):
    """The record was changed since whoever asks last saw it."""
