"""From a tree of nodes to a picture.

Pictures are drawn in palette mode, which makes a PNG of 1080 x 2400 about 30 kB; text is smoothed by mixing its colour
with the fill behind it in four steps. The last picture is kept as long as the tree is the same. Drawing happens in one
thread for all phones of the process, so the event loop never waits for it, and Pillow is imported there at first use.
"""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from phonefarm.vphone.apps.nodes import Node

if TYPE_CHECKING:
    from PIL.Image import Image


@lru_cache(maxsize=1)
def shared_executor() -> ThreadPoolExecutor:
    """The one drawing thread of this process."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="vphone-draw")


class Camera:
    """Takes pictures of one phone's screen and remembers the last."""

    def __init__(self, executor: ThreadPoolExecutor | None = None) -> None:
        self._executor = executor
        self._png: tuple[object, bytes] | None = None

    async def png(self, root: Node, width: int, height: int, *, dark: bool) -> bytes:
        """The screen as PNG; black when ``dark``."""
        key = (root, width, height, dark)
        if self._png is not None and self._png[0] == key:
            return self._png[1]
        data = await self._draw(_png, root, width, height, dark)
        self._png = (key, data)
        return data

    async def rgba(self, root: Node, width: int, height: int, *, dark: bool) -> bytes:
        """The screen as RGBA bytes."""
        return await self._draw(_rgba, root, width, height, dark)

    def close(self) -> None:
        """Forget the last picture."""
        self._png = None

    async def _draw(self, function: object, root: Node, width: int, height: int, dark: bool) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor or shared_executor(), function, root, width, height, dark)  # type: ignore[arg-type]


def _picture(root: Node, width: int, height: int, dark: bool) -> "Image":
    from phonefarm.vphone.apps.painter import paint

    return paint(None if dark else root, width, height)


def _png(root: Node, width: int, height: int, dark: bool) -> bytes:
    target = io.BytesIO()
    _picture(root, width, height, dark).save(target, "PNG", compress_level=3)
    return target.getvalue()


def _rgba(root: Node, width: int, height: int, dark: bool) -> bytes:
    return _picture(root, width, height, dark).convert("RGBA").tobytes()
