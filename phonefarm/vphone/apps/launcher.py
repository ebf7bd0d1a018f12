"""The home screen: an icon for each app that can be opened. And a plain screen for apps that are only names."""

from collections.abc import Callable, Sequence

from phonefarm.vphone.apps.app import Playing
from phonefarm.vphone.apps.nodes import HEIGHT, WIDTH, Node, Style, rect

PACKAGE = "com.google.android.apps.nexuslauncher"
ACTIVITY = ".NexusLauncherActivity"
_COLUMNS = 4


class Launcher:
    """The home screen; ``open_app`` is called with the package of a tapped icon."""

    package = PACKAGE
    activity = ACTIVITY

    def __init__(self, icons: Sequence[tuple[str, str, str]], open_app: Callable[[str], object]) -> None:
        """``icons`` are (package, label, colour)."""
        self._icons = tuple(icons)
        self._open_app = open_app

    def tree(self, now: float) -> Node:
        """The screen as it is."""
        icons = tuple(_icon(place, *icon) for place, icon in enumerate(self._icons))
        return Node(
            cls="android.widget.FrameLayout",
            rid=f"{PACKAGE}:id/launcher",
            bounds=rect(0, 0, WIDTH, HEIGHT),
            children=icons,
            style=Style(fill="#22405c"),
        )

    def act(self, action: str, now: float) -> None:
        """An icon was tapped."""
        self._open_app(action.partition(":")[2])

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """One page only."""

    def typed(self, text: str) -> None:
        """No field."""

    def key(self, name: str, now: float) -> bool:
        """BACK stays here."""
        return name == "BACK"

    def shown(self, now: float) -> None:
        """Nothing plays."""

    def playing(self) -> Playing | None:
        """Nothing plays here."""
        return None


class PlainApp:
    """An installed app of which only the name is known."""

    activity = ".MainActivity"

    def __init__(self, package: str, activity: str = ".MainActivity") -> None:
        self.package = package
        self.activity = activity

    def tree(self, now: float) -> Node:
        """A title on an empty screen."""
        style = Style(fill="#ffffff", size=54, centred=True)
        box = rect(60, 1100, 1020, 1240)
        rid = f"{self.package}:id/title"
        title = Node(cls="android.widget.TextView", rid=rid, text=self.package, bounds=box, style=style)
        return Node(
            cls="android.widget.FrameLayout",
            rid=f"{self.package}:id/content",
            bounds=rect(0, 0, WIDTH, HEIGHT),
            children=(title,),
            style=Style(fill="#ffffff"),
        )

    def act(self, action: str, now: float) -> None:
        """Nothing to tap."""

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """Nothing to scroll."""

    def typed(self, text: str) -> None:
        """No field."""

    def key(self, name: str, now: float) -> bool:
        """No use for keys."""
        return False

    def shown(self, now: float) -> None:
        """Nothing plays."""

    def playing(self) -> Playing | None:
        """Nothing plays here."""
        return None


def _icon(place: int, package: str, label: str, colour: str) -> Node:
    left, top = 30 + place % _COLUMNS * 255, 1500 + place // _COLUMNS * 330
    picture = Node(
        cls="android.widget.ImageView",
        bounds=rect(left + 35, top + 10, left + 220, top + 195),
        style=Style(fill=colour, ink="#ffffff", size=90, radius=46, icon=label[:1]),
    )
    style = Style(fill="#22405c", ink="#ffffff", size=36, centred=True)
    under = rect(left, top + 210, left + 255, top + 270)
    name = Node(cls="android.widget.TextView", text=label, bounds=under, style=style)
    return Node(
        cls="android.widget.LinearLayout",
        desc=label,
        action=f"open:{package}",
        bounds=rect(left, top, left + 255, top + 290),
        children=(picture, name),
    )
