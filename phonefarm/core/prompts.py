"""Prompts: what a caller may hand a judge, and what a judge may answer (contract section 4).

A prompt comes from outside and its ``output_contract`` is a JSON Schema, that is, a small program. So:

- it is compiled when the request is accepted, against JSON Schema 2020-12, and never again (LRU by content);
- references resolve inside the schema only; nothing is ever fetched, a remote or dangling ``$ref`` is a fault;
- regular expressions run on an engine with linear time, so no pattern can hang a phone's actor; lookaround and
  back references, which that engine does not have, are refused along with bad patterns;
- references are followed a bounded number of times in one validation, so neither a circle nor a schema that
  doubles itself can run for long.

``render`` fills the placeholders of a task prompt in one pass: what stands on a phone's screen is data, and text
there that looks like a placeholder stays as it is. Braces around anything but a name, as in a piece of JSON, are
ordinary text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from phonefarm.errors import Fault
from phonefarm.models.video import VideoFacts

#: Fields of a prompt that are non-empty strings; ``output_contract`` is the sixth.
TEXT_FIELDS: tuple[str, ...] = ("prompt_id", "name", "version", "system_prompt", "task_prompt")
PLACEHOLDERS: tuple[str, ...] = ("keyword", "interests", "title", "author", "tags", "screen_text")

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLACEHOLDER = re.compile(r"\{(\s*\w[^{}\"']*)\}")
_NAME = re.compile(r"\w{1,32}")
_REFERENCES = 1_000
_references_left: ContextVar[int] = ContextVar("references_left", default=_REFERENCES)


# -- the prompt ----------------------------------------------------------------------------------


def prompt_faults(prompt: Mapping[str, Any], loc: tuple[str | int, ...]) -> list[Fault]:
    """Everything wrong with a prompt, ``loc`` being its place in the request body; never echoes its text.

    Codes: ``missing_field``, ``invalid_type``, ``empty_string``, ``unknown_field``, ``unknown_placeholder``,
    ``invalid_output_contract``.
    """
    faults = [fault for name in TEXT_FIELDS for fault in _text_faults(prompt, name, loc)]
    task = prompt.get("task_prompt")
    if isinstance(task, str):
        faults += _placeholder_faults(task, (*loc, "task_prompt"))
    faults += _contract_faults(prompt, (*loc, "output_contract"))
    known = {*TEXT_FIELDS, "output_contract"}
    faults += [
        Fault(loc=(*loc, str(name)), code="unknown_field", msg="a prompt has no such field")
        for name in prompt
        if name not in known
    ]
    return faults


def prompt_ref(prompt: Mapping[str, Any]) -> dict[str, str]:
    """``{prompt_id, version, sha256}``, stored with every verdict; the hash is over the prompt's canonical JSON."""
    digest = hashlib.sha256(_canonical(dict(prompt)).encode()).hexdigest()
    return {"prompt_id": str(prompt["prompt_id"]), "version": str(prompt["version"]), "sha256": digest}


def render(prompt: Mapping[str, Any], facts: VideoFacts, *, interests: Sequence[str] = ()) -> str:
    """The task prompt with its placeholders filled in, in one pass; lists are joined by ``", "``."""
    values = {
        "keyword": facts.keyword,
        "interests": ", ".join(interests),
        "title": facts.title,
        "author": facts.author,
        "tags": ", ".join(facts.tags),
        "screen_text": facts.screen_text,
    }
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), str(prompt["task_prompt"]))


def answer_fault(prompt: Mapping[str, Any], answer: object) -> str | None:
    """What is wrong with a judge's answer, None if it keeps the contract. Names the place, not the content."""
    if not isinstance(answer, dict) or not isinstance(answer.get("relevant"), bool):
        return "the answer is not an object with a boolean 'relevant'"
    try:
        validator = _compiled(_canonical(prompt["output_contract"]))
        worst = best_match(_errors(validator, answer))
    except (_Invalid, KeyError, TypeError, ValueError):
        return "the output_contract cannot be used"
    return None if worst is None else f"the answer breaks the output_contract at {worst.json_path}: {worst.validator}"


def _text_faults(prompt: Mapping[str, Any], name: str, loc: tuple[str | int, ...]) -> Iterator[Fault]:
    if name not in prompt:
        yield Fault(loc=(*loc, name), code="missing_field", msg="a prompt needs this field")
    elif not isinstance(prompt[name], str):
        yield Fault(loc=(*loc, name), code="invalid_type", msg="must be a string")
    elif not prompt[name].strip():
        yield Fault(loc=(*loc, name), code="empty_string", msg="must not be empty")


def _placeholder_faults(task: str, loc: tuple[str | int, ...]) -> Iterator[Fault]:
    found = dict.fromkeys(match[1] for match in _PLACEHOLDER.finditer(task))
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in found:
        if name not in PLACEHOLDERS:
            shown = f"{{{name}}}" if _NAME.fullmatch(name) else "this placeholder"
            yield Fault(loc=loc, code="unknown_placeholder", msg=f"{shown} is not one of {allowed}")


def _contract_faults(prompt: Mapping[str, Any], loc: tuple[str | int, ...]) -> Iterator[Fault]:
    if "output_contract" not in prompt:
        yield Fault(loc=loc, code="missing_field", msg="a prompt needs this field")
        return
    try:
        _compiled(_canonical(prompt["output_contract"]))
    except _Invalid as invalid:
        yield Fault(loc=loc, code="invalid_output_contract", msg=str(invalid))
    except (TypeError, ValueError, RecursionError):
        yield Fault(loc=loc, code="invalid_output_contract", msg="must be plain JSON")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


