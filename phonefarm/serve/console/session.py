"""Sessions: a cookie that stands for an API key.

The cookie says which key, until when, and carries a MAC; the key's secret is not in it. The MAC's key is made of the
farm's own secret and of the digest of the session's key, so every replica, and the farm after a restart, can check a
cookie and nobody else can make one, and a key that was revoked (or whose secret was changed) checks nothing any more.
A revoked key ends its sessions as soon as it ends itself (``live_keys``). Replacing the farm's own key ends all
sessions.

Nothing is kept on the server. So signing out makes the browser forget the cookie; whoever took a copy of it before
may use it until it runs out, or until the key is revoked.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from phonefarm.serve.auth import ApiKey, KeyRing
from phonefarm.serve.live_keys import LiveKeys

COOKIE = "phonefarm_session"
#: How long a session lasts: a shift and its handing over.
SECONDS = 12 * 3_600
_PURPOSE = b"phonefarm console session 1"
_LONGEST = 600
_FORM = re.compile(r"(\d{1,12})\.([A-Za-z0-9_-]{16,32})\.([A-Za-z0-9_-]{1,400})\.([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Somebody who signed in with ``key``. ``token``: what a form of theirs must carry. ``ends``: Unix seconds."""

    key: ApiKey
    token: str = field(repr=False)
    ends: int


class Sessions:
    """``own``: the farm's own keys; ``keys``: all that hold. ``now``: Unix seconds."""

    def __init__(self, own: KeyRing, keys: LiveKeys, *, now: Callable[[], float] = time.time) -> None:
        self._own = own
        self._keys = keys
        self._now = now

    @functools.cached_property
    def _secret(self) -> bytes:
        return self._own.derived(_PURPOSE)

    def cookie_for(self, key: ApiKey) -> str:
        """The value of a new session's cookie."""
        ends = int(self._now()) + SECONDS
        name = base64.urlsafe_b64encode(key.name.encode()).rstrip(b"=").decode()
        said = f"{ends}.{secrets.token_urlsafe(16)}.{name}"
        return f"{said}.{self._mac(key, 'session', said)}"

    async def of(self, headers: Iterable[tuple[bytes, bytes]]) -> Session | None:
        """The session of a request by its raw headers, None for none or one that has ended. Raises Unavailable."""
        for value in cookies(headers):
            if (found := await self._check(value)) is not None:
                return found
        return None

    async def _check(self, value: str) -> Session | None:
        parts = _FORM.fullmatch(value)
        if parts is None or int(parts[1]) <= self._now():
            return None
        name = _name(parts[3])
        if name is None:
            return None
        key = self._signed_by(self._own.named(name), value) or self._signed_by(await self._keys.named(name), value)
        return Session(key=key, token=self._mac(key, "form", value), ends=int(parts[1])) if key is not None else None

    def _signed_by(self, keys: Iterable[ApiKey], value: str) -> ApiKey | None:
        said, _, mac = value.rpartition(".")
        return next((key for key in keys if hmac.compare_digest(self._mac(key, "session", said), mac)), None)

    def _mac(self, key: ApiKey, use: str, text: str) -> str:
        mine = hmac.digest(self._secret, key.digest, "sha256")
        return hmac.new(mine, f"{use}\0{text}".encode(), "sha256").hexdigest()


def _name(coded: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except (binascii.Error, ValueError):
        return None


def cookies(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Every value that a request gives for our cookie; nothing is thought of other cookies."""
    for name, line in headers:
        if name == b"cookie":
            for pair in line.decode("latin-1").split(";"):
                key, _, value = pair.strip().partition("=")
                if key == COOKIE and len(value) <= _LONGEST:
                    yield value


def set_cookie(value: str, *, secure: bool) -> str:
    """The ``Set-Cookie`` of a session, or of its end for an empty value."""
    age = SECONDS if value else 0
    closed = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{closed}"
