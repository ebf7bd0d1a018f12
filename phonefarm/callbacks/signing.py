"""Headers of a callback, and how a receiver verifies them (contract section 7).

Two schemes sign the same bytes with the same secret: the fixed one, lower-case hex HMAC-SHA256 over
``timestamp.body``, and Standard Webhooks, base64 HMAC-SHA256 over ``id.timestamp.body``. A secret that begins
with ``whsec_`` is base64 after that for Standard Webhooks; any other is its UTF-8 bytes for both.

``webhook-id`` is the event's id, the same in every attempt, so a receiver can drop what it has seen; the
timestamp is that of the attempt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from phonefarm.errors import ConfigError

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def callback_headers(*, secret: str | None, event_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """All headers of one attempt. ``timestamp`` in Unix seconds; without a secret nothing is signed.

    Raises ConfigError for a ``whsec_`` secret that is not base64.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "phonefarm-callback/1.0",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
    }
    if not secret:
        return headers
    return {
        **headers,
        "X-PhoneFarm-Timestamp": str(timestamp),
        "X-PhoneFarm-Signature": _hex_signature(secret, str(timestamp), body),
        "webhook-signature": "v1," + _b64_signature(standard_key(secret), event_id, str(timestamp), body),
    }


def verify(*, secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    """For receivers: whether the headers sign this body and are at most 300 s off ``now`` (Unix seconds).

    Each scheme whose signature is there must hold, and one must be there. Compares in constant time; of several
    Standard Webhooks signatures, as sent while a secret is changed, one must fit.
    """
    given = {name.lower(): value for name, value in headers.items()}
    checks = []
    if "x-phonefarm-signature" in given:
        checks.append(_verify_hex(secret, given, body, now))
    if "webhook-signature" in given:
        checks.append(_verify_b64(secret, given, body, now))
    return bool(checks) and all(checks)


def standard_key(secret: str) -> bytes:
    """The key for Standard Webhooks. Raises ConfigError for a bad ``whsec_`` secret, without showing it."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("the webhook secret begins with whsec_ but is not base64 after it") from None
    if not key:
        raise ConfigError("the webhook secret is empty after whsec_")
    return key


def _hex_signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _b64_signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _verify_hex(secret: str, given: Mapping[str, str], body: bytes, now: int) -> bool:
    timestamp = given.get("x-phonefarm-timestamp", "")
    return _fresh(timestamp, now) and _same(_hex_signature(secret, timestamp, body), given["x-phonefarm-signature"])


def _verify_b64(secret: str, given: Mapping[str, str], body: bytes, now: int) -> bool:
    timestamp = given.get("webhook-timestamp", "")
    if not _fresh(timestamp, now):
        return False
    expected = "v1," + _b64_signature(standard_key(secret), given.get("webhook-id", ""), timestamp, body)
    return any([_same(expected, one) for one in given["webhook-signature"].split(" ")])


def _same(expected: str, given: str) -> bool:
    """Compared as bytes: compare_digest raises TypeError for text that is not ASCII."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _fresh(timestamp: str, now: int) -> bool:
    digits = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    return digits and abs(int(timestamp) - now) <= TOLERANCE_SECONDS
