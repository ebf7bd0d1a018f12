"""The pages of the reader as trees of nodes: few ids, texts in descriptions, cards in two columns."""

from collections.abc import Sequence

from phonefarm.vphone.apps.content import Video
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Rect, Style, rect

VISIBLE_ROWS = 4
CARD_HEIGHT = 500
_TOP = 320
_SCREEN = rect(0, 0, WIDTH, HEIGHT)
_TEXT, _GROUP, _VIEW = "android.widget.TextView", "android.view.ViewGroup", "android.view.View"
_PAPER, _INK, _BLUE, _WHITE = "#fbfaf5", "#22201c", "#1f5aa6", "#ffffff"
HINT = "Search or type a word"


def front(video: Video) -> Node:
    """One headline of the day and a lens to find more."""
    lens = Node(
        cls="android.widget.ImageView",
        desc="Find in all articles",
        action="find",
        bounds=rect(930, 110, 1050, 230),
        style=Style(fill="#e8e4d8", ink=_INK, radius=60, icon="search"),
    )
    return _page("Front page", (_text("Today", rect(60, 110, 600, 230), 60), lens, *_story(video)))


def article(video: Video) -> Node:
    """A whole article."""
    body = _text(f"{video.title}. It takes {video.seconds} seconds to read.", rect(60, 1500, 1020, 2200), 44)
    return _page("Article", (*_story(video), body))


def find(typed: str, *, focused: bool) -> Node:
    """A field and a button; an empty field shows its hint as text, as Android dumps it."""
    field = Node(
        cls="android.widget.EditText",
        text=typed or HINT,
        action="focus",
        focusable=True,
        focused=focused,
        bounds=rect(60, 300, 800, 430),
        style=Style(fill=_WHITE, size=46),
    )
    return _page("Find", (field, _button("GO", "go", rect(820, 300, 1020, 430))))


def hits(query: str, videos: Sequence[Video], offset: int) -> Node:
    """Cards, two in a row, below a line that says what was looked for."""
    head = _text(f"Results for {query}", rect(60, 120, 1020, 240), 50)
    if not videos:
        return _page("Hits", (head, _text("Nothing matched your search", rect(60, 900, 1020, 1020), 48)))
    shown = videos[offset * 2 : (offset + VISIBLE_ROWS) * 2]
    grid = Node(
        cls="android.widget.GridView",
        desc="Hits",
        bounds=rect(0, _TOP, WIDTH, _TOP + VISIBLE_ROWS * CARD_HEIGHT),
        scrollable=True,
        children=tuple(_card(video, place, offset * 2 + place) for place, video in enumerate(shown)),
        style=Style(fill=_PAPER),
    )
    return _page("Hits", (head, grid))


def _story(video: Video) -> tuple[Node, ...]:
    picture = Node(cls=_VIEW, bounds=rect(60, 300, 1020, 900), style=Style(art=f"{video.title}|{video.author}"))
    title = Node(cls=_VIEW, desc=f"Headline: {video.title}", bounds=rect(60, 930, 1020, 1130))
    shown = _text(video.title.upper(), rect(60, 930, 1020, 1130), 54)
    byline = _text(f"By {video.author} \u00b7 {video.seconds} s read", rect(60, 1150, 1020, 1240), 40)
    tags = _text(f"Filed under {', '.join(video.tags)}", rect(60, 1260, 1020, 1350), 40)
    return picture, title, shown, byline, tags


def _card(video: Video, place: int, rank: int) -> Node:
    left, top = (0, 540)[place % 2], _TOP + place // 2 * CARD_HEIGHT
    title = _text(video.title, rect(left + 30, top + 240, left + 510, top + 400), 40)
    author = _text(f"By {video.author}", rect(left + 30, top + 410, left + 510, top + 470), 34)
    art = Style(art=f"{video.title}|{video.author}")
    picture = Node(cls=_VIEW, bounds=rect(left + 30, top + 20, left + 510, top + 230), style=art)
    box = rect(left, top, left + 540, top + CARD_HEIGHT)
    return Node(cls=_GROUP, action=f"card:{rank}", bounds=box, children=(picture, title, author))


def _text(text: str, bounds: Rect, size: int) -> Node:
    return Node(cls=_TEXT, text=text, bounds=bounds, style=Style(fill=_PAPER, ink=_INK, size=size))


def _button(text: str, action: str, bounds: Rect) -> Node:
    style = Style(fill=_BLUE, ink=_WHITE, size=46, centred=True)
    return Node(cls="android.widget.Button", text=text, action=action, bounds=bounds, style=style)


def _page(name: str, children: tuple[Node, ...]) -> Node:
    """A page says what it is in the description of its only window-sized group."""
    inner = Node(cls=_GROUP, desc=name, bounds=_SCREEN, children=children, style=Style(fill=_PAPER))
    return Node(cls="android.widget.FrameLayout", bounds=_SCREEN, children=(inner,), style=Style(fill=_PAPER))
