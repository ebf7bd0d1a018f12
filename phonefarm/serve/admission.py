"""From the body of an enqueue request to a ``Submission``, or to everything that is wrong with it.

Pure. Faults are collected in the order of contract section 10: shape and ranges (of the envelope, the callback's
URL, the inputs), then capability, mode, routing, target shape, inputs, prompts; the first gives the answer its
code. Checks of meaning look at the raw body, so a fault of shape in one field hides none in another. Whether a
capability has a planner comes last, when nothing else is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from phonefarm.core import registry
from phonefarm.core.prompts import prompt_faults
from phonefarm.core.registry import CapabilityEntry
from phonefarm.errors import Fault, ValidationFailed
from phonefarm.models.process import Options, Submission, Target
from phonefarm.models.requests import EnqueueBody, MaintenanceBody, TargetBody
from phonefarm.models.requests_base import RequestOptions
from phonefarm.models.requests_inputs import MaintenanceInputs
from phonefarm.models.requests_maintenance import dumped
from phonefarm.models.states import Capability, Mode, Routing
from phonefarm.serve.faults import Loc, checked, is_out_of_scope, out_of_scope, same_codes, shown
from phonefarm.serve.targets import target_faults

#: What is wrong with a callback URL by itself, None if it may be accepted.
UrlCheck = Callable[[str], Fault | None]
PromptCheck = Callable[[Mapping[str, Any], Loc], list[Fault]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What validation needs to know of this farm. ``apps``: names of the app profiles it has."""

    check_callback_url: UrlCheck
    apps: frozenset[str] = frozenset({"feed"})
    default_app: str = "feed"
    prompt_faults: PromptCheck = field(default=prompt_faults)


def admit(body: dict[str, Any], rules: Rules, *, process_id: str, key_header: bytes | None = None) -> Submission:
    """The submission of a body. Raises ValidationFailed. ``key_header``: the ``Idempotency-Key``, if one was sent."""
    entry = registry.find(body.get("capability"))
    envelope, faults = checked(EnqueueBody, body)
    faults += _url_faults(body.get("callback"), rules)
    inputs, input_faults = _inputs(entry, body.get("inputs"))
    faults += input_faults
    faults += header_faults(body.get("request_id"), key_header)
    faults += _meaning(entry, body, rules)
    if faults or envelope is None or inputs is None or entry is None:
        raise ValidationFailed(faults)
    if not entry.available:
        raise ValidationFailed([_not_available(entry)])
    return _submission(process_id, entry, envelope, _filled(inputs, rules))


def admit_maintenance(
    body: dict[str, Any], rules: Rules, *, process_id: str, key_header: bytes | None = None
) -> Submission:
    """The submission of a body of ``POST /maintenance/requests``: maintenance, manual, routed by queue."""
    entry = registry.REGISTRY[Capability.MAINTENANCE]
    envelope, faults = checked(MaintenanceBody, body)
    faults += _url_faults(body.get("callback"), rules)
    inputs, input_faults = _inputs(entry, body.get("inputs"))
    faults += input_faults
    faults += header_faults(body.get("request_id"), key_header)
    faults += _one_target(body)
    if isinstance(body.get("inputs"), dict):
        faults += _app_faults(body["inputs"], rules)
    if faults or envelope is None or inputs is None:
        raise ValidationFailed(faults)
    target = Target(routing=Routing.QUEUE, phone_id=envelope.phone_id, account_id=envelope.account_id)
    return Submission(
        process_id=process_id,
        request_id=envelope.request_id,
        capability=Capability.MAINTENANCE,
        mode=Mode.MANUAL,
        target=target,
        inputs=_filled(inputs, rules),
        options=_options(envelope.options),
        callback={"url": envelope.callback.url, "metadata": envelope.callback.metadata},
        requested_by=envelope.requested_by.model_dump(),
    )


def _one_target(body: Mapping[str, Any]) -> Iterator[Fault]:
    account, phone = body.get("account_id") is not None, body.get("phone_id") is not None
    if not account and not phone:
        yield Fault(loc=("account_id",), code="missing_field", msg="needs account_id, or phone_id instead of it")
    elif account and phone:
        yield Fault(loc=("phone_id",), code="invalid_target:phone_id", msg="give account_id or phone_id, not both")


# -- shape -----------------------------------------------------------------------------------------


def _url_faults(callback: object, rules: Rules) -> Iterator[Fault]:
    url = callback.get("url") if isinstance(callback, dict) else None
    fault = rules.check_callback_url(url) if isinstance(url, str) else None
    if fault is not None:
        yield fault


def _inputs(entry: CapabilityEntry | None, inputs: object) -> tuple[BaseModel | None, list[Fault]]:
    if not isinstance(inputs, dict):
        return None, []
    if entry is not None:
        return checked(entry.inputs, inputs, ("inputs",))
    return None, [out_of_scope(("inputs", name)) for name in inputs if is_out_of_scope(name)]


def header_faults(request_id: object, key_header: bytes | None) -> Iterator[Fault]:
    """An ``Idempotency-Key`` that was sent must say what the body says."""
    if key_header is None or not isinstance(request_id, str):
        return
    if key_header not in (request_id.encode(), request_id.encode("latin-1", "replace")):
        yield Fault(
            loc=("header", "Idempotency-Key"), code="idempotency_key_mismatch", msg="must equal request_id when sent"
        )


