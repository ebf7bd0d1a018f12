"""Bad requests to the routes beside enqueue, cancel and accounts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.contract.base import DROP, UNKNOWN_ID, BadRequest, Maker, changed, valid_keyword_request


def bad_routes(make: Maker) -> Iterator[BadRequest]:
    """Every route that takes a body, and the parameters of those that do not."""
    yield from _maintenance(make)
    yield from _replays(make)
    yield from _operations(make)
    yield from _keys(make)
    yield from _patches(make)
    yield from _parameters(make)


def _maintenance(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request(inputs={"steps": [{"action": "health_check"}]})
    good = {name: body[name] for name in ("request_id", "inputs", "callback", "requested_by")}
    phone = {**good, "phone_id": "VP000001"}
    for name, sent, code, status in (
        ("for nobody", good, "missing_field", 422),
        ("for a phone and an account", {**phone, "account_id": "a"}, "invalid_target", 422),
        ("for an unknown account", {**good, "account_id": "nobody"}, "unknown_account", 404),
        ("for an unknown phone", {**good, "phone_id": "nobody"}, "unknown_phone", 404),
        ("without steps", changed(phone, "inputs.steps", []), "too_short", 422),
        ("with 51 steps", changed(phone, "inputs.steps", [{"action": "reboot"}] * 51), "too_long", 422),
        ("with a capability", {**phone, "capability": "maintenance"}, "unknown_field", 422),
        ("that likes", changed(phone, "inputs.steps", [{"action": "like"}]), "out_of_scope", 422),
        ("without callback", changed(phone, "callback", DROP), "missing_field", 422),
    ):
        yield make.json(f"maintenance {name}", sent, code, status=status, path="/maintenance/requests")


def _replays(make: Maker) -> Iterator[BadRequest]:
    path = f"/processes/{UNKNOWN_ID}/replay"
    body = {"request_id": "r", "requested_by": {"system": "contract-tests"}}
    yield make.json("replay nothing", body, "unknown_process", status=404, path=path)
    yield make.json("replay a malformed id", body, "unknown_process", status=404, path="/processes/x/replay")
    yield make.json("replay without request_id", changed(body, "request_id", DROP), "missing_field", path=path)
    yield make.json("replay with inputs", {**body, "inputs": {}}, "unknown_field", path=path)
    other = {"Idempotency-Key": "another"}
    yield make.json("replay with another key", body, "idempotency_key_mismatch", path=path, headers=other)


def _operations(make: Maker) -> Iterator[BadRequest]:
    reason = {"reason": "test"}
    yield make.json("pause nobody", reason, "unknown_phone", status=404, path="/phones/nobody/pause")
    yield make.json("drain no host", reason, "unknown_host", status=404, path="/hosts/nobody/drain")
    yield make.json("drain no group", reason, "unknown_group", status=404, path="/groups/nobody/drain")
    yield make.json("retire a host", reason, "unknown_route", status=404, path="/hosts/local/retire")
    yield make.json("paint a phone", reason, "unknown_route", status=404, path="/phones/VP000001/paint")
    yield make.json("pause without reason", {}, "missing_field", path="/phones/VP000001/pause")
    yield make.json("pause for no reason", {"reason": ""}, "too_short", path="/phones/VP000001/pause")
    yield make.json("pause with force", {**reason, "force": True}, "unknown_field", path="/phones/VP000001/pause")
    not_held = "operation_not_possible"
    yield make.json("release a free phone", reason, not_held, status=409, path="/phones/VP000001/release")


def _keys(make: Maker) -> Iterator[BadRequest]:
    good = {"name": "bad-request-key", "scopes": ["read"]}
    for name, body, code in (
        ("without scopes", changed(good, "scopes", DROP), "missing_field"),
        ("with no scope", {**good, "scopes": []}, "too_short"),
        ("with an unknown scope", {**good, "scopes": ["root"]}, "invalid_choice"),
        ("with a strange name", {**good, "name": "a b"}, "invalid_format"),
        ("with a secret", {**good, "secret": "mine"}, "unknown_field"),
    ):
        yield make.json(f"key {name}", body, code, path="/keys")
    bare = {"Content-Type": ""}
    yield make.raw("revoke nobody", b"", "unknown_key", status=404, path="/keys/nobody", method="DELETE", headers=bare)


def _patches(make: Maker) -> Iterator[BadRequest]:
    path = "/accounts/bad-request-account"
    yield make.json("patch nobody", {"group": "g"}, "unknown_account", status=404, path=path, method="PATCH")
    yield make.json("patch a type", {"active": "yes"}, "wrong_type", path=path, method="PATCH")
    yield make.json("patch an unknown field", {"password": "x"}, "unknown_field", path=path, method="PATCH")


def _parameters(make: Maker) -> Iterator[BadRequest]:
    def get(name: str, path: str, status: int, code: str, **headers: str) -> BadRequest:
        sent = {"Content-Type": "", **{key.replace("_", "-"): value for key, value in headers.items()}}
        return make.raw(name, b"", code, status=status, path=path, method="GET", headers=sent)

    one = f"/processes/{UNKNOWN_ID}"
    yield get("status x", "/processes?status=x", 422, "invalid_choice")
    yield get("capability x", "/processes?process_type=x", 422, "invalid_choice")
    yield get("created when", "/processes?created_after=yesterday", 422, "invalid_timestamp")
    yield get("blank system", "/processes?system=%20", 422, "too_short")
    yield get("filter twice", "/processes?status=queued&status=completed", 422, "duplicate_parameter")
    yield get("wait too long", f"{one}?wait=61", 422, "out_of_range")
    yield get("wait x", f"{one}?wait=x", 422, "wrong_type")
    yield get("stream of nothing", f"{one}/events", 404, "unknown_process", Accept="text/event-stream")
    bad = {"Accept": "text/event-stream", "Last_Event_ID": "x"}
    yield get("stream from x", f"{one}/events", 422, "invalid_event_id", **bad)
    yield get("screen of nobody", "/phones/nobody/screen", 404, "unknown_phone")
    yield get("screen too wide", "/phones/VP000001/screen?width=5000", 422, "out_of_range")
    yield get("screen as text", "/phones/VP000001/screen", 406, "not_acceptable", Accept="text/html")
    yield get("queue cursor", "/queue?cursor=x", 422, "invalid_cursor")
    yield get("callback cursor", "/callbacks?cursor=x", 422, "invalid_cursor")
    yield get("docs with a query", "/docs?x=1", 422, "unknown_field")
    yield make.raw("redeliver nothing", b"", "unknown_callback", status=404, path=f"/callbacks/{UNKNOWN_ID}/redeliver")
