"""Headers of a callback, and how a receiver verifies them (contract section 7).

Two schemes sign the same bytes with the same secret: the fixed one, lower-case hex HMAC-SHA256 over
``timestamp.body``, and Standard Webhooks, base64 HMAC-SHA256 over ``id.timestamp.body``. A secret that begins
with ``whsec_`` is base64 after that for Standard Webhooks; any other is its UTF-8 bytes for both.

While receivers change from one secret to another there are two. Both sign by Standard Webhooks, whose header has room
for several signatures; the fixed header has room for one, that of the first secret. So a receiver that holds either
secret reads ``webhook-signature`` then, and one that reads only the fixed header holds both (``verify`` does either).

``webhook-id`` is the event's id, the same in every attempt, so a receiver can drop what it has seen; the
timestamp is that of the attempt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from phonefarm.errors import ConfigError

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def callback_headers(
    *, secret: str | None, second: str | None = None, event_id: str, body: bytes, timestamp: int
) -> dict[str, str]:
    """All headers of one attempt. ``timestamp`` in Unix seconds; without a secret nothing is signed.

    ``second`` signs beside ``secret``, by Standard Webhooks. Raises ConfigError for a bad ``whsec_`` one.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "phonefarm-callback/1.0",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
    }
    if not secret:
        return headers
    keys = [standard_key(one) for one in (secret, second) if one]
    return {
        **headers,
        "X-PhoneFarm-Timestamp": str(timestamp),
        "X-PhoneFarm-Signature": _hex_signature(secret, str(timestamp), body),
        "webhook-signature": " ".join("v1," + _b64_signature(key, event_id, str(timestamp), body) for key in keys),
    }


def verify(*, secret: str | Sequence[str], headers: Mapping[str, str], body: bytes, now: int) -> bool:
    """For receivers: whether the headers sign this body and are at most 300 s off ``now`` (Unix seconds).

    ``secret``: one, or several of which any may have signed. Each scheme whose signature is there must hold, and one
    must be there. Compares in constant time. Of several Standard Webhooks signatures, as sent while a secret is
    changed, one must fit, and it decides alone: the fixed scheme then may carry the other secret's.
    """
    given = {name.lower(): value for name, value in headers.items()}
    secrets = [secret] if isinstance(secret, str) else list(secret)
    changing = given.get("webhook-signature", "").count("v1,") > 1
    checks = []
    if "x-phonefarm-signature" in given and not changing:
        checks.append(any([_verify_hex(one, given, body, now) for one in secrets]))
    if "webhook-signature" in given:
        checks.append(any([_verify_b64(one, given, body, now) for one in secrets]))
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
