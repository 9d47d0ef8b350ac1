"""Holds requests and answers to the vendors' own OpenAPI 3.0 files.

The files are looked for in ``$REANNA_SPECS``, else in ``../shared/specs`` beside the repository; without them a test
that needs them is skipped, and says which folder is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

ROOT = Path(__file__).resolve().parent.parent


class ContractError(AssertionError):
    """Something is not as the vendor's contract has it; the message lists everything."""


class UndocumentedError(ContractError):
    """The contract says nothing of this status."""


@dataclass(frozen=True)
class Operation:
    """One method of one path: its description, and where in which file it stands (a JSON pointer)."""

    uri: str
    pointer: str
    template: str
    description: Mapping[str, Any]


def specs_dir(provider: str = "") -> Path:
    """The folder of the contracts, or of one vendor's; skips the test when it is absent."""
    folder = Path(os.environ.get("REANNA_SPECS") or ROOT.parent / "shared" / "specs") / provider
    if not folder.is_dir():
        pytest.skip(f"the vendors' contracts are missing: no folder {folder} (set REANNA_SPECS)")
    return folder


def validate_request(
    method: str,
    path: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: object,
    *,
    provider: str = "gohighlevel",
) -> None:
    """Raise ContractError unless the request is one the vendor documents.

    ``provider`` names the folder of its contracts; ``path`` may have the path of its base address before it (Rollout's
    ``/api``) or not. ``body`` is parsed JSON, a dict of a form's fields, or None. Stricter than the files in one thing:
    properties and parameters that are not listed are errors, because the vendor refuses them.
    """
    contracts = _contracts(specs_dir(provider))
    operation = contracts.find(method, path)
    sent = {name.lower(): value for name, value in headers.items()}
    found = list(contracts.parameter_errors(operation, path, sent, query))
    found += contracts.security_errors(operation, sent)
    found += contracts.body_errors(operation, sent, body)
    _raise(method, path, found)


def validate_response(method: str, path: str, status: int, body: object, *, provider: str = "gohighlevel") -> None:
    """Raise ContractError unless the vendor documents this answer; UndocumentedError when it knows no such status."""
    contracts = _contracts(specs_dir(provider))
    operation = contracts.find(method, path)
    if str(status) not in operation.description["responses"]:
        raise UndocumentedError(f"{method} {path}: the contract has no answer {status}")
    content = operation.description["responses"][str(status)].get("content", {})
    if "application/json" in content:
        where = f"{operation.pointer}/responses/{status}/content/application~1json/schema"
        _raise(method, path, list(contracts.schema_errors(operation.uri, where, body, f"answer {status}")))


