"""The reader: a browser-like app for articles, laid out unlike the feed app on purpose.

Hardly a view has a resource id; texts stand in descriptions, a find page has no button to clear its field, hits are
cards in two columns, and a swipe to the left turns the page. What it shows comes from the same catalogue as the feed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phonefarm.vphone.apps import reader_views
from phonefarm.vphone.apps.app import SWIPE_PX, Playing
from phonefarm.vphone.apps.content import Video, catalogue
from phonefarm.vphone.apps.nodes import Node

PACKAGE = "org.phonefarm.reader"
ACTIVITY = ".BrowserActivity"


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """Headline ``rank`` of the front page."""

    rank: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """The find page and what stands in its field."""

    typed: str = ""
    focused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Hits:
    """What ``query`` found, scrolled down by ``offset`` rows of two cards."""

    query: str
    offset: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """Hit ``rank`` of ``query``."""

    query: str
    rank: int


Page = Front | Find | Hits | Article


class ReaderApp:
    """One running reader."""

    package = PACKAGE
    activity = ACTIVITY

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._stack: list[Page] = [Front()]
        self._found: tuple[str, list[Video]] | None = None

    @property
    def page(self) -> Page:
        """The page on top."""
        return self._stack[-1]

    def tree(self, now: float) -> Node:
        """The screen as it is."""
        match self.page:
            case Front(rank=rank):
                return reader_views.front(self._of("")[rank])
            case Find(typed=typed, focused=focused):
                return reader_views.find(typed, focused=focused)
            case Hits(query=query, offset=offset):
                return reader_views.hits(query, self._of(query), offset)
            case Article(query=query, rank=rank):
                return reader_views.article(self._of(query)[rank])

    def playing(self) -> Playing | None:
        """The article that is open."""
        match self.page:
            case Front(rank=rank):
                return Playing(query="", rank=rank, video=self._of("")[rank])
            case Article(query=query, rank=rank):
                return Playing(query=query, rank=rank, video=self._of(query)[rank])
            case _:
                return None

    def act(self, action: str, now: float) -> None:
        """A node with this action was tapped."""
        kind, _, argument = action.partition(":")
        match self.page:
            case Front() if kind == "find":
                self._stack.append(Find())
            case Find() as page if kind == "focus":
                self._stack[-1] = replace(page, focused=True)
            case Find() if kind == "go":
                self._go()
            case Hits(query=query) if kind == "card":
                self._stack.append(Article(query=query, rank=int(argument)))

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """To the left or right: another article. Up or down: the cards scroll."""
        left, up = start[0] - end[0], start[1] - end[1]
        page = self.page
        if isinstance(page, Hits):
            rows = round(abs(up) / reader_views.CARD_HEIGHT) * (1 if up > 0 else -1)
            last = max((len(self._of(page.query)) + 1) // 2 - reader_views.VISIBLE_ROWS, 0)
            self._stack[-1] = replace(page, offset=min(max(page.offset + rows, 0), last))
        elif abs(left) > max(SWIPE_PX, abs(up)):
            self._turn(1 if left > 0 else -1)

    def typed(self, text: str) -> None:
        """Text for the field."""
        if isinstance(self.page, Find) and self.page.focused:
            self._stack[-1] = replace(self.page, typed=self.page.typed + text)

    def key(self, name: str, now: float) -> bool:
        """BACK goes up; DEL and SPACE edit. ENTER does nothing: only the button sends."""
        page = self.page
        if name == "BACK":
            if len(self._stack) == 1:
                return False
            self._stack.pop()
            return True
        if not isinstance(page, Find) or not page.focused:
            return False
        if name == "DEL":
            self._stack[-1] = replace(page, typed=page.typed[:-1])
        elif name == "SPACE":
            self.typed(" ")
        return name in ("DEL", "SPACE", "MOVE_END")

    def shown(self, now: float) -> None:
        """Nothing plays."""

    def _go(self) -> None:
        if isinstance(self.page, Find) and self.page.typed.strip():
            self._stack[-1] = Hits(query=self.page.typed.strip())

    def _turn(self, step: int) -> None:
        page = self.page
        if isinstance(page, Front):
            self._stack[-1] = Front(rank=(page.rank + step) % len(self._of("")))
        elif isinstance(page, Article) and 0 <= page.rank + step < len(self._of(page.query)):
            self._stack[-1] = replace(page, rank=page.rank + step)

    def _of(self, query: str) -> Sequence[Video]:
        if self._found is None or self._found[0] != query:
            self._found = (query, catalogue(self._seed, query))
        return self._found[1]
