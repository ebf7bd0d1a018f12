"""Every ``code`` of the API and what it means: of problem documents, and of a process's ``error``.

Codes are stable; messages are not. The OpenAPI document and ``/docs`` show these tables. A test holds the first one to
the program's text, so that a new code cannot be raised without being explained here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from phonefarm import errors

#: Codes of problem documents, and of the entries of ``errors``.
PROBLEMS: Mapping[str, str] = {
    "account_has_no_phone": "409: the account lives on no phone; give it one, or name a phone",
    "account_inactive": "409: the account is not active",
    "account_unauthorized": "409: nobody has authorised the account's use",
    "actor_unavailable": "503: a part of the farm is away; try again, the same request_id makes it safe",
    "authorization_required": "422: an account is active only with authorization",
    "capability_not_available": "422: this farm has no planner for the capability yet",
    "capability_not_live_verified": "422: the capability does not run in this mode",
    "cross_site": "403: a form of the console that no page of this farm sent in this session",
    "duplicate_keyword": "422: keywords must be distinct after trimming and case folding",
    "duplicate_parameter": "422: a query parameter was given twice",
    "forbidden_callback_address": "422: callbacks may not go to this address",
    "group_is_empty": "409: the group has no phone that could be used",
    "idempotency_key_mismatch": "422: Idempotency-Key must equal request_id",
    "idempotency_key_reused": "409: the key belongs to a request with another body; differs names the fields",
    "internal_error": "500: something unforeseen; the farm's log holds the cause",
    "invalid_callback_url": "422: the callback's URL cannot be used",
    "invalid_characters": "422: control characters",
    "invalid_choice": "422: none of the values that are allowed",
    "invalid_cursor": "422: not a cursor this farm gave for these filters",
    "invalid_event_id": "422: Last-Event-ID is not the id of an event",
    "invalid_format": "422: a text of a form that is not allowed here",
    "invalid_json": "422: not one JSON object in UTF-8, or with NaN, NUL, duplicate keys or too much depth",
    "invalid_output_contract": "422: not a JSON Schema that a judge's answer could keep",
    "invalid_target": "422: the routing does not use this field, or needs another",
    "invalid_timestamp": "422: not RFC 3339",
    "key_exists": "409: a key of this name was made before",
    "method_not_allowed": "405: Allow names the methods",
    "missing_field": "422: a field is required",
    "missing_fyp_judge_prompt": "422: fyp_warmup needs prompts.fyp_judge",
    "missing_keyword_judge_prompt": "422: judge is true, so prompts.keyword_judge is needed",
    "missing_scope": "403: the key has not got the scope",
    "not_acceptable": "406: no media type of those that Accept names",
    "not_ready": "503: a part of the farm does not answer; detail names it",
    "not_replayable": "409: only a failed process can be replayed",
    "operation_not_possible": "409: the operation makes no sense in the phone's state",
    "out_of_range": "422: a number or a time out of bounds",
    "out_of_scope": "422: sessions look and read; phonefarm does not do this",
    "payload_too_large": "413: a body may have 256 KiB",
    "phone_not_reachable": "409: the phone cannot be spoken to now; detail names the cause",
    "phone_retired": "409: the phone was retired",
    "setting_not_allowed": "422: not one of the settings that may be changed",
    "storage_busy": "503: somebody else holds the database, or it is overloaded; the same request_id makes it safe",
    "storage_full": "503: the disk of the database is full, or its quota; nothing is accepted until there is room",
    "storage_read_only": "503: the database can be read but not written; nothing is accepted until it can",
    "storage_refused": "503: the database is damaged or not one this farm may use; its operator must restore a backup",
    "storage_unavailable": "503: the database does not answer; try again, the same request_id makes it safe",
    "target_mismatch": "422: the account lives on another phone",
    "too_long": "422: a text or a list is too long",
    "too_many_requests": "429: the farm takes in as much as it can; Retry-After says when",
    "too_many_waiting": "429: too many callers wait for news; poll without wait, or come back later",
    "too_short": "422: a text or a list must not be empty",
    "unauthorized": "401: no key, or a wrong one",
    "unavailable": "503: the farm is away; try again, the same request_id makes it safe",
    "unknown_account": "404",
    "unknown_account_group": "404",
    "unknown_app": "422: the farm has no profile of this app",
    "unknown_artifact": "404",
    "unknown_callback": "404",
    "unknown_capability": "422: see GET /capabilities",
    "unknown_field": "422: there is no such field or parameter",
    "unknown_group": "404",
    "unknown_host": "404",
    "unknown_key": "404",
    "unknown_phone": "404",
    "unknown_phone_group": "404",
    "unknown_placeholder": "422: a prompt has placeholders of its own only",
    "unknown_process": "404: also for a process of another system than the key's",
    "unknown_route": "404",
    "unsupported_media_type": "415: send application/json in UTF-8, uncompressed",
    "unsupported_mode": "422: the capability does not run in this mode",
    "unsupported_routing": "422: the capability is not routed so",
    "wrong_system": "403: the key is bound to another requested_by.system",
    "wrong_type": "422: a value of another type",
}

_OWN: Mapping[str, str] = {
    "expired": "it was not started by expires_at",
    "interrupted": "the attempt was broken off; whether a step that may not be repeated took effect is not known",
    "lease_expired": "the phone was not heard of within its lease",
    "phone_not_ready": "the phone refused the work; it goes elsewhere",
}


def process_errors() -> dict[str, str]:
    """Codes of a process's ``error`` and what to do about each, from the error tree."""
    classes = (cls for root in (errors.DeviceError, errors.ActionError) for cls in _tree(root))
    return dict(sorted({**{cls.code: cls.next_step for cls in classes}, **_OWN}.items()))


def _tree(cls: type[errors.PhoneFarmError]) -> Iterator[type[errors.PhoneFarmError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from _tree(sub)
