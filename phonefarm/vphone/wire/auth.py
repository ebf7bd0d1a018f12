"""The RSA handshake: may this host talk to this phone?

We send a random token of 20 bytes; the host signs it as if it were a SHA-1 digest (PKCS#1 v1.5) with each of its keys.
A signature by an accepted key lets it in. After its last key the host sends the public key itself and waits for a
person to accept it; here that person is ``accept_pending``. Source: AOSP ``adb/daemon/auth.cpp`` and
``libcrypto_utils/android_pubkey.cpp``.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass

TOKEN, SIGNATURE, RSAPUBLICKEY = 1, 2, 3
"""Kinds of AUTH packets, in their first argument."""
TOKEN_BYTES = 20

_MODULUS_BYTES = 256
_SHA1_PREFIX = bytes.fromhex("3021300906052b0e03021a05000414")


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """An RSA-2048 public key."""

    modulus: int
    exponent: int


def parse_public_key(payload: bytes) -> PublicKey | None:
    """Key of a RSAPUBLICKEY packet (base64 Android key, a space, a name, NUL), or None when it is not one."""
    words = payload.rstrip(b"\0").split(b" ")
    try:
        blob = base64.b64decode(words[0], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(blob) != 524 or int.from_bytes(blob[:4], "little") * 4 != _MODULUS_BYTES:
        return None
    modulus = int.from_bytes(blob[8 : 8 + _MODULUS_BYTES], "little")
    return PublicKey(modulus=modulus, exponent=int.from_bytes(blob[520:524], "little"))


def verify(key: PublicKey, token: bytes, signature: bytes) -> bool:
    """Is ``signature`` the PKCS#1 v1.5 signature of ``token`` (taken as a SHA-1 digest) by ``key``?"""
    number = int.from_bytes(signature, "big")
    if len(signature) != _MODULUS_BYTES or number >= key.modulus:
        return False
    digest = _SHA1_PREFIX + token
    padding = b"\xff" * (_MODULUS_BYTES - 3 - len(digest))
    expected = b"\x00\x01" + padding + b"\x00" + digest
    return pow(number, key.exponent, key.modulus).to_bytes(_MODULUS_BYTES, "big") == expected


class Gate:
    """Which hosts a phone lets in. ``required`` False lets everyone in without asking."""

    def __init__(self, *, required: bool = False) -> None:
        self.required = required
        self.accepted: set[PublicKey] = set()
        self.pending: set[PublicKey] = set()

    def new_token(self) -> bytes:
        """A fresh random token."""
        return secrets.token_bytes(TOKEN_BYTES)

    def knows(self, token: bytes, signature: bytes) -> bool:
        """Was ``token`` signed by a key that was accepted?"""
        return any(verify(key, token, signature) for key in self.accepted)

    def offer(self, payload: bytes) -> bool:
        """A host showed its public key: keep it until a person accepts it. False when it is not a key."""
        key = parse_public_key(payload)
        if key is not None:
            self.pending.add(key)
        return key is not None

    def accept_pending(self) -> int:
        """Accept every key that was offered; returns how many."""
        count = len(self.pending)
        self.accepted |= self.pending
        self.pending.clear()
        return count
