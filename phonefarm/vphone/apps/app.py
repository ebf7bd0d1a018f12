"""What Android asks of an app."""

from dataclasses import dataclass
from typing import Protocol

from phonefarm.vphone.apps.content import Video
from phonefarm.vphone.apps.nodes import Node

SWIPE_PX = 300
"""A swipe must be longer than this to turn a page, in pixels of the 1080 x 2400 screen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Playing:
    """``rank`` of what ``query`` found; the app's own feed has no query."""

    query: str
    rank: int
    video: Video


class App(Protocol):
    """One running app. ``now`` is in seconds of the monotonic clock."""

    package: str
    activity: str

    def tree(self, now: float) -> Node:
        """The screen as it is."""
        ...

    def act(self, action: str, now: float) -> None:
        """A node with this action was tapped."""
        ...

    def swipe(self, start: tuple[int, int], end: tuple[int, int], now: float) -> None:
        """A finger moved over the screen."""
        ...

    def typed(self, text: str) -> None:
        """Text for the focused field."""
        ...

    def key(self, name: str, now: float) -> bool:
        """A key such as ``ENTER``; False when the app has no use for it."""
        ...

    def shown(self, now: float) -> None:
        """The app came to the front."""
        ...

    def playing(self) -> Playing | None:
        """The one piece of content that fills the screen, None for a list or anything else."""
        ...
