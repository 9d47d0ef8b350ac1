"""What goes in and out of the sandbox: one request, and an answer or a dropped connection."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_FIELDS = 200


class MalformedError(ValueError):
    """A body that is not what its content type says; the text is fit to be sent back."""


@dataclass
class Response:
    """An answer. ``delay_s`` is slept after the effect is durable and before the first byte is sent; the body
    is spread over ``drip_s``."""

    status: int
    body: bytes | Iterator[bytes] = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0


@dataclass(frozen=True)
class Drop:
    """Close the connection, after ``after_s``, without a byte of an answer."""

    after_s: float = 0.0


@dataclass
class Request:
    """One request as it came off the wire.

    ``t`` is CLOCK_MONOTONIC in seconds, read when the request line arrived. ``headers`` have lower-case names.
    ``refused`` is set when the body was not read (too large, bad length): the answer to give once the request is
    written down.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    t: float
    refused: Response | None = None

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters, the last of each name. Raises MalformedError."""
        return parse_form(self.query_string)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become U+FFFD. For writing down, never for deciding."""
        return self.body.decode("utf-8", "replace")

    @cached_property
    def form(self) -> dict[str, str]:
        """The body as a form. Raises MalformedError."""
        try:
            return parse_form(self.body.decode("utf-8"))
        except UnicodeDecodeError:
            raise MalformedError("the body is not valid UTF-8") from None

    @cached_property
    def json(self) -> object:
        """The body as JSON. Raises MalformedError."""
        return parse_json(self.body)


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site's page made this request."""
    origin = request.headers.get("origin")
    other = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    return other or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def parse_form(text: str) -> dict[str, str]:
    """Read ``application/x-www-form-urlencoded`` text. Raises MalformedError."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError:
        raise MalformedError("the form cannot be read") from None


def parse_json(raw: bytes) -> object:
    """Read strict JSON: UTF-8, no NaN or infinity, no lone surrogates, at most 64 levels. Raises MalformedError."""
    try:
        document: object = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise MalformedError("the body is not valid UTF-8") from None
    except RecursionError:
        raise MalformedError("the JSON is nested too deeply") from None
    except ValueError as error:
        # json's own message names the place and quotes nothing of the body.
        raise MalformedError(f"the body is not valid JSON: {str(error)[:120]}") from None
    _check(document)
    return document


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")


def _check(document: object) -> None:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, float):
                if not math.isfinite(value):
                    raise MalformedError("the JSON holds a number that is out of range")
            elif isinstance(value, dict):
                for key in value:
                    _check_text(key)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        if not below:
            return
        level = below
    raise MalformedError("the JSON is nested too deeply")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise MalformedError("the JSON holds a lone surrogate") from None


def encode(document: object) -> bytes:
    """Write a JSON document as the sandbox sends it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def json_response(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    """An answer whose body is ``document``."""
    return Response(status, encode(document), headers=dict(headers or {}))


def complaint(status: int, message: str, field_name: str | None = None) -> Response:
    """An error of the sandbox's own pages (not a vendor's): JSON that names the field when there is one."""
    document: dict[str, object] = {"error": message}
    if field_name is not None:
        document["field"] = field_name
    return json_response(status, document)
