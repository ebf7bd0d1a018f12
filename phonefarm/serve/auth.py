"""Who may ask for what: API keys.

Keys are kept as SHA-256 hashes and compared as bytes, in constant time, with every key of the ring, so the time an
answer takes says nothing about which key was close. A key has scopes, and may be bound to one
``requested_by.system``, which then nobody else's name can be put for.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from phonefarm.errors import ConfigError, Forbidden
from phonefarm.settings import API_KEY_ENV


class Scope(StrEnum):
    SUBMIT = "submit"
    READ = "read"
    CANCEL = "cancel"
    OPERATE = "operate"
    ADMIN = "admin"


ALL_SCOPES: frozenset[Scope] = frozenset(Scope)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A key without its secret. ``system``: the only ``requested_by.system`` it may name, None for any."""

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope] = ALL_SCOPES
    system: str | None = None

    def require(self, scope: Scope) -> None:
        """Raises Forbidden if the key has not got the scope."""
        if scope not in self.scopes:
            raise Forbidden("missing_scope", f"missing_scope:{scope.value}")

    def require_system(self, body: Mapping[str, Any]) -> None:
        """Raises Forbidden if the key is bound and the body names another system."""
        asked = body.get("requested_by")
        system = asked.get("system") if isinstance(asked, dict) else None
        if self.system is not None and isinstance(system, str) and system != self.system:
            raise wrong_system()


def wrong_system() -> Forbidden:
    """For a bound key that names another system than its own."""
    return Forbidden("wrong_system", "wrong_system: this key is bound to another requested_by.system")


def make_key(
    secret: str, *, name: str = "key", scopes: Iterable[Scope] = ALL_SCOPES, system: str | None = None
) -> ApiKey:
    """The key of a secret."""
    return ApiKey(name=name, digest=digest_of(secret.encode()), scopes=frozenset(scopes), system=system)


class KeyRing:
    """The keys a farm knows. Raises ConfigError if there is none."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = tuple(keys)
        if not self._keys:
            raise ConfigError(
                f"no API key is configured: set {API_KEY_ENV} to a long random text, "
                "for instance the output of: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )

    @classmethod
    def single(cls, secret: str) -> KeyRing:
        """One key with every scope. Raises ConfigError for an empty secret."""
        return cls([make_key(secret, name="farm")] if secret.strip() else [])

    def named(self, name: str) -> list[ApiKey]:
        """The keys of a name."""
        return [key for key in self._keys if key.name == name]

    def derived(self, purpose: bytes) -> bytes:
        """A secret for one purpose: the same for all who hold these keys, and told by nothing else. Made slowly, so
        that what it signs does not help to guess a weak key."""
        digests = b"".join(sorted(key.digest for key in self._keys))
        return hashlib.scrypt(digests, salt=purpose, n=2**14, r=8, p=1, dklen=32)

    def find(self, secret: bytes) -> ApiKey | None:
        """The key of a presented secret, None if it is nobody's."""
        return find_key(digest_of(secret), self._keys)

    def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:
        """The key of a request by its raw headers: exactly one ``Authorization: Bearer KEY``, else None."""
        secret = presented(headers)
        return None if secret is None else self.find(secret)


def presented(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The secret of a request: exactly one ``Authorization: Bearer KEY``, else None."""
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) != 1:
        return None
    scheme, _, secret = given[0].partition(b" ")
    secret = secret.strip()
    return secret if scheme.lower() == b"bearer" and secret else None


def find_key(digest: bytes, keys: Iterable[ApiKey]) -> ApiKey | None:
    """The key with a digest; every key is compared, so the time tells nothing."""
    found: ApiKey | None = None
    for key in keys:
        if hmac.compare_digest(digest, key.digest):
            found = key
    return found


def digest_of(secret: bytes) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret).digest()
