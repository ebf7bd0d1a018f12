"""A profile tried on a phone, looking only: which of its selectors hold on the screens they are for.

The walk opens the app, searches for one word, opens the first result, and looks at the account's page and its form if
the profile describes them. It saves nothing: the form is left by BACK. A screen that is not reached is named with the
reason, and the walk goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from phonefarm.devices.handset import tap
from phonefarm.devices.navigator import Navigator, Seen
from phonefarm.devices.profiles import Fact
from phonefarm.devices.screen import Screen, Selector
from phonefarm.errors import ActionError, BadScreen, UnexpectedScreen

#: Seconds for the whole walk.
WALK_SECONDS = 240.0
#: Shown only sometimes, so their absence proves nothing.
_SOMETIMES = frozenset({"empty_text", "search_clear", "tags", "query"})
#: Screens that an app may well do without.
_ACCOUNT = ("profile", "edit_profile")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One selector of the profile. ``seen_on``: the screens where it found something; ``text``: what it read there;
    ``needed``: whether sessions fail without it."""

    kind: str
    name: str
    seen_on: tuple[str, ...]
    text: str = ""
    needed: bool = True

    @property
    def holds(self) -> bool:
        return bool(self.seen_on)


@dataclass(frozen=True, kw_only=True, slots=True)
class Walked:
    """All findings, and why screens were not reached."""

    findings: tuple[Finding, ...]
    troubles: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether sessions can be expected to work."""
        return not self.troubles and all(found.holds for found in self.findings if found.needed)


@dataclass(slots=True)
class Walk:
    """Use once: ``go``."""

    nav: Navigator
    keyword: str
    screens: dict[str, Screen] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def go(self) -> Walked:
        """Walk, and say what held. Raises DeviceError for a phone that is lost, SessionStopped."""
        self.nav.hands.begin(WALK_SECONDS, "the walk")
        self._reach("feed", lambda: self.nav.restart())
        self._reach("search", lambda: self._through("search_button", "search"))
        self._reach("results", lambda: self.nav.to_results(self.keyword)[0])
        self._reach("player", self._first_result)
        for place, button in zip(_ACCOUNT, ("profile_button", "edit_profile_button"), strict=True):
            if place in self.nav.profile.screens:
                self._reach(place, lambda place=place, button=button: self._account(place, button))  # type: ignore[misc]
        self.nav.home()
        return Walked(findings=tuple(self._findings()), troubles=tuple(self.troubles))

    def _reach(self, place: str, step: Callable[[], Seen]) -> None:
        self.nav.begin()
        try:
            self.screens[place] = self._must(place, step()).screen
        except (ActionError, BadScreen) as error:
            self.troubles.append(f"{place}: {error.message}")

    def _must(self, place: str, seen: Seen) -> Seen:
        if seen.place != place:
            raise UnexpectedScreen(f"wanted {place}, saw {seen.words}")
        return seen

    def _through(self, button: str, place: str, seen: Seen | None = None) -> Seen:
        seen = seen or self.nav.to_feed()
        node = self.nav.element(button, seen.screen)
        if node is None:
            raise UnexpectedScreen(f"no {button} on {seen.words}")
        return self.nav.wait_for(place, self.nav.see(tap(node)))

    def _first_result(self) -> Seen:
        seen, _ = self.nav.to_results(self.keyword)
        rows = self.nav.rows(seen.screen)
        if not rows:
            raise UnexpectedScreen(f"no result rows for {self.keyword!r}")
        return self.nav.wait_for("player", self.nav.see(tap(rows[0].node)))

    def _account(self, place: str, button: str) -> Seen:
        if place == _ACCOUNT[0]:
            return self._through(button, place)
        return self._through(button, place, self._through("profile_button", _ACCOUNT[0]))

    # -- what held -------------------------------------------------------------------------------------

    def _findings(self) -> Iterator[Finding]:
        profile = self.nav.profile
        for name in profile.screens:
            yield Finding(kind="screen", name=name, seen_on=tuple(s for s in (name,) if s in self.screens))
        for name, selector in profile.elements.items():
            needed = name not in _SOMETIMES and (name != "search_go" or profile.submit == "search_go")
            yield Finding(kind="element", name=name, seen_on=self._seen_on(selector), needed=needed)
        for name, fact in profile.facts.items():
            yield self._fact(name, fact)

    def _seen_on(self, selector: Selector) -> tuple[str, ...]:
        return tuple(name for name, screen in self.screens.items() if screen.find(selector) is not None)

    def _fact(self, name: str, fact: Fact) -> Finding:
        texts = {place: fact.value(screen) for place, screen in self.screens.items()}
        seen_on = tuple(place for place, text in texts.items() if text)
        text = texts.get("player") or next((texts[place] for place in seen_on), "")
        return Finding(kind="fact", name=name, seen_on=seen_on, text=text, needed=name not in _SOMETIMES)
