"""Getting somewhere in an app, from wherever the phone is.

Theory of operation
-------------------
The navigator believes the screen and nothing else. ``see`` looks, clears known popups away and says which of the
profile's screens is shown. Each ``to_...`` asks "am I there?", takes one step nearer and asks again, until it is
there or the steps or the action's time are used up; then UnexpectedScreen names the wanted and the seen screen. So
a session that was broken off, on this phone or on another, goes on from any state.

"There" is strict: the results are those of *this* keyword because the search box above them says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phonefarm.devices.handset import WAKE, Argv, Handset, erased, key, swipe, tap
from phonefarm.devices.keyboard import ADB_KEYBOARD, plan_typing, previous_method, use_method
from phonefarm.devices.profiles import Profile, Swipe
from phonefarm.devices.ranks import Row
from phonefarm.devices.screen import Node, Screen, find_all
from phonefarm.errors import ActionError, AppMissing, DeviceError, UnexpectedScreen

MAX_STEPS = 10
MAX_POPUPS = 5
MAX_LAUNCHES = 3
SETTLE_TRIES = 8
SETTLE_SECONDS = 0.25
_MISSING = ("does not exist", "Error type 3", "unable to resolve")
_NOT_READY = "Can't find service"
_UNLOCK = Swipe(start=(0.5, 0.85), end=(0.5, 0.25))


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A screen, and which of the profile's screens it is (None for none)."""

    place: str | None
    screen: Screen

    @property
    def words(self) -> str:
        """The screen in a few words, for errors."""
        return self.place or f"{'/'.join(self.screen.packages)[:100]}: {self.screen.text[:120]!r}"


