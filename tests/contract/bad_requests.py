"""Bad requests and what they must get, as data, so that any farm can be tried with the same table.

``cases(key=…, callback_url=…)`` builds it for a farm; ``CASES`` is built with the constants here. Cases that need a
second key are there only if that key is given. The farm needs no phone for any of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

from tests.contract.bad_bodies import bad_bodies
from tests.contract.bad_routes import bad_routes
from tests.contract.base import (
    BOUND_KEY,
    BOUND_SYSTEM,
    CALLBACK_URL,
    DROP,
    ENQUEUE,
    KEY,
    READER_KEY,
    UNKNOWN_ID,
    BadRequest,
    Maker,
    changed,
    valid_keyword_request,
    valid_prompt,
)

__all__ = [
    "BOUND_KEY",
    "BOUND_SYSTEM",
    "CALLBACK_URL",
    "CASES",
    "ENQUEUE",
    "KEY",
    "READER_KEY",
    "UNKNOWN_ID",
    "BadRequest",
    "cases",
    "changed",
    "valid_keyword_request",
    "valid_prompt",
]


def cases(
    *,
    key: str = KEY,
    callback_url: str = CALLBACK_URL,
    reader_key: str | None = None,
    bound_key: str | None = None,
) -> list[BadRequest]:
    """The table for a farm with this key."""
    make = Maker(key=key, callback_url=callback_url)
    found = [
        *_keys(make),
        *_media(make),
        *_invalid_json(make),
        *bad_bodies(make),
        *_unknown(make),
        *_other_routes(make),
    ]
    if reader_key is not None:
        found += _scopes(Maker(key=reader_key, callback_url=callback_url))
    if bound_key is not None:
        wrong = Maker(key=bound_key, callback_url=callback_url)
        found.append(wrong.json("key bound to another system", valid_keyword_request(), "wrong_system", status=403))
    return found


def _keys(make: Maker) -> Iterator[BadRequest]:
    good = json.dumps(valid_keyword_request()).encode()
    for name, header in (
        ("no key", ""),
        ("wrong key", "Bearer not-a-key"),
        ("another scheme", f"Basic {make.key}"),
        ("empty key", "Bearer "),
        ("key without scheme", make.key),
        ("a key that is longer", f"Bearer {make.key}x"),
    ):
        yield make.raw(name, good, "unauthorized", status=401, headers={"Authorization": header})
    none = {"Authorization": ""}
    yield make.raw("no key on a read", b"", "unauthorized", status=401, method="GET", path="/processes", headers=none)
    yield make.raw(
        "no key on openapi", b"", "unauthorized", status=401, method="GET", path="/openapi.json", headers=none
    )
    yield make.raw("no key before a bad body", b"{", "unauthorized", status=401, headers=none)


def _scopes(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    yield make.json("scope submit", body, "missing_scope", status=403, detail="missing_scope:submit")
    yield make.raw("scope before the body", b"{", "missing_scope", status=403)
    yield make.json("scope cancel", {}, "missing_scope", status=403, path=f"/processes/{UNKNOWN_ID}/cancel")
    yield make.json("scope admin", {}, "missing_scope", status=403, path="/accounts/a", method="PUT")


def _media(make: Maker) -> Iterator[BadRequest]:
    good = json.dumps(valid_keyword_request()).encode()
    for kind in ("", "text/plain", "application/json; charset=latin-1", "application/jsonp", "multipart/form-data"):
        yield make.raw(
            f"content type {kind or 'missing'}",
            good,
            "unsupported_media_type",
            status=415,
            headers={"Content-Type": kind},
        )
    bomb = gzip.compress(b" " * 20_000_000 + good)
    for coding in ("gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x-gzip"):
        wrong = {"Content-Encoding": coding}
        yield make.raw(f"compressed: {coding}", good, "unsupported_media_type", status=415, headers=wrong)
        yield make.raw(f"a bomb in {coding}", bomb, "unsupported_media_type", status=415, headers=wrong)
    yield make.raw("a bomb that says nothing", bomb, "invalid_json", loc=())
    yield make.raw("too large", b" " * (256 * 1024 + 1), "payload_too_large", status=413)
    yield make.raw(
        "too large before its type",
        b"x" * 300_000,
        "payload_too_large",
        status=413,
        headers={"Content-Type": "text/plain"},
    )


def _invalid_json(make: Maker) -> Iterator[BadRequest]:
    good = json.dumps(valid_keyword_request())
    deep = '{"a":' * 65 + "1" + "}" * 65
    for name, text in (
        ("empty", b""),
        ("cut off", good[:-1].encode()),
        ("text after it", good.encode() + b"x"),
        ("array", b"[]"),
        ("string", b'"x"'),
        ("null", b"null"),
        ("NaN", good.replace('"sourdough"', "NaN").encode()),
        ("Infinity", good.replace('"sourdough"', "-Infinity").encode()),
        ("overflow", good.replace('"sourdough"', "1e999").encode()),
        ("duplicate key", good.replace('"mode"', '"mode": "manual", "mode"').encode()),
        ("duplicate key deep inside", good.replace('"metadata": {}', '"metadata": {"a": 1, "a": 1}', 1).encode()),
        ("escaped NUL", good.replace("sourdough", "sour\\u0000dough").encode()),
        ("raw NUL", good.replace("sourdough", "sour\0dough").encode()),
        ("NUL in a key", good.replace('"metadata": {}', '"metadata": {"\\u0000": 1}', 1).encode()),
        ("lone surrogate", good.replace("sourdough", "sour\\ud800dough").encode()),
        ("latin-1", good.replace("sourdough", "pur\u00e9e").encode("latin-1")),
        ("surrogate as UTF-8", good.encode().replace(b"sourdough", b"\xed\xa0\x80")),
        ("UTF-16", good.encode("utf-16")),
        ("byte order mark", b"\xef\xbb\xbf" + good.encode()),
        ("65 levels", deep.encode()),
        ("100000 levels", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        ("unclosed levels", b"[" * 200_000),
        ("5000 digits", good.replace('"sourdough"', "9" * 5_000).encode()),
        ("5000 digits below zero", good.replace('"sourdough"', "-" + "9" * 5_000).encode()),
        ("an exponent of 5000 digits", good.replace('"sourdough"', "1e" + "9" * 5_000).encode()),
        ("two keys that differ in escapes", good.replace('"mode"', '"m\\u006fde": "manual", "mode"').encode()),
        ("surrogates the wrong way round", good.replace("sourdough", "sour\\udc00\\ud800dough").encode()),
        ("lone surrogate in a key", good.replace('"metadata": {}', '"metadata": {"\\udfff": 1}', 1).encode()),
        ("65 bits", good.replace('"sourdough"', str(2**64)).encode()),
        ("comment", b"/* */" + good.encode()),
    ):
        yield make.raw(f"json: {name}", text, "invalid_json", loc=())


def _unknown(make: Maker) -> Iterator[BadRequest]:
    for target, code, what in (
        ({"routing": "direct", "phone_id": "nobody"}, "unknown_phone", "nobody"),
        ({"routing": "direct", "account_id": "nobody"}, "unknown_account", "nobody"),
        ({"routing": "queue", "phone_group": "nowhere"}, "unknown_phone_group", "nowhere"),
        ({"routing": "group", "account_group": "nowhere"}, "unknown_account_group", "nowhere"),
        ({"routing": "group", "phone_ids": ["nobody"]}, "unknown_phone", "nobody"),
    ):
        body = valid_keyword_request(target=target, request_id=f"unknown-{code}-{target['routing']}")
        yield make.json(f"{target['routing']}: {code}", body, code, status=404, detail=f"{code}:{what}")


def _other_routes(make: Maker) -> Iterator[BadRequest]:
    def get(name: str, path: str, status: int, code: str, method: str = "GET") -> BadRequest:
        return make.raw(name, b"", code, status=status, path=path, method=method, headers={"Content-Type": ""})

    yield get("unknown route", "/nowhere", 404, "unknown_route")
    yield get("slash too many", "/processes/", 404, "unknown_route")
    yield get("wrong method", ENQUEUE, 405, "method_not_allowed")
    yield get("delete an account", "/accounts/a", 405, "method_not_allowed", method="DELETE")
    yield get("unknown process", f"/processes/{UNKNOWN_ID}", 404, "unknown_process")
    yield get("malformed process id", "/processes/7", 404, "unknown_process")
    yield get("NUL in a process id", "/processes/%00", 404, "unknown_process")
    yield get("process id in capitals", f"/processes/{UNKNOWN_ID.upper()}", 404, "unknown_process")
    yield get("events of nothing", f"/processes/{UNKNOWN_ID}/events", 404, "unknown_process")
    yield get("artifact outside", f"/processes/{UNKNOWN_ID}/artifacts/..%5c", 404, "unknown_artifact")
    yield get("unknown phone", "/phones/nobody", 404, "unknown_phone")
    yield get("NUL in a phone id", "/phones/a%00", 404, "unknown_phone")
    yield get("unknown account", "/accounts/nobody", 404, "unknown_account")
    yield get("limit 0", "/processes?limit=0", 422, "out_of_range")
    yield get("limit 201", "/processes?limit=201", 422, "out_of_range")
    yield get("limit x", "/processes?limit=x", 422, "wrong_type")
    yield get("bad cursor", "/processes?cursor=x", 422, "invalid_cursor")
    yield get("unknown filter", "/processes?stauts=queued", 422, "unknown_field")
    yield get("callback state", "/callbacks?state=lost", 422, "invalid_choice")
    yield from _cancels(make)
    yield from _accounts(make)
    yield from bad_routes(make)


def _cancels(make: Maker) -> Iterator[BadRequest]:
    path = f"/processes/{UNKNOWN_ID}/cancel"
    body = {"reason": "test", "requested_by": {"system": "contract-tests"}}
    yield make.json("cancel nothing", body, "unknown_process", status=404, path=path)
    yield make.json("cancel a malformed id", body, "unknown_process", status=404, path="/processes/x/cancel")
    yield make.json("cancel without reason", changed(body, "reason", DROP), "missing_field", path=path)
    yield make.json("cancel by nobody", changed(body, "requested_by", DROP), "missing_field", path=path)
    yield make.json("cancel somehow", changed(body, "strategy", "gently"), "invalid_choice", path=path)
    yield make.json("cancel in the past", changed(body, "force_after_seconds", -1), "out_of_range", path=path)
    yield make.json("cancel unknown field", changed(body, "now", True), "unknown_field", path=path)
    yield make.raw("cancel without body", b"", "invalid_json", path=path)


def _accounts(make: Maker) -> Iterator[BadRequest]:
    authorised = {"authorized_by": "ops", "basis": "own account", "granted_at": "2026-11-01T00:00:00Z"}
    for name, body, code, status in (
        ("active without authorization", {"active": True}, "authorization_required", 422),
        ("account type", {"active": 1}, "wrong_type", 422),
        ("account unknown field", {"password": "x"}, "unknown_field", 422),
        ("account limits", {"daily_limits": {"sessions": -1}}, "out_of_range", 422),
        ("account granted when", {"authorization": {**authorised, "granted_at": "once"}}, "invalid_timestamp", 422),
        ("account granted by nobody", {"authorization": {**authorised, "authorized_by": ""}}, "too_short", 422),
        ("account on no phone", {"phone_id": "nobody"}, "unknown_phone", 404),
    ):
        yield make.json(name, body, code, status=status, path="/accounts/bad-request-account", method="PUT")
    yield make.json("account without name", {}, "unknown_account", status=404, path="/accounts/%20", method="PUT")


CASES: list[BadRequest] = cases(reader_key=READER_KEY, bound_key=BOUND_KEY)
