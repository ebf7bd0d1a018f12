"""Is a callback from the farm that has our secret? Both header sets of the contract, each by itself.

Independent of the farm's own code on purpose: a receiver needs this file and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from phonefarm.client.errors import BadSignature

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def verify_signature(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> None:
    """Returns if every signature that the headers carry holds; at least one must be there. Raises BadSignature.

    ``secret``: one, or several of which any may have signed. While the farm changes its secret, ``webhook-signature``
    has a signature by each, of which one must hold; it decides alone then, for the other header has room for one only.
    ``body``: the raw bytes as they came. ``now``: Unix seconds, this machine's clock by default.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets or not all(secrets):
        raise BadSignature("there is no secret to check with, and without one anybody could sign")
    keys = [_key(one) for one in secrets]
    given = {name.lower(): value for name, value in headers.items()}
    at = time.time() if now is None else now
    checked = 0
    if "x-phonefarm-signature" in given and given.get("webhook-signature", "").count("v1,") < 2:
        _check_hex(secrets, given, body, at, tolerance)
        checked += 1
    if "webhook-signature" in given:
        _check_standard(keys, given, body, at, tolerance)
        checked += 1
    if not checked:
        raise BadSignature("the callback carries no signature")


def _check_hex(secrets: Sequence[str], given: Mapping[str, str], body: bytes, now: float, tolerance: float) -> None:
    timestamp = _fresh(given.get("x-phonefarm-timestamp", ""), now, tolerance)
    signed = timestamp.encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any([_same(one, given["x-phonefarm-signature"]) for one in expected]):
        raise BadSignature("X-PhoneFarm-Signature does not hold")


def _check_standard(keys: Sequence[bytes], given: Mapping[str, str], body: bytes, now: float, tolerance: float) -> None:
    timestamp = _fresh(given.get("webhook-timestamp", ""), now, tolerance)
    signed = f"{given.get('webhook-id', '')}.{timestamp}.".encode() + body
    expected = ["v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    if not any([_same(one, sent) for one in expected for sent in given["webhook-signature"].split(" ")]):
        raise BadSignature("webhook-signature does not hold")


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("the secret begins with whsec_ but is not base64 after it") from None
    if not key:
        raise BadSignature("the secret is empty after whsec_")
    return key


def _fresh(timestamp: str, now: float, tolerance: float) -> str:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature("the callback has no timestamp")
    if abs(int(timestamp) - now) > tolerance:
        raise BadSignature("the callback was signed too long ago, or a clock is wrong")
    return timestamp


def _same(expected: str, given: str) -> bool:
    """Compared as bytes: compare_digest raises TypeError for text that is not ASCII."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))