# -- the output contract -------------------------------------------------------------------------


class _Invalid(Exception):
    """Why an output contract cannot be used, in words. Stays inside this module."""


@lru_cache(maxsize=256)
def _compiled(contract: str) -> Any:
    """The validator of a contract given as canonical JSON. Raises _Invalid."""
    schema = json.loads(contract)
    if not isinstance(schema, dict):
        raise _Invalid("must be an object: a JSON Schema (2020-12)")
    _check_schema(schema)
    _check_parts(schema)
    validator = _Validator(schema, registry=Registry())
    for answer in ({"relevant": True}, {"relevant": False}):
        if not all(_forgivable(error) for error in _errors(validator, answer)):
            raise _Invalid("must accept an object with a boolean 'relevant', true and false alike")
    return validator


def _check_schema(schema: Mapping[str, Any] | bool) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise _Invalid(f"is not a JSON Schema (2020-12), see {error.json_path}: {error.validator}") from None
    except RecursionError:
        raise _Invalid("is nested too deeply") from None


def _check_parts(schema: Mapping[str, Any]) -> None:
    """Every subschema, and whatever a reference leads to: dialect, references, patterns."""
    root = DRAFT202012.create_resource(schema)
    todo: list[tuple[Any, Any]] = [(root, Registry().resolver_with_root(root))]
    seen: set[int] = set()
    while todo:
        resource, resolver = todo.pop()
        part = resource.contents
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        if part.get("$schema", _DIALECT).rstrip("#") != _DIALECT:
            raise _Invalid("must be JSON Schema 2020-12, by its $schema too")
        _check_patterns(part)
        todo += [_target(resolver, part[key]) for key in ("$ref", "$dynamicRef") if key in part]
        todo += [(sub, resolver.in_subresource(sub)) for sub in resource.subresources()]


def _target(resolver: Any, reference: str) -> tuple[Any, Any]:
    try:
        found = resolver.lookup(reference)
    except (Unresolvable, LookupError, TypeError, ValueError):
        raise _Invalid("has a $ref that leads nowhere inside it; nothing is fetched") from None
    if not isinstance(found.contents, Mapping | bool):
        raise _Invalid("has a $ref to something that is not a schema")
    _check_schema(found.contents)
    return DRAFT202012.create_resource(found.contents), found.resolver


def _check_patterns(part: Mapping[str, Any]) -> None:
    by_name = part.get("patternProperties", {})
    for pattern in [*by_name, *([part["pattern"]] if "pattern" in part else [])]:
        try:
            _searcher(pattern)
        except PatternError:
            raise _Invalid("has a regular expression that is bad, or needs lookaround or back references") from None
    if by_name and "unevaluatedProperties" in part:
        raise _Invalid("must not use patternProperties and unevaluatedProperties together")


def _errors(validator: Any, answer: object) -> list[ValidationError]:
    token = _references_left.set(_REFERENCES)
    try:
        return list(validator.iter_errors(answer))
    except (RecursionError, Unresolvable):
        raise _Invalid("has references that go round in circles or lead nowhere") from None
    finally:
        _references_left.reset(token)


def _forgivable(error: ValidationError) -> bool:
    """Whether more fields could mend the answer: it lacks something, and nothing about ``relevant`` is wrong."""
    if error.absolute_path:
        return False
    if error.validator in ("required", "minProperties", "dependentRequired"):
        return True
    if error.validator in ("const", "enum"):
        choices: Any = [error.validator_value] if error.validator == "const" else error.validator_value
        return any(isinstance(c, dict) and isinstance(c.get("relevant"), bool) for c in choices)
    if error.validator in ("anyOf", "oneOf"):
        branches: dict[Any, bool] = {}
        for inner in error.context or ():
            branch = inner.schema_path[0]
            branches[branch] = branches.get(branch, True) and _forgivable(inner)
        return not branches or any(branches.values())
    return False


# -- the validator: linear patterns, counted references -------------------------------------------


@lru_cache(maxsize=1_024)
def _searcher(pattern: str) -> SchemaValidator:
    """A search in linear time; raises pydantic_core.SchemaError for a pattern it cannot do."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))


def _found(pattern: str, text: str) -> bool:
    return _searcher(pattern).isinstance_python(text)


def _pattern(validator: Any, pattern: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError("does not match the pattern")


def _pattern_properties(validator: Any, value: Any, instance: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, sub in value.items():
            for name in [name for name in instance if _found(pattern, name)]:
                yield from validator.descend(instance[name], sub, path=name, schema_path=pattern)


def _additional(validator: Any, value: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        patterns = schema.get("patternProperties", {})
        for name in instance.keys() - schema.get("properties", {}).keys():
            if not any(_found(pattern, name) for pattern in patterns):
                yield from validator.descend(instance[name], value, path=name)


def _counted(keyword: str) -> Any:
    follow = Draft202012Validator.VALIDATORS[keyword]

    def reference(validator: Any, value: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
        left = _references_left.get()
        if left <= 0:
            raise RecursionError("too many references")
        _references_left.set(left - 1)
        yield from follow(validator, value, instance, schema) or ()

    return reference


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional,
        "$ref": _counted("$ref"),
        "$dynamicRef": _counted("$dynamicRef"),
    },
)
