"""Going through the feed, one video after the other.

Theory of operation
-------------------
What tells one video from the next is what stands on the screen: title and author. A swipe counts once they have
changed; a feed whose swipe changes nothing twice in a row has ended. The video that was shown last is a hint: without
it (a session that goes on after a break) whatever the feed shows after one swipe is the next video. The look at the
end of a video serves as the one before the next swipe: reading a screen is what takes a real phone longest.
"""

from __future__ import annotations

from phonefarm.devices.handset import swipe
from phonefarm.devices.navigator import SETTLE_SECONDS, SETTLE_TRIES, Navigator, Seen
from phonefarm.errors import UnexpectedScreen

#: Swipes that may be tried, and those of them, with nothing in the way, that must change nothing at a feed's end.
_SWIPES, _STILL = 8, 2


class Feed:
    """The feed of the app at hand."""

    def __init__(self, nav: Navigator) -> None:
        self._nav = nav
        self._last: tuple[str, str] | None = None
        self._confirmed: Seen | None = None

    def forget(self) -> None:
        """Drop the hints."""
        self._last = self._confirmed = None

    def confirm(self, seen: Seen) -> None:
        """The feed was just seen once more: the next swipe need not look first."""
        self._confirmed = seen

    def show(self, number: int) -> Seen | None:
        """The feed with video ``number`` (the one that is shown for 0, else the next); None when the feed has ended."""
        known, self._confirmed = self._confirmed, None
        seen = self._with_text(known or self._nav.to_feed())
        if number == 0:
            return self._note(seen)
        before = self._last or self.facts(seen)
        if self._last is not None and self.facts(seen) != self._last:
            return self._note(seen)  # an app that went on by itself
        move = self._nav.profile.swipes.get("next_video")
        if move is None:
            raise UnexpectedScreen("the app's profile does not say how to get to the next video")
        still = 0
        for _ in range(_SWIPES):
            disturbed = self._nav.disturbances
            seen = self._changed(before, self._nav.see(swipe(move, seen.screen)))
            if seen.place == "feed" and self.facts(seen) != before:
                return self._note(seen)
            if seen.place != "feed":
                seen = self._with_text(self._nav.to_feed())
            still = still + 1 if disturbed == self._nav.disturbances else 0
            if still == _STILL:
                return None
        raise UnexpectedScreen("wanted the feed's next video, something is always in the way")

    def facts(self, seen: Seen) -> tuple[str, str]:
        """Title and author of the video that is shown."""
        facts = self._nav.profile.facts
        return facts["title"].value(seen.screen), facts["author"].value(seen.screen)

    def _note(self, seen: Seen) -> Seen:
        self._last = self.facts(seen)
        return seen

    def _with_text(self, seen: Seen) -> Seen:
        """A video's texts may come after its picture."""
        for _ in range(SETTLE_TRIES):
            if all(self.facts(seen)):
                return seen
            self._nav.hands.pause(SETTLE_SECONDS)
            seen = self._nav.see()
        raise UnexpectedScreen(f"wanted a video with title and author, saw {seen.words}")

    def _changed(self, before: tuple[str, str], seen: Seen) -> Seen:
        for _ in range(SETTLE_TRIES):
            facts = self.facts(seen)
            if seen.place != "feed" or (all(facts) and facts != before):
                return seen
            self._nav.hands.pause(SETTLE_SECONDS)
            seen = self._nav.see()
        return seen
