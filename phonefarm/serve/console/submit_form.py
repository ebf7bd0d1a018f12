"""The form that makes a process: drawn from the capability registry and the request models, and said as JSON and as a
line for the shell. Pure; whether it is accepted is decided by the API's own code.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from phonefarm.core import registry
from phonefarm.core.registry import CapabilityEntry
from phonefarm.errors import Fault, RequestError, ValidationFailed
from phonefarm.models.requests import EnqueueBody
from phonefarm.models.requests_maintenance import SETTINGS
from phonefarm.models.states import Capability, Mode, Routing
from phonefarm.serve.console.schema_form import Drawer, Field, Reader, Values
from phonefarm.serve.targets import USED
from phonefarm.settings import API_KEY_ENV

ENVELOPE: Mapping[str, Any] = EnqueueBody.model_json_schema()
#: Where a refusal stands that names no place itself.
_PLACES: Mapping[str, str] = {
    "idempotency_key_reused": "request_id",
    "unknown_phone": "target.phone_id",
    "phone_retired": "target.phone_id",
    "unknown_phone_group": "target.phone_group",
    "group_is_empty": "target.phone_group",
    "unknown_account": "target.account_id",
    "unknown_account_group": "target.account_group",
    "account_has_no_phone": "target.account_id",
    "account_inactive": "target.account_id",
    "account_unauthorized": "target.account_id",
    "wrong_system": "requested_by.system",
}
#: The same in a target of many.
_MANY: Mapping[str, str] = {"target.phone_id": "target.phone_ids", "target.account_id": "target.account_ids"}


_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What there is on this farm to choose from."""

    phones: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    account_groups: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()

    def suggestions(self) -> dict[str, tuple[str, ...]]:
        """By the last name of a field's path."""
        return {
            "phone_id": self.phones,
            "phone_ids": self.phones,
            "phone_group": self.groups,
            "account_id": self.accounts,
            "account_ids": self.accounts,
            "account_group": self.account_groups,
            "app": self.apps,
            "name": tuple(sorted({name for _, name in SETTINGS})),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What was typed. ``values``: field name to text."""

    entry: CapabilityEntry
    values: Values

    @property
    def mode(self) -> Mode:
        return _chosen(self.values.get("mode"), self.modes)

    @property
    def routing(self) -> Routing:
        usual = sorted(self.routings, key=lambda routing: routing is not Routing.QUEUE)
        return _chosen(self.values.get("target.routing"), usual)

    @property
    def modes(self) -> list[Mode]:
        return [mode for mode in Mode if self.entry.mode_code(mode) is None]

    @property
    def routings(self) -> list[Routing]:
        return [routing for routing in Routing if self.entry.routing_code(routing) is None]


def _chosen(text: str | None, offered: Sequence[_Word]) -> _Word:
    return next((word for word in offered if word.value == text), offered[0])


def draft_of(values: Values) -> Draft:
    """What was typed, of the capability that was chosen, or of the first."""
    entry = registry.find(values.get("capability")) or next(iter(registry.REGISTRY.values()))
    return Draft(entry=entry, values=values)


# -- drawing ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Fields under a heading. ``open``: shown at once, not behind a word to click on."""

    title: str
    fields: tuple[Field, ...]
    open: bool = True
    hint: str = ""


def sections(draft: Draft, names: Names) -> list[Section]:
    """The form of a draft."""
    suggest = names.suggestions()
    outer = Drawer(document=ENVELOPE, values=draft.values, suggest={k: v for k, v in suggest.items() if k != "name"})
    inner = Drawer(document=draft.entry.inputs.model_json_schema(), values=draft.values, suggest=suggest)
    inputs = [f for f in inner.group(inner.document, "inputs") if f.path != "inputs.prompts"]
    people = [*_part(outer, "requested_by"), *_part(outer, "callback")]
    prompts = [f for f in inner.group(inner.document, "inputs") if f.path == "inputs.prompts"]
    return [
        Section(title="Where", fields=(*_choices(draft), *_target(draft, outer)), hint=_refused(draft.entry)),
        Section(title="What", fields=tuple(inputs), hint=draft.entry.summary),
        *_prompts(draft, prompts),
        Section(title="Who asks, and who is told", fields=tuple(f for f in people if not _is_more(f))),
        Section(
            title="Options",
            fields=(*_request_id(outer), *_part(outer, "options"), *(f for f in people if _is_more(f))),
            open=False,
        ),
    ]


def _is_more(field: Field) -> bool:
    return field.path.endswith(".metadata")


def _part(drawer: Drawer, name: str) -> tuple[Field, ...]:
    return drawer.draw(ENVELOPE["properties"][name], name, required=name in ENVELOPE["required"]).children


def _request_id(drawer: Drawer) -> tuple[Field, ...]:
    return (drawer.draw(ENVELOPE["properties"]["request_id"], "request_id", required=True),)


def _choices(draft: Draft) -> tuple[Field, ...]:
    mode = Field(
        path="mode", label="Mode", kind="select", required=True, value=draft.mode.value,
        choices=tuple(mode.value for mode in draft.modes),
    )  # fmt: skip
    routing = Field(
        path="target.routing", label="Routing", kind="select", required=True, value=draft.routing.value,
        choices=tuple(routing.value for routing in draft.routings), shapes=True, hint=_ROUTING[draft.routing],
    )  # fmt: skip
    return mode, routing


_ROUTING: Mapping[Routing, str] = {
    Routing.DIRECT: "one item, on the phone that is named or that the account lives on",
    Routing.QUEUE: "one item, for the first suitable phone; the fields below narrow the choice",
    Routing.GROUP: "one item for each phone and account that is named; lists and groups add up",
}


def _refused(entry: CapabilityEntry) -> str:
    return "; ".join(refusal.msg for refusal in (*entry.refused_modes.values(), *entry.refused_routings.values())[:1])


def _target(draft: Draft, drawer: Drawer) -> tuple[Field, ...]:
    used = {f"target.{name}" for name in USED[draft.routing]}
    return tuple(each for each in _part(drawer, "target") if each.path in used)


def _prompts(draft: Draft, prompts: Sequence[Field]) -> list[Section]:
    found = []
    for group in prompts:
        for prompt in group.children:
            need = next((n for n in draft.entry.prompts if prompt.path.endswith(f".{n.name}")), None)
            when = f"needed when “{need.only_if.replace('_', ' ')}” is chosen" if need and need.only_if else "needed"
            asked = need is not None and (need.only_if is None or f"inputs.{need.only_if}" in draft.values)
            found.append(Section(title=f"Prompt: {prompt.label.lower()}", fields=(prompt,), open=asked, hint=when))
    return found


# -- reading ---------------------------------------------------------------------------------------


def body_of(draft: Draft) -> tuple[dict[str, Any], list[Fault]]:
    """The body that a draft says, and the faults of JSON that was typed by hand."""
    outer = Reader(document=ENVELOPE, values=_used(draft))
    schema = draft.entry.inputs.model_json_schema()
    inner = Reader(document=schema, values=draft.values)
    body: dict[str, Any] = {
        "request_id": draft.values.get("request_id", ""),
        "capability": draft.entry.capability.value,
        "mode": draft.mode.value,
        "target": outer.read(ENVELOPE["properties"]["target"], "target", required=True),
        "inputs": inner.group(schema, "inputs", required=True),
        "callback": outer.read(ENVELOPE["properties"]["callback"], "callback", required=True),
        "requested_by": outer.read(ENVELOPE["properties"]["requested_by"], "requested_by", required=True),
    }
    options = outer.read(ENVELOPE["properties"]["options"], "options")
    return {**body, **({"options": options} if isinstance(options, dict) else {})}, [*outer.faults, *inner.faults]


def _used(draft: Draft) -> dict[str, str]:
    """The values without fields of the target that this routing does not use: they are not on the form."""
    used = {f"target.{name}" for name in USED[draft.routing]}
    kept = {n: v for n, v in draft.values.items() if not n.startswith("target.") or n in used}
    return {**kept, "target.routing": draft.routing.value}


def faults_of(error: RequestError, fields: Sequence[str]) -> list[Fault]:
    """A refusal as faults with places, as far as one is known."""
    if isinstance(error, ValidationFailed):
        return list(error.faults)
    place = _PLACES.get(error.problem_code, "")
    place = place if place in fields else _MANY.get(place, place)
    return [Fault(loc=tuple(place.split(".")) if place else (), code=error.problem_code, msg=_said(error))]


def _said(error: RequestError) -> str:
    """A refusal in words: its detail is ``code:what it is about``."""
    code, _, about = error.detail.partition(":")
    text = code.replace("_", " ")
    return f"{text}: {about.strip()}" if about else text


# -- shown -----------------------------------------------------------------------------------------


def shown(body: Mapping[str, Any]) -> str:
    """A body as text to read and copy. Characters that are not seen, or turn the direction, are escaped."""
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return "".join(_escaped(c) if c != "\n" and unicodedata.category(c) in _UNSEEN else c for c in text)


_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def curl(body: Mapping[str, Any], base_url: str) -> str:
    """The line that sends a body from a shell; the key comes from the environment."""
    where = shlex.quote(f"{base_url.rstrip('/')}/capability-requests/enqueue")
    return (
        f"curl -sS {where} \\\n"
        f'  -H "Authorization: Bearer ${API_KEY_ENV}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(shown(body))}"
    )


def capabilities() -> list[tuple[str, str]]:
    """What can be asked for: name and summary."""
    return [(name.value, registry.REGISTRY[name].summary) for name in Capability if registry.REGISTRY[name].available]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """All that the page shows of a draft. ``errors``: by field; ``others``: what stands beside none."""

    draft: Draft
    sections: list[Section]
    json: str
    curl: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    others: Sequence[str] = ()
    checked: bool = False
