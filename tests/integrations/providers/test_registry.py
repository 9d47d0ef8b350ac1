"""The list of providers."""

from __future__ import annotations

import pytest

from integrations.providers import registry


def test_every_slug_has_a_manifest_of_that_name() -> None:
    assert [registry.manifest(slug).slug for slug in registry.slugs()] == list(registry.slugs())


def test_every_kind_stands_under_its_own_name() -> None:
    for slug in registry.slugs():
        for name, kind in registry.manifest(slug).kinds.items():
            assert kind.name == name


def test_an_unknown_slug_is_named_with_what_there_is() -> None:
    with pytest.raises(
        registry.UnknownProviderError, match="no provider is called 'acme'; there are: followupboss, gohighlevel"
    ):
        registry.manifest("acme")
