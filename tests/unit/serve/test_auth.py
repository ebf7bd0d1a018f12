"""Keys: hashed, compared as bytes, scoped, bound."""

from __future__ import annotations

import pytest

from phonefarm.errors import ConfigError, Forbidden
from phonefarm.serve.auth import ALL_SCOPES, KeyRing, Scope, make_key

pytestmark = pytest.mark.timeout(60)


def _headers(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((b"authorization", value) for value in values)]


def test_a_ring_without_keys_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match="PHONEFARM_API_KEY"):
        KeyRing([])
    with pytest.raises(ConfigError, match="token_urlsafe"):
        KeyRing.single("  ")


def test_a_single_key_has_every_scope() -> None:
    key = KeyRing.single("s3cret").find(b"s3cret")
    assert key is not None
    assert key.scopes == ALL_SCOPES
    assert key.system is None


def test_secrets_are_not_kept() -> None:
    key = make_key("s3cret", name="n")
    assert b"s3cret" not in key.digest
    assert "s3cret" not in repr(key)
    assert "digest" not in repr(key)


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        (_headers(b"Bearer s3cret"), True),
        (_headers(b"bearer   s3cret "), True),
        (_headers(), False),
        (_headers(b"s3cret"), False),
        (_headers(b"Bearer"), False),
        (_headers(b"Bearer s3cret2"), False),
        (_headers(b"Bearer \xff\xfe\x00"), False),
        (_headers(b"Bearer s3cret", b"Bearer s3cret"), False),
    ],
)
def test_authenticate(headers: list[tuple[bytes, bytes]], good: bool) -> None:
    assert (KeyRing.single("s3cret").authenticate(headers) is not None) is good


def test_a_key_that_is_not_ascii() -> None:
    assert KeyRing.single("schlüssel").authenticate(_headers("Bearer schlüssel".encode())) is not None


def test_rotation_takes_both_keys() -> None:
    ring = KeyRing([make_key("old", name="old"), make_key("new", name="new")])
    found = [ring.find(secret) for secret in (b"old", b"new", b"none")]
    assert [key.name if key else None for key in found] == ["old", "new", None]


def test_scopes_and_binding() -> None:
    key = make_key("k", scopes={Scope.READ}, system="lab")
    key.require(Scope.READ)
    with pytest.raises(Forbidden, match="missing_scope:submit"):
        key.require(Scope.SUBMIT)
    key.require_system({"requested_by": {"system": "lab"}})
    key.require_system({"requested_by": "a matter of validation"})
    with pytest.raises(Forbidden) as caught:
        key.require_system({"requested_by": {"system": "other"}})
    assert caught.value.problem_code == "wrong_system"
