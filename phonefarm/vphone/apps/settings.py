"""A settings-like app: a list of switches over the phone's real settings, and a page about the phone."""

from collections.abc import MutableMapping

from phonefarm.vphone.apps.app import Playing
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Style, rect

PACKAGE = "com.android.settings"
ACTIVITY = ".Settings"
SWITCHES = (
    ("global", "wifi_on", "Wi-Fi"),
    ("global", "airplane_mode_on", "Airplane mode"),
    ("system", "accelerometer_rotation", "Auto-rotate screen"),
)
"""Namespace, name and title of what can be switched."""
_TEXT, _SWITCH = "android.widget.TextView", "android.widget.Switch"
_WHITE = "#ffffff"


class SettingsApp:
    """One running settings app; ``values`` are the phone's settings by namespace."""

    package = PACKAGE
    activity = ACTIVITY

    def __init__(self, values: MutableMapping[str, dict[str, str]], about: tuple[tuple[str, str], ...]) -> None:
        self._values = values
        self._about = about
        self._deep = False

    def tree(self, now: float) -> Node:
        """The list, or the page about the phone."""
        if self._deep:
            rows = tuple(_row(place, title, text, "") for place, (title, text) in enumerate(self._about))
            return _list("About phone", rows)
        rows = tuple(self._switch(place, *switch) for place, switch in enumerate(SWITCHES))
        return _list("Settings", (*rows, _row(len(rows), "About phone", "", "about")))

    def act(self, action: str, now: float) -> None:
        """A row was tapped."""
        kind, _, argument = action.partition(":")
        if kind == "about":
            self._deep = True
        elif kind == "switch":
            space, name, _ = SWITCHES[int(argument)]
            self._values[space][name] = "0" if self._values[space].get(name) == "1" else "1"

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """Everything fits on the screen."""

    def typed(self, text: str) -> None:
        """No field."""

    def key(self, name: str, now: float) -> bool:
        """BACK from the inner page."""
        if name == "BACK" and self._deep:
            self._deep = False
            return True
        return False

    def shown(self, now: float) -> None:
        """Nothing plays."""

    def playing(self) -> Playing | None:
        """Nothing plays here."""
        return None

    def _switch(self, place: int, space: str, name: str, title: str) -> Node:
        on = self._values[space].get(name) == "1"
        top = 300 + place * 200
        switch = Node(
            cls=_SWITCH,
            rid="android:id/switch_widget",
            text="ON" if on else "OFF",
            checkable=True,
            checked=on,
            bounds=rect(860, top + 40, 1040, top + 160),
            style=Style(fill="#1f5aa6" if on else "#c8ccd2", ink=_WHITE, size=40, radius=60, centred=True),
        )
        return _row(place, title, "", f"switch:{place}", switch)


def _row(place: int, title: str, summary: str, action: str, *more: Node) -> Node:
    top = 300 + place * 200
    label = Node(
        cls=_TEXT,
        rid="android:id/title",
        text=title,
        bounds=rect(60, top + 20, 800, top + 110),
        style=Style(fill=_WHITE, size=46),
    )
    under = Node(
        cls=_TEXT,
        rid="android:id/summary",
        text=summary,
        bounds=rect(60, top + 110, 800, top + 180),
        style=Style(fill=_WHITE, ink="#667080", size=36),
    )
    children = (label, under, *more) if summary else (label, *more)
    box = rect(0, top, WIDTH, top + 200)
    return Node(cls="android.widget.LinearLayout", action=action, bounds=box, children=children)


def _list(title: str, rows: tuple[Node, ...]) -> Node:
    head = Node(
        cls=_TEXT,
        rid=f"{PACKAGE}:id/homepage_title",
        text=title,
        bounds=rect(60, 120, 1020, 260),
        style=Style(fill=_WHITE, size=64),
    )
    listing = Node(
        cls="androidx.recyclerview.widget.RecyclerView",
        rid=f"{PACKAGE}:id/recycler_view",
        bounds=rect(0, 300, WIDTH, HEIGHT),
        scrollable=True,
        children=rows,
    )
    box = rect(0, 0, WIDTH, HEIGHT)
    return Node(cls="android.widget.FrameLayout", bounds=box, children=(head, listing), style=Style(fill=_WHITE))
