"""Every error of the API as RFC 9457 problem details, each field named; never a bare page, never a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.db import IntegrityError
from drf_standardized_errors.formatter import flatten_errors
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import exceptions
from rest_framework.response import Response

from integrations.operations.idempotency import OtherRequest, StillRunning
from integrations.operations.refusals import NotPossible, Stale

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:reanna-router:problem:"
Errors = dict[str, list[str]]


class Conflict(exceptions.APIException):
    status_code = 409
    default_detail = "This cannot be done as things stand."
    default_code = "conflict"


class Changed(exceptions.APIException):
    status_code = 412
    default_detail = "It was changed since you read it. Read it again, then send your change with the new ETag."
    default_code = "changed"


class TooLarge(exceptions.APIException):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class KeyReused(exceptions.APIException):
    status_code = 422
    default_detail = "This Idempotency-Key was used for another request; each request has its own."
    default_code = "key_reused"


class MatchMissing(exceptions.APIException):
    status_code = 428
    default_detail = "Send If-Match with the ETag you read, so that nobody's change is lost."
    default_code = "if_match_missing"


def invalid(errors: Errors, code: str = "invalid") -> exceptions.ValidationError:
    """A 400 that names each field."""
    return exceptions.ValidationError(dict(errors), code=code)


def refused(field: str, message: str, code: str = "invalid") -> exceptions.ValidationError:
    """A 400 about one field."""
    return invalid({field: [message]}, code)


def renamed(error: ValidationError, names: dict[str, str], prefix: str = "") -> Errors:
    """The errors of a verb under the names the API gives its fields."""
    if not hasattr(error, "error_dict"):
        return {prefix.rstrip("."): list(error.messages)}
    found: Errors = {}
    for key, messages in error.message_dict.items():
        found.setdefault(prefix + names.get(key, key), []).extend(messages)
    return found


class Handler(ExceptionHandler):
    """Anything raised in a view, to a problem."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Our verbs' refusals have their own answers; the rest is DRF's."""
        match exc:
            case NotPossible():
                return Conflict(str(exc))
            case Stale():
                return Changed()
            case OtherRequest():
                return KeyReused()
            case StillRunning():
                return Conflict("The same request is still being worked on; send it again in a moment.", "in_progress")
            case IntegrityError():
                return Conflict("Someone changed the same thing in this very moment. Send it again.")
            case ObjectDoesNotExist():
                return exceptions.NotFound()
            case RequestDataTooBig():
                return TooLarge()
            case SuspiciousOperation():
                return exceptions.ParseError("The request cannot be read.")
            case ValidationError() if hasattr(exc, "error_dict"):
                return invalid(dict(exc.message_dict))
            case ValidationError():
                return Conflict(" ".join(exc.messages))
        known: Exception = super().convert_known_exceptions(exc)
        return known

    def should_not_handle(self, exc: Exception) -> bool:
        """Also with DEBUG on: a program reads the answer."""
        return False

    def format_exception(self, exc: exceptions.APIException) -> dict[str, Any]:
        """The problem."""
        request = self.context.get("request")
        errors = flatten_errors(exc.detail)
        status = exc.status_code
        named = isinstance(exc, exceptions.ValidationError)
        slug = "invalid" if named else ((errors[0].code or "error") if errors else "error")
        return problem(
            status=status,
            slug=slug,
            detail=_told(errors, named),
            instance=getattr(request, "path", ""),
            request_id=getattr(getattr(request, "_request", request), "api_request_id", ""),
            errors=[
                {"field": error.attr or None, "code": error.code or "invalid", "message": error.detail}
                for error in (errors if named else [])
            ],
        )

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        """With the media type of problems."""
        return Response(data, status=exc.status_code, headers=self.get_headers(exc), content_type=MEDIA_TYPE)


def _told(errors: list[Any], named: bool) -> str:
    if not named:
        return str(errors[0].detail) if errors else ""
    if len(errors) == 1:
        field = f"{errors[0].attr}: " if errors[0].attr else ""
        return f"{field}{errors[0].detail}"
    return f"{len(errors)} fields were not accepted; nothing was saved."


def problem(
    *, status: int, slug: str, detail: str, instance: str, request_id: str, errors: list[dict[str, Any]]
) -> dict[str, Any]:
    """The members every problem has."""
    return {
        "type": f"{TYPE}{slug}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
        "errors": errors,
    }


def handle(exc: Exception, context: Any) -> Response | None:
    """What DRF calls for an exception in a view."""
    answer: Response | None = Handler(exc, context).run()
    return answer
