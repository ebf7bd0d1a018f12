"""What may cover an app: a dialog of the system, and the lock screen."""

from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Style, rect

_FRAME, _TEXT, _BUTTON = "android.widget.FrameLayout", "android.widget.TextView", "android.widget.Button"


def popup(text: str) -> Node:
    """A dialog with one button, OK."""
    message = Node(
        cls=_TEXT,
        rid="android:id/message",
        text=text,
        bounds=rect(130, 1000, 950, 1200),
        style=Style(fill="#ffffff", size=46),
    )
    button = Node(
        cls=_BUTTON,
        rid="android:id/button1",
        text="OK",
        action="popup:dismiss",
        bounds=rect(710, 1260, 950, 1380),
        style=Style(fill="#2a6fdb", ink="#ffffff", size=46, radius=24, centred=True),
    )
    panel = Node(
        cls=_FRAME,
        rid="android:id/parentPanel",
        bounds=rect(80, 940, 1000, 1420),
        children=(message, button),
        style=Style(fill="#ffffff", radius=40),
    )
    return Node(cls=_FRAME, bounds=rect(0, 0, WIDTH, HEIGHT), children=(panel,), style=Style(fill="#5a6068"))


def keyguard() -> Node:
    """The lock screen: a swipe up opens it."""
    style = Style(fill="#101820", ink="#ffffff", size=56, centred=True)
    hint = Node(
        cls=_TEXT,
        rid="com.android.systemui:id/keyguard_indication_text",
        text="Swipe up to unlock",
        bounds=rect(90, 2100, 990, 2220),
        style=style,
    )
    root = "com.android.systemui:id/keyguard_root_view"
    return Node(cls=_FRAME, rid=root, bounds=rect(0, 0, WIDTH, HEIGHT), children=(hint,), style=Style(fill="#101820"))
