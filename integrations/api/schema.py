"""How the API describes itself: ids are texts, every error is a problem, headers are named."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from .fields import ID_SCHEMA

TEXTS = {
    400: "What was sent cannot be taken; each field is named.",
    401: "No token or session, or one that does not work.",
    403: "The scope or the right is missing, or the session's CSRF token.",
    404: "There is no such record.",
    409: "It cannot be done as things stand, or the same request is still being worked on.",
    412: "The record was changed since it was read.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The Idempotency-Key was used for another request.",
    428: "If-Match is missing.",
    429: "Too many requests; Retry-After says when to come back.",
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "nullable": True},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["field", "code", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "request_id", "errors"],
}
_COLUMN_ENDS = (2**15 - 1, 2**31 - 1, 2**63 - 1)
_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Send the same request again with the same key and it is done once; kept for 24 hours.",
)
_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The ETag of the record as you read it, or *. Without it: 428.",
)
_MAY_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The ETag of the record as you read it: done only if it is so still, else 412.",
)
WRITES = ("POST", "PATCH", "DELETE")
MUST_MATCH = ("PATCH", "DELETE")


class ApiSchema(AutoSchema):
    """drf-spectacular's, with what every endpoint of ours has."""

    def get_override_parameters(self) -> list[Any]:
        """The headers of writes."""
        found = []
        if self.method in WRITES:
            found.append(_KEY)
        if self._matched():
            found.append(_MATCH)
        elif self._may_match():
            found.append(_MAY_MATCH)
        return found

    def _may_match(self) -> bool:
        """Whether it does something to one record that has an ETag."""
        action, exempt = getattr(self.view, "action", ""), getattr(self.view, "unconditional", ())
        return self.method == "POST" and "{" in self.path and action not in exempt

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """Not the ranges of a database's columns: they differ between databases, and the verbs check narrower ones."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # so in drf-spectacular
        if schema.get("type") == "integer" and schema.get("maximum", 0) in _COLUMN_ENDS:
            del schema["maximum"]
        if schema.get("type") == "integer":
            schema.pop("format", None)

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        return [{"in": "path", "name": name, "required": True, "schema": dict(ID_SCHEMA)} for name in variables]

    def get_operation_id(self) -> str:
        """The resource and what is done to it, for example `tours_cancel`."""
        words = [word for word in self.path.split("/") if word and not word.startswith("{") and word != "api"]
        last = {"list": "list", "retrieve": "get", "create": "create", "partial_update": "update"}
        last |= {"destroy": "delete", "stop_delete": "delete", "merge_plan": "plan"}
        action = getattr(self.view, "action", "")
        if action in last:
            words.append(last[action])
        return "_".join(words).replace("-", "_")

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._problems():
            bodies.setdefault(str(status), self._problem(status))
        return bodies

    def _problems(self) -> list[int]:
        found = [401, 403, 429]
        writes = self.method in WRITES
        if writes or self._is_list_view() or getattr(self.view, "action", "").endswith("plan"):
            found.append(400)
        if "{" in self.path:
            found.append(404)
        if getattr(self.view, "action", "") in getattr(self.view, "refusing", ()):
            found.append(409)
        if writes:
            found += [400, 404, 409, 413, 415, 422]
        if self._matched():
            found += [412, 428]
        elif self._may_match():
            found.append(412)
        return sorted(set(found))

    def _matched(self) -> bool:
        return self.method in MUST_MATCH or getattr(self.view, "action", "") in getattr(self.view, "matched", ())

    def _problem(self, status: int) -> dict[str, Any]:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # so in drf-spectacular
            name="Problem", type=ResolvedComponent.SCHEMA, object="Problem", schema=dict(_PROBLEM)
        )
        self.registry.register_on_missing(component)
        answer: dict[str, Any] = {
            "description": TEXTS[status],
            "content": {"application/problem+json": {"schema": component.ref}},
        }
        if status == 429:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        return answer