# -- meaning ---------------------------------------------------------------------------------------


def _meaning(entry: CapabilityEntry | None, body: Mapping[str, Any], rules: Rules) -> Iterator[Fault]:
    target = body.get("target")
    if entry is None and isinstance(body.get("capability"), str):
        known = ", ".join(capability.value for capability in registry.REGISTRY)
        yield Fault(loc=("capability",), code="unknown_capability", msg=f"must be one of {known}")
    yield from _mode_faults(entry, body)
    if isinstance(target, dict):
        yield from _routing_faults(entry, body, target)
    yield from target_faults(target)
    if entry is not None and isinstance(body.get("inputs"), dict):
        yield from _app_faults(body["inputs"], rules)
        yield from _prompt_faults(entry, body["inputs"], rules)


_MODES = frozenset(mode.value for mode in Mode)
_ROUTINGS = frozenset(routing.value for routing in Routing)


def _mode_faults(entry: CapabilityEntry | None, body: Mapping[str, Any]) -> Iterator[Fault]:
    name = body.get("mode")
    if not isinstance(name, str):
        return
    if name not in _MODES:
        code = f"unsupported_mode:{shown(body.get('capability'))}:{shown(name)}"
        yield Fault(loc=("mode",), code=code, msg="must be manual or unattended")
    elif entry is not None and (refused := entry.mode_code(Mode(name))):
        yield Fault(loc=("mode",), code=refused, msg=entry.refused_modes[Mode(name)].msg)


def _routing_faults(
    entry: CapabilityEntry | None, body: Mapping[str, Any], target: Mapping[str, Any]
) -> Iterator[Fault]:
    name = target.get("routing")
    if not isinstance(name, str):
        return
    loc = ("target", "routing")
    if name not in _ROUTINGS:
        code = f"unsupported_routing:{shown(body.get('capability'))}:{shown(name)}"
        yield Fault(loc=loc, code=code, msg="must be direct, queue or group")
    elif entry is not None and (refused := entry.routing_code(Routing(name))):
        yield Fault(loc=loc, code=refused, msg=entry.refused_routings[Routing(name)].msg)


def _app_faults(inputs: Mapping[str, Any], rules: Rules) -> Iterator[Fault]:
    for loc, app in (((), inputs.get("app")), *_step_apps(inputs.get("steps"))):
        if isinstance(app, str) and app and app not in rules.apps:
            known = ", ".join(sorted(rules.apps))
            yield Fault(loc=("inputs", *loc, "app"), code="unknown_app", msg=f"must be one of {known}")


def _step_apps(steps: object) -> Iterator[tuple[Loc, object]]:
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        params = step.get("params") if isinstance(step, dict) else None
        if isinstance(params, dict):
            yield ("steps", index, "params"), params.get("app")


def _prompt_faults(entry: CapabilityEntry, inputs: Mapping[str, Any], rules: Rules) -> Iterator[Fault]:
    given = inputs.get("prompts", {})
    if not isinstance(given, dict):
        return
    for need in entry.prompts:
        loc = ("inputs", "prompts", need.name)
        prompt = given.get(need.name)
        if isinstance(prompt, dict):
            yield from same_codes(rules.prompt_faults(prompt, loc))
        elif prompt is None and need.needed(inputs):
            yield Fault(loc=loc, code=need.code, msg=need.msg)


def _not_available(entry: CapabilityEntry) -> Fault:
    name = entry.capability.value
    msg = f"{name} is specified but this farm cannot run it yet; nothing is wrong with the request itself"
    return Fault(loc=("capability",), code=f"capability_not_available:{name}", msg=msg)


# -- the submission --------------------------------------------------------------------------------


def _filled(inputs: BaseModel, rules: Rules) -> dict[str, Any]:
    """Plain JSON with every default filled in; prompts that were not given are left out."""
    values: dict[str, Any] = inputs.model_dump()
    if isinstance(inputs, MaintenanceInputs):
        values["steps"] = [_filled_step(step, rules) for step in inputs.steps]
    if "app" in values:
        values["app"] = values["app"] or rules.default_app
    if "prompts" in values:
        values["prompts"] = {name: prompt for name, prompt in values["prompts"].items() if prompt is not None}
    return values


def _filled_step(step: Any, rules: Rules) -> dict[str, Any]:
    body = dumped(step)
    if "app" in type(step.params).model_fields:
        body["params"].setdefault("app", rules.default_app)
    return body


def _submission(process_id: str, entry: CapabilityEntry, body: EnqueueBody, inputs: dict[str, Any]) -> Submission:
    return Submission(
        process_id=process_id,
        request_id=body.request_id,
        capability=entry.capability,
        mode=Mode(body.mode),
        target=_target(body.target),
        inputs=inputs,
        options=_options(body.options),
        callback={"url": body.callback.url, "metadata": body.callback.metadata},
        requested_by=body.requested_by.model_dump(),
    )


def _target(body: TargetBody) -> Target:
    return Target(
        routing=Routing(body.routing),
        phone_id=body.phone_id,
        account_id=body.account_id,
        phone_group=body.phone_group,
        account_group=body.account_group,
        phone_ids=body.phone_ids,
        account_ids=body.account_ids,
    )


def _options(body: RequestOptions) -> Options:
    return Options(
        priority=body.priority,
        not_before=body.not_before,
        expires_at=body.expires_at,
        max_attempts=body.max_attempts,
    )
