"""The list of providers."""

from __future__ import annotations

import pytest

from integrations.gate.plan import SHORT_WINDOW_S
from integrations.providers import registry


def test_every_slug_has_a_manifest_of_that_name() -> None:
    assert [registry.manifest(slug).slug for slug in registry.slugs()] == list(registry.slugs())


def test_every_kind_stands_under_its_own_name() -> None:
    for slug in registry.slugs():
        for name, kind in registry.manifest(slug).kinds.items():
            assert kind.name == name


@pytest.mark.parametrize("path", ["/v1/notes", "/v1/people/1", "/crm/objects/contacts/search", "/anything"])
def test_a_limit_of_more_than_a_minute_counts_every_request(path: str) -> None:
    """After Redis forgot, it is counted anew from every attempt of ours."""
    for slug in registry.slugs():
        manifest = registry.manifest(slug)
        if manifest.counted_in is not None:
            long = {window.name for window in manifest.limits if window.seconds > SHORT_WINDOW_S}
            assert long <= set(manifest.counted_in("POST", path)), slug


def test_a_search_at_hubspot_takes_from_the_searchs_own_limit_too() -> None:
    counted_in = registry.manifest("hubspot").counted_in
    assert counted_in is not None
    assert counted_in("POST", "/crm/objects/2026-03/contacts/search") == ("burst", "daily", "search")
    assert counted_in("POST", "/crm/objects/2026-03/contacts/batch/read") == ("burst", "daily")


def test_an_unknown_slug_is_named_with_what_there_is() -> None:
    with pytest.raises(
        registry.UnknownProviderError, match="no provider is called 'acme'; there are: followupboss, gohighlevel"
    ):
        registry.manifest("acme")
