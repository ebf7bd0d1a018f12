"""The feed app: endless short videos, a search, its results and a player.

Screens form a stack whose bottom is the feed; BACK pops one and leaves the app at the bottom. Search results replace
the search screen, so BACK from them leads to the feed. Each screen is a frozen value; the app replaces the one on top.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phonefarm.vphone.apps import feed_views, profile_views
from phonefarm.vphone.apps.app import SWIPE_PX, Playing
from phonefarm.vphone.apps.content import Video, catalogue
from phonefarm.vphone.apps.nodes import Node, scrollable_at

PACKAGE = "org.phonefarm.feed"
ACTIVITY = ".MainActivity"


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """The feed at video ``rank``, playing since ``since``."""

    rank: int = 0
    since: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The search field; ``typed`` is what stands in it."""

    typed: str = ""
    focused: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What ``query`` found, scrolled down by ``offset`` rows; the field above may be edited."""

    query: str
    typed: str
    offset: int = 0
    focused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Player:
    """Result ``rank`` of ``query``, playing since ``since`` (monotonic seconds)."""

    query: str
    rank: int
    since: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The account's own page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditProfile:
    """The form of the account's texts; ``focus`` is the field that takes what is typed."""

    values: tuple[tuple[str, str], ...]
    focus: str = ""

    def with_text(self, text: str) -> "EditProfile":
        """The field in focus holds ``text``."""
        return replace(self, values=tuple((n, text if n == self.focus else v) for n, v in self.values))

    @property
    def text(self) -> str:
        """What stands in the field in focus."""
        return dict(self.values).get(self.focus, "")


Screen = Feed | Search | Results | Player | Profile | EditProfile

PROFILE = {"display_name": "Phone Farm", "username": "phonefarm", "bio": "We look and read."}
"""The texts of a new account."""


class FeedApp:
    """One running feed app."""

    package = PACKAGE
    activity = ACTIVITY

    def __init__(self, seed: int, profile: dict[str, str] | None = None) -> None:
        self._seed = seed
        self._profile = profile if profile is not None else dict(PROFILE)
        self._stack: list[Screen] = [Feed()]
        self._videos: dict[str, list[Video]] = {}

    @property
    def screen(self) -> Screen:
        """The screen on top."""
        return self._stack[-1]

    def playing(self) -> Playing | None:
        """The video that plays."""
        match self.screen:
            case Feed(rank=rank):
                return Playing(query="", rank=rank, video=self._of("")[rank])
            case Player(query=query, rank=rank):
                return Playing(query=query, rank=rank, video=self._of(query)[rank])
            case _:
                return None

    # -- what Android asks -----------------------------------------------------------------------------------------
    def tree(self, now: float) -> Node:
        """The screen as it is."""
        screen = self.screen
        if isinstance(screen, Feed):
            return feed_views.feed(self._of("")[screen.rank])
        if isinstance(screen, Search):
            return feed_views.search(screen.typed, focused=screen.focused)
        if isinstance(screen, Results):
            videos = self._of(screen.query)
            return feed_views.results(screen.typed, videos, screen.offset, focused=screen.focused)
        if isinstance(screen, Profile):
            return profile_views.profile(self._profile)
        if isinstance(screen, EditProfile):
            return profile_views.edit(dict(screen.values), screen.focus)
        return feed_views.player(self._of(screen.query)[screen.rank], int(max(now - screen.since, 0)))

    def act(self, action: str, now: float) -> None:
        """A node with this action was tapped."""
        kind, _, argument = action.partition(":")
        screen = self.screen
        if kind == "search":
            self._stack.append(Search())
        elif kind == "go":
            self._find(now)
        elif kind == "focus" and isinstance(screen, Search | Results):
            self._top(replace(screen, focused=True))
        elif kind == "clear" and isinstance(screen, Search | Results):
            self._top(replace(screen, typed="", focused=True))
        elif kind in ("profile", "edit", "field", "save"):
            self._edit(kind, argument)
        elif kind == "row" and isinstance(screen, Results):
            self._stack.append(Player(query=screen.query, rank=int(argument), since=now))

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """A finger moved over the screen: page through videos, or scroll the list it started on."""
        up = start[1] - end[1]
        screen = self.screen
        if isinstance(screen, Results):
            if scrollable_at(self.tree(now), *start) is not None:
                self._scroll(screen, up)
        elif abs(up) > SWIPE_PX:
            self._page(screen, 1 if up > 0 else -1, now)

    def typed(self, text: str) -> None:
        """Text for the focused field."""
        screen = self.screen
        if isinstance(screen, Search | Results) and screen.focused:
            self._top(replace(screen, typed=screen.typed + text))
        elif isinstance(screen, EditProfile) and screen.focus:
            self._top(screen.with_text(screen.text + text))

    def key(self, name: str, now: float) -> bool:
        """A key such as ``ENTER``; False when the app has no use for it."""
        screen = self.screen
        if name == "BACK":
            return self._back()
        if isinstance(screen, EditProfile) and screen.focus and name in ("DEL", "SPACE"):
            self._top(screen.with_text(screen.text[:-1] if name == "DEL" else screen.text + " "))
            return True
        if isinstance(screen, Search | Results) and screen.focused:
            if name in ("ENTER", "NUMPAD_ENTER", "SEARCH"):
                self._find(now)
            elif name == "DEL":
                self._top(replace(screen, typed=screen.typed[:-1]))
            elif name == "SPACE":
                self.typed(" ")
            else:
                return False
            return True
        return False

    def shown(self, now: float) -> None:
        """The app came to the front: what stood still plays again from its start."""
        screen = self.screen
        if isinstance(screen, Feed | Player) and screen.since == 0.0:
            self._top(replace(screen, since=now))

    def _edit(self, kind: str, argument: str) -> None:
        screen = self.screen
        if kind == "profile":
            self._stack.append(Profile())
        elif kind == "edit" and isinstance(screen, Profile):
            self._stack.append(EditProfile(values=tuple(self._profile.items())))
        elif kind == "field" and isinstance(screen, EditProfile):
            self._top(replace(screen, focus=argument))
        elif kind == "save" and isinstance(screen, EditProfile):
            self._profile.update(screen.values)
            self._stack.pop()

    # -- inside ----------------------------------------------------------------------------------------------------
    def _of(self, query: str) -> Sequence[Video]:
        if query not in self._videos:
            if len(self._videos) > 8:
                self._videos.clear()
            self._videos[query] = catalogue(self._seed, query)
        return self._videos[query]

    def _top(self, screen: Screen) -> None:
        self._stack[-1] = screen

    def _back(self) -> bool:
        if len(self._stack) == 1:
            return False
        self._stack.pop()
        return True

    def _find(self, now: float) -> None:
        screen = self.screen
        if isinstance(screen, Search | Results) and screen.typed.strip():
            self._top(Results(query=screen.typed.strip(), typed=screen.typed))

    def _scroll(self, screen: Results, up: int) -> None:
        rows = int(abs(up) / feed_views.ROW_HEIGHT + 0.5) * (1 if up > 0 else -1)
        last = max(len(self._of(screen.query)) - feed_views.VISIBLE_ROWS, 0)
        self._top(replace(screen, offset=min(max(screen.offset + rows, 0), last)))

    def _page(self, screen: Screen, step: int, now: float) -> None:
        if isinstance(screen, Feed):
            self._top(Feed(rank=(screen.rank + step) % len(self._of("")), since=now))
        elif isinstance(screen, Player) and 0 <= screen.rank + step < len(self._of(screen.query)):
            self._top(Player(query=screen.query, rank=screen.rank + step, since=now))
