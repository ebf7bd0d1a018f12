"""App profiles: what an app's screens mean, as data.

Theory of operation
-------------------
A profile is a YAML file checked against ``profiles/profile.schema.json`` and turned into frozen values once. It
says how each screen is recognised, where facts stand, how steps are done and which popups may be dismissed. It
holds selectors, and swipes in fractions of the screen; no pixel and no command, so a profile cannot make a phone do
what the executor does not offer. Ids without a colon are of the profile's own package.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from phonefarm.devices.screen import Screen, Selector
from phonefarm.errors import ConfigError

_HOME = "profiles"
_ROLES = ("feed", "search", "results", "player", "profile", "edit_profile")


@dataclass(frozen=True, kw_only=True, slots=True)
class Swipe:
    """From one point to another, in fractions of width and height, in ``milliseconds``."""

    start: tuple[float, float]
    end: tuple[float, float]
    milliseconds: int = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A text on the screen, or a description of it (``attribute``).

    It stands ``after`` some words and ``before`` others, which are not part of it. ``strip`` is a mark before each of
    its words, ``separator`` what stands between them (None: blanks).
    """

    read: Selector
    attribute: str = "text"
    after: str = ""
    before: str = ""
    strip: str = ""
    separator: str | None = None

    def value(self, screen: Screen) -> str:
        """The text without what surrounds it and without its leading mark, "" when it is not shown."""
        return self._whole(screen).removeprefix(self.strip)

    def words(self, screen: Screen) -> tuple[str, ...]:
        """The text as words without their marks."""
        words = (word.strip().removeprefix(self.strip) for word in self._whole(screen).split(self.separator))
        return tuple(word for word in words if word)

    def _whole(self, screen: Screen) -> str:
        node = screen.find(self.read)
        if node is None:
            return ""
        text = (node.desc if self.attribute == "desc" else node.text).strip()
        if not text.startswith(self.after):
            return ""
        text = text.removeprefix(self.after)
        if self.before:
            text, found, _ = text.rpartition(self.before)
            return text.strip() if found else ""
        return text.strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Popup:
    """Something that may lie over the app. ``dismiss``: what to tap, None for BACK."""

    name: str
    shows: Selector
    dismiss: Selector | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One app. ``screens``, ``elements``, ``facts`` and ``swipes`` have the names of the schema."""

    name: str
    package: str
    activity: str
    screens: Mapping[str, Selector]
    elements: Mapping[str, Selector]
    facts: Mapping[str, Fact]
    swipes: Mapping[str, Swipe]
    submit: str = "enter"
    popups: tuple[Popup, ...] = ()

    def place(self, screen: Screen) -> str | None:
        """Which of the profile's screens this is, None for none of them."""
        return next((role for role in _ROLES if role in self.screens and screen.find(self.screens[role])), None)

    def popup(self, screen: Screen) -> Popup | None:
        """The first known popup that is shown."""
        return next((popup for popup in self.popups if screen.find(popup.shows)), None)


#: Gives a profile by its name. Raises ConfigError.
Load = Callable[[str], Profile]


def profile_names(own: Path | None = None) -> frozenset[str]:
    """The profiles that come with phonefarm, and those of the operator's directory ``own``, by file name."""
    return frozenset(_files(own))


def load_profile(name: str, own: Path | None = None) -> Profile:
    """A profile by its file's name: the operator's in ``own`` before the one that comes with phonefarm.

    Raises ConfigError for one that is not there, naming those that are, and for one that makes no sense.
    """
    files = _files(own)
    if name not in files:
        raise ConfigError(f"no app profile named {name!r}; there are: {', '.join(sorted(files))}")
    try:
        text = files[name].read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile {name}: {error}") from error
    return _parsed(text, f"profile {name}")


@functools.lru_cache(maxsize=64)
def _parsed(text: str, source: str) -> Profile:
    """By its text, so that a file that is edited counts from the next attempt on."""
    return parse_profile(text, source=source)


def _files(own: Path | None) -> dict[str, Traversable]:
    homes: list[Traversable] = [resources.files("phonefarm.devices") / _HOME]
    homes += [own] if own is not None and own.is_dir() else []
    files = (entry for home in homes for entry in home.iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml"): entry for entry in files}


def load_profile_file(path: Path) -> Profile:
    """A profile of the operator's own. Raises ConfigError naming the place in the file."""
    try:
        return parse_profile(path.read_text("utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_profile(text: str, *, source: str = "profile") -> Profile:
    """A profile from YAML text. Raises ConfigError naming the place."""
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {error}") from error
    fault = next(iter(sorted(_validator().iter_errors(body), key=lambda error: list(map(str, error.path)))), None)
    if fault is not None:
        place = ".".join(str(part) for part in fault.path) or "top level"
        raise ConfigError(f"{source}: {place}: {fault.message[:300]}")
    return _profile(body)


@functools.cache
def _validator() -> Draft202012Validator:
    schema = (resources.files("phonefarm.devices") / _HOME / "profile.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(schema))


def _profile(body: Mapping[str, Any]) -> Profile:
    package = body["package"]
    return Profile(
        name=body["name"],
        package=package,
        activity=body["activity"],
        screens={name: _selector(value, package) for name, value in body["screens"].items()},
        elements={name: _selector(value, package) for name, value in body["elements"].items()},
        facts={name: _fact(value, package) for name, value in body["facts"].items()},
        swipes={name: _swipe(value) for name, value in body["swipes"].items()},
        submit=body.get("submit", "enter"),
        popups=tuple(_popup(value, package) for value in body.get("popups", ())),
    )


def _selector(body: Mapping[str, Any] | list[Mapping[str, Any]], package: str) -> Selector:
    """One selector, or a list of them of which the first that finds anything counts."""
    if isinstance(body, list):
        chain = [_one_selector(one, package) for one in body]
        return functools.reduce(lambda rest, one: replace(one, otherwise=rest), reversed(chain))
    return _one_selector(body, package)


def _one_selector(body: Mapping[str, Any], package: str) -> Selector:
    resource_id = body.get("id")
    if resource_id is not None and ":" not in resource_id:
        resource_id = f"{package}:id/{resource_id}"
    return Selector(
        resource_id=resource_id,
        text=body.get("text"),
        text_contains=body.get("text_contains"),
        desc=body.get("desc"),
        desc_contains=body.get("desc_contains"),
        cls=body.get("class"),
        clickable=body.get("clickable"),
        within=_selector(body["within"], package) if "within" in body else None,
        has=_selector(body["has"], package) if "has" in body else None,
        beside=_selector(body["beside"], package) if "beside" in body else None,
        index=body.get("index"),
    )


def _fact(body: Mapping[str, Any], package: str) -> Fact:
    return Fact(
        read=_selector(body["read"], package),
        attribute=body.get("attribute", "text"),
        after=body.get("after", ""),
        before=body.get("before", ""),
        strip=body.get("strip", ""),
        separator=body.get("separator"),
    )


def _swipe(body: Mapping[str, Any]) -> Swipe:
    (x1, y1), (x2, y2) = body["from"], body["to"]
    return Swipe(start=(x1, y1), end=(x2, y2), milliseconds=body.get("milliseconds", 300))


def _popup(body: Mapping[str, Any], package: str) -> Popup:
    dismiss = None if body["dismiss"] == "back" else _selector(body["dismiss"], package)
    return Popup(name=body["name"], shows=_selector(body["shows"], package), dismiss=dismiss)
