"""Opening the n-th result of a keyword, by the list or by the player's own swipe.

Theory of operation
-------------------
``Results`` remembers, as a hint, the rows of one keyword from the top on and which of them plays. Every use of the
hint is checked on the screen: the player's title must be that of the row that was tapped, and a swipe to the next
video counts only if the title has changed, to the known next row if that row is known. A hint that does not hold is
dropped, and the list is read again from its top.
"""

from __future__ import annotations

from dataclasses import dataclass

from phonefarm.devices.handset import swipe, tap
from phonefarm.devices.navigator import Navigator, Seen
from phonefarm.devices.ranks import Row, extended, offset_of
from phonefarm.errors import UnexpectedScreen

MAX_SCROLLS = 60
#: Swipes in a row, with nothing in the way, that must change nothing before a list counts as at its end.
STILL = 2
TAPS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Playing:
    """Which result was on the player when we last looked."""

    keyword: str
    rank: int
    title: str
    author: str


class Results:
    """The results of the keyword at hand."""

    def __init__(self, nav: Navigator) -> None:
        self._nav = nav
        self._keyword: str | None = None
        self._known: tuple[Row, ...] = ()
        self._playing: Playing | None = None
        self._confirmed: Seen | None = None

    def forget(self) -> None:
        """Drop all hints."""
        self._keyword, self._known, self._playing, self._confirmed = None, (), None, None

    def confirm(self, seen: Seen) -> None:
        """The result that plays was just seen once more: the next swipe need not look first."""
        self._confirmed = seen

    def search(self, keyword: str) -> Seen:
        """The results list of ``keyword``."""
        seen, fresh = self._nav.to_results(keyword)
        if fresh or keyword != self._keyword:
            self.forget()
        if fresh:
            self._keyword, self._known = keyword, tuple(self._nav.rows(seen.screen))
        return seen

    def plays(self, keyword: str, rank: int, seen: Seen) -> bool:
        """Whether the screen shows the player with that result, as far as the hint knows."""
        hint = self._playing
        if hint is None or seen.place != "player" or (hint.keyword, hint.rank) != (keyword, rank):
            return False
        return self._facts(seen) == (hint.title, hint.author)

    def known_to_play(self, keyword: str, seen: Seen) -> bool:
        """Whether the screen shows the player with some result of ``keyword``."""
        return self._playing is not None and self.plays(keyword, self._playing.rank, seen)

    def open(self, keyword: str, rank: int) -> Seen | None:
        """The player with result ``rank``; None when there are not that many."""
        seen = self._by_swipe(keyword, rank)
        if seen is not None:
            return seen
        for _ in range(TAPS):
            row = self._find(keyword, rank)
            if row is None:
                return None
            seen = self._nav.wait_for("player", self._nav.see(tap(row.node)))
            if seen.place == "player" and self._facts(seen)[0] == row.title:
                self._note(keyword, rank, seen)
                return seen
            self._playing = None
        wanted = f"wanted the player with result {rank} of {keyword!r}"
        raise UnexpectedScreen(f"{wanted}, saw {seen.words if seen else 'nothing'}")

    # -- the player's swipe ------------------------------------------------------------------------

    def _by_swipe(self, keyword: str, rank: int) -> Seen | None:
        hint, move = self._playing, self._nav.profile.swipes.get("next_video")
        seen, self._confirmed = self._confirmed, None
        if hint is None or move is None or (hint.keyword, hint.rank) != (keyword, rank - 1):
            return None
        seen = seen or self._nav.see()
        if not self.plays(keyword, rank - 1, seen):
            return None
        seen = self._nav.see(swipe(move, seen.screen))
        if seen.place != "player" or not self._is_next(rank, hint, seen):
            self._playing = None
            return None
        self._note(keyword, rank, seen)
        return seen

    def _is_next(self, rank: int, before: Playing, seen: Seen) -> bool:
        title, author = self._facts(seen)
        if rank < len(self._known):
            return title == self._known[rank].title
        return bool(title) and (title, author) != (before.title, before.author)

    def _note(self, keyword: str, rank: int, seen: Seen) -> None:
        title, author = self._facts(seen)
        self._playing = Playing(keyword=keyword, rank=rank, title=title, author=author)

    def _facts(self, seen: Seen) -> tuple[str, str]:
        facts = self._nav.profile.facts
        return facts["title"].value(seen.screen), facts["author"].value(seen.screen)

    # -- the list -----------------------------------------------------------------------------------

    def _find(self, keyword: str, rank: int) -> Row | None:
        """The visible row of ``rank``, after scrolling to it; None when the list ends before."""
        seen = self.search(keyword)
        if self._nav.is_empty(seen):
            return None
        seen, rows, first = self._placed(seen, keyword)
        for _ in range(MAX_SCROLLS):
            if first <= rank < first + len(rows):
                return rows[rank - first]
            moved = self._scrolled(seen, keyword, down=rank >= first)
            if moved is None:
                return None
            seen, rows, first = moved
        raise UnexpectedScreen(f"wanted result {rank} of {keyword!r}, the list does not end")

    def _placed(self, seen: Seen, keyword: str) -> tuple[Seen, list[Row], int]:
        """The visible rows and the rank of the first, from memory or by going to the top of the list."""
        rows = self._nav.rows(seen.screen)
        first = offset_of(self._known, rows) if keyword == self._keyword else None
        return (seen, rows, first) if first is not None else self._from_top(seen, keyword)

    def _from_top(self, seen: Seen, keyword: str) -> tuple[Seen, list[Row], int]:
        for _ in range(MAX_SCROLLS):
            moved = self._swiped("list_up", seen, keyword)
            if moved is None:
                rows = self._nav.rows(seen.screen)
                self._keyword, self._known, self._playing = keyword, tuple(rows), None
                return seen, rows, 0
            seen = moved
        raise UnexpectedScreen(f"wanted the top of the results of {keyword!r}, saw {seen.words}")

    def _swiped(self, name: str, seen: Seen, keyword: str) -> Seen | None:
        """The list after a swipe that moved it; None where it moves no further.

        A swipe that a popup or the lock screen caught moved nothing either, so only still swipes with nothing in the
        way count, and more than one of them.
        """
        before, still = self._nav.rows(seen.screen), 0
        for _ in range(MAX_SCROLLS):
            disturbed = self._nav.disturbances
            seen = self._nav.see(swipe(self._nav.profile.swipes[name], seen.screen))
            if not self._nav.shows_results_of(keyword, seen):
                raise UnexpectedScreen(f"wanted the results of {keyword!r} while scrolling, saw {seen.words}")
            rows = self._nav.rows(seen.screen)
            if rows and rows != before:
                return seen
            still = still + 1 if rows and disturbed == self._nav.disturbances else 0
            if still == STILL:
                return None
        raise UnexpectedScreen(f"wanted the results of {keyword!r} to scroll, something is always in the way")

    def _scrolled(self, seen: Seen, keyword: str, *, down: bool) -> tuple[Seen, list[Row], int] | None:
        """One scroll on; None at the end of the list (or at its top)."""
        moved = self._swiped("list_down" if down else "list_up", seen, keyword)
        if moved is None:
            return None
        seen, rows = moved, self._nav.rows(moved.screen)
        grown = extended(self._known, rows)
        if grown is None:
            raise UnexpectedScreen(f"the list jumped while it was scrolled, saw {seen.words}")
        self._known, first = grown
        return seen, rows, first
