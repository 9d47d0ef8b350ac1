"""The gate's Lua by digest, and calls of it written in Redis's protocol as far as they stay the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources


def bulk(parts: Iterable[bytes]) -> bytes:
    """Words as Redis takes them (RESP): https://redis.io/docs/latest/develop/reference/protocol-spec/"""
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def _words(values: tuple[str | float, ...]) -> bytes:
    """Plain ASCII, as all arguments are."""
    texts = [one if type(one) is str else str(one) for one in values]
    return "".join([f"${len(text)}\r\n{text}\r\n" for text in texts]).encode("ascii")


class Script:
    """A text and its digest."""

    def __init__(self, *texts: str) -> None:
        self.text = "\n".join(texts).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


class Call:
    """A script with its keys and its last arguments, ready to be sent with `first` arguments before those.

    Written once: packing every call anew in Python costs half as much as the whole round trip.
    """

    def __init__(self, script: Script, keys: tuple[bytes, ...], first: int, last: tuple[bytes, ...] = ()) -> None:
        self._script, self._keys, self._first, self._last = script, keys, first, last
        self._size = len(keys) + first + len(last) + 3
        self._known = self._head(b"EVALSHA", script.digest)
        self._tail = bulk(last)

    def by_digest(self, *first: str | float) -> bytes:
        """For a server that knows the script."""
        return self._known + _words(first) + self._tail

    def in_full(self, *first: str | float) -> bytes:
        """For one that does not (yet, or any more)."""
        return self._head(b"EVAL", self._script.text) + _words(first) + self._tail

    def _head(self, command: bytes, script: bytes) -> bytes:
        return b"*%d\r\n" % self._size + bulk((command, script, b"%d" % len(self._keys), *self._keys))


@cache
def _source(name: str) -> str:
    return (resources.files("integrations.gate") / "scripts" / f"{name}.lua").read_text("utf-8")


@lru_cache(maxsize=256)
def script(name: str, policy: str = "") -> Script:
    """The script of that name for scopes of that policy (`plan.policy_of`)."""
    before = (_source("well"),) if name == "report" else ()
    return Script(policy, *before, _source("shared"), _source(name))
