"""Where a record can be looked at in the CRM: an address for the person at the desk, never one that we request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from integrations import conf
from integrations.models import Connection, ExternalRef
from integrations.providers import registry

FIELDS = ("label", "provider", "account_key", "config")
"""The columns of a connection that an address is made of."""


@dataclass(frozen=True, slots=True)
class There:
    """A record of ours as one CRM calls it; `url` is empty where the vendor tells no address."""

    label: str
    external_id: str
    url: str


def url(connection: Connection, resource: str, external_id: str) -> str:
    """The vendor's page of this record; in the sandbox, what its account holds. Empty: none is known.

    Ids and account come from outside, so they are escaped as one piece of the path.
    """
    if not external_id or connection.provider not in registry.slugs():
        return ""
    settings = conf.current()
    sandbox = settings.sandbox_url.rstrip("/")
    if sandbox and settings.base_urls.get(connection.provider, "").startswith(sandbox):
        account = urlencode({"account": f"{connection.provider}:{connection.account_key}"})
        return f"{sandbox}/?{account}#holds"
    template = registry.manifest(connection.provider).record_urls.get(resource)
    if template is None:
        return ""
    parts = {name: quote(str(value).strip(), safe="") for name, value in connection.config.items()}
    try:
        return template.format(**{**parts, "id": quote(external_id, safe="")})
    except KeyError:  # the connection's configuration lacks what the address names
        return ""


def of(entity_type: str, entity_id: int, resource: str) -> list[There]:
    """A record at every CRM it is linked in. One query."""
    refs = ExternalRef.objects.filter(
        entity_type=entity_type, entity_id=entity_id, resource=resource, external_id__isnull=False
    )
    known = refs.select_related("connection").only("external_id", *(f"connection__{name}" for name in FIELDS))
    return list(_told(known.order_by("connection__label"), resource))


def _told(refs: Iterable[ExternalRef], resource: str) -> Iterable[There]:
    for ref in refs:
        external_id = ref.external_id or ""
        yield There(ref.connection.label, external_id, url(ref.connection, resource, external_id))
