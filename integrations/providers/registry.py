"""Which providers there are. Adding one is its folder and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from .base import Manifest

# Loaded when first asked for: a process that never talks to a provider never imports it.
_MODULES = {
    "followupboss": "integrations.providers.followupboss.manifest",
    "gohighlevel": "integrations.providers.gohighlevel.manifest",
    "hubspot": "integrations.providers.hubspot.manifest",
    "lofty": "integrations.providers.lofty.manifest",
    "rollout": "integrations.providers.rollout.manifest",
}


class UnknownProviderError(LookupError):
    """No provider has this slug."""


def slugs() -> tuple[str, ...]:
    """All providers, in order."""
    return tuple(sorted(_MODULES))


def manifest(slug: str) -> Manifest:
    """What the provider is, as data. Raises UnknownProviderError."""
    found: Manifest = _module(slug).MANIFEST
    return found


@cache
def _module(slug: str) -> ModuleType:
    try:
        return import_module(_MODULES[slug])
    except KeyError:
        raise UnknownProviderError(f"no provider is called {slug!r}; there are: {', '.join(slugs())}") from None
