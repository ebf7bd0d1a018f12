"""The account's page of the feed app and the form to edit it, as trees of nodes."""

from collections.abc import Mapping

from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Rect, Style, rect

_ID = "org.phonefarm.feed:id/"
_SCREEN = rect(0, 0, WIDTH, HEIGHT)
_PAPER, _ACCENT, _WHITE = "#f6f7f9", "#e0245e", "#ffffff"
_FIELDS = ("display_name", "username", "bio")
_WORDS = {"display_name": "Name", "username": "User name", "bio": "About"}


def profile(values: Mapping[str, str]) -> Node:
    """What others see of the account, and a button to edit it."""
    shown = tuple(
        _text(f"profile_{name}", values[name], rect(60, 300 + place * 160, 1020, 430 + place * 160))
        for place, name in enumerate(_FIELDS)
    )
    button = _button("edit_profile_button", "Edit profile", "edit", rect(60, 900, 1020, 1030))
    return _root("profile_screen", (*shown, button))


def edit(values: Mapping[str, str], focus: str) -> Node:
    """A field for each text, and a button that keeps them."""
    rows: tuple[Node, ...] = ()
    for place, name in enumerate(_FIELDS):
        top = 200 + place * 300
        rows += (
            _text("", _WORDS[name], rect(60, top, 1020, top + 80)),
            Node(
                cls="android.widget.EditText",
                rid=f"{_ID}edit_{name}",
                text=values[name],
                action=f"field:{name}",
                focusable=True,
                focused=name == focus,
                bounds=rect(60, top + 90, 1020, top + 220),
                style=Style(fill=_WHITE, size=46, radius=24),
            ),
        )
    return _root("edit_profile_screen", (*rows, _button("edit_save", "Save", "save", rect(60, 1200, 1020, 1330))))


def _text(name: str, text: str, bounds: Rect) -> Node:
    rid = f"{_ID}{name}" if name else ""
    return Node(cls="android.widget.TextView", rid=rid, text=text, bounds=bounds, style=Style(fill=_PAPER, size=46))


def _button(name: str, text: str, action: str, bounds: Rect) -> Node:
    style = Style(fill=_ACCENT, ink=_WHITE, size=46, radius=24, centred=True)
    return Node(cls="android.widget.Button", rid=f"{_ID}{name}", text=text, action=action, bounds=bounds, style=style)


def _root(name: str, children: tuple[Node, ...]) -> Node:
    return Node(
        cls="android.widget.FrameLayout",
        rid=f"{_ID}{name}",
        bounds=_SCREEN,
        children=children,
        style=Style(fill=_PAPER),
    )
