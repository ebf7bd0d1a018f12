"""Small pictures of phones' screens for many who look again and again.

A capture is used for everybody who asks within ``FRESH_SECONDS`` of it, so a phone is asked about once a second
however many people and pages look, and a screen that did not change is neither unpacked nor sent again. What is kept
is small: the last rendering of each width, and the capture itself only while it is fresh.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from phonefarm.errors import Conflict, DeviceError, PhoneFarmError
from phonefarm.serve.screens import JPEG, Screens, picture_of

FRESH_SECONDS = 0.8
#: A phone that takes longer to show its screen is not waited for; its capture goes on and is there next time.
PATIENCE_SECONDS = 4.0
#: Widths in pixels that may be asked for.
WIDTHS = (240, 480, 720)
#: Pictures that are rendered at the same time: the API is not to wait for people who look.
AT_ONCE = 2
#: Renderings are forgotten when nobody asked for so long.
FORGET_SECONDS = 60.0
MEDIA_TYPE = JPEG


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """``tag``: the same for the same picture."""

    data: bytes
    tag: str


@dataclass(slots=True)
class _Kept:
    """Of one phone. ``png`` is the capture while it is fresh, ``digest`` of it, ``taken`` when."""

    taken: float = float("-inf")
    asked: float = 0.0
    png: bytes = b""
    digest: str = ""
    rendered: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shots:
    """``clock``: monotonic seconds."""

    def __init__(self, screens: Screens, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._screens = screens
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._rendering = asyncio.Semaphore(AT_ONCE)

    async def jpeg(self, phone_id: str, width: int) -> Shot:
        """The screen of about now. Raises Conflict ``phone_not_reachable`` for a phone that cannot be seen."""
        self._forget()
        kept = self._kept.setdefault(phone_id, _Kept())
        kept.asked = self._clock()
        async with kept.lock:
            if self._clock() - kept.taken > FRESH_SECONDS:
                await self._capture(phone_id, kept)
            digest, data = kept.rendered.get(width, ("", b""))
            if digest != kept.digest:
                data = await self._render(kept.png, width)
                kept.rendered[width] = (kept.digest, data)
        return Shot(data=data, tag=f'"{kept.digest}-{width}"')

    async def _capture(self, phone_id: str, kept: _Kept) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                kept.png = await self._screens.png(phone_id)
        except TimeoutError:
            raise _unseen("no_picture_in_time") from None
        except DeviceError as error:
            raise _unseen(error.code) from error
        except PhoneFarmError as error:
            raise _unseen(error.code) from error
        kept.taken = self._clock()
        kept.digest = hashlib.sha256(kept.png).hexdigest()[:16]

    async def _render(self, png: bytes, width: int) -> bytes:
        async with self._rendering:
            try:
                return await asyncio.to_thread(_small, png, width)
            except DeviceError as error:
                raise _unseen(error.code) from error

    def _forget(self) -> None:
        now = self._clock()
        for phone_id, kept in list(self._kept.items()):
            if kept.lock.locked():
                continue
            if now - kept.asked > FORGET_SECONDS:
                del self._kept[phone_id]
            elif now - kept.taken > FRESH_SECONDS:
                kept.png = b""


def _unseen(why: str) -> Conflict:
    return Conflict("phone_not_reachable", f"phone_not_reachable:{why}")


def _small(png: bytes, width: int) -> bytes:
    image = picture_of(png)
    if width < image.width:
        size = (width, max(1, round(image.height * width / image.width)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=72)
    return out.getvalue()
