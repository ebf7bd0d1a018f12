"""The steps of a campaign as they are written on a command line: ``reboot``, ``free_storage:target_mib=4096``,
``update_settings:{"settings": [...]}``. Pure.

They are those of the ``maintenance`` capability, checked here by the farm's own words, so that a fault is told before
any phone is touched. ``edit_profile`` is none of them: its texts belong to one account, and a campaign is about phones.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from phonefarm.errors import ConfigError
from phonefarm.models.requests_maintenance import STEPS, Step, dumped

ALLOWED = tuple(name for name in STEPS if name != "edit_profile")
_STEP: TypeAdapter[Any] = TypeAdapter(Step)


def parse_steps(words: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """The steps in their order, defaults filled in. Raises ConfigError naming the one that is wrong."""
    if not words:
        raise ConfigError(f"give at least one --step: {', '.join(ALLOWED)}")
    return tuple(_step(word) for word in words)


def _step(word: str) -> dict[str, Any]:
    name, _, rest = word.partition(":")
    name = name.strip()
    if name == "edit_profile":
        raise ConfigError(
            "--step edit_profile: its texts belong to one account; ask for it by POST /maintenance/requests"
        )
    if name not in ALLOWED:
        close = difflib.get_close_matches(name, ALLOWED, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"the steps are {', '.join(ALLOWED)}"
        raise ConfigError(f"--step {word}: there is no step {name!r}; {hint}")
    try:
        return dumped(_STEP.validate_python({"action": name, "params": _params(word, rest.strip())}))
    except ValidationError as error:
        faults = "; ".join(_told(fault["loc"], fault["msg"]) for fault in error.errors())
        raise ConfigError(f"--step {word}: {faults}") from error


def _told(loc: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(str(part) for part in loc if part not in (*STEPS, 'params')) or 'params'}: {message}"


def _params(word: str, rest: str) -> Any:
    if not rest:
        return {}
    if rest.startswith("{"):
        try:
            return json.loads(rest)
        except ValueError as error:
            raise ConfigError(f"--step {word}: the params are not JSON: {error}") from error
    pairs = [part.partition("=") for part in rest.split(",")]
    if any(not sign or not name.strip() for name, sign, _ in pairs):
        raise ConfigError(f"--step {word}: params are name=value with commas between them, or one JSON object")
    return {name.strip(): _value(value.strip()) for name, _, value in pairs}


def _value(text: str) -> Any:
    """A number, true, false or null as JSON has them; anything else is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
