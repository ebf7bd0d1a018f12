"""Signatures of callbacks: ours against the farm's own signing, and against the independent ``standardwebhooks``."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from phonefarm.callbacks.signing import callback_headers
from phonefarm.client import BadSignature, verify_signature

pytestmark = pytest.mark.timeout(60)

NOW = 1_790_000_000
BODY = '{"event_type":"process.updated","metadata":{"ä":1}}'.encode()
SECRETS = ["a plain secret", "whsec_" + base64.b64encode(b"0123456789abcdef").decode(), "päßword"]


def headers(secret: str, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return dict(callback_headers(secret=secret, event_id="evt-1", body=body, timestamp=at))


@pytest.mark.parametrize("secret", SECRETS)
def test_what_the_farm_signs_holds(secret: str) -> None:
    signed = headers(secret)
    verify_signature(secret, signed, BODY, now=NOW)
    verify_signature(secret, {name.upper(): value for name, value in signed.items()}, BODY, now=NOW + 299)
    for kind in ("x-phonefarm", "webhook-"):
        half = {name: value for name, value in signed.items() if name.lower().startswith(kind)}
        verify_signature(secret, half, BODY, now=NOW)


def test_what_others_sign_by_the_standard_holds() -> None:
    key = base64.b64encode(b"another secret of some length").decode()
    at = datetime.fromtimestamp(NOW, tz=UTC)
    signature = Webhook(key).sign("evt-2", at, BODY.decode())
    signed = {"webhook-id": "evt-2", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,old {signature}"}
    verify_signature(f"whsec_{key}", signed, BODY, now=NOW)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_does_not_hold(secret: str) -> None:
    signed = headers(secret)
    for wrong in (
        (secret, signed, BODY + b" ", NOW),
        (secret + "x", signed, BODY, NOW),
        (secret, signed, BODY, NOW + 301),
        (secret, signed, BODY, NOW - 301),
        (secret, {}, BODY, NOW),
        (secret, {**signed, "X-PhoneFarm-Timestamp": "now"}, BODY, NOW),
        (secret, {**signed, "webhook-id": "evt-9"}, BODY, NOW),
        (secret, {**signed, "X-PhoneFarm-Signature": "ä"}, BODY, NOW),
        ("whsec_not base64!", signed, BODY, NOW),
    ):
        with pytest.raises(BadSignature):
            verify_signature(wrong[0], wrong[1], wrong[2], now=wrong[3])


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_without_a_secret_nothing_holds(secret: str) -> None:
    """Else anybody could sign for a receiver whose secret was never set."""
    forged = hmac.new(secret.encode(), f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    with pytest.raises(BadSignature, match="secret"):
        verify_signature(secret, {"X-PhoneFarm-Timestamp": str(NOW), "X-PhoneFarm-Signature": forged}, BODY, now=NOW)


@given(body=st.binary(max_size=200), secret=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_body_and_any_secret(body: bytes, secret: str) -> None:
    if secret.startswith("whsec_"):
        return
    verify_signature(secret, headers(secret, body), body, now=NOW)
    with pytest.raises(BadSignature):
        verify_signature(secret, headers(secret, body), body + b"x", now=NOW)


@pytest.mark.parametrize("first", [0, 1])
def test_while_the_farm_changes_its_secret_either_holds(first: int) -> None:
    old, new = SECRETS[0], SECRETS[1]
    both = (old, new) if first == 0 else (new, old)
    signed = callback_headers(secret=both[0], second=both[1], event_id="evt-1", body=BODY, timestamp=NOW)
    for held in (old, new, [new, old]):
        verify_signature(held, signed, BODY, now=NOW)
        with pytest.raises(BadSignature):
            verify_signature(held, signed, BODY + b" ", now=NOW)
    fixed_only = {name: value for name, value in signed.items() if name.startswith("X-")}
    verify_signature([new, old], fixed_only, BODY, now=NOW)
    with pytest.raises(BadSignature):
        verify_signature(both[1], fixed_only, BODY, now=NOW)
    with pytest.raises(BadSignature):
        verify_signature("a third", signed, BODY, now=NOW)
    for none in ([], [old, ""]):
        with pytest.raises(BadSignature):
            verify_signature(none, signed, BODY, now=NOW)
