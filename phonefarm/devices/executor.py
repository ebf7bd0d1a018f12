"""The executor: does one action of the vocabulary on one phone.

Theory of operation
-------------------
Each action has a precondition it can establish by itself from any state of the phone, a time budget, and a
postcondition that is read from the screen; ``navigator`` and ``results`` do the moving. So a session may be broken
off anywhere and go on with its next action, here or on another phone. What the executor remembers between actions
is a hint to save time.

Errors leave as DeviceError (the phone) or ActionError (the app); a stop that was asked for leaves as
SessionStopped, also when it came in the middle of a command (``Driver.cancel``).

Texts on the screen are data. They are compared, recorded and handed to the judge; they cannot choose an action.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from phonefarm.devices import upkeep
from phonefarm.devices.feed import Feed
from phonefarm.devices.handset import Handset, key
from phonefarm.devices.navigator import Navigator, Seen
from phonefarm.devices.ports import Judge, Pause, Shell, StopSignal
from phonefarm.devices.profiles import Load, Profile, load_profile
from phonefarm.devices.results import Results
from phonefarm.devices.shell import DeviceCancelled
from phonefarm.devices.upkeep import Upkeep
from phonefarm.errors import BadScreen, DeviceError, DeviceLost, SessionStopped, UnexpectedScreen
from phonefarm.models.action import Action, ActionKind, ActionResult, Artifact, Verdict
from phonefarm.models.clock import rfc3339
from phonefarm.models.video import VideoFacts

#: Seconds each action may take; those that watch add the time they watch.
BUDGETS: Mapping[ActionKind, float] = {
    ActionKind.OPEN_APP: 60.0,
    ActionKind.SEARCH: 90.0,
    ActionKind.OPEN_RESULT: 120.0,
    ActionKind.WATCH: 120.0,
    ActionKind.SCREENSHOT: 120.0,
    ActionKind.CLOSE_APP: 30.0,
    ActionKind.FEED_VIDEO: 150.0,
    **upkeep.BUDGETS,
}
#: Seconds a video that is not wanted is looked at, at most.
GLANCE_SECONDS = 1.0
LEAVE_SECONDS = 10.0
NO_MORE_RESULTS = "no_more_results"
NO_MORE_VIDEOS = "no_more_videos"


class Executor:
    """Runs actions on the phone behind ``driver``, in the app of ``profile``. Blocking; one thread at a time.

    ``judge`` looks at videos of actions that ask for it; None judges nothing. ``pause`` waits some seconds and raises
    SessionStopped on a hard stop, as ``stop.check`` does between steps. ``now`` gives an aware datetime, ``clock``
    monotonic seconds. ``apk_dir``: where the APKs lie that may be installed. ``load``: gives
    the profile of another app by its name.
    """

    def __init__(
        self,
        *,
        driver: Shell,
        profile: Profile,
        judge: Judge | None,
        stop: StopSignal,
        pause: Pause,
        rng: random.Random,
        phone_id: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        apk_dir: Path | None = None,
        load: Load = load_profile,
    ) -> None:
        self._driver = driver
        self._profile = profile
        self._judge = judge
        self._stop = stop
        self._pause = pause
        self._rng = rng
        self._phone_id = phone_id
        self._now = now
        self._hands = Handset(shell=driver, stop=stop, pause=pause, clock=clock)
        self._nav = Navigator(hands=self._hands, profile=profile)
        self._results = Results(self._nav)
        self._feed = Feed(self._nav)
        self._upkeep = Upkeep(driver=driver, nav=self._nav, stop=stop, apk_dir=apk_dir, load=load)
        self._handlers: Mapping[ActionKind, Callable[[Mapping[str, Any]], ActionResult]] = {
            ActionKind.OPEN_APP: self._open_app,
            ActionKind.SEARCH: self._search,
            ActionKind.OPEN_RESULT: self._open_result,
            ActionKind.WATCH: self._watch,
            ActionKind.SCREENSHOT: self._screenshot,
            ActionKind.CLOSE_APP: self._close_app,
            ActionKind.FEED_VIDEO: self._feed_video,
            **self._upkeep.handlers(),
        }

    def run(self, action: Action) -> ActionResult:
        """Do ``action``. Raises DeviceError, ActionError, SessionStopped."""
        extra = float(action.params.get("seconds_max", 0.0))
        with self._stoppable():
            self._hands.begin(BUDGETS[action.kind] + extra, action.kind.value)
            self._nav.begin()
            return self._handlers[action.kind](action.params)

    def leave(self) -> None:
        """End the app and show the home screen, even after a stop. Raises DeviceLost, nothing else of the phone."""
        self._forget()
        lines = [("am", "force-stop", self._profile.package), key("KEYCODE_HOME")]
        try:
            self._driver.sh_all(lines, timeout=LEAVE_SECONDS, joiner=";")
        except DeviceLost:
            raise
        except (DeviceError, DeviceCancelled):
            pass  # best effort: whoever comes next starts from any state

    def snapshot(self, name: str) -> Artifact:
        """The screen as it is: ``<name>.png``. Raises BadScreen and other DeviceErrors, SessionStopped."""
        with self._stoppable():
            self._hands.begin(BUDGETS[ActionKind.CLOSE_APP], "the screenshot")
            return self._picture(name)

    def dump(self, name: str) -> Artifact:
        """The text that the phone gives for its screen, as it is: ``<name>.xml``. Raises DeviceError, SessionStopped.

        Plain text by its type: what apps write into it must never be shown as a page.
        """
        with self._stoppable():
            self._hands.begin(BUDGETS[ActionKind.CLOSE_APP], "the dump")
            return Artifact(name=f"{name}.xml", media_type="text/plain", data=self._hands.raw_dump())

    # -- actions -------------------------------------------------------------------------------------

    def _open_app(self, params: Mapping[str, Any]) -> ActionResult:
        self._forget()
        self._nav.restart()
        return ActionResult()

    def _search(self, params: Mapping[str, Any]) -> ActionResult:
        seen = self._results.search(params["keyword"])
        return ActionResult(output={"keyword": params["keyword"], "empty": self._nav.is_empty(seen)})

    def _open_result(self, params: Mapping[str, Any]) -> ActionResult:
        keyword, rank = params["keyword"], int(params["rank"])
        seen = self._results.open(keyword, rank)
        if seen is None:
            return ActionResult(skipped=NO_MORE_RESULTS)
        facts = self._facts(keyword, seen)
        return ActionResult(output={"keyword": keyword, "rank": rank, "title": facts.title, "author": facts.author})

    def _watch(self, params: Mapping[str, Any]) -> ActionResult:
        keyword, rank = params["keyword"], int(params["rank"])
        seen: Seen | None = self._nav.see()
        if seen is None or not self._results.plays(keyword, rank, seen):
            seen = self._results.open(keyword, rank)
        if seen is None:
            return ActionResult(skipped=NO_MORE_RESULTS)
        at, facts = self._now(), self._facts(keyword, seen)
        verdict = self._judge(facts, ()) if self._judge and params.get("judge") else None
        seconds = self._seconds(params, verdict)
        self._pause(seconds)
        self._still_playing(keyword, rank)
        return ActionResult(output=self._video(facts, at, seconds, verdict, rank))

    def _feed_video(self, params: Mapping[str, Any]) -> ActionResult:
        """A video nobody could judge is left like one that is not wanted."""
        seen = self._feed.show(int(params["number"]))
        if seen is None:
            return ActionResult(skipped=NO_MORE_VIDEOS)
        at, facts = self._now(), self._facts("", seen)
        verdict = self._judge(facts, params["interests"]) if self._judge and params.get("judge") else None
        wanted = verdict is not None and verdict.relevant is True
        seconds = float(params["seconds_max"]) if wanted else self._skip_seconds(params)
        self._pause(seconds)
        seen = self._nav.see()
        if seen.place != "feed":
            self._feed.forget()
            raise UnexpectedScreen(f"wanted the feed to the end of a video, saw {seen.place or 'another screen'}")
        self._feed.confirm(seen)
        return ActionResult(output=self._video(facts, at, seconds, verdict, int(params["number"])))

    def _skip_seconds(self, params: Mapping[str, Any]) -> float:
        return self._rng.uniform(float(params["skip_min"]), float(params["skip_max"]))

    def _screenshot(self, params: Mapping[str, Any]) -> ActionResult:
        """A picture of the keyword's results or of one of them; the picture is kept even if the dump fails."""
        keyword = params.get("keyword")
        if keyword is not None:
            with contextlib.suppress(BadScreen):
                self._show(keyword)
        return ActionResult(artifacts=(self._picture(params["name"]),))

    def _close_app(self, params: Mapping[str, Any]) -> ActionResult:
        self._forget()
        self._nav.home()
        return ActionResult()

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """A command that was ended on purpose is a stop of the session."""
        try:
            yield
        except DeviceCancelled as error:
            self._stop.check()
            raise SessionStopped("cancelled") from error

    # -- parts ---------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Drop the hints."""
        self._results.forget()
        self._feed.forget()

    def _show(self, keyword: str) -> None:
        seen = self._nav.see()
        if not (self._nav.shows_results_of(keyword, seen) or self._results.known_to_play(keyword, seen)):
            self._results.search(keyword)

    def _picture(self, name: str) -> Artifact:
        return Artifact(name=f"{name}.png", media_type="image/png", data=self._hands.capture())

    def _facts(self, keyword: str, seen: Seen) -> VideoFacts:
        facts, screen = self._profile.facts, seen.screen
        return VideoFacts(
            keyword=keyword,
            title=facts["title"].value(screen),
            author=facts["author"].value(screen),
            tags=facts["tags"].words(screen) if "tags" in facts else (),
            screen_text=screen.text,
        )

    def _seconds(self, params: Mapping[str, Any], verdict: Verdict | None) -> float:
        shortest, longest = float(params["seconds_min"]), float(params["seconds_max"])
        if verdict is None:
            return self._rng.uniform(shortest, longest)
        return longest if verdict.relevant else min(shortest, GLANCE_SECONDS)

    def _still_playing(self, keyword: str, rank: int) -> None:
        """The app was there to the end. An app that went on to its next video by itself is no fault."""
        seen = self._nav.see()
        if seen.place != "player":
            self._results.forget()
            raise UnexpectedScreen(f"wanted the player with result {rank} of {keyword!r} to the end, saw {seen.words}")
        if self._results.plays(keyword, rank, seen):
            self._results.confirm(seen)

    def _video(
        self, facts: VideoFacts, at: datetime, seconds: float, verdict: Verdict | None, rank: int
    ) -> Mapping[str, Any]:
        return {
            "phone_id": self._phone_id,
            "at": rfc3339(int(at.timestamp() * 1000)),
            "title": facts.title,
            "author": facts.author,
            "tags": list(facts.tags),
            "watched_seconds": round(seconds, 3),
            "verdict": verdict.as_json() if verdict is not None else None,
            "keyword": facts.keyword,
            "rank": rank,
        }
