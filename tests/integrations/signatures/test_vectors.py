"""Every vector of every scheme: the right one passes, anything changed is refused, nothing raises."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.signatures import public_keys
from integrations.signatures.request import Request, Verdict
from integrations.signatures.schemes import SCHEMES, checked_options, delivery_id

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "data" / "webhook-signatures.json").read_text("utf-8"))[
    "vectors"
]
SCHEME_OF = {
    "standard-webhooks-v1": "standard-webhooks",
    "standard-webhooks-v1-altered": "standard-webhooks",
    "standard-webhooks-v1a": "standard-webhooks",
    "github-documented": "github",
    "github-octokit": "github",
    "slack-v0": "slack",
    "shopify": "shopify",
    "rollout-base64-body": "rollout",
    "typeform": "typeform",
    "hubspot-v3": "hubspot-v3",
    "hubspot-v1": "hubspot-v1",
    "generic-hmac-sha256-hex": "generic",
    "generic-hmac-sha256-base64": "generic",
    "shopify-oauth-callback": "generic",
}
BODY = b'{"eventId": "e-1", "webhookId": "w-1", "event_id": "t-1", "id": "evt_1"}'


def read(vector: dict[str, Any]) -> tuple[str, Request, list[str], dict[str, Any]]:
    scheme = SCHEME_OF[vector["name"]]
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    options = checked_options(scheme, {})
    if scheme == "generic":
        headers["x-signature"] = vector["expected_signature"]
        options["encoding"] = "base64" if vector["name"].endswith("base64") else "hex"
    request = Request(headers, vector["payload"].encode(), vector.get("method", "POST"), vector.get("uri", ""))
    return scheme, request, [vector.get("secret") or vector["public_key"]], options


def judged(scheme: str, request: Request, secrets: list[str], **options: Any) -> Verdict:
    return SCHEMES[scheme].verify(request, secrets, checked_options(scheme, options))


def test_every_vector_is_known() -> None:
    assert sorted(vector["name"] for vector in VECTORS) == sorted(SCHEME_OF)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_vector_gets_its_verdict_and_no_change_of_it_passes(vector: dict[str, Any]) -> None:
    scheme, request, secrets, options = read(vector)
    verify = SCHEMES[scheme].verify
    assert hashlib.sha256(request.body).hexdigest() == vector["payload_sha256"]
    verdict = verify(request, secrets, options)
    assert verdict.right is (vector["verdict"] == "accept"), verdict
    if verdict.right and SCHEMES[scheme].signs_time:
        assert verdict.at == vector["now"]
    changed = [
        Request(request.headers, request.body + b" ", request.method, request.uri),
        Request(request.headers, request.body[:-1], request.method, request.uri),
        Request({}, request.body, request.method, request.uri),
        *(
            Request({**request.headers, name: value}, request.body, request.method, request.uri)
            for name in request.headers
            for value in ("", "\xff\xfe", "0", request.headers[name] + "," + request.headers[name])
            if name != "x-hubspot-signature-version"
        ),
    ]
    assert [one for one in changed if verify(one, secrets, options).right] == []
    assert not verify(request, [], options).right
    # One more character keeps the secret's kind: a key of another length, or another key.
    assert not verify(request, ["whsec_" + base64.b64encode(b"another").decode()], options).right
    assert verify(request, ["another", *secrets], options).right is verdict.right


def signed(secret: bytes, message: bytes) -> hmac.HMAC:
    return hmac.new(secret, message, hashlib.sha256)


def test_schemes_without_a_published_vector() -> None:
    sign = signed(b"s", b"1700000000." + BODY).hexdigest()
    right = {"x-chatwoot-timestamp": "1700000000", "x-chatwoot-signature": f"sha256={sign}"}
    assert judged("chatwoot", Request(right, BODY), ["s"]) == Verdict(True, at=1700000000)
    assert not judged("chatwoot", Request({**right, "x-chatwoot-timestamp": "1700000001"}, BODY), ["s"]).right

    stripe = {"stripe-signature": f"t=1700000000,v1={'0' * 64},v1={sign},v0=x"}
    assert judged("stripe", Request(stripe, BODY), ["s"]) == Verdict(True, at=1700000000)
    twice = {"stripe-signature": f"t=1700000000,t=1700000001,v1={sign}"}
    assert judged("stripe", Request(twice, BODY), ["s"]).reason == "no_time"
    assert not judged("stripe", Request({"stripe-signature": f"t=1700000000,v0={sign}"}, BODY), ["s"]).right

    over_base64 = signed(b"s", base64.b64encode(BODY)).hexdigest()
    over_raw = signed(b"s", BODY).hexdigest()
    for scheme, header in (("followupboss", "fub-signature"), ("rollout", "x-rollout-signature")):
        assert judged(scheme, Request({header: over_base64}, BODY), ["s"]).right
        assert not judged(scheme, Request({header: over_raw}, BODY), ["s"]).right
        assert judged(scheme, Request({header: over_raw}, BODY), ["s"], body="raw").right
        assert not judged(scheme, Request({header: over_base64}, BODY), ["s"], body="raw").right
    assert judged("followupboss", Request({"fub-signature": f"sha256={over_base64}"}, BODY), ["s"]).right

    uri = "https://x.example/hooks/1/?a=%3A%2f&b=%26"
    v2 = hashlib.sha256(b"s" + b"POST" + uri.encode() + BODY).hexdigest()
    headers = {"x-hubspot-signature": v2, "x-hubspot-signature-version": "v2"}
    assert judged("hubspot-v2", Request(headers, BODY, uri=uri), ["s"]).right
    assert not judged("hubspot-v2", Request(headers, BODY, uri=uri + "&c"), ["s"]).right
    assert not judged("hubspot-v1", Request(headers, BODY, uri=uri), ["s"]).right
    plain = b"POSThttps://x.example/hooks/1/?a=:/&b=%26" + BODY + b"1700000000123"
    v3 = base64.b64encode(signed(b"s", plain).digest()).decode()
    headers = {"x-hubspot-signature-v3": v3, "x-hubspot-request-timestamp": "1700000000123"}
    assert judged("hubspot-v3", Request(headers, BODY, uri=uri), ["s"]) == Verdict(True, at=1700000000.123)
    assert judged("lofty", Request({}, BODY), []).right


def test_gohighlevel_by_its_own_keys_and_rsa_only_where_told() -> None:
    for text, fingerprint in (
        (public_keys.GOHIGHLEVEL_ED25519, "5a2c1b2749d3efcc233fb27d4ab43d56b8d20818c42cd226f6c9a3ff20d3097c"),
        (public_keys.GOHIGHLEVEL_RSA, "2f62045d413b1b7747e26770ce7f57840cbf86288cd20ceb90d299a62501fd25"),
    ):
        der = public_keys.key_of(text).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert hashlib.sha256(der).hexdigest() == fingerprint
    mine = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    pem = mine.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    newer = {"x-ghl-signature": base64.b64encode(mine.sign(BODY)).decode()}
    for mangled in (pem, pem.replace("\n", "\\n"), f'"{pem.replace(chr(10), " ")}"'):
        assert judged("gohighlevel", Request(newer, BODY), [mangled]).right
    assert not judged("gohighlevel", Request(newer, BODY + b" "), [pem]).right
    assert not judged("gohighlevel", Request(newer, BODY), []).right
    old = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    old_pem = old.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    older = {"x-wh-signature": base64.b64encode(old.sign(BODY, padding.PKCS1v15(), hashes.SHA256())).decode()}
    assert judged("gohighlevel", Request(older, BODY), [old_pem]).reason == "no_signature"
    assert judged("gohighlevel", Request(older, BODY), [old_pem], legacy_rsa=True).right
    # A wrong newer signature is not saved by a right older one.
    both = {**older, "x-ghl-signature": "AAAA"}
    assert not judged("gohighlevel", Request(both, BODY), [old_pem], legacy_rsa=True).right


def test_where_the_id_of_a_delivery_stands() -> None:
    ids = {"typeform": "t-1", "gohighlevel": "w-1", "rollout": "e-1", "followupboss": "e-1", "stripe": "evt_1"}
    assert {name: delivery_id(name, {}, Request({}, BODY)) for name in ids} == ids
    assert delivery_id("shopify", {}, Request({"x-shopify-webhook-id": "b-1"}, BODY)) == "b-1"
    assert delivery_id("standard-webhooks", {}, Request({"svix-id": "msg_1"}, BODY)) == "msg_1"
    assert delivery_id("generic", {"id_header": "X-Id"}, Request({"x-id": "7"}, BODY)) == "7"
    assert delivery_id("generic", {"id_field": "id"}, Request({}, b'{"id": 7}')) == "7"
    hostile = (
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"id": "\\ud800"}',
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": "a b"}',
    )
    assert {delivery_id("stripe", {}, Request({}, body)) for body in hostile} == {""}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"header": "a b"}, "names of headers"),
        ({"encoding": "rot13"}, "hex or base64"),
        ({"signed": "x"}, "holds {body}"),
        ({"signed": "{body}{secret}"}, "no parts but"),
        ({"signed": "{timestamp}{body}"}, "go together"),
        ({"time_header": "X-Time"}, "go together"),
        ({"prefix": 1}, "must be a text"),
        ({"colour": "red"}, "has no option"),
    ],
)
def test_options_that_make_no_scheme_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_options("generic", options)


@settings(max_examples=40, deadline=None)
@given(value=st.text(max_size=60), time=st.text(max_size=12), body=st.binary(max_size=60))
def test_no_header_makes_any_scheme_raise_or_pass(value: str, time: str, body: bytes) -> None:
    """Forty texts at each of the signature headers there are."""
    headers = dict.fromkeys(
        (
            "typeform-signature", "x-shopify-hmac-sha256", "x-chatwoot-signature", "x-ghl-signature", "x-wh-signature",
            "fub-signature", "x-rollout-signature", "x-hubspot-signature", "x-hubspot-signature-v3",
            "webhook-signature", "stripe-signature", "x-hub-signature-256", "x-slack-signature", "x-signature",
        ),
        value,
    ) | dict.fromkeys(
        ("x-chatwoot-timestamp", "x-hubspot-request-timestamp", "webhook-timestamp", "x-slack-request-timestamp"), time
    )  # fmt: skip
    for prefix in ("", "v1,", "v1a,", "t=1,v1=", "sha256="):
        sent = Request({**{name: prefix + text for name, text in headers.items()}, "webhook-id": "m"}, body)
        for name, scheme in SCHEMES.items():
            if name != "lofty":
                assert not scheme.verify(sent, ["whsec_c2VjcmV0", "whpk_AAAA"], checked_options(name, {})).right
