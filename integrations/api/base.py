"""What every endpoint does the same: access, counting, requests sent again, ETags, problems."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponseBase
from django.http.request import RawPostDataException
from rest_framework.exceptions import NotFound, Throttled, UnsupportedMediaType
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from integrations.engine.clock import db_now
from integrations.operations import idempotency
from integrations.operations.audit import Who
from integrations.operations.values import clean_text

from . import access, throttling
from .problems import Changed, MatchMissing, handle, refused
from .reading import AlwaysJSON, StrictJSON, taken
from .schema import ApiSchema

log = logging.getLogger(__name__)

WRITES = ("POST", "PATCH", "DELETE")
ID = r"[0-9]{1,18}"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT_HEADERS = ("ETag", "Location")
_TAG = re.compile(r'\s*(W/)?"([^"]*)"\s*')


class Endpoint(GenericViewSet[Any]):
    """Base of every view. `scopes`: action → the scope it needs; an action without one cannot be reached."""

    scopes: Mapping[str, str]
    authentication_classes: Any = access.AUTHENTICATION
    permission_classes: Any = (access.HasScope,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (StrictJSON,)
    content_negotiation_class = AlwaysJSON
    schema = ApiSchema()
    http_method_names = ("get", "head", "post", "patch", "delete")
    lookup_value_regex = ID
    unconditional: tuple[str, ...] = ()
    """Actions on a record that do not look at its ETag, for they do nothing to it."""
    refusing: tuple[str, ...] = ()
    """Actions that read, yet may find that it cannot be done: 409."""
    matched: tuple[str, ...] = ()
    """Actions besides a change that need If-Match."""
    one_transaction = True
    """Whether a repeatable request may hold its work and its answer in one transaction."""

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return handle

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        request.api_request_id = uuid.uuid4().hex
        return super().initialize_request(request, *args, **kwargs)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """DRF's own, with the work of a request that may be sent again in the middle."""
        self.args, self.kwargs = args, kwargs
        self.standing: throttling.Standing | None = None
        self.headers = self.default_response_headers
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            self.initial(self.request, *args, **kwargs)
            method = (self.request.method or "").lower()
            known = method in self.http_method_names
            work = getattr(self, method, self.http_method_not_allowed) if known else self.http_method_not_allowed
            response = self._answered(lambda: work(self.request, *args, **kwargs))
        except Exception as error:  # noqa: BLE001  every error is answered as a problem; what is ours to mend is logged
            log.debug("answered as a problem: %s", type(error).__name__)
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """DRF's own; what is refused for want of a right counts too."""
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        self.perform_authentication(request)
        self.check_throttles(request)
        self.check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        if not request.user.is_authenticated:
            return
        person = f"person:{request.user.pk}"
        self.standing = throttling.count(access.client_of(request), person, writes=request.method in WRITES)
        if self.standing is not None and self.standing.refused:
            raise Throttled(wait=self.standing.retry_s, detail="Too many requests")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in (self.standing.headers if self.standing else {}).items():
            answer[name] = value
        answer["X-Request-ID"] = request._request.api_request_id  # type: ignore[attr-defined]  # set as it came in
        answer["Cache-Control"] = "no-store"
        return answer

    # --- requests sent again --------------------------------------------------------------------------------------

    def _answered(self, work: Callable[[], Any]) -> Any:
        key = self.request.headers.get("Idempotency-Key")
        if key is None or self.request.method not in WRITES or getattr(self, "action", None) is None:
            return work()
        if not _KEY.fullmatch(key):
            raise refused("Idempotency-Key", "This must be 1 to 200 visible ASCII characters.")
        turn = idempotency.begin(access.client_of(self.request), key, self._digest(), db_now())
        if turn.answer is not None:
            return _replayed(turn.answer)
        return self._worked(turn, work)

    def _digest(self) -> str:
        request = self.request._request
        parts = (str(request.method), request.get_full_path(), request.headers.get("If-Match", ""))
        try:
            body = request.body
        except RawPostDataException:  # a form, which the check of the session's CSRF token has read
            raise UnsupportedMediaType(request.content_type or "") from None
        return hashlib.sha256("\n".join(parts).encode() + b"\n" + body).hexdigest()

    def _worked(self, turn: idempotency.Turn, work: Callable[[], Any]) -> Any:
        try:
            if not self.one_transaction:
                return _finished(turn, work())
            with transaction.atomic():
                return _finished(turn, work())
        except Exception as error:  # noqa: BLE001  answered as a problem, and kept as the answer unless it is ours to mend
            log.debug("answered as a problem: %s", type(error).__name__)
            response = self.handle_exception(error)
            if response.status_code >= 500 or isinstance(error, idempotency.StillRunning):
                idempotency.abandon(turn)
            else:
                idempotency.finish(turn, _answer(response))
            return response

    # --- what views share -----------------------------------------------------------------------------------------

    def who(self, reason: str = "") -> Who:
        """Who acts."""
        return access.who(self.request, reason)

    def body(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The body, holding only what `serializer` names. Raises a 400 naming each field."""
        return taken(serializer, self.request.data)

    def reason(self, data: Mapping[str, Any]) -> str:
        """Why, for the audit trail. Raises a 400 naming it."""
        return self.text("reason", data.get("reason"), 200)

    def text(self, name: str, value: Any, longest: int) -> str:
        """A text that no model describes. Raises a 400 naming it."""
        try:
            return clean_text(value, longest)
        except ValidationError as error:
            raise refused(name, " ".join(error.messages)) from None

    def tag(self, record: Any) -> str:
        """What changes whenever the record does; becomes its ETag."""
        return f"{record.pk} {record.updated_at.isoformat()}"

    def etag(self, record: Any) -> str:
        """The header's value."""
        return f'"{hashlib.sha256(self.tag(record).encode()).hexdigest()[:32]}"'

    def must_match(self, record: Any) -> None:
        """Raises 428 without If-Match, 412 when the record is not as the caller saw it."""
        if not self.conditional:
            raise MatchMissing
        self.may_match(record)

    @property
    def conditional(self) -> bool:
        """Whether the caller says what they saw."""
        return "If-Match" in self.request.headers

    def may_match(self, record: Any) -> None:
        """Raises 412 when the record is not as the caller says they saw it; a verb says enough of itself without."""
        wanted = self.request.headers.get("If-Match")
        if wanted is None:
            return
        if wanted.strip() == "*":
            return
        tags = [(weak, tag) for weak, tag in _TAG.findall(wanted)]
        if ("", self.etag(record).strip('"')) not in tags:
            raise Changed

    def shown(self, record: Any, status: int = 200, **headers: str) -> Response:
        """One record with its ETag."""
        data = self.get_serializer(record).data
        return Response(data, status=status, headers={"ETag": self.etag(record), **headers})

    def retrieve(self, request: Request, pk: str) -> Response:
        """One record."""
        return self.shown(self.get_object())


class NoSuchAddress(Endpoint):
    """Anything under /api/ that is nothing."""

    scopes: Mapping[str, str] = {}
    permission_classes = ()
    authentication_classes = ()
    schema = None  # type: ignore[assignment]  # it is no part of the API

    def check_throttles(self, request: Request) -> None:
        """Nobody's requests."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is nothing at this address. Addresses have no slash at their end.")


def _finished(turn: idempotency.Turn, response: Any) -> Any:
    idempotency.finish(turn, _answer(response))
    return response


def _answer(response: Any) -> idempotency.Answer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    kept = {**headers, "Content-Type": response.content_type or "application/json"}
    body = "" if response.data is None else JSONRenderer().render(response.data).decode()
    return idempotency.Answer(response.status_code, kept, body)


def _replayed(answer: idempotency.Answer) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
    return Response(
        json.loads(answer.body) if answer.body else None,
        status=answer.status,
        headers={**headers, "Idempotent-Replayed": "true"},
        content_type=answer.headers["Content-Type"],
    )