class Contracts:
    """All OpenAPI files of one vendor."""

    def __init__(self, folder: Path) -> None:
        documents = {}
        for file in sorted(folder.rglob("*.json")):
            documents[file.as_uri()] = _as_json_schema(json.loads(file.read_text(encoding="utf-8")))
        resources = ((uri, DRAFT4.create_resource(document)) for uri, document in documents.items())
        self._registry: Registry[Any] = Registry().with_resources(resources)
        self._operations: list[tuple[re.Pattern[str], str, Operation]] = []
        self._schemes: dict[str, Mapping[str, Any]] = {}
        for uri, document in documents.items():
            self._schemes[uri] = document.get("components", {}).get("securitySchemes", {})
            base = urlsplit(document.get("servers", [{"url": ""}])[0]["url"]).path.rstrip("/")
            for template, methods in document.get("paths", {}).items():
                known = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(template))
                pattern = re.compile(f"(?:{re.escape(base)})?{known}")
                for method, description in methods.items():
                    pointer = f"/paths/{template.replace('~', '~0').replace('/', '~1')}/{method}"
                    self._operations.append((pattern, method.upper(), Operation(uri, pointer, template, description)))
        # A fixed path goes before one with a parameter in the same place.
        self._operations.sort(key=lambda entry: entry[2].template.count("{"))

    def find(self, method: str, path: str) -> Operation:
        """The operation of a request. Raises ContractError."""
        for pattern, known, operation in self._operations:
            if known == method.upper() and pattern.fullmatch(path):
                return operation
        raise ContractError(f"{method} {path}: the contract has no such operation")

    def schema_errors(self, uri: str, pointer: str, value: object, what: str) -> Iterator[str]:
        """What is wrong with a value, one line each."""
        validator = Draft4Validator({"$ref": f"{uri}#{pointer}"}, registry=self._registry)
        for error in validator.iter_errors(value):
            yield f"{what}: {error.json_path}: {error.message[:200]}"

    def security_errors(self, operation: Operation, headers: Mapping[str, str]) -> Iterator[str]:
        """A bearer token where the operation wants security, and every header that it wants besides."""
        wanted = operation.description.get("security")
        if not wanted:
            return
        if not re.fullmatch(r"Bearer \S+", headers.get("authorization", "")):
            yield "header Authorization must be a bearer token"
        for name in wanted[0]:
            scheme = self._schemes[operation.uri].get(name, {})
            if scheme.get("in") == "header" and not headers.get(scheme["name"].lower()):
                yield f"header {scheme['name']} is missing"

    def parameter_errors(
        self, operation: Operation, path: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Iterator[str]:
        """What is wrong with headers and query."""
        sent = {"header": headers, "query": query, "path": {}}
        known = set()
        for index, parameter in enumerate(operation.description.get("parameters", [])):
            place, name = parameter["in"], parameter["name"]
            known.add((place, name))
            value = sent[place].get(name.lower() if place == "header" else name)
            if place == "path":
                continue
            if value is None:
                if parameter.get("required"):
                    yield f"{place} {name} is missing"
                continue
            where = f"{operation.pointer}/parameters/{index}/schema"
            yield from self.schema_errors(operation.uri, where, _typed(value, parameter["schema"]), f"{place} {name}")
        for name in query:
            if ("query", name) not in known:
                yield f"query {name} is not documented"

    def body_errors(self, operation: Operation, headers: Mapping[str, str], body: object) -> list[str]:
        """What is wrong with a request's body."""
        described = operation.description.get("requestBody")
        if described is None:
            return [] if body is None else ["a body is not documented"]
        if body is None:
            return ["the body is missing"] if described.get("required") else []
        media = headers.get("content-type", "").partition(";")[0].strip()
        if media not in described["content"]:
            return [f"the body is {media or 'of no type'}, documented: {', '.join(described['content'])}"]
        where = f"{operation.pointer}/requestBody/content/{media.replace('/', '~1')}/schema"
        found = list(self.schema_errors(operation.uri, where, body, "body"))
        schema = self._registry.resolver(operation.uri).lookup(f"#{where}")
        contents = schema.contents
        while "$ref" in contents:
            schema = schema.resolver.lookup(contents["$ref"])
            contents = schema.contents
        choices = [contents, *contents.get("anyOf", [])]
        known = {name for choice in choices for name in choice.get("properties", {})}
        if isinstance(body, dict) and known:
            found += [f"body: property {name} is not documented" for name in body if name not in known]
        return found


@cache
def _contracts(folder: Path) -> Contracts:
    return Contracts(folder)


def _raise(method: str, path: str, found: list[str]) -> None:
    if found:
        raise ContractError(f"{method} {path}: " + "; ".join(found))


def _typed(value: str, schema: Mapping[str, Any]) -> object:
    """A parameter's text as the type its schema names; a list has commas between, as the vendors' guides write it."""
    kind = schema.get("type")
    if kind == "array":
        return value.split(",")
    try:
        if kind in ("number", "integer"):
            return float(value) if kind == "number" else int(value)
    except ValueError:
        return value
    return {"true": True, "false": False}.get(value, value) if kind == "boolean" else value


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's schema dialect as JSON Schema draft 4, with the defects of the vendors' files mended.

    ``nullable`` becomes a type, ``const`` a list of one value. ``type: object`` without properties is dropped where the
    file's own example is not an object: dates, and the numbers of custom fields. ``type: Date`` is a string. Of several
    media types of a body only JSON is kept.
    """
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {name: _as_json_schema(value) for name, value in node.items()}
    if isinstance(schema.get("content"), dict) and "application/json" in schema["content"]:
        schema["content"] = {"application/json": schema["content"]["application/json"]}
    bare = schema.get("type") == "object" and "properties" not in schema
    if bare and not isinstance(schema.get("example", {}), dict):
        del schema["type"]
    if schema.get("type") == "Date":
        schema["type"] = "string"
    if isinstance(schema.get("const"), str):
        schema["enum"] = [schema.pop("const")]
    if schema.get("nullable") is True:
        if isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list):
            schema["enum"] = [*schema["enum"], None]
    return schema