class Navigator:
    """Moves around in the app of ``profile``."""

    def __init__(self, *, hands: Handset, profile: Profile) -> None:
        self.hands = hands
        self.profile = profile
        #: How often something came in the way so far: what was done just before may not have reached the app.
        self.disturbances = 0
        self._launches = 0

    def begin(self) -> None:
        """A new action: its own allowance of relaunches."""
        self._launches = 0

    # -- looking ----------------------------------------------------------------------------------

    def see(self, *before: Argv) -> Seen:
        """Do ``before``, look, and put known popups away."""
        screen = self.hands.look(*before)
        for _ in range(MAX_POPUPS):
            popup = self.profile.popup(screen)
            if popup is None:
                return Seen(place=self.profile.place(screen), screen=screen)
            self.disturbances += 1
            button = screen.find(popup.dismiss) if popup.dismiss else None
            screen = self.hands.look(tap(button) if button else key("KEYCODE_BACK"))
        raise UnexpectedScreen(f"popups keep coming: {screen.text[:120]!r}")

    def wait_for(self, place: str, seen: Seen) -> Seen:
        """Look until ``place`` is shown, a few times; gives what was seen last."""
        for _ in range(SETTLE_TRIES):
            if seen.place == place:
                break
            self.hands.pause(SETTLE_SECONDS)
            seen = self.see()
        return seen

    def element(self, name: str, screen: Screen) -> Node | None:
        """An element of the profile that is shown and has a size."""
        selector = self.profile.elements.get(name)
        nodes = screen.find_all(selector) if selector else []
        return next((node for node in nodes if not node.bounds.empty), None)

    def shows_results_of(self, keyword: str, seen: Seen) -> bool:
        """Whether this is the results list of ``keyword``."""
        if seen.place != "results":
            return False
        if (query := self.profile.facts.get("query")) is not None:
            return query.value(seen.screen) == keyword
        box = self.element("search_box", seen.screen)
        return box is not None and box.text == keyword

    def rows(self, screen: Screen) -> list[Row]:
        """The results that are shown, top down."""
        nodes = screen.find_all(self.profile.elements["result_row"])
        rows = (self._row(node) for node in nodes if not node.bounds.empty)
        return [row for row in rows if row.title]

    def _row(self, node: Node) -> Row:
        title = find_all(node, self.profile.elements["result_title"])
        selector = self.profile.elements.get("result_author")
        author = find_all(node, selector) if selector else []
        texts = [found[0].text.strip() if found else "" for found in (title, author)]
        return Row(title=texts[0], author=texts[1], node=node)

    # -- moving ------------------------------------------------------------------------------------

    def launch(self, *, fresh: bool) -> Seen:
        """Bring the app to the front; ``fresh`` ends it first. Raises AppMissing."""
        self._launches += 1
        if self._launches > MAX_LAUNCHES:
            raise ActionError(f"{self.profile.package} does not stay open")
        stop = [("am", "force-stop", self.profile.package)] if fresh else []
        said = self.hands.run(
            *WAKE, *stop, ("pm", "path", self.profile.package), ("am", "start", "-n", self.profile.activity)
        ).said
        if _NOT_READY in said:
            raise DeviceError("the phone's services are not up: it still boots, or Android has crashed")
        if "package:" not in said or any(text in said for text in _MISSING):
            raise AppMissing(f"{self.profile.package} is not installed, or has no {self.profile.activity}")
        seen = self.see()
        for _ in range(SETTLE_TRIES):
            if seen.place is not None or self._locked(seen):
                break
            self.hands.pause(SETTLE_SECONDS)
            seen = self.see()
        return seen

    def restart(self) -> Seen:
        """The app from a known state: ended and opened, at its feed."""
        seen = self.launch(fresh=True)
        for _ in range(MAX_LAUNCHES):
            if seen.place is not None:
                break
            seen = self.back_into_app(seen)
        return self._must("feed", self.wait_for("feed", seen))

    def to_feed(self) -> Seen:
        """The feed, from wherever the phone is."""
        seen = self.see()
        for _ in range(MAX_STEPS):
            if seen.place == "feed":
                return seen
            seen = self.back_into_app(seen) if seen.place is None else self.see(key("KEYCODE_BACK"))
        raise UnexpectedScreen(f"wanted the feed, saw {seen.words}")

    def to_results(self, keyword: str) -> tuple[Seen, bool]:
        """The results of ``keyword``; True when they were searched for just now and stand at their top."""
        seen = self.see()
        for _ in range(MAX_STEPS):
            if self.shows_results_of(keyword, seen):
                return seen, False
            if seen.place == "search":
                return self._search(keyword, seen), True
            seen = self._nearer_to_search(seen)
        raise UnexpectedScreen(f"wanted the results of {keyword!r}, saw {seen.words}")

    def home(self) -> Seen:
        """The app ended, and the phone at its home screen."""
        seen = self.see(("am", "force-stop", self.profile.package), key("KEYCODE_HOME"))
        for _ in range(SETTLE_TRIES):
            if self.profile.package not in seen.screen.packages:
                return seen
            self.hands.pause(SETTLE_SECONDS)
            seen = self.see(key("KEYCODE_HOME"))
        raise UnexpectedScreen(f"wanted the home screen, saw {seen.words}")

    def _nearer_to_search(self, seen: Seen) -> Seen:
        if seen.place is None:
            return self.back_into_app(seen)
        if seen.place == "feed":
            button = self.element("search_button", seen.screen)
            if button is not None:
                return self.wait_for("search", self.see(tap(button)))
        return self.see(key("KEYCODE_BACK"))

    def back_into_app(self, seen: Seen) -> Seen:
        """From the lock screen, another app or a strange page of this one, one step nearer to the app."""
        self.disturbances += 1
        if self._locked(seen):
            return self.see(*WAKE, swipe(_UNLOCK, seen.screen))
        return self.launch(fresh=self.profile.package in seen.screen.packages)

    def _locked(self, seen: Seen) -> bool:
        return seen.screen.packages == ("com.android.systemui",)

    def _must(self, place: str, seen: Seen) -> Seen:
        if seen.place != place:
            raise UnexpectedScreen(f"wanted {place}, saw {seen.words}")
        return seen

    # -- searching ---------------------------------------------------------------------------------

    def _search(self, keyword: str, seen: Seen) -> Seen:
        seen = self._type(keyword, seen)
        go = self.element("search_go", seen.screen) if self.profile.submit == "search_go" else None
        seen = self.wait_for("results", self.see(tap(go) if go else key("KEYCODE_ENTER")))
        for _ in range(SETTLE_TRIES):
            if not self.shows_results_of(keyword, seen) or self.rows(seen.screen) or self.is_empty(seen):
                break
            self.hands.pause(SETTLE_SECONDS)
            seen = self.see()
        if not self.shows_results_of(keyword, seen):
            raise UnexpectedScreen(f"wanted the results of {keyword!r}, saw {seen.words}")
        return seen

    def is_empty(self, seen: Seen) -> bool:
        """Whether the app says that there are no results."""
        return self.element("empty_text", seen.screen) is not None

    def _type(self, text: str, seen: Seen) -> Seen:
        """The box holds exactly ``text``, read back; the second try uses the ADB keyboard."""
        for attempt in range(2):
            box = self.element("search_box", seen.screen)
            if box is None:
                break
            if box.text == text and (attempt or self.element("search_clear", seen.screen)):
                return seen
            seen = self.typed(text, self._emptied(seen, box), prefer_keyboard=attempt > 0)
        return self._checked(text, seen)

    def _checked(self, text: str, seen: Seen) -> Seen:
        box = self.element("search_box", seen.screen)
        if box is None or box.text != text:
            stands = box.text if box else seen.words
            raise UnexpectedScreen(f"wanted {text!r} in the search box, saw {stands!r}")
        return seen

    def _emptied(self, seen: Seen, box: Node) -> list[Argv]:
        """What empties and focuses the box. Where the app has a button for that, an empty box does not show it."""
        clear = self.element("search_clear", seen.screen)
        if clear is not None:
            return [tap(clear), tap(box)]
        return [tap(box)] if "search_clear" in self.profile.elements else [tap(box), *erased(len(box.text))]

    def typed(self, text: str, before: Sequence[Argv], *, prefer_keyboard: bool) -> Seen:
        """Do ``before``, which puts the cursor into an empty field, and type ``text`` there."""
        plan = plan_typing(text, prefer_keyboard=prefer_keyboard)
        if not plan.keyboard:
            return self.see(*before, plan.argv)
        previous = self.hands.run(previous_method()).stdout.strip()
        try:
            said = self.hands.run(*use_method(ADB_KEYBOARD))
            if not said.ok:
                raise ActionError(f"{text!r} needs the ADB keyboard on the phone: {said.said[:200]}")
            return self.see(*before, plan.argv)
        finally:
            self._restore(previous)

    def _restore(self, previous: str) -> None:
        if previous and previous not in ("null", ADB_KEYBOARD):
            self.hands.run(("ime", "set", previous))
