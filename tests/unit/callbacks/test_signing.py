"""Signatures, against values worked out by hand and against the independent standardwebhooks package."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from phonefarm.callbacks.signing import callback_headers, standard_key, verify
from phonefarm.errors import ConfigError

pytestmark = pytest.mark.timeout(60)

KEY = bytes(range(32))
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
BODY = '{"event_type":"process.updated","text":"Größe"}'.encode()
NOW = 1_790_000_000


def headers(secret: str | None = "s3cret", *, timestamp: int = NOW, body: bytes = BODY) -> dict[str, str]:
    return callback_headers(secret=secret, event_id="evt-1", body=body, timestamp=timestamp)


def test_headers_without_a_secret() -> None:
    assert headers(None) == {
        "Content-Type": "application/json",
        "User-Agent": "phonefarm-callback/1.0",
        "webhook-id": "evt-1",
        "webhook-timestamp": str(NOW),
    }


@pytest.mark.parametrize("secret", ["s3cret", "schlüssel", WHSEC])
def test_the_fixed_scheme(secret: str) -> None:
    expected = hmac.new(secret.encode(), str(NOW).encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert headers(secret)["X-PhoneFarm-Signature"] == expected
    assert headers(secret)["X-PhoneFarm-Timestamp"] == str(NOW)


@pytest.mark.parametrize(("secret", "key"), [(WHSEC, WHSEC), ("plain text", b"plain text"), ("whsec", b"whsec")])
def test_standardwebhooks_accepts_what_we_sign(secret: str, key: str | bytes) -> None:
    now = int(time.time())
    assert Webhook(key).verify(BODY, headers(secret, timestamp=now)) == {
        "event_type": "process.updated",
        "text": "Größe",
    }


def test_unpadded_base64_is_taken() -> None:
    assert standard_key(WHSEC.rstrip("=")) == KEY


@pytest.mark.parametrize("secret", ["whsec_***", "whsec_a", "whsec_ä"])
def test_a_malformed_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        standard_key(secret)
    assert secret not in refusal.value.message


@pytest.mark.parametrize("secret", ["s3cret", WHSEC])
@pytest.mark.parametrize("shift", [0, 300, -300])
def test_verify_accepts(secret: str, shift: int) -> None:
    assert verify(secret=secret, headers=headers(secret), body=BODY, now=NOW + shift)


@pytest.mark.parametrize("shift", [301, -301])
def test_verify_refuses_stale_ones(shift: int) -> None:
    assert not verify(secret="s3cret", headers=headers(), body=BODY, now=NOW + shift)


@pytest.mark.parametrize(
    "change",
    [
        {"X-PhoneFarm-Signature": "0" * 64},
        {"X-PhoneFarm-Signature": "é"},
        {"X-PhoneFarm-Timestamp": "x"},
        {"X-PhoneFarm-Timestamp": "\u0661"},
        {"X-PhoneFarm-Timestamp": str(NOW + 1)},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-id": "evt-2"},
    ],
)
def test_verify_refuses_changed_headers(change: dict[str, str]) -> None:
    assert not verify(secret="s3cret", headers={**headers(), **change}, body=BODY, now=NOW)


def test_verify_refuses_another_body_secret_or_no_signature() -> None:
    assert not verify(secret="s3cret", headers=headers(), body=BODY + b" ", now=NOW)
    assert not verify(secret="other", headers=headers(), body=BODY, now=NOW)
    assert not verify(secret="s3cret", headers=headers(None), body=BODY, now=NOW)


def test_verify_reads_headers_in_any_case_and_one_of_several_signatures() -> None:
    given_headers = {name.upper(): value for name, value in headers().items()}
    given_headers["WEBHOOK-SIGNATURE"] = "v1,b2xk v1a,eA== " + given_headers["WEBHOOK-SIGNATURE"]
    assert verify(secret="s3cret", headers=given_headers, body=BODY, now=NOW)


OLD, NEW = "the old secret", WHSEC


def changing(first: str = OLD, second: str = NEW, *, timestamp: int = NOW) -> dict[str, str]:
    return callback_headers(secret=first, second=second, event_id="evt-1", body=BODY, timestamp=timestamp)


@pytest.mark.parametrize("first", [OLD, NEW])
def test_while_a_secret_is_changed_a_receiver_may_hold_either(first: str) -> None:
    """By us, and by the standard's own library, which is given one; a third secret or another body never holds."""
    second = NEW if first == OLD else OLD
    now = int(time.time())
    signed = changing(first, second, timestamp=now)
    assert len(signed["webhook-signature"].split(" ")) == 2
    for held in (OLD, NEW, [OLD, NEW]):
        assert verify(secret=held, headers=signed, body=BODY, now=now)
        assert not verify(secret=held, headers=signed, body=BODY + b" ", now=now)
    Webhook(OLD.encode()).verify(BODY, signed)
    Webhook(NEW).verify(BODY, signed)
    assert not verify(secret="a third", headers=signed, body=BODY, now=now)


def test_the_fixed_header_is_the_first_secret_s_and_a_receiver_of_both_reads_it_before_and_after() -> None:
    for first, second in ((OLD, NEW), (NEW, OLD)):
        only_fixed = {name: value for name, value in changing(first, second).items() if name != "webhook-signature"}
        assert only_fixed["X-PhoneFarm-Signature"] == headers(first)["X-PhoneFarm-Signature"]
        assert verify(secret=[OLD, NEW], headers=only_fixed, body=BODY, now=NOW)
        assert not verify(secret=second, headers=only_fixed, body=BODY, now=NOW)


def test_a_wrong_fixed_signature_beside_one_standard_signature_is_still_refused() -> None:
    assert not verify(
        secret=[OLD, NEW], headers={**headers(OLD), "X-PhoneFarm-Signature": "0" * 64}, body=BODY, now=NOW
    )


def test_no_secrets_hold_nothing() -> None:
    assert not verify(secret=[], headers=changing(), body=BODY, now=NOW)


@given(body=st.binary(), secret=st.text(min_size=1).filter(lambda text: not text.startswith("whsec_")))
def test_verify_undoes_sign(body: bytes, secret: str) -> None:
    assert verify(secret=secret, headers=headers(secret, body=body), body=body, now=NOW)


def test_an_empty_secret_after_the_prefix_is_refused() -> None:
    with pytest.raises(ConfigError):
        standard_key("whsec_")
