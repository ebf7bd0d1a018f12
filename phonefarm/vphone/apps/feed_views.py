"""The screens of the feed app as trees of nodes. The resource ids are a contract with whoever drives the app."""

from collections.abc import Sequence

from phonefarm.vphone.apps.content import Video
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Rect, Style, rect

VISIBLE_ROWS = 8
ROW_HEIGHT = 260
LIST_TOP = 260
_ID = "org.phonefarm.feed:id/"
_SCREEN = rect(0, 0, WIDTH, HEIGHT)
_TEXT, _EDIT = "android.widget.TextView", "android.widget.EditText"
_BUTTON, _IMAGE_BUTTON = "android.widget.Button", "android.widget.ImageButton"
_FRAME, _LIST = "android.widget.FrameLayout", "androidx.recyclerview.widget.RecyclerView"
_PAPER, _ACCENT, _DARK, _WHITE = "#f6f7f9", "#e0245e", "#14171c", "#ffffff"


def feed(video: Video) -> Node:
    """The current video of the feed, full screen."""
    button = Node(
        cls=_IMAGE_BUTTON,
        rid=f"{_ID}search_button",
        desc="Search",
        action="search",
        bounds=rect(920, 100, 1060, 240),
        style=Style(fill="#2a2f38", ink=_WHITE, radius=70, icon="search"),
    )
    tabs = _label("", "For you", rect(400, 120, 680, 220), Style(fill=_DARK, ink=_WHITE, size=48, centred=True))
    me = Node(
        cls=_BUTTON,
        rid=f"{_ID}profile_button",
        text="Profile",
        action="profile",
        bounds=rect(760, 2260, 1060, 2380),
        style=Style(fill="#2a2f38", ink=_WHITE, size=44, radius=24, centred=True),
    )
    return _root("feed_screen", (_video(video, rect(0, 260, WIDTH, 1880)), tabs, *_captions(video), button, me), _DARK)


def search(typed: str, *, focused: bool) -> Node:
    """The search field alone."""
    return _root("search_screen", _search_row(typed, focused=focused), _PAPER)


def results(typed: str, videos: Sequence[Video], offset: int, *, focused: bool) -> Node:
    """The search field and eight rows of what was found."""
    row = _search_row(typed, focused=focused)
    if not videos:
        style = Style(fill=_PAPER, ink="#667080", size=48, centred=True)
        empty = _label("empty_text", "No results", rect(90, 900, 990, 1040), style)
        return _root("results_screen", (*row, empty), _PAPER)
    shown = videos[offset : offset + VISIBLE_ROWS]
    rows = tuple(_row(video, place, offset + place) for place, video in enumerate(shown))
    listing = Node(
        cls=_LIST,
        rid=f"{_ID}result_list",
        bounds=rect(0, LIST_TOP, WIDTH, LIST_TOP + VISIBLE_ROWS * ROW_HEIGHT),
        scrollable=True,
        focusable=True,
        children=rows,
        style=Style(fill=_PAPER),
    )
    return _root("results_screen", (*row, listing), _PAPER)


def player(video: Video, elapsed: int) -> Node:
    """One result playing; ``elapsed`` seconds, and it starts again at its end."""
    at = elapsed % video.seconds
    text = f"{_clock(at)} / {_clock(video.seconds)}"
    style = Style(fill=_DARK, ink="#aab2bd", size=40)
    position = _label("video_position", text, rect(40, 2270, 640, 2340), style)
    return _root("player_screen", (_video(video, rect(0, 80, WIDTH, 1880)), *_captions(video), position), _DARK)


def _root(name: str, children: tuple[Node, ...], fill: str) -> Node:
    return Node(cls=_FRAME, rid=f"{_ID}{name}", bounds=_SCREEN, children=children, style=Style(fill=fill))


def _label(name: str, text: str, bounds: Rect, style: Style) -> Node:
    return Node(cls=_TEXT, rid=f"{_ID}{name}" if name else "", text=text, bounds=bounds, style=style)


def _video(video: Video, bounds: Rect) -> Node:
    art = f"{video.title}|{video.author}"
    return Node(cls="android.view.TextureView", rid=f"{_ID}video_surface", bounds=bounds, style=Style(art=art))


def _captions(video: Video) -> tuple[Node, ...]:
    return (
        _label("video_author", video.author_line, rect(40, 1920, 1040, 2000), Style(fill=_DARK, ink=_WHITE, size=50)),
        _label("video_title", video.title, rect(40, 2010, 1040, 2140), Style(fill=_DARK, ink=_WHITE, size=46)),
        _label("video_tags", video.tag_line, rect(40, 2150, 1040, 2240), Style(fill=_DARK, ink="#7fb4ff", size=40)),
    )


def _search_row(typed: str, *, focused: bool) -> tuple[Node, ...]:
    clear = Node(
        cls=_IMAGE_BUTTON,
        rid=f"{_ID}search_clear",
        desc="Clear",
        action="clear",
        bounds=rect(720, 120, 820, 220),
        style=Style(fill="#dfe3e8", ink="#4a5260", radius=50, icon="clear"),
    )
    box = Node(
        cls=_EDIT,
        rid=f"{_ID}search_box",
        text=typed,
        action="focus",
        focusable=True,
        focused=focused,
        bounds=rect(24, 110, 710, 230),
        style=Style(fill=_WHITE, size=46, radius=24),
    )
    go = Node(
        cls=_BUTTON,
        rid=f"{_ID}search_go",
        text="Search",
        action="go",
        bounds=rect(830, 110, 1056, 230),
        style=Style(fill=_ACCENT, ink=_WHITE, size=46, radius=24, centred=True),
    )
    row = Node(
        cls="android.widget.LinearLayout",
        rid=f"{_ID}search_row",
        bounds=rect(0, 90, WIDTH, 250),
        children=(box, clear, go) if typed else (box, go),
        style=Style(fill="#eceff3"),
    )
    return (row,)


def _row(video: Video, place: int, rank: int) -> Node:
    top = LIST_TOP + place * ROW_HEIGHT
    fill = _WHITE if rank % 2 == 0 else "#f0f2f5"
    thumbnail = Node(
        cls="android.widget.ImageView",
        rid=f"{_ID}result_thumbnail",
        bounds=rect(24, top + 20, 204, top + ROW_HEIGHT - 20),
        style=Style(art=f"{video.title}|{video.author}"),
    )
    title = _label("result_title", video.title, rect(236, top + 40, 1050, top + 140), Style(fill=fill, size=44))
    style = Style(fill=fill, ink="#667080", size=38)
    author = _label("result_author", video.author_line, rect(236, top + 146, 1050, top + 216), style)
    return Node(
        cls=_FRAME,
        rid=f"{_ID}result_row",
        action=f"row:{rank}",
        bounds=rect(0, top, WIDTH, top + ROW_HEIGHT),
        children=(thumbnail, title, author),
        style=Style(fill=fill),
    )


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"
