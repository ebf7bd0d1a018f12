"""Bodies of an enqueue request that are wrong in one thing, by kind. Part of the table of ``bad_requests``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.contract.base import DROP, BadRequest, Maker, changed, fyp, maintenance, valid_keyword_request, valid_prompt

NO_URLS = (
    "ftp://example.com/",
    "not a url",
    "http://",
    "https://user:pass@example.com/",
    "file:///etc/passwd",
    "http://example.com@127.0.0.1/",
    "http://%31%32%37.0.0.1/",
)
#: Callback URLs that no farm takes, not even one that lists loopback (faults 37).
FORBIDDEN_EVERYWHERE = (
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "https://192.168.1.1:8443/",
    "http://[::ffff:10.0.0.1]/",
    "http://0xa.1/",
    "http://012.0.0.1/",
    "http://167772161/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://100.64.0.1/",
    "http://192.0.0.8/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[fec0::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://203.0.113.7/",
)


def bad_bodies(make: Maker) -> Iterator[BadRequest]:
    yield from _missing(make)
    yield from _types_and_ranges(make)
    yield from _unknown_fields(make)
    yield from _out_of_scope(make)
    yield from _cells(make)
    yield from _targets(make)
    yield from _inputs(make)
    yield from _prompts(make)
    yield from _callbacks_and_options(make)


def _missing(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    for name in body:
        yield make.json(f"missing {name}", changed(body, name, DROP), "missing_field", loc=(name,))
    for path in ("target.routing", "inputs.keywords", "callback.url", "requested_by.system"):
        yield make.json(f"missing {path}", changed(body, path, DROP), "missing_field", loc=tuple(path.split(".")))
    yield make.json("empty object", {}, "missing_field", loc=("requested_by",))


def _types_and_ranges(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    for path, value in (
        ("request_id", 7),
        ("capability", 1),
        ("mode", True),
        ("target", []),
        ("inputs", "x"),
        ("callback", None),
        ("requested_by", "me"),
        ("options", None),
        ("target.phone_id", 5),
        ("requested_by.user", 5),
        ("requested_by.metadata", []),
        ("callback.metadata", "x"),
        ("callback.url", 1),
        ("inputs.keywords", "sourdough"),
        ("inputs.videos_per_keyword", "5"),
        ("inputs.videos_per_keyword", 2.5),
        ("inputs.videos_per_keyword", True),
        ("inputs.judge", "true"),
        ("inputs.judge", 1),
        ("inputs.watch_seconds", 5),
        ("inputs.prompts", []),
        ("inputs.app", 3),
        ("options.priority", "9"),
        ("options.not_before", 1_700_000_000),
    ):
        yield make.json(
            f"type of {path}: {value!r}", changed(body, path, value), "wrong_type", loc=tuple(path.split("."))
        )
    for path, value, code in (
        ("request_id", "", "too_short"),
        ("request_id", "   ", "too_short"),
        ("request_id", "r" * 201, "too_long"),
        ("requested_by.system", "", "too_short"),
        ("requested_by.system", "s" * 201, "too_long"),
        ("target.phone_id", "", "too_short"),
        ("target.phone_id", "p" * 201, "too_long"),
    ):
        shown = f"{value[:3]}... ({len(value)})"
        yield make.json(f"length of {path}: {shown}", changed(body, path, value), code, loc=tuple(path.split(".")))


def _unknown_fields(make: Maker) -> Iterator[BadRequest]:
    body = changed(valid_keyword_request(), "inputs.watch_seconds", {"min": 1, "max": 2})
    for path in (
        "colour",
        "target.serial",
        "inputs.videos_per_keywords",
        "inputs.watch_seconds.mean",
        "inputs.prompts.fyp_judge",
        "callback.secret",
        "requested_by.email",
        "options.retries",
    ):
        yield make.json(f"unknown {path}", changed(body, path, 1), "unknown_field", loc=tuple(path.split(".")))


def _out_of_scope(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    for path in (
        "comment_plan",
        "personality",
        "inputs.comment_plan",
        "inputs.active_skills",
        "inputs.personality",
        "inputs.randomized",
        "inputs.video_posting",
        "inputs.like_probability",
        "inputs.follow",
        "inputs.autoComment",
        "inputs.send_message",
        "inputs.post",
        "target.follow",
        "options.like",
    ):
        name = path.rpartition(".")[2]
        yield make.json(
            f"out of scope {path}",
            changed(body, path, True),
            "out_of_scope",
            detail=f"out_of_scope:{name}",
            loc=tuple(path.split(".")),
        )
    steps = [{"action": "edit_profile", "params": {"bio": "x", "randomized": True}}]
    yield make.json(
        "randomized profile",
        changed(maintenance(), "inputs.steps", steps),
        "out_of_scope",
        detail="out_of_scope:randomized",
    )


def _cells(make: Maker) -> Iterator[BadRequest]:
    verified = "capability_not_live_verified:fyp_warmup"
    yield make.json(
        "unattended fyp", fyp(mode="unattended"), verified.partition(":")[0], detail=verified, loc=("mode",)
    )
    for body, detail in (
        (maintenance(mode="unattended"), "unsupported_mode:maintenance:unattended"),
        (valid_keyword_request(mode="sometimes"), "unsupported_mode:keyword_warmup:sometimes"),
        (
            maintenance(target={"routing": "direct", "phone_id": "VP000001"}),
            "unsupported_routing:maintenance:direct",
        ),
        (
            maintenance(target={"routing": "group", "phone_ids": ["VP000001"]}),
            "unsupported_routing:maintenance:group",
        ),
        (valid_keyword_request(target={"routing": "broadcast"}), "unsupported_routing:keyword_warmup:broadcast"),
        (valid_keyword_request(capability="comment_warmup"), "unknown_capability"),
        (valid_keyword_request(capability="Keyword_Warmup"), "unknown_capability"),
    ):
        yield make.json(f"{detail} ({body['capability']})", body, detail.partition(":")[0], detail=detail)


def _targets(make: Maker) -> Iterator[BadRequest]:
    for target, field in (
        ({"routing": "direct"}, "phone_id"),
        ({"routing": "direct", "phone_id": "a", "phone_group": "g"}, "phone_group"),
        ({"routing": "direct", "phone_id": "a", "account_group": "g"}, "account_group"),
        ({"routing": "direct", "phone_id": "a", "phone_ids": ["a"]}, "phone_ids"),
        ({"routing": "direct", "account_ids": ["a"]}, "account_ids"),
        ({"routing": "queue", "phone_ids": ["a"]}, "phone_ids"),
        ({"routing": "queue", "account_ids": ["a"]}, "account_ids"),
        ({"routing": "group"}, "phone_ids"),
        ({"routing": "group", "phone_ids": [], "account_ids": []}, "phone_ids"),
        ({"routing": "group", "phone_ids": ["a"], "phone_id": "a"}, "phone_id"),
        ({"routing": "group", "phone_group": "g", "account_id": "a"}, "account_id"),
    ):
        yield make.json(
            f"target {json.dumps(target)}",
            valid_keyword_request(target=target),
            "invalid_target",
            detail=f"invalid_target:{field}",
            loc=("target", field),
        )
    many = [f"p{number}" for number in range(1_001)]
    for name in ("phone_ids", "account_ids"):
        body = valid_keyword_request(target={"routing": "group", name: many})
        yield make.json(f"1001 {name}", body, "too_long", loc=("target", name))
    body = valid_keyword_request(target={"routing": "group", "phone_ids": ["a", 1]})
    yield make.json("a number among ids", body, "wrong_type", loc=("target", "phone_ids", 1))


def _inputs(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    for field, value, code in (
        ("keywords", [], "too_short"),
        ("keywords", [f"k{n}" for n in range(21)], "too_long"),
        ("keywords", ["soup", " SOUP "], "duplicate_keyword"),
        ("keywords", ["stra\u00dfe", "STRASSE"], "duplicate_keyword"),
        ("videos_per_keyword", 0, "out_of_range"),
        ("videos_per_keyword", 51, "out_of_range"),
        ("max_minutes", 0, "out_of_range"),
        ("max_minutes", 61, "out_of_range"),
        ("app", "not-a-profile", "unknown_app"),
    ):
        shown = json.dumps(value)[:30]
        yield make.json(f"{field}: {shown}", changed(body, f"inputs.{field}", value), code, loc=("inputs", field))
    for value, code in (
        ("", "too_short"),
        ("  ", "too_short"),
        ("k" * 101, "too_long"),
        ("a\nb", "invalid_characters"),
    ):
        wrong = changed(body, "inputs.keywords", ["good", value])
        yield make.json(f"keyword {value[:5]!r}", wrong, code, loc=("inputs", "keywords", 1))
    for seconds, code, field in (
        ({"min": 0, "max": 4}, "out_of_range", "min"),
        ({"min": 1, "max": 120.5}, "out_of_range", "max"),
        ({"min": 5, "max": 4}, "out_of_range", "max"),
        ({"min": 5}, "missing_field", "max"),
        ({"min": "1", "max": 4}, "wrong_type", "min"),
    ):
        wrong = changed(body, "inputs.watch_seconds", seconds)
        yield make.json(f"watch_seconds {seconds}", wrong, code, loc=("inputs", "watch_seconds", field))


def _prompts(make: Maker) -> Iterator[BadRequest]:
    body = changed(valid_keyword_request(), "inputs.judge", True)
    loc = ("inputs", "prompts", "keyword_judge")
    missing = "missing_keyword_judge_prompt"
    yield make.json("judge without prompt", body, missing, detail=missing, loc=loc)
    yield make.json("judge with empty prompts", changed(body, "inputs.prompts", {}), missing, loc=loc)
    always = "missing_fyp_judge_prompt"
    yield make.json(
        "fyp without prompt",
        changed(fyp(), "inputs.prompts", {}),
        always,
        detail=always,
        loc=("inputs", "prompts", "fyp_judge"),
    )
    yield make.json("fyp without prompts", changed(fyp(), "inputs.prompts", DROP), always, detail=always)
    for field, value, code in (
        ("prompt_id", DROP, "missing_field"),
        ("version", 3, "wrong_type"),
        ("system_prompt", "", "too_short"),
        ("task_prompt", "{password}", "unknown_placeholder"),
        ("output_contract", {"type": 5}, "invalid_output_contract"),
        ("output_contract", {"$ref": "https://example.com/schema"}, "invalid_output_contract"),
        ("temperature", 1, "unknown_field"),
    ):
        wrong = changed(body, "inputs.prompts.keyword_judge", changed(valid_prompt(), field, value))
        yield make.json(f"prompt {field}: {str(value)[:20]}", wrong, code, loc=(*loc, field))


def _callbacks_and_options(make: Maker) -> Iterator[BadRequest]:
    body = valid_keyword_request()
    for url in NO_URLS:
        yield make.json(f"callback {url}", changed(body, "callback.url", url), "invalid_callback_url")
    for url in FORBIDDEN_EVERYWHERE:
        wrong = changed(body, "callback.url", url)
        yield make.json(f"callback {url}", wrong, "forbidden_callback_address", loc=("callback", "url"))
    for field, value, code in (
        ("priority", -1, "out_of_range"),
        ("priority", 10, "out_of_range"),
        ("max_attempts", 0, "out_of_range"),
        ("max_attempts", 11, "out_of_range"),
        ("not_before", "tomorrow", "invalid_timestamp"),
        ("not_before", "2026-11-23 09:30:00Z", "invalid_timestamp"),
        ("not_before", "2026-11-23T09:30:00", "invalid_timestamp"),
        ("expires_at", "2026-02-30T00:00:00Z", "invalid_timestamp"),
    ):
        wrong = changed(body, f"options.{field}", value)
        yield make.json(f"options.{field}: {value}", wrong, code, loc=("options", field))
    same = {"not_before": "2030-01-01T00:00:00Z", "expires_at": "2030-01-01T01:00:00+01:00"}
    yield make.json("expires at once", changed(body, "options", same), "out_of_range", loc=("options", "expires_at"))
    yield make.json("other idempotency key", body, "idempotency_key_mismatch", headers={"Idempotency-Key": "other"})
